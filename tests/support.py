"""What the black-box tests have in common: a case that starts things, and cleans up behind them."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import typing

import attrs
import trustme
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from aluvia.testing.connection import FaultConnection
from aluvia.testing.dialling import dial
from aluvia.testing.faults import FaultPeer, in_turn
from aluvia.testing.gateway import FakeGateway
from aluvia.testing.http import Response, read_response
from aluvia.testing.origin import FakeOrigin
from aluvia.testing.steps import Read, Script, Send
from tests.aluvia_process import AluviaProcess, Child, clean_environment, reactor

#: Credentials that would be found anywhere: in a log, in a page, in a head.
USERNAME = "canary-user"
PASSWORD = "canary:pass-9f2c"
USERINFO = "canary-user:canary%3Apass-9f2c"
SECRETS = (PASSWORD, "canary%3Apass", "Y2FuYXJ5LXVzZXI6Y2FuYXJ5OnBhc3MtOWYyYw")

#: The URL of a gateway for tests that use none: nobody listens there.
NO_GATEWAY = "http://127.0.0.1:9"


@attrs.frozen
class Curled:
    """What curl said: its exit status, and what it wrote."""

    status: int
    stdout: str
    stderr: str


@attrs.define
class Certificates:
    """An authority of our own, its file, and a server's certificate for each name asked for."""

    authority: trustme.CA = attrs.Factory(trustme.CA)

    def file(self) -> str:
        """A PEM file with the authority."""
        path = os.path.abspath(f"authority-{id(self)}.pem")
        self.authority.cert_pem.write_to_path(path)
        return path

    def server(self, *names: str) -> ssl.SSLContext:
        """A context with a certificate for *names*."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*names).configure_cert(context)
        return context


class ProxyCase(TestCase):
    """
    Starts proxies, origins, gateways and peers. After each test everything is closed, and each
    proxy must then hold no socket more than at its start, end by SIGTERM with status 143, and have
    written neither a traceback nor a secret.

    :cvar at_rest_seconds: how long a proxy has for closing everything.
    """

    timeout = 60
    at_rest_seconds = 10.0

    def setUp(self) -> None:
        """Nothing runs yet."""
        self._processes: list[AluviaProcess] = []
        self._stopping: list[FakeOrigin | FakeGateway | FaultPeer] = []
        self._connections: list[FaultConnection] = []
        self.addCleanup(self._clean_up)

    async def _clean_up(self) -> None:
        for connection in self._connections:
            connection.close()
        for peer in self._stopping:
            await peer.stop()
        try:
            for process in self._processes:
                if not process.ended:
                    await process.at_rest(self.at_rest_seconds)
                    await process.stop()
                self.assert_no_secret(process.output)
        finally:
            for process in self._processes:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                with open(os.path.join(process.directory, "output"), "w") as file:
                    file.write(process.output)
                await process.wait()

    def assert_no_secret(self, text: str | bytes) -> None:
        """No credential of ours, in any spelling, is in *text*."""
        text = text.decode("latin-1") if isinstance(text, bytes) else text
        for secret in SECRETS:
            self.assertNotIn(secret, text)

    # What is started

    def spawn(self, *options: str, **more: typing.Any) -> AluviaProcess:
        """Start a proxy, and do not wait for it."""
        if not {"--gateway-url", "--config"} & set(options):
            # One is required; nothing goes through it, since there are no rules.
            options = ("--gateway-url", NO_GATEWAY, *options)
        process = AluviaProcess(*options, **more)
        self._processes.append(process)
        return process

    async def aluvia(
        self,
        *options: str,
        gateway: FakeGateway | FaultPeer | None = None,
        rules: typing.Sequence[str] = ("*.example.com", "example.com"),
        scheme: str = "http",
        **more: typing.Any,
    ) -> AluviaProcess:
        """Start a proxy, with *gateway* for what *rules* say, and wait until it is ready."""
        if gateway is not None:
            host = "127.0.0.1" if scheme == "http" else "localhost"
            url = f"{scheme}://{USERINFO}@{host}:{gateway.port}"
            options = ("--gateway-url", url, *_rule_options(rules), *options)
        return await self.spawn(*options, **more).ready()

    def origin(self, **options: typing.Any) -> FakeOrigin:
        """Start a site."""
        origin = FakeOrigin(reactor, **options)
        self._stopping.append(origin)
        return origin

    def gateway(self, **options: typing.Any) -> FakeGateway:
        """Start a parent proxy with our account."""
        gateway = FakeGateway(reactor, USERNAME, PASSWORD, **options)
        self._stopping.append(gateway)
        return gateway

    def peer(self, *scripts: Script, **options: typing.Any) -> FaultPeer:
        """Start a peer that plays *scripts*, one for each connection."""
        peer = FaultPeer(reactor, in_turn(*scripts), **options)
        self._stopping.append(peer)
        return peer

    # What is asked

    async def connect(self, process: AluviaProcess, **options: typing.Any) -> FaultConnection:
        """Open a connection to the proxy; it is closed when the test is over."""
        connection = await process.connect(**options)
        self._connections.append(connection)
        return connection

    async def dial(self, port: int) -> FaultConnection:
        """Open a connection to a port of this machine; it is closed when the test is over."""
        connection = await dial(reactor, "127.0.0.1", port)
        self._connections.append(connection)
        return connection

    async def ask(
        self, process: AluviaProcess, request: bytes, method: bytes | None = None
    ) -> Response:
        """Send bytes on a new connection, and read the answer."""
        connection = await self.connect(process)
        await connection.send(request)
        try:
            return await read_response(connection, method or request.partition(b" ")[0])
        finally:
            connection.close()

    async def get(
        self, process: AluviaProcess, url: str, *fields: bytes, method: str = "GET"
    ) -> Response:
        """Ask for an absolute URL on a new connection."""
        host = url.partition("//")[2].partition("/")[0]
        head = f"{method} {url} HTTP/1.1\r\nHost: {host}\r\n".encode()
        return await self.ask(process, head + b"".join(f + b"\r\n" for f in fields) + b"\r\n")

    async def tunnel(
        self, process: AluviaProcess, authority: str, **options: typing.Any
    ) -> tuple[FaultConnection, Response]:
        """Ask for a CONNECT on a new connection; the tunnel, if there is one, and the answer."""
        connection = await self.connect(process, **options)
        await connection.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        return connection, await read_response(connection, b"CONNECT")

    def assert_failed(self, response: Response, status: int, error: str) -> None:
        """The answer is the proxy's own failure, with its status, its reason, and an id."""
        self.assertEqual(response.status, status, response)
        proxy_status = (response.header(b"proxy-status") or b"").decode()
        self.assertRegex(proxy_status, rf"^aluvia; ?error={error}(;|$)", response)
        request_id = response.header(b"x-aluvia-request-id")
        self.assertTrue(request_id, response)
        assert request_id is not None
        self.assertIn(request_id, response.body)
        self.assertEqual(response.header(b"content-type"), b"text/plain; charset=utf-8")
        self.assertLess(len(response.body), 1000)
        self.assertGreater(len(response.body), 20)
        self.assertIsNone(response.header(b"proxy-authenticate"))
        self.assert_no_secret(response.body + repr(response.headers).encode())

    # Other programs

    async def run_command(self, *command: str, **environment: str) -> Curled:
        """Run a program to its end."""
        child = Child(*command, environment=clean_environment(**environment))
        self.addCleanup(child.kill)
        status = await child.wait(60)
        return Curled(status, child.stdout.decode("latin-1"), child.stderr.decode("latin-1"))

    async def curl(self, *options: str, **environment: str) -> Curled:
        """Run curl, which gives up after 20 seconds and says why it failed."""
        return await self.run_command(
            "curl", "--silent", "--show-error", "--max-time", "20", *options, **environment
        )


