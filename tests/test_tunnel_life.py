"""Tunnels as operators have them: how they are reached, and how they end and come back."""

from __future__ import annotations

import json
import signal

from twisted.internet.defer import Deferred

from aluvia.testing.faults import Accepting, Stall
from aluvia.testing.http import read_response
from aluvia.testing.origin import Visit
from tests.aluvia_process import reactor, until
from tests.edge_case import SECONDS, request
from tests.tunnel_case import HOST, TunnelCase


class ReachTests(TunnelCase):
    """The ways to a tunnel."""

    async def test_by_path_name_route_and_port(self) -> None:
        """Each leads to the app, with requests of all lengths and WebSockets; TCP besides."""
        edge = await self.hub(
            *("--tunnel-domain", "tunnels.example", "--tunnel-tcp", "db=127.0.0.1:0")
        )
        app = self.origin()
        place = f"127.0.0.1:{app.port}"
        await self.agent("--publish", f"app=http://{place}", "--publish-tcp", f"db={place}")
        await self.route(self.api(edge), "route.example", {"endpoint": "tunnel:app"})
        for host, prefix in ((HOST, "/t/app"), ("app.tunnels.example", ""), ("route.example", "")):
            seen = await self.seen(edge, host, f"{prefix}/a%2Fb?q=1", method="POST", body=b"x" * 99)
            self.assertEqual((seen.target, seen.body), ("/a%2Fb?q=1", "x" * 99))
            self.assertEqual(seen["x-forwarded-prefix"], prefix or None)
            self.assertEqual(seen["x-forwarded-for"], "127.0.0.1")
            stream = await self.connect(edge)
            self.assertEqual((await self.upgrade(stream, host, path=f"{prefix}/ws")).status, 101)
            for size in (1, 1000, 300_000):
                await stream.send(b"x" * size)
                self.assertEqual(await stream.read_exactly(size), b"x" * size)
            stream.finish()
            self.assertEqual(await stream.read_to_end(), b"")
        self.assertNotIn("tunnel db_url", edge.ports)
        raw = await self.dial(int(edge.ports["tunnel db"]))
        self.assertEqual((await self.say(raw, "raw.example", "/raw")).status, 200)
        tunnels = await self.tunnels()
        self.assertEqual((tunnels["app"]["online"], tunnels["db"]["kind"]), (True, "tcp"))

    async def test_where_the_agent_is_told(self) -> None:
        """Its port file says where visitors find it, and it is there."""
        edge = await self.hub()
        agent = await self.publish(self.origin())
        where = agent.state["tunnels"]["app"]
        self.assertEqual((await self.visit(edge, HOST, where)).status, 200)
        self.assertIn(f"app is at {where}", agent.output)

    async def test_a_hub_inside_tls(self) -> None:
        """An agent takes the URL that the edge says; without trust in its authority not."""
        chain = self.pair("127.0.0.1")
        files = self.file("hub.pem", chain.cert), self.file("hub-key.pem", chain.key)
        edge = await self.hub("--hub-cert", str(files[0]), "--hub-key", str(files[1]))
        hub = ("--hub", edge.ports["hub_url"])
        stranger = self.spawn_agent(*hub, "--publish", "app=http://127.0.0.1:1")
        await until(lambda: "is not trusted" in stranger.output, SECONDS, "it is refused")
        await self.publish(self.origin(), options=(*hub, "--cafile", self.certificates.file()))
        self.assertEqual((await self.ask_tunnel()).status, 200)

    async def test_causes(self) -> None:
        """Each is told apart: no tunnel, no agent, no app, one that is silent."""
        await self.hub()
        refusing = self.peer(accepting=Accepting.REFUSE)
        agent = await self.publish(self.origin(), refusing)
        self.assert_cause(await self.ask_tunnel(id="none"), 404, "destination_not_found")
        self.assert_cause(await self.ask_tunnel(id="app1"), 502, "connection_refused")
        await agent.stop()
        for id in ("app", "app1"):
            self.assert_cause(await self.ask_tunnel(id=id), 502, "destination_unavailable")
        self.assertFalse((await self.tunnels())["app"]["online"])


