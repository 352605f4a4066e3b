"""Tests for :mod:`aluvia.edge.trusted`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.trusted import MOST_HOPS, Told, TrustedProxies, read_network
from aluvia.testing.properties import settings_for_tests

TRUSTED = TrustedProxies(["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"])


def asked(peer: str, *fields: tuple[str, str], proxies: TrustedProxies = TRUSTED) -> Told:
    """What is believed, with these fields."""
    return proxies.told(peer, [(name.encode(), value.encode()) for name, value in fields])


class NetworkTests(SynchronousTestCase):
    """Who is trusted."""

    def test_read(self) -> None:
        """Networks of either family, one address, IPv4 inside IPv6."""
        for text, meant in (
            ("10.0.0.0/8", "10.0.0.0/8"),
            (" 10.0.0.0/255.0.0.0 ", "10.0.0.0/8"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::/0", "::/0"),
        ):
            self.assertEqual(str(read_network(text)), meant)

    def test_bits_behind_the_length(self) -> None:
        """It is said which network that would be: whoever meant an address trusts no more."""
        for text, meant in (("10.0.0.1/8", "10.0.0.0/8"), ("2001:db8::1/32", "2001:db8::/32")):
            error = self.assertRaises(ValueError, read_network, text)
            self.assertEqual(str(error), f"has bits behind its length: the network is {meant}")

    def test_no_network(self) -> None:
        """Anything else is refused, and not quoted."""
        for text in (
            "",
            "canary",
            "10.0.0.0/33",
            "10.0.0",
            "[::1]",
            "10.0.0.0/8/8",
            "fe80::1%eth0/x",
        ):
            error = self.assertRaises(ValueError, read_network, text)
            self.assertNotIn("canary", str(error))
        self.assertRaises(ValueError, TrustedProxies, ["nobody"])

    def test_trusts(self) -> None:
        """By the network that an address is in, however it is spelled."""
        for address, trusted in (
            ("10.255.0.1", True),
            ("11.0.0.1", False),
            ("192.0.2.1", True),
            ("192.0.2.2", False),
            ("2001:db8:ffff::1", True),
            ("2001:db9::1", False),
            ("::ffff:10.0.0.1", True),
            ("::ffff:11.0.0.1", False),
            ("2001:db8::1%eth0", True),
            ("/run/a.sock", False),
            ("", False),
        ):
            self.assertIs(TRUSTED.trusts(address), trusted, address)

    def test_nobody(self) -> None:
        """Without networks nobody is."""
        nobody = TrustedProxies()
        self.assertEqual((bool(nobody), bool(TRUSTED)), (False, True))
        self.assertFalse(nobody.trusts("10.0.0.1"))
        self.assertEqual(nobody.client_of("10.0.0.1", [b"6.6.6.6"]), "10.0.0.1")

    def test_every_ipv6_address_is_no_ipv4_address(self) -> None:
        """``::/0`` does not trust IPv4, by whatever port it comes."""
        proxies = TrustedProxies(["::/0"])
        self.assertFalse(proxies.trusts("::ffff:10.0.0.1"))
        self.assertTrue(proxies.trusts("2001:db9::1"))


class ForwardedForTests(SynchronousTestCase):
    """``X-Forwarded-For``, hop by hop."""

    def test_a_stranger(self) -> None:
        """Is not believed, not even about itself."""
        self.assertEqual(TRUSTED.client_of("6.6.6.6", [b"10.0.0.1"]), "6.6.6.6")
        self.assertEqual(TRUSTED.client_of("::ffff:6.6.6.6", [b"10.0.0.1"]), "6.6.6.6")
        self.assertEqual(TRUSTED.client_of("fe80::1%eth0", [b"10.0.0.1"]), "fe80::1")

    def test_walks(self) -> None:
        """From the right, to the first who is not trusted."""
        for values, client in (
            ((), "10.0.0.1"),
            (("203.0.113.9",), "203.0.113.9"),
            (("6.6.6.6, 203.0.113.9",), "203.0.113.9"),
            (("6.6.6.6, 203.0.113.9, 10.0.0.2",), "203.0.113.9"),
            (("6.6.6.6", "203.0.113.9,10.0.0.2", "2001:db8::7"), "203.0.113.9"),
            (("10.0.0.3 , 10.0.0.2",), "10.0.0.3"),
            (("203.0.113.9, , ,10.0.0.2,",), "203.0.113.9"),
            (("203.0.113.9,\t10.0.0.2 ",), "203.0.113.9"),
            (("",), "10.0.0.1"),
        ):
            given_values = [value.encode() for value in values]
            self.assertEqual(TRUSTED.client_of("10.0.0.1", given_values), client, values)

    def test_spellings(self) -> None:
        """Ports and brackets are tolerated; there is one spelling of each address."""
        for entry, client in (
            ("203.0.113.9:4711", "203.0.113.9"),
            ("[2001:DB9::1]", "2001:db9::1"),
            ("[2001:db9::1]:443", "2001:db9::1"),
            ("2001:db9:0:0::1", "2001:db9::1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("[::ffff:cb00:7109]:1", "203.0.113.9"),
        ):
            self.assertEqual(TRUSTED.client_of("10.0.0.1", [entry.encode()]), client)

    def test_malformed(self) -> None:
        """The walk stops before it, at the last hop that is known."""
        for entry in (
            "unknown",
            "_hidden",
            "a.example",
            "203.0.113.256",
            "203.0.113.09",
            "203.0.113.9:",
            "203.0.113.9:123456",
            "203.0.113.9:http",
            "[203.0.113.9]",
            "[2001:db9::1",
            "[2001:db9::1]443",
            "2001:db9::1]",
            "fe80::1%eth0",
            '"203.0.113.9"',
            "203.0.113.9 203.0.113.8",
            "203.0.113.9;for=1.2.3.4",
            "\xe9",
            "1" * 10_000,
        ):
            value = f"203.0.113.9, {entry}, 10.0.0.2".encode("latin-1")
            self.assertEqual(TRUSTED.client_of("10.0.0.1", [value]), "10.0.0.2", entry)
            alone = TRUSTED.client_of("10.0.0.1", [entry.encode("latin-1")])
            self.assertEqual(alone, "10.0.0.1", entry)

    def test_so_many_hops(self) -> None:
        """A list is looked at so far, and no further; the last hop that was reached counts."""
        hops = [f"10.0.1.{number}" for number in range(MOST_HOPS)]
        value = ", ".join(["203.0.113.9", *hops[1:]]).encode()
        self.assertEqual(TRUSTED.client_of("10.0.0.1", [value]), "203.0.113.9")
        value = ", ".join(["203.0.113.9", *hops]).encode()
        self.assertEqual(TRUSTED.client_of("10.0.0.1", [value]), "10.0.1.0")

    @settings_for_tests
    @given(
        st.binary(max_size=60)
        | st.lists(st.sampled_from([b"6.6.6.6", b"10.0.0.9", b"for=6.6.6.6", b'for="', b""])).map(
            b", ".join
        ),
        st.ip_addresses().filter(lambda address: not TRUSTED.trusts(str(address))),
        st.lists(st.integers(0, 255).map(lambda number: f"10.9.9.{number}"), max_size=5),
    )
    def test_nothing_left_of_a_stranger_counts(
        self, begins: bytes, stranger: object, hops: list[str]
    ) -> None:
        """Whatever it sent itself, in whatever form: the client is whom the trusted ones saw."""
        value = begins + b", " + ", ".join([str(stranger), *hops]).encode()
        client = TRUSTED.client_of("10.0.0.1", [value])
        self.assertEqual(client, TRUSTED.client_of(str(stranger), []))
        fields = [(b"X-Forwarded-For", value)]
        self.assertEqual(TRUSTED.told("10.0.0.1", fields).client, client)
        element = ", ".join(f'for="[{each}]"' if ":" in each else f"for={each}" for each in hops)
        seen = f'for="[{stranger}]"' if ":" in str(stranger) else f"for={stranger}"
        forwarded = begins + b"," + ", ".join(filter(None, [seen, element])).encode()
        self.assertEqual(TRUSTED.told("10.0.0.1", [(b"Forwarded", forwarded)]).client, client)


class ToldTests(SynchronousTestCase):
    """Everything that a trusted proxy says."""

    def test_a_stranger(self) -> None:
        """Says nothing."""
        fields = (
            ("X-Forwarded-For", "10.0.0.1"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "a.example"),
            ("X-Forwarded-Port", "443"),
            ("Forwarded", "for=10.0.0.1;proto=https"),
        )
        self.assertEqual(asked("6.6.6.6", *fields), Told("6.6.6.6"))
        self.assertEqual(
            asked("10.0.0.1", *fields, proxies=TrustedProxies()),
            Told("10.0.0.1"),
        )

    def test_all(self) -> None:
        """The client, and how it asked; names in any case, more than one field of a name."""
        self.assertEqual(
            asked(
                "::ffff:10.0.0.1",
                ("x-forwarded-for", "203.0.113.9"),
                ("X-FORWARDED-FOR", "10.0.0.2"),
                ("X-Forwarded-Proto", "HTTPS"),
                ("X-Forwarded-Host", "A.Example.:8443"),
                ("X-Forwarded-Port", "443"),
                ("X-Real-IP", "6.6.6.6"),
            ),
            Told("203.0.113.9", "https", "a.example:8443", 443),
        )
        self.assertEqual(asked("10.0.0.1"), Told("10.0.0.1"))

    def test_without_an_address(self) -> None:
        """A proxy that only says how it was asked is believed about that."""
        self.assertEqual(
            asked("10.0.0.1", ("X-Forwarded-Proto", "https")), Told("10.0.0.1", "https")
        )

    def test_the_port(self) -> None:
        """Is that of its own field, else the host's."""
        for host, port, told in (
            ("a.example:8443", "", 8443),
            ("a.example:8443", "444", 444),
            ("a.example", "", 0),
            ("a.example:8443", "65536", 8443),
            ("a.example", "x", 0),
            ("", "0", 0),
        ):
            fields = (("X-Forwarded-Host", host), ("X-Forwarded-Port", port))
            self.assertEqual(asked("10.0.0.1", *fields).port, told)

    def test_lists(self) -> None:
        """What counts is said by the proxy that told of the client, and not by the client."""
        two = ("X-Forwarded-For", "203.0.113.9, 10.0.0.2")
        one = ("X-Forwarded-For", "6.6.6.6, 203.0.113.9")
        for forwarded_for, protocols, proto in (
            (two, "https, http", "https"),
            (two, "https", "https"),
            (two, "http, https, http", "https"),
            (one, "https, http", "http"),
            (one, "http", "http"),
        ):
            told = asked("10.0.0.1", forwarded_for, ("X-Forwarded-Proto", protocols))
            self.assertEqual(told.proto, proto, protocols)

    def test_malformed(self) -> None:
        """Is as if it were not said."""
        for name, value in (
            ("X-Forwarded-Proto", "gopher"),
            ("X-Forwarded-Proto", ""),
            ("X-Forwarded-Host", "a b"),
            ("X-Forwarded-Host", "user@a.example"),
            ("X-Forwarded-Host", "a.example:99999"),
            ("X-Forwarded-Port", "-1"),
            ("X-Forwarded-Port", "9" * 5000),
        ):
            self.assertEqual(asked("10.0.0.1", (name, value)), Told("10.0.0.1"), (name, value))

    def test_websockets(self) -> None:
        """Some proxies name the scheme of a WebSocket; it is http all the same."""
        for said, proto in (("ws", "http"), ("wss", "https")):
            self.assertEqual(asked("10.0.0.1", ("X-Forwarded-Proto", said)).proto, proto)