class MessageCase(ProxyCase):
    """A proxy with both ways out, and a URL for each."""

    site: FakeOrigin
    parent: FakeGateway
    proxy: AluviaProcess

    async def start(self) -> tuple[str, str]:
        """Start all; the URLs of the site, direct and through the gateway."""
        self.site = self.origin()
        self.parent = self.gateway()
        self.proxy = await self.aluvia(gateway=self.parent)
        port = self.site.port
        return f"http://127.0.0.1:{port}", f"http://www.example.com:{port}"


#: At how many things at once a test goes.
AT_ONCE = 32


async def in_parallel(
    count: int, one: typing.Callable[[int], typing.Coroutine[Deferred[typing.Any], object, None]]
) -> None:
    """Do *one* of each number below *count*, some at once."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await one(number)

    await gatherResults(
        [Deferred.fromCoroutine(work()) for _ in range(AT_ONCE)], consumeErrors=True
    )


def tell(answer: bytes) -> Script:
    """A script: read a request's head, say *answer*, and go when the other side does."""
    return [Read(until=b"\r\n\r\n"), Send(answer)]


def refused_lie(answer: Response, name: str) -> bool:
    """Whether *answer* is a 502 with the right reason for refusing the lie *name* of ``LIES``."""
    proxy_status = (answer.header(b"proxy-status") or b"").decode()
    if name.startswith(("mebibyte", "ten_thousand")):
        error = "http_response_header_section_size"
    else:
        error = "http_protocol_error|http_response_transfer_coding"
    return answer.status == 502 and bool(re.match(f"aluvia; error=({error})$", proxy_status))


def _rule_options(rules: typing.Sequence[str]) -> list[str]:
    return [word for rule in rules for word in ("--rule", rule)]
