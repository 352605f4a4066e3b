"""The how-tos of the edge, as somebody types them, or copies them into a program."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import signal
import socket
import sys
import textwrap
import typing

from aluvia.testing.origin import FakeOrigin, Visit
from tests.aluvia_process import Child, reactor, until
from tests.checkout import CHECKOUT
from tests.newcomer import SECONDS_TO_START, NewcomerCase, need_openssl
from tests.readme import commands

HOWTO = CHECKOUT / "docs" / "howto"

CERTIFICATE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "
    "-subj /CN=shop.example.com -addext subjectAltName=DNS:shop.example.com "
    "-keyout {0}/privkey.pem -out {0}/fullchain.pem 2> /dev/null"
)

TOKEN = 'header = \\"Authorization: Bearer $(cat edge.db.api-token)\\"'


class EdgePageCase(NewcomerCase):
    """
    A how-to, in a folder of its own, with the commands of this environment.

    :ivar ports: of the edge that runs.
    """

    timeout = 120.0

    def setUp(self) -> None:
        """An empty folder in place of a checkout."""
        need_openssl()
        self.checkout = pathlib.Path(self.mktemp()).resolve()
        self.checkout.mkdir()
        self.ports: dict[str, int] = {}

    def start(self, line: str) -> Child:
        """Start a line, with the programs that are beside this Python."""
        programs = shlex.quote(str(pathlib.Path(sys.executable).parent))
        return super().start(f"export PATH={programs}:$PATH; {line}")

    def lines(self, name: str) -> typing.Iterator[str]:
        """What a page says to type, in its order."""
        return iter(commands(HOWTO / f"{name}.rst"))

    def block(self, name: str, language: str, part: str) -> str:
        """The one block of a page in this language that holds *part*."""
        text = (HOWTO / f"{name}.rst").read_text(encoding="utf-8")
        pattern = rf"^\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)"
        [found] = [each for each in re.findall(pattern, text, re.MULTILINE) if part in each]
        return textwrap.dedent(found)

    def write(self, name: str, text: str) -> pathlib.Path:
        """Write a file beside the edge's."""
        path = self.checkout / name
        path.write_text(text, encoding="utf-8")
        return path

    async def run_edge(self, line: str = "twistd -n --pidfile= aluvia-edge") -> Child:
        """Start an edge, and write what curl reads its token from."""
        line = line.replace("0.0.0.0:8080", "127.0.0.1:0").replace("0.0.0.0:8443", "127.0.0.1:0")
        edge, self.ports = await self.edge(f"{line} --db edge.db")
        await super().finish(f'echo "{TOKEN}" > api.curl')
        return edge

    async def type(self, line: str, **others: int) -> str:
        """
        Run a line to its good end, with the ports that the edge has.

        :param others: further ports, by how the page calls them: ``_8010``.
        """
        known = {"8080": "http", "8443": "https", "8901": "api"}
        ports = {port: self.ports[name] for port, name in known.items() if name in self.ports}
        ports |= {port.lstrip("_"): other for port, other in others.items()}
        for port, other in ports.items():
            line = re.sub(rf"\b{port}\b", str(other), line)
        return await self.finish(line)

    def backend(self, **routes: typing.Any) -> FakeOrigin:
        """Start a backend that says what it was asked."""
        site = FakeOrigin(reactor)
        site.routes.update({f"/{path}": route for path, route in routes.items()})
        self.addCleanup(site.stop)
        return site

    async def api(self, method: str, path: str, document: object = None) -> typing.Any:
        """Ask the API what the page does not."""
        line = (
            f"curl -fsS -K api.curl -X {method} http://127.0.0.1:{self.ports['api']}/api/v1{path}"
        )
        if document is not None:
            line += f" --json {shlex.quote(json.dumps(document))}"
        answer = await self.finish(line)
        return json.loads(answer) if answer else None

    async def shop(self, *sites: FakeOrigin, **fields: object) -> None:
        """Make the route that the pages talk about."""
        names = ("one", "two")
        backends = [
            {"id": name, "hostname": "127.0.0.1", "port": site.port}
            for name, site in zip(names, sites, strict=False)
        ]
        route = {"id": "shop", "vHost": "shop.localhost", "backends": backends, **fields}
        await self.api("POST", "/routes", route)


