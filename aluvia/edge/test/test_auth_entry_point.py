"""Somebody's own callable."""

from __future__ import annotations

import collections.abc
import functools
import importlib.metadata
import typing

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge import auth_entry_point
from aluvia.edge.auth_entry_point import EntryPointAuthenticator
from aluvia.edge.auth_request import AuthRequest, allow, deny
from aluvia.edge.model import EntryPointProvider
from aluvia.edge.test.auth_case import (
    UPGRADE,
    asked,
    capturedLogs,
    formatEvent,
    sent_on,
    value_of,
    verdict_now,
)
from aluvia.edge.verdicts import Admitted, Asked, Denied, Verdict

Judge = collections.abc.Callable[[AuthRequest], object]

#: What the entry points below lead to.
judge: typing.Any = None
no_callable = 3


def point(value: str) -> importlib.metadata.EntryPoint:
    """An entry point that leads there."""
    return importlib.metadata.EntryPoint("members", value, "aluvia.auth")


class EntryPointCase(SynchronousTestCase):
    """A provider, and its callable."""

    def setUp(self) -> None:
        """Nothing is judged yet."""
        self.clock = Clock()
        self.points = [point(f"{__name__}:judge")]
        self.looked_for: list[tuple[str, str]] = []
        self.requests: list[AuthRequest] = []

    def find(
        self, *, group: str, name: str
    ) -> collections.abc.Iterable[importlib.metadata.EntryPoint]:
        """What is installed."""
        self.looked_for.append((group, name))
        return self.points

    def made(self, answer: Judge | None = None, **options: typing.Any) -> EntryPointAuthenticator:
        """An authenticator that asks this."""

        def called(request: AuthRequest) -> object:
            self.requests.append(request)
            return True if answer is None else answer(request)

        self.patch(__import__(__name__, fromlist=["judge"]), "judge", called)
        provider = EntryPointProvider(id="e", entry_point="members", timeout=5.0, **options)
        return EntryPointAuthenticator(provider, self.clock, find=self.find)

    def verdict(
        self, answer: Judge, request: Asked | None = None, **options: typing.Any
    ) -> Verdict:
        """What is made of an answer."""
        verdict = self.made(answer, **options).ask(request or asked())
        if isinstance(verdict, Deferred):
            verdict = self.successResultOf(verdict)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return verdict


