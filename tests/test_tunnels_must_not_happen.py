"""
What must not happen in tunnels: the list of their design, each by its name, from outside.

What needs a clock, or bytes that no program sends, has its tests in memory too; a gigabyte and
other people's programs are in :mod:`tests.peers`.

==============================================  ====================================================
one slow request blocking the agent's others    here; ``aluvia.agent.test.test_streams``,
                                                ``aluvia.hub.test.test_polling``
a lost request after a lost poll                here; ``aluvia.hub.test.test_pulls``
SSE held back                                   here; ``tests.peers.test_tunnel_peers``
a 1 GB body growing memory                      ``tests.peers.test_tunnel_bulk``;
                                                ``aluvia.net.test.test_mux``
one slow reader stalling other streams          here; ``tests.peers.test_tunnel_load``,
                                                ``aluvia.net.test.test_mux``
an id stolen                                    here; ``aluvia.hub.test.test_registry``
two agents of one name flapping                 here; ``aluvia.hub.test.test_registry``,
                                                ``aluvia.hub.test.test_poll_sessions``
a visitor's token seen by the app               here; ``aluvia.edge.test.test_tunnel_visitors``
the agent following redirects, unpacking gzip   here; ``aluvia.agent.test.test_streams``
a half-open TCP unnoticed past 25 s             here; ``tests.peers.test_tunnel_network``,
                                                ``aluvia.net.test.test_mux``
500 agents at once knocking the hub over        here
bad frames crashing either side                 here; ``aluvia.net.test.test_mux``,
                                                ``aluvia.hub.test.test_wss``
a late answer reaching the wrong visitor        here; ``aluvia.hub.test.test_polling``
==============================================  ====================================================
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import typing

import attrs
from twisted.internet.defer import Deferred, gatherResults

from aluvia.net.websocket import WebSocketClosed
from aluvia.testing.connection import FaultConnection
from aluvia.testing.dialling import dial
from aluvia.testing.faults import FaultPeer, Flood, Read, Send, Stall
from aluvia.testing.http import read_response
from aluvia.testing.origin import Visit
from aluvia.wire.frames import MOST_CREDIT, Capability, open_frame, window_frame
from tests.aluvia_process import pause, reactor, until
from tests.edge_case import SECONDS, UPGRADE, Seen, request
from tests.tunnel_case import HOST, SILENCE_SECONDS, TunnelCase

ASKED = Read(until=b"\r\n\r\n")

#: What a browser would notice; seconds.
PROMPT = 0.1

#: RFC 6455 section 1.3.
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

TOKEN = "canary-visitor-token-51d0"

#: Each breaks one rule of :mod:`aluvia.wire.frames`, by kind, flags, length and stream.
BAD_FRAMES = {
    "no frame": b"GET / HTTP/1.1\r\n\r\n",
    "a bad length": b"\x02\x00\xff\xff\x00\x00\x00\x01" + bytes(60_000),
    "a bad length of a window": b"\x03\x00\x00\x03\x00\x00\x00\x01abc",
    "an unknown kind": b"\x63\x00\x00\x00\x00\x00\x00\x01",
    "the reserved kind": b"\x09\x00\x00\x00\x00\x00\x00\x01",
    "flags": b"\x04\x01\x00\x00\x00\x00\x00\x01",
    "an unknown stream": b"\x02\x00\x00\x01\x00\x00\xff\xffx",
    "credit of an unknown stream": b"\x03\x00\x00\x04\x00\x00\xff\xff\x7f\xff\xff\xff",
}

#: More than a stream ever has, on the first one.
TOO_MUCH_CREDIT = 2 * window_frame(1, MOST_CREDIT)


@attrs.frozen
class FakeHub:
    """A hub that agrees to a WebSocket and a registration, and then sends these frames."""

    frames: bytes

    async def play(self, connection: FaultConnection) -> None:
        """Do so."""
        head = (await connection.read_until(b"\r\n\r\n")).decode()
        (key,) = re.findall(r"(?i)^sec-websocket-key: *(\S+)", head, re.MULTILINE)
        accept = base64.b64encode(hashlib.sha1((key + WEBSOCKET_GUID).encode()).digest())
        fields = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + accept
        registered = json.dumps({"type": "registered", "tunnels": []}).encode()
        await connection.send(b"HTTP/1.1 101 Go\r\n" + fields + b"\r\n\r\n")
        await connection.read_some()
        await connection.send(b"\x81" + bytes([len(registered)]) + registered)
        await connection.send(b"\x82\x7e" + len(self.frames).to_bytes(2) + self.frames)
        # The agent takes its leave.
        await connection.read_some()
        connection.close()


class VisitorTests(TunnelCase):
    """One app, by one agent, and its visitors."""

    async def test_must_not_happen_one_slow_request_blocking_the_agents_others(self) -> None:
        """While one has no answer yet, a hundred others of the same agent are answered."""
        await self.hub()
        app, gate = self.origin(), Deferred[None]()

        async def slow(visit: Visit) -> None:
            await gate
            await visit.answer(200, [], b"at last")

        app.routes["/slow"] = slow
        await self.publish(app, self.origin())
        waiting = await self.connect(self.edge_process)
        await waiting.send(request(HOST, "/t/app/slow"))
        await until(lambda: app.visits, SECONDS, "it is asked")
        for number in range(25):
            self.assertEqual((await self.ask_tunnel(f"/{number}")).status, 200)
            self.assertEqual((await self.ask_tunnel(f"/{number}", id="app1")).status, 200)
        gate.callback(None)
        self.assertEqual((await read_response(waiting)).body, b"at last")

    async def test_must_not_happen_sse_held_back(self) -> None:
        """
        Each event is there when it is sent: the next is only sent when it was. The best of twenty
        took less than a tenth of a second; a machine that is busy may make some slower.
        """
        await self.hub()
        app, sent = self.origin(), [0.0]
        heard: list[Deferred[None]] = []

        async def events(visit: Visit) -> None:
            await visit.begin(200, [(b"Content-Type", b"text/event-stream")])
            for number in range(20):
                heard.append(Deferred())
                sent[0] = reactor.seconds()
                await visit.send(b"data: %d\n\n" % number)
                await heard[-1]
            await visit.end()

        app.routes["/events"] = events
        await self.publish(app)
        listening = await self.connect(self.edge_process)
        await listening.send(request(HOST, "/t/app/events"))
        took = []
        for number in range(20):
            await listening.read_until(b"data: %d\n\n" % number)
            took.append(reactor.seconds() - sent[0])
            heard[number].callback(None)
        self.assertLess(min(took), PROMPT)
        self.assertLess(sorted(took)[10], PROMPT, took)

    async def test_must_not_happen_one_slow_reader_stalling_other_streams(self) -> None:
        """Who does not read has the app wait, and nobody else; and the agent holds little of it."""
        await self.hub()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
        flood = self.peer([ASKED, Send(head), Flood(1_000_000_000)])
        agent = await self.publish(self.origin(), flood)
        self.assertEqual((await self.ask_tunnel()).status, 200)
        before = agent.resident_bytes(), self.edge_process.resident_bytes()
        slow = [await self.connect(self.edge_process, receive_buffer=4096) for _ in range(10)]
        for connection in slow:
            await connection.send(request(HOST, "/t/app1/"))
            connection.pause()
        stand = await self.stand(flood)
        for number in range(30):
            body = b"%d" % number * 50_000
            answer = await self.ask_tunnel("/", method="POST", body=body)
            self.assertEqual(Seen(json.loads(answer.body)).body, body.decode())
        # They were held all the time.
        self.assertEqual(await self.stand(flood), stand)
        grown = agent.resident_bytes() - before[0], self.edge_process.resident_bytes() - before[1]
        self.assertLess(max(grown), 40_000_000)
        for connection in slow:
            connection.reset()

    async def stand(self, flood: FaultPeer) -> int:
        """Wait until nothing moves any more; how much all have been sent."""
        sent, before = 1, 0
        while sent != before:
            before = sent
            await pause(0.3)
            sent = sum(each.bytes_sent for each in flood.connections)
        return sent

    async def test_must_not_happen_a_visitors_token_seen_by_the_app(self) -> None:
        """By field, by link, by cookie and in a ``Referer``; by path, by name and by a route."""
        self.secrets.append(TOKEN)
        edge = await self.hub("--tunnel-domain", "tunnels.example")
        app = self.origin()
        await self.agent(
            *("--publish", f"app=http://127.0.0.1:{app.port}"),
            *("--publish", f"guarded@{TOKEN}=http://127.0.0.1:{app.port}"),
        )
        api = self.api(edge)
        await self.route(api, "route.example", {"id": "one", "endpoint": "tunnel:guarded"})
        for host, prefix in (
            (HOST, "/t/guarded"),
            ("guarded.tunnels.example", ""),
            ("route.example", ""),
        ):
            for path in ("/", "/?access_token=wrong", "/?a=1&access_token="):
                self.assertEqual((await self.visit(edge, host, prefix + path)).status, 403, host)
            seen = await self.seen(edge, host, f"{prefix}/a", f"X-Proxer-Tunnel-Token: {TOKEN}")
            self.assert_no_secret(repr(vars(seen)))
            link = f"{prefix}/a?b=1&access_token={TOKEN}&c=2"
            came = await self.visit(edge, host, link)
            seen = Seen(json.loads(came.body))
            self.assertEqual(seen.target, "/a?b=1&c=2")
            self.assert_no_secret(repr(vars(seen)))
            cookie = (came.header(b"set-cookie") or b"").partition(b";")[0].decode()
            self.assertNotIn(TOKEN, cookie)
            referer = f"Referer: http://{host}{link}"
            fields = (f"Cookie: theirs=1; {cookie}", referer)
            seen = await self.seen(edge, host, f"{prefix}/a", *fields)
            self.assert_no_secret(repr(vars(seen)))
            self.assertEqual(seen["cookie"], "theirs=1")
            stream = await self.connect(edge)
            upgrade = await self.say(stream, host, f"{prefix}/ws?access_token={TOKEN}", *UPGRADE)
            self.assertEqual(upgrade.status, 101)
        for visit in app.visits:
            self.assertNotIn(TOKEN.encode(), visit.target + repr(visit.headers).encode())
        # What is open has it taken off as well.
        seen = Seen(json.loads((await self.ask_tunnel(f"/?access_token={TOKEN}")).body))
        self.assertEqual(seen.target, "/")

    async def test_must_not_happen_the_agent_following_redirects_or_unpacking_gzip(self) -> None:
        """A 302 to another port of this machine, and compressed bytes, are the visitor's."""
        await self.hub()
        app, other = self.origin(), self.origin()
        packed = gzip.compress(b"hello " * 1000)

        async def away(visit: Visit) -> None:
            location = b"http://127.0.0.1:%d/secret" % other.port
            await visit.answer(302, [(b"Location", location)])

        async def zipped(visit: Visit) -> None:
            fields = [(b"Content-Encoding", b"gzip"), (b"Content-Type", b"text/plain")]
            await visit.answer(200, fields, packed)

        app.routes |= {"/away": away, "/zipped": zipped}
        await self.publish(app)
        answer = await self.ask_tunnel("/away")
        self.assertEqual(answer.status, 302)
        self.assertEqual(answer.header(b"location"), b"http://127.0.0.1:%d/secret" % other.port)
        self.assertEqual(len(other.visits), 0)
        answer = await self.ask_tunnel("/zipped")
        self.assertEqual((answer.body, answer.header(b"content-encoding")), (packed, b"gzip"))

    async def test_must_not_happen_a_late_answer_reaching_the_wrong_visitor(self) -> None:
        """Half of the visitors leave before or within their answers; the others get their own."""
        await self.hub()
        app = self.origin()
        held: list[Deferred[None]] = []

        async def late(visit: Visit) -> None:
            gate = Deferred[None]()
            held.append(gate)
            await visit.begin(200, [(b"Content-Length", b"100000")])
            await visit.send(visit.target[-4:] * 10_000)
            await gate
            await visit.send(visit.target[-4:] * 15_000)
            await visit.end()

        app.fallback = late
        await self.publish(app)
        for turn in range(3):
            held.clear()
            visitors = []
            for number in range(20):
                visitor = await self.connect(self.edge_process)
                await visitor.send(request(HOST, f"/t/app/{turn:02}{number:02}"))
                visitors.append(visitor)
            await until(lambda: len(held) == 20, SECONDS, "all are asked")
            for visitor in visitors[::2]:
                visitor.reset()
            for gate in held:
                gate.callback(None)
            for number in range(1, 20, 2):
                answer = await read_response(visitors[number])
                self.assertEqual(answer.body, b"%02d%02d" % (turn, number) * 25_000)


