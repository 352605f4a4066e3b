"""A child ``twistd -n aluvia``, from its start to a traceback-free end."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import typing
from pathlib import Path

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from aluvia.testing.connection import FaultConnection
from aluvia.testing.dialling import dial
from aluvia.testing.http import Response, read_response

#: Twisted types the module as one, and not as the reactor that it is.
reactor: typing.Any = global_reactor

TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")

#: How long a child may take to be ready, and to be gone: generous, for a busy machine.
PATIENCE_SECONDS = 30.0


async def pause(seconds: float) -> None:
    """Let *seconds* pass."""
    await deferLater(reactor, seconds)


async def until(condition: typing.Callable[[], object], seconds: float, what: str) -> None:
    """
    Wait until *condition* holds.

    :param what: what does not hold, for the error.
    :raises AssertionError: not within *seconds*.
    """
    began = reactor.seconds()
    while not condition():
        if reactor.seconds() - began > seconds:
            raise AssertionError(f"not within {seconds} s: {what}")
        await pause(0.01)


def clean_environment(**more: str) -> dict[str, str]:
    """Our environment without what would change a child's behaviour, and with *more*."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().endswith("_PROXY")
        and not name.startswith(("ALUVIA_", "NOTIFY_", "WATCHDOG_", "CREDENTIALS_", "PYTHONWARN"))
    }
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


