"""
What must not happen at the edge: the list of its design, each by its name, from outside.

What is about backends (one out for ever, a dead one chosen, a fast 500, a retried POST) is in
:mod:`tests.test_edge_members`, the unknown SNI in :mod:`tests.test_edge_tls`, the slow header and
the idle clients in :mod:`tests.test_edge_patience`, and the corrupt store in
:mod:`tests.test_edge_door`.
"""

from __future__ import annotations

import base64
import json
import signal
import typing

import h11
from twisted.internet.defer import Deferred, gatherResults

from aluvia.testing.connection import FaultConnection
from aluvia.testing.ended import ConnectionEnded
from aluvia.testing.faults import (
    Close,
    Drip,
    FaultPeer,
    Read,
    Reset,
    Script,
    Send,
    Stall,
)
from aluvia.testing.http import Response, read_response
from aluvia.testing.lies import REQUEST_LIES
from aluvia.testing.origin import Visit, echo
from tests.aluvia_process import until
from tests.edge_case import SECONDS, EdgeCase, backend, request
from tests.edge_load import usual_load

ASKED = Read(until=b"\r\n\r\n")


def basic(credentials: str) -> str:
    """A field with a user's name and password."""
    return f"Authorization: Basic {base64.b64encode(credentials.encode()).decode()}"


class QueueTests(EdgeCase):
    """The line of a route."""

    async def test_must_not_happen_the_queue_admitting_n_plus_1(self) -> None:
        """Two at once, three in line: the backend never has a third, and nobody is a fourth."""
        at_once = most = 0
        gates: list[Deferred[None]] = []

        async def hold(visit: Visit) -> None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            gate: Deferred[None] = Deferred()
            gates.append(gate)
            await gate
            at_once -= 1
            await visit.answer(200, [], visit.target)

        edge, api, origin = await self.start(reqActiveLength=2, reqQueueLength=3)
        origin.fallback = hold
        clients = [await self.connect(edge) for _ in range(5)]
        for number, client in enumerate(clients):
            await client.send(request("a.example", f"/{number}"))

            async def is_in(count: int = number + 1) -> bool:
                stats = await api.get("/stats/a")
                return bool(stats["inFlight"] + stats["queued"] == count)

            await self.until_true(is_in, "it has come")
        for _ in range(5):
            refused = await self.visit(edge, "a.example")
            self.assertEqual((refused.status, refused.header(b"retry-after")), (503, b"1"))
        for number, client in enumerate(clients):
            await until(lambda n=number: len(gates) > n, SECONDS, "it is its turn")  # type: ignore[misc]
            gates[number].callback(None)
            # In the order in which they came.
            self.assertEqual((await read_response(client)).body, b"/%d" % number)
        self.assertEqual((most, len(gates)), (2, 5))

    async def test_must_not_happen_overflow_as_500(self) -> None:
        """Whether there is no line, or it took too long: 503, and when to come back."""
        edge, api, origin = await self.start(reqActiveLength=1, reqQueueLength=0)
        release: Deferred[None] = Deferred()

        async def hold(visit: Visit) -> None:
            await release
            await echo(visit)

        origin.fallback = hold
        first = await self.connect(edge)
        await first.send(request("a.example"))
        await until(lambda: origin.visits, SECONDS, "it is asked")
        for change in ({}, {"reqQueueLength": 1, "queueTimeoutMs": 50}):
            await api.done("PATCH", "/routes/a", change)
            refused = await self.visit(edge, "a.example", "/", "Accept: text/html")
            self.assertEqual((refused.status, refused.header(b"retry-after")), (503, b"1"))
            self.assertIn(b"text/html", refused.header(b"content-type") or b"")
        self.assertEqual((await api.get("/stats/a"))["sinceStart"]["answers"]["5xx"], 2)
        release.callback(None)
        self.assertEqual((await read_response(first)).status, 200)


