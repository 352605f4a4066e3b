"""A hook that stalls, resets, floods, lies, or is not there."""

from __future__ import annotations

import ssl
import typing

import trustme
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IProtocol

from aluvia.edge import auth_hook
from aluvia.edge.auth_fields import is_sane
from aluvia.edge.hook_answers import BODY_BYTES
from aluvia.edge.test.auth_case import asked, capturedLogs, formatEvent, value_of
from aluvia.edge.test.hook_case import HEAD_END, TIMEOUT, HookCase
from aluvia.edge.verdicts import Admitted, Denied, Verdict
from aluvia.net.dial import Dialers
from aluvia.net.errors import DialError
from aluvia.net.resolve import Failed
from aluvia.testing.faults import (
    Accepting,
    Close,
    Drip,
    FaultPeer,
    Flood,
    Read,
    Reset,
    Send,
    Stall,
    StartTLS,
    in_turn,
)
from aluvia.testing.lies import LIES

ASKED = Read(until=HEAD_END)
#: Stalls until the other side closes.
UNTIL_LEFT = Read(to_end=True)
GOOD = b"HTTP/1.1 200 OK\r\nX-User: alice\r\nContent-Length: 4\r\n\r\nfine"


class Failing:
    """A dialer that fails."""

    def __init__(self, error: DialError) -> None:
        self._error = error

    def dial(self, host: str, port: int, protocol: IProtocol, failed: Failed) -> Failing:
        """Fail at once."""
        failed(self._error)
        return self

    def cancel(self) -> None:
        """Nothing was begun."""


