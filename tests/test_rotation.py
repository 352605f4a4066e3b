"""Credentials that change under load, and the end of a client that has much to do."""

from __future__ import annotations

import collections
import signal
import typing

from twisted.internet.defer import Deferred, gatherResults

from aluvia.testing.connection import FaultConnection
from aluvia.testing.control_plane import FakeControlPlane
from aluvia.testing.ended import ConnectionEnded
from aluvia.testing.faults import Echo, Stall
from aluvia.testing.gateway import FakeGateway
from aluvia.testing.http import read_response
from aluvia.testing.origin import Visit
from tests.aluvia_process import AluviaProcess, pause, reactor, until
from tests.following import SECONDS, FollowingCase
from tests.support import PASSWORD

WORKERS = 20
ROTATIONS = 5


class Load:
    """
    Workers that go on asking until they are stopped.

    :ivar done: how many requests each worker has had answered.
    :ivar failed: what went wrong.
    """

    def __init__(self, one: typing.Callable[[int, int], typing.Any]) -> None:
        self.done: collections.Counter[int] = collections.Counter()
        self.failed: list[str] = []
        self.stopping = False
        self._one = one
        self._all = gatherResults(
            [Deferred.fromCoroutine(self._work(number)) for number in range(WORKERS)],
            consumeErrors=True,
        )

    async def _work(self, worker: int) -> None:
        while not self.stopping:
            try:
                await self._one(worker, self.done[worker])
            except Exception as error:
                self.failed.append(f"worker {worker}: {error!r}")
                if len(self.failed) > 100:
                    self.stopping = True
            self.done[worker] += 1
            await pause(0)

    async def round(self, count: int = 1) -> None:
        """Wait until each worker has had *count* more answers, all asked for after this call."""
        wanted = {worker: self.done[worker] + count + 1 for worker in range(WORKERS)}
        await until(
            lambda: self.stopping or all(self.done[w] >= wanted[w] for w in wanted),
            SECONDS,
            f"a round of all workers; failed: {self.failed[:10]}",
        )

    async def stop(self) -> None:
        """Let them finish what they are at."""
        self.stopping = True
        await self._all


class RotationTests(FollowingCase):
    """The password changes at the gateway and at the control plane, in one moment."""

    async def test_rotation_under_load(self) -> None:
        """
        Not one request or tunnel fails that could be asked again, and the control plane is asked
        about once a second at most.
        """
        plane, gateway = self.plane(rules=["*"]), self.gateway()
        origin, echo = self.origin(), self.peer([Echo()])
        process = await self.following(plane, "--poll-interval", "3600", gateway=gateway)
        body = b"b" * 60_000

        async def one(worker: int, count: int) -> None:
            host = f"{worker}.example.com"
            if (worker + count) % 3 == 0:
                connection, answer = await self.tunnel(process, f"{host}:{echo.port}")
                assert answer.status == 200, answer
                await connection.send(b"ping")
                assert await connection.read_exactly(4) == b"ping"
                connection.close()
                return
            if (worker + count) % 3 == 1:
                answer = await self.get(process, f"http://{host}:{origin.port}/")
            else:
                head = (
                    f"POST http://{host}:{origin.port}/ HTTP/1.1\r\nHost: {host}\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n"
                )
                answer = await self.ask(process, head.encode() + body)
            assert answer.status == 200, answer

        began = reactor.seconds()
        load = Load(one)
        passwords = [f"{PASSWORD}-{number}" for number in range(ROTATIONS)]
        for password in passwords:
            await load.round()
            gateway.password = password
            plane.change(proxy_password=password)
        await load.round()
        await load.stop()
        elapsed = reactor.seconds() - began
        self.assertEqual(load.failed, [])
        self.assertGreaterEqual(len(plane.asked), 1 + ROTATIONS)
        self.assertLessEqual(len(plane.asked), 2 + elapsed)
        metrics = await process.metrics()
        self.assertGreaterEqual(metrics["aluvia_credentials_renewed_total"], ROTATIONS)
        self.assertEqual(metrics["aluvia_config_revision"], 1 + ROTATIONS)
        refused = sum(not asked.authorized for asked in gateway.asked)
        self.assertGreater(refused, 0)
        for connection in self._connections:
            connection.close()

    async def test_gateway_first(self) -> None:
        """
        The gateway knows the new password before the control plane does: requests are answered
        502 meanwhile, and the control plane is asked once a second, not once a request.
        """
        plane, gateway, origin = self.plane(rules=["*"]), self.gateway(), self.origin()
        process = await self.following(plane, "--poll-interval", "3600", gateway=gateway)
        gateway.password = f"{PASSWORD}-new"
        began, refused = reactor.seconds(), 0

        async def one(worker: int, count: int) -> None:
            nonlocal refused
            answer = await self.get(process, f"http://{worker}.example.com:{origin.port}/")
            refused += answer.status == 502
            assert answer.status in (200, 502), answer

        load = Load(one)
        await load.round(2)
        self.assertGreaterEqual(refused, WORKERS)
        plane.change(proxy_password=gateway.password)
        await load.round(2)
        before = refused
        await load.round()
        await load.stop()
        self.assertEqual(load.failed, [])
        self.assertEqual(refused, before)
        self.assertLessEqual(len(plane.asked), 2 + reactor.seconds() - began)