class StreamTests(EdgeCase):
    """WebSockets."""

    async def test_must_not_happen_websockets_skipping_auth(self) -> None:
        """Without the right password there is no upgrade, and no backend hears of it."""
        edge, api, origin = await self.start()
        user = {"name": "alice", "password": "canary-ws-password"}
        self.secrets.append(user["password"])
        await api.done("POST", "/auth-providers", {"id": "p", "type": "basic", "users": [user]})
        await api.done("PATCH", "/routes/a", {"authProvider": "p"})
        for fields in ((), (basic("alice:wrong"),), ("Authorization: Bearer alice",)):
            answer = await self.upgrade(await self.connect(edge), "a.example", *fields)
            self.assertEqual(answer.status, 401)
            self.assertTrue((answer.header(b"www-authenticate") or b"").startswith(b"Basic "))
        self.assertEqual(len(origin.visits), 0)
        stream = await self.connect(edge)
        right = basic("alice:canary-ws-password")
        self.assertEqual((await self.upgrade(stream, "a.example", right)).status, 101)
        await stream.send(b"hello")
        self.assertEqual(await stream.read_exactly(5), b"hello")
        self.assertIsNone(origin.visits[0].header(b"authorization"))

    async def test_must_not_happen_websockets_holding_the_request_slots(self) -> None:
        """With one slot there can be many of them, and requests besides; they have a bound."""
        edge, api, _ = await self.start(reqActiveLength=1, reqQueueLength=0, maxStreams=10)
        streams = [await self.connect(edge) for _ in range(10)]
        for stream in streams:
            self.assertEqual((await self.upgrade(stream, "a.example")).status, 101)
        for _ in range(5):
            self.assertEqual((await self.visit(edge, "a.example")).status, 200)
        stats = await api.get("/stats/a")
        self.assertEqual((stats["inFlight"], stats["streams"]), (0, 10))
        refused = await self.upgrade(await self.connect(edge), "a.example")
        self.assertEqual((refused.status, refused.header(b"retry-after")), (503, b"5"))
        streams[0].close()

        async def there_is_room() -> bool:
            return (await self.upgrade(await self.connect(edge), "a.example")).status == 101

        await self.until_true(there_is_room, "one has ended")


