"""Tests for routes that were something before, and for routes that were written in Python."""

from __future__ import annotations

import typing

from aluvia.edge.fields import Judges, judge_route, read_route, route_document
from aluvia.edge.model import (
    Backend,
    HealthCheck,
    KeyPair,
    Route,
    Timeouts,
)
from aluvia.edge.test.fields_case import CANARY, FIRST, SECOND, ids
from aluvia.edge.test.route_case import RouteCase


class BeforeTests(RouteCase):
    """What a route was before."""

    def test_id(self) -> None:
        """It stays, and cannot be changed."""
        before = Route(id="kept", v_host="b.example")
        self.assertEqual(self.read(before=before).id, "kept")
        self.assertEqual(self.read(before=before, id="kept").id, "kept")
        told = self.told(self.read, before=before, id="other")
        self.assertEqual(told, [("/id", "cannot be changed")])

    def test_key(self) -> None:
        """A key that is not sent is that of before, if its certificate is."""
        before = self.read(ssl={"key": FIRST.key, "cert": FIRST.cert})
        self.assertEqual(self.read(before=before, ssl={"cert": FIRST.cert}).ssl, FIRST)
        shown = route_document(before)
        self.assertEqual(self.read(shown, before), before)
        told = self.told(self.read, before=before, ssl={"cert": SECOND.cert})
        self.assert_told(told, ("/ssl/key", "another certificate has another key"))
        derived = read_route(shown | {"ssl": shown["ssl"] | {"names": ["a"]}}, ids(), before)
        self.assertEqual((derived.value, len(derived.notes)), (before, 1))
        self.refuse(("/ssl/key", "is missing"), ssl={"cert": FIRST.cert})
        self.refuse(("/ssl/key", "is missing"), ("/ssl/cert", "is missing"), ssl={})
        self.assertIsNone(self.read(before=before, ssl=None).ssl)
        self.assertIsNone(self.read(before=before).ssl)


class CertificateTests(RouteCase):
    """A route's own certificate."""

    def test_star(self) -> None:
        """No certificate is for all."""
        pair = {"key": FIRST.key, "cert": FIRST.cert}
        self.refuse(("/ssl", "vhost with a name"), vHost="*:443", ssl=pair)

    def test_judged(self) -> None:
        """Somebody else judges it, for its vhost, when the one or the other is new."""
        asked: list[tuple[KeyPair, str]] = []

        def judge(pair: KeyPair, name: str) -> list[str]:
            asked.append((pair, name))
            return ["It has expired.", "The key does not fit."]

        document = {"vHost": "A.example", "ssl": {"key": FIRST.key, "cert": FIRST.cert}}
        told = self.told(read_route, document, ids(), judges=Judges(pair=judge))
        self.assertEqual(
            told, [("/ssl/cert", "It has expired."), ("/ssl/key", "The key does not fit.")]
        )
        self.assertEqual(asked, [(FIRST, "a.example")])
        before = self.read(document)
        same = document | {"retries": 1}
        self.assertEqual(
            read_route(same, ids(), before, judges=Judges(pair=judge)).value.retries, 1
        )
        self.assertEqual(len(asked), 1)
        moved = document | {"vHost": "b.example"}
        self.told(read_route, moved, ids(), before, judges=Judges(pair=judge))
        self.assertEqual(asked[1:], [(FIRST, "b.example")])

    def test_wrong_elsewhere(self) -> None:
        """Of one whose vhost is none it is told what is wrong whatever that may be."""
        asked: list[str] = []

        def judge(pair: KeyPair, name: str) -> list[str]:
            asked.append(name)
            return ["It has expired."]

        document: dict[str, object] = {"ssl": {"key": FIRST.key, "cert": FIRST.cert}}
        for wrong in ({"vHost": "a*"}, {}):
            told = self.told(read_route, document | wrong, ids(), judges=Judges(pair=judge))
            self.assertCountEqual([where for where, _ in told], ["/vHost", "/ssl/cert"])
        self.assertEqual(asked, ["*", "*"])
        # It was there before, and is not judged again.
        before = self.read(document | {"vHost": "a"})
        told = self.told(read_route, document | wrong | {"vHost": "a*"}, ids(), before)
        self.assertEqual([where for where, _ in told], ["/vHost"])

    def test_no_pair(self) -> None:
        """Nobody judges one that is none."""
        for document in ({"vHost": "a", "ssl": {"key": CANARY, "cert": FIRST.cert}},):
            told = self.told(
                read_route, document, ids(), judges=Judges(pair=lambda pair, name: ["never asked"])
            )
            self.assertNotIn("never asked", [detail for _, detail in told])


