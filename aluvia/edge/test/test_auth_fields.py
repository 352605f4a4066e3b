"""Which fields a backend gets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.auth_fields import copies, is_sane, names_of_ours
from aluvia.edge.request_fields import belongs_to_us
from aluvia.testing.properties import settings_for_tests

NAMES = some.text("abAB-_", min_size=1, max_size=8)


class FieldTests(SynchronousTestCase):
    """Names, and fields of them."""

    def test_client_sent_copies_are_deleted(self) -> None:
        """A client's field of a copied name goes nowhere, in any spelling that is read as it."""
        removed = names_of_ours(["X-Auth-User"])
        for name in (b"X-Auth-User", b"x-auth-user", b"X_Auth_User", b"x_AUTH-user"):
            self.assertTrue(belongs_to_us(name, removed))
        self.assertFalse(belongs_to_us(b"X-Auth", removed))

    def test_common_names(self) -> None:
        """Also one that the wire passes over, since nearly all messages have it."""
        removed = names_of_ours(["Cookie"])
        self.assertTrue(belongs_to_us(b"Cookie", removed))
        self.assertFalse(belongs_to_us(b"Accept", removed))

    def test_names_that_are_nobodys_to_set(self) -> None:
        """No provider sets what frames a message, or says where it goes, or is for one hop."""
        for name in (
            *("Host", "content-length", "Transfer-Encoding", "Connection", "Upgrade", "TE"),
            *("Proxy-Authorization", "X_Forwarded_For", "Content_Length", "", "a b", "a:", "ä"),
        ):
            self.assertRaises(ValueError, names_of_ours, [name])

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
        self.assertEqual(belongs_to_us(other.encode(), names_of_ours([name])), same)