class IdTests(TunnelCase):
    """Whose an id is."""

    async def test_must_not_happen_an_id_stolen(self) -> None:
        """Neither another key nor another agent of one key gets it; nor a key that may not."""
        await self.hub(other=["*"], narrow=["theirs"])
        app, thief = self.origin(), self.origin()
        await self.publish(app)
        target = ("--publish", f"app=http://127.0.0.1:{thief.port}")
        for key, advice in (
            (self.keys["other"], "is another agent's"),
            (self.key, "is another agent's"),
            (self.keys["narrow"], "the key may not publish app"),
        ):
            agent = self.spawn_agent(*target, "--id", "thief", key=key)
            await until(lambda a=agent: "refuses us" in a.output, SECONDS, "it says so")  # type: ignore[misc]
            self.assertIn(advice, agent.output)
            self.assertFalse(agent.online)
            self.assertEqual((await self.ask_tunnel()).status, 200)
        self.assertEqual(len(thief.visits), 0)

    async def test_must_not_happen_two_agents_of_one_name_flapping(self) -> None:
        """A clone is refused as often as it comes; the first one's streams go on."""
        await self.hub()
        agent = await self.publish(self.origin(), options=("--id", "box"))
        stream = await self.connect(self.edge_process)
        self.assertEqual((await self.upgrade(stream, HOST, path="/t/app/ws")).status, 101)
        clones = self.raw_agents()
        for number in range(20):
            clone = clones.make("app", agent_id="box", instance=f"instance-{number}")
            self.assertEqual((await clone.settled()).refused, "taken")
            await stream.send(b"hello")
            self.assertEqual(await stream.read_exactly(5), b"hello")
        self.assertEqual((await self.ask_tunnel()).status, 200)
        self.assertEqual((agent.online, agent.output.count("Connected to")), (True, 1))
        # The same one, which comes again before its first connection was missed, is no clone.
        first = clones.make("mine", instance="instance-of-one")
        self.assertTrue((await first.settled()).registered)
        second = clones.make("mine", instance="instance-of-one")
        self.assertTrue((await second.settled()).registered)
        await first.ended()
        self.assertIsNone(second.over)


