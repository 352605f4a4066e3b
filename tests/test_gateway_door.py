"""The gateway as its users have it: a real process, curl, and the client behind it."""

from __future__ import annotations

import base64
import json
import os
import signal
import stat
import typing
from pathlib import Path

from aluvia.store import accounts
from aluvia.store.database import Database
from aluvia.testing.connection import FaultConnection
from aluvia.testing.http import read_response
from aluvia.testing.origin import FakeOrigin
from tests.aluvia_process import AluviaProcess, reactor, until
from tests.gateway_process import Account, GatewayProcess
from tests.support import Certificates, Curled, ProxyCase

#: A change is seen within this; twice what is promised, for a busy machine.
SEEN_SECONDS = 2.0


class GatewayCase(ProxyCase):
    """Starts gateways, each with an account, and ends them; nothing they say has a secret in it."""

    async def gateway_process(self, *options: str, **more: typing.Any) -> GatewayProcess:
        """Start a gateway, with an account that it has seen."""
        process = GatewayProcess(*options, **more)
        self._processes.append(process)
        await process.ready()
        return process

    async def start(self, *options: str) -> tuple[GatewayProcess, Account, FakeOrigin]:
        """Start a gateway with an account, and a site."""
        gateway = await self.gateway_process(*options)
        account = gateway.add()
        await self.until_seen(gateway, account)
        self.addCleanup(self.assert_kept, gateway, account)
        return gateway, account, self.origin()

    async def until_seen(self, gateway: GatewayProcess, account: Account) -> None:
        """Wait until the gateway knows the account."""
        began = reactor.seconds()
        while (await self.api(gateway, account)).status != 200:
            self.assertLess(reactor.seconds() - began, SEEN_SECONDS)

    def assert_kept(self, gateway: GatewayProcess, account: Account) -> None:
        """Neither the token nor the password was written anywhere but into the file."""
        for secret in account.secrets:
            self.assertNotIn(secret, gateway.output)

    async def through(
        self, gateway: GatewayProcess, account: Account, url: str, *options: str, wish: str = ""
    ) -> Curled:
        """Ask for a URL through the gateway; its status code, and what curl printed behind it."""
        user = ("--proxy-user", account.credentials(wish))
        return await self.curl("--proxy", gateway.url, *user, "--include", *options, url)

    async def api(
        self, gateway: GatewayProcess, account: Account, *options: str, path: str = "/v1/user"
    ) -> Reply:
        """Ask the control plane."""
        token = ("--header", f"Authorization: Bearer {account.token}")
        curled = await self.curl("--include", *token, *options, gateway.api_url + path)
        self.assertEqual(curled.status, 0, curled.stderr)
        return Reply(curled.stdout)

    async def change(self, gateway: GatewayProcess, account: Account, **fields: object) -> None:
        """Change the account by the control plane."""
        body = ("--header", "Content-Type: application/json", "--data", json.dumps(fields))
        reply = await self.api(gateway, account, "--request", "PATCH", *body)
        self.assertEqual(reply.status, 200, reply.body)


class Reply:
    """What curl printed of an answer."""

    def __init__(self, text: str) -> None:
        head, _, self.body = text.partition("\r\n\r\n")
        self.status = int(head.split(" ")[1])
        self.head = head.lower()

    def json(self) -> typing.Any:
        """Its body."""
        return json.loads(self.body)


