"""HTML: what :mod:`twisted.web.template` has made, which escapes all text, as bytes."""

from __future__ import annotations

from twisted.python.failure import Failure
from twisted.web.template import Flattenable, flattenString

__all__ = ["flat"]


def flat(tag: Flattenable) -> bytes:
    """Write it out. Nothing in it is waited for, so that all of it is there at once."""
    done: list[bytes] = []
    failed: list[Failure] = []
    flattenString(None, tag).addCallbacks(done.append, failed.append)
    for failure in failed:
        failure.raiseException()
    return done[0]
