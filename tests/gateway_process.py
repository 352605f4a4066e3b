"""A child ``twistd -n aluvia-gateway``, and the accounts that it serves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import typing
from pathlib import Path

import attrs

from tests.aluvia_process import TWISTD, AluviaProcess, Child, clean_environment

ACCOUNT = (
    *(sys.executable, "-c", "from aluvia.cli.main import main; raise SystemExit(main())"),
    "account",
)


@attrs.frozen
class Account:
    """What ``aluvia account add --json`` printed."""

    name: str
    token: str
    proxy_username: str
    proxy_password: str

    @property
    def secrets(self) -> tuple[str, str]:
        """What must not be seen anywhere."""
        return self.token, self.proxy_password

    def credentials(self, options: str = "") -> str:
        """As curl's ``--proxy-user`` wants them."""
        return f"{self.proxy_username}{options}:{self.proxy_password}"


class GatewayProcess(AluviaProcess):
    """
    A gateway in a process of its own.

    :ivar db: its store.
    """

    def __init__(self, *options: str, db: Path | None = None) -> None:
        """Start it; :meth:`ready` waits."""
        self.ports: dict[str, typing.Any] = {}
        self.sockets_at_rest = 0
        directory = Path(tempfile.mkdtemp(dir=os.getcwd()))
        self.port_file = directory / "ports.json"
        self.db = db or directory / "gateway.db"
        Child.__init__(
            self,
            *(*TWISTD, "-n", "--pidfile=", "aluvia-gateway"),
            *("--proxy", "127.0.0.1:0", "--api", "127.0.0.1:0", "--db", str(self.db)),
            *("--port-file", str(self.port_file), "--log-level", "debug"),
            *options,
        )

    def account(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``aluvia account`` on its store."""
        return subprocess.run(
            [*ACCOUNT, *words, "--db", str(self.db)],
            capture_output=True,
            text=True,
            check=False,
            env=clean_environment(),
        )

    def add(self, name: str = "alice") -> Account:
        """Make an account."""
        done = self.account("add", name, "--json")
        assert done.returncode == 0, done.stderr
        return Account(**json.loads(done.stdout))

    @property
    def api_url(self) -> str:
        """The control plane's, without a path."""
        return f"http://127.0.0.1:{self.ports['api']}"
