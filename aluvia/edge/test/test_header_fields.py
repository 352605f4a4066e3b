"""Tests for injected header fields: :mod:`aluvia.edge.header_fields`."""

from __future__ import annotations

from aluvia.edge import bounds
from aluvia.edge.test.route_case import RouteCase


class HeaderTests(RouteCase):
    """Injected header fields."""

    def test_reserved(self) -> None:
        """What the edge writes itself is not injected, nor what looks like it behind us."""
        for name in (
            "Host",
            "connection",
            "Content-Length",
            "TRANSFER-ENCODING",
            "Transfer_Encoding",
            "Upgrade",
            "TE",
            "Trailer",
            "Expect",
            "Keep-Alive",
            "Proxy-Authorization",
            "Proxy-Connection",
            "X-Forwarded-For",
            "x_forwarded_proto",
            "X-Forwarded-Anything",
            "X-Real-IP",
            "X-Request-ID",
            "Forwarded",
            "Via",
            "CDN-Loop",
        ):
            self.refuse((f"/headers/{name}", "writes itself"), headers={name: "a"})

    def test_values(self) -> None:
        """They are one line of visible characters; what stands around them is dropped."""
        fields = self.read(headers={"Authorization": "Bearer x", "X-A": "\t a\tb "}).headers
        self.assertEqual(fields, (("Authorization", "Bearer x"), ("X-A", "a\tb")))
        for value in ("a\r\nb", "a\n", "a\0", "\x7f", "ä", "\ud800"):
            self.refuse(("/headers/X-A", "visible ASCII"), headers={"X-A": value})
        for other in (1, None, ["a"], True):
            self.refuse(("/headers/X-A", "must be a string"), headers={"X-A": other})
        long = "a" * bounds.HEADER_VALUE_BYTES
        self.assertEqual(self.read(headers={"X-A": long}).headers, (("X-A", long),))
        self.refuse(("/headers/X-A", "at most 8192 bytes"), headers={"X-A": long + "a"})

    def test_names(self) -> None:
        """They are tokens, and each is there once, however it is spelled."""
        for name in ("", "a b", "a:", "ä", "a\n", "a" * 129):
            told = self.told(self.read, headers={name: "a"})
            self.assertEqual([pointer for pointer, _ in told], [f"/headers/{name}"])
        self.refuse(("/headers/x-a", "another spelling"), headers={"X-A": "a", "x-a": "a"})

    def test_bounds(self) -> None:
        """There are so many, in an object."""
        fields = {f"X-{number}": "a" for number in range(bounds.HEADERS)}
        self.assertEqual(len(self.read(headers=fields).headers), bounds.HEADERS)
        self.refuse(("/headers", "at most 64 members"), headers=fields | {"X": "a"})
        self.refuse_each("headers", [[], [["X", "a"]], "X: a", 1], "must be an object")