class CertificateTests(EdgePageCase):
    """``edge-certificates``."""

    async def serial(self, line: str) -> str:
        """What a client is shown."""
        said = await self.type(line)
        self.assertRegex(said, "^serial=[0-9A-F]+\n$")
        return said.strip().partition("=")[2].lower()

    async def test_page(self) -> None:
        """certbot's directory, its hook, its challenge, and an upload."""
        lines = self.lines("edge-certificates")
        target = self.checkout / "letsencrypt/live/shop.example.com"
        target.mkdir(parents=True)
        await self.finish(CERTIFICATE.format(target))
        line = next(lines).replace("/etc/letsencrypt", str(self.checkout / "letsencrypt"))
        await self.run_edge(f"{line} --http 127.0.0.1:0 --https 127.0.0.1:0")

        challenge, certbot, make, upload, look, ask = lines
        site, acme = self.backend(), self.backend()
        await self.shop(site, vHost="shop.example.com", autoHttps=True)
        await self.type(challenge, _8888=acme.port)
        self.assertIn("--standalone --http-01-port 8888", certbot)
        resolve = f"--resolve shop.example.com:{self.ports['http']}:127.0.0.1"
        url = f"http://shop.example.com:{self.ports['http']}"
        said = await self.finish(f"curl -sS {resolve} {url}/.well-known/acme-challenge/abc")
        self.assertEqual(json.loads(said)["target"], "/.well-known/acme-challenge/abc")
        self.assertEqual((len(acme.visits), len(site.visits)), (1, 0))
        said = await self.finish(f"curl -sSI {resolve} {url}/")
        self.assertTrue(said.startswith("HTTP/1.1 308 "), said)

        by_file = await self.serial(look)
        shown = []
        for _ in range(2):
            await self.finish(CERTIFICATE.format("."))
            await self.type(make)
            uploaded = json.loads(await self.type(upload))
            self.assertNotIn("key", uploaded)
            shown.append(await self.serial(look))
            self.assertEqual(json.loads(await self.type(ask))["serial"], shown[-1].lstrip("0"))
        self.assertEqual(len({by_file, *shown}), 3)

    async def test_hook(self) -> None:
        """What certbot runs copies both files, for the group alone."""
        script = self.block("edge-certificates", "sh", "RENEWED_LINEAGE")
        script = script.replace("/etc/aluvia-edge", str(self.checkout))
        # There is no such group here.
        script = script.replace("-g aluvia-edge ", "")
        lineage = self.checkout / "live/shop.example.com"
        lineage.mkdir(parents=True)
        await self.finish(CERTIFICATE.format(lineage))
        self.write("hook", script)
        for _ in range(2):
            await self.finish(f"RENEWED_LINEAGE={lineage} sh hook")
        copies = self.checkout / "certificates/shop.example.com"
        names = sorted(path.name for path in copies.iterdir())
        self.assertEqual(names, ["fullchain.pem", "privkey.pem"])
        for name in names:
            self.assertEqual((copies / name).read_bytes(), (lineage / name).read_bytes())
            self.assertEqual((copies / name).stat().st_mode & 0o777, 0o640)


class AuthenticationTests(EdgePageCase):
    """``edge-authentication``."""

    def seen(self, site: FakeOrigin, name: bytes) -> bytes | None:
        """A field of the last request that came to a backend."""
        return site.visits[-1].header(name)

    async def test_page(self) -> None:
        """Passwords, tokens, a URL, and a callable."""
        name = "edge-authentication"
        self.write("shop_members.py", self.block(name, "python", "async def judge"))
        self.install_entry_point(self.block(name, "toml", "entry-points"))
        await self.run_edge("env PYTHONPATH=.:$PYTHONPATH twistd -n --pidfile= aluvia-edge")
        site = self.backend()
        await self.shop(site)
        lines = self.lines(name)

        self.assertRegex(await self.type(next(lines)), r"^\$scrypt\$ln=14,r=8,p=1\$")
        made = json.loads(await self.type(next(lines)))
        self.assertEqual(made["users"], [{"name": "alice"}])
        await self.type(next(lines))
        self.assertEqual(await self.type(next(lines)), "401\n")
        self.assertEqual(await self.type(next(lines)), "200\n")
        self.assertEqual(self.seen(site, b"x-forwarded-user"), b"alice")
        self.assertIsNone(self.seen(site, b"authorization"))

        for _ in range(3):
            await self.type(next(lines))
        self.assertEqual(await self.type(next(lines)), "200\n")
        self.assertEqual(self.seen(site, b"x-forwarded-user"), b"robot")

        port = free_port()
        program = self.block(name, "python", "class Check").replace("8010", str(port))
        self.write("hook.py", program)
        hook = self.start("exec python hook.py")
        await until(lambda: hook.ended or _accepts(port), SECONDS_TO_START, "the hook serves")
        for _ in range(2):
            await self.type(next(lines), _8010=port)
        self.assertEqual(await self.type(next(lines)), "302 https://login.example.com/\n")
        self.assertEqual(await self.type(next(lines)), "200\n")
        self.assertEqual(self.seen(site, b"x-member"), b"alice")

        for _ in range(2):
            await self.type(next(lines))
        self.assertEqual(await self.type(next(lines)), "Who is there?\n")
        self.assertEqual(await self.type(next(lines)), "200\n")
        self.assertEqual(self.seen(site, b"x-member"), b"alice")
        self.assertEqual(list(lines), [])

    def install_entry_point(self, project: str) -> None:
        """What ``pip install`` would make of the page's ``pyproject.toml``."""
        found = re.search(r'entry-points\."([\w.]+)"\]\n(\w+) = "([\w:]+)"', project)
        assert found is not None, project
        folder = self.checkout / "shop_members-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-members\nVersion: 1\n")
        (folder / "entry_points.txt").write_text(f"[{found[1]}]\n{found[2]} = {found[3]}\n")


