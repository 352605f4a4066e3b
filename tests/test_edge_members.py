"""Which backend of the edge is asked, and asked again: what must not happen there, by its name."""

from __future__ import annotations

import collections
import json
import typing

from aluvia.testing.faults import Accepting, Close, FaultPeer, Read, Reset, Script, Send
from aluvia.testing.http import read_response
from aluvia.testing.origin import Visit
from tests.aluvia_process import pause, reactor
from tests.edge_case import EdgeCase, Seen, backend
from tests.edge_process import Api

ASKED = Read(until=b"\r\n\r\n")


class MemberTests(EdgeCase):
    """Who is asked."""

    async def test_must_not_happen_a_dead_backend_out_for_ever_after_one_failed_trial(self) -> None:
        """It fails its trial, and the one after that; then it is well, and is asked again."""
        edge = await self.edge()
        api, well = self.api(edge), self.origin()
        # Who connects, and asks nothing, is a probe, and finds nothing wrong.
        script: list[Script] = [[ASKED, Reset()]]
        ill = FaultPeer(reactor, lambda number: script[0])
        self._stopping.append(ill)
        check = {"tcp": True, "interval": 1}
        documents = backend(ill, "ill"), backend(well, "well")
        await self.route(api, "a.example", *documents, healthCheck=check)
        await self.until_dead_by_asking(edge, api)

        async def has_failed(times: int) -> bool:
            self.assertEqual((await self.visit(edge, "a.example")).status, 200)
            return bool((await api.get("/routes/a/backends/ill"))["failureCount"] >= times)

        await self.until_true(lambda: has_failed(3), "it fails two trials")
        ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        script[0] = [ASKED, Send(ok), Close()]

        async def is_back() -> bool:
            await self.visit(edge, "a.example")
            return not (await api.get("/routes/a/backends/ill"))["isDead"]

        await self.until_true(is_back, "it is back")
        bodies = [(await self.visit(edge, "a.example")).body for _ in range(80)]
        self.assertIn(b"ok", bodies)

    async def until_dead_by_asking(self, edge: typing.Any, api: Api) -> None:
        """Ask until one is found dead."""

        async def is_dead() -> bool:
            self.assertEqual((await self.visit(edge, "a.example")).status, 200)
            return bool((await api.get("/routes/a/backends/ill"))["isDead"])

        await self.until_true(is_dead, "it is dead")

    async def test_must_not_happen_ip_hash_choosing_dead_members(self) -> None:
        """Those of a dead one go elsewhere, and it gets none; nobody else moves, then or later."""
        edge = await self.edge("--trusted-proxy", "127.0.0.1")
        api, origins = self.api(edge), [self.origin() for _ in range(3)]
        documents = [backend(origin, f"b{number}") for number, origin in enumerate(origins)]
        await self.route(api, "a.example", *documents, strategy="IP_HASH")
        connection = await self.connect(edge)

        async def homes() -> dict[int, int]:
            found = {}
            for client in range(60):
                before = [len(origin.visits) for origin in origins]
                answer = await self.say(
                    connection, "a.example", "/", f"X-Forwarded-For: 192.0.2.{client}"
                )
                self.assertEqual(answer.status, 200)
                after = [len(origin.visits) for origin in origins]
                found[client] = [a - b for a, b in zip(after, before, strict=True)].index(1)
            return found

        first = await homes()
        self.assertEqual(await homes(), first)
        self.assertEqual(set(first.values()), {0, 1, 2})
        asked = 0

        async def die(visit: Visit) -> None:
            nonlocal asked
            asked += 1
            origins[1].visits.pop()
            visit.conversation.connection.reset()

        well, origins[1].fallback = origins[1].fallback, die
        moved = await homes()
        self.assertTrue((await api.get("/routes/a/backends/b1"))["isDead"])
        for client, home in first.items():
            if home == 1:
                self.assertNotEqual(moved[client], 1)
            else:
                self.assertEqual(moved[client], home)
        # The first that came, on a connection that was kept, and once more on a new one.
        self.assertLessEqual(asked, 2)
        self.assertEqual(await homes(), moved)
        self.assertLessEqual(asked, 2)
        origins[1].fallback = well
        for word in ("drain", "ready"):
            await api.done("POST", f"/routes/a/backends/b1/{word}")
        # Its own come back to it one after the other.
        for client, home in (await homes()).items():
            self.assertIn(home, (moved[client], first[client]))
        self.assertFalse((await api.get("/routes/a/backends/b1"))["isDead"])

    async def test_must_not_happen_a_fast_500_winning_on_latency(self) -> None:
        """Who fails at once does not attract those whom a slow one would have answered."""
        edge = await self.edge()
        api, slow, failing = self.api(edge), self.origin(), self.origin()

        async def answer_late(visit: Visit) -> None:
            await pause(0.02)
            await visit.answer(200, [])

        async def fail(visit: Visit) -> None:
            await visit.answer(500, [])

        slow.fallback, failing.fallback = answer_late, fail
        await self.route(
            api,
            "a.example",
            *(backend(slow, "slow"), backend(failing, "failing")),
            strategy="LEAST_LATENCY",
        )
        statuses: collections.Counter[int] = collections.Counter()
        connection = await self.connect(edge)
        for _ in range(100):
            statuses[(await self.say(connection, "a.example")).status] += 1
        self.assertLess(statuses[500], 10, statuses)
        self.assertFalse((await api.get("/routes/a/backends/failing"))["isDead"])