class CarrierTests(TunnelCase):
    """What is between an agent and its hub."""

    async def test_must_not_happen_a_half_open_tcp_going_unnoticed_past_25_seconds(self) -> None:
        """
        Nothing moves, and nothing is closed. Whoever waits is answered within 25 seconds and the
        second between two looks, and the agent is back by itself.
        """
        await self.hub()
        line, app = self.line(), self.peer([Stall()])
        agent = await self.publish(app, self.origin(), port=line.port)
        waiting = await self.connect(self.edge_process)
        await waiting.send(request(HOST, "/t/app/"))
        await until(lambda: app.accepted, SECONDS, "it is asked")
        line.stall()
        began = reactor.seconds()
        asking = await self.connect(self.edge_process)
        await asking.send(request(HOST, "/t/app1/"))
        for answer in (await read_response(waiting), await read_response(asking)):
            self.assertIn(answer.status, (502, 504))
            self.assertTrue(answer.header(b"proxy-status"))
        self.assertLess(reactor.seconds() - began, SILENCE_SECONDS + 2)
        line.mend()
        await until(lambda: "Not connected to" in agent.output, SECONDS, "the agent has seen it")
        self.assertLess(reactor.seconds() - began, SILENCE_SECONDS + 10)

        async def is_back() -> bool:
            return (await self.ask_tunnel(id="app1")).status == 200

        await self.until_true(is_back, "the agent is back")

    async def test_must_not_happen_500_agents_at_once_knocking_the_hub_over(self) -> None:
        """
        They come inside TLS, all are lost at once, and all come again at once; meanwhile another
        one's visitors are served.
        """
        chain = self.pair("127.0.0.1")
        files = self.file("hub.pem", chain.cert), self.file("hub-key.pem", chain.key)
        await self.hub("--hub-cert", str(files[0]), "--hub-key", str(files[1]))
        authority = self.certificates.file()
        hub = ("--hub", f"wss://127.0.0.1:{self.hub_port}", "--cafile", authority)
        await self.publish(self.origin(), options=hub)
        agents = self.raw_agents(authority)
        for _ in range(2):
            made = [agents.make(f"t{n}", instance=f"instance-{n}") for n in range(500)]
            settled = [Deferred.fromCoroutine(each.settled()) for each in made]
            asked = 0
            while not all(each.called for each in settled):
                self.assertEqual((await self.ask_tunnel()).status, 200)
                asked += 1
            await gatherResults(settled)
            self.assertEqual([each.registered for each in made].count(True), 500)
            self.assertGreater(asked, 0)
            online = [each for each in (await self.tunnels()).values() if each["online"]]
            self.assertEqual(len(online), 501)
            for each in made:
                each.abort()
        self.assertLess(self.edge_process.resident_bytes(), 300_000_000)

    async def test_must_not_happen_bad_frames_crashing_the_hub(self) -> None:
        """Whoever sends them is told why and cut off; nobody else notices."""
        await self.hub()
        await self.publish(self.origin())
        agents = self.raw_agents()
        for number, (name, bad) in enumerate(BAD_FRAMES.items()):
            agent = await agents.make(f"bad{number}", instance="instance-bad").settled()
            self.assertTrue(agent.registered, name)
            agent.websocket.send([bad])
            self.assert_violation(await agent.ended(), name)
            self.assertEqual((await self.ask_tunnel()).status, 200)
            self.assertFalse((await self.tunnels())[f"bad{number}"]["online"])
        agent = await agents.make("credit", instance="instance-bad").settled()
        waiting = await self.connect(self.edge_process)
        await waiting.send(request(HOST, "/t/credit/"))
        await until(lambda: b"credit" in agent.data, SECONDS, "a stream is opened")
        agent.websocket.send([TOO_MUCH_CREDIT])
        self.assert_violation(await agent.ended(), "credit")
        self.assertIn((await read_response(waiting)).status, (502, 504))
        self.assertEqual((await self.ask_tunnel()).status, 200)
        self.edge_process.assert_quiet()

    def assert_violation(self, why: BaseException, name: str) -> None:
        """The hub has said what was wrong."""
        self.assertIsInstance(why, WebSocketClosed, name)
        assert isinstance(why, WebSocketClosed)
        self.assertEqual((why.code, bool(why.detail)), (1002, True), name)

    async def test_must_not_happen_bad_frames_crashing_the_agent(self) -> None:
        """It ends that connection, comes again, and serves."""
        await self.hub()
        bad = (
            BAD_FRAMES["a bad length"],
            BAD_FRAMES["an unknown stream"],
            open_frame(1, Capability.PUBLISH, "app") + TOO_MUCH_CREDIT,
        )
        fake = self.peer(*([FakeHub(each)] for each in bad))
        line = self.line()
        line.to = fake.port
        app = self.origin()
        publish = ("--publish", f"app=http://127.0.0.1:{app.port}")
        agent = self.spawn_agent(*publish, "--carrier", "wss", port=line.port)
        for number in range(len(bad)):
            await until(lambda n=number: fake.accepted > n, SECONDS, "it has come")  # type: ignore[misc]
            hub = fake.connections[number]
            await until(lambda h=hub: h.closed, SECONDS, "it has had enough")  # type: ignore[misc]
        line.to = self.hub_port
        await agent.ready()
        await self.online(agent)
        self.assertEqual((await self.ask_tunnel()).status, 200)
        self.assertIn("Not connected to", agent.output)