class BalancerTests(EdgePageCase):
    """``edge-behind-a-balancer``; its nginx and its HAProxy are in ``tests/peers``."""

    async def test_page(self) -> None:
        """Both lines start an edge that believes whom they say."""
        fields, header, curl = self.lines("edge-behind-a-balancer")
        site = self.backend()
        edge = await self.run_edge(f"{fields.replace('10.0.0.0/8', '127.0.0.0/8')} --https none")
        await self.shop(site)
        line = "curl -sS -o /dev/null -H 'X-Forwarded-For: 9.9.9.9' http://shop.localhost:8080/"
        await self.type(line)
        self.assertEqual(site.visits[-1].header(b"x-real-ip"), b"9.9.9.9")
        edge.send_signal(signal.SIGTERM)
        await edge.wait()

        await self.run_edge(f"{header} --certificates .")
        await self.type(curl)
        self.assertEqual(site.visits[-1].header(b"x-real-ip"), b"127.0.0.1")
        # One that does not begin with the header is reset.
        await self.type(f"! {line}")


class DeployTests(EdgePageCase):
    """``edge-deploys``."""

    async def test_one_after_the_other(self) -> None:
        """The script restarts one backend at a time, and none that is asked something."""
        await self.run_edge()
        one, two = self.backend(), self.backend()
        await self.shop(one, two)
        script = self.block("edge-deploys", "sh", "/drain")
        self.write("deploy.sh", script.replace("8901", str(self.ports["api"])))
        url = f"http://127.0.0.1:{self.ports['api']}/api/v1/routes/shop/backends"
        self.write("restart", f'#!/bin/sh\ncurl -sS -K api.curl {url} >> seen; echo "$1" >> done\n')
        await self.finish("chmod +x restart && sh deploy.sh")
        self.assertEqual((self.checkout / "done").read_text(), "one\ntwo\n")
        seen = (self.checkout / "seen").read_text().splitlines()
        states = [{each["id"]: each["admin"] for each in json.loads(line)} for line in seen]
        self.assertEqual(
            states, [{"one": "drain", "two": "ready"}, {"one": "ready", "two": "drain"}]
        )
        backends = await self.api("GET", "/routes/shop/backends")
        self.assertEqual([each["admin"] for each in backends], ["ready", "ready"])

    async def test_lines(self) -> None:
        """Another list of backends, a condition, and a rehearsal."""
        await self.run_edge()
        await self.shop(self.backend())
        side_by_side, see, change, rehearse = self.lines("edge-deploys")
        changed = json.loads(await self.type(side_by_side))
        self.assertEqual([each["id"] for each in changed["backends"]], ["blue"])
        await self.type(see)
        self.assertEqual(json.loads(await self.type(change))["reqActiveLength"], 200)
        again = json.loads(await self.type(change))
        self.assertEqual((again["status"], again["current"]["reqActiveLength"]), (412, 200))
        self.assertEqual(json.loads(await self.type(rehearse))["strategy"], "LEAST_LATENCY")
        self.assertEqual((await self.api("GET", "/routes/shop"))["strategy"], "ROUND_ROBIN")


class HealthTests(EdgePageCase):
    """``edge-health``."""

    async def test_page(self) -> None:
        """A check takes a backend out that says it wants no requests, and that is told."""
        asked: list[bytes | None] = []

        async def unwell(visit: Visit) -> None:
            asked.append(visit.header(b"user-agent"))
            await visit.answer(503, [])

        await self.run_edge()
        site = self.backend(health=unwell)
        await self.shop(site, self.backend())
        check, look, listen = self.lines("edge-health")
        events = self.start(f"exec {listen.replace('8901', str(self.ports['api']))}")
        await until(lambda: b"retry:" in events.stdout, SECONDS_TO_START, "it listens")
        await self.type(check.replace('"interval": 5', '"interval": 1'))
        await until(lambda: b"backend.dead" in events.stdout, SECONDS_TO_START, "it is told")
        self.assertIn(b'"backend": "one"', events.stdout)
        self.assertEqual(asked[0], b"aluvia-probe")
        dead = {each["id"]: each["isDead"] for each in json.loads(await self.type(look))}
        self.assertEqual(dead, {"one": True, "two": False})


