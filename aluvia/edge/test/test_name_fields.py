"""Tests for :mod:`aluvia.edge.name_fields`."""

from __future__ import annotations

import typing

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.name_fields import (
    domain,
    host_name,
    network,
    path_prefix,
    path_prefix_of,
    probe_path,
    v_host,
    v_host_of,
)
from aluvia.edge.reading import Wrong
from aluvia.testing.properties import settings_for_tests


class NamesCase(SynchronousTestCase):
    """A test of one function."""

    def assert_wrong(self, judge: typing.Callable[[object], object], **cases: object) -> None:
        """Each value is refused, with its keyword's words in the detail."""
        for words, values in cases.items():
            for value in typing.cast("list[object]", values):
                wrong = self.assertRaises(Wrong, judge, value)
                self.assertIn(words.replace("_", " "), str(wrong.detail), repr(value))


class VHostTests(NamesCase):
    """What a route is for."""

    def test_one_spelling(self) -> None:
        """Case, a trailing dot, a port and Unicode make no difference."""
        for canonical, spellings in {
            "api.example.com": [
                "api.example.com",
                "API.Example.COM",
                "api.example.com.",
                "api.example.com:8443",
                "api.example.com.:1",
                "api.example.com:",
            ],
            "*.example.com": ["*.example.com", "*.EXAMPLE.com.", "*.example.com:443"],
            "*.xn--bcher-kva.de": ["*.bücher.de", "*.xn--bcher-kva.de"],
            "*": ["*", "*:80", "*:"],
            "::1": ["::1", "[::1]", "[::1]:8080", "0:0::1"],
            "127.0.0.1": ["127.0.0.1", "127.1", "127.0.0.1:80", "[::ffff:127.0.0.1]"],
            "*.com": ["*.com"],
            "localhost": ["localhost"],
        }.items():
            for spelling in spellings:
                self.assertEqual(v_host(spelling), canonical, spelling)

    def test_what_cannot_match(self) -> None:
        """It is refused, with the reason."""
        self.assert_wrong(
            v_host,
            a_star_alone=[
                "a.*.com",
                "*foo.com",
                "foo*.com",
                "a.*",
                "**",
                "* ",
                "**.a",
                "\uff0a.a.*",
            ],
            for_any_depth=["*.*.com", "*.*", "*.a.*"],
            below_an_address=["*.127.0.0.1", "*.[::1]", "*.::1", "*.[::1]:80"],
            empty=["*.", "a..b", ".a", "*..a", "*.:80"],
            too_long=["*." + ".".join(["a" * 63] * 3 + ["a" * 60])],
            longer=["*." + ".".join(["a" * 63] * 4), "a" * 64],
            no_URL=["http://a.example", "a.example/"],
            no_port=[
                "a:0",
                "a:65536",
                "a:x",
                "a:1x",
                "[::1]80",
                "[::1]880",
                "*:0",
                "*.a:x",
                "a:\uff11",
            ],
            must_be_a_string=[None, 1, True, ["a"], b"a", {}],
            characters=["", "a" * 1025],
            no_host_name_can_have=["a b", "a\n", "a\ud800"],
        )
        longest = "*." + ".".join(["a" * 63] * 3 + ["a" * 59])
        self.assertEqual(v_host(longest), longest)

    def test_domain(self) -> None:
        """A certificate is for a name, and not for all."""
        self.assertEqual(domain("*.A.example"), "*.a.example")
        self.assert_wrong(domain, for_all=["*", "*:443"], a_star_alone=["a*"])

    def test_in_a_document(self) -> None:
        """A vhost is looked up only where there is one."""
        self.assertEqual(v_host_of({"vHost": "A"}), "a")
        self.assertEqual(v_host_of({"domain": "A"}, "domain"), "a")
        for document in ({}, {"vHost": None}, {"vHost": "a*"}):
            self.assertIsNone(v_host_of(document))

    def test_server_name(self) -> None:
        """What is asked for in a handshake is a name."""
        self.assertEqual(host_name("A.example."), "a.example")
        self.assert_wrong(host_name, no_address=["127.0.0.1", "::1", "2130706433"])

    @settings_for_tests
    @given(some.text(alphabet="*.:a1[]-_%/ é", max_size=12) | some.text(max_size=12))
    def test_anything(self, text: str) -> None:
        """Whatever it is, it is refused, or has a spelling that is its own."""
        try:
            found = v_host(text)
        except Wrong:
            return
        self.assertEqual(v_host(found), found)


