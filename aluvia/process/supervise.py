"""
Whoever looks after our process: what it is told, and how a start that fails ends.

:class:`Supervision` says the same thing to all who may listen: systemd by ``sd_notify``, programs
that wait for a port file, and a parent that started us for itself. The service calls it at these
moments, and does not care who is there.

.. code-block:: text

    moment         systemd              port file             parent
    -------------  -------------------  --------------------  ------------------------
    starting       –                    a stale one goes      its end is watched
    ready          READY=1, WATCHDOG=1  appears               one line of JSON
    changed        –                    is written anew       –
    stopping       STOPPING=1           goes                  –
    stopped        –                    –                     let go
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import sys
import typing
from pathlib import Path

from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from aluvia.process.lifeline import VARIABLE, Lifeline, adopt
from aluvia.process.port_file import PortFile
from aluvia.telemetry.logs import escape
from aluvia.wire.target import Authority

log = Logger()

NOTIFY_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """
    ``sd_notify(3)`` and ``sd_watchdog_enabled(3)``; without a supervisor, nothing.

    :param environ: the process's environment. What is for us is taken out of it, so that children
        do not speak in our name.
    """

    def __init__(self, environ: typing.MutableMapping[str, str]) -> None:
        taken = {name: environ.pop(name, "") for name in NOTIFY_VARIABLES}
        self._address = taken["NOTIFY_SOCKET"]
        self._watchdog_usec = taken["WATCHDOG_USEC"]
        self._watchdog_pid = taken["WATCHDOG_PID"]
        self._failed = False
        self._watchdog: LoopingCall | None = None

    def send(self, state: str) -> None:
        """Say something. That nobody takes it is logged once, and harms nothing."""
        if not self._address:
            return
        # A leading @ stands for the NUL of the abstract name space.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.setblocking(False)
                notify.sendto(state.encode("utf-8"), address)
        except (OSError, ValueError) as error:
            # Tried again with the next: a supervisor may be away for a moment.
            if not self._failed:
                log.warn(
                    "The supervisor could not be told {state}: {error}", state=state, error=error
                )
            self._failed = True
        else:
            self._failed = False

    def start_watchdog(self, clock: IReactorTime) -> None:
        """Say that we are alive, twice as often as the supervisor wants to hear it."""
        mine = self._watchdog_pid in ("", str(os.getpid()))
        if not self._address or not mine or not self._watchdog_usec.isdecimal():
            return
        interval = int(self._watchdog_usec) / 2_000_000
        if interval > 0 and self._watchdog is None:
            self._watchdog = LoopingCall(self.send, "WATCHDOG=1")
            self._watchdog.clock = clock
            self._watchdog.start(interval)

    def stop_watchdog(self) -> None:
        """Nobody waits for a process that is ending."""
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is not None:
            watchdog.stop()


class Supervision:
    """
    What the service tells, at each of the moments.

    :param environ: the process's environment; what is for us is taken out of it.
    :param reactor: the clock of the watchdog, and what watches a parent.
    :param port_file: where to write one, if anywhere.
    """

    def __init__(
        self,
        environ: typing.MutableMapping[str, str],
        reactor: typing.Any,
        port_file: Path | None = None,
    ) -> None:
        self._reactor = reactor
        self._notifier = Notifier(environ)
        self._port_file = None if port_file is None else PortFile(port_file)
        self._descriptor = environ.pop(VARIABLE, "")
        self._lifeline: Lifeline | None = None

    def starting(self, parent_gone: typing.Callable[[], object]) -> None:
        """
        Before anything is bound.

        :param parent_gone: called when the parent that started us for itself is no more, also
            while we are stopping.
        :raises OSError: if the descriptor that it gave us is none.
        """
        if self._port_file is not None:
            self._port_file.take_away_stale()
        if self._descriptor:
            self._lifeline = adopt(self._reactor, self._descriptor, parent_gone)

    def ready(self, where: typing.Mapping[str, object]) -> None:
        """
        The door can be used.

        :param where: what the port file has, besides the process's number.
        :raises OSError: if the port file cannot be written; nobody has been told anything then.
        """
        content = {**where, "pid": os.getpid()}
        if self._port_file is not None:
            self._port_file.write(content)
        if self._lifeline is not None:
            self._lifeline.ready(content)
        self._notifier.send("READY=1")
        self._notifier.start_watchdog(self._reactor)

    def changed(self, where: typing.Mapping[str, object]) -> None:
        """
        What the port file says has changed. That it cannot be written is logged.

        :param where: as for :meth:`ready`.
        """
        if self._port_file is not None:
            try:
                self._port_file.write({**where, "pid": os.getpid()})
            except OSError as error:
                log.warn("{error}", error=error)

    def stopping(self) -> None:
        """No new clients are taken. Called more than once it does no more."""
        if self._port_file is not None:
            self._port_file.remove()
        self._notifier.send("STOPPING=1")

    def stopped(self) -> None:
        """Everything has ended; no timer and no descriptor stays behind."""
        self._notifier.stop_watchdog()
        lifeline, self._lifeline = self._lifeline, None
        if lifeline is not None:
            lifeline.release()


def local_url(listen: str, port: int) -> str:
    """
    The proxy's URL for programs on this machine.

    :param listen: an address; one that stands for all addresses is shown as loopback's.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen, listen)
    return f"http://{Authority(host, port)}"


class Stoppable(typing.Protocol):
    """What :func:`exit_with` needs of a reactor."""

    def callWhenRunning(self, call: typing.Callable[[], object]) -> object:
        """Call it when the reactor runs; at once if it does."""

    def stop(self) -> None:
        """End its loop."""


def exit_with(
    reactor: Stoppable,
    status: int,
    message: str,
    *,
    stderr: typing.TextIO | None = None,
    at_exit: typing.Callable[..., object] = atexit.register,
) -> None:
    """
    End the process with a status, because a start failed: one line on standard error, no traceback.

    ``twistd`` forgets why its reactor stopped and exits with 0. An exception in a shutdown trigger
    would be a traceback, and still 0. So the reactor stops in its usual way, ``twistd`` takes its
    pidfile away, and the last thing that happens in the interpreter is ``os._exit``.

    It may be called before the reactor runs (from ``startService``) or while it does. Called
    twice, the later status holds.

    :param status: see :mod:`aluvia.process.statuses`.
    :param message: one line, without secrets.
    :param stderr: by default the real one, in place of which ``twistd`` has put its log by now.
        A daemon has none; its log gets the line.
    """
    at_exit(_leave, status)
    stream = stderr if stderr is not None else sys.__stderr__
    if stream is None or _leads_nowhere(stream):
        log.error("{message}", message=message)
    else:
        # Where nobody can read it any more, the status still tells.
        with contextlib.suppress(OSError, ValueError):
            stream.write(f"aluvia: {escape(message)}\n")
            stream.flush()
    reactor.callWhenRunning(lambda: stop_once(reactor))


def _leads_nowhere(stream: typing.TextIO) -> bool:
    """Whether it is ``/dev/null``, as a daemon's is: then its log is the place for the line."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), os.stat(os.devnull))
    except (OSError, ValueError):
        return False


def stop_once(reactor: Stoppable) -> None:
    """Stop a reactor, unless it is stopping already."""
    try:
        reactor.stop()
    except ReactorNotRunning:
        # A signal has stopped it already.
        log.debug("The reactor is stopping already.")


def _leave(status: int) -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()
    os._exit(status)
