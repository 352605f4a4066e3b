"""
A proxy in a process of its own, that ends when we do.

Parent and child hold one end each of a socket pair (:mod:`aluvia.process.lifeline`): there the
child says where it is, and there it sees our end, however that comes. It is a session of its own,
so that Ctrl-C in a terminal ends our program and not its proxy. Its log, which is its standard
output, goes to our standard error.

Its standard error has only what is said before the log begins, the reason of a start that failed
among it, and the last words of an interpreter that crashes. It can be asked for: then it comes
through a pipe, which is read while we wait for the start, and once more at the end.

Rejected: a thread that reads that pipe all the time. Programs that fork, and those whose threads
are none (gevent), are better off without one, and next to nothing comes. The pipe does not block
the child when it is full.

This module imports nothing of Twisted: a program that has no use for it need not load it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
import typing
import weakref

#: How long it may take to be ready.
READY_SECONDS = 60.0

#: How long it may take to end, by itself, then by SIGTERM, and then by SIGKILL.
END_SECONDS = 10.0

#: More than this is no line that says where a proxy is.
LINE_BYTES = 4_096

#: As much is kept of what the child says on its standard error: the end of it.
STDERR_BYTES = 16_384

#: The names that :mod:`aluvia.process.lifeline` and :mod:`aluvia.process.supervise` have for these.
#: Whoever looks after us does not look after the child.
LIFELINE_VARIABLE = "ALUVIA_PARENT_FD"
NOTIFY_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

# ``-P``: what lies in the directory where we run is not imported as if it were ours.
_TWISTD = ("-P", "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile=")


class NotReadyError(Exception):
    """
    The child is not ready.

    :ivar status: what it ended with, negative for a signal; None if it has not ended: then it took
        too long.
    :ivar said: the end of its standard error, if that was asked for.
    """

    def __init__(self, status: int | None, said: str) -> None:
        what = "does not get ready" if status is None else f"did not start, and ended with {status}"
        super().__init__(f"the proxy {what}")
        self.status = status
        self.said = said


class ProxyProcess:
    """
    A ``twistd aluvia`` for ourselves.

    :param words: its options. Every user of the machine can read them.
    :param environ: its environment, where secrets are.
    :param keep_stderr: whether its standard error is kept for :class:`NotReadyError`; else it is
        ours.
    :ivar pid: of its process.
    :ivar url: the proxy's, once it is ready.
    """

    def __init__(
        self,
        words: typing.Iterable[str],
        environ: typing.Mapping[str, str],
        *,
        keep_stderr: bool = False,
    ) -> None:
        self.url = ""
        self._lock = threading.Lock()
        self._told = False
        self._stderr: io.FileIO | None = None
        self._said = b""
        self._line, theirs = socket.socketpair()
        try:
            with theirs, contextlib.ExitStack() as opened:
                log = _our_stderr()
                stderr: int = log
                if keep_stderr:
                    read, stderr = os.pipe()
                    self._stderr = io.FileIO(read)
                    opened.callback(os.close, stderr)
                    os.set_blocking(read, False)
                    os.set_blocking(stderr, False)
                kept = {
                    name: text for name, text in environ.items() if name not in NOTIFY_VARIABLES
                }
                self._process = subprocess.Popen(
                    [sys.executable, *_TWISTD, "aluvia", *words],
                    env={**kept, LIFELINE_VARIABLE: str(theirs.fileno())},
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=stderr,
                    start_new_session=True,
                )
        except BaseException:
            self._let_go()
            raise
        self.pid = self._process.pid
        _running.add(self)

    def wait_until_ready(self) -> None:
        """
        Wait for the line that says where it is.

        :raises NotReadyError: it has ended, or takes too long; either way it is gone then.
        """
        try:
            self.url = json.loads(self._first_line())["url"]
        except BaseException:
            self.end()
            raise
        self._pass_on()

    def end(self) -> None:
        """
        End it, and wait until its port is free. Again, from wherever, is safe.

        In a process that was forked from the one that started it, nothing happens: our end of the
        pair was closed there, and the child is not one of its own.
        """
        with self._lock:
            self._told = True
            self._line.close()
            for harder in (self._process.terminate, self._process.kill):
                try:
                    self._process.wait(END_SECONDS)
                except subprocess.TimeoutExpired:
                    harder()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)
            self._hear()
            self._let_go()
        self._pass_on()

    def fileno(self) -> int:
        """Our end of the pair; -1 once it is closed."""
        return self._line.fileno()

    def complain_if_ended(self) -> None:
        """Say so, once, if it has ended before its time."""
        if not self._told and self._process.poll() is not None:
            self._told = True
            sys.stderr.write(f"aluvia: the proxy has ended, with {self._process.returncode}\n")

    def _first_line(self) -> bytes:
        deadline = time.monotonic() + READY_SECONDS
        read = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._line, selectors.EVENT_READ)
            if self._stderr is not None:
                selector.register(self._stderr, selectors.EVENT_READ)
            while not read.endswith(b"\n") and len(read) < LINE_BYTES:
                ready = [key.fileobj for key, _ in selector.select(deadline - time.monotonic())]
                if not ready:
                    raise NotReadyError(None, self._take_said())
                if self._stderr in ready and self._hear():
                    selector.unregister(self._stderr)
                if self._line in ready:
                    data = self._line.recv(LINE_BYTES)
                    if not data:
                        raise NotReadyError(self._status(), self._take_said())
                    read += data
        return read

    def _status(self) -> int | None:
        try:
            return self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            return None

    def _hear(self) -> bool:
        """Take what it said on its standard error; whether that was all."""
        if self._stderr is None or self._stderr.closed:
            return True
        # None is what there is nothing of now, and empty what is at its end.
        while data := self._stderr.read(STDERR_BYTES):
            self._said = (self._said + data)[-STDERR_BYTES:]
        return data is not None

    def _take_said(self) -> str:
        self._hear()
        said, self._said = self._said, b""
        return said.decode("utf-8", "replace")

    def _pass_on(self) -> None:
        said, self._said = self._said, b""
        if said and sys.stderr is not None:
            sys.stderr.write(said.decode("utf-8", "replace"))

    def _let_go(self) -> None:
        self._line.close()
        if self._stderr is not None:
            self._stderr.close()


#: What a process that is forked from this one must not keep alive.
_running: weakref.WeakSet[ProxyProcess] = weakref.WeakSet()


def _forked() -> None:
    for process in list(_running):
        process._let_go()
    _running.clear()


os.register_at_fork(after_in_child=_forked)


def _our_stderr() -> int:
    """Our standard error's descriptor, if it has one: notebooks and test runners replace it."""
    for stream in (sys.stderr, sys.__stderr__):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            if stream is not None:
                return stream.fileno()
    return subprocess.DEVNULL
