"""Tests for :mod:`aluvia.wire.cycle`: the table, mistakes of ours, and the end of HTTP."""

from __future__ import annotations

import typing

from twisted.trial.unittest import SynchronousTestCase

from aluvia.wire.cycle import TRANSITIONS, State, Step, after
from aluvia.wire.errors import LocalProtocolError
from aluvia.wire.exchange import CHUNKED, END, ServerExchange
from aluvia.wire.test.messages import post
from aluvia.wire.test.pieces import GET
from aluvia.wire.test.test_server_exchange import CONNECT, UPGRADE, asked, head_of


class SwitchTests(SynchronousTestCase):
    """The end of HTTP."""

    def test_connect(self) -> None:
        """A 2xx opens, without framing, and the bytes behind the head are handed over."""
        for raw in (CONNECT, CONNECT.replace(b"HTTP/1.1", b"HTTP/1.0")):
            for status in (200, 299):
                exchange = asked(raw + b"ear")
                exchange.receive(b"ly")
                self.assertEqual(exchange.held, 5)
                written = exchange.respond(status, b"OK", [(b"A", b"b")], 0)
                self.assertEqual(written, b"HTTP/1.1 %d OK\r\nA: b\r\n\r\n" % status)
                self.assertEqual(exchange.switch(), b"early")
                self.assertEqual(exchange.held, 0)

    def test_upgrade(self) -> None:
        """A 101 opens for who asked for it, with Connection beside its Upgrade."""
        exchange = asked(UPGRADE + b"early")
        written = exchange.respond(101, b"Switching Protocols", [(b"Upgrade", b"websocket")], 0)
        self.assertEqual(
            written,
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\n\r\n",
        )
        self.assertEqual(exchange.switch(), b"early")

    def test_refused_connect_closes(self) -> None:
        """Its early bytes are not read as requests."""
        exchange = asked(CONNECT + GET)
        written = exchange.respond(502, b"Bad Gateway", (), 2) + exchange.data(b"no")
        self.assertIn(b"Connection: close\r\n", written)
        exchange.end()
        self.assertTrue(exchange.must_close)
        self.assertRaises(LocalProtocolError, exchange.next_cycle)

    def test_refused_upgrade_stays(self) -> None:
        """What came behind it are requests."""
        exchange = asked(UPGRADE + GET)
        exchange.respond(200, b"OK", (), 0)
        exchange.end()
        self.assertEqual(exchange.next_cycle(), [head_of(GET), END])

    def test_afterwards(self) -> None:
        """Nothing is HTTP any more."""
        exchange = asked(CONNECT)
        exchange.respond(200, b"OK", (), 0)
        self.assertRaises(LocalProtocolError, exchange.data, b"x")
        exchange.switch()
        for call in (
            lambda: exchange.receive(b"x"),
            lambda: exchange.respond(200, b"OK", (), 0),
            lambda: exchange.data(b"x"),
            exchange.end,
            exchange.switch,
            exchange.next_cycle,
        ):
            self.assertRaises(LocalProtocolError, call)

    def test_after_the_body(self) -> None:
        """An upgrade of a request with a body waits for its end."""
        raw = post(b"Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n")
        exchange = asked(raw)
        exchange.respond(101, b"Switching Protocols", [(b"Upgrade", b"x")], 0)
        self.assertRaises(LocalProtocolError, exchange.switch)
        exchange.receive(b"ab" + b"early")
        self.assertEqual(exchange.switch(), b"early")


class MistakeTests(SynchronousTestCase):
    """What the table does not have is a mistake of ours, and changes nothing."""

    def test_table(self) -> None:
        """Every step from every state is either in the table or refused."""
        for step in Step:
            for state in State:
                if state in TRANSITIONS[step]:
                    self.assertIn(after(step, state), State)
                else:
                    self.assertRaises(LocalProtocolError, after, step, state)

    def test_out_of_turn(self) -> None:
        """Each call that is not possible where the exchange is leaves it as it is."""
        done = asked()
        done.respond(200, b"OK", (), 0)
        done.end()
        begun = asked()
        begun.respond(200, b"OK", (), 5)
        rows: list[tuple[str, ServerExchange, typing.Callable[[ServerExchange], object]]] = [
            ("data before the head", asked(), lambda e: e.data(b"x")),
            ("end before the head", asked(), lambda e: e.end()),
            ("next cycle before the response", asked(), lambda e: e.next_cycle()),
            ("next cycle in the response", begun, lambda e: e.next_cycle()),
            ("two responses", begun, lambda e: e.respond(200, b"OK", (), 0)),
            ("a 1xx behind the response", begun, lambda e: e.informational(100)),
            ("a 1xx before the request", ServerExchange(), lambda e: e.informational(100)),
            ("a 1xx that is a 2xx", asked(), lambda e: e.informational(200)),
            ("a 101 as informational", asked(UPGRADE), lambda e: e.informational(101)),
            ("too much data", begun, lambda e: e.data(b"123456")),
            ("too little data", begun, lambda e: e.end()),
            ("data behind the end", done, lambda e: e.data(b"x")),
            ("two ends", done, lambda e: e.end()),
            ("a switch behind a GET", done, lambda e: e.switch()),
            ("a switch before the 2xx", asked(CONNECT), lambda e: e.switch()),
            ("an unasked 101", asked(), lambda e: e.respond(101, b"", [(b"Upgrade", b"x")], 0)),
            ("a 101 to nothing", ServerExchange(), lambda e: e.respond(101, b"", (), 0)),
            ("a status of 100", asked(), lambda e: e.respond(100, b"", (), 0)),
            ("a status of 1000", asked(), lambda e: e.respond(1000, b"", (), 0)),
            ("a length that is none", asked(), lambda e: e.respond(200, b"", (), -3)),
            ("a line end in a field", asked(), lambda e: e.respond(200, b"", [(b"A", b"\n")], 0)),
        ]
        for name, exchange, call in rows:
            before = (exchange.reading, exchange.writing, exchange.must_close)
            self.assertRaises(LocalProtocolError, call, exchange)
            self.assertEqual(
                (exchange.reading, exchange.writing, exchange.must_close), before, name
            )

    def test_our_own_fields(self) -> None:
        """A caller's framing or Connection would say a second thing about the end."""
        for name in (b"Content-Length", b"transfer-encoding", b"CONNECTION"):
            for fields in ([(name, b"5")], [(b"Upgrade", b"x"), (name, b"5")]):
                exchange = asked()
                self.assertRaises(LocalProtocolError, exchange.respond, 200, b"OK", fields, 0)
                self.assertRaises(LocalProtocolError, exchange.informational, 100, fields)
                exchange.respond(200, b"OK", (), 0)

    def test_trailers_with_line_ends(self) -> None:
        """They are refused, and the body can still be ended."""
        exchange = asked()
        exchange.respond(200, b"OK", (), CHUNKED)
        self.assertRaises(LocalProtocolError, exchange.end, [(b"A", b"\r\n")])
        self.assertEqual(exchange.end(), b"0\r\n\r\n")
