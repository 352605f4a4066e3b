"""
What must not happen: the numbered list of the design, as far as it concerns the data path.

1, 5, 9 and 10 are here, the ten thousand requests of 1 and all of 2 are in
:mod:`tests.test_ten_thousand`, 3 and 4 in :mod:`tests.test_gateway_answers`, 6 in
:mod:`tests.test_signals` (and a taken port in :mod:`tests.test_command`), 7 in
:mod:`tests.test_routing`. 8 concerns the control plane.
"""

from __future__ import annotations

import contextlib
import typing

from twisted.internet.defer import Deferred, gatherResults

from aluvia.testing.faults import (
    Accepting,
    Close,
    ConnectionEnded,
    Drip,
    Ended,
    FaultPeer,
    Finish,
    Flood,
    HalfHandshake,
    Read,
    Reset,
    Script,
    Send,
    Stall,
    StartTLS,
)
from aluvia.testing.http import read_response
from aluvia.testing.lies import LIES
from tests.aluvia_process import AluviaProcess, pause, reactor
from tests.support import Certificates, ProxyCase, in_parallel, tell

ASKED = Read(until=b"\r\n\r\n")
OPENED = Send(b"HTTP/1.1 200 OK\r\n\r\n")
HOST = "www.example.com"


class LeftoverTests(ProxyCase):
    """
    1: a socket or a descriptor left behind. Each script is played several times at once, in plain
    http and by CONNECT, and the client is patient in some and gone early in others.
    """

    timeout = 300

    async def nothing_left(self, proxy: AluviaProcess, peer: FaultPeer, authority: str) -> None:
        """Meet *peer* in many ways; then all is closed, and no descriptor was added."""

        async def meet(number: int) -> None:
            connection = await proxy.connect()
            if number % 2:
                request = f"CONNECT {authority} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
            else:
                request = (
                    f"POST http://{authority}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
                    "some body"
                ).encode()
            with contextlib.suppress(ConnectionEnded):
                await connection.send(request)
                if number % 3 == 0:
                    await connection.sleep(0.01 * (number % 7))
                    connection.reset()
                elif number % 3 == 1:
                    await connection.sleep(0.2)
                else:
                    connection.finish()
                    await connection.read_away()
            connection.close()

        await in_parallel(24, meet)
        await proxy.at_rest()
        before = proxy.descriptors()
        await in_parallel(48, meet)
        await proxy.at_rest()
        self.assertLessEqual(proxy.descriptors(), before + 8)

    async def by_gateway(self, *scripts: Script, **options: typing.Any) -> None:
        """The peer is the gateway."""
        for script in scripts:
            peer = self.peer(script, **options)
            proxy = await self.aluvia("--connect-timeout", "1", "--idle-timeout", "2", gateway=peer)
            await self.nothing_left(proxy, peer, f"{HOST}:443")
            await proxy.stop()

    async def direct(self, *scripts: Script, **options: typing.Any) -> None:
        """The peer is the origin."""
        for script in scripts:
            peer = self.peer(script, **options)
            proxy = await self.aluvia("--connect-timeout", "1", "--idle-timeout", "2")
            await self.nothing_left(proxy, peer, peer.authority)
            await proxy.stop()

    async def test_must_not_happen_1_socket_left_after_reset_in_connect(self) -> None:
        """Refused, ignored, reset or ended at every point until the CONNECT is answered."""
        await self.by_gateway(
            [Reset()],
            [Read(count=5), Close()],
            [ASKED, Reset()],
            [ASKED, Send(b"HTTP/1.1 2"), Reset()],
            [ASKED, Stall()],
        )
        await self.by_gateway([], accepting=Accepting.REFUSE)
        await self.by_gateway([], accepting=Accepting.IGNORE)
        await self.direct([Reset()], [ASKED, Close()])
        await self.direct([], accepting=Accepting.REFUSE)

    async def test_must_not_happen_1_socket_left_after_reset_in_tls(self) -> None:
        """A gateway behind TLS that ends, resets or stalls in the handshake."""
        certificates = Certificates()
        context = certificates.server("localhost")
        half = HalfHandshake(context)
        scripts: tuple[Script, ...] = (
            [Read(), Reset()],
            [half, Reset()],
            [half, Stall()],
            [Read(), Send(b"garbage"), Close()],
            [StartTLS(context), Reset()],
            [StartTLS(context), ASKED, OPENED, Reset()],
            [StartTLS(context), ASKED, OPENED, Close(close_notify=False)],
        )
        for script in scripts:
            peer = self.peer(script)
            proxy = await self.aluvia(
                *("--connect-timeout", "1", "--idle-timeout", "2"),
                *("--gateway-ca", certificates.file()),
                gateway=peer,
                scheme="https",
            )
            await self.nothing_left(proxy, peer, f"{HOST}:443")
            await proxy.stop()

    async def test_must_not_happen_1_socket_left_after_reset_in_transfer(self) -> None:
        """Reset and ended in the middle of what flows, either way, read or not."""
        answer = Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n")
        await self.by_gateway(
            [ASKED, answer, Flood(1_000_000), Reset()],
            [ASKED, answer, Flood(300_000), Close()],
            [ASKED, answer, Stall(reading=False)],
        )
        await self.direct(
            [Send(b"hello"), Reset()],
            [ASKED, answer, Flood(1_000_000), Reset()],
            [ASKED, answer, Flood()],
        )

    async def test_must_not_happen_1_socket_left_after_reset_in_shutdown(self) -> None:
        """A FIN answered with an RST, with nothing, and half-closes of every order."""
        await self.by_gateway(
            [ASKED, OPENED, Read(to_end=True), Reset()],
            [ASKED, OPENED, Finish(), Stall()],
            [ASKED, OPENED, Read(to_end=True), Stall()],
            [ASKED, OPENED, Finish(), Read(to_end=True), Close()],
        )
        await self.direct([Finish(), Stall()], [Read(to_end=True), Reset()])

    async def test_must_not_happen_1_socket_left_after_lies(self) -> None:
        """After every answer that must not be believed."""
        peer = self.peer(*map(tell, LIES.values()))
        proxy = await self.aluvia(gateway=peer)

        async def ask(number: int) -> None:
            connection = await proxy.connect()
            form = b"CONNECT %b:80" if number % 2 else b"GET http://%b/"
            await connection.send(form % HOST.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            await read_response(connection, b"CONNECT" if number % 2 else b"GET")
            connection.close()

        await in_parallel(2 * len(LIES), ask)
        await proxy.at_rest()


class EndTests(ProxyCase):
    """5: an EOF that does not arrive."""

    async def test_must_not_happen_5_eof_not_reaching_the_client(self) -> None:
        """The end of a ``Connection: close`` body without a length is the client's end too."""
        ok = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
        peer = self.peer([ASKED, Send(ok + b"body"), Close()], [ASKED, Send(ok), Close()],
                         [ASKED, Send(ok + b"body"), Finish()])  # fmt: skip
        proxy = await self.aluvia()
        for body in (b"body", b"", b"body"):
            connection = await self.connect(proxy)
            await connection.send(
                b"GET http://%b/ HTTP/1.0\r\nHost: a\r\n\r\n" % peer.authority.encode()
            )
            said = await connection.read_to_end()
            self.assertEqual(said.partition(b"\r\n\r\n")[2], body)
            self.assertIs(connection.ended, Ended.FIN)


class SecretTests(ProxyCase):
    """9: a secret where it does not belong."""

    async def test_must_not_happen_9_secret_in_a_log_line_or_an_error_body(self) -> None:
        """Every kind of failure, at debug, in both formats: canaries are in no line and no body."""
        scripts: tuple[Script, ...] = (
            [ASKED, Reset()],
            [ASKED, Stall(0.1), Close()],
            tell(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"),
            *map(tell, LIES.values()),
        )
        for log_format in ("text", "json"):
            peer = self.peer(*scripts)
            proxy = await self.aluvia(
                *("--log-level", "debug", "--log-format", log_format, "--connect-timeout", "1"),
                gateway=peer,
            )
            answers = []
            for _ in scripts:
                answers.append(await self.get(proxy, f"http://{HOST}/", b"Cookie: canary-cookie"))
                connection, answer = await self.tunnel(proxy, f"{HOST}:443")
                answers.append(answer)
                connection.close()
            peer.set_accepting(Accepting.REFUSE)
            answers.append(await self.get(proxy, f"http://{HOST}/"))
            answers.append(
                await self.ask(
                    proxy,
                    b"GET http://u:canary-userinfo@a/ HTTP/1.1\r\nHost: a\r\n"
                    b"Proxy-Authorization: Basic canary-token\r\n\r\n",
                )
            )
            for path in (
                "/healthz",
                "/readyz",
                "/metrics",
                "/connections",
                f"/explain?host={HOST}",
            ):
                answers.append(await proxy.admin(path))
            await proxy.at_rest()
            await proxy.stop()
            for text in (proxy.output, *(repr(answer) for answer in answers)):
                self.assert_no_secret(text)
                for canary in ("canary-cookie", "canary-userinfo", "canary-token"):
                    self.assertNotIn(canary, text)


class SlowTests(ProxyCase):
    """10: a client that takes its time."""

    async def test_must_not_happen_10_slowloris(self) -> None:
        """
        One byte every few seconds, from the first byte of a head or before it, holds a connection
        for 30 seconds and a little, absolutely: it gets a 408, or just an end. An honest client is
        served meanwhile.
        """
        origin = self.origin()
        proxy = await self.aluvia()
        head = b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100
        lines = b"GET / HTTP/1.1\r\n" + b"X-Long-Header: yes\r\n" * 50
        drips: dict[str, Script] = {
            "a byte a second": [Drip(head, every=1)],
            "a byte every five": [Drip(head, every=5)],
            "a line every four": [Drip(lines, every=4, size=20)],
            "only empty lines": [Drip(b"\r\n" * 2, every=9, size=2)],
            "nothing": [],
            "a begin": [Send(head)],
            "CONNECT": [Drip(b"CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: a\r\n", every=2)],
        }
        ended: dict[str, float] = {}
        said: dict[str, bytes] = {}
        began = reactor.seconds()

        async def drip(name: str) -> None:
            connection = await self.connect(proxy)
            playing = [Deferred.fromCoroutine(step.play(connection)) for step in drips[name]]
            for one in playing:
                one.addErrback(lambda failure: None)
            try:
                said[name] = await connection.read_to_end()
            except Exception:
                said[name] = b"reset"
            ended[name] = reactor.seconds() - began
            connection.close()

        waiting = gatherResults([Deferred.fromCoroutine(drip(name)) for name in drips])
        await pause(15)
        answer = await self.get(proxy, f"http://127.0.0.1:{origin.port}/")
        self.assertEqual(answer.status, 200)
        await waiting
        for name, seconds in ended.items():
            self.assertLess(seconds, 35, (name, said))
            self.assertGreater(seconds, 25, (name, said))
        for name in ("a byte a second", "a begin"):
            self.assertTrue(said[name].startswith(b"HTTP/1.1 408 "), said)
