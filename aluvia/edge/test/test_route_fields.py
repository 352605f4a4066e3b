"""Tests for documents of routes: :mod:`aluvia.edge.route_fields`."""

from __future__ import annotations

import json
import typing

from aluvia.edge import bounds
from aluvia.edge.fields import read_route, route_document
from aluvia.edge.model import (
    Backend,
    BalancingStrategy,
    HealthCheck,
    RateLimit,
    Route,
    Timeouts,
)
from aluvia.edge.test.fields_case import FIRST, ids
from aluvia.edge.test.route_case import RouteCase

#: The example of seed 002, as JSON.
SEED = """
{
  "id": "service-a",
  "vHost": "api.myapp.com",
  "strategy": "ROUND_ROBIN",
  "autoHttps": true,
  "reqActiveLength": 50,
  "reqQueueLength": 100,
  "backends": [
    {"id": "node-1", "hostname": "10.0.0.1", "port": 3000, "isDead": false, "failureCount": 0},
    {"id": "node-2", "hostname": "10.0.0.2", "port": 3000, "isDead": false, "failureCount": 0}
  ]
}
"""

#: All defaults, in the order in which they are shown.
DEFAULTS = """
{
  "id": "id-1", "vHost": "a.example", "pathPrefix": null, "strategy": "ROUND_ROBIN",
  "autoHttps": false, "reqQueueLength": 100, "reqActiveLength": 50, "queueTimeoutMs": 10000,
  "maxStreams": 1000, "retries": 3, "timeouts": {"connect": 5, "firstByte": 60, "idle": 300},
  "authProvider": null, "headers": {}, "healthCheck": null, "preserveHost": true,
  "forwarded": false, "maxBodyBytes": null, "rateLimit": null, "allow": [], "deny": [],
  "backends": [], "ssl": null
}
"""


class SeedTests(RouteCase):
    """What the specification shows."""

    def test_example(self) -> None:
        """It is accepted as it is; what it says of what runs is ignored, with a note."""
        read = read_route(json.loads(SEED), ids())
        self.assertEqual(
            read.value,
            Route(
                id="service-a",
                v_host="api.myapp.com",
                auto_https=True,
                backends=(
                    Backend(id="node-1", hostname="10.0.0.1", port=3000),
                    Backend(id="node-2", hostname="10.0.0.2", port=3000),
                ),
            ),
        )
        self.assertEqual([note.split()[0] for note in read.notes], ["isDead", "failureCount"])

    def test_defaults(self) -> None:
        """All are written out, in the order of the specification, and none is needed."""
        document = route_document(self.read())
        self.assertEqual(json.dumps(document), json.dumps(json.loads(DEFAULTS)))
        self.assertEqual(self.read(document), Route(id="id-1", v_host="a.example"))

    def test_everything(self) -> None:
        """Each member comes to its attribute, and back."""
        members = {
            "id": "r",
            "vHost": "*.A.example:443",
            "pathPrefix": "/api/",
            "strategy": "IP_HASH",
            "autoHttps": True,
            "reqQueueLength": 0,
            "reqActiveLength": 1,
            "queueTimeoutMs": 2,
            "maxStreams": 3,
            "retries": 4,
            "timeouts": {"connect": 0.5, "firstByte": 6, "idle": 7.5},
            "authProvider": "staff",
            "headers": {"X-Tier": " gold\t", "X-Empty": ""},
            "healthCheck": {
                "path": "/up",
                "interval": 8.5,
                "expect": [204, "200-202", 201],
                "rise": 9,
                "fall": 10,
            },
            "preserveHost": False,
            "forwarded": True,
            "maxBodyBytes": 0,
            "rateLimit": {"perSecond": 11, "burst": 12},
            "allow": ["10.0.0.0/8", "::ffff:10.0.0.0/104", "10.0.0.1"],
            "deny": ["::/0"],
            "backends": [{"id": "b", "hostname": "B.", "port": 80}],
            "ssl": {"key": FIRST.key, "cert": FIRST.cert},
        }
        route = self.read(members)
        self.assertEqual(
            route,
            Route(
                id="r",
                v_host="*.a.example",
                path_prefix="/api",
                strategy=BalancingStrategy.IP_HASH,
                auto_https=True,
                req_queue_length=0,
                req_active_length=1,
                queue_timeout_ms=2,
                max_streams=3,
                retries=4,
                timeouts=Timeouts(connect=0.5, first_byte=6.0, idle=7.5),
                auth_provider="staff",
                headers=(("X-Tier", "gold"), ("X-Empty", "")),
                health_check=HealthCheck(
                    path="/up", interval=8.5, expect=(200, 201, 202, 204), rise=9, fall=10
                ),
                preserve_host=False,
                forwarded=True,
                max_body_bytes=0,
                rate_limit=RateLimit(per_second=11.0, burst=12),
                allow=("10.0.0.0/8", "10.0.0.1/32"),
                deny=("::/0",),
                backends=(Backend(id="b", hostname="b", port=80),),
                ssl=FIRST,
            ),
        )
        document = route_document(route, secrets=True)
        self.assertEqual(self.read(document), route)
        self.assertEqual(document["healthCheck"]["expect"], ["200-202", 204])
        self.assertEqual(document["timeouts"], {"connect": 0.5, "firstByte": 6, "idle": 7.5})
        self.assertEqual(list(document["ssl"]), ["key", "cert"])
        self.assertEqual(route_document(route)["ssl"], {"cert": FIRST.cert})
        self.assertEqual(list(document), list(json.loads(DEFAULTS)))