class AnswerTests(EntryPointCase):
    """What it gets, and what its answers mean."""

    def test_plain(self) -> None:
        """True lets through, False does not; both at once."""
        self.assertEqual(verdict_now(self.made(lambda _: True), asked()), Admitted())
        verdict = verdict_now(self.made(lambda _: False), asked())
        assert isinstance(verdict, Denied)
        self.assertEqual((verdict.status, verdict.cause), (403, "http_request_denied"))

    def test_request(self) -> None:
        """It gets a value that says who asks for what, without what is for this hop alone."""
        request = asked(
            *((b"Cookie", b"a"), (b"X-Own", b"\xe4"), (b"X-Forwarded-For", b"10.0.0.1")),
            *((b"X_Forwarded_User", b"root"), (b"Forwarded", b"for=10.0.0.1"), (b"cookie", b"b")),
            *((b"Connection", b"X-Hop"), (b"X-Hop", b"1"), (b"Content-Length", b"3")),
            method=b"POST",
        )
        self.verdict(lambda _: True, request)
        (got,) = self.requests
        self.assertEqual(
            (got.method, got.uri, got.host, got.scheme, got.client_address),
            ("POST", "/a?b", "app.example", "https", "192.0.2.1"),
        )
        self.assertEqual(
            got.headers,
            [("Host", "App.Example:8443"), ("Cookie", "a"), ("X-Own", "ä"), ("cookie", "b")],
        )
        self.assertEqual(got.get("COOKIE"), "a, b")
        self.assertEqual(got.get("x-own"), "ä")
        self.assertIsNone(got.get("X-Other"))

    def test_two_credentials_are_none(self) -> None:
        """Of two credentials none is taken for the only one."""
        field = b"Authorization"
        self.verdict(lambda _: True, asked((field, b"Bearer a"), (field, b"Bearer b")))
        self.assertEqual(self.requests[0].get("Authorization"), "Bearer a, Bearer b")

    def test_no_secrets(self) -> None:
        """Neither fields nor target are in what is printed of a request."""
        self.verdict(lambda _: True, asked((b"Cookie", b"canary"), target=b"/?canary"))
        self.assertNotIn("canary", repr(self.requests[0]))

    def test_upgrades(self) -> None:
        """A WebSocket is judged like any other request, and can be told from it."""
        self.assertIsInstance(self.verdict(lambda _: False, asked(*UPGRADE)), Denied)
        self.assertEqual(self.requests[0].get("Upgrade"), "websocket")

    def test_later(self) -> None:
        """A Deferred, a coroutine or another awaitable of an answer is waited for."""

        class Awaitable:
            def __await__(self) -> collections.abc.Generator[typing.Any, None, bool]:
                yield from succeed(None)
                return True

        async def coroutine(request: AuthRequest) -> bool:
            return bool(await succeed(True))

        answers: tuple[Judge, ...] = (
            lambda _: succeed(True),
            lambda _: succeed(allow()),
            lambda _: Awaitable(),
            coroutine,
        )
        for answer in answers:
            self.assertEqual(self.verdict(answer), Admitted())
        self.assertIsInstance(self.verdict(lambda _: succeed(False)), Denied)
        pending: Deferred[bool] = Deferred()
        verdict = self.made(lambda _: pending).ask(asked())
        assert isinstance(verdict, Deferred)
        self.assertNoResult(verdict)
        pending.callback(True)
        self.assertEqual(self.successResultOf(verdict), Admitted())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_fields(self) -> None:
        """The fields that copyHeaders names go on; others are dropped, and that is told once."""
        authenticator = self.made(
            lambda _: allow([("X-User", "alice"), ("X-User", "ä"), ("X-Other", "canary")]),
            copy_headers=("x-user", "X-Missing"),
        )
        with capturedLogs() as events:
            for _ in range(2):
                verdict = verdict_now(authenticator, asked())
                self.assertEqual(
                    verdict, Admitted(((b"X-User", b"alice"), (b"X-User", "ä".encode())))
                )
        self.assertEqual(len(events), 1)
        self.assertNotIn("canary", formatEvent(events[0]))

    def test_client_sent_copies_are_deleted(self) -> None:
        """A client's field of a copied name goes nowhere, whatever the callable says."""
        authenticator = self.made(copy_headers=("X-User",))
        request = asked((b"X-User", b"root"), (b"x_user", b"root"))
        verdict = verdict_now(authenticator, request)
        assert isinstance(verdict, Admitted)
        self.assertEqual(sent_on(request, authenticator), [])
        self.assertEqual([*verdict.fields], [])

    def test_denied(self) -> None:
        """An answer of its own is given as it is, without framing."""
        headers = {"Location": "/login", "Content-Length": "7", "Connection": "close"}
        verdict = self.verdict(lambda _: deny(302, headers, b"body"))
        assert isinstance(verdict, Denied)
        self.assertEqual((verdict.status, verdict.reason), (302, b"Found"))
        self.assertEqual(list(verdict.fields), [(b"Location", b"/login")])
        self.assertEqual((verdict.body, verdict.detail), (b"body", ""))

    def test_text(self) -> None:
        """Text has a type, unless it is said; without a body the words are ours."""
        self.assertEqual(
            list(deny(451, body="ä").fields), [(b"Content-Type", b"text/plain; charset=utf-8")]
        )
        page = deny(403, [("content-type", "text/html")], "<p>")
        self.assertEqual(value_of(page.fields, b"content-type"), b"text/html")
        self.assertEqual(len(page.fields), 1)
        self.assertEqual(deny(body="ä").body, "ä".encode())
        self.assertTrue(deny(401, {"WWW-Authenticate": "Bearer"}).detail)
        self.assertEqual(deny(499).reason, b"Denied")

    def test_no_fields(self) -> None:
        """What is no field or no denial is an error where it is made."""
        for headers in ({"X": "a\r\nb"}, {"X": "a\0"}, {"X Y": "a"}, {"": "a"}, {"ä": "a"}):
            self.assertRaises(ValueError, allow, headers)
            self.assertRaises(ValueError, deny, 403, headers)
        for status in (0, 100, 101, 200, 299, 600):
            self.assertRaises(ValueError, deny, status)


def _the_first(answer: object, request: AuthRequest) -> object:
    return answer


