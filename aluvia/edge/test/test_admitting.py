"""The line of a route, and what is refused before it."""

from __future__ import annotations

import typing

from twisted.internet.defer import Deferred

from aluvia.edge.model import RateLimit, Route
from aluvia.edge.test.edge_case import HOST, EdgeCase, backend
from aluvia.testing.connection import FaultConnection
from aluvia.testing.http import Response, read_response
from aluvia.testing.origin import Visit


class AdmittingTests(EdgeCase):
    """A backend that answers when it is told to."""

    def slow(self, **values: typing.Any) -> None:
        """Serve /slow by it."""
        self.visits: list[Visit] = []
        origin = self.origin()

        async def slow(visit: Visit) -> None:
            self.visits.append(visit)
            gate: Deferred[None] = Deferred()
            self.gates.append(gate)
            await gate
            await visit.answer(200, [], visit.target)

        self.gates: list[Deferred[None]] = []
        origin.routes["/slow"] = slow
        self.route(backend(origin), **values)

    async def begin(self, path: str = "/slow") -> FaultConnection:
        """Ask, and wait for nothing."""
        client = await self.connect()
        await client.send(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        return client

    def let_through(self) -> None:
        """Answer the first that waits."""
        self.gates.pop(0).callback(None)

    async def test_overflow_is_503(self) -> None:
        """Not a 500; and the backend never sees more than it may."""
        self.slow(req_active_length=1, req_queue_length=1)
        first = await self.begin("/slow?1")
        await self.when(lambda: self.gates)
        second = await self.begin("/slow?2")
        await self.when(lambda: self.live.admission.waiting)
        third = await read_response(await self.begin("/slow?3"))
        self.assertEqual((third.status, third.header(b"retry-after")), (503, b"1"))
        self.assertIn(b"application/problem+json", third.header(b"content-type") or b"")
        self.assertEqual(len(self.visits), 1)
        self.let_through()
        self.assertEqual((await read_response(first)).body, b"/slow?1")
        await self.when(lambda: self.gates)
        self.let_through()
        self.assertEqual((await read_response(second)).body, b"/slow?2")
        self.assertEqual(self.live.admission.active, 0)

    async def test_a_queued_client_that_leaves(self) -> None:
        """It is dropped at once, whether by an RST or a FIN, and its place is another's."""
        self.slow(req_active_length=1, req_queue_length=1)
        await self.begin()
        await self.when(lambda: self.gates)
        for leave in (FaultConnection.reset, FaultConnection.close):
            leaving = await self.begin()
            await self.when(lambda: self.live.admission.waiting)
            leave(leaving)
            await self.when(lambda: not self.live.admission.waiting)
        await self.begin()
        await self.when(lambda: self.live.admission.waiting)
        self.assertEqual(len(self.visits), 1)

    async def test_a_client_that_leaves_a_backend_waiting(self) -> None:
        """Its slot is free at once, and the backend has nothing to do for it any more."""
        self.slow(req_active_length=1)
        for number, leave in enumerate((FaultConnection.reset, FaultConnection.close), 1):
            leaving = await self.begin()
            await self.when(lambda n=number: len(self.visits) == n)  # type: ignore[misc]
            leave(leaving)
            await self.when(lambda: not self.live.admission.active)
            self.assertEqual(sum(member.active for member in self.live.members), 0)
            connection = self.visits[-1].conversation.connection
            await self.when(lambda c=connection: c.ended is not None)  # type: ignore[misc]

    async def test_waited_too_long(self) -> None:
        """503, and when to come back."""
        self.slow(req_active_length=1, req_queue_length=1, queue_timeout_ms=20)
        await self.begin()
        await self.when(lambda: self.gates)
        late = await read_response(await self.begin())
        self.assertEqual((late.status, late.header(b"retry-after")), (503, b"1"))

    async def test_a_queued_body_is_whole(self) -> None:
        """What comes of it while it waits is kept, and the rest is not read."""
        self.slow(req_active_length=1)
        first = await self.begin()
        await self.when(lambda: self.gates)
        asking = Deferred.fromCoroutine(self.ask("/echo", method="POST", body=b"b" * 500_000))
        await self.when(lambda: self.live.admission.waiting)
        self.let_through()
        await read_response(first)
        self.assertIn(b"b" * 500_000, (await asking).body)

    async def refused(self, *fields: str, **more: typing.Any) -> Response:
        """An answer of the edge's own."""
        answer = await self.ask("/", *fields, **more)
        self.assertIsNotNone(answer.header(b"proxy-status"))
        self.assertIsNotNone(answer.header(b"x-request-id"))
        return answer

    async def test_unknown_host(self) -> None:
        """404, as a page for a browser, as JSON for a program."""
        self.route(backend(self.origin()))
        page = await self.refused("Accept: text/html,*/*", host="other.test")
        self.assertEqual(
            (page.status, page.header(b"content-type")), (404, b"text/html; charset=utf-8")
        )
        self.assertIn(b"<h1>404 Not Found</h1>", page.body)
        data = await self.refused("Accept: */*", host="other.test")
        self.assertEqual(data.header(b"content-type"), b"application/problem+json")

    async def test_methods(self) -> None:
        """CONNECT and TRACE are for proxies, and for nobody."""
        self.route(backend(self.origin()))
        for method, target in (("CONNECT", f"{HOST}:80"), ("TRACE", "/")):
            client = await self.connect()
            answer = await self.ask(target, client=client, method=method)
            self.assertEqual(answer.status, 405)

    async def test_addresses(self) -> None:
        """403 to those that may not ask."""
        self.route(backend(self.origin()), deny=("127.0.0.0/8",))
        self.assertEqual((await self.refused()).status, 403)

    async def test_too_often(self) -> None:
        """429, and when to come back."""
        self.route(backend(self.origin()), rate_limit=RateLimit(per_second=0.01, burst=2))
        answers = [(await self.ask("/")) for _ in range(3)]
        self.assertEqual([each.status for each in answers], [200, 200, 429])
        self.assertEqual(answers[-1].header(b"retry-after"), b"100")

    async def test_too_large(self) -> None:
        """413: by what it says of its length, and by what comes."""
        self.route(backend(self.origin()), max_body_bytes=10)
        self.assertEqual((await self.ask("/", method="POST", body=b"x" * 10)).status, 200)
        self.assertEqual((await self.refused(method="POST", body=b"x" * 11)).status, 413)
        client = await self.connect()
        await client.send(
            f"POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"
            "6\r\nsixsix\r\n6\r\nsixsix\r\n0\r\n\r\n".encode()
        )
        self.assertEqual((await read_response(client)).status, 413)
        await self.when(lambda: not self.edge.proxy.live)
        self.assertEqual(self.live.admission.active, 0)

    async def test_smuggling(self) -> None:
        """What two servers could read differently never reaches a backend."""
        origin = self.origin()
        self.route(backend(origin))
        for lines in (
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "Content-Length: 3\r\nContent-Length: 4",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding : chunked",
            "X: 1\r\n folded",
        ):
            client = await self.connect()
            await client.send(f"POST / HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n\r\n".encode())
            self.assertIn((await read_response(client)).status, (400, 501))
            await client.read_to_end()
        for head in (
            "GET / HTTP/1.1\r\n\r\n",
            "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        ):
            client = await self.connect()
            await client.send(head.encode())
            self.assertEqual((await read_response(client)).status, 400)
        self.assertEqual(origin.peer.accepted, 0)

    async def test_a_stranger_is_not_believed(self) -> None:
        """Whatever it says of whom it speaks for, however it is spelled."""
        self.route(backend(self.origin()))
        fields = await self.echo(
            "/",
            "X-Forwarded-For: 6.6.6.6",
            "X_Forwarded_For: 6.6.6.6",
            "x-forwarded-proto: https",
            "X-Real-IP: 6.6.6.6",
            "Forwarded: for=6.6.6.6",
            "Connection: X-Forwarded-For, X-Real-IP",
        )
        self.assertNotIn("6.6.6.6", str(fields["headers"]))
        self.assertEqual(
            [value for key, value in fields["headers"] if key.lower() == "x-forwarded-for"],
            ["127.0.0.1"],
        )

    async def test_a_trusted_proxy_is_believed(self) -> None:
        """Right to left; its list goes on with its own address behind it."""
        self.open(trusted_proxies=("127.0.0.1/32",))
        self.route(backend(self.origin()), forwarded=True)
        fields = dict(
            (
                await self.echo(
                    "/", "X-Forwarded-For: 6.6.6.6, 192.0.2.7", "X-Forwarded-Proto: https"
                )
            )["headers"]
        )
        self.assertEqual(fields["X-Forwarded-For"], "6.6.6.6, 192.0.2.7, 127.0.0.1")
        self.assertEqual((fields["X-Real-IP"], fields["X-Forwarded-Proto"]), ("192.0.2.7", "https"))
        self.assertEqual(fields["Forwarded"], f'for=192.0.2.7;host="{HOST}";proto=https')

    async def test_injected(self) -> None:
        """The route's fields replace the client's, common ones too."""
        self.route(
            backend(self.origin()),
            headers=(("Accept", "text/x"), ("X-Key", "k")),
            preserve_host=False,
        )
        fields = await self.echo(
            "/", "Accept: a", "x-key: mine", "X_Key: mine", "X-Request-ID: given-1"
        )
        found = [(key.lower(), value) for key, value in fields["headers"]]
        for expected in (("accept", "text/x"), ("x-key", "k"), ("x-request-id", "given-1")):
            self.assertEqual([each for each in found if each[0] == expected[0]], [expected])
        self.assertNotIn("x_key", dict(found))
        self.assertTrue(dict(found)["host"].startswith("127.0.0.1:"))

    async def test_paths_of_one_host(self) -> None:
        """Each prefix has its own backends."""
        one, other = self.origin(), self.origin()
        self.open()
        routes = {
            "r": Route(id="r", v_host=HOST, backends=(backend(one),)),
            "a": Route(id="a", v_host=HOST, path_prefix="/api", backends=(backend(other),)),
        }
        self.use(routes=routes)
        for path in ("/", "/api/x", "/apix"):
            await self.echo(path)
        self.assertEqual(
            ([v.path for v in one.visits], [v.path for v in other.visits]),
            (["/", "/apix"], ["/api/x"]),
        )
