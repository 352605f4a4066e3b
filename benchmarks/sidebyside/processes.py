"""Child processes that listen on a loopback port, and end when they are told.

Only what was started here is ever ended, by its number. Every wait is bounded.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import attrs

from .accounting import process_tree

LOOPBACK = "127.0.0.1"
START_SECONDS = 20.0
STOP_SECONDS = 15.0
_LOG_TAIL_BYTES = 2_000


class DidNotStartError(Exception):
    """A process ended or did not accept within its time; the message ends with what it wrote."""


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


@attrs.define
class Server:
    """A child process that accepts on ``port``; a context manager that ends it."""

    name: str
    port: int
    log: Path
    _process: subprocess.Popen[bytes]

    @classmethod
    def start(
        cls,
        name: str,
        command: list[str],
        port: int,
        folder: Path,
        environment: Mapping[str, str] = {},
    ) -> Server:
        """Start ``command`` in ``folder`` and return once it accepts on ``port``.

        Its output goes to a file there. Variables of ``environment`` are added to ours, without
        what would make a proxy of the environment's take part (``*_proxy``, ``ALUVIA_*``).
        """
        log = folder / f"{name}.log"
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.lower().endswith("_proxy")
            and not key.startswith("ALUVIA_")
            and key != "NOTIFY_SOCKET"
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=inherited | dict(environment),
                start_new_session=True,  # an interrupt is ours to pass on
            )
        server = cls(name, port, log, process)
        try:
            server._wait_until_it_accepts()
        except BaseException:
            server.stop()
            raise
        return server

    @property
    def pid(self) -> int:
        """The process number."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def last_output(self) -> str:
        """The end of what it wrote."""
        return self.log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()

    def _wait_until_it_accepts(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self.alive():
                break
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.port), 1):
                return
            time.sleep(0.05)
        output = self.last_output() or "without a word"
        last_line = output.rpartition("\n")[2]
        raise DidNotStartError(f"it did not start: {last_line}\n{output}")

    def stop(self) -> None:
        """End it and whatever it has started: SIGTERM, then SIGKILL for what stays."""
        if self._process.poll() is None:
            descendants = process_tree(self.pid)[1:]
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_SECONDS)
            for pid in descendants:
                # Of our own session still, so no other process that took the number over.
                with contextlib.suppress(ProcessLookupError):
                    if os.getsid(pid) == self.pid:
                        os.kill(pid, signal.SIGKILL)

    def __enter__(self) -> Server:
        """Nothing more to do: :meth:`start` has started it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self.stop()
