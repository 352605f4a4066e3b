"""Tests for documents of a whole configuration: :mod:`aluvia.edge.snapshot_fields`."""

from __future__ import annotations

import typing

from aluvia.edge import bounds
from aluvia.edge.fields import Judges, judge_snapshot, read_snapshot, snapshot_document
from aluvia.edge.model import (
    AuthProvider,
    Backend,
    BasicProvider,
    BearerProvider,
    Certificate,
    KeyPair,
    Route,
    Snapshot,
)
from aluvia.edge.test.fields_case import FIRST, SCRYPT, SECOND, FieldsCase, ids

EMPTY = Snapshot()


def snapshot(*things: Route | Certificate | AuthProvider) -> Snapshot:
    """A configuration of these."""
    routes = {thing.id: thing for thing in things if isinstance(thing, Route)}
    certificates = {thing.domain: thing for thing in things if isinstance(thing, Certificate)}
    providers = {thing.id: thing for thing in things if not isinstance(thing, Route | Certificate)}
    return Snapshot(routes=routes, certificates=certificates, providers=providers)


BEFORE = snapshot(
    Route(
        id="one",
        v_host="a.example",
        auth_provider="staff",
        ssl=FIRST,
        backends=(Backend(id="b", hostname="b", port=1),),
    ),
    Route(id="two", v_host="a.example", path_prefix="/two"),
    Route(id="three", v_host="*"),
    Certificate(domain="*.a.example", pair=SECOND),
    BasicProvider(id="staff", users=(("ann", SCRYPT + "A" * 43),)),
    BearerProvider(id="machines"),
)


class SnapshotCase(FieldsCase):
    """A test of configurations."""

    def read(self, document: object, before: Snapshot = EMPTY, **named: typing.Any) -> Snapshot:
        """Read a document."""
        return read_snapshot(document, ids(), before, **named).value

    def whole(self, **sections: object) -> dict[str, object]:
        """A document with these sections, the others empty."""
        return {"routes": [], "certificates": [], "authProviders": []} | sections

    def refuse(self, *expected: tuple[str, str], **sections: object) -> None:
        """A document with these sections has these faults."""
        self.assert_told(self.told(self.read, self.whole(**sections)), *expected)


class WholeTests(SnapshotCase):
    """All of it, shown and read."""

    def test_round_trip(self) -> None:
        """With its secrets, it stands for itself; without, for what is there."""
        document = snapshot_document(BEFORE, secrets=True)
        self.assertEqual(list(document), ["routes", "certificates", "authProviders"])
        self.assertEqual(self.read(document), BEFORE)
        for names in ("routes", "certificates", "providers"):
            self.assertEqual(
                list(getattr(self.read(document), names)), list(getattr(BEFORE, names))
            )
        shown = snapshot_document(BEFORE)
        self.assertNotIn("PRIVATE", str(shown))
        self.assertEqual(self.read(shown, BEFORE), BEFORE)
        told = self.told(self.read, shown)
        self.assert_told(
            told,
            ("/routes/0/ssl/key", "is missing"),
            ("/certificates/0/key", "is missing"),
            ("/authProviders/0/users/0/passwordHash", "is missing"),
        )

    def test_sections(self) -> None:
        """All three are given, and no other."""
        self.assertEqual(self.read(self.whole(), BEFORE), EMPTY)
        self.assert_told(
            self.told(self.read, {"route": [], "certificates": {}}),
            ("/route", 'is "routes" meant?'),
            ("/routes", "is missing"),
            ("/certificates", "must be a list"),
            ("/authProviders", "is missing"),
        )
        self.assertEqual(self.told(self.read, []), [("", "must be an object")])
        for name, most in (
            ("routes", bounds.ROUTES),
            ("certificates", bounds.CERTIFICATES),
            ("authProviders", bounds.PROVIDERS),
        ):
            self.refuse((f"/{name}", f"at most {most}"), **{name: [{}] * (most + 1)})

    def test_partial(self) -> None:
        """What is missing stays as it is; what is there is all that there is of it."""
        self.assertEqual(self.read({}, BEFORE, partial=True), BEFORE)
        after = self.read({"routes": [{"vHost": "new.example"}]}, BEFORE, partial=True)
        self.assertEqual(
            after,
            Snapshot(
                routes={"id-1": Route(id="id-1", v_host="new.example")},
                certificates=BEFORE.certificates,
                providers=BEFORE.providers,
            ),
        )
        self.assertIs(after.certificates, BEFORE.certificates)

    def test_known_again(self) -> None:
        """A route without an id is the one of its vhost and prefix, backends and key and all."""
        document = snapshot_document(BEFORE)
        for route in document["routes"]:
            del route["id"]
            for backend in route["backends"]:
                del backend["id"]
        document["routes"].reverse()
        self.assertEqual(self.read(document, BEFORE), BEFORE)
        # A faulty one takes no other's place.
        document["routes"].append({"vHost": "*", "pathPrefix": "x"})
        document["routes"].insert(0, {"vHost": "a.example", "pathPrefix": "x"})
        told = self.told(self.read, document, BEFORE)
        self.assertEqual(
            [pointer for pointer, _ in told], ["/routes/0/pathPrefix", "/routes/4/pathPrefix"]
        )

    def test_another_id(self) -> None:
        """A route with an id of its own is another one, wherever it stands."""
        document = snapshot_document(BEFORE, secrets=True)
        document["routes"][0]["id"] = "four"
        self.assertEqual(list(self.read(document, BEFORE).routes), ["four", "two", "three"])

    def test_judged(self) -> None:
        """Every new pair is judged, and no other."""
        asked: list[str] = []

        def judge(pair: KeyPair, name: str) -> list[str]:
            asked.append(name)
            return []

        document = snapshot_document(BEFORE, secrets=True)
        self.read(document, judges=Judges(pair=judge))
        self.assertEqual(asked, ["a.example", "*.a.example"])
        self.read(document, BEFORE, judges=Judges(pair=judge))
        self.assertEqual(len(asked), 2)

    def test_dialers(self) -> None:
        """They are known in every route."""
        routes = [{"vHost": "a", "backends": [{"endpoint": "exit:home"}]}]
        self.refuse(("/routes/0/backends/0/endpoint", "tcp, tls"), routes=routes)
        self.read(self.whole(routes=routes), dialers=["exit"])