class BadTests(HookCase):
    """Whatever goes wrong denies."""

    async def assert_unavailable(self, peer: FaultPeer, *causes: str, status: int = 503) -> None:
        """It denies with one of these causes, and leaves no connection."""
        authenticator = self.asking(peer, copy_headers=("X-User",))
        verdict = await self.denied(authenticator)
        self.assertEqual((verdict.status, verdict.body), (status, b""))
        self.assertIn(verdict.cause, causes)
        self.assertTrue(verdict.detail)
        self.assertEqual(list(verdict.fields), [])
        await self.emptied(peer)

    async def test_a_timeout_denies(self) -> None:
        """Five seconds are for the whole of an answer, wherever in it the hook stalls."""
        for said in (b"", GOOD[:10], GOOD[:40], GOOD[:-4], GOOD[:-1]):
            peer = self.peer(ASKED, Send(said), UNTIL_LEFT)
            verdict = self.begin(self.asking(peer))
            await self.heard(peer, len(said))
            self.clock.advance(TIMEOUT - 0.1)
            self.assertNoResult(verdict)
            self.clock.advance(0.1)
            result = self.successResultOf(verdict)
            assert isinstance(result, Denied)
            self.assertEqual((result.status, result.cause), (504, "http_response_timeout"))
            await self.emptied(peer)

    async def test_a_drip_is_no_answer(self) -> None:
        """Bytes that keep coming do not make the time longer."""
        drip = Drip(b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 1000, every=1.0)
        peer = self.peer(ASKED, drip, clock=self.clock)
        verdict = self.begin(self.asking(peer))
        await self.heard(peer, 1)
        for sent in range(2, int(TIMEOUT) + 1):
            self.clock.advance(1)
            await self.heard(peer, sent)
            self.assertNoResult(verdict)
        self.clock.advance(1)
        self.assertIsInstance(self.successResultOf(verdict), Denied)

    async def test_not_there(self) -> None:
        """A hook that refuses connections denies."""
        peer = self.peer(accepting=Accepting.REFUSE)
        await self.assert_unavailable(peer, "connection_refused")

    async def test_connect_takes_too_long(self) -> None:
        """One that does not even answer a connect denies at the end of the time."""
        peer = self.peer(accepting=Accepting.IGNORE)
        verdict = self.begin(self.asking(peer))
        self.clock.advance(TIMEOUT)
        result = self.successResultOf(verdict)
        self.assertEqual(typing.cast(Denied, result).status, 504)

    async def test_dial_errors(self) -> None:
        """What a dialer says is the cause; the status tells too late from not at all."""
        for error, status in (
            (DialError("dns_timeout", 504, "too late"), 504),
            (DialError("destination_ip_prohibited", 403, "not there"), 503),
            (DialError("dns_error", 502, "who?"), 503),
        ):
            self.dialers = Dialers()
            self.dialers.add("tcp", Failing(error))
            verdict = await self.denied(self.asking(self.peer()))
            self.assertEqual((verdict.status, verdict.cause), (status, error.error))

    async def test_no_reason(self) -> None:
        """Where a hook gives no reason phrase the usual one stands for it."""
        for status, reason in ((403, b"Forbidden"), (999, b"Denied")):
            said = b"HTTP/1.1 %d\r\nContent-Length: 0\r\n\r\n" % status
            verdict = await self.denied(self.asking(self.peer(ASKED, Send(said))))
            self.assertEqual((verdict.status, verdict.reason), (status, reason))

    async def test_reset(self) -> None:
        """One that resets denies, wherever in its answer."""
        for said in (b"", GOOD[:10], GOOD[:40]):
            await self.assert_unavailable(
                self.peer(ASKED, Send(said), Reset()), "connection_terminated"
            )

    async def test_half_an_answer(self) -> None:
        """An answer that ends in its middle denies, whatever its status said."""
        for said in (GOOD[:-4], GOOD[:-1], GOOD.replace(b"200", b"403")[:-1]):
            await self.assert_unavailable(
                self.peer(ASKED, Send(said), Close()), "http_response_incomplete"
            )
        for said in (b"", GOOD[:10], GOOD[:40]):
            await self.assert_unavailable(
                self.peer(ASKED, Send(said), Close()), "connection_terminated"
            )

    async def test_flood(self) -> None:
        """An answer without end denies before its time is up, be it the head or the body."""
        line = b"HTTP/1.1 200 OK\r\n"
        for status in (b"200", b"403"):
            head = b"HTTP/1.1 %b OK\r\n\r\n" % status
            peer = self.peer(ASKED, Send(head), Flood())
            await self.assert_unavailable(peer, "http_response_body_size")
        peer = self.peer(ASKED, Send(line), Flood(block=b"X: a\r\n" * 1000))
        await self.assert_unavailable(peer, "connection_terminated")
        peer = self.peer(ASKED, Send(line + b"X: "), Flood(block=b"a" * 65_536))
        await self.assert_unavailable(peer, "http_protocol_error", "connection_terminated")
        for _ in range(3):
            self.flushLoggedErrors()

    async def test_chunks(self) -> None:
        """A body of chunks is bounded as one with a length is."""
        head = b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = b"1000\r\n" + b"a" * 4096 + b"\r\n"
        whole = head + chunk * (BODY_BYTES // 4096) + b"0\r\n\r\n"
        verdict = await self.denied(self.asking(self.peer(ASKED, Send(whole))))
        self.assertEqual((verdict.status, len(verdict.body)), (403, BODY_BYTES))
        peer = self.peer(ASKED, Send(head + b"1\r\na\r\n"), Flood(block=b"1\r\na\r\n" * 1000))
        await self.assert_unavailable(peer, "connection_terminated", "http_response_incomplete")

    async def test_until_close(self) -> None:
        """A body may end by closing, as of HTTP/1.0."""
        for status in (200, 403):
            said = b"HTTP/1.0 %d X\r\n\r\nbody" % status
            verdict = await self.begin(self.asking(self.peer(ASKED, Send(said), Close())))
            if status == 200:
                self.assertIsInstance(verdict, Admitted)
            else:
                self.assertEqual(typing.cast(Denied, verdict).body, b"body")

    async def test_lies(self) -> None:
        """Whatever it says, it is judged; no control character goes on to anybody."""
        verdicts: dict[str, Verdict] = {}
        for name, lie in LIES.items():
            peer = self.peer(ASKED, Send(lie), Close())
            verdicts[name] = await self.begin(self.asking(peer, copy_headers=("X",)))
        for name in (
            *("garbage", "ssh_banner", "http_0_9", "status_099", "status_of_two_digits"),
            *("status_of_four_digits", "status_is_a_word", "empty_head", "nul"),
            *("two_lengths", "length_list", "length_negative", "length_hexadecimal"),
            *("length_empty", "gzip_then_chunked", "chunked_twice", "chunked_misspelt"),
            *("field_without_colon", "field_without_name", "mebibyte_head", "mebibyte_line"),
            *("hundred_continues",),
        ):
            verdict = verdicts[name]
            assert isinstance(verdict, Denied), name
            self.assertIn(verdict.status, (503, 504), name)
        for name, verdict in verdicts.items():
            self.assertTrue(all(map(is_sane, verdict.fields)), name)
        self.flushLoggedErrors()

    async def test_odd_fields(self) -> None:
        """A field that cannot be written as it came denies, also if nobody asked for it."""
        for status in (b"200", b"403"):
            for field in (b"X-User: a\0b", b"X: a\0b", b"X: \x1b[0m", b"X Y: a"):
                said = b"HTTP/1.1 %b X\r\n%b\r\nContent-Length: 0\r\n\r\n" % (status, field)
                await self.assert_unavailable(
                    self.peer(ASKED, Send(said), Close()), "http_protocol_error"
                )

    async def test_tls(self) -> None:
        """Over https the certificate must be trusted, and for this host."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        peer = self.peer(StartTLS(context), ASKED, Send(GOOD))
        verdict = await self.denied(self.asking(peer, "https"))
        self.assertEqual((verdict.status, verdict.cause), (503, "tls_certificate_error"))
        self.assertEqual(peer.connections[0].received, b"")

    async def test_stale_connection(self) -> None:
        """A kept connection that turns out to be closed is no reason to deny."""
        peer = self.peer(script=in_turn([ASKED, Send(GOOD), ASKED, Reset()], [ASKED, Send(GOOD)]))
        authenticator = self.asking(peer)
        for _ in range(2):
            self.assertIsInstance(await self.begin(authenticator), Admitted)
        self.assertEqual(peer.accepted, 2)

    async def test_unasked_answer(self) -> None:
        """What is said beyond an answer is not taken for the next one."""
        denial = GOOD.replace(b"200", b"403")
        peer = self.peer(ASKED, Send(denial + GOOD), ASKED, Send(denial))
        authenticator = self.asking(peer)
        for _ in range(2):
            self.assertEqual((await self.denied(authenticator)).status, 403)


class BoundTests(HookCase):
    """How much is under way, and how it ends."""

    async def test_bounded(self) -> None:
        """So many are asked at once, so many wait for their turn, and more are told to wait."""
        self.patch(auth_hook, "MOST_ASKED", 2)
        self.patch(auth_hook, "MOST_WAITING", 3)
        peer = self.peer(ASKED, Stall())
        authenticator = self.asking(peer)
        with capturedLogs() as events:
            verdicts = [
                self.begin(authenticator, asked(client=f"192.0.2.{number}")) for number in range(5)
            ]
            over = [authenticator.ask(asked(client="192.0.2.5")) for _ in range(3)]
        for each in over:
            assert isinstance(each, Denied)
            self.assertEqual((each.status, each.cause), (503, "connection_limit_reached"))
            self.assertEqual(value_of(each.fields, b"retry-after"), b"1")
        self.assertEqual([event["log_namespace"] for event in events].count(LOG), 1)
        await peer.when(lambda: len(peer.open) == 2)
        # One that leaves makes room, and lets the next one be asked.
        verdicts[0].cancel()
        self.failureResultOf(verdicts[0], CancelledError)
        await peer.when(lambda: peer.accepted == 3)
        last = self.begin(authenticator, asked(client="192.0.2.6"))
        self.assertIsInstance(authenticator.ask(asked(client="192.0.2.7")), Denied)
        # One that waits for its turn can leave too; the others end with their time.
        verdicts[4].cancel()
        self.failureResultOf(verdicts[4], CancelledError)
        self.clock.advance(TIMEOUT)
        for each_verdict in (*verdicts[1:4], last):
            self.assertEqual(typing.cast(Denied, self.successResultOf(each_verdict)).status, 504)
        await self.emptied(peer)

    async def test_one_address_leaves_the_line_to_others(self) -> None:
        """It is told to wait when it has a quarter of it."""
        self.patch(auth_hook, "MOST_ASKED", 4)
        self.patch(auth_hook, "MOST_WAITING", 4)
        authenticator = self.asking(self.peer(ASKED, Stall()))
        verdicts = [self.begin(authenticator) for _ in range(2)]
        over = authenticator.ask(asked())
        assert isinstance(over, Denied)
        self.assertEqual((over.status, over.cause), (503, "connection_limit_reached"))
        verdicts.append(self.begin(authenticator, asked(client="192.0.2.2")))
        self.clock.advance(TIMEOUT)
        for verdict in verdicts:
            self.assertEqual(typing.cast(Denied, self.successResultOf(verdict)).status, 504)

    async def test_one_address_leaves_turns_to_others(self) -> None:
        """Of the questions that are asked at once it has a quarter, too; the rest of its wait."""
        self.patch(auth_hook, "MOST_ASKED", 4)
        peer = self.peer(ASKED, Stall())
        authenticator = self.asking(peer)
        verdicts = [self.begin(authenticator) for _ in range(5)]
        await self.heard(peer, 0)
        verdicts.append(self.begin(authenticator, asked(client="192.0.2.2")))
        await peer.when(
            lambda: [HEAD_END in each.received for each in peer.connections] == [True] * 2
        )
        asked_for = [b"X-Forwarded-For: 192.0.2.2" in each.received for each in peer.connections]
        self.assertEqual(asked_for, [False, True])
        self.clock.advance(TIMEOUT)
        for verdict in verdicts:
            self.assertEqual(typing.cast(Denied, self.successResultOf(verdict)).status, 504)

    async def test_client_leaves(self) -> None:
        """A client that leaves ends the question, and its connection."""
        for said in (b"", GOOD[:10], GOOD[:-1]):
            peer = self.peer(ASKED, Send(said), UNTIL_LEFT)
            verdict = self.begin(self.asking(peer))
            await self.heard(peer, len(said))
            verdict.cancel()
            self.failureResultOf(verdict, CancelledError)
            await self.emptied(peer)

    async def test_stop(self) -> None:
        """Stopped, it denies what is under way, asks no more, and keeps nothing."""
        kept, stalling = self.peer(ASKED, Send(GOOD)), self.peer(ASKED, Stall())
        for peer in (kept, stalling):
            authenticator = self.asking(peer)
            verdict = self.begin(authenticator)
            if peer is kept:
                await verdict
            else:
                await self.heard(peer)
            stopped = authenticator.stop()
            if peer is stalling:
                self.assertEqual(typing.cast(Denied, self.successResultOf(verdict)).status, 503)
            await stopped
            await self.emptied(peer)
            self.assertEqual(typing.cast(Denied, authenticator.ask(asked())).status, 503)
            await authenticator.stop()

    async def test_finish(self) -> None:
        """Replaced, it lets what is under way come to its end before."""
        peer = self.peer(ASKED, Read(count=1), Send(GOOD))
        authenticator = self.asking(peer)
        verdict = self.begin(authenticator)
        await self.heard(peer)
        stopped = authenticator.stop(finish=True)
        self.assertIsInstance(authenticator.ask(asked()), Denied)
        self.assertNoResult(stopped)
        self.assertNoResult(verdict)
        # The rest of the script's reading is given by us, as if the hook had thought it over.
        await peer.connections[0].send(GOOD)
        self.assertIsInstance(await verdict, Admitted)
        await stopped
        await self.emptied(peer)

    async def test_told_once(self) -> None:
        """Each kind of trouble is told once a minute, without what was sent or asked."""
        peer = self.peer(ASKED, Reset())
        authenticator = self.asking(peer)
        request = asked((b"Cookie", b"canary"), target=b"/?canary")
        with capturedLogs() as events:
            for _ in range(3):
                await self.denied(authenticator, request)
            told = [formatEvent(event) for event in events if event["log_namespace"] == LOG]
            self.assertEqual(len(told), 1)
            self.assertIn("provider h", told[0])
            self.clock.advance(60)
            await self.denied(authenticator, request)
        told = [formatEvent(event) for event in events if event["log_namespace"] == LOG]
        self.assertEqual(len(told), 2)
        self.assertNotIn("canary", "".join(map(formatEvent, events)))

    async def test_our_failure(self) -> None:
        """What goes wrong on our side denies with 500, and is told with where."""
        authenticator = self.asking(self.peer(ASKED, Send(GOOD)))

        async def fail(response: object, copy_headers: object) -> Verdict:
            raise ZeroDivisionError

        self.patch(auth_hook, "read_answer", fail)
        verdict = await self.denied(authenticator)
        self.assertEqual((verdict.status, verdict.cause), (500, "proxy_internal_error"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


LOG = "aluvia.edge.auth_hook"