class BackupTests(EdgePageCase):
    """``edge-backup``."""

    async def test_page(self) -> None:
        """What was there is there again, its keys too; and a copy of the store is one."""
        edge = await self.run_edge()
        site = self.backend()
        await self.shop(site)
        await self.finish(CERTIFICATE.format("."))
        pair = {
            "cert": (self.checkout / "fullchain.pem").read_text(),
            "key": (self.checkout / "privkey.pem").read_text(),
        }
        await self.api("POST", "/certificates", {"domain": "shop.example.com", **pair})
        backup, rehearse, back, copy = self.lines("edge-backup")
        await self.type(backup)
        self.assertEqual((self.checkout / "backup.json").stat().st_mode & 0o777, 0o600)
        before = await self.api("GET", "/config?secrets=1")
        await self.api("DELETE", "/routes/shop")
        await self.api("DELETE", "/certificates/shop.example.com")
        await self.type(rehearse)
        self.assertEqual(await self.api("GET", "/routes"), [])
        await self.type(back)
        self.assertEqual(await self.api("GET", "/config?secrets=1"), before)

        await self.type(copy)
        edge.send_signal(signal.SIGTERM)
        await edge.wait()
        await self.finish("rm edge.db* && mv edge-copy.db edge.db")
        await self.run_edge()
        self.assertEqual(await self.api("GET", "/config?secrets=1"), before)


class PythonTests(EdgePageCase):
    """``edge-python``."""

    async def test_program(self) -> None:
        """The program serves, says who is dead, and ends in order."""
        one, two = self.backend(), free_port()
        text = self.block("edge-python", "python", "react(").replace(
            "http_port=8080", "http_port=0"
        )
        self.write("serve.py", text.replace("8001", str(one.port)).replace("8002", str(two)))
        program = self.start("exec python -u serve.py")
        await until(lambda: b"\n" in program.stdout or program.ended, SECONDS_TO_START, "it")
        url = program.stdout.decode().split()[1]
        for _ in range(2):
            said = await self.finish(f"curl -sS -H 'Host: shop.localhost' {url}")
            self.assertIn('"target": "/"', said)
        await until(lambda: b"dead: two\n" in program.stdout, SECONDS_TO_START, "it is told")
        program.send_signal(signal.SIGINT)
        await program.wait()
        self.assertNotIn("Unhandled", program.output)
        self.assertNotIn("Traceback", program.output)

    async def test_test(self) -> None:
        """The test case passes."""
        self.write("test_with_an_edge.py", self.block("edge-python", "python", "EdgeTests"))
        path = os.pathsep.join(filter(None, [".", os.environ.get("PYTHONPATH")]))
        said = await self.finish(f"PYTHONPATH={path} python -m twisted.trial test_with_an_edge")
        self.assertIn("PASSED (successes=1)", said)

    async def test_settings(self) -> None:
        """The settings can be made like that."""
        self.write("api-token", "0123456789abcdef\n")
        self.write("made.py", self.block("edge-python", "python", "Settings("))
        await self.finish("python made.py")


class FromTypeScriptTests(EdgePageCase):
    """``edge-from-typescript``."""

    async def test_page(self) -> None:
        """The example's object is taken as it is, and is what the Python says."""
        await self.run_edge()
        name = "edge-from-typescript"
        command, post = self.lines(name)
        self.assertIn("aluvia-edge", command)
        text = self.block(name, "json", "service-a")
        self.write("service-a.json", text)
        made = json.loads(await self.type(post))
        self.assertTrue(any("isDead" in note for note in made["notes"]), made)

        names: dict[str, typing.Any] = {}
        program = self.block(name, "python", "async def serve")
        program = program.replace("http_port=80, https_port=443, ", "http_port=0, ")
        exec(compile(program, name, "exec"), names)
        proxy = await names["serve"](reactor)
        try:
            [route] = proxy.router.routes
        finally:
            await proxy.stop()
        shown = await self.api("GET", "/routes/service-a")
        self.assertEqual(route.id, shown["id"])
        self.assertEqual(route.v_host, shown["vHost"])
        self.assertEqual(route.strategy.value, shown["strategy"])
        self.assertEqual(route.auto_https, shown["autoHttps"])
        self.assertEqual(
            [(each.id, each.hostname, each.port) for each in route.backends],
            [(each["id"], each["hostname"], each["port"]) for each in shown["backends"]],
        )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _accepts(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
