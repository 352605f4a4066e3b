"""Waiting for what others wait for as well."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


def wait_for(shared: Deferred[None]) -> Deferred[None]:
    """
    A Deferred of one's own, which fires with the shared one.

    To cancel it is to wait no longer: what is waited for goes on. A failure is told to everybody
    who waits, and logged by Twisted when the shared one goes.
    """
    waiting: Deferred[None] = Deferred()

    def tell(result: Failure | None) -> Failure | None:
        if isinstance(result, Failure):
            waiting.errback(result)
        else:
            waiting.callback(None)
        return result

    shared.addBoth(tell)
    return waiting
