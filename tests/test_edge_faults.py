"""Backends of the edge that fail in every way: what could be answered is, and all come back."""

from __future__ import annotations

import enum
import typing

import h11

from aluvia.testing.ended import ConnectionEnded
from aluvia.testing.faults import Accepting, Drip, Read, Script, Send
from aluvia.testing.lies import LIES
from aluvia.testing.origin import FakeOrigin, Visit, echo
from tests.aluvia_process import reactor, until
from tests.edge_case import SECONDS, EdgeCase, backend, request
from tests.edge_load import Load
from tests.edge_process import Api, EdgeProcess
from tests.support import refused_lie, tell

#: Every tenth of a second it is seen who is well.
CHECK = {"path": "/", "interval": 1}


class Mood(enum.Enum):
    """What a backend does with who asks."""

    WELL = enum.auto()
    REFUSES = enum.auto()
    RESETS = enum.auto()
    CLOSES = enum.auto()
    STALLS = enum.auto()
    GARBAGE = enum.auto()
    HALF = enum.auto()


class Moody:
    """
    A backend with moods.

    :ivar asked: how often, while it was well.
    :ivar delay: how long it takes then; seconds.
    """

    def __init__(self, origin: FakeOrigin, id: str) -> None:
        self.id = id
        self.asked = 0
        self.delay = 0.0
        self._origin = origin
        self._mood = Mood.WELL
        origin.fallback = self._answer

    @property
    def document(self) -> dict[str, typing.Any]:
        """As the API takes it."""
        return backend(self._origin, self.id)

    @property
    def mood(self) -> Mood:
        """What it does."""
        return self._mood

    @mood.setter
    def mood(self, mood: Mood) -> None:
        peer = self._origin.peer
        refusing = Mood.REFUSES in (mood, self._mood)
        if mood is not self._mood and refusing:
            accepting = Accepting.REFUSE if mood is Mood.REFUSES else Accepting.ACCEPT
            peer.set_accepting(accepting)
        self._mood = mood
        for connection in tuple(peer.open):
            # Whatever it was about, it will not end it.
            connection.reset()

    async def _answer(self, visit: Visit) -> None:
        connection = visit.conversation.connection
        match self._mood:
            case Mood.WELL:
                self.asked += 1
                if self.delay:
                    await connection.sleep(self.delay)
                await echo(visit)
            case Mood.STALLS:
                await connection.stall()
            case Mood.CLOSES:
                connection.close()
            case Mood.GARBAGE:
                await connection.send(b"no answer at all\r\n\r\n")
                connection.close()
            case Mood.HALF:
                await visit.begin(200, [(b"Content-Length", b"100")])
                await visit.send(b"half")
                connection.close()
            case _:
                connection.reset()


class FaultCase(EdgeCase):
    """An edge with a few backends that have moods."""

    timeout = 180

    async def moody(self, count: int, **fields: object) -> tuple[EdgeProcess, Api, list[Moody]]:
        """Start them all."""
        edge = await self.edge()
        api = self.api(edge)
        backends = [Moody(self.origin(), f"b{number}") for number in range(count)]
        timeouts = {"connect": 2, "firstByte": 2, "idle": 5}
        documents = [each.document for each in backends]
        await self.route(api, "a.example", *documents, timeouts=timeouts, **fields)
        return edge, api, backends

    async def load(self, edge: EdgeProcess) -> Load:
        """Some who ask what can be asked again."""
        load = Load(self, posts=False)
        for number in range(4):
            load.keep(f"client {number}", await self.connect(edge), "a.example")
        return load

    async def until_asked(self, edge: EdgeProcess, moody: Moody) -> None:
        """Wait until a backend is asked again."""
        before = moody.asked

        async def is_asked() -> bool:
            await self.visit(edge, "a.example")
            return moody.asked > before

        await self.until_true(is_asked, f"{moody.id} is asked")


