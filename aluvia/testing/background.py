"""
The fakes for programs without a reactor: synchronous tests, pytest's among them, and other loops.

::

    with Fakes() as fakes:
        plane = fakes.control_plane("my-token", rules=["*"])
        gateway = fakes.gateway()
        ...                                          # whatever blocks, in this thread
        fakes.call(plane.change, rules=["-*"])
        assert gateway.asked[-1].authorized

The fakes run in a thread of their own, with a reactor of its own. It is not the one that
``twisted.internet.reactor`` is: that is not imported, and may run in the main thread as well. There
is one such thread in a process, begun when it is first needed and left to the process's end, since
a reactor cannot be run twice, and one that is thrown away leaves descriptors behind.

What a fake *has* (its port, what it was asked) may be read from any thread. What changes it goes
through :meth:`Fakes.call`.

Rejected: a process for the fakes. Everything that a test looks at would have to be spelt in
messages, routes and scripts could not be functions of the test, and there would be one thing more
that can be left running.
"""

from __future__ import annotations

import concurrent.futures
import os
import threading
import types
import typing

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.pollreactor import PollReactor
from twisted.python.failure import Failure

from aluvia.testing.control_plane import FakeControlPlane
from aluvia.testing.faults import FaultPeer
from aluvia.testing.gateway import FakeGateway
from aluvia.testing.origin import FakeOrigin

__all__ = ["CALL_SECONDS", "Fakes"]

#: How long a call may take.
CALL_SECONDS = 30.0

Outcome = typing.TypeVar("Outcome")
Fake = typing.TypeVar("Fake", FakeControlPlane, FakeGateway, FakeOrigin, FaultPeer)


class Fakes:
    """Fakes in a thread of their own, closed together: a context manager."""

    def __init__(self) -> None:
        self._reactor = _reactor_in_background()
        self._started: list[FakeControlPlane | FakeGateway | FakeOrigin | FaultPeer] = []

    def __enter__(self) -> Fakes:
        """Nothing runs yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        """Close them."""
        self.close()

    def close(self) -> None:
        """Close whatever was started, the latest first. Again, and it does nothing."""
        while self._started:
            self.call(self._started.pop().stop)

    def control_plane(self, *arguments: typing.Any, **options: typing.Any) -> FakeControlPlane:
        """Start one; see :class:`~aluvia.testing.control_plane.FakeControlPlane`."""
        return self._start(FakeControlPlane, *arguments, **options)

    def gateway(self, *arguments: typing.Any, **options: typing.Any) -> FakeGateway:
        """Start one; see :class:`~aluvia.testing.gateway.FakeGateway`."""
        return self._start(FakeGateway, *arguments, **options)

    def origin(self, *arguments: typing.Any, **options: typing.Any) -> FakeOrigin:
        """Start one; see :class:`~aluvia.testing.origin.FakeOrigin`."""
        return self._start(FakeOrigin, *arguments, **options)

    def peer(self, *arguments: typing.Any, **options: typing.Any) -> FaultPeer:
        """Start one; see :class:`~aluvia.testing.faults.FaultPeer`."""
        return self._start(FaultPeer, *arguments, **options)

    def call(
        self,
        function: typing.Callable[..., object],
        *arguments: typing.Any,
        **options: typing.Any,
    ) -> typing.Any:
        """
        Call a function where the fakes run, and wait for what it returns; of a coroutine function
        or of a Deferred, for its outcome.

        :raises Exception: whatever it raises.
        :raises TimeoutError: it took longer than :data:`CALL_SECONDS`.
        """
        future: concurrent.futures.Future[object] = concurrent.futures.Future()

        def failed(failure: Failure) -> None:
            future.set_exception(failure.value)

        def call() -> None:
            done: Deferred[object] = maybeDeferred(function, *arguments, **options)
            done.addCallbacks(future.set_result, failed)

        self._reactor.callFromThread(call)
        return future.result(CALL_SECONDS)

    def _start(self, kind: type[Fake], *arguments: typing.Any, **options: typing.Any) -> Fake:
        fake: Fake = self.call(kind, self._reactor, *arguments, **options)
        self._started.append(fake)
        return fake


class _Reactor(PollReactor):
    """One that runs beside the process's own, and is not taken for it."""

    _registerAsIOThread = False  # noqa: N815


_lock = threading.Lock()
#: The reactor by the process that it runs in: a thread does not live on in a forked child.
_running: dict[int, typing.Any] = {}


def _reactor_in_background() -> typing.Any:
    with _lock:
        reactor = _running.get(os.getpid())
        if reactor is None:
            _running.clear()
            reactor = _running[os.getpid()] = _Reactor()
            thread = threading.Thread(
                target=reactor.run,
                kwargs={"installSignalHandlers": False},
                name="aluvia.testing",
                daemon=True,
            )
            thread.start()
        return reactor
