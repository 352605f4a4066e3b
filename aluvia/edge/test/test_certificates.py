"""Which certificate is shown for a name, and what stays as it is when one is replaced."""

from __future__ import annotations

import functools
import typing

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.api.problems import Fault, Problem
from aluvia.edge.certificates import CertificateMap, Certificates, Presented, present
from aluvia.edge.model import Certificate, KeyPair, Route, Snapshot
from aluvia.edge.test.issuing import DAY, NOW, issue

pair = functools.cache(issue)


def snapshot(
    certificates: typing.Mapping[str, KeyPair] | None = None,
    routes: typing.Mapping[str, KeyPair | None] | None = None,
) -> Snapshot:
    """One with these of ``/certificates``, by domain, and these of routes, by vhost."""
    return Snapshot(
        certificates={
            domain: Certificate(domain=domain, pair=each)
            for domain, each in (certificates or {}).items()
        },
        routes={
            f"id {v_host}": Route(id=f"id {v_host}", v_host=v_host, ssl=each)
            for v_host, each in (routes or {}).items()
        },
    )


class MapCase(SynchronousTestCase):
    """A map that is made anew."""

    map = CertificateMap()

    def use(
        self,
        certificates: typing.Mapping[str, KeyPair] | None = None,
        routes: typing.Mapping[str, KeyPair | None] | None = None,
    ) -> CertificateMap:
        """Put these in force."""
        self.map = self.map.replaced(snapshot(certificates, routes))
        return self.map

    def shown(self, name: str) -> KeyPair | None:
        """What a client sees."""
        found = self.map.find(name)
        return None if found is None else found.pair


class FindTests(MapCase):
    """The order in the table."""

    def test_nothing(self) -> None:
        """Without a certificate everybody is refused."""
        for name in ("", "a.example"):
            self.assertIsNone(self.shown(name))

    def test_exact_and_wildcard(self) -> None:
        """The exact name wins over the wildcard, which stands for one label."""
        exact, wild, first = pair("a.b.example"), pair("*.b.example"), pair("first.example")
        self.use({"first.example": first, "*.b.example": wild, "a.b.example": exact})
        for name, found in (
            ("a.b.example", exact),
            ("c.b.example", wild),
            ("b.example", first),
            ("d.c.b.example", first),
            ("*.b.example", wild),
            ("", first),
            ("localhost", first),
        ):
            self.assertIs(self.shown(name), found, name)

    def test_other_names(self) -> None:
        """A certificate is shown for all its names, where none was handed in for one of them."""
        many, own = pair("a.example", "b.example", "c.example"), pair("b.example")
        self.use({"a.example": many, "b.example": own})
        self.assertIs(self.shown("c.example"), many)
        self.assertIs(self.shown("b.example"), own)
        self.use({"b.example": own, "a.example": many})
        self.assertIs(self.shown("b.example"), own)

    def test_a_route_wins(self) -> None:
        """A route's own one wins over one of ``/certificates``."""
        one, other = issue("a.example"), issue("a.example")
        self.use({"a.example": one}, {"a.example": other, "b.example": None})
        self.assertIs(self.shown("a.example"), other)
        self.use({"a.example": one})
        self.assertIs(self.shown("a.example"), one)

    def test_the_api_wins(self) -> None:
        """Over files for the same name, whatever comes first; files win over the default."""
        files = issue("a.example", "b.example", "d.example")
        given = issue("b.example", "c.example")
        certificates = Certificates(Clock())
        certificates.use_files([present(files, "live")], present(given, ""))
        uploaded = issue("a.example", "d.example", ends=NOW)
        certificates.prepare(snapshot({"a.example": uploaded}))()
        self.map = certificates.map
        self.assertIs(self.shown("a.example"), uploaded)
        self.assertIs(self.shown("d.example"), uploaded)
        self.assertIs(self.shown("b.example"), files)
        self.assertIs(self.shown("c.example"), given)

    def test_valid_longest(self) -> None:
        """Of two of one source the one that is valid longest is shown, in whatever order."""
        short, long = issue("a.example", ends=NOW), issue("a.example", ends=NOW + DAY)
        for order in ([short, long], [long, short]):
            files = tuple(present(each, f"live {at}") for at, each in enumerate(order))
            self.map = CertificateMap(files=files)
            self.assertIs(self.shown("a.example"), long)

    def test_default(self) -> None:
        """The one that is given; else a route's for ``*``; else the first uploaded; never files."""
        files = (present(pair("f.example"), "f"),)
        given = present(pair("g.example"), "")
        self.map = CertificateMap(files=files)
        self.assertIsNone(self.shown("x.example"))
        one, other, whole = pair("a.example"), pair("b.example"), pair("*.c.example")
        self.use(None, {"b.example": other})
        self.assertIs(self.shown("x.example"), other)
        self.use({"a.example": one, "d.example": pair("d.example")}, {"b.example": other})
        self.assertIs(self.shown("x.example"), one)
        self.use({"a.example": one}, {"b.example": other, "*": whole})
        self.assertIs(self.shown("x.example"), whole)
        self.assertIs(self.shown("localhost"), whole)
        self.assertIsNone(self.map.own("localhost"))
        self.map = CertificateMap(files=files, given=given, routes=self.map.routes)
        self.assertIs(self.shown("x.example"), given.pair)
        self.assertIs(self.shown("f.example"), files[0].pair)

    def test_two_routes(self) -> None:
        """Two routes of one vhost may have one each; the one that is valid longest is shown."""
        short, long = issue("a.example", ends=NOW), issue("a.example", ends=NOW + DAY)
        routes = {
            str(at): Route(id=str(at), v_host="a.example", path_prefix=f"/{at}", ssl=each)
            for at, each in enumerate([long, short])
        }
        self.map = self.map.replaced(Snapshot(routes=routes))
        self.assertIs(self.shown("a.example"), long)


