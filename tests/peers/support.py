"""Finding other people's programs, and running them as daemons of a test."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import socket
import tempfile
import typing
from pathlib import Path

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest

from tests.aluvia_process import AluviaProcess, Child, until
from tests.support import Certificates, ProxyCase

HERE = Path(__file__).resolve().parent

#: Where Debian has daemons, which is on the path of root alone.
_DAEMONS = "/usr/sbin:/sbin:/usr/local/sbin"

Result = typing.TypeVar("Result")


def missing(what: str, where: str) -> typing.NoReturn:
    """A peer is not there: a failure where peers are required, else a skip."""
    message = f"{what} is not installed ({where})"
    if os.environ.get("ALUVIA_REQUIRE_PEERS") == "1":
        raise AssertionError(message)
    raise SkipTest(message)


def need_program(name: str, package: str) -> str:
    """The path of a program. *package* is Debian's."""
    path = shutil.which(name) or shutil.which(name, path=_DAEMONS)
    return path or missing(name, f"apt-get install {package}")


def need_module(name: str) -> typing.Any:
    """A module from PyPI."""
    try:
        return importlib.import_module(name)
    except ImportError:
        missing(name, "pip install -r tests/requirements.txt")


async def in_thread(work: typing.Callable[[], Result]) -> Result:
    """Do something that blocks."""
    return typing.cast(Result, await deferToThread(work))


def free_port() -> int:
    """A port that nobody listens on, for programs that cannot choose one themselves."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def peak_bytes(process: AluviaProcess) -> int:
    """The most that was resident since :func:`forget_peak`."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def forget_peak(process: AluviaProcess) -> None:
    """Have it measured anew (Linux, proc(5): clear_refs)."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")


class PeerCase(ProxyCase):
    """A :class:`ProxyCase` with daemons."""

    timeout = 300

    def setUp(self) -> None:
        """Daemons end first: kept connections to them would keep the proxy from being at rest."""
        super().setUp()
        self._daemons: list[Child] = []
        self.addCleanup(self._stop_daemons)
        self.certificates = Certificates()

    async def _stop_daemons(self) -> None:
        for daemon in self._daemons:
            daemon.send_signal(signal.SIGTERM)
        for daemon in self._daemons:
            await daemon.wait()

    def folder(self) -> Path:
        """A new folder that a daemon can use which gives up being root."""
        path = Path(tempfile.mkdtemp(prefix="aluvia-peer-"))
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        path.chmod(0o777)
        return path

    async def daemon(self, port: int, *command: str) -> Child:
        """Start a program that stays in the foreground, and wait for its port."""
        daemon = Child(*command)
        self._daemons.append(daemon)

        def answers() -> bool:
            if daemon.ended:
                raise AssertionError(f"{command[0]} ended:\n{daemon.output}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                return False
            return True

        await until(answers, 20, f"{command[0]} listens on port {port}")
        return daemon

    def certificate_files(self, folder: Path, *names: str) -> tuple[Path, Path]:
        """A certificate for *names* and its key, as files in *folder*."""
        issued = self.certificates.authority.issue_cert(*names)
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        key.chmod(0o644)
        return certificate, key

    async def plain_proxy(self, *options: str) -> AluviaProcess:
        """A proxy with a fake gateway for ``*.example.com``."""
        self.parent = self.gateway()
        return await self.aluvia(*options, gateway=self.parent)
