"""
Whether credentials are right: asked of a thread once, and remembered for a while.

.. code-block:: text

    what is known      says                       until
    -----------------  -------------------------  -------------------------------------------
    right              yes, at once               60 s after it was found out
    wrong              no, at once                1 s after it was found out
    being found out    whatever comes of it       it has, for all who ask with the same ones
    nothing            a thread is asked

Credentials are known by an HMAC with a key that nobody has, so that memory holds no password for
longer than its verification takes.

Strangers can make us verify, and a verification costs a processor for 50 ms and more. What bounds
them: the threads are few and their line is short (:mod:`aluvia.edge.hashing_threads`); one address
(of IPv6, one /64) has :data:`MOST_OF_ONE_ADDRESS` places in it, so that a single guesser leaves
three quarters of it to others; and who was found right lately needs no thread at all. So a flood
from many addresses costs two processors, and makes those wait who log in meanwhile: no longer than
the line is (a few seconds), or they are told to come again.
"""

from __future__ import annotations

import collections.abc

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from aluvia.edge.hashing_threads import NoThread, Threads
from aluvia.net.per_address import CountPerAddress

__all__ = ["Verifications"]

#: How long credentials are taken for right, or for wrong, without another look; seconds.
KEEP_RIGHT = 60.0
KEEP_WRONG = 1.0

#: How many are remembered, of either kind; beyond it the oldest is forgotten.
MOST_REMEMBERED = 1_024

#: Verifications under way on behalf of one address.
MOST_OF_ONE_ADDRESS = 16

Check = collections.abc.Callable[[], bool]


class Verifications:
    """
    The verifications of one provider.

    :param threads: shared with others, and not ended by us.
    """

    def __init__(self, clock: IReactorTime, threads: Threads) -> None:
        self._threads = threads
        self._right = _Remembered(clock, KEEP_RIGHT)
        self._wrong = _Remembered(clock, KEEP_WRONG)
        self._under_way: dict[bytes, _Verification] = {}
        self._of_address = CountPerAddress()

    def known(self, key: bytes) -> bool | None:
        """Whether these credentials are right, if that is known."""
        if key in self._right:
            return True
        if key in self._wrong:
            return False
        return None

    def verify(self, key: bytes, address: str, check: Check) -> Deferred[bool]:
        """
        Find out whether credentials are right.

        :param key: by which they are known.
        :param address: who brings them.
        :param check: called in a thread, if nobody asks for the same ones already.
        :return: fails with :class:`~aluvia.edge.hashing_threads.NoThread` where it will not be
            found out now, and with whatever ``check`` raises. It can be cancelled.
        """
        verification = self._under_way.get(key)
        if verification is None:
            if self._of_address.of(address) >= MOST_OF_ONE_ADDRESS:
                return fail(NoThread("Too much waits for a thread on behalf of one address."))
            self._of_address.add(address)
            verification = self._under_way[key] = _Verification()
            waiting = verification.wait()
            verification.asked = self._threads.do(check)
            verification.asked.addBoth(self._found_out, key, address, verification)
            return waiting
        return verification.wait()

    def forget(self) -> None:
        """Remember nothing of what was found out."""
        self._right.clear()
        self._wrong.clear()

    def _found_out(
        self, result: bool | Failure, key: bytes, address: str, verification: _Verification
    ) -> None:
        del self._under_way[key]
        self._of_address.remove(address)
        if not isinstance(result, Failure):
            (self._right if result else self._wrong).add(key)
        verification.tell(result)


class _Verification:
    """
    One that is under way, and those who wait for it.

    :ivar asked: what the thread will say; cancelled when nobody waits any more.
    """

    def __init__(self) -> None:
        self.asked: Deferred[bool] | None = None
        self._waiting: set[Deferred[bool]] = set()

    def wait(self) -> Deferred[bool]:
        """Wait with the others."""
        waiting: Deferred[bool] = Deferred(self._leave)
        self._waiting.add(waiting)
        return waiting

    def tell(self, result: bool | Failure) -> None:
        """Tell those who wait."""
        waiting, self._waiting = self._waiting, set()
        for each in waiting:
            if isinstance(result, Failure):
                each.errback(result)
            else:
                each.callback(result)

    def _leave(self, waiting: Deferred[bool]) -> None:
        self._waiting.discard(waiting)
        if not self._waiting and self.asked is not None:
            self.asked.cancel()


class _Remembered:
    """Keys, each for so long, the newest of them."""

    def __init__(self, clock: IReactorTime, keep: float) -> None:
        self._clock = clock
        self._keep = keep
        self._until: dict[bytes, float] = {}
        self.clear = self._until.clear

    def __contains__(self, key: bytes) -> bool:
        until = self._until.get(key)
        if until is None:
            return False
        if until > self._clock.seconds():
            return True
        del self._until[key]
        return False

    def add(self, key: bytes) -> None:
        """Remember it, from now on."""
        self._until.pop(key, None)
        if len(self._until) >= MOST_REMEMBERED:
            del self._until[next(iter(self._until))]
        self._until[key] = self._clock.seconds() + self._keep