class TogetherTests(SnapshotCase):
    """What the parts mean to each other."""

    def test_twice(self) -> None:
        """Nothing is there twice, however it is spelled, and whatever else is wrong."""
        pair = {"cert": FIRST.cert, "key": FIRST.key}
        self.refuse(
            ("/routes/2/id", "item 0"),
            ("/routes/3/vHost", "route 1 already, with the same pathPrefix"),
            ("/routes/4/vHost", "route 1 already"),
            ("/routes/4/retries", "whole number"),
            ("/certificates/1/domain", "item 0"),
            ("/authProviders/1/id", "item 0"),
            routes=[
                {"id": "a", "vHost": "v"},
                {"id": "b", "vHost": "b", "pathPrefix": "/x"},
                {"id": "a", "vHost": "c"},
                {"id": "d", "vHost": "B.", "pathPrefix": "/x/"},
                {"id": "e", "vHost": "B:80", "pathPrefix": "/x", "retries": -1},
                {"id": "f", "vHost": "b"},
                {"id": "g", "vHost": "b", "pathPrefix": "/y"},
            ],
            certificates=[{"domain": "A"} | pair, {"domain": "a."} | pair],
            authProviders=[{"id": "a", "type": "basic"}, {"id": "a", "type": "bearer"}],
        )

    def test_unreadable(self) -> None:
        """What cannot be read is told as that, and stands in nobody's way."""
        self.refuse(
            ("/routes/0", "must be an object"),
            ("/routes/2/pathPrefix", "must begin with /"),
            ("/routes/4/vHost", "star"),
            ("/authProviders/0/type", "must be one of"),
            ("/authProviders/1", "must be an object"),
            ("/authProviders/2/type", "must be one of"),
            routes=[
                None,
                {"vHost": "a"},
                {"vHost": "a", "pathPrefix": "x"},
                {"vHost": "b", "authProvider": "p"},
                {"vHost": "b*", "authProvider": "p"},
            ],
            authProviders=[{"id": "p"}, 5, {}],
        )
        self.refuse(
            ("/authProviders", "must be a list"),
            routes=[{"vHost": "a", "authProvider": "p"}],
            authProviders={},
        )

    def test_provider(self) -> None:
        """A route names a provider that is there, in the same document or as it stays."""
        routes = [{"id": "a", "vHost": "a"}, {"id": "b", "vHost": "b", "authProvider": "staff"}]
        providers = [{"id": "staff", "type": "basic"}]
        self.refuse(("/routes/1/authProvider", "no provider that there is"), routes=routes)
        self.read(self.whole(routes=routes, authProviders=providers))
        self.read({"routes": routes}, BEFORE, partial=True)
        told = self.told(self.read, {"routes": routes}, EMPTY, partial=True)
        self.assert_told(told, ("/routes/1/authProvider", "no provider"))
        told = self.told(self.read, {"authProviders": []}, BEFORE, partial=True)
        self.assert_told(told, ("/authProviders", "must have 'staff'"))
        self.read({"authProviders": providers}, BEFORE, partial=True)

    def test_values(self) -> None:
        """Values are judged in the same way, with pointers into their document."""
        self.assertEqual(judge_snapshot(BEFORE), [])
        faulty = snapshot(
            Route(id="a", v_host="a", auth_provider="p"),
            Route(id="b", v_host="a"),
            Route(id="c", v_host="a", path_prefix="/c", auth_provider="q"),
            BearerProvider(id="p"),
        )
        told = [(fault.pointer, fault.detail) for fault in judge_snapshot(faulty)]
        self.assert_told(
            told, ("/routes/1/vHost", "route 0"), ("/routes/2/authProvider", "no provider")
        )
        self.assert_told(
            self.told(self.read, snapshot_document(faulty)), *((where, "") for where, _ in told)
        )

    def test_many_faults(self) -> None:
        """Of values, too, so many are told."""
        routes = [Route(id=f"r{number}", v_host="a") for number in range(bounds.FAULTS + 5)]
        self.assertEqual(len(judge_snapshot(snapshot(*routes))), bounds.FAULTS)
