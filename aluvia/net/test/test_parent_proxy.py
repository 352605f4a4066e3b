"""Tests of :class:`aluvia.net.parent.ParentProxy`: which parent, and with whose credentials."""

from __future__ import annotations

import base64
import traceback

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.parent import ParentProxy
from aluvia.testing.properties import settings_for_tests


def credentials(parent: ParentProxy) -> str:
    """Return what the parent would read."""
    assert parent.authorization is not None
    kind, _, value = parent.authorization.partition(b" ")
    assert kind == b"Basic"
    return base64.b64decode(value, validate=True).decode("utf-8")


class Value(SynchronousTestCase):
    """The value itself."""

    def test_authorization(self) -> None:
        """Credentials are Basic over raw UTF-8."""
        parent = ParentProxy("gw.example", 8080, "us\u00e9r", "p:\u00e4ss w\u00f6rd/?#@%")
        self.assertEqual(credentials(parent), "us\u00e9r:p:\u00e4ss w\u00f6rd/?#@%")

    def test_none(self) -> None:
        """Without a user name there is no authorization; an empty one is a name."""
        self.assertIsNone(ParentProxy("gw.example", 8080).authorization)
        self.assertEqual(credentials(ParentProxy("gw.example", 8080, "", "key")), ":key")

    def test_colon(self) -> None:
        """A colon in the user name would move the rest of it into the password."""
        error = self.assertRaises(ValueError, ParentProxy, "gw.example", 8080, "a:s3cret", "s3cret")
        self.assertNotIn("s3cret", str(error))

    def test_characters(self) -> None:
        """Control characters (RFC 7617 §2) and what has no UTF-8 are refused."""
        for bad in ("a\r\nb", "a\0b", "a\x7fb", "\ud800"):
            for name, password in (("s3cret" + bad, "x"), ("x", "s3cret" + bad)):
                error = self.assertRaises(ValueError, ParentProxy, "h", 1, name, password)
                self.assertNotIn("s3cret", str(error))

    def test_redacted(self) -> None:
        """Neither ``repr`` nor ``str`` shows the credentials, in any form."""
        parent = ParentProxy("gw.example", 8443, "us3r", "s3cret", tls=True)
        self.assertEqual(str(parent), "https://gw.example:8443")
        for shown in (repr(parent), str(parent), f"{parent}", f"{[parent]}"):
            for secret in ("us3r", "s3cret", base64.b64encode(b"us3r:s3cret").decode()):
                self.assertNotIn(secret, shown)

    def test_ipv6(self) -> None:
        """An IPv6 host is shown in brackets."""
        self.assertEqual(str(ParentProxy("::1", 8080)), "http://[::1]:8080")

    def test_frozen(self) -> None:
        """It is a value: equal by content, and it does not change."""
        parent = ParentProxy("gw.example", 8080, "a", "b")
        self.assertEqual(parent, ParentProxy("gw.example", 8080, "a", "b"))
        self.assertNotEqual(parent, ParentProxy("gw.example", 8080, "a", "c"))
        self.assertRaises(attrs.exceptions.FrozenInstanceError, setattr, parent, "port", 1)