class CurlTests(GatewayCase):
    """curl through the gateway."""

    async def test_good(self) -> None:
        """A page in the clear, and one through a tunnel; nothing of ours reaches the site."""
        gateway, account, site = await self.start("--allow-private")
        url = f"http://site.localhost:{site.port}/"
        for options in ((), ("--proxytunnel",)):
            curled = await self.through(gateway, account, url, *options, wish="-session-abc")
            self.assertIn(" 200 OK", curled.stdout)
        plain = site.visits[-2]
        self.assertEqual(
            {name.lower() for name, _ in plain.headers}, {b"host", b"user-agent", b"accept"}
        )
        await self.through(gateway, account, url, "--header", "X-Aluvia-Session: s")
        self.assertIsNone(site.visits[-1].header(b"x-aluvia-session"))

    async def test_refusals(self) -> None:
        """Who may not, which exit there is none of, and where nobody gets."""
        gateway, account, site = await self.start()
        url = f"http://127.0.0.1:{site.port}/"
        wrong = Account(account.name, "", account.name, "wrong")
        for who, wish, status, told in (
            (wrong, "", 407, "client; http_request_denied"),
            (account, "-cuntry-us", 407, "client; http_request_denied"),
            (account, "-country-us", 502, "pool; no_exit"),
            (account, "-session-a", 403, "policy; destination_ip_prohibited"),
        ):
            for options in ((), ("--proxytunnel",)):
                curled = await self.through(gateway, who, url, *options, wish=wish)
                self.assertIn(f"HTTP/1.1 {status} ", curled.stdout)
                self.assertIn(f"X-Aluvia-Error: {told}\r\n", curled.stdout)
                self.assertIn("Proxy-Status: aluvia-gateway; error=", curled.stdout)
                self.assertNotIn(account.proxy_password, curled.stdout)
        self.assertEqual(len(site.visits), 0)
        nobody = await self.curl("--proxy", gateway.url, "--include", url)
        self.assertIn("HTTP/1.1 407 ", nobody.stdout)
        self.assertIn("Proxy-Authenticate: Basic realm=", nobody.stdout)

    async def test_tls(self) -> None:
        """The port inside TLS: curl's own ALPN, another program's, and a renewed certificate."""
        certificates = [Certificates(), Certificates()]
        files = [self.write_certificate(each) for each in certificates]
        used = Path("cert.pem").absolute(), Path("key.pem").absolute()
        for name, data in zip(used, files[0], strict=True):
            name.write_bytes(data)
        gateway, account, site = await self.start(
            *("--allow-private", "--proxy-tls", "127.0.0.1:0"),
            *("--cert", str(used[0]), "--key", str(used[1])),
        )
        place = f"localhost:{gateway.ports['proxy_tls']}"
        url = f"http://127.0.0.1:{site.port}/"

        async def ask(certificate: Certificates, *options: str) -> Curled:
            return await self.curl(
                *("--proxy", f"https://{place}", "--proxy-cacert", certificate.file()),
                *("--proxy-user", account.credentials(), *options, url),
            )

        for options in ((), ("--proxytunnel",)):
            self.assertEqual((await ask(certificates[0], *options)).status, 0)
        for offered, there in (("h2,http/1.1", True), ("foo", False)):
            said = await self.run_command(
                "openssl", "s_client", "-connect", place, "-alpn", offered, "-verify_quiet"
            )
            self.assertIs("ALPN protocol: http/1.1" in said.stdout, there)
            self.assertNotIn("internal error", said.stdout + said.stderr)
        old = await self.run_command("openssl", "s_client", "-connect", place, "-tls1_1")
        self.assertIn("no peer certificate available", old.stdout)

        used[0].write_bytes(b"broken")
        gateway.send_signal(signal.SIGHUP)
        await until(lambda: "stays as it was" in gateway.output, 10, "the bad certificate")
        self.assertEqual((await ask(certificates[0])).status, 0)
        for name, data in zip(used, files[1], strict=True):
            name.write_bytes(data)
        gateway.send_signal(signal.SIGHUP)
        await until(lambda: "was read again" in gateway.output, 10, "the new certificate")
        self.assertEqual((await ask(certificates[1])).status, 0)

    def write_certificate(self, certificates: Certificates) -> tuple[bytes, bytes]:
        """A certificate with its chain, and its key."""
        issued = certificates.authority.issue_cert("localhost")
        return issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()


