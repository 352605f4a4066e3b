"""What carries a tunnel: ``ssh -R``, and aluvia's edge and agent; both ends on this machine.

Visitors come in on the public side's port; the origin is the other end's target. Each is one
process tree (``both_ends.py``), whose processor time is that of both ends. All is encrypted between
the ends, and the public side is in the clear.
"""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from .edges import CLIENTS
from .peers import BUILD, HERE, Aluvia, Setting, found, output_of, written
from .processes import LOOPBACK, free_port
from .sites import HOST, self_signed

#: What ``agents.py`` reads, in a peer's folder.
HUB_FILE = "hub.json"

#: What ``both_ends.py`` reads.
_Step = Mapping[str, object]


def _both(setting: Setting, first: Sequence[_Step], servers: Sequence[_Step]) -> list[str]:
    plan = json.dumps({"first": first, "servers": servers})
    path = written(setting.folder / "plan.json", [plan])
    return [sys.executable, str(HERE / "both_ends.py"), path]


@attrs.frozen
class Direct:
    """No tunnel: another origin, to see what the others add."""

    name: str = "direct"
    through_parent: bool = False

    def missing(self) -> str | None:
        """It is built with the harness."""
        return None if (BUILD / "origin").exists() else "not built: run make"

    def version(self) -> str:
        """Of this checkout."""
        return "c/origin.c"

    def command(self, setting: Setting) -> list[str]:
        """The origin itself."""
        return [str(BUILD / "origin"), "--port", str(setting.port)]


@attrs.frozen
class SSH:
    """OpenSSH: a server of our own, and a client with ``-R``; its defaults for ciphers."""

    name: str = "ssh -R"
    through_parent: bool = False

    def missing(self) -> str | None:
        """Debian's packages."""
        for program in ("sshd", "ssh", "ssh-keygen"):
            if not found(program):
                return f"{program} is not installed"
        return None

    def version(self) -> str:
        """As it gives it itself."""
        return output_of(found("ssh") or "ssh", "-V").split(",")[0].strip()

    def command(self, setting: Setting) -> list[str]:
        """Keys are made for the run; nothing of the user's own is read."""
        folder = setting.folder
        port = free_port()
        for name in ("host", "user"):
            (folder / name).unlink(missing_ok=True)
        (folder / "user.pub").unlink(missing_ok=True)
        keygen = found("ssh-keygen") or "ssh-keygen"
        make = [
            {"words": [keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]}
            for name in ("host", "user")
        ]
        first = [step | {"to": str(folder / "keygen.log")} for step in make]
        config = written(
            folder / "sshd_config",
            [
                f"Port {port}",
                f"ListenAddress {LOOPBACK}",
                f"HostKey {folder}/host",
                f"AuthorizedKeysFile {folder}/user.pub",
                "PidFile none",
                "StrictModes no",
                "UsePAM no",
                "PermitRootLogin yes",
                "LogLevel ERROR",
            ],
        )
        server = [found("sshd") or "sshd", "-D", "-e", "-f", config]
        client = [
            found("ssh") or "ssh",
            *("-N", "-T", "-F", "none", "-i", f"{folder}/user", "-p", str(port)),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
            *("-o", "ExitOnForwardFailure=yes", "-o", "LogLevel=ERROR"),
            *("-R", f"{LOOPBACK}:{setting.port}:{LOOPBACK}:{setting.site.backends[0]}"),
            f"{getpass.getuser()}@{LOOPBACK}",
        ]
        Path("/run/sshd").mkdir(exist_ok=True)
        servers = [{"command": server, "port": port}, {"command": client, "port": 0}]
        return _both(setting, first, servers)


@attrs.frozen
class AluviaTunnel(Aluvia):
    """aluvia's edge with a hub inside TLS, and its agent; every default but ports and limits.

    The edge judges, counts and forwards each request. Two limits are raised: the clients of a case
    are more than a tunnel serves at once by default, and all from one address.
    """

    name: str = "aluvia-tunnel"
    through_parent: bool = False

    def missing(self) -> str | None:
        """Whether its twistd knows both commands."""
        known = output_of(str(self.twistd), "--help").split() if self.twistd.exists() else []
        for door in ("aluvia-edge", "aluvia-agent"):
            if door not in known:
                return f"{self.twistd} does not know {door}"
        return None

    def command(self, setting: Setting) -> list[str]:
        """A key, a route to the tunnel, and both doors."""
        folder, hub = setting.folder, free_port()
        pair = self_signed(folder)
        database, key = folder / "edge.db", folder / "agent.key"
        for made in (database, key):
            made.unlink(missing_ok=True)
        backends = [{"endpoint": "tunnel:app"}]
        route = {"id": "r", "vHost": HOST, "backends": backends, "reqActiveLength": 10_000}
        routes = written(folder / "routes.json", [json.dumps({"routes": [route]})])
        add = [str(self.twistd.with_name("aluvia")), "agent-key", "add", "bench"]
        edge = {
            "--http": f"{LOOPBACK}:{setting.port}",
            "--https": "none",
            "--api": f"{LOOPBACK}:{free_port()}",
            "--hub": f"{LOOPBACK}:{hub}",
            "--hub-cert": str(pair.certificate),
            "--hub-key": str(pair.key),
            "--db": str(database),
            "--max-connections-per-address": str(CLIENTS),
            "--routes": routes,
        }
        agent = {
            "--hub": f"wss://{LOOPBACK}:{hub}/agent",
            "--cafile": str(pair.certificate),
            "--publish": f"app=http://{LOOPBACK}:{setting.site.backends[0]}",
            "--key-file": str(key),
            "--log-level": "silent",
        }
        words = [*add, "--db", str(database), "--key-file", str(key)]
        first = [{"words": words, "to": str(folder / "agent-key.log")}]
        # For agents.py, which is a load of its own.
        where = {"port": hub, "certificate": str(pair.certificate), "key_file": str(key)}
        written(folder / HUB_FILE, [json.dumps(where)])
        servers = [
            {"command": self._twistd("aluvia-edge", edge), "port": hub},
            {"command": self._twistd("aluvia-agent", agent), "port": 0},
        ]
        return _both(setting, first, servers)

    def _twistd(self, door: str, options: dict[str, str]) -> list[str]:
        words = [word for option in options.items() for word in option]
        return [str(self.twistd), "-n", "--pidfile=", door, *words]


Tunnel = Direct | SSH | AluviaTunnel


def all_tunnels(twistd: Path, before: Path | None = None) -> list[Tunnel]:
    """Everything that there is; ``before`` is the twistd of an earlier aluvia."""
    earlier = [AluviaTunnel(before, "aluvia-tunnel-before")] if before else []
    return [Direct(), SSH(), *earlier, AluviaTunnel(twistd)]
