"""Tests for :mod:`aluvia.client.admin_ledger`, and for what enters the ledger."""

from __future__ import annotations

import typing

from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.admin_ledger import MOST_ROWS, ROWS
from aluvia.client.observed import LiveConnection
from aluvia.client.test.admin_case import AdminCase
from aluvia.client.test.scene import Scene
from aluvia.telemetry.ledger import HOSTS

JSON = "Accept: application/json"


class LedgerPageTests(AdminCase):
    """The page."""

    def setUp(self) -> None:
        """A client with some traffic."""
        super().setUp()
        count = self.observed.ledger.count
        count("a.example", "gateway", "*.example", 10, 100)
        count("a.example", "gateway", "*.example", 10, 100)
        count("b.example", "gateway", "*.example", 1000, 0)
        count("2001:db8::1", "direct", None, 0, 5)

    def rows(self, target: str = "/ledger") -> list[list[str]]:
        """The cells of the table."""
        return [line.split("  ") for line in self.ask(target).body.decode().splitlines()]

    def test_json(self) -> None:
        """The most bytes first; what is in no row, and the total."""
        data = self.ask("/ledger", JSON).json()
        rest = {"requests": 0, "bytes_up": 0, "bytes_down": 0}
        self.assertEqual(
            {
                "hosts": 3,
                "rows": [
                    {
                        "host": "b.example",
                        "way": "gateway",
                        "rule": "*.example",
                        "requests": 1,
                        "bytes_up": 1000,
                        "bytes_down": 0,
                    },
                    {
                        "host": "a.example",
                        "way": "gateway",
                        "rule": "*.example",
                        "requests": 2,
                        "bytes_up": 20,
                        "bytes_down": 200,
                    },
                    {
                        "host": "2001:db8::1",
                        "way": "direct",
                        "rule": None,
                        "requests": 1,
                        "bytes_up": 0,
                        "bytes_down": 5,
                    },
                ],
                "more": {"rows": 0, **rest},
                "other": rest,
                "total": {"requests": 4, "bytes_up": 1020, "bytes_down": 205},
            },
            data,
        )

    def test_text(self) -> None:
        """A table with the same."""
        self.assertEqual(
            "HOST         WAY      REQUESTS    UP  DOWN  RULE\n"
            "b.example    gateway         1  1000     0  *.example\n"
            "a.example    gateway         2    20   200  *.example\n"
            "2001:db8::1  direct          1     0     5  -\n"
            "in total     -               4  1020   205  -\n",
            self.ask("/ledger").body.decode(),
        )

    def test_empty(self) -> None:
        """Before the first request there is a total of nothing."""
        self.observed.ledger = type(self.observed.ledger)()
        self.assertEqual(2, len(self.rows()))
        data = self.ask("/ledger", JSON).json()
        self.assertEqual((0, [], 0), (data["hosts"], data["rows"], data["total"]["requests"]))

    def test_limit(self) -> None:
        """Rows that are cut off are summed, and the total stays what it is."""
        data = self.ask("/ledger?limit=1", JSON).json()
        self.assertEqual(["b.example"], [row["host"] for row in data["rows"]])
        self.assertEqual(
            {"rows": 2, "requests": 3, "bytes_up": 20, "bytes_down": 205}, data["more"]
        )
        self.assertEqual({"requests": 4, "bytes_up": 1020, "bytes_down": 205}, data["total"])
        self.assertEqual("2 more rows", self.rows("/ledger?limit=1")[2][0])
        for number in range(ROWS + 5):
            self.observed.ledger.count(f"{number}.example", "direct", None, 0, 0)
        self.assertEqual(ROWS, len(self.ask("/ledger", JSON).json()["rows"]))

    def test_wrong_limits(self) -> None:
        """400 with what would be right."""
        self.assertEqual(200, self.ask(f"/ledger?limit={MOST_ROWS}").status)
        too_long = "9" * 5000
        for limit in ("", "0", "-1", "1.5", "x", "%ff", "%B2", str(MOST_ROWS + 1), too_long):
            reply = self.ask(f"/ledger?limit={limit}", JSON)
            self.assertEqual(400, reply.status, limit)
            self.assertIn(f"1 to {MOST_ROWS}", reply.json()["error"])
        self.assertEqual(400, self.ask("/ledger?limit=1&limit=2").status)

    def test_what_has_no_room(self) -> None:
        """Beyond the bounds of the ledger there is one sum for all hosts."""
        for number in range(HOSTS):
            self.observed.ledger.count(f"{number}.test", "direct", None, 1, 1)
        data = self.ask("/ledger", JSON).json()
        self.assertEqual((HOSTS, 3), (data["hosts"], data["other"]["requests"]))
        sums = [data["more"], data["other"], *data["rows"]]
        for name, number in data["total"].items():
            self.assertEqual(number, sum(each[name] for each in sums), name)
        self.assertEqual("other hosts", self.rows()[-2][0])

    def test_under_way(self) -> None:
        """What is under way is a request already, and leaves nothing behind by being looked at."""
        self.observed.flows = [
            LiveConnection("a.example", 443, "gateway", "*.example", 1, 2, 3.0),
            LiveConnection("new.example", 443, "gateway", "*.example", 1, 9000, 3.0),
        ]
        for _ in range(2):
            data = self.ask("/ledger", JSON).json()
            self.assertEqual(
                [("new.example", 1, 9000), ("b.example", 1, 0), ("a.example", 3, 202)],
                [(row["host"], row["requests"], row["bytes_down"]) for row in data["rows"]][:3],
            )
        self.assertEqual(4, self.observed.ledger.total.requests)

    def test_hostile_rules(self) -> None:
        """A rule stays on its line, whatever is in it."""
        self.observed.ledger.count("c.example", "direct", "-*\x1b[2J\nin total", 1, 1)
        self.assertNotIn(b"\x1b", self.ask("/ledger").body)
        self.assertEqual(6, len(self.rows()))


