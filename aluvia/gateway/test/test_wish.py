"""Tests for :mod:`aluvia.gateway.wish`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from aluvia.gateway.wish import FILTERS, BadWish, Wish, read_fields, read_username
from aluvia.testing.properties import settings_for_tests

WORDS = some.text("abcXYZ019._~", min_size=1, max_size=64)
VALUES = {
    "country": some.text("abcXYZ", min_size=2, max_size=2),
    "region": WORDS,
    "city": WORDS,
    "asn": some.integers(1, 4_294_967_295).map(str),
    "session": WORDS,
    "ttl": some.integers(1, 1440).map(str),
    "agent": WORDS,
    "tag": WORDS,
    "hard": some.none(),
    "debug": some.none(),
}


@some.composite
def options(draw: some.DrawFn) -> list[tuple[str, str | None]]:
    """Some keys in any order and any case, each with a good value."""
    keys = draw(some.lists(some.sampled_from(sorted(VALUES)), unique=True))
    return [
        (draw(some.sampled_from([key, key.upper(), key.title()])), draw(VALUES[key]))
        for key in keys
    ]


class UsernameTests(SynchronousTestCase):
    """A user name with options."""

    def test_example(self) -> None:
        """The one of the documentation."""
        name, wished = read_username("alice-country-US-session-Abc123-ttl-10-hard")
        self.assertEqual(name, "alice")
        self.assertEqual(
            Wish(**wished),  # type: ignore[arg-type]
            Wish(country="us", session="Abc123", ttl=10, hard=True),
        )

    def test_none(self) -> None:
        """A name alone wishes nothing."""
        self.assertEqual(read_username("alice"), ("alice", {}))
        self.assertEqual(Wish().filters, ())

    def test_value_like_a_key(self) -> None:
        """What stands behind a key is its value, whatever it is."""
        self.assertEqual(
            read_username("a-session-hard-tag-session"),
            ("a", {"session": "hard", "tag": "session"}),
        )

    def test_bad(self) -> None:
        """Nothing is passed over, and the reason says what it is."""
        for username, reason in (
            ("a-cuntry-us", "'cuntry' is no option of a user name."),
            ("a-", "'' is no option of a user name."),
            ("a--session-x", "'' is no option of a user name."),
            ("a-session", "The option session has no value."),
            ("a-session--hard", "The option session has no value."),
            ("a-hard-true", "'true' is no option of a user name."),
            ("a-country-usa", "The option country must be two letters, as in ISO 3166."),
            ("a-country-u1", "The option country must be two letters, as in ISO 3166."),
            ("a-asn-AS1", "The option asn must be a number from 1 to 4294967295."),
            ("a-asn-0", "The option asn must be a number from 1 to 4294967295."),
            ("a-asn-4294967296", "The option asn must be a number from 1 to 4294967295."),
            ("a-asn-\u0661", "The option asn must be a number from 1 to 4294967295."),
            ("a-ttl-1441", "The option ttl must be a number from 1 to 1440."),
            ("a-ttl-0", "The option ttl must be a number from 1 to 1440."),
            ("a-ttl-1.5", "The option ttl must be a number from 1 to 1440."),
            ("a-session-x y", "The option session must be up to 64 letters, digits and . _ ~."),
            ("a-tag-" + "x" * 65, "The option tag must be up to 64 letters, digits and . _ ~."),
            ("a-session-x-SESSION-x", "session is there twice."),
            ("a-debug-debug", "debug is there twice."),
            ("a-\r\nX: y", "'\\r\\nX: y' is no option of a user name."),
            ("a-" + "k" * 99, f"'{'k' * 40}\\u2026' is no option of a user name."),
        ):
            error = self.assertRaises(BadWish, read_username, username)
            self.assertEqual(str(error), reason, username)

    @settings_for_tests
    @given(options())
    def test_good(self, given_options: list[tuple[str, str | None]]) -> None:
        """Whatever is put together by the rules is read, each key with its own value."""
        words = ["alice"]
        for key, value in given_options:
            words += [key] if value is None else [key, value]
        name, wished = read_username("-".join(words))
        self.assertEqual(name, "alice")
        self.assertEqual(list(wished), [key.lower() for key, _ in given_options])
        for key, value in given_options:
            got = wished[key.lower()]
            if value is None:
                self.assertIs(got, True)
            elif isinstance(got, int):
                self.assertEqual(got, int(value))
            else:
                self.assertEqual(str(got).lower(), value.lower())
        filters = [key for key in FILTERS if key in wished]
        self.assertEqual(list(Wish(**wished).filters), filters)  # type: ignore[arg-type]

    @settings_for_tests
    @given(some.text(max_size=80))
    def test_anything(self, text: str) -> None:
        """Whatever it is, it is a name and a wish, or a bad wish."""
        try:
            name, wished = read_username(text)
        except BadWish as error:
            self.assertTrue(str(error).isprintable())
        else:
            self.assertNotIn("-", name)
            Wish(**wished)  # type: ignore[arg-type]

    @settings_for_tests
    @given(some.lists(some.sampled_from([*VALUES, "us", "1", "", "x", "HARD"]), max_size=6))
    def test_nothing_is_passed_over(self, words: list[str]) -> None:
        """Each word of a name that is taken is a key or a value of what was read."""
        try:
            _, wished = read_username("-".join(["alice", *words]))
        except BadWish:
            return
        flags = sum(key in ("hard", "debug") for key in wished)
        self.assertEqual(len(words), 2 * len(wished) - flags)


class FieldTests(SynchronousTestCase):
    """The same in fields of a request."""

    def test_good(self) -> None:
        """Each key has a field; others are not looked at."""
        self.assertEqual(
            read_fields(
                [
                    (b"Host", b"a"),
                    (b"X-Aluvia-Country", b" DE "),
                    (b"x-aluvia-session", b"with-dash"),
                    (b"X-ALUVIA-ASN", b"64500"),
                    (b"X-Aluvia-Hard", b"1"),
                    (b"X-Aluvia-Debug", b"False"),
                    (b"X-Aluvia-Request-ID", b"any thing"),
                    (b"X-Aluvian", b"y"),
                ]
            ),
            {"country": "de", "session": "with-dash", "asn": 64500, "hard": True, "debug": False},
        )

    def test_bad(self) -> None:
        """Nothing is passed over here either."""
        for fields, reason in (
            ([(b"X-Aluvia-Cuntry", b"us")], "'X-Aluvia-Cuntry' is no field of this gateway."),
            ([(b"X-Aluvia-", b"us")], "'X-Aluvia-' is no field of this gateway."),
            ([(b"X-Aluvia-Session", b" ")], "The field X-Aluvia-Session has no value."),
            ([(b"X-Aluvia-Hard", b"")], "The field X-Aluvia-Hard must be true or false."),
            ([(b"X-Aluvia-Ttl", b"x")], "The field X-Aluvia-Ttl must be a number from 1 to 1440."),
            (
                [(b"X-Aluvia-Tag", b"x"), (b"x-aluvia-tag", b"x")],
                "tag is there twice.",
            ),
        ):
            self.assertEqual(str(self.assertRaises(BadWish, read_fields, fields)), reason)
