"""Signals, the end of a service, and what a supervisor is told."""

from __future__ import annotations

import os
import signal
import socket

from aluvia.testing.faults import Read, Send, Stall
from aluvia.testing.http import read_response
from tests.aluvia_process import AluviaProcess, clean_environment, pause, reactor, until
from tests.support import ProxyCase

SIGTERM_STATUS, SIGINT_STATUS = 143, 130


class SignalCase(ProxyCase):
    """Ends proxies."""

    async def ends(self, proxy: AluviaProcess, number: signal.Signals, status: int) -> float:
        """It ends by the signal with *status* and a quiet log; the seconds it took."""
        began = reactor.seconds()
        proxy.send_signal(number)
        self.assertEqual(await proxy.wait(), status, proxy.output)
        proxy.assert_quiet()
        return float(reactor.seconds() - began)


class SignalTests(SignalCase):
    """SIGTERM, SIGINT, SIGHUP."""

    async def test_statuses(self) -> None:
        """An idle proxy ends at once: 143 after SIGTERM, 130 after SIGINT; no port file stays."""
        for number, status in (
            (signal.SIGTERM, SIGTERM_STATUS),
            (signal.SIGINT, SIGINT_STATUS),
        ):
            proxy = await self.aluvia()
            self.assertLess(await self.ends(proxy, number, status), 3)
            self.assertFalse(proxy.port_file.exists())

    async def test_signal_during_the_start(self) -> None:
        """A SIGTERM that comes before it is ready ends it as well."""
        for seconds in (0.1, 0.3, 0.5):
            proxy = self.spawn()
            await pause(seconds)
            await self.ends(proxy, signal.SIGTERM, SIGTERM_STATUS)

    async def test_hangup(self) -> None:
        """SIGHUP does not end it, whatever else it means."""
        origin = self.origin()
        proxy = await self.aluvia()
        for _ in range(3):
            proxy.send_signal(signal.SIGHUP)
        await pause(0.3)
        answer = await self.get(proxy, f"http://127.0.0.1:{origin.port}/")
        self.assertEqual(answer.status, 200)


class DrainTests(SignalCase):
    """What SIGTERM leaves alive, and for how long."""

    async def test_live_tunnel(self) -> None:
        """A tunnel goes on during the drain, new connections are refused; then it ends."""
        peer = self.peer([Read(until=b"one"), Send(b"1"), Read(until=b"two"), Send(b"2")])
        proxy = await self.aluvia("--drain-timeout", "20")
        connection, _ = await self.tunnel(proxy, peer.authority)
        await connection.send(b"one")
        self.assertEqual(await connection.read_exactly(1), b"1")
        proxy.send_signal(signal.SIGTERM)
        await pause(0.5)
        self.assertFalse(proxy.ended)
        with self.assertRaises(ConnectionRefusedError):
            await proxy.connect()
        await connection.send(b"two")
        self.assertEqual(await connection.read_exactly(1), b"2")
        began = reactor.seconds()
        connection.close()
        self.assertEqual(await proxy.wait(), SIGTERM_STATUS, proxy.output)
        self.assertLess(reactor.seconds() - began, 5)
        proxy.assert_quiet()

    async def test_must_not_happen_6_stop_with_live_tunnels_hanging(self) -> None:
        """Tunnels that do not end by themselves are ended when the drain timeout is over."""
        peer = self.peer([Stall()])
        proxy = await self.aluvia("--drain-timeout", "1", gateway=self.gateway())
        tunnels = [
            (await self.tunnel(proxy, f"{host}:{peer.port}"))[0]
            for host in ("127.0.0.1", "www.example.com") * 5
        ]
        took = await self.ends(proxy, signal.SIGTERM, SIGTERM_STATUS)
        self.assertGreater(took, 0.8)
        self.assertLess(took, 4)
        for tunnel in tunnels:
            await tunnel.read_away()

    async def test_must_not_happen_6_second_signal_stops_at_once(self) -> None:
        """A second SIGTERM during the drain means now; the log stays quiet."""
        peer = self.peer([Stall()])
        for second, status in ((signal.SIGTERM, (143,)), (signal.SIGINT, (130, 143))):
            proxy = await self.aluvia("--drain-timeout", "60")
            await self.tunnel(proxy, peer.authority)
            proxy.send_signal(signal.SIGTERM)
            await pause(0.5)
            self.assertFalse(proxy.ended)
            began = reactor.seconds()
            proxy.send_signal(second)
            self.assertIn(await proxy.wait(), status, proxy.output)
            self.assertLess(reactor.seconds() - began, 3)
            proxy.assert_quiet()

    async def test_no_drain(self) -> None:
        """``--drain-timeout 0`` ends everything at once."""
        peer = self.peer([Stall()])
        proxy = await self.aluvia("--drain-timeout", "0")
        await self.tunnel(proxy, peer.authority)
        self.assertLess(await self.ends(proxy, signal.SIGTERM, SIGTERM_STATUS), 3)

    async def test_idle_clients_do_not_delay(self) -> None:
        """Keep-alive connections between requests, and those that never asked, end at once."""
        origin = self.origin()
        proxy = await self.aluvia("--drain-timeout", "30", gateway=self.gateway())
        await self.connect(proxy)
        for host in ("127.0.0.1", "www.example.com"):
            connection = await self.connect(proxy)
            await connection.send(
                f"GET http://{host}:{origin.port}/ HTTP/1.1\r\nHost: a\r\n\r\n".encode()
            )
            await read_response(connection)
        self.assertLess(await self.ends(proxy, signal.SIGTERM, SIGTERM_STATUS), 5)

    async def test_request_under_way_is_answered(self) -> None:
        """A request that was taken before the signal gets its answer, and then a FIN."""
        answer = Send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
        peer = self.peer([Read(until=b"\r\n\r\n"), Stall(1), answer])
        proxy = await self.aluvia("--drain-timeout", "20")
        connection = await self.connect(proxy)
        await connection.send(
            b"GET http://%b/ HTTP/1.1\r\nHost: a\r\n\r\n" % peer.authority.encode()
        )
        await until(lambda: peer.accepted, 5, "it was asked")
        proxy.send_signal(signal.SIGTERM)
        self.assertEqual((await read_response(connection)).body, b"done")
        self.assertEqual(await connection.read_to_end(), b"")
        self.assertEqual(await proxy.wait(), SIGTERM_STATUS, proxy.output)
        proxy.assert_quiet()