class JudgementTests(MapCase):
    """What a host's certificate says of requests for it."""

    def test_usable(self) -> None:
        """A certificate of its own, at its time; the default is none."""
        ended = issue("b.example", ends=NOW)
        self.use({"*.a.example": pair("*.a.example"), "b.example": ended})
        for host, now, usable in (
            ("x.a.example", NOW, True),
            ("x.a.example", NOW - 2 * DAY, False),
            ("x.a.example", NOW + DAY, False),
            ("b.example", NOW - 1, True),
            ("b.example", NOW, False),
            ("a.example", NOW, False),
        ):
            self.assertIs(self.map.usable(host, now), usable, (host, now))

    def test_usable_by_the_clock(self) -> None:
        """Who holds the map knows the time."""
        clock = Clock()
        clock.advance(NOW)
        certificates = Certificates(clock)
        certificates.prepare(snapshot({"a.example": pair("a.example")}))()
        self.assertTrue(certificates.usable("a.example"))
        clock.advance(DAY)
        self.assertFalse(certificates.usable("a.example"))

    def shown_for(self, name: str) -> Presented:
        """What a client sees."""
        found = self.map.find(name)
        assert found is not None
        return found

    def test_serves(self) -> None:
        """A host whose certificate is another one is misdirected; one without any is not."""
        both = pair("b.example", "c.example")
        self.use({"a.example": pair("a.example"), "b.example": both})
        for name, host, served in (
            ("a.example", "a.example", True),
            ("a.example", "b.example", False),
            ("b.example", "a.example", False),
            ("b.example", "c.example", True),
            ("x.example", "y.example", True),
            ("a.example", "y.example", True),
            ("b.example", "y.example", False),
            ("x.example", "b.example", False),
        ):
            self.assertIs(self.map.serves(self.shown_for(name), host), served, (name, host))

    def test_served_before(self) -> None:
        """What was right in the handshake stays so: after a renewal, a removal, a new one."""
        self.use({"a.example": issue("a.example", "b.example")})
        shown = self.shown_for("a.example")
        self.use({"a.example": issue("a.example", "b.example")})
        self.assertIsNot(self.shown_for("a.example"), shown)
        self.assertTrue(self.map.serves(shown, "b.example"))
        self.use({"c.example": pair("c.example"), "b.example": pair("b.example")})
        self.assertTrue(self.map.serves(shown, "a.example", "a.example"))
        self.assertTrue(self.map.serves(shown, "b.example", "b.example"))
        self.assertFalse(self.map.serves(shown, "b.example", "a.example"))
        self.use()
        self.assertFalse(self.map.serves(shown, "b.example", "a.example"))


