"""The forward proxies that are measured: how each is found, and started with the least it can do.

Every peer runs as one worker on loopback, without a cache, an access log or a ``Via``: as near to
the bare work as its configuration allows. aluvia runs with its defaults, all features on.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import attrs

from .processes import LOOPBACK, free_port
from .sites import Site

HERE = Path(__file__).resolve().parent.parent
BUILD = HERE / "build"
MAX_CLIENTS = 5_000
TOKEN = "token"
DESCRIPTORS = 16_384


@attrs.frozen
class Parent:
    """The authenticated parent proxy of the gateway cases."""

    port: int
    username: str = "bench"
    password: str = "secret"

    @property
    def userinfo(self) -> str:
        """``user:password``."""
        return f"{self.username}:{self.password}"

    @property
    def authorization(self) -> str:
        """The one ``Proxy-Authorization`` that it accepts."""
        return "Basic " + base64.b64encode(self.userinfo.encode()).decode()

    @property
    def url(self) -> str:
        """With its credentials."""
        return f"http://{self.userinfo}@{LOOPBACK}:{self.port}"


@attrs.frozen
class Setting:
    """What a peer is started with: its port, a folder for its files, and a parent or none.

    ``control_plane`` is the base URL of one that gives the same parent and rules. ``site`` is what
    an edge serves.
    """

    port: int
    folder: Path
    parent: Parent | None = None
    control_plane: str = ""
    site: Site = attrs.Factory(Site)


class Peer(Protocol):
    """A proxy that can be measured."""

    @property
    def name(self) -> str:
        """In options, tables and results."""

    @property
    def through_parent(self) -> bool:
        """Whether it can forward through an authenticated parent."""

    def missing(self) -> str | None:
        """Why it cannot be started here; None when it can."""

    def version(self) -> str:
        """As it gives it itself."""

    def command(self, setting: Setting) -> list[str]:
        """The command line; files that it needs are written to the setting's folder."""


def output_of(*command: str) -> str:
    """What a command prints; to its standard error where it prints nothing else."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout or done.stderr


def found(program: str) -> str | None:
    """Debian keeps daemons in /usr/sbin, which is on few users' path."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def written(path: Path, lines: Sequence[str]) -> str:
    """The path of a file that now holds these lines."""
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@attrs.frozen
class Relay:
    """The C relay with splice and pipes of one size: the limit."""

    name: str
    pipe_bytes: int
    through_parent: bool = False

    def missing(self) -> str | None:
        """It is built with the harness."""
        return None if (BUILD / "relay").exists() else "not built: run make"

    def version(self) -> str:
        """Of this checkout."""
        return "c/relay.c"

    def command(self, setting: Setting) -> list[str]:
        """The pipes' size is all that there is to choose."""
        return [str(BUILD / "relay"), "--port", str(setting.port), "--pipe", str(self.pipe_bytes)]


@attrs.frozen
class Squid:
    """Squid, one process (``-N``)."""

    name: str = "squid"
    through_parent: bool = True

    def missing(self) -> str | None:
        """Debian's package."""
        return None if found("squid") else "squid is not installed"

    def version(self) -> str:
        """The number of its first line."""
        return output_of(found("squid") or "squid", "-v").partition("\n")[0].rpartition(" ")[2]

    def command(self, setting: Setting) -> list[str]:
        """Nothing but what forwards."""
        lines = [
            f"http_port {LOOPBACK}:{setting.port}",
            "http_access allow localhost",
            "http_access deny all",
            "cache deny all",
            "cache_mem 0",
            "access_log none",
            "cache_log /dev/null",
            "cache_store_log none",
            "pid_filename none",
            "coredump_dir none",
            "pinger_enable off",
            "via off",
            "forwarded_for delete",
            "visible_hostname localhost",
            "shutdown_lifetime 0 seconds",
            f"max_filedescriptors {DESCRIPTORS}",
        ]
        if setting.parent:
            lines += [
                f"cache_peer {LOOPBACK} parent {setting.parent.port} 0 no-query no-digest default "
                f"login={setting.parent.userinfo}",
                "never_direct allow all",
            ]
        configuration = written(setting.folder / "squid.conf", lines)
        return [found("squid") or "squid", "-N", "-f", configuration]


@attrs.frozen
class Tinyproxy:
    """tinyproxy, a thread per connection."""

    name: str = "tinyproxy"
    through_parent: bool = True

    def missing(self) -> str | None:
        """Debian's package."""
        return None if found("tinyproxy") else "tinyproxy is not installed"

    def version(self) -> str:
        """The second word of its line."""
        return output_of(found("tinyproxy") or "tinyproxy", "-v").split()[1]

    def command(self, setting: Setting) -> list[str]:
        """Nothing but what forwards."""
        lines = [
            f"Listen {LOOPBACK}",
            f"Port {setting.port}",
            f"Allow {LOOPBACK}",
            "Timeout 600",
            f"MaxClients {MAX_CLIENTS}",
            "LogLevel Critical",
            "DisableViaHeader Yes",
        ]
        if setting.parent:
            lines.append(
                f"Upstream http {setting.parent.userinfo}@{LOOPBACK}:{setting.parent.port}"
            )
        configuration = written(setting.folder / "tinyproxy.conf", lines)
        return [found("tinyproxy") or "tinyproxy", "-d", "-c", configuration]


