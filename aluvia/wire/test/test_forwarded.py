"""Tests for :mod:`aluvia.wire.forwarded`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.wire.forwarded import proxy_status


class ProxyStatusTests(SynchronousTestCase):
    """One hop's member of the field (RFC 9209)."""

    def test_parameters(self) -> None:
        """Each that is given is there, in one order."""
        self.assertEqual(proxy_status("aluvia"), b"aluvia")
        self.assertEqual(proxy_status("aluvia", error="dns_error"), b"aluvia; error=dns_error")
        self.assertEqual(
            proxy_status(
                "aluvia",
                details="The gateway refused.",
                next_hop="gw.example:8080",
                received_status=407,
                error="http_request_denied",
            ),
            b'aluvia; error=http_request_denied; received-status=407; next-hop="gw.example:8080"; '
            b'details="The gateway refused."',
        )

    def test_strings_are_escaped(self) -> None:
        """Quotes and backslashes get a backslash; what a string cannot hold, a question mark."""
        self.assertEqual(
            proxy_status("a", details='say "b\\c"\r\nX: é\0\x7f'),
            b'a; details="say \\"b\\\\c\\"??X: ???"',
        )

    def test_names(self) -> None:
        """A name is a token if it can be one, and else a string."""
        self.assertEqual(proxy_status("cache-1.example:80"), b"cache-1.example:80")
        for name, item in (("1a", b'"1a"'), ("a b", b'"a b"'), ("", b'""')):
            self.assertEqual(proxy_status(name), item)

    def test_errors_are_tokens(self) -> None:
        """An error type comes from us; one that is no token is a mistake of ours."""
        for error in ("", "a b", "a;b", "é", "a\r\n"):
            self.assertRaises(ValueError, proxy_status, "aluvia", error=error)