class EntryTests(SynchronousTestCase):
    """What a proxy enters."""

    def ledger_of(self, scene: Scene) -> dict[typing.Any, tuple[int, int, int]]:
        """Its rows."""
        return {
            place: (sums.requests, sums.bytes_up, sums.bytes_down)
            for place, sums in scene.policy.ledger.rows.items()
        }

    def test_a_tunnel(self) -> None:
        """Entered once, at its end, with its bytes; its host is the canonical one."""
        scene = Scene("*.proxied.test")
        self.addCleanup(scene.close)
        client = scene.client()
        client.receive(b"CONNECT Site.TEST.:443 HTTP/1.1\r\nHost: site.test\r\n\r\n")
        upstream = scene.tcp.dials[0].connect()
        client.receive(b"up")
        upstream.receive(b"down!")
        self.assertEqual({}, self.ledger_of(scene))
        for end in (client, upstream):
            end.fin()
        for end in (client, upstream):
            end.lost()
        self.assertEqual({("site.test", "direct", None): (1, 2, 5)}, self.ledger_of(scene))

    def test_a_request_that_failed(self) -> None:
        """It is a request all the same, by the way and the rule that it had."""
        scene = Scene("*.proxied.test")
        self.addCleanup(scene.close)
        client = scene.client()
        client.receive(b"GET http://a.proxied.test/ HTTP/1.1\r\nHost: a.proxied.test\r\n\r\n")
        scene.tcp.dials[0].connect().lost()
        self.assertEqual(
            [(("a.proxied.test", "gateway", "*.proxied.test"), 1)],
            [(place, row[0]) for place, row in self.ledger_of(scene).items()],
        )
        client.fin()

    def test_what_is_no_request(self) -> None:
        """What was refused before a way was decided has no host that we know."""
        scene = Scene()
        self.addCleanup(scene.close)
        client = scene.client()
        client.receive(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        self.assertEqual({}, self.ledger_of(scene))
