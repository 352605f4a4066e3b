"""``twistd -n aluvia``: how it starts, what it says, and with which status it ends."""

from __future__ import annotations

import json
import os
import socket
from functools import partial
from pathlib import Path

from aluvia.testing.origin import FakeOrigin
from tests.aluvia_process import TWISTD, AluviaProcess, clean_environment, until
from tests.support import PASSWORD, USERINFO, Curled, ProxyCase

GATEWAY = f"http://{USERINFO}@127.0.0.1:9"
USAGE, TAKEN, BAD_FILE = 64, 73, 78


class StartCase(ProxyCase):
    """Runs the command until it ends by itself."""

    async def refused(
        self, status: int, *options: str, environment: dict[str, str] | None = None
    ) -> str:
        """It ends with *status*, one clear line on stderr and no traceback; that line."""
        process = self.spawn(
            *options,
            environment=None if environment is None else clean_environment(**environment),
            ports=False,
        )
        self.assertEqual(await process.wait(), status, process.output)
        process.assert_quiet()
        self.assert_no_secret(process.output)
        said = process.stderr.decode().strip().splitlines()
        self.assertTrue(said, process.output)
        return said[-1]

    def file(self, name: str, text: str) -> str:
        """Write a file; its absolute name."""
        path = Path(name).absolute()
        path.write_text(text)
        return str(path)


class UsageTests(StartCase):
    """Status 64: the command line cannot be meant like this."""

    async def test_statuses(self) -> None:
        """Each mistake is status 64 and a line that names what is wrong."""
        for options, named in (
            (["--nonsense"], "nonsense"),
            (["extra"], "extra"),
            (["--port", "http"], "port"),
            (["--port", "65536"], "port"),
            (["--port", "-1"], "port"),
            (["--admin-port", "some"], "admin-port"),
            (["--connect-timeout", "soon"], "connect-timeout"),
            (["--connect-timeout", "0"], "connect-timeout"),
            (["--idle-timeout", "nan"], "idle-timeout"),
            (["--max-connections", "0"], "max-connections"),
            (["--log-level", "loud"], "log-level"),
            (["--log-format", "xml"], "log-format"),
            (["--listen", "here"], "listen"),
            (["--gateway-url", f"ftp://{USERINFO}@127.0.0.1:9"], "gateway-url"),
            (["--gateway-url", f"http://{USERINFO}@127.0.0.1:0"], "gateway-url"),
            (["--gateway-url", f"http://{USERINFO}@"], "gateway-url"),
            (["--gateway-url"], "gateway-url"),
            (["--port"], "port"),
        ):
            self.assertIn(named, await self.refused(USAGE, *options), options)

    async def test_listening_beyond_loopback(self) -> None:
        """Anything but loopback is refused without ``--local-auth-file``."""
        for address in ("0.0.0.0", "::", "192.0.2.1"):
            said = await self.refused(USAGE, "--listen", address)
            self.assertIn("local-auth-file", said)

    async def test_no_gateway(self) -> None:
        """Without a gateway there is nothing to run, and the line says how to name one."""
        ran = await self.run_command(*TWISTD, "-n", "--pidfile=", "aluvia", "--port", "0")
        self.assertEqual(ran.status, USAGE, ran)
        self.assertIn("--gateway-url", ran.stderr)
        self.assertNotIn("Traceback", ran.stderr)

    async def test_environment(self) -> None:
        """A mistake in a variable names the variable."""
        said = await self.refused(USAGE, environment={"ALUVIA_PORT": "http"})
        self.assertIn("ALUVIA_PORT", said)

    async def test_help(self) -> None:
        """``--help`` has every option of the table, and status 0."""
        curled = await self.run_command(*TWISTD, "aluvia", "--help")
        self.assertEqual(curled.status, 0, curled)
        for option in (
            *("gateway-url", "rule", "listen", "port", "admin-port", "port-file"),
            *("local-auth-file", "connect-timeout", "idle-timeout", "drain-timeout"),
            *("max-connections", "allow-link-local", "log-level", "log-format", "check", "config"),
        ):
            self.assertIn(f"--{option}", curled.stdout)