class RetryTests(EdgeCase):
    """What is sent a second time."""

    BODIES = (b"x" * 10, b"begin " + b"y" * 50_000 + b" end")

    async def two(self, *scripts: Script) -> typing.Any:
        """An edge with a backend that fails, for one request each, and one that is well."""
        edge = await self.edge()
        api, well = self.api(edge), self.origin()
        for number, script in enumerate(scripts):
            ill = self.peer(script)
            documents = backend(ill, "ill"), backend(well, "well")
            await self.route(api, f"r{number}.example", *documents)
        return edge, well

    async def test_must_not_happen_a_retried_post_with_an_empty_or_cut_body(self) -> None:
        """
        Refused, it is sent whole to another one. Lost after it was sent, it is not sent again,
        since it may have been done; a PUT is, with all of its body, or not at all.
        """
        reset: Script = [ASKED, Reset()]
        late: Script = [Read(until=b" end"), Close()]
        edge, well = await self.two(reset, reset, late, late, [Read(count=100_000), Reset()])
        for host, method, body, status in (
            ("r0.example", "POST", self.BODIES[0], 502),
            ("r1.example", "PUT", self.BODIES[0], 200),
            ("r2.example", "PUT", self.BODIES[1], 200),
            ("r3.example", "POST", self.BODIES[1], 502),
            ("r4.example", "PUT", b"z" * 200_000, 502),
        ):
            count = len(well.visits)
            answer = await self.visit(edge, host, method=method, body=body)
            self.assertEqual(answer.status, status, (host, answer))
            self.assertEqual(len(well.visits) - count, 1 if status == 200 else 0, host)
            if status == 200:
                self.assertEqual(Seen(json.loads(answer.body)).body, body.decode())

    async def test_must_not_happen_a_retried_post_with_an_empty_or_cut_body_when_refused(
        self,
    ) -> None:
        """Nothing was sent, so nothing is lost: of any length, also in chunks."""
        edge = await self.edge()
        api, well = self.api(edge), self.origin()
        for number in range(4):
            refusing = self.peer([], accepting=Accepting.REFUSE)
            documents = backend(refusing, "ill"), backend(well, "well")
            await self.route(api, f"r{number}.example", *documents)
        for number, body in enumerate((b"x", b"y" * 70_000, b"z" * 400_000)):
            answer = await self.visit(edge, f"r{number}.example", method="POST", body=body)
            self.assertEqual(Seen(json.loads(answer.body)).body, body.decode())
        connection = await self.connect(edge)
        head = b"POST / HTTP/1.1\r\nHost: r3.example\r\nTransfer-Encoding: chunked\r\n\r\n"
        await connection.send(head + b"5\r\nfirst\r\n")
        await connection.send(b"5\r\n-last\r\n0\r\n\r\n")
        answer = await read_response(connection)
        self.assertEqual(Seen(json.loads(answer.body)).body, "first-last")
