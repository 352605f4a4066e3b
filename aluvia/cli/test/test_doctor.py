"""Tests for :mod:`aluvia.cli.doctor` and :mod:`aluvia.cli.examination`."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import typing

import trustme
from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from aluvia.cli.doctor import BAD, OK, SKIPPED, WARNING, Check, of_ports
from aluvia.cli.examination import Examination
from aluvia.cli.test.test_ask import PAGES, FakeAdmin
from aluvia.cli.test.test_main import ALUVIA
from aluvia.client.load import load_settings
from aluvia.client.options import OPTIONS
from aluvia.client.settings import Settings
from aluvia.testing.background import Fakes
from aluvia.testing.control_plane import FakeControlPlane, always
from aluvia.testing.faults import Accepting, Read, Send
from aluvia.testing.fixtures import AluviaFixtures

NAME, PASSWORD, TOKEN = "canary-name", "canary:pass", "canary-token"


def settings_of(flags: typing.Mapping[str, object]) -> Settings:
    """Settings by the names of options, in either spelling."""
    return load_settings({name.replace("_", "-"): value for name, value in flags.items()}, {})


class ExaminationTests(AluviaFixtures, TestCase):
    """What is looked at outside of this machine."""

    timeout = 60

    def setUp(self) -> None:
        """A control plane and a gateway that are good."""
        self.plane = self.fake_control_plane(
            TOKEN, username=NAME, password=PASSWORD, rules=["*.example.com"]
        )
        self.gateway = self.fake_gateway(NAME, PASSWORD)

    async def examine(self, **flags: object) -> dict[str, Check]:
        """All checks, with these options besides the good ones."""
        given: dict[str, object] = {"gateway-host": "127.0.0.1", "connect-timeout": "5"}
        if "gateway_url" not in flags:
            given |= {
                "token": TOKEN,
                "api-base-url": self.plane.base_url,
                "gateway-port": str(self.gateway.port),
            }
        settings = settings_of({**given, **flags})
        return self.told(await Examination(settings, reactor).checks())

    def told(self, checks: typing.Sequence[Check]) -> dict[str, Check]:
        """The checks by their names; none shows a secret."""
        for check in checks:
            for secret in (NAME, PASSWORD, TOKEN):
                self.assertNotIn(secret, check.text + check.advice)
            self.assertEqual(check.result == BAD, check.status != 0, check)
            self.assertTrue(check.advice or check.result in (OK, SKIPPED), check)
        return {check.name: check for check in checks}

    def assert_bad(
        self, checks: typing.Mapping[str, Check], name: str, status: int, named: str
    ) -> None:
        """This one alone is bad, and says *named*; those behind it were not looked at."""
        check = checks[name]
        self.assertEqual((check.result, check.status), (BAD, status), check)
        self.assertIn(named, check.text)
        for other in checks.values():
            self.assertTrue(other is check or other.result in (OK, SKIPPED), other)
        names = list(checks)
        for later in names[names.index(name) + 1 :]:
            self.assertEqual(checks[later].result, SKIPPED)

    async def test_good(self) -> None:
        """All is well; the gateway was asked for nothing that is anywhere."""
        checks = await self.examine()
        self.assertEqual(list(checks), ["control plane", "token", "configuration", "gateway"])
        self.assertEqual({check.result for check in checks.values()}, {OK})
        self.assertIn("1 rules", checks["configuration"].text)
        [asked] = self.gateway.asked
        self.assertEqual((asked.method, asked.target), (b"CONNECT", b"example.invalid:443"))
        self.assertTrue(asked.authorized)
        self.assertEqual([visit.method for visit in self.plane.asked], [b"GET"])

    async def test_connection(self) -> None:
        """With ``--connection`` that is what is asked for."""
        checks = await self.examine(connection="c1")
        self.assertEqual(checks["configuration"].result, OK)
        self.assertEqual(self.plane.asked[0].path, "/v1/account/connections/c1")

    async def test_static(self) -> None:
        """With a gateway's URL there is only the gateway."""
        url = f"http://{NAME}:canary%3Apass@127.0.0.1:{self.gateway.port}"
        checks = await self.examine(gateway_url=url)
        self.assertEqual({name: each.result for name, each in checks.items()}, {"gateway": OK})
        self.gateway.password = "other"
        checks = await self.examine(gateway_url=url)
        self.assert_bad(checks, "gateway", 77, "407")
        self.assertIn("--gateway-url", checks["gateway"].advice)

    async def test_control_plane_away(self) -> None:
        """Down; no such name; not in HTTP."""
        self.plane.go_down()
        self.assert_bad(await self.examine(), "control plane", 69, "refused")
        checks = await self.examine(api_base_url="http://nothing.invalid/v1")
        self.assertEqual(checks["control plane"].status, 69)
        self.assertIn("name", checks["control plane"].advice)
        peer = self.fault_peer([Read(), Send(b"SSH-2.0-x\r\n\r\n")])
        checks = await self.examine(api_base_url=f"http://127.0.0.1:{peer.port}/v1")
        self.assert_bad(checks, "control plane", 69, "HTTP")

    async def test_control_plane_silent(self) -> None:
        """A connect that hangs ends with the connect timeout."""
        self.plane.peer.set_accepting(Accepting.IGNORE)
        checks = await self.examine(connect_timeout="0.2")
        self.assert_bad(checks, "control plane", 69, "in time")

    async def test_certificates(self) -> None:
        """A certificate that is not trusted, and one that is."""
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        secure = FakeControlPlane(
            typing.cast(typing.Any, reactor), TOKEN, username=NAME, password=PASSWORD,
            context=context,
        )  # fmt: skip
        self.addCleanup(secure.stop)
        checks = await self.examine(api_base_url=secure.base_url)
        self.assert_bad(checks, "control plane", 69, "certificate")
        self.assertIn("--gateway-ca", checks["control plane"].advice)
        self.assertEqual(len(secure.asked), 0)
        name = self.mktemp()
        authority.cert_pem.write_to_path(name)
        checks = await self.examine(api_base_url=secure.base_url, gateway_ca=name)
        self.assertEqual(checks["gateway"].result, OK)
        # The control plane speaks TLS, and the URL does not say so.
        plain = secure.base_url.replace("https", "http")
        checks = await self.examine(api_base_url=plain)
        self.assert_bad(checks, "control plane", 69, "")

    async def test_token_refused(self) -> None:
        """401 and 403."""
        for status in (401, 403):
            self.plane.lie = always(status)
            self.assert_bad(await self.examine(), "token", 77, str(status))

    async def test_no_configuration(self) -> None:
        """Another status, HTML, fields that are missing; what the API quotes is not shown."""
        quoted = json.dumps({"error": {"message": f"{TOKEN}: no such thing"}}).encode()
        for lie, named in (
            (always(404, [], quoted), "404: [redacted]: no such thing"),
            (always(500), "500"),
            (always(200, [], b"<html>"), "JSON"),
            (always(200, [], b'{"proxy_username": "a"}'), "proxy_password"),
            (always(200, [], b'{"proxy_username": "a:b", "proxy_password": "c"}'), "colon"),
        ):
            self.plane.lie = lie
            checks = await self.examine()
            self.assertEqual(checks["configuration"].status, 69)
            self.assertIn(named, checks["configuration"].text)
            self.assertEqual(checks["gateway"].result, SKIPPED)

    async def test_lint(self) -> None:
        """Rules that do not do what they seem to say are shown, some of them; it is no failure."""
        self.plane.change(rules=["*.example.com", *(f"https://{n}.example" for n in range(9))])
        checks = await self.examine()
        self.assertEqual(checks["configuration"].result, WARNING)
        lines = checks["configuration"].advice.splitlines()
        self.assertEqual(len(lines), 6)
        self.assertIn("https://0.example", lines[0])
        self.assertEqual(lines[-1], "And 4 more.")

    async def test_gateway_away(self) -> None:
        """Nobody there, and one that wants TLS or says what is no HTTP."""
        self.gateway.peer.set_accepting(Accepting.REFUSE)
        self.assert_bad(await self.examine(), "gateway", 69, "refused")
        peer = self.fault_peer([Read(), Send(b"\x15\x03\x01\x00\x02\x02\x46")])
        self.assert_bad(await self.examine(gateway_port=str(peer.port)), "gateway", 69, "used")
        checks = await self.examine(gateway_port=str(peer.port), gateway_protocol="https")
        self.assert_bad(checks, "gateway", 69, "TLS")

    async def test_gateway_refuses(self) -> None:
        """407: the credentials are for another gateway."""
        self.gateway.password = "other"
        checks = await self.examine()
        self.assert_bad(checks, "gateway", 77, "407")
        self.assertIn("--gateway-host", checks["gateway"].advice)

    async def test_gateway_answers(self) -> None:
        """
        What a proxy says of a name that is nowhere is good; what a web server says is odd, and what
        may be a refusal of the account too.
        """
        for status, result, named in (
            (200, OK, "takes the credentials"),
            (502, OK, "takes the credentials"),
            (503, OK, "takes the credentials"),
            (504, OK, "takes the credentials"),
            (401, WARNING, "answers 401: it may refuse this account, or only the name"),
            (403, WARNING, "answers 403: it may refuse this account, or only the name"),
            (405, WARNING, "answers 405 to a CONNECT"),
        ):
            answer = b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status
            peer = self.fault_peer([Read(until=b"\r\n\r\n"), Send(answer)])
            checks = await self.examine(gateway_port=str(peer.port))
            self.assertEqual(checks["gateway"].result, result, checks["gateway"])
            self.assertIn(named, checks["gateway"].text)