class EndTests(FollowingCase):
    """SIGTERM to a client that follows a control plane and has much to do."""

    async def busy(self) -> tuple[FakeControlPlane, FakeGateway, AluviaProcess]:
        """A proxy with a control plane whose monitor is being asked."""
        plane, gateway = self.plane(rules=["*.example.com"]), self.gateway()
        plane.monitored = True
        process = await self.following(plane, "--drain-timeout", "60", gateway=gateway)
        await until(lambda: plane.asked[-1].path.endswith("/monitor"), SECONDS, "it watches")
        return plane, gateway, process

    async def test_drain_under_load(self) -> None:
        """What was asked before the signal is answered; then it ends, with 143 and a quiet log."""
        _, _, process = await self.busy()
        origin = self.origin()
        waiting: list[Deferred[None]] = []

        async def slow(visit: Visit) -> None:
            answer: Deferred[None] = Deferred()
            waiting.append(answer)
            await answer
            await visit.answer(200, [], b"late")

        origin.routes["/slow"] = slow
        connections = []
        for number in range(WORKERS):
            host = "www.example.com" if number % 2 else "127.0.0.1"
            connection = await self.connect(process)
            connections.append(connection)
            await connection.send(
                f"GET http://{host}:{origin.port}/slow HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
            )
        await until(lambda: len(waiting) == WORKERS, SECONDS, "all are asked")
        process.send_signal(signal.SIGTERM)
        await until(lambda: "Draining" in process.output, SECONDS, "it drains")
        with self.assertRaises(ConnectionRefusedError):
            await process.connect()
        self.assertFalse(process.ended)
        for answer in waiting:
            answer.callback(None)
        for connection in connections:
            self.assertEqual((await read_response(connection)).body, b"late")
        self.assertEqual(await process.wait(), 128 + signal.SIGTERM, process.output)
        process.assert_quiet()

    async def test_second_signal(self) -> None:
        """A second SIGTERM ends it at once, tunnels and the question to the monitor too."""
        _, _, process = await self.busy()
        peer = self.peer([Stall()])
        tunnels: list[FaultConnection] = []
        for number in range(WORKERS):
            host = "www.example.com" if number % 2 else "127.0.0.1"
            tunnel, answer = await self.tunnel(process, f"{host}:{peer.port}")
            self.assertEqual(answer.status, 200)
            tunnels.append(tunnel)
        process.send_signal(signal.SIGTERM)
        await until(lambda: "Draining" in process.output, SECONDS, "it drains")
        self.assertFalse(process.ended)
        process.send_signal(signal.SIGTERM)
        # Far less than the 60 s that it would drain.
        self.assertEqual(await process.wait(30), 128 + signal.SIGTERM, process.output)
        process.assert_quiet()
        for tunnel in tunnels:
            try:
                self.assertEqual(await tunnel.read_some(), b"")
            except ConnectionEnded:
                continue