class CarrierTests(TunnelCase):
    """The connection of an agent is lost."""

    async def test_reset(self) -> None:
        """Who waits has a 502 at once, an answer that had begun is cut, and the agent is back."""
        edge = await self.hub()
        line, silent, app = self.line(), self.peer([Stall()]), self.origin()

        async def half(visit: Visit) -> None:
            await visit.begin(200, [(b"Content-Length", b"1000")])
            await visit.send(b"half")
            await visit.conversation.connection.stall()

        app.routes["/half"] = half
        # By itself it would poll: a WebSocket that dies twice in ten seconds is no good way.
        agent = await self.publish(app, silent, port=line.port, options=("--carrier", "wss"))
        for turn in range(3):
            waiting, reading, stream = [await self.connect(edge) for _ in range(3)]
            await waiting.send(request(HOST, "/t/app1/"))
            await reading.send(request(HOST, "/t/app/half"))
            await reading.read_until(b"half")
            self.assertEqual((await self.upgrade(stream, HOST, path="/t/app/ws")).status, 101)
            await until(lambda n=turn: silent.accepted > n, SECONDS, "it is asked")  # type: ignore[misc]
            began = reactor.seconds()
            line.reset()
            answer = await read_response(waiting)
            self.assertIn(answer.status, (502, 504))
            self.assertTrue(answer.header(b"proxy-status"), answer)
            await reading.read_away()
            await stream.read_away()
            self.assertLess(reactor.seconds() - began, 5)
            await until(
                lambda n=turn: agent.output.count("Connected to") == n + 2,  # type: ignore[misc]
                SECONDS,
                "the agent is back",
            )
            self.assertEqual((await self.ask_tunnel()).status, 200)

    async def test_websockets_that_die(self) -> None:
        """Where they die twice in ten seconds the agent polls, and its visitors are served."""
        await self.hub()
        line = self.line()
        agent = await self.publish(self.origin(), port=line.port)
        for number in (2, 3):
            line.reset()
            await until(
                lambda n=number: agent.output.count("Connected to") == n,  # type: ignore[misc]
                SECONDS,
                "the agent is back",
            )
        self.assertEqual((await self.ask_tunnel("/polled")).status, 200)
        (way,) = (await self.tunnels())["app"]["agents"]
        self.assertEqual(way["carrier"], "longpoll")

    async def test_away_for_a_while(self) -> None:
        """While there is no way to the hub its visitors are told at once; then it is back."""
        await self.hub()
        line = self.line()
        agent = await self.publish(self.origin(), port=line.port)
        line.cut()
        await until(lambda: line.accepted > 2, SECONDS, "it has tried again")
        self.assert_cause(await self.ask_tunnel(), 502, "destination_unavailable")
        line.mend()
        await self.online(agent)
        self.assertEqual((await self.ask_tunnel()).status, 200)

    async def test_the_agent_is_killed(self) -> None:
        """Its successor, which is another instance, takes its id over at once."""
        await self.hub()
        for _ in range(2):
            agent = await self.publish(self.origin(), options=("--id", "box"))
            self.assertEqual((await self.ask_tunnel()).status, 200)
            agent.kill()
            await agent.wait()

    async def test_the_edge_is_restarted(self) -> None:
        """In order or not: agents are back by themselves, at the same port and with their keys."""
        edge = await self.hub()
        line = self.line()
        agent = await self.publish(self.origin(), port=line.port)
        for end in (signal.SIGTERM, signal.SIGKILL):
            edge.send_signal(end)
            await edge.wait()
            await until(lambda: not agent.online, SECONDS, "the agent has seen it")
            edge = self.edge_process = await self.edge("--hub", "127.0.0.1:0", db=edge.db)
            line.to = self.hub_port
            await self.online(agent)
            self.assertEqual((await self.ask_tunnel()).status, 200)

    async def test_the_agent_is_stopped(self) -> None:
        """What is under way ends in order, and nothing new begins."""
        edge = await self.hub()
        app, gate = self.origin(), Deferred[None]()

        async def slow(visit: Visit) -> None:
            await visit.begin(200, [(b"Content-Length", b"8")])
            await gate
            await visit.send(b"at last.")
            await visit.end()

        app.routes["/slow"] = slow
        agent = await self.publish(app)
        waiting = await self.connect(edge)
        await waiting.send(request(HOST, "/t/app/slow"))
        await until(lambda: app.visits, SECONDS, "it is asked")
        agent.send_signal(signal.SIGTERM)

        async def is_away() -> bool:
            return (await self.ask_tunnel()).status == 502

        await self.until_true(is_away, "the hub knows")
        self.assertFalse(agent.ended)
        gate.callback(None)
        self.assertEqual((await read_response(waiting)).body, b"at last.")
        self.assertEqual(await agent.wait(), 143)


class KeyTests(TunnelCase):
    """What a key is good for, while it is used."""

    async def test_revoked(self) -> None:
        """Live sessions of it end within seconds, and say why; others go on."""
        edge = await self.hub(other=["theirs"])
        agent = await self.publish(self.origin())
        app = self.origin()
        await self.agent("--publish", f"theirs=http://127.0.0.1:{app.port}", key=self.keys["other"])
        stream = await self.connect(edge)
        self.assertEqual((await self.upgrade(stream, HOST, path="/t/app/ws")).status, 101)
        self.assertEqual((await self.call(edge.db, "revoke", "laptop")).status, 0)
        await until(lambda: not agent.online, 5, "its session is over")
        await stream.read_away()
        self.assert_cause(await self.ask_tunnel(), 502, "destination_unavailable")
        await until(lambda: "another key" in agent.output, SECONDS, "the agent says so")
        self.assertEqual((await self.ask_tunnel(id="theirs")).status, 200)

    async def test_in_what_was_said(self) -> None:
        """The agent's log and the edge's access log have a line for each request."""
        log = self.file("access.log", "")
        edge = await self.hub("--access-log", str(log))
        agent = await self.publish(self.origin())
        await self.ask_tunnel("/seen?not=seen")
        await until(lambda: "app: GET /seen 200" in agent.output, SECONDS, "it is logged")
        await until(log.read_text, SECONDS, "it is logged there, too")
        self.assertNotIn("not=seen", agent.output + log.read_text() + edge.output)
        line = json.loads(log.read_text().splitlines()[0])
        self.assertEqual(line["route"], "tunnel:app")