class ReplaceTests(MapCase):
    """One map after another."""

    def test_kept(self) -> None:
        """What has the same text keeps its context, wherever it moved; the others get new ones."""
        first = {f"{at}.example": issue(f"{at}.example") for at in range(3)}
        self.use(first)
        contexts = {name: self.map.find(name).context for name in first}  # type: ignore[union-attr]
        same = {
            name: KeyPair(cert=str(each.cert), key=str(each.key)) for name, each in first.items()
        }
        self.use(same | {"1.example": issue("1.example")}, {"2.example": same["2.example"]})
        now = {name: self.map.find(name).context for name in first}  # type: ignore[union-attr]
        self.assertEqual(
            [name for name in first if now[name] is contexts[name]], ["0.example", "2.example"]
        )

    def test_for_two_domains(self) -> None:
        """One pair that was handed in for two domains has one context, and is known by both."""
        both = pair("b.example", "c.example")
        self.use({"b.example": both, "c.example": both})
        one, other = self.map.own("b.example"), self.map.own("c.example")
        assert one is not None
        assert other is not None
        self.assertEqual((one.domain, other.domain), ("b.example", "c.example"))
        self.assertIs(one.context, other.context)

    def test_the_last_one_stays(self) -> None:
        """A map does not change when another is made of it."""
        before = self.use({"a.example": pair("a.example")})
        self.use()
        self.assertIsNone(self.shown("a.example"))
        self.assertIsNotNone(before.find("a.example"))

    def test_bad_ones(self) -> None:
        """All of them are said, where they stand, and nothing is replaced."""
        bad = KeyPair(cert=pair("a.example").cert, key="")
        self.use({"a.example": pair("a.example")})
        problem = self.assertRaises(
            Problem,
            self.use,
            {"a.example": pair("a.example"), "b.example": bad},
            {"x.example": None, "c.example": bad},
        )
        fault = "The key is none in PEM, or a broken one."
        self.assertEqual(problem.status, 422)
        self.assertEqual(
            problem.faults, (Fault("/routes/1/ssl", fault), Fault("/certificates/1", fault))
        )
        self.assertIs(self.shown("a.example"), pair("a.example"))

    def test_old_ones(self) -> None:
        """Time is no reason to refuse what was stored: a restart has to come up."""
        old = issue("a.example", ends=NOW - DAY / 2)
        self.use({"a.example": old})
        self.assertIs(self.shown("a.example"), old)

    def test_prepared(self) -> None:
        """Nothing is in force before it is applied; files that came in between stay."""
        certificates = Certificates(Clock())
        apply = certificates.prepare(snapshot({"a.example": pair("a.example")}))
        self.assertIsNone(certificates.map.find("a.example"))
        certificates.use_files([present(pair("f.example"), "f")], present(pair("g.example"), ""))
        apply()
        for name in ("a.example", "f.example", "g.example"):
            self.assertIsNotNone(certificates.map.own(name), name)

    def test_repr(self) -> None:
        """Keys are not shown."""
        self.use({"a.example": pair("a.example")})
        self.assertNotIn("PRIVATE", repr(self.map))