class FaultTests(RouteCase):
    """What is wrong with a document."""

    def test_all_at_once(self) -> None:
        """Every fault is told, each at its place."""
        self.refuse(
            ("/vHost", "star"),
            ("/vhost", 'is "vHost" meant?'),
            ("/x~1y~0", "is unknown"),
            ("/strategy", "ROUND_ROBIN, RANDOM, IP_HASH, LEAST_LATENCY"),
            ("/timeouts/idle", "above 0"),
            ("/timeouts/Idle", 'is "idle" meant?'),
            ("/backends/0", "a hostname and a port, or an endpoint"),
            ("/backends/1/port", "from 1 to 65535"),
            ("/backends/2", "must be an object"),
            ("/headers/Host", "writes itself"),
            ("/headers/Host", "visible ASCII"),
            ("/headers/a~1b", "name of a header field"),
            ("/allow/1", "must be an address"),
            vHost="*foo.com",
            vhost="a.example",
            strategy="ROUND",
            timeouts={"idle": 0, "Idle": 1},
            backends=[{}, {"hostname": "a", "port": "80"}, None],
            headers={"Host": "a\r\n", "a/b": ""},
            allow=["10.0.0.0/8", "x"],
            **{"x/y~": 1},
        )

    def test_no_object(self) -> None:
        """A route is an object, and has a vhost."""
        others: list[object] = [None, [], "a", 1, True]
        for document in others:
            self.assertEqual(
                self.told(read_route, document, ids()), [("", "must be an object")], repr(document)
            )
        self.assertEqual(self.told(read_route, {}, ids()), [("/vHost", "is missing")])
        self.assertEqual(
            self.told(read_route, {"vHost": "a", 1: 2}, ids()),
            [("", "must have strings for names")],
        )

    def test_too_many_faults(self) -> None:
        """Some are told, and that there are more."""
        members: dict[str, typing.Any] = {
            f"member{number}": 1 for number in range(bounds.FAULTS + 1)
        }
        self.assertEqual(len(self.told(self.read, **members)), bounds.FAULTS)
        del members["member0"]
        self.assertEqual(len(self.told(self.read, **members)), bounds.FAULTS)

    def test_numbers(self) -> None:
        """They are numbers, whole where that is asked, and within their bounds."""
        for name, least, most in (
            ("reqQueueLength", 0, bounds.REQUESTS),
            ("reqActiveLength", 1, bounds.REQUESTS),
            ("queueTimeoutMs", 1, bounds.QUEUE_TIMEOUT_MS),
            ("maxStreams", 0, bounds.REQUESTS),
            ("retries", 0, bounds.RETRIES),
            ("maxBodyBytes", 0, bounds.BODY_BYTES),
        ):
            for right in (least, most):
                read = self.read({"vHost": "a"} | {name: right})
                self.assertEqual(route_document(read)[name], right)
            wrong = [least - 1, most + 1, True, False, 1.0, "1", [1], 10**400]
            self.refuse_each(name, wrong, f"whole number from {least} to {most}")
        for value in (0, -1, 0.0, True, "1", bounds.SECONDS + 0.1, 10**400, float("inf")):
            self.refuse(("/timeouts/connect", "a number above 0"), timeouts={"connect": value})
        self.refuse(("/timeouts/idle", "a number above 0"), timeouts={"idle": float("nan")})
        self.assertEqual(self.read(timeouts={"idle": 86_400}).timeouts.idle, 86_400.0)

    def test_null(self) -> None:
        """Null is for what may be absent, and for nothing else."""
        for name, default in json.loads(DEFAULTS).items():
            if default is None:
                self.assertEqual(self.read(**{name: None}), self.read())
            else:
                told = self.told(self.read, **{name: None})
                self.assertEqual([pointer for pointer, _ in told], [f"/{name}"])

    def test_flags(self) -> None:
        """True and false, and nothing that looks like them."""
        for name in ("autoHttps", "preserveHost", "forwarded"):
            self.refuse_each(name, [0, 1, "true", "", []], "true or false")

    def test_ids(self) -> None:
        """They can stand in a path, as a segment and as they are."""
        for text in ("a", "A-1._~", "a" * 128, "..."):
            self.assertEqual(self.read(id=text).id, text)
        for name in ("id", "authProvider"):
            self.refuse_each(name, [".", "..", "a/b", "a b", "ä", "%41", "a\n"], "letters, digits")
            self.refuse_each(name, ["", "a" * 129], "1 to 128 characters")
            self.refuse_each(name, [1, [], {}], "must be a string")

    def test_rate_limit(self) -> None:
        """It has a rate; how much may come at once is one, if nothing is said."""
        limit = self.read(rateLimit={"perSecond": 0.5}).rate_limit
        self.assertEqual(limit, RateLimit(per_second=0.5, burst=1))
        self.refuse(("/rateLimit/perSecond", "is missing"), rateLimit={})
        self.refuse(
            ("/rateLimit/perSecond", "from 0.001"),
            ("/rateLimit/burst", "whole number from 1"),
            rateLimit={"perSecond": 0, "burst": 0},
        )

    def test_lists(self) -> None:
        """They are lists, and not too long."""
        for name, most in (
            ("allow", bounds.NETWORKS),
            ("deny", bounds.NETWORKS),
            ("backends", bounds.BACKENDS),
        ):
            self.refuse_each(name, [{}, "10.0.0.0/8", 1], "must be a list")
            self.refuse_each(name, [["10.0.0.0/8"] * (most + 1)], f"at most {most} items")
        self.assertEqual(len(self.read(allow=["10.0.0.0/8"] * bounds.NETWORKS).allow), 1)