class AccountTests(GatewayCase):
    """What another process does to the store of a running gateway."""

    async def test_accounts(self) -> None:
        """An account opens and closes the door within a second; the file is for its owner alone."""
        gateway, account, site = await self.start("--allow-private")
        url = f"http://127.0.0.1:{site.port}/"
        for beside in gateway.db.parent.glob(gateway.db.name + "*"):
            self.assertEqual(stat.S_IMODE(beside.stat().st_mode), 0o600)
        self.assertNotIn(account.token.encode(), gateway.db.read_bytes())

        stolen = await self.connect_through(gateway, account, site)
        done = gateway.account("rotate", "alice", "--json")
        rotated = Account(
            account.name, account.token, account.name, json.loads(done.stdout)["proxy_password"]
        )
        began = reactor.seconds()
        while " 200 OK" not in (await self.through(gateway, rotated, url)).stdout:
            self.assertLess(reactor.seconds() - began, SEEN_SECONDS)
        self.assertIn(" 407 ", (await self.through(gateway, account, url)).stdout)
        self.assertEqual((await self.api(gateway, account)).status, 200)
        # Another password is the answer to one that was stolen.
        await until(lambda: stolen.ended is not None, SEEN_SECONDS, "the old password's end")

        tunnel = await self.connect_through(gateway, rotated, site)
        await self.change(gateway, account, rules=["*"])
        self.assertIsNone(tunnel.ended)
        self.assertEqual(gateway.account("remove", "alice").returncode, 0)
        began = reactor.seconds()
        while (await self.api(gateway, account)).status != 401:
            self.assertLess(reactor.seconds() - began, SEEN_SECONDS)
        self.assertIn(" 407 ", (await self.through(gateway, rotated, url)).stdout)
        await until(lambda: tunnel.ended is not None, SEEN_SECONDS, "the tunnel's end")

    async def connect_through(
        self, gateway: GatewayProcess, account: Account, site: FakeOrigin
    ) -> FaultConnection:
        """An open tunnel."""
        tunnel = await self.dial(gateway.port)
        pair = base64.b64encode(account.credentials().encode()).decode()
        target = f"127.0.0.1:{site.port}"
        await tunnel.send(
            f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
            f"Proxy-Authorization: Basic {pair}\r\n\r\n".encode()
        )
        self.assertEqual((await read_response(tunnel, b"CONNECT")).status, 200)
        return tunnel

    async def test_made_anew(self) -> None:
        """A tunnel ends with its account, though another one has its name at once."""
        gateway, account, site = await self.start("--allow-private")
        tunnel = await self.connect_through(gateway, account, site)
        database = Database(gateway.db)
        self.addCleanup(database.close)
        with database.writing() as connection:
            accounts.remove(connection, "alice")
            accounts.add(connection, "alice", 0.0)
        await until(lambda: tunnel.ended is not None, SEEN_SECONDS, "the tunnel's end")

    async def test_command(self) -> None:
        """Mistakes have a line and a status; a list has no secret in it."""
        gateway, account, _ = await self.start()
        for words, status in (
            (["add", "alice"], 65),
            (["add", "a-b"], 64),
            (["add"], 64),
            (["remove", "bob"], 65),
            (["rotate", "bob"], 65),
            (["list", "alice"], 64),
            (["paint", "alice"], 64),
        ):
            done = gateway.account(*words)
            self.assertEqual((done.returncode, done.stdout), (status, ""), words)
            self.assertRegex(done.stderr, r"^aluvia: .+\n$")
        for words in (["list"], ["list", "--json"]):
            done = gateway.account(*words)
            self.assertEqual(done.returncode, 0)
            self.assertIn("alice", done.stdout)
            for secret in account.secrets:
                self.assertNotIn(secret, done.stdout)


class ClientTests(GatewayCase):
    """The client of this package, behind this gateway."""

    async def client(self, gateway: GatewayProcess, account: Account) -> AluviaProcess:
        """Start it, and wait until it watches."""
        process = AluviaProcess(
            *("--api-base-url", f"{gateway.api_url}/v1", "--poll-interval", "5"),
            *("--gateway-host", "127.0.0.1", "--gateway-port", str(gateway.port)),
            environment={**os.environ, "ALUVIA_TOKEN": account.token},
        )
        # It ends before the gateway that it follows.
        self._processes.insert(0, process)
        await process.ready()
        await self.until_watched(gateway, account)
        return process

    async def until_watched(self, gateway: GatewayProcess, account: Account) -> None:
        """Wait until somebody waits at the monitor."""
        sample = "aluvia_gateway_monitors_waiting 1.0"
        began = reactor.seconds()
        while sample not in (await self.api(gateway, account, path="/metrics")).body:
            self.assertLess(reactor.seconds() - began, 10)

    async def configuration(self, client: AluviaProcess) -> int:
        """The number of the client's configuration."""
        return int((await client.admin_json("/readyz"))["revision"])

    async def test_push(self) -> None:
        """Rules and a new password arrive by the monitor, and hold for the next request."""
        gateway, account, site = await self.start("--allow-private")
        client = await self.client(gateway, account)
        url = f"http://site.localhost:{site.port}/"

        async def way() -> str:
            before = await client.metrics()
            answer = await self.get(client, url)
            self.assertEqual(answer.status, 200, answer)
            after = await client.metrics()
            names = ("gateway", "direct")
            samples = {
                name: f'aluvia_requests_total{{outcome="ok",way="{name}"}}' for name in names
            }
            return next(n for n in names if after.get(samples[n]) != before.get(samples[n]))

        self.assertEqual(await way(), "direct")
        for rules, expected in ((["*"], "gateway"), (["-*"], "direct"), (["*"], "gateway")):
            known = await self.configuration(client)
            await self.change(gateway, account, rules=rules)
            began = reactor.seconds()
            while await self.configuration(client) == known:
                # Sooner than the next tick of a poll would come: it is pushed.
                self.assertLess(reactor.seconds() - began, SEEN_SECONDS)
            self.assertEqual(await way(), expected)
            await self.until_watched(gateway, account)
        known = await self.configuration(client)
        self.assertEqual(gateway.account("rotate", "alice").returncode, 0)
        began = reactor.seconds()
        while await self.configuration(client) == known:
            self.assertLess(reactor.seconds() - began, SEEN_SECONDS)
        self.assertEqual(await way(), "gateway")
        await client.stop()
        self.assertNotIn(account.token, client.output)
        self.assertNotIn(account.proxy_password, client.output)