class ForwardedTests(SynchronousTestCase):
    """``Forwarded`` (RFC 7239), where there is no ``X-Forwarded-For``."""

    def said(self, *values: str) -> Told:
        """What is believed."""
        return asked("10.0.0.1", *(("Forwarded", value) for value in values))

    def test_walks(self) -> None:
        """As in the other; what is said besides is the element's that told of the client."""
        for values, told in (
            (("for=203.0.113.9",), Told("203.0.113.9")),
            (('For="[2001:db9::1]:4711"',), Told("2001:db9::1")),
            (("for=203.0.113.9;proto=https;by=10.0.0.2, for=10.0.0.2;proto=http",), None),
            (("for=203.0.113.9; Proto=https ;;", "for=10.0.0.2;proto=http"), None),
            (("for=6.6.6.6;proto=http, for=203.0.113.9;proto=https",), None),
            (
                ('for=203.0.113.9;host="a.example:8443";proto=https',),
                Told("203.0.113.9", "https", "a.example:8443", 8443),
            ),
            (("",), Told("10.0.0.1")),
        ):
            self.assertEqual(self.said(*values), told or Told("203.0.113.9", "https"), values)

    def test_hidden(self) -> None:
        """A hop that does not name its client ends the walk; how it was asked is still told."""
        for node in ("for=unknown", "for=_hidden", 'for="_a.b-c"', "by=10.0.0.2"):
            told = self.said(f"for=6.6.6.6, {node};proto=https, for=10.0.0.2")
            self.assertEqual(told, Told("10.0.0.2", "https"), node)

    def test_malformed(self) -> None:
        """Ends the walk; nothing of it is believed."""
        for element in (
            "203.0.113.9",
            "for = 203.0.113.9",
            "for=[2001:db9::1]",
            'for="203.0.113.9',
            'for="203.0.113.9" x',
            'for="\\203.0.113.9"',
            "for=203.0.113.9;for=6.6.6.6",
            "for=203.0.113.9;proto=https;PROTO=http",
            "for=",
        ):
            told = self.said(f"for=6.6.6.6, {element}, for=10.0.0.2")
            self.assertEqual(told, Told("10.0.0.2"), element)

    def test_the_other_field(self) -> None:
        """``X-Forwarded-For`` wins, whatever it says; nothing of ``Forwarded`` is read then."""
        told = asked(
            "10.0.0.1",
            ("X-Forwarded-For", "203.0.113.9"),
            ("Forwarded", "for=6.6.6.6;proto=https;host=b.example"),
        )
        self.assertEqual(told, Told("203.0.113.9"))

    def test_what_it_says_itself(self) -> None:
        """Stands above fields that a client may have sent."""
        told = asked(
            "10.0.0.1",
            ("Forwarded", "for=203.0.113.9;proto=http;host=a.example"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "b.example"),
        )
        self.assertEqual(told, Told("203.0.113.9", "http", "a.example"))
