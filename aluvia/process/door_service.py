"""
The life of a door's process: its start, its signals, and its end, the same for every door.

.. code-block:: text

    state     startService, stopService and signals
    --------  ------------------------------------------------------------------------------
    STARTING  :meth:`DoorService.come_up` runs. What it raises ends the process with a status
              (``statuses``); a signal ends it as it ends a running one
    RUNNING   SIGHUP: :meth:`DoorService.read_again`
    DRAINING  after SIGTERM or SIGINT: no new connections, live ones up to ``drain_timeout``;
              a second signal means now
    STOPPED   no listener, timer, connection or descriptor is left
"""

from __future__ import annotations

import abc
import signal
import types
import typing
from pathlib import Path

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.net.waiting import wait_for
from aluvia.process.statuses import SOFTWARE
from aluvia.process.supervise import Supervision, exit_with, stop_once

__all__ = ["DoorService", "SetSignal"]

log = Logger()

#: Installs a handler of a signal, as :func:`signal.signal`.
SetSignal = typing.Callable[[int, typing.Any], object]


class Stopping(typing.Protocol):
    """What is to be drained; see :class:`aluvia.net.door.Door`."""

    @property
    def connections_open(self) -> int:
        """Clients' connections."""

    def stop(self, drain_timeout: float = 0.0) -> Deferred[None]:
        """End; called again, at once."""


class DoorService(Service, abc.ABC):
    """
    A door as ``twistd`` runs it.

    :param environ: the process's environment; what is for us is taken out of it.
    :param port_file: where to write one, if anywhere.
    :param drain_timeout: seconds.
    :cvar statuses: what the process exits with when a start fails, by the kind of its error.
    :ivar door: what is drained; None until there is one.
    """

    statuses: typing.ClassVar[tuple[tuple[type[Exception], int], ...]]
    door: Stopping | None = None

    def __init__(
        self,
        reactor: typing.Any,
        environ: typing.MutableMapping[str, str],
        port_file: Path | None,
        drain_timeout: float,
        set_signal: SetSignal = signal.signal,
    ) -> None:
        self.started_at = reactor.seconds()
        self.reactor = reactor
        self._set_signal = set_signal
        self._drain_timeout = drain_timeout
        self._supervision = Supervision(environ, reactor, port_file)
        self._starting: Deferred[None] | None = None
        self._stopping: Deferred[None] | None = None

    @abc.abstractmethod
    async def come_up(self) -> typing.Mapping[str, object]:
        """
        Open everything.

        :return: what the port file is to say.
        """

    def came_up(self) -> None:
        """Say what there is to try, where nobody else does."""

    @abc.abstractmethod
    def read_again(self) -> None:
        """What SIGHUP means."""

    def going_down(self) -> None:
        """The drain begins."""

    async def gone_down(self) -> None:
        """The door is shut: end the rest."""

    # The start.

    def startService(self) -> None:
        """Start, as soon as the reactor runs: before that a signal ends the process as it is."""
        super().startService()
        self.reactor.callWhenRunning(self._start)

    def _start(self) -> None:
        if self.running:
            begun = Deferred.fromCoroutine(self.begin())
            begun.addCallbacks(lambda _: self.came_up(), self._not_started)
            begun.addErrback(lambda failure: log.failure("Saying what runs failed.", failure))

    async def begin(self) -> typing.Mapping[str, object]:
        """
        Open everything, and say that it is ready.

        :return: what the port file says.
        :raises Exception: what :meth:`come_up` does; :class:`OSError` also for the port file.
        """
        where: typing.Mapping[str, object] = {}

        async def come_up() -> None:
            nonlocal where
            self._supervision.starting(lambda: stop_once(self.reactor))
            if hasattr(signal, "SIGHUP"):  # Not on Windows.
                self._set_signal(signal.SIGHUP, self._hung_up)
            where = await self.come_up()
            if self._stopping is not None:
                # Something on the way did not hear that nobody waits for it any more.
                raise CancelledError
            self._supervision.ready(where)

        self._stopping = None
        self._starting = Deferred.fromCoroutine(come_up())
        await self._starting
        return where

    def _not_started(self, failure: Failure) -> None:
        """Say why in one line, and end the process."""
        error = failure.value
        if self._stopping is not None:
            # A signal came first; what became of the start is of no interest.
            return
        for kind, status in self.statuses:
            if isinstance(error, kind):
                exit_with(self.reactor, status, str(error))
                return
        log.failure("The start failed.", failure=failure)
        exit_with(self.reactor, SOFTWARE, "the start failed; the log says why")

    def tell_again(self, where: typing.Mapping[str, object]) -> None:
        """
        What the port file says has changed; once it came up, and before it goes down.

        :param where: what the port file is to say.
        """
        self._supervision.changed(where)

    # The end.

    def stopService(self) -> Deferred[None]:
        """Drain; called again, wait for the same end."""
        super().stopService()
        if self._starting is None:
            return succeed(None)
        if self._stopping is None:
            self._supervision.stopping()
            for number in (signal.SIGTERM, signal.SIGINT):
                self._set_signal(number, self._signalled_again)
            # Known before anything runs that asks.
            self._stopping = Deferred()
            Deferred.fromCoroutine(self._stop(self._starting)).chainDeferred(self._stopping)
        return wait_for(self._stopping)

    async def _stop(self, starting: Deferred[None]) -> None:
        starting.cancel()
        try:
            self.going_down()
            if self.door is not None:
                if self.door.connections_open:
                    log.info(
                        "Draining {count} connections, up to {timeout} s; a second signal ends "
                        "them now.",
                        count=self.door.connections_open,
                        timeout=self._drain_timeout,
                    )
                await self.door.stop(self._drain_timeout)
        finally:
            try:
                await self.gone_down()
            finally:
                self._supervision.stopped()

    # Signals.

    def _hung_up(self, number: int, frame: types.FrameType | None) -> None:
        self.reactor.callFromThread(self.read_again)

    def _signalled_again(self, number: int, frame: types.FrameType | None) -> None:
        self.reactor.callFromThread(self._stop_now)

    def _stop_now(self) -> None:
        if self.door is not None:
            log.info("Ending {count} connections now.", count=self.door.connections_open)
            self.door.stop().addErrback(lambda failure: log.failure("Ending failed.", failure))