class ProcessTests(GatewayCase):
    """Statuses, signals and the drain."""

    async def test_start_that_fails(self) -> None:
        """One line says why, and the status what kind of thing it is."""
        running = await self.gateway_process()
        bad = Path("not-a-database").absolute()
        bad.write_text("nothing")
        taken = f"127.0.0.1:{running.port}"
        for options, status, said in (
            (["--proxy", taken], 73, f"{taken} cannot be bound: Address already in use"),
            (["--api", taken], 73, f"{taken} cannot be bound: Address already in use"),
            (["--db", str(bad)], 78, "not-a-database: file is not a database"),
            (["--db", "/nowhere/x.db"], 78, "/nowhere/x.db: No such file or directory"),
            (["--exit-mode", "agents"], 64, "--exit-mode: there are no agents yet"),
            (["--port-file", "/nowhere/x"], 73, "cannot write the port file"),
        ):
            process = GatewayProcess(*options)
            self.assertEqual(await process.wait(), status, process.output)
            errors = process.stderr.decode()
            self.assertRegex(errors, r"^aluvia: .+\n$")
            self.assertIn(said, errors)
            process.assert_quiet()

    async def test_drain(self) -> None:
        """A tunnel lives on through a drain, a monitor is answered, and a second signal ends it."""
        gateway, account, site = await self.start("--allow-private", "--drain-timeout", "30")
        token = f"Authorization: Bearer {account.token}\r\n"
        monitor = await self.dial(int(gateway.ports["api"]))
        await monitor.send(f"GET /v1/user/monitor HTTP/1.1\r\nHost: a\r\n{token}\r\n".encode())
        client = await self.connect(gateway)
        pair = base64.b64encode(account.credentials().encode()).decode()
        await client.send(
            f"CONNECT 127.0.0.1:{site.port} HTTP/1.1\r\nHost: a\r\n"
            f"Proxy-Authorization: Basic {pair}\r\n\r\n".encode()
        )
        self.assertIn(b" 200 ", await client.read_until(b"\r\n\r\n"))
        gateway.send_signal(signal.SIGTERM)
        self.assertIn(b" 200 ", await monitor.read_until(b"\r\n\r\n"))
        ready = await self.api(gateway, account, path="/readyz")
        self.assertEqual((ready.status, ready.json()["ready"]), (503, False))
        with self.assertRaises(ConnectionRefusedError):
            await gateway.connect()
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertIn(b" 200 ", await client.read_until(b"\r\n\r\n"))
        gateway.send_signal(signal.SIGTERM)
        self.assertEqual(await gateway.wait(10), 143)
        gateway.assert_quiet()
        self.assertFalse(gateway.port_file.exists())

    async def test_killed(self) -> None:
        """What was answered is there after a ``kill -9``."""
        gateway, account, _ = await self.start()
        for number in range(10):
            await self.change(gateway, account, rules=[str(number)])
        gateway.kill()
        await gateway.wait()
        again = await self.gateway_process(db=gateway.db)
        reply = await self.api(again, account)
        self.assertEqual(reply.json()["data"]["rules"], ["9"])
        again.send_signal(signal.SIGINT)
        self.assertEqual(await again.wait(), 130)