class OneOfSeveralTests(FaultCase):
    """While one is well, nobody who can be answered is not."""

    async def test_every_fault_of_all_but_one(self) -> None:
        """
        Two of three refuse, reset, close or stall, in turn: not one request fails, and each is back
        when it is well.
        """
        edge, api, backends = await self.moody(3, healthCheck=CHECK)
        load = await self.load(edge)
        moods = (Mood.REFUSES, Mood.RESETS, Mood.CLOSES, Mood.STALLS)
        for number, mood in enumerate(moods):
            ill = [backends[number % 3], backends[(number + 1) % 3]]
            for each in ill:
                each.mood = mood
                await self.until_dead(api, "a", each.id)
            await load.turn()
            for each in ill:
                each.mood = Mood.WELL
            for each in ill:
                await self.until_dead(api, "a", each.id, dead=False)
            await load.turn()
        await load.stop()
        for each in backends:
            await self.until_asked(edge, each)

    async def test_flapping(self) -> None:
        """One that comes and goes all the time costs nobody an answer, and is there at the end."""
        edge, api, (steady, flapping) = await self.moody(
            2, healthCheck={"tcp": True, "interval": 1}
        )
        load = await self.load(edge)
        for number in range(40):
            flapping.mood = Mood.REFUSES if number % 2 == 0 else Mood.WELL
            if number % 10 == 9:
                await self.until_dead(api, "a", flapping.id, dead=False)
            await load.turn()
        await load.stop()
        await self.until_dead(api, "a", flapping.id, dead=False)
        await self.until_asked(edge, flapping)
        self.assertTrue(steady.asked)

    async def test_half_answers(self) -> None:
        """
        Who got the half of an answer sees it; nobody after that does. Well again, it is tried as
        soon as its operator says that it is ready.
        """
        edge, api, (ill, well) = await self.moody(2)
        self.assertEqual((await self.visit(edge, "a.example")).status, 200)
        ill.mood = Mood.HALF
        cut = 0
        for _ in range(20):
            try:
                self.assertEqual((await self.visit(edge, "a.example")).status, 200)
            except (ConnectionEnded, h11.RemoteProtocolError):
                cut += 1
        self.assertEqual(cut, 1)
        await self.until_dead(api, "a", ill.id)
        ill.mood = Mood.WELL
        for word in ("drain", "ready"):
            await api.done("POST", f"/routes/a/backends/{ill.id}/{word}")
        self.assertEqual((await self.visit(edge, "a.example")).status, 200)
        self.assertFalse((await api.get(f"/routes/a/backends/{ill.id}"))["isDead"])
        await self.until_asked(edge, ill)
        self.assertTrue(well.asked)