class PortTests(SynchronousTestCase):
    """The ports of this machine."""

    def ports(self, **flags: object) -> tuple[Check, Check]:
        """Both checks."""
        given = {"gateway_url": "http://127.0.0.1:9", "port": "0", "admin_port": "none"}
        proxy, admin = of_ports(settings_of({**given, **flags}))
        return proxy, admin

    def taken(self) -> int:
        """A port that somebody listens on."""
        sock = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(sock.close)
        return int(sock.getsockname()[1])

    def test_free(self) -> None:
        """Free, any, and none."""
        with socket.create_server(("127.0.0.1", 0)) as sock:
            free = str(sock.getsockname()[1])
        for flags in ({}, {"port": free}, {"admin_port": free}, {"admin_port": "0"}):
            self.assertEqual({check.result for check in self.ports(**flags)}, {OK}, flags)

    def test_taken(self) -> None:
        """By something else: 73, and the option that chooses another."""
        taken = str(self.taken())
        proxy, admin = self.ports(port=taken)
        self.assertEqual((proxy.result, proxy.status, admin.result), (BAD, 73, OK))
        self.assertIn("--port", proxy.advice)
        server = FakeAdmin({"/": (200, "a site")})
        self.addCleanup(server.stop)
        proxy, admin = self.ports(admin_port=str(server.server_port))
        self.assertEqual((proxy.result, admin.result, admin.status), (OK, BAD, 73))
        self.assertIn("--admin-port", admin.advice)

    def test_ours(self) -> None:
        """By the aluvia that runs already: good, though only those that are its own."""
        taken = self.taken()
        status, data = PAGES["/readyz"]
        ready = {**typing.cast(dict[str, object], data), "url": f"http://127.0.0.1:{taken}"}
        server = FakeAdmin({"/readyz": (status, ready)})
        self.addCleanup(server.stop)
        checks = self.ports(port=str(taken), admin_port=str(server.server_port))
        self.assertEqual([check.result for check in checks], [OK, OK])
        self.assertIn("runs already", checks[0].text)
        proxy, admin = self.ports(port=str(self.taken()), admin_port=str(server.server_port))
        self.assertEqual([proxy.result, admin.result], [BAD, OK])

    def test_not_of_this_machine(self) -> None:
        """An address that is another machine's."""
        users = self.mktemp()
        with open(users, "w") as file:
            file.write("a:b\n")
        proxy, _ = self.ports(listen="192.0.2.1", port="1", local_auth_file=users)
        self.assertEqual((proxy.result, proxy.status), (BAD, 73))
        self.assertIn("--listen", proxy.advice)