class JudgeTests(RouteCase):
    """A route that was written in Python."""

    def test_canonical(self) -> None:
        """It comes back in the one spelling."""
        written = Route(
            id="a",
            v_host="API.Example.com.",
            path_prefix="/a/",
            timeouts=Timeouts(idle=5),
            health_check=HealthCheck(path="/", expect=(204, 200, 204)),
            backends=(Backend(id="b", hostname="127.1", port=80),),
        )
        self.assertEqual(
            judge_route(written),
            Route(
                id="a",
                v_host="api.example.com",
                path_prefix="/a",
                timeouts=Timeouts(idle=5.0),
                health_check=HealthCheck(path="/", expect=(200, 204)),
                backends=(Backend(id="b", hostname="127.0.0.1", port=80),),
            ),
        )

    def test_lenient(self) -> None:
        """Lists will do for tuples, and a mapping for header fields."""
        written: typing.Any = {
            "headers": {"X-A": "a"},
            "backends": [Backend(id="b", hostname="b", port=80)],
            "allow": ["10.0.0.1"],
        }
        judged = judge_route(Route(id="a", v_host="a", **written))
        self.assertEqual(judged.headers, (("X-A", "a"),))
        self.assertEqual(judged.allow, ("10.0.0.1/32",))
        self.assertEqual(hash(judged.backends), hash((Backend(id="b", hostname="b", port=80),)))

    def test_wrong(self) -> None:
        """What is wrong is told with pointers into the document, whatever was put there."""
        anything: typing.Any = object()
        for changes, pointer in (
            ({"id": ""}, "/id"),
            ({"v_host": anything}, "/vHost"),
            ({"strategy": "ROUND_ROBIN?"}, "/strategy"),
            ({"timeouts": 5}, "/timeouts"),
            ({"timeouts": Timeouts(idle=anything)}, "/timeouts/idle"),
            ({"headers": 5}, "/headers"),
            ({"headers": (("X-A",),)}, "/headers"),
            ({"headers": (("X-A", "a"), ("X-A", "b"))}, "/headers"),
            ({"headers": (("X-A", "a"), ("x-a", "b"))}, "/headers/x-a"),
            ({"allow": "10.0.0.1"}, "/allow"),
            ({"backends": 5}, "/backends"),
            ({"backends": (anything,)}, "/backends/0"),
            ({"backends": (Backend(id="", hostname="a", port=1),)}, "/backends/0/id"),
            ({"backends": (Backend(id="b"),)}, "/backends/0"),
            ({"health_check": HealthCheck(expect=(200,))}, "/healthCheck/expect"),
            ({"health_check": HealthCheck(path="/", expect=(True,))}, "/healthCheck/expect/0"),
            ({"ssl": "pem"}, "/ssl"),
        ):
            route = Route(**({"id": "a", "v_host": "a"} | typing.cast(typing.Any, changes)))
            told = self.told(judge_route, route)
            self.assertEqual([where for where, _ in told], [pointer])

    def test_pair(self) -> None:
        """Its certificate is judged, unless it was there before."""
        route = Route(id="a", v_host="a.example", ssl=FIRST)

        def judge(pair: KeyPair, name: str) -> list[str]:
            return [f"It is not for {name}."]

        told = self.told(judge_route, route, judges=Judges(pair=judge))
        self.assertEqual(told, [("/ssl/cert", "It is not for a.example.")])
        self.assertEqual(judge_route(route, route, judges=Judges(pair=judge)), route)