class NotifyTests(ProxyCase):
    """sd_notify(3) over a unix datagram socket."""

    def listen(self, name: str) -> socket.socket:
        """A supervisor's socket; *name* begins with ``\\0`` for an abstract one."""
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(name)
        notify.setblocking(False)
        self.addCleanup(notify.close)
        return notify

    def heard(self, notify: socket.socket) -> list[str]:
        """What came by now."""
        lines: list[str] = []
        while True:
            try:
                lines += notify.recv(4096).decode().splitlines()
            except BlockingIOError:
                return lines

    async def test_ready_and_stopping(self) -> None:
        """READY=1 when the port is bound, STOPPING=1 with the signal; also in abstract names."""
        short = f"/tmp/aluvia-notify-{os.getpid()}"
        self.addCleanup(os.unlink, short)
        for name in (short, f"\0aluvia-notify-{os.getpid()}"):
            notify = self.listen(name)
            variable = name.replace("\0", "@")
            environment = clean_environment(NOTIFY_SOCKET=variable)
            proxy = await self.spawn(environment=environment).ready()
            lines: list[str] = []

            def said(word: str, notify: socket.socket = notify, lines: list[str] = lines) -> bool:
                lines += self.heard(notify)
                return word in lines

            await until(lambda said=said: said("READY=1"), 5, "READY=1")  # type: ignore[misc]
            self.assertNotIn("STOPPING=1", lines)
            (await proxy.connect()).close()
            await proxy.at_rest()
            await proxy.stop()
            self.assertTrue(said("STOPPING=1"), proxy.output)

    async def test_watchdog(self) -> None:
        """WATCHDOG=1 at least twice within the interval that the supervisor asks for."""
        notify = self.listen(f"\0aluvia-watchdog-{os.getpid()}")
        environment = clean_environment(
            NOTIFY_SOCKET=f"@aluvia-watchdog-{os.getpid()}", WATCHDOG_USEC="1000000"
        )
        await self.spawn(environment=environment).ready()
        await pause(2.2)
        self.assertGreaterEqual(self.heard(notify).count("WATCHDOG=1"), 3)

    async def test_socket_that_is_not_there(self) -> None:
        """A supervisor that is gone costs a line at most, not the service."""
        environment = clean_environment(NOTIFY_SOCKET="/nonexistent/notify")
        proxy = await self.spawn(environment=environment).ready()
        self.assertEqual((await proxy.admin("/healthz")).status, 200)
