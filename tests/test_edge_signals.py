"""Signals of the edge: SIGHUP reads its files again, SIGTERM drains it, a second one ends it."""

from __future__ import annotations

import contextlib
import datetime
import json
import signal
from pathlib import Path

from twisted.internet.defer import Deferred

from aluvia.testing.connection import FaultConnection
from aluvia.testing.ended import ConnectionEnded
from aluvia.testing.faults import Read, Send, Stall
from aluvia.testing.http import read_response
from tests.aluvia_process import reactor, until
from tests.edge_case import SECONDS, EdgeCase, backend, request
from tests.edge_process import EdgeProcess
from tests.support import Certificates

SIGTERM_STATUS, SIGINT_STATUS = 143, 130

AGAIN = "SIGHUP: files were read again."
AS_THEY_WERE = "SIGHUP: the routes stay as they were"


class HangUpTests(EdgeCase):
    """SIGHUP."""

    async def hang_up(self, edge: EdgeProcess, said: str = AGAIN) -> None:
        """Send it, and wait until it is done."""
        count = edge.output.count(said)
        edge.send_signal(signal.SIGHUP)
        await until(lambda: edge.output.count(said) > count, SECONDS, f"{said!r} is said")

    async def test_routes_file(self) -> None:
        """It is applied as at the start; one with a fault changes nothing, and is told."""
        origin = self.origin()
        pair = self.pair("b.example")
        route = {"id": "a", "vHost": "a.example", "backends": [backend(origin)]}
        routes = self.file("routes.json", json.dumps({"routes": [route]}))
        edge = await self.edge("--routes", str(routes))
        api = self.api(edge)
        await self.route(api, "by-api.example", backend(origin))
        stream = await self.connect(edge)
        self.assertEqual((await self.upgrade(stream, "a.example")).status, 101)
        kept = await self.connect(edge)
        await self.say(kept, "a.example")
        before = await api("GET", "/config")
        for text in ("", "{", json.dumps({"routes": [route, {"vHost": "a b"}]}), "[]"):
            routes.write_text(text)
            await self.hang_up(edge, AS_THEY_WERE)
            self.assertEqual((await api("GET", "/config")).etag, before.etag)
        self.assertIn("/routes/1/vHost", edge.output)
        ssl = {"cert": pair.cert, "key": pair.key}
        routes.write_text(
            json.dumps({"routes": [route, {**route, "id": "b", "vHost": "b.example", "ssl": ssl}]})
        )
        await self.hang_up(edge)
        self.assertEqual([r["id"] for r in await api.get("/routes")], ["a", "b"])
        self.assertEqual((await self.visit(edge, "b.example")).status, 200)
        self.assertEqual((await self.visit(edge, "by-api.example")).status, 404)
        self.assertEqual((await self.say(kept, "a.example")).status, 200)
        await stream.send(b"still here")
        self.assertEqual(await stream.read_exactly(10), b"still here")

    async def test_certificates(self) -> None:
        """The directory and the default are read again; one that is broken leaves the old one."""
        folder = Path(self.mktemp()).absolute()
        later = Certificates()

        def write(name: str, certificates: Certificates) -> None:
            issued = certificates.authority.issue_cert(f"{name}.example")
            (folder / name).mkdir(parents=True, exist_ok=True)
            issued.cert_chain_pems[0].write_to_path(str(folder / name / "fullchain.pem"))
            issued.private_key_pem.write_to_path(str(folder / name / "privkey.pem"))

        write("a", self.certificates)
        origin = self.origin()
        edge = await self.edge("--https", "127.0.0.1:0", "--certificates", str(folder))
        api = self.api(edge)
        await self.route(api, "a.example", backend(origin))
        old = await self.secure(edge, "a.example")
        write("a", later)
        write("b", later)
        await self.hang_up(edge)
        for name in ("a.example", "b.example"):
            (await self.secure(edge, name, later)).close()
        self.assertEqual((await self.say(old, "a.example")).status, 200)
        (folder / "a" / "fullchain.pem").write_text("broken")
        await self.hang_up(edge)
        (await self.secure(edge, "a.example", later)).close()
        self.assertIn(str(folder / "a"), edge.output)

    async def test_access_log(self) -> None:
        """One that was moved away is opened anew; every request has a line in one of the two."""
        log = Path(self.mktemp()).absolute()
        moved = log.with_name("moved")
        edge, _, _ = await self.start("--access-log", str(log))
        for path in ("/one", "/two"):
            await self.visit(edge, "a.example", path)
        log.rename(moved)
        await self.hang_up(edge)
        began = reactor.seconds()
        await self.visit(edge, "a.example", "/three?canary-query")
        await self.visit(edge, "b.example", "/four")
        self.secrets.append("canary-query")

        def targets(path: Path) -> list[str]:
            lines = path.read_text().splitlines() if path.exists() else []
            return [json.loads(line)["target"] for line in lines]

        await until(lambda: len(targets(log)) == 2, SECONDS, "it is written")
        self.assertEqual((targets(moved), targets(log)), (["/one", "/two"], ["/three?", "/four"]))
        first, second = (json.loads(line) for line in log.read_text().splitlines())
        self.assertRegex(first["requestId"], r"^[0-9a-f-]{36}$")
        times = [
            datetime.datetime.fromisoformat(each["time"]).timestamp() for each in (first, second)
        ]
        # To the millisecond.
        self.assertEqual([began - 0.001, *times], sorted([began - 0.001, *times]))
        self.assertEqual(
            [first[name] for name in ("vHost", "route", "backend", "status", "attempts", "cause")],
            ["a.example", "a", "one", 200, 1, ""],
        )
        self.assertEqual(
            [second[name] for name in ("vHost", "route", "backend", "status", "attempts", "cause")],
            ["", "", "", 404, 0, "destination_not_found"],
        )
        self.assertIsNone(first["connectMs"])  # Its connection was there.
        for name in ("queueMs", "firstByteMs", "totalMs"):
            self.assertGreaterEqual(first[name], 0)
        self.assert_no_secret(log.read_text())