class PollTests(TunnelCase):
    """Agents that poll."""

    async def register(self, id: str = "app") -> str:
        """Register one; its session."""
        document = {"agent_id": "poll", "token": self.key, "tunnels": [{"id": id, "target": "x"}]}
        answer = await self.call_hub("POST", "/api/agent/register", document)
        self.assertEqual(answer.status, 200, answer)
        session = str(json.loads(answer.body)["session_id"])
        self.secrets.append(session)
        return session

    async def pull(self, session: str) -> dict[str, typing.Any]:
        """Get the next request."""
        answer = await self.call_hub("GET", f"/api/agent/pull?session_id={session}&wait=20")
        self.assertEqual(answer.status, 200, answer)
        asked: dict[str, typing.Any] = json.loads(answer.body)["request"]
        return asked

    async def respond(self, session: str, asked: dict[str, typing.Any], body: bytes) -> int:
        """Answer a request; what the hub says to that."""
        response = {
            **{name: asked[name] for name in ("request_id", "tunnel_id")},
            **{"status": 200, "headers": {}, "body": base64.b64encode(body).decode()},
        }
        document = {"session_id": session, "response": response}
        return (await self.call_hub("POST", "/api/agent/respond", document)).status

    async def visitor(self, path: str) -> FaultConnection:
        """One who has asked."""
        visitor = await self.connect(self.edge_process)
        await visitor.send(request(HOST, f"/t/app{path}"))
        return visitor

    async def test_must_not_happen_a_lost_request_after_a_lost_poll(self) -> None:
        """
        Polls end before a request comes, or while it is written: the next one has it. (One whose
        answer is out, and never read, cannot be told from one that was: its visitor has a 504.)
        """
        await self.hub()
        session = await self.register()
        for number in range(6):
            lost = await self.lost_pull(session)
            lost.finish()
            # The hub has seen that it left, and leaves too.
            self.assertEqual(await lost.read_to_end(), b"")
            visitor = await self.visitor(f"/{number}")
            await self.serve(session, visitor, f"/{number}")
        lost = await self.lost_pull(session, receive_buffer=4096)
        lost.pause()
        body = bytes(8_000_000)
        visitor = await self.connect(self.edge_process)
        await visitor.send(request(HOST, "/t/app/long", method="POST", body=body))
        await pause(0.5)
        lost.reset()
        await self.serve(session, visitor, "/long")

    async def lost_pull(self, session: str, **options: typing.Any) -> FaultConnection:
        """A pull whose answer is not read."""
        lost = await dial(reactor, "127.0.0.1", self.hub_port, **options)
        self._connections.append(lost)
        pull = f"GET /api/agent/pull?session_id={session}&wait=20"
        await lost.send(f"{pull} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return lost

    async def serve(self, session: str, visitor: FaultConnection, path: str) -> None:
        """Have the next request, which is this one, and answer it."""
        asked = await self.pull(session)
        self.assertEqual(asked["path"], path)
        self.assertEqual(await self.respond(session, asked, path.encode()), 202)
        self.assertEqual((await read_response(visitor)).body, path.encode())

    async def test_must_not_happen_a_late_answer_reaching_the_wrong_visitor(self) -> None:
        """An answer to somebody who has left is refused; whoever asks next has his own."""
        await self.hub()
        session = await self.register()
        for number in range(5):
            gone = await self.visitor("/gone")
            late = await self.pull(session)
            gone.reset()
            visitor = await self.visitor(f"/{number}")
            asked = await self.pull(session)
            self.assertEqual(asked["path"], f"/{number}")
            self.assertIn(await self.respond(session, late, b"late"), (202, 409))
            self.assertEqual(await self.respond(session, asked, b"mine"), 202)
            self.assertEqual((await read_response(visitor)).body, b"mine")
            self.assertEqual(await self.respond(session, asked, b"again"), 409)