class HealthCheckTests(RouteCase):
    """How backends are probed."""

    def test_path_or_tcp(self) -> None:
        """One of the two; TCP if nothing is said."""
        tcp: list[object] = [{}, {"tcp": True}, {"path": None}, {"path": None, "tcp": True}]
        for document in tcp:
            self.assertEqual(self.read(healthCheck=document).health_check, HealthCheck())
        path: list[object] = [{"path": "/up"}, {"path": "/up", "tcp": False}]
        for document in path:
            self.assertEqual(self.read(healthCheck=document).health_check, HealthCheck(path="/up"))
        self.refuse(("/healthCheck/tcp", "beside a path"), healthCheck={"path": "/", "tcp": True})
        self.refuse(("/healthCheck/path", "is missing"), healthCheck={"tcp": False})
        self.refuse(("/healthCheck/path", "begin with /"), healthCheck={"path": "up", "tcp": False})
        self.refuse(
            ("/healthCheck/expect", "is for a path"), healthCheck={"tcp": True, "expect": [200]}
        )

    def test_document(self) -> None:
        """It shows which of the two it is, so that a patch of the path is enough to leave it."""
        shown = route_document(self.read(healthCheck={"tcp": True}))["healthCheck"]
        self.assertEqual(
            shown,
            {
                "path": None,
                "tcp": True,
                "interval": 60,
                "expect": ["200-399"],
                "rise": 1,
                "fall": 1,
            },
        )
        self.assertEqual(self.read(healthCheck=shown).health_check, HealthCheck())
        shown = route_document(self.read(healthCheck={"path": "/up"}))["healthCheck"]
        self.assertNotIn("tcp", shown)

    def test_expect(self) -> None:
        """Numbers and ranges; those that are good anyway are none."""
        for document, statuses in (
            ([], ()),
            (["200-399"], ()),
            (["200-299", "300-399"], ()),
            ([200], (200,)),
            ([404, "200-201", 200], (200, 201, 404)),
            (["599-599"], (599,)),
        ):
            read = self.read(healthCheck={"path": "/", "expect": document}).health_check
            assert read is not None
            self.assertEqual(read.expect, statuses)
        for item in (199, 600, True, 200.0, "200", "200-", "299-200", "100-299", "200-600", None):
            self.refuse(
                ("/healthCheck/expect/1", "a status from 200 to 599"),
                healthCheck={"path": "/", "expect": [204, item]},
            )
        self.refuse(
            ("/healthCheck/expect", "at most 100 items"),
            healthCheck={"path": "/", "expect": [200] * 101},
        )

    def test_numbers(self) -> None:
        """No probe comes sooner than in a tenth of a second."""
        check = {"interval": 1.0, "rise": 100, "fall": 100}
        self.assertEqual(
            self.read(healthCheck=check).health_check, HealthCheck(interval=1.0, rise=100, fall=100)
        )
        self.refuse(
            ("/healthCheck/interval", "from 1 up to 86400"),
            ("/healthCheck/rise", "from 1 to 100"),
            ("/healthCheck/fall", "from 1 to 100"),
            healthCheck={"interval": 0.9, "rise": 0, "fall": 101},
        )
