"""Requests that come round again."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.cdn_loop import CDNLoop
from aluvia.edge.ingress import Ingress
from aluvia.edge.model import Backend, Route, Snapshot
from aluvia.edge.test.edge_case import HOST, EdgeCase, backend, seen
from aluvia.wire.limits import DEFAULT_LIMITS

NAME = b"aluvia-0123abcd"


class NameTests(SynchronousTestCase):
    """The field alone."""

    def setUp(self) -> None:
        """An edge's own."""
        self.loop = CDNLoop(NAME)

    def test_ours(self) -> None:
        """A name in the list is found, wherever it stands."""
        for came in (
            b"%b",
            b"a, %b",
            b"%b, a",
            b"a,%b,c",
            b"a ,\t%b ; v=1",
            b"%b;v=1",
            b',, ;"=, %b,',
            b"\xff\x80, %b",
        ):
            self.assertTrue(self.loop.has_us(came % NAME), came)

    def test_not_ours(self) -> None:
        """Another is not, however like it, nor what is no list at all."""
        self.assertFalse(self.loop.has_us(None))
        for came in (
            b"",
            b",",
            b"aluvia",
            b"aluvia-",
            b"x" + NAME,
            NAME + b"x",
            NAME + b":80",
            b"a.%b, b-%b" % (NAME, NAME),
            b"a;v=" + NAME,
            b'"' + NAME,
            b"\xff" + NAME,
            b"aluvia-ffff0000;" * 4_000,
        ):
            self.assertFalse(self.loop.has_us(came), came)

    def test_what_goes_out(self) -> None:
        """What came, whatever it is, with the name behind it, which is found in it."""
        for came, out in (
            (None, NAME),
            (b"", NAME),
            (b"a, b;v=1", b"a, b;v=1, " + NAME),
            (b"\xff;;,", b"\xff;;,, " + NAME),
        ):
            self.assertEqual(self.loop.with_us(came), out)
            self.assertTrue(self.loop.has_us(out))


class LoopTests(EdgeCase):
    """Over connections."""

    def serve(self, edge: Ingress, port: int) -> None:
        """Have the one backend that is at this port."""
        there = Backend(id="b", hostname="127.0.0.1", port=port)
        route = Route(id="r", v_host=HOST, backends=(there,))
        edge.applied.prepare(Snapshot(), Snapshot(routes={"r": route}))()

    def looped(self, edge: Ingress) -> int:
        """How many of its route's requests were here before."""
        causes = edge.tracker.total("r").tally.causes(edge.tracker.causes)
        return causes.get("proxy_loop_detected", 0)

    async def test_two_edges_each_the_others_backend(self) -> None:
        """A request comes back once, is answered, and leaves nothing anywhere."""
        one, two = self.open(), self.open()
        self.serve(one, two.place("http")[1])
        self.serve(two, one.place("http")[1])
        client = await self.connect()
        for path in ("/", "/again"):
            answer = await self.ask(path, client=client)
            self.assertEqual(answer.status, 502)
            self.assertIn(b"error=proxy_loop_detected", answer.header(b"proxy-status") or b"")
        # The one that was asked knows its request again, and counts it besides its client's.
        self.assertEqual((self.looped(two), self.looped(one)), (2, 0))
        for edge in (one, two):
            live = edge.applied.routes["r"]
            self.assertEqual((edge.proxy.live, live.admission.active), (set(), 0))
            self.assertFalse(any(member.is_dead for member in live.members))

    async def test_what_a_backend_is_told(self) -> None:
        """Who was asked before us, in one line, and we."""
        self.route(backend(self.origin()))
        client = await self.connect()
        (ours,) = seen(await self.echo("/", client=client), "CDN-Loop")
        self.assertRegex(ours, "^aluvia-[0-9a-f]{8}$")
        fields = await self.echo("/", "CDN-Loop: a, b;v=1", "cdn-loop: c", client=client)
        self.assertEqual(seen(fields, "CDN-Loop"), [f"a, b;v=1, c, {ours}"])
        # Nor is it ours to have forgotten, or spelled otherwise.
        hidden = "Connection: CDN-Loop", "CDN-Loop: a", "cdn_loop: b"
        fields = await self.echo("/", *hidden, client=client)
        self.assertEqual(seen(fields, "CDN-Loop"), [f"a, {ours}"])
        self.assertEqual(seen(fields, "cdn_loop"), [])
        self.assertEqual(seen(await self.echo("/", client=client), "CDN-Loop"), [ours])

    async def test_another_edge_has_another_name(self) -> None:
        """Or what one rightly sends to the next would be refused there."""
        one, two = self.open(), self.open()
        self.serve(one, self.origin().port)
        self.serve(two, one.place("http")[1])
        names = seen(await self.echo("/"), "CDN-Loop")[0].split(", ")
        self.assertEqual(len({*names}), 2)

    async def test_who_says_our_name(self) -> None:
        """It is answered, however it tries to hide it; the next request is one like any other."""
        origin = self.origin()
        self.route(backend(origin))
        client = await self.connect()
        (ours,) = seen(await self.echo("/", client=client), "CDN-Loop")
        for fields in (
            [f"CDN-Loop: {ours}"],
            [f"Connection: CDN-Loop\r\ncdn-LOOP: a\r\nCDN-Loop: {ours};v=1, b"],
            [f"CDN-Loop: {'a, ' * 15_000}{ours}"],
        ):
            self.assertEqual((await self.ask("/", *fields, client=client)).status, 502)
            self.assertEqual((await self.ask("/", client=client)).status, 200)
        self.assertEqual(self.looped(self.edge), 3)
        self.assertEqual(len(origin.visits), 4)

    async def test_no_list(self) -> None:
        """What is none goes on as it came, and is bounded as every field is."""
        self.route(backend(self.origin()))
        for value in ("", ",,;=\xff", '"' * 50_000, "," * 50_000):
            (said,) = seen(await self.echo("/", f"CDN-Loop: {value}"), "CDN-Loop")
            self.assertRegex(said, "(^|, )aluvia-[0-9a-f]{8}$")
            self.assertTrue(said.startswith(value))
        too_long = f"CDN-Loop: {'a' * DEFAULT_LIMITS.head_bytes}"
        self.assertEqual((await self.ask("/", too_long)).status, 431)

    async def test_via_is_the_clients(self) -> None:
        """It goes on as it came, and we add none: servers behind us would compress no more."""
        self.route(backend(self.origin()))
        self.assertEqual(seen(await self.echo("/"), "Via"), [])
        fields = await self.echo("/", "Via: 1.1 a", "via: 1.0 b (c)")
        self.assertEqual(seen(fields, "Via"), ["1.1 a", "1.0 b (c)"])