class FromURL(SynchronousTestCase):
    """``http[s]://[user[:password]@]host[:port][/]``."""

    def test_whole(self) -> None:
        """All parts are read."""
        parent = ParentProxy.from_url("https://user:secret@gw.example:3128/")
        self.assertEqual((parent.host, parent.port, parent.tls), ("gw.example", 3128, True))
        self.assertEqual((parent.username, parent.password), ("user", "secret"))

    def test_default_ports(self) -> None:
        """8080, and 8443 with TLS."""
        self.assertEqual(ParentProxy.from_url("http://gw.example").port, 8080)
        self.assertEqual(ParentProxy.from_url("HTTPS://gw.example/").port, 8443)

    def test_no_credentials(self) -> None:
        """They may be missing."""
        self.assertIsNone(ParentProxy.from_url("http://gw.example").authorization)

    def test_user_alone(self) -> None:
        """A user without a password has an empty one."""
        self.assertEqual(credentials(ParentProxy.from_url("http://user@gw.example")), "user:")
        self.assertEqual(credentials(ParentProxy.from_url("http://:key@gw.example")), ":key")

    def test_percent_decoding(self) -> None:
        """User and password are percent-decoded; what needs no encoding may stand as it is."""
        for url, expected in (
            ("http://us%20er:p%2Fa%3Fs%23s%40%3A%25@gw.example", "us er:p/a?s#s@:%"),
            ("http://u:%C3%BC\u00fc@gw.example", "u:\u00fc\u00fc"),
            ("http://u:a@b:c@gw.example", "u:a@b:c"),
            ("http://u:a+b@gw.example", "u:a+b"),
        ):
            self.assertEqual(credentials(ParentProxy.from_url(url)), expected)

    def test_hosts(self) -> None:
        """Hosts are canonical; IPv6 has brackets in the URL and none after it."""
        for url, host, port in (
            ("http://[::1]:3128", "::1", 3128),
            ("http://u:p@[2001:DB8::1]", "2001:db8::1", 8080),
            ("http://GW.Example.:1", "gw.example", 1),
            ("http://127.1:65535", "127.0.0.1", 65535),
        ):
            parent = ParentProxy.from_url(url)
            self.assertEqual((parent.host, parent.port), (host, port))

    def test_refused(self) -> None:
        """What is no such URL is refused, in words that show nothing of it."""
        for url in (
            "",
            "s3cret",
            "user:s3cret@gw.example:8080",
            "socks5://user:s3cret@gw.example",
            "http:/user:s3cret@gw.example",
            "http://",
            "http://user:s3cret@",
            "http://user:s3cret@:8080",
            "http://user:s3cret@gw.example:0",
            "http://user:s3cret@gw.example:65536",
            "http://user:s3cret@gw.example:-1",
            "http://user:s3cret@gw.example:8x",
            "http://user:s3cret@::1",
            "http://user:s3cret@[::1",
            "http://user:s3cret@gw.example/path",
            "http://user:s3cret@gw.example?x",
            "http://user:s3cret@gw.example#x",
            "http://user:s3/cret@gw.example",
            "http://user:s3#cret@gw.example",
            "http://user:s3cret\n@gw.example",
            "http://user:s3cret%0a@gw.example",
            "http://user:s3cret%ff@gw.example",
            "http://us%3Aer:s3cret@gw.example",
            "http://user:s3cret@gw example",
            "http://user:s3cret@gw.example\n",
            "http://user:s3cret@gw\u00fc.example",
        ):
            try:
                ParentProxy.from_url(url)
            except ValueError as error:
                # With all that a traceback would show: causes and contexts too.
                said = "".join(traceback.format_exception(error, chain=True))
                said = "\n".join(line for line in said.splitlines() if not line.startswith("  "))
                for secret in ("s3cret", "s3", "cret"):
                    self.assertNotIn(secret, said, url)
                self.assertIsNone(error.__context__, url)
            else:
                self.fail(f"{url!r} was taken")

    @settings_for_tests
    @given(st.text(max_size=40))
    def test_anything(self, text: str) -> None:
        """Whatever is given, there is a value or a :class:`ValueError`."""
        for url in (text, f"http://{text}", f"http://{text}@gw.example"):
            try:
                parent = ParentProxy.from_url(url)
            except ValueError:
                continue
            self.assertIn(parent.port, range(1, 65536))

    @settings_for_tests
    @given(st.text(max_size=40), st.text(max_size=40))
    def test_round_trip(self, name: str, password: str) -> None:
        """Percent-encoded credentials come out as they were, or are refused as credentials."""
        try:
            expected = ParentProxy("gw.example", 8080, name, password)
        except ValueError:
            return
        encoded = ":".join(
            "".join(f"%{byte:02X}" for byte in part.encode("utf-8")) for part in (name, password)
        )
        self.assertEqual(ParentProxy.from_url(f"http://{encoded}@gw.example"), expected)
