"""Tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.auth_bearer import TOKEN_BYTES, BearerAuthenticator
from aluvia.edge.model import BearerProvider
from aluvia.edge.passwords import hash_token
from aluvia.edge.test.auth_case import UPGRADE, asked, sent_on, value_of, verdict_now
from aluvia.edge.verdicts import Admitted, Denied
from aluvia.testing.properties import settings_for_tests

LONG = "a" * TOKEN_BYTES
TOKENS = (
    ("ci", hash_token("canary-1")),
    ("Ünï", hash_token("a.b_c~d+e/f==").upper()),
    ("long", hash_token(LONG)),
)


def made(tokens: tuple[tuple[str, str], ...] = TOKENS) -> BearerAuthenticator:
    """An authenticator."""
    return BearerAuthenticator(BearerProvider(id="t", realm="api", tokens=tokens))


class BearerTests(SynchronousTestCase):
    """Who is let through."""

    def assert_refused(self, status: int, challenge: bytes, *values: bytes) -> None:
        """It is denied like that."""
        request = asked(*((b"Authorization", value) for value in values))
        verdict = verdict_now(made(), request)
        assert isinstance(verdict, Denied), verdict
        self.assertEqual(verdict.status, status)
        self.assertEqual(value_of(verdict.fields, b"www-authenticate"), challenge)
        self.assertEqual(verdict.cause, "http_request_denied")
        self.assertTrue(verdict.detail)

    def test_right(self) -> None:
        """A token that is somebody's lets through, and the backend is told whose it is."""
        for token, name in (("canary-1", "ci"), ("a.b_c~d+e/f==", "Ünï"), (LONG, "long")):
            for scheme in ("Bearer", "bearer", "BEARER ", "bEaReR"):
                field = (b"Authorization", f"{scheme} {token}".encode())
                verdict = verdict_now(made(), asked(field))
                self.assertEqual(verdict, Admitted(((b"X-Forwarded-User", name.encode()),)))

    def test_none(self) -> None:
        """Without a token the challenge says no reason (RFC 6750 section 3.1)."""
        self.assert_refused(401, b'Bearer realm="api"')
        for value in (b"Basic YTpi", b"", b"Bearers canary-1", b"canary-1"):
            self.assert_refused(401, b'Bearer realm="api"', value)

    def test_not_theirs(self) -> None:
        """A token that is nobody's is an invalid one; so is a token's hash."""
        for token in ("canary-2", "canary-", "CANARY-1", hash_token("canary-1"), "a"):
            self.assert_refused(
                401, b'Bearer realm="api", error="invalid_token"', b"Bearer " + token.encode()
            )

    def test_malformed(self) -> None:
        """What is no token is 400 (RFC 6750 section 3.1), and so are two."""
        challenge = b'Bearer realm="api", error="invalid_request"'
        for value in (
            *(b"Bearer", b"Bearer ", b"Bearer a b", b"Bearer a,b", b"Bearer =", b"Bearer \xc3\xa4"),
            *(b"Bearer\tcanary-1", b"Bearer " + b"a" * (TOKEN_BYTES + 1), b'Bearer "canary-1"'),
        ):
            self.assert_refused(400, challenge, value)
        self.assert_refused(400, challenge, b"Bearer canary-1", b"Bearer canary-1")
        self.assert_refused(400, challenge, b"Basic YTpi", b"Bearer canary-1")

    def test_upgrades(self) -> None:
        """A WebSocket is asked like any other request."""
        self.assertIsInstance(verdict_now(made(), asked(*UPGRADE)), Denied)
        field = (b"Authorization", b"Bearer canary-1")
        self.assertIsInstance(verdict_now(made(), asked(field, *UPGRADE)), Admitted)

    def test_removed(self) -> None:
        """The backend gets neither the token nor a name that the client gave itself."""
        field = (b"Authorization", b"Bearer canary-1")
        request = asked(field, (b"X_Forwarded_User", b"root"))
        bearer = made()
        verdict = verdict_now(bearer, request)
        assert isinstance(verdict, Admitted)
        self.assertEqual(sent_on(request, bearer), [])
        self.assertEqual([*verdict.fields], [(b"X-Forwarded-User", b"ci")])

    def test_in_the_url(self) -> None:
        """A token in the URL is none."""
        request = asked(target=b"/?access_token=canary-1")
        self.assertIsInstance(verdict_now(made(), request), Denied)

    def test_stopped(self) -> None:
        """One that was stopped lets nobody through."""
        bearer = made()
        self.successResultOf(bearer.stop())
        request = asked((b"Authorization", b"Bearer canary-1"))
        self.assertIsInstance(verdict_now(bearer, request), Denied)

    def test_bad_configuration(self) -> None:
        """What is no hash, or no name that a field can carry, is told by the token's name."""
        digest = hash_token("t")
        for name, text in (
            *(("ci", ""), ("ci", "canary"), ("ci", digest[:-2]), ("ci", digest + "00")),
            *(("ci", digest[:-1] + "g"), ("c\r\ni", digest)),
        ):
            with self.assertRaises(ValueError) as caught:
                made(((name, text),))
            self.assertIn(repr(name), str(caught.exception))
            self.assertNotIn("canary", str(caught.exception))

    def test_no_tokens(self) -> None:
        """A provider without tokens lets nobody through."""
        request = asked((b"Authorization", b"Bearer a"))
        self.assertIsInstance(verdict_now(made(()), request), Denied)

    @settings_for_tests
    @given(some.from_regex(rb"[\t -~\x80-\xff]*", fullmatch=True))
    def test_anything(self, value: bytes) -> None:
        """Any value is judged, and none lets through but the right ones."""
        verdict = verdict_now(made(), asked((b"Authorization", value.strip(b" \t"))))
        self.assertIsInstance(verdict, Denied)
