"""
The edge's documents: JSON, in camelCase, and the values of :mod:`aluvia.edge.model`.

What is read is judged, and all that is wrong is told at once, each with its JSON pointer. What is
shown has all defaults written out; read again, with its secrets, it is an equal value.

.. code-block:: text

    reading          what a place in a document is, and a kind of value
    shapes           objects, as tables of their members
    list_shapes      lists
    plain_fields     numbers, texts, choices
    name_fields      hosts, paths, networks
    header_fields    header fields
    pem_fields       certificates and keys
    bounds           how much there may be of everything

    route_fields, backend_fields, provider_fields, snapshot_fields: the documents themselves

Keys and hashes are written and not shown. Where one is absent from a document the one of before
stays, as long as what it belongs to is the same: a key's certificate, a hash's name. An id that is
absent is that of before, or made.
"""

from __future__ import annotations

import typing

from aluvia.edge.backend_fields import BACKEND
from aluvia.edge.model import AuthProvider, Backend, Certificate, Route, Snapshot
from aluvia.edge.pem_fields import CERTIFICATE
from aluvia.edge.provider_fields import PROVIDER
from aluvia.edge.reading import (
    DIALERS,
    Judges,
    MakeId,
    Read,
    Reading,
    read_document,
)
from aluvia.edge.route_fields import ROUTE
from aluvia.edge.snapshot_fields import SnapshotKind, judge_snapshot

__all__ = [
    "DIALERS",
    "Judges",
    "MakeId",
    "Read",
    "backend_document",
    "certificate_document",
    "judge_certificate",
    "judge_route",
    "judge_snapshot",
    "provider_document",
    "read_backend",
    "read_certificate",
    "read_provider",
    "read_route",
    "read_snapshot",
    "route_document",
    "snapshot_document",
]

Document = dict[str, typing.Any]

#: Nobody is asked about anything.
NOBODY: typing.Final = Judges()


def read_route(
    document: object,
    make_id: MakeId,
    before: Route | None = None,
    *,
    dialers: typing.Collection[str] = DIALERS,
    judges: Judges = NOBODY,
) -> Read[Route]:
    """
    Read a route.

    :param make_id: for the route, and for its backends.
    :param before: what it replaces. A backend of it is known again by its id, or, if it comes
        without one, by where it is.
    :param dialers: what an ``endpoint`` may begin with.
    :param judges: asked about what is not in the document; here and below.
    :raises Problem: 422.
    """
    return read_document(ROUTE, document, Reading(make_id, dialers, judges), before)


def read_backend(
    document: object,
    make_id: MakeId,
    before: Backend | None = None,
    *,
    dialers: typing.Collection[str] = DIALERS,
    judges: Judges = NOBODY,
) -> Read[Backend]:
    """
    Read a backend.

    :raises Problem: 422.
    """
    return read_document(BACKEND, document, Reading(make_id, dialers, judges), before)


def read_certificate(
    document: object,
    before: Certificate | None = None,
    *,
    judges: Judges = NOBODY,
) -> Read[Certificate]:
    """
    Read a certificate.

    :raises Problem: 422.
    """
    return read_document(CERTIFICATE, document, Reading(judges=judges), before)


def read_provider(
    document: object,
    make_id: MakeId,
    before: AuthProvider | None = None,
    *,
    judges: Judges = NOBODY,
) -> Read[AuthProvider]:
    """
    Read a provider of authentication.

    :raises Problem: 422.
    """
    return read_document(PROVIDER, document, Reading(make_id, judges=judges), before)


def read_snapshot(
    document: object,
    make_id: MakeId,
    before: Snapshot,
    *,
    partial: bool = False,
    dialers: typing.Collection[str] = DIALERS,
    judges: Judges = NOBODY,
) -> Read[Snapshot]:
    """
    Read a whole configuration.

    A route is known again by its id, or, if it comes without one, by its vhost and prefix.

    :param partial: sections may be missing, and what they would hold stays as it was. Otherwise
        a missing section is a fault: its keys could not be had back.
    :raises Problem: 422.
    """
    reading = Reading(make_id, dialers, judges)
    return read_document(SnapshotKind(partial), document, reading, before)


def judge_route(
    route: Route,
    before: Route | None = None,
    *,
    dialers: typing.Collection[str] = DIALERS,
    judges: Judges = NOBODY,
) -> Route:
    """
    Judge a route that was written in Python, and return it in its canonical spelling.

    :raises Problem: 422, with pointers into :func:`route_document`.
    """
    document = route_document(route, secrets=True)
    reading = Reading(None, dialers, judges)
    shown = document["headers"]
    if isinstance(shown, dict) and len(shown) < len(route.headers):
        # An object has a name once, and so shows the last of two.
        reading.fault("/headers", "has one name twice")
    return read_document(ROUTE, document, reading, before).value


def judge_certificate(
    certificate: Certificate,
    before: Certificate | None = None,
    *,
    judges: Judges = NOBODY,
) -> Certificate:
    """
    Judge a certificate that was written in Python, and return it in its canonical spelling.

    :raises Problem: 422, with pointers into :func:`certificate_document`.
    """
    document = certificate_document(certificate, secrets=True)
    return read_certificate(document, before, judges=judges).value


def route_document(route: Route, *, secrets: bool = False) -> Document:
    """
    A route as JSON.

    :param secrets: with keys and hashes; here and below.
    """
    return _document(ROUTE.show(route, secrets))


def backend_document(backend: Backend, *, secrets: bool = False) -> Document:
    """A backend as JSON."""
    return _document(BACKEND.show(backend, secrets))


def certificate_document(certificate: Certificate, *, secrets: bool = False) -> Document:
    """A certificate as JSON."""
    return _document(CERTIFICATE.show(certificate, secrets))


def provider_document(provider: AuthProvider, *, secrets: bool = False) -> Document:
    """A provider of authentication as JSON."""
    return _document(PROVIDER.show(provider, secrets))


def snapshot_document(snapshot: Snapshot, *, secrets: bool = False) -> Document:
    """A whole configuration as JSON."""
    return _document(SnapshotKind().show(snapshot, secrets))


def _document(shown: typing.Any) -> Document:
    return typing.cast(Document, shown)
