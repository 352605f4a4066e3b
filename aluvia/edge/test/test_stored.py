"""Tests for :mod:`aluvia.edge.stored`: what is written is what is read."""

from __future__ import annotations

import typing

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge import stored
from aluvia.edge.model import (
    AdminState,
    Backend,
    BackendTLS,
    BalancingStrategy,
    BasicProvider,
    BearerProvider,
    Certificate,
    HookProvider,
    KeyPair,
    Route,
    Snapshot,
)
from aluvia.edge.test.rest_case import CERT, KEY, OTHER_CERT, fake_hash
from aluvia.store.database import MEMORY, Database
from aluvia.testing.properties import settings_for_tests

names = st.sampled_from(["a", "b", "c", "d"])
pairs = st.builds(KeyPair, cert=st.sampled_from([CERT, OTHER_CERT]), key=st.just(KEY))
backends = st.lists(
    st.builds(
        Backend,
        id=names,
        hostname=st.sampled_from(["10.0.0.1", "xn--bcher-kva.example", "::1"]),
        port=st.sampled_from([1, 65_535]),
        weight=st.integers(1, 1_000),
        admin=st.sampled_from(AdminState),
        tls=st.none() | st.builds(BackendTLS, sni=st.none() | st.just("s.example")),
    ),
    max_size=3,
    unique_by=lambda backend: backend.id,
)
routes = st.builds(
    lambda id, backends, **others: Route(
        id=id, v_host=f"{id}.example", backends=tuple(backends), **others
    ),
    names,
    backends,
    strategy=st.sampled_from(BalancingStrategy),
    retries=st.integers(0, 9),
    headers=st.sampled_from([(), (("X-A", "plain ~ text"),)]),
    ssl=st.none() | pairs,
)
certificates = st.builds(
    lambda name, pair: Certificate(domain=f"{name}.example", pair=pair), names, pairs
)
providers = st.one_of(
    st.builds(BasicProvider, id=names, users=st.just((("alice", fake_hash(5)),))),
    st.builds(BearerProvider, id=names, tokens=st.just((("ci", "0" * 64),))),
    st.builds(HookProvider, id=names, url=st.just("http://a.example/")),
)


def mapping(things: st.SearchStrategy[typing.Any], key: str) -> st.SearchStrategy[typing.Any]:
    """A few of them, by their keys."""
    few = st.lists(things, max_size=4, unique_by=lambda thing: getattr(thing, key))
    return few.map(lambda found: {getattr(thing, key): thing for thing in found})


snapshots = st.builds(
    Snapshot,
    routes=mapping(routes, "id"),
    certificates=mapping(certificates, "domain"),
    providers=mapping(providers, "id"),
)


def revisions(snapshot: Snapshot) -> dict[object, int]:
    """All revisions in it, by what has them."""
    found: dict[object, int] = {}
    for kind in ("routes", "certificates", "providers"):
        for key, thing in getattr(snapshot, kind).items():
            found[kind, key] = thing.revision
            for backend in getattr(thing, "backends", ()):
                found[kind, key, backend.id] = backend.revision
    return found


class StoredTests(SynchronousTestCase):
    """Snapshots that come one after the other."""

    @settings_for_tests
    @given(st.lists(snapshots, max_size=4))
    def test_histories(self, history: list[Snapshot]) -> None:
        """
        After each change the store has in it what is in force: what was wanted, in the order in
        which it was, with the same revisions; and exactly what differs has a new one.
        """
        database = Database(MEMORY)
        self.addCleanup(database.close)
        state = Snapshot()
        for wanted in history:
            before = revisions(state)
            with database.writing() as connection:
                changes = stored.differences(state, wanted)
                kept = stored.keep(connection, state, wanted, changes)
            with database.reading() as connection:
                found = stored.load(connection, ("tcp", "tls")).snapshot
            self.assertEqual(kept, wanted)
            self.assertEqual(found, kept)
            for kind in ("routes", "certificates", "providers"):
                self.assertEqual([*getattr(kept, kind)], [*getattr(wanted, kind)])
                self.assertEqual([*getattr(found, kind)], [*getattr(wanted, kind)])
                old, new = getattr(state, kind), getattr(kept, kind)
                for key, thing in new.items():
                    same = old.get(key) == thing
                    self.assertEqual(before.get((kind, key)) == thing.revision, same)
            self.assertEqual(revisions(found), revisions(kept))
            latest = max(before.values(), default=0)
            for revision in set(revisions(kept).values()) - set(before.values()):
                self.assertGreater(revision, latest)
            state = kept
        database.close()

    def test_changes(self) -> None:
        """What is told of the difference: nothing of what stays in its place."""
        routes = {id: Route(id=id, v_host=f"{id}.example") for id in "abcde"}
        before = Snapshot(routes={id: routes[id] for id in "abcd"})
        for order, changes in (
            ("abcd", []),
            ("abcde", ["e added"]),
            ("bd", ["a removed", "c removed"]),
            ("abdc", ["d moved", "c moved"]),
            ("abecd", ["e added", "c moved", "d moved"]),
            ("dabe", ["c removed", "d moved", "a moved", "b moved", "e added"]),
        ):
            after = Snapshot(routes={id: routes[id] for id in order})
            found = stored.differences(before, after)
            self.assertEqual([f"{each.key} {each.change}" for each in found], changes)
        other = attrs.evolve(routes["a"], retries=5)
        after = Snapshot(routes={"b": routes["b"], "a": other})
        found = stored.differences(Snapshot(routes={"a": routes["a"], "b": routes["b"]}), after)
        self.assertEqual([f"{each.key} {each.change}" for each in found], ["b moved", "a changed"])

    def test_backends(self) -> None:
        """A backend that stays as it is keeps its revision, wherever it stands in its route."""
        database = Database(MEMORY)
        self.addCleanup(database.close)
        one, two = (Backend(id=id, hostname="a.example", port=80) for id in ("one", "two"))
        state = Snapshot()
        seen = []
        for members in ((one,), (one, two), (two, one), (two, attrs.evolve(one, weight=2))):
            route = Route(id="a", v_host="a.example", backends=members)
            wanted = Snapshot(routes={"a": route})
            with database.writing() as connection:
                changes = stored.differences(state, wanted)
                state = stored.keep(connection, state, wanted, changes)
            seen.append({each.id: each.revision for each in state.routes["a"].backends})
        self.assertEqual(
            seen,
            [{"one": 1}, {"one": 1, "two": 2}, {"one": 1, "two": 2}, {"one": 4, "two": 2}],
        )