class DrainTests(EdgeCase):
    """SIGTERM, and SIGINT."""

    async def ends(self, edge: EdgeProcess, status: int = SIGTERM_STATUS) -> None:
        """It is gone, with this status, a quiet log, and no port file."""
        self.assertEqual(await edge.wait(), status, edge.output)
        edge.assert_quiet()
        self.assertFalse(edge.port_file.exists())

    async def test_drain(self) -> None:
        """
        What is under way is answered, with ``Connection: close``; nothing new is taken, whoever is
        idle or waits for a change goes, and a WebSocket has until the timeout.
        """
        answer = Send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
        slow = self.peer([Read(until=b"\r\n\r\n"), Read(), answer])
        edge, api, _ = await self.start("--drain-timeout", "3")
        await self.route(api, "slow.example", backend(slow))
        idle, never_asked = await self.connect(edge), await self.connect(edge)
        await self.say(idle, "a.example")
        stream = await self.connect(edge)
        await self.upgrade(stream, "a.example")
        busy = await self.connect(edge)
        await busy.send(request("slow.example", method="POST", body=b"four")[:-4])
        await until(lambda: slow.accepted, SECONDS, "it is asked")
        tag = (await api("GET", "/routes")).etag
        waiting = Deferred.fromCoroutine(api("GET", "/routes?wait=25", If_None_Match=tag))
        events = await self.listen(edge)

        began = reactor.seconds()
        edge.send_signal(signal.SIGTERM)
        self.assertIn((await waiting).status, (200, 304))
        # Its answer is whole.
        await events.read_until(b"\r\n0\r\n\r\n")
        for connection in (idle, never_asked):
            self.assertEqual(await connection.read_to_end(), b"")
        self.assertFalse(edge.port_file.exists())
        with self.assertRaises(ConnectionRefusedError):
            await edge.connect()
        ready = await api("GET", "//readyz")
        self.assertEqual((ready.status, ready.json()["ready"]), (503, False))
        self.assertEqual((await api("GET", "//healthz")).status, 200)
        late = await api("PATCH", "/routes/a", {"retries": 1})
        self.assertIn(late.status, (200, 503))
        await busy.send(b"four")
        done = await read_response(busy)
        self.assertEqual((done.body, done.header(b"connection")), (b"done", b"close"))
        self.assertEqual(await busy.read_to_end(), b"")
        await stream.send(b"still")
        self.assertEqual(await stream.read_exactly(5), b"still")
        await stream.read_away()
        self.assertGreater(reactor.seconds() - began, 2.5)
        await self.ends(edge)

    async def test_second_signal_ends_at_once(self) -> None:
        """Streams, requests under way and all."""
        stalled = self.peer([Stall()])
        for second, statuses in ((signal.SIGTERM, (143,)), (signal.SIGINT, (130, 143))):
            edge, api, _ = await self.start("--drain-timeout", "60")
            await self.route(api, "stalled.example", backend(stalled))
            stream, busy = await self.connect(edge), await self.connect(edge)
            await self.upgrade(stream, "a.example")
            accepted = stalled.accepted
            await busy.send(request("stalled.example"))
            await until(lambda n=accepted: stalled.accepted > n, SECONDS, "it is asked")  # type: ignore[misc]
            edge.send_signal(signal.SIGTERM)
            await until(lambda e=edge: "Draining 2 conn" in e.output, SECONDS, "it drains")  # type: ignore[misc]
            edge.send_signal(second)
            self.assertIn(await edge.wait(10), statuses, edge.output)
            edge.assert_quiet()
            for connection in (stream, busy):
                await self._gone(connection)

    async def test_nothing_to_drain(self) -> None:
        """An edge without clients ends at once, by either signal; also before it is ready."""
        for number, status in ((signal.SIGTERM, SIGTERM_STATUS), (signal.SIGINT, SIGINT_STATUS)):
            edge = await self.edge("--drain-timeout", "60")
            edge.send_signal(number)
            await self.ends(edge, status)
        early = self.spawn_edge()
        await until(lambda: "starting up" in early.output, SECONDS, "it starts")
        early.send_signal(signal.SIGTERM)
        await self.ends(early)

    async def test_drain_timeout_of_nothing(self) -> None:
        """``--drain-timeout 0`` ends everything with the first signal."""
        edge, _, _ = await self.start("--drain-timeout", "0")
        stream = await self.connect(edge)
        await self.upgrade(stream, "a.example")
        edge.send_signal(signal.SIGTERM)
        self.assertEqual(await edge.wait(10), SIGTERM_STATUS, edge.output)
        edge.assert_quiet()
        await self._gone(stream)

    async def _gone(self, connection: FaultConnection) -> None:
        with contextlib.suppress(ConnectionEnded):
            await connection.read_away()
        self.assertIsNotNone(connection.ended)
