"""Snapshots with one thing more, or other, or less, as edits make them; and what they may hold."""

from __future__ import annotations

import typing

import attrs

from aluvia.api.problems import Problem
from aluvia.edge import bounds
from aluvia.edge.fields import judge_snapshot
from aluvia.edge.model import AuthProvider, Backend, Certificate, Route, Snapshot

__all__ = [
    "see_that_it_can_be",
    "why_overfull",
    "with_backend",
    "with_certificate",
    "with_provider",
    "with_route",
    "without_backend",
    "without_certificate",
    "without_provider",
    "without_route",
]

T = typing.TypeVar("T")


def with_route(snapshot: Snapshot, route: Route) -> Snapshot:
    """With this route, in place of the one with its id."""
    return attrs.evolve(snapshot, routes={**snapshot.routes, route.id: route})


def without_route(snapshot: Snapshot, id: str) -> Snapshot:
    """Without it."""
    return attrs.evolve(snapshot, routes=_without(snapshot.routes, id))


def with_backend(snapshot: Snapshot, route: Route, backend: Backend) -> Snapshot:
    """With this backend of a route, in place of the one with its id."""
    backends = {each.id: each for each in route.backends} | {backend.id: backend}
    return with_route(snapshot, attrs.evolve(route, backends=tuple(backends.values())))


def without_backend(snapshot: Snapshot, route: Route, id: str) -> Snapshot:
    """Without it."""
    backends = tuple(each for each in route.backends if each.id != id)
    return with_route(snapshot, attrs.evolve(route, backends=backends))


def with_certificate(snapshot: Snapshot, certificate: Certificate) -> Snapshot:
    """With this certificate, in place of the one for its domain."""
    certificates = {**snapshot.certificates, certificate.domain: certificate}
    return attrs.evolve(snapshot, certificates=certificates)


def without_certificate(snapshot: Snapshot, domain: str) -> Snapshot:
    """Without it."""
    return attrs.evolve(snapshot, certificates=_without(snapshot.certificates, domain))


def with_provider(snapshot: Snapshot, provider: AuthProvider) -> Snapshot:
    """With this provider, in place of the one with its id."""
    return attrs.evolve(snapshot, providers={**snapshot.providers, provider.id: provider})


def without_provider(snapshot: Snapshot, id: str) -> Snapshot:
    """Without it."""
    return attrs.evolve(snapshot, providers=_without(snapshot.providers, id))


def why_overfull(snapshot: Snapshot) -> str | None:
    """Say of what there is more than there may be; None of nothing."""
    for things, noun, most in (
        (snapshot.routes, "routes", bounds.ROUTES),
        (snapshot.certificates, "certificates", bounds.CERTIFICATES),
        (snapshot.providers, "providers", bounds.PROVIDERS),
    ):
        if len(things) > most:
            return f"There may be {most} {noun}, and no more."
    if any(len(route.backends) > bounds.BACKENDS for route in snapshot.routes.values()):
        return f"A route may have {bounds.BACKENDS} backends, and no more."
    return None


def see_that_it_can_be(snapshot: Snapshot) -> None:
    """
    Judge a snapshot as a whole.

    :raises Problem: 422; 409, if there is too much in it.
    """
    overfull = why_overfull(snapshot)
    if overfull is not None:
        raise Problem(409, "too_many", overfull)
    faults = judge_snapshot(snapshot)
    if faults:
        raise Problem(422, "invalid_fields", "The parts do not go together.", faults)


def _without(things: typing.Mapping[str, T], key: str) -> dict[str, T]:
    return {known: thing for known, thing in things.items() if known != key}
