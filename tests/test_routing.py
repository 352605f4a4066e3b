"""Which way a request goes: the rules, the spellings of a host, and one connection with many."""

from __future__ import annotations

import json

from aluvia.testing.http import read_response
from tests.support import ProxyCase


class RoutingTests(ProxyCase):
    """Direct or gateway, as seen from both."""

    async def ways(self, rules: list[str], hosts: list[str]) -> dict[str, str]:
        """The way that each of *hosts* went, in plain http and by CONNECT, which must agree."""
        origin, parent = self.origin(), self.gateway()
        proxy = await self.aluvia("--connect-timeout", "2", gateway=parent, rules=rules)
        ways = {}
        for host in hosts:
            parent.asked.clear()
            plain = await self.get(proxy, f"http://{host}:{origin.port}/")
            count = len(parent.asked)
            connection, answer = await self.tunnel(proxy, f"{host}:{origin.port}")
            connection.close()
            self.assertEqual(len(parent.asked), 2 * count, host)
            if count:
                self.assertEqual((plain.status, answer.status), (200, 200), host)
            ways[host] = "gateway" if count else "direct"
        return ways

    async def test_rules(self) -> None:
        """The table of patterns, seen through the proxy."""
        rules = ["*.example.com", "google.*", "10.*", "-private.example.com", "AUTO"]
        ways = await self.ways(
            rules,
            [
                "www.example.com",
                "a.b.example.com",
                "google.co.uk",
                "10.1.2.3",
                "127.0.0.1",
                "a.localhost",
            ],
        )
        self.assertEqual(list(ways.values()), ["gateway"] * 4 + ["direct"] * 2)

    async def test_no_rules(self) -> None:
        """Without rules, and with nothing but exclusions, everything is direct."""
        for rules in ([], ["-example.com"]):
            ways = await self.ways(list(rules), ["127.0.0.1", "one.localhost"])
            self.assertEqual(set(ways.values()), {"direct"})

    async def test_everything_but(self) -> None:
        """``*`` with exclusions."""
        ways = await self.ways(["*", "-*.localhost", "-127.0.0.0/8"], ["a.test", "one.localhost"])
        self.assertEqual(ways, {"a.test": "gateway", "one.localhost": "direct"})

    async def test_must_not_happen_7_upper_case_trailing_dots_idn(self) -> None:
        """A host cannot get around a rule by its spelling."""
        spellings = ["WWW.Example.COM", "www.example.com.", "WWW.EXAMPLE.COM."]
        self.assertEqual(
            set((await self.ways(["www.example.com"], spellings)).values()), {"gateway"}
        )
        excluded = ["One.LOCALHOST", "one.localhost.", "ONE.localhost."]
        self.assertEqual(
            set((await self.ways(["*", "-one.localhost"], excluded)).values()), {"direct"}
        )
        for rule in ("bücher.example", "xn--bcher-kva.example", "BÜCHER.example."):
            names = ["xn--bcher-kva.example", "XN--BCHER-KVA.example."]
            self.assertEqual(set((await self.ways([rule], names)).values()), {"gateway"}, rule)

    async def test_must_not_happen_7_spellings_of_an_address(self) -> None:
        """An exclusion of an address holds for every form that the system's resolver reads."""
        origin, parent = self.origin(), self.gateway()
        proxy = await self.aluvia(gateway=parent, rules=["*", "-127.0.0.1", "-::1"])
        for host in ("127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1.",
                     "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"):  # fmt: skip
            answer = await self.get(proxy, f"http://{host}:{origin.port}/")
            self.assertEqual((answer.status, len(parent.asked)), (200, 0), host)
        six = self.origin(address="::1")
        for host in ("[::1]", "[0:0:0:0:0:0:0:1]", "[0::0001]"):
            answer = await self.get(proxy, f"http://{host}:{six.port}/")
            self.assertEqual((answer.status, len(parent.asked)), (200, 0), host)

    async def test_must_not_happen_7_ipv6_split_at_the_first_colon(self) -> None:
        """IPv6 literals keep their colons, with a port and without, here and at the gateway."""
        six, parent = self.origin(address="::1"), self.gateway()
        proxy = await self.aluvia(gateway=parent, rules=["2001:db8::/32"])
        answer = await self.get(proxy, f"http://[::1]:{six.port}/")
        self.assertEqual(json.loads(answer.body)["headers"][0][1], f"[::1]:{six.port}")
        connection, answer = await self.tunnel(proxy, f"[::1]:{six.port}")
        self.assertEqual(answer.status, 200)
        await connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual((await read_response(connection)).status, 200)
        four = self.origin()
        await self.tunnel(proxy, f"[2001:DB8:0::1]:{four.port}")
        self.assertEqual(parent.asked[0].target, b"[2001:db8::1]:%d" % four.port)
        await self.get(proxy, "http://[2001:db8::2]/")
        self.assertEqual(parent.asked[1].target, b"http://[2001:db8::2]/")

    async def test_must_not_happen_7_ports_0_and_65536(self) -> None:
        """Ports are digits from 1 to 65535, anything else is 400 and goes nowhere."""
        parent = self.gateway()
        proxy = await self.aluvia(gateway=parent, rules=["*"])
        for port in (
            "0",
            "65536",
            "00000",
            "99999",
            "655350",
            "-1",
            "+80",
            "\uff18\uff10",
            "8 0",
            "",
        ):
            raw = port.encode()
            answer = await self.ask(
                proxy, b"CONNECT a.test:%b HTTP/1.1\r\nHost: a\r\n\r\n" % raw, b"CONNECT"
            )
            self.assert_failed(answer, 400, "http_request_error")
            if port:
                answer = await self.ask(
                    proxy, b"GET http://a.test:%b/ HTTP/1.1\r\nHost: a\r\n\r\n" % raw
                )
                self.assert_failed(answer, 400, "http_request_error")
        self.assertEqual(len(parent.asked), 0)
        connection, _ = await self.tunnel(proxy, "a.test:65535")
        connection.close()
        self.assertEqual(parent.asked[0].target, b"a.test:65535")

    async def test_one_connection_with_changing_hosts(self) -> None:
        """The way is decided for each request, not for the connection."""
        origin, parent = self.origin(), self.gateway()
        proxy = await self.aluvia(gateway=parent)
        connection = await self.connect(proxy)
        for number in range(30):
            host = ("127.0.0.1", "www.example.com", "a.localhost")[number % 3]
            await connection.send(
                f"GET http://{host}:{origin.port}/{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            )
            answer = await read_response(connection)
            seen = json.loads(answer.body)
            self.assertEqual(seen["target"], f"/{number}")
            self.assertIn(["Host", f"{host}:{origin.port}"], seen["headers"])
            by_gateway = answer.header(b"x-fake-gateway") == b"1"
            self.assertEqual(by_gateway, host == "www.example.com")
        self.assertEqual(len(parent.asked), 10)

    async def test_names_are_resolved_by_the_gateway(self) -> None:
        """A name that does not exist here reaches the gateway as it is, and at once."""
        origin, parent = self.origin(), self.gateway()
        proxy = await self.aluvia(gateway=parent, rules=["*.invalid"])
        answer = await self.get(proxy, f"http://no.such.invalid:{origin.port}/")
        self.assertEqual(answer.status, 200)
        _, answer = await self.tunnel(proxy, f"no.such.invalid:{origin.port}")
        self.assertEqual(answer.status, 200)
