"""Asking a control plane, over real connections, also one that lies."""

from __future__ import annotations

import json
import ssl
import typing

import trustme
from twisted.internet.defer import CancelledError, Deferred

from aluvia.client.answer_body import BODY_BYTES, NO_JSON
from aluvia.client.test.user_api_case import HEAD_END, TOKEN, Hurried, UserAPICase, reactor
from aluvia.client.user_api import Answer, UserAPI
from aluvia.errors import ApiError
from aluvia.testing.control_plane import FakeControlPlane, always
from aluvia.testing.faults import Accepting, Close, Drip, FaultPeer, Flood, Read, Reset, Send, Stall
from aluvia.testing.lies import LIES
from aluvia.testing.origin import Visit
from aluvia.testing.steps import Step

Question = typing.Callable[[UserAPI], typing.Coroutine[typing.Any, typing.Any, Answer]]
QUESTIONS: list[Question] = [UserAPI.get, lambda api: api.patch({"rules": []})]

#: What may have come of an answer when somebody gives up.
SAID = [
    b"",
    b"HTTP/1.1 200",
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
]


class Noting(Hurried):
    """
    The reactor's clock.

    :ivar delays: the seconds that somebody wanted to be called after.
    """

    def __init__(self) -> None:
        super().__init__()
        self.delays: list[float] = []

    def callLater(self, delay: float, *call: typing.Any) -> typing.Any:
        """Keep that."""
        self.delays.append(delay)
        return self.real.callLater(delay, *call)


class GoodTests(UserAPICase):
    """A control plane as it should be."""

    async def test_get(self) -> None:
        """The fields of the question are those of the contract, and the answer is read."""
        answer = await self.api().get()
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.etag, '"1"')
        body = typing.cast(dict[str, typing.Any], answer.body)
        self.assertEqual(body["data"]["rules"], ["a.example"])
        visit = self.plane.asked[-1]
        self.assertEqual((visit.method, visit.target), (b"GET", b"/v1/user"))
        self.assertEqual(visit.header(b"authorization"), f"Bearer {TOKEN}".encode())
        self.assertEqual(visit.header(b"accept"), b"application/json")
        self.assertTrue((visit.header(b"user-agent") or b"").startswith(b"aluvia/"))
        self.assertEqual(visit.header(b"accept-encoding"), b"identity")
        self.assertIsNone(visit.header(b"if-none-match"))

    async def test_not_modified(self) -> None:
        """The ETag goes out verbatim, and a 304 comes back."""
        answer = await self.api().get('"1"')
        self.assertEqual((answer.status, answer.body), (304, NO_JSON))
        self.assertEqual(self.plane.asked[-1].header(b"if-none-match"), b'"1"')

    async def test_connection(self) -> None:
        """The newer form asks for a connection of an account."""
        await self.api(connection="c-1").get()
        self.assertEqual(self.plane.asked[-1].target, b"/v1/account/connections/c-1")

    async def test_patch(self) -> None:
        """A change is JSON."""
        answer = await self.api().patch({"session_id": "s"})
        self.assertEqual((answer.status, self.plane.user["session_id"]), (200, "s"))
        visit = self.plane.asked[-1]
        self.assertTrue((visit.header(b"content-type") or b"").startswith(b"application/json"))

    async def test_connections_are_kept(self) -> None:
        """Many questions are one connection, also after a trailing slash in the address."""
        api = self.api(f"{self.plane.base_url}/")
        for _ in range(5):
            await api.get()
        self.assertEqual(self.plane.peer.accepted, 1)

    async def test_time(self) -> None:
        """A question has ten seconds, of whatever kind; a monitor's those that it waits besides."""
        monitor = f"http://127.0.0.1:{self.plane.port}/v1/monitor"
        for ask, seconds in (
            (UserAPI.get, 10.0),
            (lambda api: api.patch({"rules": []}), 10.0),
            (lambda api: api.monitor(monitor, None), 35.0),
        ):
            clock = Noting()
            await ask(self.api(clock=clock))
            # What comes later is for the connection that is kept.
            self.assertEqual(clock.delays[0], seconds)

    async def test_tls(self) -> None:
        """The certificate must be trusted, and for this host."""
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        plane = FakeControlPlane(reactor, TOKEN, context=context)
        self.addCleanup(plane.stop)
        why = await self.refused(self.api(plane.base_url).get())
        self.assertIn("authority", why)
        self.assertEqual(len(plane.asked), 0)

    async def test_monitor(self) -> None:
        """Its address is found in Link, on the API's own origin alone."""
        self.plane.monitored = True
        api = self.api()
        answer = await api.get()
        monitor = f"http://127.0.0.1:{self.plane.port}/v1/monitor"
        self.assertEqual(answer.monitor, monitor)
        watching = Deferred.fromCoroutine(api.monitor(monitor, '"1"'))
        await self.plane.peer.when(lambda: self.plane.asked[-1].path == "/v1/monitor")
        self.assertEqual(self.plane.asked[-1].target, b"/v1/monitor?wait=25")
        self.assertFalse(watching.called)
        self.plane.change(rules=["b.example"])
        self.assertEqual((await watching).etag, '"2"')

    async def test_links(self) -> None:
        """Every Link is looked at, and none that leads elsewhere with the token is taken."""
        here = f"http://127.0.0.1:{self.plane.port}"
        for links, found in (
            (['</x>; rel="self"', '<m>; rel="monitor"'], f"{here}/v1/m"),
            (["<http://evil.example/m>; rel=monitor"], None),
            ([], None),
        ):

            async def linked(visit: Visit, links: list[str] = links) -> None:
                await visit.answer(200, [(b"Link", link.encode()) for link in links], b"{}")

            self.plane.lie = linked
            self.assertEqual((await self.api().get()).monitor, found, links)


