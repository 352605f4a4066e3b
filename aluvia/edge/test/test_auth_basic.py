"""Users with passwords."""

from __future__ import annotations

import base64
import typing
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as some
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.auth_basic import BasicAuthenticator, basic_credentials, is_user_name, quoted
from aluvia.edge.model import BasicProvider
from aluvia.edge.password_hashes import PASSWORD_BYTES, PasswordHash
from aluvia.edge.test.auth_case import (
    UPGRADE,
    ByHand,
    asked,
    capturedLogs,
    cheap_hash,
    formatEvent,
    sent_on,
    value_of,
    verdict_now,
)
from aluvia.edge.verdicts import Admitted, Asked, Denied, Verdict
from aluvia.testing.properties import settings_for_tests
from aluvia.wire.headers import Field

USERS = (
    ("alice", cheap_hash("a:b:c ")),
    ("bob", cheap_hash("canary")),
    ("Ünïcödé", cheap_hash("pässwörd")),
)
#: What people can type.
TEXT = some.text(some.characters(exclude_categories=("Cc", "Cs")), max_size=64)
CHALLENGE = b'Basic realm="staff \\"only\\"", charset="UTF-8"'


def credentials(user: str, password: str, scheme: bytes = b"Basic") -> Field:
    """What a browser sends."""
    encoded = base64.b64encode(f"{user}:{password}".encode())
    return b"Authorization", b"%b %b" % (scheme, encoded)


class BasicCase(SynchronousTestCase):
    """A provider, and threads that work when they are told to."""

    def setUp(self) -> None:
        """Make it."""
        self.clock = Clock()
        self.threads = ByHand()
        self.basic = self.made()

    def made(
        self, users: tuple[tuple[str, str], ...] = USERS, realm: str = 'staff "only"'
    ) -> BasicAuthenticator:
        """An authenticator."""
        provider = BasicProvider(id="staff", realm=realm, users=users)
        return BasicAuthenticator(provider, self.clock, self.threads)

    def waiting(self, request: Asked) -> Deferred[Verdict]:
        """Ask something that a thread is needed for."""
        verdict = self.basic.ask(request)
        assert isinstance(verdict, Deferred)
        return verdict

    def verdict(self, *fields: Field) -> Verdict:
        """What it says, at once or once the threads have worked."""
        verdict = self.basic.ask(asked(*fields))
        if isinstance(verdict, Deferred):
            self.threads.work()
            return self.successResultOf(verdict)
        return verdict

    def assert_refused(self, verdict: Verdict) -> None:
        """It is a 401 with the challenge."""
        assert isinstance(verdict, Denied), verdict
        self.assertEqual((verdict.status, verdict.reason), (401, b"Unauthorized"))
        self.assertEqual(list(verdict.fields), [(b"WWW-Authenticate", CHALLENGE)])
        self.assertEqual((verdict.cause, verdict.body), ("http_request_denied", b""))
        self.assertTrue(verdict.detail)