class PathTests(NamesCase):
    """Prefixes, and what probes ask for."""

    def test_prefix(self) -> None:
        """Whole segments, with no slash at the end, and with octets in upper case."""
        for text, prefix in {
            "/api": "/api",
            "/api/": "/api",
            "/api/v1/": "/api/v1",
            "/": None,
            "/a%2fb%C3%a4": "/a%2Fb%C3%A4",
            "/...": "/...",
            "/~a;b=1,2@(x)!$&'*+:": "/~a;b=1,2@(x)!$&'*+:",
        }.items():
            self.assertEqual(path_prefix(text), prefix)

    def test_no_prefix(self) -> None:
        """What clients would spell in another way, or never ask for, is refused."""
        self.assert_wrong(
            path_prefix,
            must_begin_with=["api", "*", "?a", "http://a/"],
            path_alone=["/a?b", "/a#b"],
            empty_segment=["//", "/a//b", "/a//", "//a"],
            clients_resolve=["/.", "/..", "/a/../b", "/a/./", "/a/.."],
            must_be_percent=["/a b", "/ä", "/%", "/%4", "/%zz", "/a\\b", '/"', "/a\n", "/\ud800"],
            write_it_plainly=["/%41", "/a/%2e%2E", "/%7e"],
            characters=["", "/" + "a" * 1024],
            must_be_a_string=[None, 1],
        )

    def test_in_a_document(self) -> None:
        """A prefix that is absent is none, and one that is wrong is not."""
        self.assertEqual(path_prefix_of({}), (True, None))
        self.assertEqual(path_prefix_of({"pathPrefix": None}), (True, None))
        self.assertEqual(path_prefix_of({"pathPrefix": "/"}), (True, None))
        self.assertEqual(path_prefix_of({"pathPrefix": "/a/"}), (True, "/a"))
        self.assertEqual(path_prefix_of({"pathPrefix": "a"}), (False, None))

    def test_probe(self) -> None:
        """A query may be asked for; a fragment is none."""
        self.assertEqual(probe_path("/health?x=%20"), "/health?x=%20")
        self.assert_wrong(probe_path, must_begin=["health", "/a#b", "/a b", "/ä", "/\n"])

    @settings_for_tests
    @given(some.text(alphabet="/.%2eEfaA?", max_size=12) | some.text(max_size=12))
    def test_anything(self, text: str) -> None:
        """Whatever it is, it is refused, or has a spelling that is its own."""
        try:
            found = path_prefix("/" + text)
        except Wrong:
            return
        if found is not None:
            self.assertEqual(path_prefix(found), found)


class NetworkTests(NamesCase):
    """Networks of clients."""

    def test_one_spelling(self) -> None:
        """An address is the network of one, and IPv4 inside IPv6 is IPv4."""
        for text, canonical in {
            "10.0.0.0/8": "10.0.0.0/8",
            "10.0.0.1": "10.0.0.1/32",
            "0.0.0.0/0": "0.0.0.0/0",
            "2001:DB8:0::/32": "2001:db8::/32",
            "2001:db8::1": "2001:db8::1/128",
            "::ffff:10.0.0.0/104": "10.0.0.0/8",
            "::ffff:10.0.0.1": "10.0.0.1/32",
            "::/0": "::/0",
        }.items():
            self.assertEqual(network(text), canonical)
            self.assertEqual(network(canonical), canonical)

    def test_bits_behind(self) -> None:
        """Bits behind the length are a slip, and the right network is shown."""
        for text, right in {"10.0.0.1/8": "10.0.0.0/8", "2001:db8::1/32": "2001:db8::/32"}.items():
            wrong = self.assertRaises(Wrong, network, text)
            self.assertEqual(wrong.detail, f"has bits behind its length: the network is {right}")

    def test_no_network(self) -> None:
        """Nothing is guessed."""
        self.assert_wrong(
            network,
            must_be_an_address=[
                "localhost",
                "10.0.0.0/33",
                "10.0.0.0/",
                "10.0.0.0/255.0.0.0",
                "10.0.0.0/-1",
                "10.0.0.0/\uff18",
                "10.0.0",
                "010.0.0.1",
                "fe80::1%eth0",
                " 10.0.0.1",
                "10.0.0.1/8/8",
            ],
            characters=["", "1" * 65],
            must_be_a_string=[1, None, True, 167772160],
        )

    @settings_for_tests
    @given(some.text(alphabet="0123456789./:f%", max_size=20))
    def test_anything(self, text: str) -> None:
        """Whatever it is, it is refused, or has a spelling that is its own."""
        try:
            found = network(text)
        except Wrong:
            return
        self.assertEqual(network(found), found)