class FileTests(StartCase):
    """Status 78: a configuration file that cannot be used."""

    async def test_bad_files(self) -> None:
        """Each mistake is status 78 and names the file, and the key where there is one."""
        for text, named in (
            ("port = ", ""),
            ("prot = 1", "prot"),
            ('port = "18787"', "port"),
            ("port = 65536", "port"),
            ("[table]\nport = 1", "table"),
            ("rule = 1", "rule"),
            ("rule = [1]", "rule"),
            ("port = true", "port"),
            (f'gateway-url = "ftp://{USERINFO}@a:1"', "gateway-url"),
        ):
            said = await self.refused(BAD_FILE, "--config", self.file("bad.toml", text))
            self.assertIn("bad.toml", said, text)
            self.assertIn(named, said, text)
        said = await self.refused(BAD_FILE, "--config", "/nonexistent/aluvia.toml")
        self.assertIn("/nonexistent/aluvia.toml", said)

    async def test_bad_files_of_other_options(self) -> None:
        """The files that options name: who may use the proxy, and whom to trust."""
        for option, text in (
            ("--local-auth-file", "no colon here\n"),
            ("--local-auth-file", ""),
            ("--gateway-ca", "not a certificate"),
        ):
            name = self.file("bad.txt", text)
            said = await self.refused(BAD_FILE, option, name, "--gateway-url", GATEWAY)
            self.assertIn("bad.txt", said)
            said = await self.refused(BAD_FILE, option, "/nonexistent", "--gateway-url", GATEWAY)
            self.assertIn("/nonexistent", said)

    async def test_precedence(self) -> None:
        """Flags win over the environment, which wins over the file."""
        name = self.file(
            "good.toml",
            f'gateway-url = "{GATEWAY}"\nrule = ["file.test"]\nport = 0\nadmin-port = 0\n'
            "connect-timeout = 3\nidle-timeout = 30.5\n",
        )
        environment = clean_environment(ALUVIA_RULE="one.test,two.test", ALUVIA_CONNECT_TIMEOUT="4")
        proxy = await self.spawn(
            "--config", name, "--connect-timeout", "5", environment=environment
        ).ready()
        for host, way in (
            ("one.test", "gateway"),
            ("two.test", "gateway"),
            ("file.test", "direct"),
        ):
            explained = await proxy.admin_json(f"/explain?host={host}")
            self.assertEqual(explained["way"], way, explained)

    async def test_check(self) -> None:
        """``--check`` prints what would be used, redacted, and listens nowhere."""
        curled = await self.check(
            "--gateway-url", GATEWAY, "--rule", "*.example.com", "--port", "1"
        )
        self.assertEqual(curled.status, 0, curled)
        self.assertIn("*.example.com", curled.stdout)
        self.assertIn("127.0.0.1:9", curled.stdout)
        self.assertIn("canary-user", curled.stdout)
        self.assert_no_secret(curled.stdout + curled.stderr)
        self.assertEqual((await self.check("--port", "x")).status, USAGE)
        self.assertEqual((await self.check("--config", self.file("a", "x"))).status, BAD_FILE)

    async def check(self, *options: str) -> Curled:
        """Run with ``--check``."""
        return await self.run_command(*TWISTD, "-n", "--pidfile=", "aluvia", "--check", *options)


class PortTests(StartCase):
    """Status 73: a port that is taken; and the port file."""

    async def test_taken_ports(self) -> None:
        """The proxy's and the admin port: the line says which, and nothing is left behind."""
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        port = str(taken.getsockname()[1])
        name = os.path.abspath("never.json")
        said = await self.refused(TAKEN, "--port", port, "--admin-port", "0", "--port-file", name)
        self.assertIn(port, said)
        said = await self.refused(TAKEN, "--port", "0", "--admin-port", port, "--port-file", name)
        self.assertIn(port, said)
        self.assertFalse(os.path.exists(name))

    async def test_address_of_another_machine(self) -> None:
        """An address that is not ours cannot be bound: 73 too."""
        users = self.file("users", "me:mine\n")
        said = await self.refused(
            TAKEN,
            *("--listen", "192.0.2.1", "--local-auth-file", users, "--port", "0"),
            *("--admin-port", "none"),
        )
        self.assertIn("192.0.2.1", said)

    async def test_port_file(self) -> None:
        """It has both ports, the URL and the process, is whole when it appears, and is removed."""
        proxy = await self.aluvia()
        self.assertEqual(set(proxy.ports), {"proxy", "admin", "url", "pid"})
        self.assertEqual(proxy.ports["pid"], proxy.pid)
        self.assertEqual(proxy.url, f"http://127.0.0.1:{proxy.port}")
        self.assertNotEqual(proxy.ports["proxy"], proxy.ports["admin"])
        siblings = [name for name in os.listdir(".") if name.startswith(proxy.port_file.stem)]
        self.assertEqual(siblings, [proxy.port_file.name])
        self.assertEqual((await proxy.admin("/healthz")).status, 200)

    async def test_no_admin_port(self) -> None:
        """``--admin-port none`` has none, and says so in the port file."""
        proxy = await self.aluvia("--admin-port", "none")
        self.assertIsNone(proxy.ports["admin"])

    async def test_ipv6(self) -> None:
        """It listens on ``::1``, and its URL has brackets."""
        proxy = await self.aluvia("--listen", "::1")
        self.assertEqual(proxy.url, f"http://[::1]:{proxy.port}")
        origin = self.origin()
        curled = await self.curl("--proxy", proxy.url, f"http://127.0.0.1:{origin.port}/")
        self.assertEqual(curled.status, 0, curled)

    async def test_unwritable_port_file(self) -> None:
        """A port file that cannot be written: 73, with a reason."""
        process = self.spawn(
            "--port", "0", "--admin-port", "0", "--port-file", "/nonexistent/a", ports=False
        )
        self.assertEqual(await process.wait(), TAKEN, process.output)
        self.assertIn("/nonexistent/a", process.stderr.decode())
        process.assert_quiet()