class BasicTests(BasicCase):
    """Who is let through."""

    def test_right(self) -> None:
        """The right password lets through, and the backend is told who it is."""
        verdict = self.verdict(credentials("bob", "canary"))
        self.assertEqual(verdict, Admitted(((b"X-Forwarded-User", b"bob"),)))

    def test_a_password_cut_at_a_colon(self) -> None:
        """The first colon ends the name, and all the others are the password's."""
        self.assertIsInstance(self.verdict(credentials("alice", "a:b:c ")), Admitted)
        for password in ("a", "a:b", "a:b:c", "b:c ", "c "):
            self.assert_refused(self.verdict(credentials("alice", password)))

    def test_unicode(self) -> None:
        """Names and passwords are UTF-8, however their characters are composed."""
        for form in ("NFC", "NFD"):
            user, password = (unicodedata.normalize(form, text) for text in ("Ünïcödé", "pässwörd"))
            verdict = self.verdict(credentials(user, password))
            assert isinstance(verdict, Admitted)
            self.assertEqual(value_of(verdict.fields, b"x-forwarded-user"), "Ünïcödé".encode())
        latin = base64.b64encode("Ünïcödé:pässwörd".encode("latin-1"))
        self.assert_refused(self.verdict((b"Authorization", b"Basic " + latin)))

    def test_wrong(self) -> None:
        """Another password, no such user, and what is no credentials: all the same answer."""
        field = b"Authorization"
        details = set()
        for user, password in (("bob", "other"), ("nobody", "canary"), ("Bob", "canary")):
            verdict = self.verdict(credentials(user, password))
            self.assert_refused(verdict)
            details.add(typing.cast(Denied, verdict).detail)
        self.assertEqual(len(details), 1)
        for fields in (
            [],
            [(field, b"")],
            [(field, b"Basic")],
            [(field, b"Basic ")],
            [(field, b"Basic !")],
            [(field, b"Basic Ym9i")],
            [(field, b"Basic Ym9iOmNhbmFyeQ")],
            [(field, b"Bearer Ym9iOmNhbmFyeQ==")],
            [credentials("bob", "canary"), credentials("bob", "canary")],
            [(field, credentials("bob", "canary")[1] + b", Basic x")],
            [credentials("", "canary")],
            [credentials("bob", "a" * (PASSWORD_BYTES + 1))],
            [credentials("bob", "canary\n")],
            [credentials("bob\0", "canary")],
        ):
            self.assert_refused(verdict_now(self.basic, asked(*fields)))
        self.assertEqual(self.threads.waiting, [])

    def test_scheme(self) -> None:
        """The scheme's name is the same in any case."""
        for scheme in (b"basic", b"BASIC", b"bAsIc "):
            self.assertIsInstance(self.verdict(credentials("bob", "canary", scheme)), Admitted)

    def test_upgrades(self) -> None:
        """A WebSocket is asked like any other request."""
        self.assert_refused(verdict_now(self.basic, asked(*UPGRADE)))
        self.assertIsInstance(self.verdict(credentials("bob", "canary"), *UPGRADE), Admitted)

    def test_removed(self) -> None:
        """The backend gets neither the credentials nor a name that the client gave itself."""
        field = credentials("bob", "canary")
        request = asked(field, (b"x_forwarded-USER", b"root"), (b"X-Forwarded-User", b"root"))
        verdict = self.verdict(field)
        assert isinstance(verdict, Admitted)
        self.assertEqual(sent_on(request, self.basic), [])
        self.assertEqual([*verdict.fields], [(b"X-Forwarded-User", b"bob")])

    def test_unknown_users_cost_as_much(self) -> None:
        """For a user that there is not somebody's hash is computed, always the same one's."""
        costs: dict[PasswordHash, None] = {}
        self.patch(PasswordHash, "fits", lambda hashed, password: costs.update({hashed: None}))
        hashes = [(f"u{at}", cheap_hash("p", b"salt%04d" % at)) for at in range(8)]
        self.basic = self.made(tuple(hashes))
        for user in ("nobody", "someone"):
            costs.clear()
            for password in ("a", "b", "c"):
                self.verdict(credentials(user, password))
            self.assertEqual(len(costs), 1)
        for at in range(64):
            self.verdict(credentials(f"nobody {at}", "a"))
        self.assertGreater(len(costs), 4)

    def test_nobody_at_all(self) -> None:
        """A provider without users lets nobody through, and takes its time for that too."""
        self.basic = self.made(())
        self.assertIsInstance(self.basic.ask(asked(credentials("a", "b"))), Deferred)
        self.assertEqual(self.threads.work(), 1)

    def test_another_ones_password(self) -> None:
        """With a hash that is only compared for the time it takes, nobody gets in."""
        self.basic = self.made((("bob", USERS[1][1]),))
        self.assert_refused(self.verdict(credentials("nobody", "canary")))

    def test_bad_configuration(self) -> None:
        """What is no name, no hash, or there twice is told by the user's name."""
        good = USERS[1][1]
        for users in (
            [("a:b", good)],
            [("", good)],
            [("a\n", good)],
            [(" a", good)],
            [("\udc80", good)],
            [("bob", "canary")],
            [("bob", good), ("bob", good)],
            [("é", good), ("e\u0301", good)],
        ):
            with self.assertRaises(ValueError) as caught:
                self.made(tuple(users))
            self.assertIn(repr(users[-1][0]), str(caught.exception))
            self.assertNotIn("canary", str(caught.exception))