class Child(ProcessProtocol):
    """
    A child process: what it wrote, and how it ended.

    :ivar ended: whether it is gone.
    :ivar status: as a shell would say it: 143 for an end by SIGTERM.
    """

    def __init__(self, *command: str, environment: typing.Mapping[str, str] | None = None) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.ended = False
        self.status: int | None = None
        self._waiting: list[Deferred[int]] = []
        environment = clean_environment() if environment is None else environment
        self.directory = tempfile.mkdtemp(dir=os.getcwd())
        self.process = reactor.spawnProcess(self, command[0], command, environment, self.directory)
        # A pid outlives its process here: what ended may not be signalled any more.
        self.pid = int(self.process.pid)

    @property
    def output(self) -> str:
        """All that it wrote, standard error behind standard output."""
        return (self.stdout + self.stderr).decode("utf-8", "replace")

    def outReceived(self, data: bytes) -> None:
        """Standard output."""
        self.stdout += data

    def errReceived(self, data: bytes) -> None:
        """Standard error."""
        self.stderr += data

    def processEnded(self, reason: Failure) -> None:
        """It is gone, and its output is whole."""
        self.ended = True
        ended_by = getattr(reason.value, "signal", None)
        self.status = 128 + ended_by if ended_by else getattr(reason.value, "exitCode", None) or 0
        assert reason.check(ProcessTerminated) or self.status == 0, reason
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(self.status)

    async def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Its status, once it ended. :raises AssertionError: not within *seconds*; it is killed."""
        if not self.ended:
            deferred: Deferred[int] = Deferred()
            self._waiting.append(deferred)
            late = reactor.callLater(seconds, self.kill)
            await deferred
            if not late.active():
                raise AssertionError(f"had not ended after {seconds} s:\n{self.output}")
            late.cancel()
        assert self.status is not None
        return self.status

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it is gone."""
        if not self.ended:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it the hard way."""
        self.send_signal(signal.SIGKILL)


class AluviaProcess(Child):
    """
    A proxy in a process of its own.

    :ivar ports: what its port file said, once it is ready.
    :ivar sockets_at_rest: how many sockets it held when it was ready.
    """

    def __init__(
        self,
        *options: str,
        environment: typing.Mapping[str, str] | None = None,
        before: typing.Sequence[str] = (),
        ports: bool = True,
    ) -> None:
        """
        Start it; :meth:`ready` waits.

        :param before: a command that runs the one behind it, such as ``prlimit --nofile=64``.
        :param ports: whether to ask for free ports and a port file, as most tests want.
        """
        self.ports: dict[str, typing.Any] = {}
        self.sockets_at_rest = 0
        with tempfile.NamedTemporaryFile(dir=os.getcwd(), suffix=".json") as name:
            self.port_file = Path(name.name)
        if ports:
            options = (
                *("--port", "0", "--admin-port", "0", "--port-file", str(self.port_file)),
                *options,
            )
        command = (*before, *TWISTD, "-n", "--pidfile=", "aluvia", *options)
        super().__init__(*command, environment=environment)

    async def ready(self) -> AluviaProcess:
        """Wait for the port file. :raises AssertionError: it ended, or took too long."""
        await until(
            lambda: self.ended or self.port_file.exists(), PATIENCE_SECONDS, "ready\n" + self.output
        )
        if self.ended:
            raise AssertionError(f"it ended with status {self.status}:\n{self.output}")
        self.ports = json.loads(self.port_file.read_text())
        self.sockets_at_rest = self.sockets()
        return self

    @property
    def port(self) -> int:
        """The proxy's port."""
        return int(self.ports["proxy"])

    @property
    def url(self) -> str:
        """The proxy's URL."""
        return str(self.ports["url"])

    # What it does

    async def connect(self, **options: typing.Any) -> FaultConnection:
        """Open a connection to the proxy's port."""
        return await dial(reactor, "127.0.0.1", self.port, **options)

    async def admin(self, path: str, headers: bytes = b"", host: bytes = b"") -> Response:
        """Ask the admin port."""
        port = int(self.ports["admin"])
        connection = await dial(reactor, "127.0.0.1", port)
        try:
            host = host or b"127.0.0.1:%d" % port
            await connection.send(
                b"GET %b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n%b\r\n"
                % (path.encode(), host, headers)
            )
            return await read_response(connection)
        finally:
            connection.close()

    async def admin_json(self, path: str) -> typing.Any:
        """Ask the admin port for JSON."""
        response = await self.admin(path, b"Accept: application/json\r\n")
        assert response.status == 200, response
        return json.loads(response.body)

    async def metrics(self) -> dict[str, float]:
        """The samples of ``/metrics`` by name and labels, as they stand there."""
        response = await self.admin("/metrics")
        lines = response.body.decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    # What it holds

    def sockets(self) -> int:
        """How many sockets it has open."""
        return sum(link.startswith("socket:") for link in self._descriptors())

    def descriptors(self) -> int:
        """How many descriptors it has open, of any kind."""
        return len(self._descriptors())

    def _descriptors(self) -> list[str]:
        folder = f"/proc/{self.pid}/fd"
        links = []
        for name in os.listdir(folder):
            try:
                links.append(os.readlink(f"{folder}/{name}"))
            except FileNotFoundError:
                continue  # Closed between the two calls.
        return links

    def resident_bytes(self) -> int:
        """Its resident memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def cpu_seconds(self) -> float:
        """The processor time that it took so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def at_rest(self, seconds: float = 10.0) -> None:
        """Wait until it holds no more sockets than when it was ready."""
        try:
            await until(lambda: self.sockets() <= self.sockets_at_rest, seconds, "all is closed")
        except AssertionError:
            live = await self.admin_json("/connections") if self.ports.get("admin") else None
            raise AssertionError(
                f"{self.sockets()} sockets are open, {self.sockets_at_rest} were at first; "
                f"connections: {live}"
            ) from None

    async def stop(self) -> None:
        """SIGTERM, and the end that a service has: status 143, and a log without tracebacks."""
        self.send_signal(signal.SIGTERM)
        status = await self.wait()
        assert status == 128 + signal.SIGTERM, f"status {status}:\n{self.output}"
        self.assert_quiet()

    def assert_quiet(self) -> None:
        """No traceback, no unhandled error, no warning of Python's."""
        for sign in ("Traceback", "Unhandled", "Warning: ", "never awaited"):
            assert sign not in self.output, self.output