class LogTests(StartCase):
    """What it prints."""

    async def test_start(self) -> None:
        """The proxy URL, the admin URL and a curl line that works as it stands."""
        origin = self.origin()
        proxy = await self.aluvia("--gateway-url", GATEWAY, "--rule", "*.example.com")
        await until(lambda: "curl -x" in proxy.output, 5, "a curl line")
        self.assertIn(proxy.url, proxy.output)
        self.assertIn(f"http://127.0.0.1:{proxy.ports['admin']}", proxy.output)
        line = next(line for line in proxy.output.splitlines() if "curl -x" in line)
        words = line[line.index("curl -x") :].split()
        self.assertEqual(words[2].strip("'\""), proxy.url)
        words[3:] = [f"http://127.0.0.1:{origin.port}/"]
        self.assertEqual((await self.run_command(*words)).status, 0)

    async def test_advice(self) -> None:
        """A rule that can never match is named with a reason; a gateway in the clear is too."""
        proxy = await self.aluvia(
            *("--gateway-url", "http://192.0.2.1:8080", "--rule", "https://bad.example/")
        )
        self.assertRegex(proxy.output, r"warn\S* .*https://bad\.example/.*[a-z]{3}")
        self.assertRegex(proxy.output, r"warn\S* .*192\.0\.2\.1.*TLS")

    async def test_levels(self) -> None:
        """silent says nothing when all is well; debug names each request and its way."""
        for level in ("silent", "debug"):
            origin = self.origin()
            proxy = await self.aluvia("--log-level", level)
            await self.get(proxy, f"http://127.0.0.1:{origin.port}/path-with-a-secret?key=1")
            if level == "debug":
                await until(partial(_in_output, proxy, f"127.0.0.1:{origin.port}"), 5, "logged")
            await self.stop(proxy, origin)
            if level == "silent":
                self.assertEqual(proxy.output, "")
            self.assertNotIn("path-with-a-secret", proxy.output)

    async def test_json(self) -> None:
        """Every line is a JSON object with a time, a level and a text."""
        origin = self.origin()
        proxy = await self.aluvia("--log-format", "json", "--log-level", "debug")
        await self.get(proxy, f"http://127.0.0.1:{origin.port}/")
        await self.stop(proxy, origin)
        lines = [json.loads(line) for line in proxy.stdout.decode().splitlines()]
        self.assertGreater(len(lines), 1)
        for line in lines:
            self.assertIsInstance(line, dict)
            self.assertTrue(any("time" in key for key in line), line)
            self.assertTrue(any("level" in key for key in line), line)

    async def stop(self, proxy: AluviaProcess, origin: FakeOrigin) -> None:
        """End it now, to have all of its output."""
        await origin.stop()
        await proxy.at_rest()
        await proxy.stop()

    async def test_password_in_no_line(self) -> None:
        """A gateway's password is in no line at any level, and not in the port file either."""
        self.assertIn("canary", PASSWORD)
        proxy = await self.aluvia("--gateway-url", GATEWAY, "--rule", "*", "--log-level", "debug")
        await self.get(proxy, "http://a.test/")
        self.assert_no_secret(proxy.output + proxy.port_file.read_text())


class NeighbourTests(StartCase):
    """Beside others of its kind."""

    async def test_two_in_one_directory(self) -> None:
        """Two run side by side with ports of their own."""
        one, two = await self.aluvia(), await self.aluvia()
        self.assertNotEqual(one.port, two.port)

    async def test_restart_on_the_same_port(self) -> None:
        """After its end the same port can be bound at once, with connections in TIME_WAIT."""
        origin = self.origin()
        first = await self.aluvia()
        await self.get(first, f"http://127.0.0.1:{origin.port}/", b"Connection: close")
        port = str(first.port)
        await first.stop()
        self.assertFalse(first.port_file.exists())
        second = await self.aluvia("--port", port)
        self.assertEqual(str(second.port), port)


def _in_output(proxy: AluviaProcess, text: str) -> bool:
    return text in proxy.output
