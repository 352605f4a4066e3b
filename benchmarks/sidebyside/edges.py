"""The reverse proxies that are measured: how each is found and started, with the least it can do.

Every one is a single worker on loopback with its defaults, but for what makes them comparable:

* no access log, but for one more of aluvia's;
* connections to the backends are kept and used again, as many as there are clients;
* ``X-Forwarded-For`` is set, and the client's Host kept;
* backends take turns;
* nothing touches a disk;
* limits leave room for the clients that there are;
* an idle client is left alone for at least as long as nginx leaves it, 75 s.

With a certificate an edge serves TLS on its port, and nothing in the clear.
"""

from __future__ import annotations

import json
from pathlib import Path

import attrs

from .peers import DESCRIPTORS, HERE, Aluvia, Setting, found, output_of, written
from .processes import LOOPBACK, free_port
from .sites import HOST

KEPT = 1024  # idle connections to backends, more than any case has clients that ask
IDLE_SECONDS = 75
BACKLOG = 4096
CLIENTS = 12_000


def _addresses(setting: Setting) -> list[str]:
    return [f"{LOOPBACK}:{port}" for port in setting.site.backends]


@attrs.frozen
class Nginx:
    """nginx, a master and one worker.

    Bodies are buffered in memory as by default, but never in files: a response that the client
    does not take at once waits in the backend's socket (``proxy_max_temp_file_size 0``), and an
    upload, which nginx otherwise writes to a file as a whole, goes on as it comes
    (``proxy_request_buffering off``). Both are in its favour, and change nothing for small ones.
    """

    name: str = "nginx"
    through_parent: bool = False

    def missing(self) -> str | None:
        """Debian's package."""
        return None if found("nginx") else "nginx is not installed"

    def version(self) -> str:
        """The number of its line."""
        return output_of(found("nginx") or "nginx", "-v").strip().rpartition("/")[2]

    def command(self, setting: Setting) -> list[str]:
        """A server and an upstream for each route."""
        folder, pair = setting.folder, setting.site.pair
        lines = [
            "daemon off;",
            "worker_processes 1;",
            f"worker_rlimit_nofile {DESCRIPTORS};",
            f"pid {folder}/nginx.pid;",
            f"events {{ worker_connections {DESCRIPTORS}; }}",
            "http {",
            "access_log off;",
            *(
                f"{kind}_temp_path {folder}/{kind};"
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            ),
            "server_names_hash_max_size 8192;",
            f"keepalive_timeout {IDLE_SECONDS}s;",
            "client_max_body_size 0;",
            "proxy_http_version 1.1;",
            'proxy_set_header Connection "";',
            "proxy_set_header Host $host;",
            "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
            "proxy_max_temp_file_size 0;",
            "proxy_request_buffering off;",
        ]
        if pair:
            lines += [
                f"ssl_certificate {pair.certificate};",
                f"ssl_certificate_key {pair.key};",
                "ssl_protocols TLSv1.2 TLSv1.3;",
            ]
        for number, host in enumerate(setting.site.hosts):
            options = "" if number else f" backlog={BACKLOG}"  # of the socket, said once
            lines += [
                f"upstream origin{number} {{",
                *(f"server {address};" for address in _addresses(setting)),
                f"keepalive {KEPT};",
                "}",
                "server {",
                f"listen {LOOPBACK}:{setting.port}{' ssl' if pair else ''}{options};",
                f"server_name {host};",
                f"location / {{ proxy_pass http://origin{number}; }}",
                "}",
            ]
        configuration = written(folder / "nginx.conf", [*lines, "}"])
        program = found("nginx") or "nginx"
        return [program, "-p", str(folder), "-c", configuration, "-e", f"{folder}/errors.log"]


@attrs.frozen
class HAProxy:
    """HAProxy, one thread; ``splice`` lets it move bodies in the kernel where it sees fit."""

    name: str = "haproxy"
    splice: bool = False
    through_parent: bool = False

    def missing(self) -> str | None:
        """Debian's package."""
        return None if found("haproxy") else "haproxy is not installed"

    def version(self) -> str:
        """The third word of its first line."""
        return output_of(found("haproxy") or "haproxy", "-v").split()[2]

    def command(self, setting: Setting) -> list[str]:
        """One frontend and one backend: it has a single route here."""
        pair = setting.site.pair
        tls = ""
        if pair:
            both = pair.certificate.read_text() + pair.key.read_text()
            tls = f" ssl crt {written(setting.folder / 'pair.pem', [both])} alpn h2,http/1.1"
        lines = [
            "global",
            "nbthread 1",
            f"maxconn {CLIENTS}",
            "no strict-limits",  # it wants two descriptors for each of them, and gets what there is
            "defaults",
            "mode http",
            "http-reuse always",
            "option forwardfor",
            *(["option splice-auto"] if self.splice else []),
            "timeout connect 5s",
            "timeout client 300s",
            "timeout server 300s",
            f"timeout http-keep-alive {IDLE_SECONDS}s",
            "frontend edge",
            f"bind {LOOPBACK}:{setting.port}{tls}",
            "default_backend origin",
            "backend origin",
            "balance roundrobin",
            *(f"server s{n} {address}" for n, address in enumerate(_addresses(setting))),
        ]
        configuration = written(setting.folder / "haproxy.cfg", lines)
        return [found("haproxy") or "haproxy", "-db", "-f", configuration]