class DoctorTests(SynchronousTestCase):
    """The whole command, in a process of its own."""

    def doctor(self, *options: str, **environ: str) -> tuple[int, str]:
        """Its status and what it says; never a secret, a traceback, or anything on stderr."""
        ports = ("--port", "0", "--admin-port", "none")
        child = subprocess.run(
            [*ALUVIA, "doctor", *ports, *options],
            env={"PATH": os.environ["PATH"], **_path(), **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.assertEqual(child.stderr, "")
        for secret in (NAME, PASSWORD, TOKEN):
            self.assertNotIn(secret, child.stdout)
        return child.returncode, child.stdout

    def test_good_and_bad(self) -> None:
        """0 for all good, and the first bad one's status; the same in JSON."""
        with Fakes() as fakes:
            plane = fakes.control_plane(TOKEN, username=NAME, password=PASSWORD, rules=["*"])
            gateway = fakes.gateway(NAME, PASSWORD)
            options = (
                *("--api-base-url", plane.base_url, "--gateway-host", "127.0.0.1"),
                *("--gateway-port", str(gateway.port)),
            )
            status, said = self.doctor(*options, ALUVIA_TOKEN=TOKEN)
            self.assertEqual(status, 0, said)
            self.assertEqual([line.split()[0] for line in said.splitlines()], ["ok"] * 7, said)
            gateway.password = "other"
            status, said = self.doctor(*options, ALUVIA_TOKEN=TOKEN)
            self.assertEqual(status, 77, said)
            self.assertRegex(said, r"(?m)^BAD +gateway +\S.*407")
            gateway.username, gateway.password = NAME, PASSWORD
            with tempfile.NamedTemporaryFile("w") as file:
                file.write(f"{TOKEN}-wrong\n")
                file.flush()
                status, said = self.doctor(*options, "--token-file", file.name, "--json")
            self.assertEqual(status, 77, said)
            data = json.loads(said)
            self.assertEqual(data["status"], 77)
            results = {check["name"]: check["result"] for check in data["checks"]}
            self.assertEqual(
                results,
                {
                    "settings": "ok", "control plane": "ok", "token": "bad",
                    "configuration": "skipped", "gateway": "skipped", "proxy port": "ok",
                    "admin port": "ok",
                },
            )  # fmt: skip
            [bad] = [check for check in data["checks"] if check["result"] == "bad"]
            self.assertTrue(bad["advice"])

    def test_a_beginning_that_fails(self) -> None:
        """What is raised before anything is waited for ends the reactor as well, and is raised."""
        program = (
            "from aluvia.cli.doctor import _run\n"
            "def begin(reactor): raise OSError('what a pity')\n"
            "try: _run(begin)\n"
            "except OSError as error: print(error)\n"
        )
        child = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
        )
        self.assertEqual((child.stdout, child.stderr), ("what a pity\n", ""))

    def test_help(self) -> None:
        """It has every option of ``twistd aluvia``."""
        status, said = self.doctor("--help")
        self.assertEqual(status, 0)
        for option in OPTIONS:
            self.assertIn(option.flag, said)

    def test_settings(self) -> None:
        """No token, a wrong option's value, a file that is none: as ``twistd aluvia`` ends."""
        status, said = self.doctor()
        self.assertEqual(status, 64)
        self.assertIn("--token-file", said)
        self.assertEqual(self.doctor("--poll-interval", "soon", ALUVIA_TOKEN=TOKEN)[0], 64)
        self.assertEqual(self.doctor("--config", "/nonexistent.toml")[0], 78)


def _path() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
