"""What holds of every message: both ends of the wire in memory, and bytes of any kind."""

from __future__ import annotations

import contextlib
import typing

import hypothesis
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aluvia.testing.properties import settings_for_tests
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.exchange import (
    CHUNKED,
    END,
    UNTIL_CLOSE,
    ClientExchange,
    Event,
    ServerExchange,
    Trailers,
)
from aluvia.wire.head import RequestHead, ResponseHead
from aluvia.wire.headers import Field
from aluvia.wire.limits import Limits
from aluvia.wire.test.pieces import asking, merged, received

Exchange = ServerExchange | ClientExchange

TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
OURS = {b"connection", b"content-length", b"transfer-encoding", b"upgrade", b"host", b"expect"}

tokens = st.lists(st.sampled_from(TOKEN), min_size=1, max_size=12).map(bytes)
visible = st.lists(st.integers(0x21, 0x7E), min_size=1, max_size=20).map(bytes)
values = (
    st.lists(st.integers(0x20, 0x7E) | st.integers(0x80, 0xFF) | st.just(9), max_size=20)
    .map(bytes)
    .map(lambda value: value.strip(b" \t"))
)
fields = st.lists(
    st.tuples(tokens.filter(lambda name: name.lower() not in OURS), values), max_size=6
)
trailers = st.lists(st.tuples(st.sampled_from([b"Digest", b"X-a"]), values), max_size=2)
bodies = st.lists(st.binary(min_size=1, max_size=30), max_size=4)


def cut(data: st.DataObject, wire: bytes) -> list[bytes]:
    """Draw pieces of what is on the wire."""
    cuts = sorted(set(data.draw(st.lists(st.integers(1, max(1, len(wire) - 1)), max_size=8))))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    return [piece for piece in pieces if piece]


def lengths(pieces: list[bytes], *others: int) -> list[int]:
    """Return the lengths that a body of these pieces may be sent with."""
    return [sum(map(len, pieces)), CHUNKED, *others]


class RoundTripTests(SynchronousTestCase):
    """What one end writes, the other reads."""

    def assert_body(
        self, events: list[Event], pieces: list[bytes], sent: typing.Sequence[Field], ends: bool
    ) -> None:
        """The events behind a head are this body, these trailers, and the end."""
        expected: list[Event] = [b"".join(pieces)] if pieces else []
        if sent:
            expected.append(Trailers(list(sent)))
        self.assertEqual(events, [*expected, END] if ends else expected)

    @settings_for_tests
    @given(tokens, visible, fields, bodies, trailers, st.data())
    def test_requests(
        self,
        method: bytes,
        target: bytes,
        sent: list[Field],
        pieces: list[bytes],
        behind: list[Field],
        data: st.DataObject,
    ) -> None:
        """A request of any method, fields, body and framing, in any split."""
        hypothesis.assume(method != b"CONNECT" or not pieces)
        sent = [(b"Host", b"a.example:80"), *sent]
        length = 0 if method == b"CONNECT" else data.draw(st.sampled_from(lengths(pieces)))
        client = ClientExchange()
        wire = client.request(method, target, sent, length)
        wire += b"".join(map(client.data, pieces)) + client.end(behind)
        server = ServerExchange()
        events, violation = received(server, cut(data, wire))
        self.assertIs(violation, None)
        head = events[0]
        assert isinstance(head, RequestHead)
        self.assertEqual((head.method, head.target, head.minor), (method, target, 1))
        self.assertEqual(head.fields[: len(sent)], sent)
        self.assertEqual(head.length, length)
        self.assertTrue(head.keep_alive)
        self.assert_body(events[1:], pieces, behind if length == CHUNKED else (), ends=True)
        self.assertEqual(server.held, 0)

    @settings_for_tests
    @given(
        st.integers(200, 599).filter(lambda status: status not in (204, 304)),
        values,
        fields,
        bodies,
        trailers,
        st.integers(0, 3),
        st.data(),
    )
    def test_responses(
        self,
        status: int,
        reason: bytes,
        sent: list[Field],
        pieces: list[bytes],
        behind: list[Field],
        informational: int,
        data: st.DataObject,
    ) -> None:
        """A response of any status, fields, body and framing, in any split; then the next one."""
        length = data.draw(st.sampled_from(lengths(pieces, UNTIL_CLOSE)))
        client, server = ClientExchange(), ServerExchange()
        for _ in range(2):
            server.receive(client.request(b"GET", b"/", [(b"Host", b"a")], 0) + client.end())
            wire = server.informational(100, sent) * informational
            wire += server.respond(status, reason, sent, length)
            wire += b"".join(map(server.data, pieces)) + server.end(behind)
            events, violation = received(client, cut(data, wire))
            self.assertIs(violation, None)
            head = events[informational]
            assert isinstance(head, ResponseHead)
            self.assertEqual((head.status, head.reason), (status, reason))
            self.assertEqual(head.fields[: len(sent)], sent)
            self.assertEqual(head.length, length)
            self.assert_body(
                events[informational + 1 :],
                pieces,
                behind if length == CHUNKED else (),
                ends=length != UNTIL_CLOSE,
            )
            if length == UNTIL_CLOSE:
                self.assertEqual(client.receive_eof(), [END])
            self.assertEqual((client.reusable, server.must_close), (length >= -1, length < -1))
            if not client.reusable:
                return
            client.next_cycle()
            self.assertEqual(server.next_cycle(), [])