@attrs.frozen
class Caddy:
    """Caddy, with one processor for its goroutines (``GOMAXPROCS=1``).

    It keeps 32 idle connections to a backend unless told otherwise.
    """

    name: str = "caddy"
    through_parent: bool = False

    def missing(self) -> str | None:
        """Debian's package."""
        return None if found("caddy") else "caddy is not installed"

    def version(self) -> str:
        """As it gives it itself."""
        return output_of(found("caddy") or "caddy", "version").split()[0]

    def command(self, setting: Setting) -> list[str]:
        """Whatever it keeps goes to the setting's folder; HTTP/3 stays on where it has TLS."""
        pair = setting.site.pair
        lines = [
            "{",
            "admin off",
            "auto_https off",
            "}",
            f"{'https' if pair else 'http'}://{HOST}:{setting.port} {{",
            f"bind {LOOPBACK}",
            *([f"tls {pair.certificate} {pair.key}"] if pair else []),
            f"reverse_proxy {' '.join(_addresses(setting))} {{",
            "lb_policy round_robin",
            "transport http {",
            f"keepalive_idle_conns_per_host {KEPT}",
            "}",
            "}",
            "}",
        ]
        configuration = written(setting.folder / "Caddyfile", lines)
        environment = {
            "GOMAXPROCS": "1",
            "XDG_DATA_HOME": str(setting.folder),
            "XDG_CONFIG_HOME": str(setting.folder),
        }
        words = ["env", *(f"{name}={value}" for name, value in environment.items())]
        words += [found("caddy") or "caddy", "run", "--adapter", "caddyfile"]
        return [*words, "--config", configuration]


@attrs.frozen
class HttpProxy:
    """http-proxy, on Node, with an agent that keeps connections."""

    name: str = "http-proxy"
    through_parent: bool = False

    @property
    def _package(self) -> Path:
        return HERE / "node_modules" / "http-proxy"

    def missing(self) -> str | None:
        """An npm package, see package.json."""
        if not found("node"):
            return "node is not installed"
        if not self._package.exists():
            return "http-proxy is not installed: run npm install in benchmarks/"
        return None

    def version(self) -> str:
        """Of the package, and of Node."""
        package = self._package / "package.json"
        number = output_of("node", "-p", f"require({str(package)!r}).version").strip()
        return f"{number} (Node {output_of('node', '--version').strip()})"

    def command(self, setting: Setting) -> list[str]:
        """A script of a few lines, edge.js."""
        options = {
            "port": setting.port,
            "backends": [f"http://{address}" for address in _addresses(setting)],
            "kept": KEPT,
            "idleSeconds": IDLE_SECONDS,
            "backlog": BACKLOG,
        }
        if setting.site.pair:
            options["certificate"] = str(setting.site.pair.certificate)
            options["key"] = str(setting.site.pair.key)
        return ["node", str(HERE / "edge.js"), json.dumps(options)]


@attrs.frozen
class AluviaEdge(Aluvia):
    """aluvia's edge by its twistd, with every default but the ports and a store in memory.

    Two limits are raised, as they are for the others: the cases have more clients than a route
    serves at once by default (``reqActiveLength``), and more than may come from one address.

    :ivar logging: whether it writes its access log, which is off by default, to a file.
    """

    name: str = "aluvia-edge"
    logging: bool = False
    through_parent: bool = False

    def missing(self) -> str | None:
        """Whether its twistd knows the command."""
        if not self.twistd.exists():
            return f"there is no {self.twistd}"
        if "aluvia-edge" not in output_of(str(self.twistd), "--help").split():
            return f"{self.twistd} does not know aluvia-edge"
        return None

    def command(self, setting: Setting) -> list[str]:
        """Routes come from a file, as does the certificate."""
        site = setting.site
        backends = [{"hostname": LOOPBACK, "port": port} for port in site.backends]
        routes: dict[str, object] = {
            "routes": [
                {"id": f"r{n}", "vHost": host, "backends": backends, "reqActiveLength": 10_000}
                for n, host in enumerate(site.hosts)
            ]
        }
        if site.pair:
            cert, key = site.pair.certificate.read_text(), site.pair.key.read_text()
            routes["certificates"] = [{"domain": HOST, "cert": cert, "key": key}]
        plain, tls = setting.port, free_port()
        if site.pair:
            plain, tls = tls, plain
        options = {
            "--http": f"{LOOPBACK}:{plain}",
            "--https": f"{LOOPBACK}:{tls}",
            "--api": f"{LOOPBACK}:{free_port()}",
            "--db": ":memory:",
            "--max-connections-per-address": str(CLIENTS),
            "--routes": written(setting.folder / "routes.json", [json.dumps(routes)]),
            "--port-file": str(setting.folder / "ports"),
        }
        if self.logging:
            options["--access-log"] = str(setting.folder / "access.log")
        words = [word for option in options.items() for word in option]
        return [str(self.twistd), "-n", "--pidfile=", "aluvia-edge", *words]


Edge = Nginx | HAProxy | Caddy | HttpProxy | AluviaEdge


def all_edges(twistd: Path, before: Path | None = None) -> list[Edge]:
    """Every edge that there is; ``before`` is the twistd of an earlier aluvia."""
    earlier = [AluviaEdge(before, "aluvia-edge-before")] if before else []
    return [
        Nginx(),
        HAProxy(),
        HAProxy("haproxy-splice", splice=True),
        Caddy(),
        HttpProxy(),
        *earlier,
        AluviaEdge(twistd, "aluvia-edge-logging", logging=True),
        AluviaEdge(twistd),
    ]
