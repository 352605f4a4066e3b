"""Clients of an edge that ask without pause, and hold it against it if one answer is missing."""

from __future__ import annotations

import json
import typing

from twisted.internet.defer import Deferred, gatherResults

from aluvia.testing.connection import FaultConnection
from tests.aluvia_process import until
from tests.edge_case import SECONDS, EdgeCase
from tests.edge_process import EdgeProcess

BODY = b"0123456789" * 20

Connect = typing.Callable[[], typing.Coroutine[Deferred[typing.Any], object, FaultConnection]]


class Load:
    """
    Clients. Each asks again as soon as it was answered, until :meth:`stop`.

    :param posts: whether every third request is one that cannot be sent twice.
    :ivar failures: what was not as it should be, with the name of the client.
    :ivar counts: how often each was answered, by its name.
    """

    def __init__(self, case: EdgeCase, *, posts: bool = True) -> None:
        self.failures: list[str] = []
        self.counts: dict[str, int] = {}
        self._case = case
        self._posts = posts
        self._over = False
        self._running: list[Deferred[None]] = []

    def keep(self, name: str, connection: FaultConnection, host: str) -> None:
        """One that has one connection for all it asks."""

        async def ask(number: int) -> None:
            await self._ask(connection, host, number)

        self._begin(name, ask)

    def anew(self, name: str, connect: Connect, host: str) -> None:
        """One that makes a connection for everything that it asks."""

        async def ask(number: int) -> None:
            connection = await connect()
            await self._ask(connection, host, number)
            connection.reset()

        self._begin(name, ask)

    async def stream(self, name: str, connection: FaultConnection, host: str) -> None:
        """One that has a WebSocket."""
        answer = await self._case.upgrade(connection, host)
        self._case.assertEqual(answer.status, 101, answer)

        async def ask(number: int) -> None:
            said = b"%s %d" % (name.encode(), number)
            await connection.send(said)
            heard = await connection.read_exactly(len(said))
            assert heard == said, heard

        self._begin(name, ask)

    async def turn(self) -> None:
        """Wait until each has been answered something that it has asked since now."""
        before = dict(self.counts)

        def is_over() -> bool:
            # The first of them may have been asked before.
            return bool(self.failures) or all(
                count >= before[name] + 2 for name, count in self.counts.items() if name in before
            )

        await until(is_over, SECONDS, f"everybody is answered: {before}, {self.counts}")
        self._case.assertEqual(self.failures, [])

    async def stop(self) -> int:
        """Let everybody come to an end; how often they were answered in all."""
        self._over = True
        await gatherResults(self._running)
        self._case.assertEqual(self.failures, [])
        return sum(self.counts.values())

    async def _ask(self, connection: FaultConnection, host: str, number: int) -> None:
        body = BODY if self._posts and number % 3 == 0 else b""
        path = f"/{number}"
        answer = await self._case.say(
            connection, host, path, method="POST" if body else "GET", body=body
        )
        assert answer.status == 200, answer
        assert answer.header(b"connection") is None, answer
        seen = json.loads(answer.body)
        assert (seen["target"], seen["body"]) == (path, body.decode()), seen

    def _begin(
        self, name: str, ask: typing.Callable[[int], typing.Coroutine[typing.Any, typing.Any, None]]
    ) -> None:
        self.counts[name] = 0

        async def go_on() -> None:
            while not self._over:
                try:
                    await ask(self.counts[name])
                except Exception as error:
                    self.failures.append(f"{name}: {type(error).__name__}: {error}")
                    return
                self.counts[name] += 1

        self._running.append(Deferred.fromCoroutine(go_on()))


async def usual_load(case: EdgeCase, edge: EdgeProcess, *hosts: str, secure: bool = True) -> Load:
    """Of each host one client of each kind, in the clear and inside TLS."""
    load = Load(case)
    for host in hosts:

        async def plain() -> FaultConnection:
            return await case.connect(edge)

        async def inside(host: str = host) -> FaultConnection:
            return await case.secure(edge, host)

        ways: dict[str, Connect] = {"plain": plain, **({"TLS": inside} if secure else {})}
        for way, connect in ways.items():
            load.keep(f"{host} kept {way}", await connect(), host)
            load.anew(f"{host} anew {way}", connect, host)
            await load.stream(f"{host} stream {way}", await connect(), host)
    return load