# Pieces that messages are made of, good and bad, so that what is drawn comes far.
FRAGMENTS = [
    b"GET / HTTP/1.1\r\n",
    b"POST / HTTP/1.1\r\n",
    b"CONNECT a:1 HTTP/1.0\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.0 304 Not\r\n",
    b"Host: a\r\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: upgrade\r\n",
    b"Upgrade: x\r\n",
    b"Expect: 100-continue\r\n",
    b"A: b\r\n",
    b"3\r\nabc\r\n",
    b"0\r\n",
    b"abc",
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b" ",
    b":",
    b"\xff",
]
mixtures = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=3), max_size=20).map(b"".join)
SMALL = Limits(
    head_bytes=120,
    field_count=4,
    trailer_bytes=40,
    chunk_line_bytes=10,
    chunk_extension_bytes=12,
    informational_heads=2,
    leading_empty_lines=2,
    held_bytes=60,
)
makers: st.SearchStrategy[typing.Callable[[], Exchange]] = st.sampled_from(
    [
        ServerExchange,
        lambda: ServerExchange(SMALL),
        ClientExchange,
        asking,
        lambda: asking(b"HEAD"),
        lambda: asking(b"CONNECT", limits=SMALL),
        lambda: asking(fields=[(b"Upgrade", b"x")], limits=SMALL),
        lambda: asking(limits=SMALL),
    ]
)


def drive(exchange: Exchange, pieces: list[bytes]) -> tuple[list[Event], bool]:
    """Feed pieces, answering each request, until the exchange objects or closes.

    :return: the events, and whether it objected.
    """
    events: list[Event] = []
    try:
        for piece in pieces:
            events += exchange.receive(piece)
            while isinstance(exchange, ServerExchange) and exchange.reading.name == "DONE":
                exchange.respond(204, b"No Content", (), 0)
                if not exchange.may_respond and exchange.writing.name == "AGREED":
                    return merged(events), False
                exchange.end()
                if exchange.must_close:
                    return merged(events), False
                events += exchange.next_cycle()
        events += exchange.receive_eof()
    except ProtocolViolation:
        return merged(events), True
    return merged(events), False


class AnyBytesTests(SynchronousTestCase):
    """Bytes of any kind, in any split."""

    @settings_for_tests
    @given(makers, mixtures | st.binary(), st.data())
    def test_nothing_but_violations(
        self, make: typing.Callable[[], Exchange], wire: bytes, data: st.DataObject
    ) -> None:
        """Whatever comes is read or refused; no other exception leaves an exchange."""
        drive(make(), cut(data, wire))

    @settings_for_tests
    @given(makers, mixtures, st.data())
    def test_splits_do_not_matter(
        self, make: typing.Callable[[], Exchange], wire: bytes, data: st.DataObject
    ) -> None:
        """A split changes neither the events nor whether there is an objection.

        An objection takes with it the events of its own receive(), so what was read before it may
        be more when it came in pieces, and never something else.
        """
        whole, refused = drive(make(), [wire] if wire else [])
        split, split_refused = drive(make(), cut(data, wire))
        self.assertEqual(split_refused, refused)
        if not refused:
            self.assertEqual(split, whole)
        for one, other in zip(whole, split, strict=False):
            if isinstance(one, bytes) and isinstance(other, bytes):
                self.assertTrue(other.startswith(one) or one.startswith(other))
            else:
                self.assertEqual(one, other)

    @settings_for_tests
    @given(makers, mixtures, st.data())
    def test_what_is_kept_is_bounded(
        self, make: typing.Callable[[], Exchange], wire: bytes, data: st.DataObject
    ) -> None:
        """After any read, an exchange keeps no more than its limits say."""
        exchange = make()
        limits = exchange.limits
        for piece in cut(data, wire):
            with contextlib.suppress(ProtocolViolation):
                exchange.receive(piece)
            self.assertLessEqual(len(exchange._buffer), max(limits.head_bytes, limits.held_bytes))