class AllTests(FaultCase):
    """When none is well, it is said at once; the first that is well again answers."""

    async def test_all_are_killed_and_one_is_revived(self) -> None:
        """
        Without any probe, and though all are out for half a minute: who is ready is asked rather
        than nobody.
        """
        edge, api, backends = await self.moody(3)
        for each in backends:
            each.mood = Mood.REFUSES
        for _ in range(10):
            answer = await self.visit(edge, "a.example")
            self.assertEqual(answer.status, 502, answer)
            status = answer.header(b"proxy-status") or b""
            self.assertEqual(status, b"aluvia-edge; error=connection_refused")
        for each in backends:
            await self.until_dead(api, "a", each.id)
        self.assertIn("All backends of a are dead", edge.output)
        backends[1].mood = Mood.WELL
        for _ in range(30):
            self.assertEqual((await self.visit(edge, "a.example")).status, 200)
        self.assertEqual((await api.get("/routes/a/backends/b1"))["failureCount"], 0)
        self.assertTrue((await api.get("/routes/a/backends/b0"))["isDead"])

    async def test_each_cause_has_its_answer(self) -> None:
        """502 and 504 by what went wrong, and why in Proxy-Status, the log and the statistics."""
        edge, api, (only,) = await self.moody(1)
        for mood, status, error in (
            (Mood.REFUSES, 502, "connection_refused"),
            (Mood.RESETS, 502, "connection_terminated"),
            (Mood.CLOSES, 502, "connection_terminated"),
            (Mood.GARBAGE, 502, "http_protocol_error"),
            (Mood.STALLS, 504, "http_response_timeout"),
        ):
            only.mood = mood
            for method in ("GET", "POST"):
                answer = await self.visit(edge, "a.example", method=method)
                self.assertEqual(answer.status, status, (mood, answer))
                told = (answer.header(b"proxy-status") or b"").decode()
                self.assertRegex(told, rf"^aluvia-edge; error={error}(;|$)", mood)
                self.assertEqual(answer.header(b"content-type"), b"application/problem+json")
                self.assertTrue(answer.header(b"x-request-id"))
        stats = await api.get("/stats/a")
        causes = stats["sinceStart"]["errors"]["byCause"]
        self.assertEqual(causes["connection_terminated"], 4)
        self.assertEqual(stats["sinceStart"]["answers"]["5xx"], 10)
        only.mood = Mood.WELL
        self.assertEqual((await self.visit(edge, "a.example")).status, 200)

    async def test_lies(self) -> None:
        """An answer with two readings, or none, is a 502 each time, and never passed on."""
        edge = await self.edge()
        api = self.api(edge)
        peer = self.peer(*map(tell, LIES.values()))
        await self.route(api, "a.example", backend(peer))
        for name in LIES:
            answer = await self.visit(edge, "a.example")
            status = (answer.header(b"proxy-status") or b"").replace(b"aluvia-edge", b"aluvia")
            headers = [(b"proxy-status", status.partition(b"; received")[0])]
            told = type(answer)(answer.status, headers, answer.body)
            self.assertTrue(refused_lie(told, name), (name, answer))

    async def test_timeout_is_no_shorter_than_it_says(self) -> None:
        """A backend that answers well within the time for its first byte is not taken for dead."""
        edge, api, (only,) = await self.moody(1, retries=0)
        await api.done("PATCH", "/routes/a", {"timeouts": {"firstByte": 0.6}})
        only.delay = 0.1
        connection = await self.connect(edge)
        for _ in range(25):
            self.assertEqual((await self.say(connection, "a.example")).status, 200)

    async def test_slow_answer_is_no_stalled_one(self) -> None:
        """What comes in drips that are sooner than the idle timeout comes whole."""
        edge = await self.edge()
        api = self.api(edge)
        drips: Script = [
            Read(until=b"\r\n\r\n"),
            Send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"),
            Drip(b"slowly..", every=0.1),
        ]
        peer = self.peer(drips)
        timeouts = {"connect": 1, "firstByte": 0.4, "idle": 0.4}
        await self.route(api, "a.example", backend(peer), timeouts=timeouts)
        self.assertEqual((await self.visit(edge, "a.example")).body, b"slowly..")

    async def test_nobody_listens_in_the_end(self) -> None:
        """A connect that is not answered takes the connect timeout, and then another backend."""
        edge = await self.edge()
        api = self.api(edge)
        silent, well = self.peer([], accepting=Accepting.IGNORE), self.origin()
        timeouts = {"connect": 0.3, "firstByte": 60, "idle": 300}
        await self.route(
            api, "a.example", backend(silent, "silent"), backend(well, "well"), timeouts=timeouts
        )
        began = reactor.seconds()
        for number in range(6):
            answer = await self.visit(edge, "a.example", method="POST", body=b"%d" % number)
            self.assertEqual(answer.status, 200, answer)
        self.assertLess(reactor.seconds() - began, 5)
        await self.until_dead(api, "a", "silent")

    async def test_clients_that_leave(self) -> None:
        """Nothing stays behind of requests whose clients left, wherever they were."""
        edge, api, (only,) = await self.moody(1, reqActiveLength=2, reqQueueLength=50)
        only.mood = Mood.STALLS
        await api.done("PATCH", "/routes/a", {"timeouts": {"firstByte": 60}})
        clients = [await self.connect(edge) for _ in range(20)]
        for client in clients:
            await client.send(request("a.example"))
        stats: dict[str, typing.Any] = {}

        async def counts(in_flight: int, queued: int) -> bool:
            stats.update(await api.get("/stats/a"))
            return (stats["inFlight"], stats["queued"]) == (in_flight, queued)

        await self.until_true(lambda: counts(2, 18), "all are in")
        for client in clients[2:]:
            client.reset()
        await self.until_true(lambda: counts(2, 0), "those in line are gone")
        for client in clients[:2]:
            client.close()
        await self.until_true(lambda: counts(0, 0), "all are gone")
        self.assertEqual(stats["sinceStart"]["clientGone"], 20)
        self.assertEqual((await api.get("/routes/a/backends/b0"))["active"], 0)
        await until(lambda: edge.sockets() <= edge.sockets_at_rest + 1, SECONDS, "all is closed")
        only.mood = Mood.WELL
        self.assertEqual((await self.visit(edge, "a.example")).status, 200)
