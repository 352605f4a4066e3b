"""Which fields a backend gets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.auth_fields import copies, is_sane, replaced, spellings
from aluvia.testing.properties import settings_for_tests

NAMES = some.text("abAB-_", min_size=1, max_size=8)


class FieldTests(SynchronousTestCase):
    """Names, and fields of them."""

    def test_client_sent_copies_are_deleted(self) -> None:
        """A client's field of a copied name goes nowhere, in any spelling that is read as it."""
        removed = spellings(["X-Auth-User"])
        sent = [
            (name, b"root")
            for name in (b"X-Auth-User", b"x-auth-user", b"X_Auth_User", b"x_AUTH-user", b"X-Auth")
        ]
        for added in ([], [(b"X-Auth-User", b"alice")]):
            self.assertEqual(replaced(sent, removed, added), [(b"X-Auth", b"root"), *added])

    def test_common_names(self) -> None:
        """Also one that the wire passes over, since nearly all messages have it."""
        fields = [(b"Cookie", b"a"), (b"Accept", b"b")]
        added = [(b"Cookie", b"c")]
        self.assertEqual(
            replaced(fields, spellings(["Cookie"]), added), [(b"Accept", b"b"), *added]
        )

    def test_names_that_are_nobodys_to_set(self) -> None:
        """No provider sets what frames a message, or says where it goes, or is for one hop."""
        for name in (
            *("Host", "content-length", "Transfer-Encoding", "Connection", "Upgrade", "TE"),
            *("Proxy-Authorization", "X_Forwarded_For", "Content_Length", "", "a b", "a:", "ä"),
            "-".join("a" * 10),
        ):
            self.assertRaises(ValueError, spellings, [name])

    def test_copies(self) -> None:
        """Of an answer the fields that are named go on, in any case, as often as they come."""
        fields = [(b"X-A", b"1"), (b"x-a", b"2"), (b"X-B", b"3")]
        self.assertEqual(copies(fields, ["x-A"]), fields[:2])

    def test_sane(self) -> None:
        """What cannot be written as it is is none of them."""
        for value in (b"a\r\nb", b"a\nb", b"a\rb", b"a\0", b"\x7f"):
            self.assertFalse(is_sane((b"A", value)))
        for name in (b"", b"a b", b"a:", b"\xc3"):
            self.assertFalse(is_sane((name, b"")))
        self.assertTrue(is_sane((b"X-A", "ä\t b".encode())))

    @settings_for_tests
    @given(NAMES, NAMES)
    def test_spellings(self, name: str, other: str) -> None:
        """A name is removed exactly if the two are one once all is ``_`` and in capitals."""
        same = name.upper().replace("-", "_") == other.upper().replace("-", "_")
        self.assertEqual(other.lower().encode() in spellings([name]), same)
