"""What holds of all documents of the edge: they stand for their values, and no other does harm."""

from __future__ import annotations

import functools
import json
import typing

import hypothesis
from hypothesis import strategies as some

from aluvia.api.problems import Problem
from aluvia.edge import bounds
from aluvia.edge.fields import (
    Read,
    backend_document,
    certificate_document,
    judge_route,
    judge_snapshot,
    provider_document,
    read_backend,
    read_certificate,
    read_provider,
    read_route,
    read_snapshot,
    route_document,
    snapshot_document,
)
from aluvia.edge.model import (
    AuthProvider,
    Backend,
    Certificate,
    Route,
    Snapshot,
)
from aluvia.edge.test.configurations import (
    BACKENDS,
    CERTIFICATES,
    PROVIDERS,
    ROUTES,
    mutated,
    snapshots,
)
from aluvia.edge.test.fields_case import FIRST, SECOND, FieldsCase, ids
from aluvia.testing.properties import settings_for_tests

#: These take long.
fewer = hypothesis.settings(settings_for_tests, max_examples=40)

#: What no problem may hold: the inside of a key.
SECRETS = [pair.key.split("\n")[1] for pair in (FIRST, SECOND)]


def points_to_something(document: typing.Any, pointer: str) -> bool:
    """Whether a pointer is to something in a document, or to a missing member of an object."""
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
    for number, token in enumerate(tokens):
        if isinstance(document, dict):
            if token not in document:
                return number == len(tokens) - 1
            document = document[token]
        elif isinstance(document, list) and token.isdigit() and int(token) < len(document):
            document = document[int(token)]
        else:
            return False
    return True


class RoundTripTests(FieldsCase):
    """A value becomes a document, JSON, a document again, and an equal value."""

    def assert_same(
        self,
        value: object,
        document: typing.Callable[..., typing.Any],
        read: typing.Callable[[object, typing.Any], Read[typing.Any]],
    ) -> None:
        """With its secrets; and without, where it is known."""
        whole = json.loads(json.dumps(document(value, secrets=True)))
        again = read(whole, None).value
        self.assertEqual(again, value)
        self.assertEqual(document(again, secrets=True), whole)
        shown = json.dumps(document(value))
        for secret in SECRETS:
            self.assertNotIn(secret, shown)
        self.assertEqual(read(json.loads(shown), value).value, value)

    @settings_for_tests
    @hypothesis.given(ROUTES)
    def test_route(self, route: Route) -> None:
        """A route, which is canonical too."""
        self.assert_same(
            route, route_document, lambda document, before: read_route(document, ids(), before)
        )
        self.assertEqual(judge_route(route), route)

    @settings_for_tests
    @hypothesis.given(BACKENDS)
    def test_backend(self, backend: Backend) -> None:
        """A backend."""
        self.assert_same(
            backend,
            backend_document,
            lambda document, before: read_backend(document, ids(), before),
        )

    @settings_for_tests
    @hypothesis.given(CERTIFICATES)
    def test_certificate(self, certificate: Certificate) -> None:
        """A certificate."""
        self.assert_same(certificate, certificate_document, read_certificate)

    @settings_for_tests
    @hypothesis.given(PROVIDERS)
    def test_provider(self, provider: AuthProvider) -> None:
        """A provider."""
        self.assert_same(
            provider,
            provider_document,
            lambda document, before: read_provider(document, ids(), before),
        )

    @fewer
    @hypothesis.given(snapshots())
    def test_snapshot(self, snapshot: Snapshot) -> None:
        """All of it."""
        self.assertEqual(judge_snapshot(snapshot), [])
        self.assert_same(
            snapshot,
            snapshot_document,
            lambda document, before: read_snapshot(document, ids(), before or Snapshot()),
        )


class AnyDocumentTests(FieldsCase):
    """Documents that are nearly right, and others."""

    def assert_judged(
        self, document: typing.Any, read: typing.Callable[[typing.Any], Read[typing.Any]]
    ) -> object:
        """It is read, or refused with pointers to something in it; what is read is returned."""
        try:
            return read(document).value
        except Problem as problem:
            self.assertEqual(problem.status, 422)
            self.assertIn(len(problem.faults), range(1, bounds.FAULTS + 1))
            for fault in problem.faults:
                self.assertTrue(points_to_something(document, fault.pointer), fault)
                for secret in SECRETS:
                    self.assertNotIn(secret, fault.detail)
        return None

    @settings_for_tests
    @hypothesis.given(some.data(), ROUTES)
    def test_route(self, data: some.DataObject, route: Route) -> None:
        """A route, with something changed; with what was before, and without."""
        document = data.draw(mutated(route_document(route, secrets=True)))
        befores: list[Route | None] = [None, route]
        for before in befores:
            read = self.assert_judged(
                document, functools.partial(read_route, make_id=ids(), before=before)
            )
            if isinstance(read, Route):
                self.assertEqual(judge_route(read), read)

    @settings_for_tests
    @hypothesis.given(some.data(), PROVIDERS)
    def test_provider(self, data: some.DataObject, provider: AuthProvider) -> None:
        """A provider, with something changed."""
        document = data.draw(mutated(provider_document(provider, secrets=True)))
        befores: list[AuthProvider | None] = [None, provider]
        for before in befores:
            self.assert_judged(
                document, functools.partial(read_provider, make_id=ids(), before=before)
            )

    @settings_for_tests
    @hypothesis.given(some.data(), CERTIFICATES)
    def test_certificate(self, data: some.DataObject, certificate: Certificate) -> None:
        """A certificate, with something changed."""
        document = data.draw(mutated(certificate_document(certificate, secrets=True)))
        self.assert_judged(document, read_certificate)

    @fewer
    @hypothesis.given(some.data(), snapshots(), snapshots(), some.booleans())
    def test_snapshot(
        self, data: some.DataObject, snapshot: Snapshot, before: Snapshot, partial: bool
    ) -> None:
        """A configuration, with something changed, over another; what is read is right."""
        document = data.draw(mutated(snapshot_document(snapshot, secrets=True)))
        read = self.assert_judged(
            document, lambda d: read_snapshot(d, ids(), before, partial=partial)
        )
        if isinstance(read, Snapshot):
            self.assertEqual(judge_snapshot(read), [])