class WorkTests(BasicCase):
    """When a thread is asked, and what if it has no time."""

    def test_known(self) -> None:
        """Who was right is let through at once for a minute; then it is found out anew."""
        field = credentials("bob", "canary")
        self.verdict(field)
        self.clock.advance(59)
        self.assertIsInstance(verdict_now(self.basic, asked(field)), Admitted)
        self.clock.advance(1)
        self.assertIsInstance(self.basic.ask(asked(field)), Deferred)

    def test_only_the_same_credentials_are_known(self) -> None:
        """Nobody else is let through by what is known, wherever name and password are divided."""
        self.verdict(credentials("bob", "canary"))
        for user, password in (("bo", "bcanary"), ("alice", "canary"), ("bob", "canarY")):
            self.assertIsInstance(self.basic.ask(asked(credentials(user, password))), Deferred)

    def test_wrong_ones_are_shared(self) -> None:
        """The same wrong credentials are answered at once for a second."""
        field = credentials("bob", "other")
        self.verdict(field)
        self.assert_refused(verdict_now(self.basic, asked(field)))
        self.clock.advance(1)
        self.assertIsInstance(self.basic.ask(asked(field)), Deferred)

    def test_shared(self) -> None:
        """Two requests with the same credentials at once share one verification."""
        field = credentials("bob", "canary")
        both = [self.waiting(asked(field)) for _ in range(2)]
        self.assertEqual(self.threads.work(), 1)
        for each in both:
            self.assertIsInstance(self.successResultOf(each), Admitted)

    def test_dropped_with_the_provider(self) -> None:
        """Another provider knows nothing of it, and one that was stopped lets nobody through."""
        field = credentials("bob", "canary")
        self.verdict(field)
        self.assertIsInstance(self.made().ask(asked(field)), Deferred)
        self.successResultOf(self.basic.stop())
        self.assertEqual(typing.cast(Denied, verdict_now(self.basic, asked(field))).status, 503)

    def test_what_is_under_way_is_not_lost(self) -> None:
        """One that is replaced still answers those who have asked it."""
        waiting = self.waiting(asked(credentials("bob", "canary")))
        self.successResultOf(self.basic.stop(finish=True))
        self.threads.work()
        self.assertIsInstance(self.successResultOf(waiting), Admitted)

    def test_client_leaves(self) -> None:
        """A client that leaves leaves its place in the line, too."""
        waiting = self.waiting(asked(credentials("bob", "canary")))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.threads.waiting, [])

    def test_too_much(self) -> None:
        """Where too much waits it is 503, with the time after which to try again, and told once."""
        self.threads.full = True
        with capturedLogs() as events:
            for password in ("canary", "b"):
                verdict = self.verdict(credentials("bob", password))
                assert isinstance(verdict, Denied)
                self.assertEqual(verdict.status, 503)
                self.assertEqual(value_of(verdict.fields, b"retry-after"), b"1")
        self.assertEqual(len(events), 1)

    def test_our_failure(self) -> None:
        """What goes wrong in a thread denies with 500, and is told once a minute."""

        def fits(hashed: PasswordHash, password: bytes) -> bool:
            raise MemoryError

        self.patch(PasswordHash, "fits", fits)
        with capturedLogs() as events:
            for _ in range(3):
                verdict = self.verdict(credentials("bob", "canary"))
                assert isinstance(verdict, Denied)
                self.assertEqual((verdict.status, verdict.cause), (500, "proxy_internal_error"))
            self.assertEqual(len(events), 1)
            self.clock.advance(60)
            self.verdict(credentials("bob", "canary"))
            self.assertEqual(len(events), 2)
        self.assertEqual(len(self.flushLoggedErrors(MemoryError)), 2)
        self.assertNotIn("canary", "".join(map(formatEvent, events)))

    def test_no_secrets(self) -> None:
        """Neither a request nor a verdict shows what it was sent."""
        request = asked(credentials("bob", "canary"), target=b"/?token=canary")
        shown = repr(request) + repr(self.basic.ask(request)) + repr(self.verdict())
        self.threads.work()
        self.assertNotIn("canary", shown)
        self.assertNotIn("Y2FuYXJ5", shown)


class ParsingTests(SynchronousTestCase):
    """Credentials as they come."""

    def test_examples(self) -> None:
        """Those of RFC 7617, sections 2 and 2.1."""
        for value, found in (
            (b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", ("Aladdin", b"open sesame")),
            (b"Basic dGVzdDoxMjPCow==", ("test", "123£".encode())),
        ):
            self.assertEqual(basic_credentials([value]), found)

    @settings_for_tests
    @given(TEXT.filter(is_user_name), TEXT)
    @example("a", ":")
    @example("a", "::b: ")
    @example("a", "")
    def test_round_trip(self, user: str, password: str) -> None:
        """What is sent is read: all of the password, whatever is in it."""
        value = b"Basic " + base64.b64encode(f"{user}:{password}".encode())
        normal = [unicodedata.normalize("NFC", text) for text in (user, password)]
        self.assertEqual(basic_credentials([value]), (normal[0], normal[1].encode()))

    @settings_for_tests
    @given(some.binary())
    def test_anything(self, value: bytes) -> None:
        """Any bytes are credentials, or none."""
        basic_credentials([value])
        found = basic_credentials([b"Basic " + base64.b64encode(value)])
        if found is not None:
            self.assertEqual(value.count(b":") - found[1].count(b":"), 1)

    def test_realm(self) -> None:
        """A realm is one quoted string, whatever is in it."""
        for realm, written in (
            ("staff", b'"staff"'),
            ('a"b\\c', b'"a\\"b\\\\c"'),
            ("a\r\nX: ä", b'"a??X: ?"'),
        ):
            self.assertEqual(quoted(realm), written)