@attrs.frozen
class ProxyChain:
    """proxy-chain, on Node."""

    name: str = "proxy-chain"
    through_parent: bool = True

    def missing(self) -> str | None:
        """An npm package, see package.json."""
        if not found("node"):
            return "node is not installed"
        if not (HERE / "node_modules" / "proxy-chain").exists():
            return "proxy-chain is not installed: run npm install in benchmarks/"
        return None

    def version(self) -> str:
        """Of the package, and of Node."""
        package = HERE / "node_modules" / "proxy-chain" / "package.json"
        number = output_of("node", "-p", f"require({str(package)!r}).version").strip()
        return f"{number} (Node {output_of('node', '--version').strip()})"

    def command(self, setting: Setting) -> list[str]:
        """A script of a few lines, chain.js."""
        parent = [setting.parent.url] if setting.parent else []
        return ["node", str(HERE / "chain.js"), str(setting.port), *parent]


@attrs.frozen
class ProxyPy:
    """proxy.py: one acceptor that does the work itself.

    Its plugin for parent proxies goes direct for private addresses, so it takes no part in the
    gateway cases.
    """

    name: str = "proxy.py"
    through_parent: bool = False

    @property
    def _program(self) -> Path:
        return BUILD / "proxy-py" / "bin" / "proxy"

    def missing(self) -> str | None:
        """In an environment of its own."""
        return None if self._program.exists() else "proxy.py is not installed: run setup.sh"

    def version(self) -> str:
        """As it gives it itself."""
        return output_of(str(self._program), "--version").strip()

    def command(self, setting: Setting) -> list[str]:
        """Errors only, and idle connections left alone."""
        options = {
            "--hostname": LOOPBACK,
            "--port": str(setting.port),
            "--num-acceptors": "1",
            "--num-workers": "1",
            "--backlog": "1024",
            "--timeout": "600",
            "--log-level": "ERROR",
            "--open-file-limit": str(DESCRIPTORS),
            "--data-dir": str(setting.folder),
        }
        return [str(self._program), *(word for option in options.items() for word in option)]


@attrs.frozen
class Aluvia:
    """aluvia by its twistd, with every default but the ports.

    Without a parent a rule that never matches here is set, so that each request is decided; with
    one every host goes there.
    """

    twistd: Path
    name: str = "aluvia"
    through_parent: bool = True

    @property
    def python(self) -> str:
        """The interpreter that it is installed for."""
        return str(self.twistd.with_name("python"))

    def missing(self) -> str | None:
        """Whether its twistd knows the command."""
        if not self.twistd.exists():
            return f"there is no {self.twistd}"
        if "aluvia" not in output_of(str(self.twistd), "--help").split():
            return f"{self.twistd} does not know aluvia"
        return None

    def version(self) -> str:
        """Of aluvia, Twisted and Python."""
        return output_of(
            self.python,
            "-c",
            "import platform; from importlib.metadata import version; "
            "print(version('aluvia'), '(Twisted', version('twisted') + ', Python', "
            "platform.python_version() + ')')",
        ).strip()

    def command(self, setting: Setting) -> list[str]:
        """The static mode: a parent and rules on the command line."""
        parent = setting.parent or Parent(free_port())  # nothing listens there
        options = {
            "--gateway-url": parent.url,
            "--rule": rule_for(setting.parent),
            "--port": str(setting.port),
            "--admin-port": str(free_port()),
        }
        words = [word for option in options.items() for word in option]
        return [str(self.twistd), "-n", "--pidfile=", "aluvia", *words]


@attrs.frozen
class AluviaFollowing(Aluvia):
    """The same, but that parent and rules come from a control plane, which it polls each second."""

    name: str = "aluvia-following"

    def command(self, setting: Setting) -> list[str]:
        """The parent's credentials are the control plane's to say."""
        options = {
            "--token": TOKEN,
            "--api-base-url": setting.control_plane,
            "--poll-interval": "1",
            "--gateway-host": LOOPBACK,
            "--gateway-port": str(setting.parent.port if setting.parent else free_port()),
            "--port": str(setting.port),
            "--admin-port": str(free_port()),
        }
        words = [word for option in options.items() for word in option]
        return [str(self.twistd), "-n", "--pidfile=", "aluvia", *words]


def rule_for(parent: Parent | None) -> str:
    """One that sends every host to the parent; without one, a rule that never matches here."""
    return "*" if parent else "*.gw.localhost"


def all_peers(twistd: Path, before: Path | None = None) -> list[Peer]:
    """Every peer that there is; ``before`` is the twistd of an earlier aluvia."""
    earlier = [Aluvia(before, "aluvia-before")] if before else []
    return [
        Relay("relay-1m", 1 << 20),
        Relay("relay-64k", 1 << 16),
        Squid(),
        Tinyproxy(),
        ProxyChain(),
        ProxyPy(),
        *earlier,
        AluviaFollowing(twistd),
        Aluvia(twistd),
    ]