class RequestTests(EdgeCase):
    """What a backend hears of a request."""

    async def test_must_not_happen_the_proxy_answering_options_itself(self) -> None:
        """About a path, about everything, and a preflight: the backend is asked."""
        edge, _, origin = await self.start()

        async def options(visit: Visit) -> None:
            await visit.answer(204, [(b"Allow", b"CANARY")])

        origin.fallback = options
        for path, *fields in (
            ["/x"],
            ["*"],
            ["/x", "Origin: http://b.example", "Access-Control-Request-Method: PUT"],
        ):
            answer = await self.visit(edge, "a.example", path, *fields, method="OPTIONS")
            self.assertEqual((answer.status, answer.header(b"allow")), (204, b"CANARY"))
            self.assertEqual(origin.visits[-1].target.decode(), path)

    async def test_must_not_happen_a_password_cut_at_a_colon(self) -> None:
        """All behind the first colon is the password; by curl too."""
        edge, api, _ = await self.start()
        password = "canary:with:colons:"
        self.secrets.append(password)
        users = [{"name": "alice", "password": password}, {"name": "bob", "password": "b"}]
        await api.done("POST", "/auth-providers", {"id": "p", "type": "basic", "users": users})
        await api.done("PATCH", "/routes/a", {"authProvider": "p"})
        for credentials, status in (
            (f"alice:{password}", 200),
            ("alice:canary", 401),
            ("alice:canary:with:colons", 401),
            ("alice:", 401),
            ("bob:b", 200),
            ("bob:b:", 401),
        ):
            answer = await self.visit(edge, "a.example", "/", basic(credentials))
            self.assertEqual(answer.status, status, credentials)
            curled = await self.curl(
                *("--user", credentials, "--header", "Host: a.example", edge.url),
                *("--output", "/dev/null", "--write-out", "%{http_code}"),
            )
            self.assertEqual(curled.stdout, str(status), credentials)

    async def test_must_not_happen_cl_and_te_reaching_a_backend(self) -> None:
        """Whatever has two readings is refused, and the connection ends: nothing goes out."""
        edge, api, origin = await self.start()
        await api.done("PATCH", "/routes/a", {"vHost": "*"})
        more = {
            "te_and_length": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Length: 4\r\n\r\n1\r\nZ\r\nQ\r\n\r\n",
            "te_spelled_otherwise": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n"
            b"\r\n0\r\n\r\n",
            "te_twice": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
            b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        }
        lies = {name: lie.replace(b"%s", b"a.example") for name, lie in REQUEST_LIES.items()}
        for name, lie in {**lies, **more}.items():
            connection = await self.connect(edge)
            smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
            await connection.send(lie + smuggled)
            try:
                answer = await read_response(connection)
                self.assertIn(answer.status, (400, 431, 501), name)
            except (ConnectionEnded, h11.RemoteProtocolError) as error:
                self.fail(f"{name}: {error}")
            self.assertEqual((await self._rest(connection)), b"", name)
        self.assertEqual([visit.target for visit in origin.visits], [])
        # A name that some take for another one does not get there.
        await self.visit(
            edge, "a.example", "/", "Transfer_Encoding: chunked", method="POST", body=b"x"
        )
        names = {name.lower() for name, _ in origin.visits[0].headers}
        self.assertNotIn(b"transfer_encoding", names)
        self.assertNotIn(b"transfer-encoding", names)

    async def _rest(self, connection: FaultConnection) -> bytes:
        try:
            return await connection.read_to_end()
        except ConnectionEnded:
            return b""

    async def test_must_not_happen_x_forwarded_for_believed_from_a_stranger(self) -> None:
        """What a stranger says is gone, however it is spelled; what a trusted proxy says counts."""
        lies = (
            *("X-Forwarded-For: 192.0.2.1", "x_forwarded_for: 192.0.2.2", "X-Real-IP: 192.0.2.3"),
            *("Forwarded: for=192.0.2.4;proto=https", "X-Forwarded-Proto: https"),
            *("X-Forwarded-Host: evil.example", "X-Forwarded-Port: 1", "X_Real_IP: 192.0.2.5"),
            "Connection: X-Forwarded-For, X-Real-IP",
        )
        edge, _, _ = await self.start(allow=["127.0.0.1"])
        seen = await self.seen(edge, "a.example", "/", *lies)
        self.assertEqual((seen["x-forwarded-for"], seen["x-real-ip"]), ("127.0.0.1",) * 2)
        self.assertEqual(
            (seen["x-forwarded-proto"], seen["x-forwarded-host"]), ("http", "a.example")
        )
        self.assertEqual((seen["x-forwarded-port"], seen["forwarded"]), (str(edge.port), None))
        self.assertNotIn("192.0.2.", repr(seen.headers))
        self.assertNotIn("evil", repr(seen.headers))

        trusting, _, _ = await self.start("--trusted-proxy", "127.0.0.1", allow=["192.0.2.0/24"])
        told = "X-Forwarded-For: 203.0.113.9, 192.0.2.1"
        seen = await self.seen(trusting, "a.example", "/", told, "X-Forwarded-Proto: https")
        # From the right: who stands before a proxy that is trusted.
        self.assertEqual((seen["x-real-ip"], seen["x-forwarded-proto"]), ("192.0.2.1", "https"))
        self.assertEqual((await self.visit(trusting, "a.example")).status, 403)


class ReloadTests(EdgeCase):
    """A configuration that is put in the place of another."""

    async def test_must_not_happen_a_window_of_no_route_during_a_reload(self) -> None:
        """However often all of it is replaced: there is no moment without the route."""
        edge = await self.edge()
        api, origin = self.api(edge), self.origin()
        hosts = ("a.example", "b.example")
        for host in hosts:
            await self.route(api, host, backend(origin), reqActiveLength=100)
        load = await usual_load(self, edge, *hosts, secure=False)
        whole = await api.get("/config")
        for number in range(40):
            ids = [f"{id}{number}" for id in "ab"] if number % 2 else ["a", "b"]
            routes = [
                {**route, "id": id, "retries": number % 5}
                for id, route in zip(ids, whole["routes"], strict=True)
            ]
            extra = [{"vHost": f"x{n}.example"} for n in range(number)]
            await api.done("PUT", "/config", {**whole, "routes": [*extra, *routes]})
            if number % 5 == 0:
                await load.turn()
        await load.turn()
        await load.stop()

    async def test_must_not_happen_a_window_of_no_route_during_a_reload_by_sighup(self) -> None:
        """The same for the file of ``--routes``, whose other routes come and go."""
        origin = self.origin()
        route = {"id": "a", "vHost": "a.example", "reqActiveLength": 100}
        route["backends"] = [backend(origin)]
        file = self.file("routes.json", json.dumps({"routes": [route]}))
        edge = await self.edge("--routes", str(file))
        load = await usual_load(self, edge, "a.example", secure=False)
        for number in range(15):
            extra = [{"vHost": f"x{n}.example"} for n in range(number % 4)]
            routes = [*extra, {**route, "headers": {"X-Turn": str(number)}}]
            file.write_text(json.dumps({"routes": routes}))
            said = edge.output.count("files were read again")
            edge.send_signal(signal.SIGHUP)
            await until(
                lambda n=said: edge.output.count("files were read again") > n,  # type: ignore[misc]
                SECONDS,
                "it is read again",
            )
            self.assertEqual((await self.seen(edge, "a.example"))["x-turn"], str(number))
        await load.turn()
        await load.stop()