class TroubleTests(EntryPointCase):
    """Whatever goes wrong denies."""

    def assert_500(self, verdict: Verdict) -> None:
        """It is our failure."""
        assert isinstance(verdict, Denied), verdict
        self.assertEqual((verdict.status, verdict.cause), (500, "proxy_internal_error"))
        self.assertEqual(list(verdict.fields), [])

    def test_raises(self) -> None:
        """What it raises denies, at once or later, and is told with where, once a minute."""

        def now(request: AuthRequest) -> object:
            raise ZeroDivisionError

        async def later(request: AuthRequest) -> object:
            await succeed(None)
            raise ZeroDivisionError

        for answer in (now, later):
            authenticator = self.made(answer)
            for _ in range(3):
                verdict = authenticator.ask(asked())
                if isinstance(verdict, Deferred):
                    verdict = self.successResultOf(verdict)
                self.assert_500(verdict)
            (error,) = self.flushLoggedErrors(ZeroDivisionError)
            self.assertIn(answer.__name__, error.getTraceback())
            self.clock.advance(60)
            authenticator.ask(asked())
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_anything_else(self) -> None:
        """An answer that is none denies, however true it may seem, and is not printed."""
        for answer in (None, 1, "canary", {"canary": True}, [], object(), (True,)):
            for given in (answer, succeed(answer)):
                self.assert_500(self.verdict(functools.partial(_the_first, given)))
            for error in self.flushLoggedErrors(TypeError):
                self.assertNotIn("canary", error.getErrorMessage())

    def test_a_timeout_denies(self) -> None:
        """At the end of the time it is 504, and what was begun is cancelled."""
        given_up: list[object] = []
        pending: Deferred[bool] = Deferred(given_up.append)
        authenticator = self.made(lambda _: pending)
        with capturedLogs() as events:
            verdict = authenticator.ask(asked())
            assert isinstance(verdict, Deferred)
            self.clock.advance(4.9)
            self.assertNoResult(verdict)
            self.clock.advance(0.1)
        result = self.successResultOf(verdict)
        assert isinstance(result, Denied)
        self.assertEqual((result.status, result.cause), (504, "http_response_timeout"))
        self.assertEqual((len(given_up), len(events)), (1, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled_by_itself(self) -> None:
        """Somebody else's cancellation is an error of theirs, and not that the client left."""
        pending: Deferred[bool] = Deferred()
        verdict = self.made(lambda _: pending).ask(asked())
        assert isinstance(verdict, Deferred)
        pending.cancel()
        self.assert_500(self.successResultOf(verdict))
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)

    def test_client_leaves(self) -> None:
        """A client that leaves ends what was begun for it."""
        given_up: list[object] = []
        pending: Deferred[bool] = Deferred(given_up.append)
        verdict = self.made(lambda _: pending).ask(asked())
        assert isinstance(verdict, Deferred)
        verdict.cancel()
        self.failureResultOf(verdict, CancelledError)
        self.assertEqual(len(given_up), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bounded(self) -> None:
        """So many of one address wait at once; more are denied at once, and others are not."""
        self.patch(auth_entry_point, "MOST_ASKED", 8)
        pending: list[Deferred[bool]] = []

        def answer(request: AuthRequest) -> object:
            pending.append(Deferred())
            return pending[-1]

        authenticator = self.made(answer)
        verdicts = [authenticator.ask(asked()) for _ in range(2)]
        over = verdict_now(authenticator, asked())
        assert isinstance(over, Denied)
        self.assertEqual(over.status, 503)
        self.assertEqual(len(pending), 2)
        self.assertIsInstance(authenticator.ask(asked(client="192.0.2.2")), Deferred)
        pending[0].callback(True)
        self.assertIsInstance(authenticator.ask(asked()), Deferred)
        self.assertEqual(len(verdicts), 2)

    def test_stop(self) -> None:
        """Stopped, it denies what waits, and asks no more."""
        authenticator = self.made(lambda _: Deferred())
        verdict = authenticator.ask(asked())
        assert isinstance(verdict, Deferred)
        self.successResultOf(authenticator.stop())
        self.assertIsInstance(self.successResultOf(verdict), Denied)
        self.assertIsInstance(verdict_now(authenticator, asked()), Denied)
        self.assertEqual(len(self.requests), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_loading(self) -> None:
        """An entry point that is not there, or cannot be loaded, is told by its name."""
        self.made()
        self.assertEqual(self.looked_for, [("aluvia.auth", "members")])
        for points in (
            [],
            [point("aluvia.nowhere:judge")],
            [point(f"{__name__}:nothing")],
            [point(f"{__name__}:no_callable")],
            [point("not a reference")],
            [point(f"{__name__}:judge"), point(f"{__name__}:other")],
        ):
            self.points = points
            with self.assertRaises(ValueError) as caught:
                self.made()
            self.assertIn("'members'", str(caught.exception))
        # Found twice along the path, it is one and the same.
        self.points = [point(f"{__name__}:judge")] * 2
        self.made()
        self.assertRaises(ValueError, self.made, copy_headers=("Host",))

    def test_installed(self) -> None:
        """What is really installed is looked at, where nothing else is said."""
        provider = EntryPointProvider(id="e", entry_point="no such entry point")
        self.assertRaises(ValueError, EntryPointAuthenticator, provider, self.clock)