class LyingTests(UserAPICase):
    """A control plane as it should not be."""

    async def test_statuses(self) -> None:
        """Any status is an answer; none is followed elsewhere with the token."""
        for status in (301, 302, 307, 308, 401, 403, 404, 418, 429, 500, 503, 599):

            async def lie(visit: Visit, status: int = status) -> None:
                where = f"http://127.0.0.1:{self.plane.port}/elsewhere".encode()
                await visit.answer(status, [(b"Location", where)], b"<html>")

            self.plane.lie = lie
            answer = await self.api().get()
            self.assertEqual((answer.status, answer.body), (status, NO_JSON))
        self.assertEqual({visit.target for visit in self.plane.asked}, {b"/v1/user"})

    async def test_fields(self) -> None:
        """Whatever the fields around it say, a good answer is one."""
        for name, value, seconds in (
            (b"Retry-After", b"120", 120.0),
            (b"Retry-After", b"", None),
            (b"Retry-After", b"soon", None),
            (b"Retry-After", b"Sun, 06 Nov " + b"9" * 400 + b" 08:49:37 GMT", None),
            (b"ETag", b"", None),
            (b"Link", b"<", None),
            (b"Link", b"<http://[::1/m>; rel=monitor", None),
        ):

            async def lie(visit: Visit, name: bytes = name, value: bytes = value) -> None:
                await visit.answer(200, [(name, value)], b'{"a": 1}')

            self.plane.lie = lie
            answer = await self.api().get()
            self.assertEqual(answer, Answer(200, {"a": 1}, retry_after=seconds), value)

    async def test_bodies(self) -> None:
        """What is no JSON is said to be none: HTML, broken, deep, not UTF-8, nothing."""
        for body in (b"<html>", b"{", b"[" * 100_000, b'"\xff"', b"", b"\0", b"NaN,"):

            async def lie(visit: Visit, body: bytes = body) -> None:
                await visit.answer(200, [(b"Content-Type", b"application/json")], body)

            self.plane.lie = lie
            self.assertIs((await self.api().get()).body, NO_JSON, body[:10])

    async def test_long_body(self) -> None:
        """A body beyond the bound is not read, and its connection ends; one at the bound is."""

        async def lie(visit: Visit) -> None:
            await visit.answer(200, [], b'"' + b"x" * (BODY_BYTES - 2 + more) + b'"')

        self.plane.lie = lie
        more = 0
        self.assertEqual(len(json.dumps((await self.api().get()).body)), BODY_BYTES)
        more = 1
        answer = await self.api().get()
        self.assertIs(answer.body, NO_JSON)
        self.assertIn("longer than", str(answer.unread))
        # The one of the answer before is kept.
        await self.plane.peer.when(lambda: len(self.plane.peer.open) == 1)

    async def test_coded_body(self) -> None:
        """A coding was not asked for: a bomb is not inflated. ``identity`` is none."""
        for coding, read in (
            (b"gzip", False),
            (b"identity, gzip", False),
            (b"x-unknown", False),
            (b"identity", True),
            (b"Identity, identity", True),
            (b"", True),
        ):

            async def lie(visit: Visit, coding: bytes = coding) -> None:
                fields = [(b"Content-Encoding", coding), (b"ETag", b'"1"'), (b"Retry-After", b"7")]
                await visit.answer(200, fields, b'{"a": 1}')

            self.plane.lie = lie
            answer = await self.api().get()
            self.assertEqual((answer.status, answer.etag, answer.retry_after), (200, '"1"', 7.0))
            self.assertEqual(answer.body, {"a": 1} if read else NO_JSON, coding)
            self.assertEqual(answer.unread is None, read)

    async def test_coded_body_is_not_waited_for(self) -> None:
        """However much of it is still to come: its connection ends."""
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n"
        for said in (head, head + b"\x1f\x8b"):
            peer = FaultPeer(reactor, [Read(until=HEAD_END), Send(said)])
            self.addCleanup(peer.stop)
            answer = await self.api(f"http://{peer.authority}/v1").get()
            self.assertIn("coding", str(answer.unread))
            await self.closed(peer)

    async def test_quoted_token(self) -> None:
        """An error that quotes the token does not show it, whichever status it comes with."""
        quoting = json.dumps({"success": False, "error": {"message": f"What is {TOKEN}?"}})
        for status in (200, 400, 500):
            self.plane.lie = always(status, [], quoting.encode())
            answer = await self.api().get()
            self.assertNotIn(TOKEN, str(answer.body))
            self.assertIn("What is [redacted]?", str(answer.body))

    async def test_cookies_are_forgotten(self) -> None:
        """What it sets it does not get back."""

        async def lie(visit: Visit) -> None:
            await visit.answer(200, [(b"Set-Cookie", b"a=b; Path=/")], b"{}")

        self.plane.lie = lie
        api = self.api()
        await api.get()
        await api.get()
        self.assertIsNone(self.plane.asked[-1].header(b"cookie"))

    async def test_faults(self) -> None:
        """Each fault at each phase is an ApiError without a status, in time; nothing is left."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
        scripts: list[list[Step]] = [
            [Close()],
            [Reset()],
            [Stall()],
            [Read(until=HEAD_END), Close()],
            [Read(until=HEAD_END), Reset()],
            [Read(until=HEAD_END), Stall()],
            [Read(until=HEAD_END), Send(b"HTTP/1.1 200"), Stall()],
            [Read(until=HEAD_END), Send(head + b"{"), Reset()],
            [Read(until=HEAD_END), Send(head + b"{"), Close()],
            [Read(until=HEAD_END), Send(head), Drip(b"x" * 100, every=0.2)],
            [Read(until=HEAD_END), Drip(head, every=0.2)],
            [Read(until=HEAD_END), Send(b"HTTP/1.1 200 OK\r\nX: "), Flood(10_000_000)],
            [
                Read(until=HEAD_END),
                Send(b"HTTP/1.1 200 OK\r\n" + b"X-Field: value\r\n" * 150_000),
                Stall(),
            ],
        ]
        for lie in LIES.values():
            scripts.append([Read(until=HEAD_END), Send(lie), Close()])
        for script in scripts:
            peer = FaultPeer(reactor, script)
            self.addCleanup(peer.stop)
            api = self.api(f"http://{peer.authority}/v1", Hurried())
            try:
                answer = await api.get()
            except ApiError as error:
                self.assertIsNone(error.status_code)
            else:
                # Some lies are good enough for Twisted's client; none is a configuration.
                self.assertIs(answer.body, NO_JSON, script)
            await api.close()
            await self.closed(peer)
        self.assertEqual(self.flushLoggedErrors(), [])

    def silent(self) -> typing.Iterator[tuple[Question, FaultPeer, int]]:
        """Each question, with a peer that says so many bytes of an answer, and no more."""
        for ask in QUESTIONS:
            for said in SAID:
                peer = FaultPeer(reactor, [Read(until=HEAD_END), Send(said)])
                self.addCleanup(peer.stop)
                yield ask, peer, len(said)

    async def test_too_late(self) -> None:
        """What is late is said to be, however much has come."""
        for ask, peer, _ in self.silent():
            api = self.api(f"http://{peer.authority}/v1", Hurried())
            self.assertIn("did not answer within 10 seconds", await self.refused(ask(api)))
            await self.closed(peer)

    async def test_cancelled(self) -> None:
        """
        Who cancels a question gets just that, however much has come, and not that the API did not
        answer; its connection ends.
        """
        for ask, peer, said in self.silent():
            asking = Deferred.fromCoroutine(ask(self.api(f"http://{peer.authority}/v1")))
            await self.said(peer, said)
            asking.cancel()
            self.failureResultOf(asking, CancelledError)
            await self.closed(peer)
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_cancelled_early(self) -> None:
        """So does who cancels before anything could come, or while it is still dialled."""
        for accepting in (Accepting.ACCEPT, Accepting.IGNORE):
            for ask in QUESTIONS:
                peer = FaultPeer(reactor, [Read(until=HEAD_END)], accepting=accepting)
                self.addCleanup(peer.stop)
                asking = Deferred.fromCoroutine(ask(self.api(f"http://{peer.authority}/v1")))
                asking.cancel()
                self.failureResultOf(asking, CancelledError)
                await self.closed(peer)

    async def test_nobody_there(self) -> None:
        """A port that nobody listens on, and a name that is none."""
        peer = FaultPeer(reactor)
        where = f"http://{peer.authority}/v1"
        await peer.stop()
        self.assertIn("refused", await self.refused(self.api(where).get()))
        await self.refused(self.api("http://nobody.invalid/v1").get())

    async def test_close(self) -> None:
        """What is asked is given up, and its connection ends."""
        peer = FaultPeer(reactor, [Stall()])
        self.addCleanup(peer.stop)
        api = self.api(f"http://{peer.authority}/v1")
        asking = [Deferred.fromCoroutine(each) for each in (api.get(), api.patch({}))]
        await peer.when(lambda: len(peer.open) == 2)
        await api.close()
        for each in asking:
            self.assertIn("stopped", str(self.failureResultOf(each, ApiError).value))
        self.assertIn("stopped", await self.refused(api.get()))
        await peer.when(lambda: not peer.open)