class EndTests(EdgeCase):
    """Requests that end in the middle."""

    async def test_must_not_happen_a_client_abort_leaving_the_backend_busy(self) -> None:
        """
        A client that leaves, by a FIN as programs do that are ended, or by an RST, is gone at its
        backend too: before the answer, in the middle of it, and in the middle of its own body.
        """
        edge, api, _ = await self.start(reqActiveLength=5)
        answering = Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 9_000, 0.01)
        ways: tuple[tuple[Script, bytes], ...] = (
            ([Stall()], request("a.example")),
            ([ASKED, answering], request("a.example")),
            ([Stall()], request("a.example", method="POST", body=b"x" * 1000)[:-500]),
        )
        for number, (script, asked) in enumerate(ways):
            for leave in (FaultConnection.reset, FaultConnection.close):
                peer = self.peer(script)
                await api.done("PUT", "/routes/a/backends/one", backend(peer))
                client = await self.connect(edge)
                await client.send(asked)
                await until(lambda p=peer: p.accepted, SECONDS, "it is asked")  # type: ignore[misc]
                if number == 1:
                    await client.read_until(b"\r\n\r\nx")
                leave(client)
                await until(self._left(peer), SECONDS, f"it ends {number}")

                async def is_free() -> bool:
                    stats = await api.get("/stats/a")
                    shown = await api.get("/routes/a/backends/one")
                    return (stats["inFlight"], shown["active"]) == (0, 0)

                await self.until_true(is_free, "nothing is under way")

    def _left(self, peer: FaultPeer) -> typing.Callable[[], bool]:
        return lambda: all(connection.ended is not None for connection in peer.connections)

    async def test_must_not_happen_a_half_answer_looking_whole(self) -> None:
        """However it was framed, and in whatever way it ended too soon, its reader sees that."""
        edge, api, _ = await self.start()
        heads = (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 999,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 600000\r\n\r\n" + b"x" * 599_999,
        )
        cases: list[Script] = [
            [ASKED, Send(head), end] for head in heads for end in (Close(), Reset())
        ]
        # Without a length its end is the connection's: a FIN is one, and an RST is none.
        cases.append([ASKED, Send(b"HTTP/1.1 200 OK\r\n\r\nhello"), Reset()])
        for script in cases:
            for version in ("1.1", "1.0"):
                peer = self.peer(script)
                await api.done("PUT", "/routes/a/backends/one", backend(peer))
                connection = await self.connect(edge)
                asked = request("a.example", "/", "Connection: close")
                await connection.send(asked.replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
                with self.assertRaises((ConnectionEnded, h11.RemoteProtocolError), msg=script):
                    answer = await read_response(connection)
                    self.fail(f"{version} {script} looks whole: {answer.status}")
        curled = await self.curl("--header", "Host: a.example", edge.url)
        self.assertIn(curled.status, (18, 56), curled)

    async def test_a_whole_answer_until_the_end_is_whole(self) -> None:
        """The other side of it: one without a length that ends by a FIN is no half one."""
        edge, api, _ = await self.start()
        peer = self.peer([ASKED, Send(b"HTTP/1.1 200 OK\r\n\r\nhello"), Close()])
        await api.done("PUT", "/routes/a/backends/one", backend(peer))
        answers: list[Response] = await gatherResults(
            [Deferred.fromCoroutine(self.visit(edge, "a.example")) for _ in range(4)]
        )
        self.assertEqual([answer.body for answer in answers], [b"hello"] * 4)
