"""
``/certificates`` and ``/certificates/:domain``. A key goes in, and never comes out.

A POST is an upload: it comes in place of what there is for its domain (200), or makes one (201).
"""

from __future__ import annotations

import re
import typing

from aluvia.edge.answering import named
from aluvia.edge.fields import Read, certificate_document
from aluvia.edge.finding import certificate_for
from aluvia.edge.model import Certificate, Snapshot
from aluvia.edge.name_fields import v_host_of
from aluvia.edge.observed import Observed
from aluvia.edge.rest_documents import Document, Documents
from aluvia.edge.snapshots import with_certificate, without_certificate

__all__ = ["Certificates"]


class Certificates:
    """What is certificates' own."""

    noun = "certificate"
    place = re.compile(r"^/certificates/[0-9]+")

    def __init__(self, documents: Documents, observed: Observed) -> None:
        self._documents = documents
        self._observed = observed

    def name(self, snapshot: Snapshot) -> str:
        """There is one collection of them."""
        return "certificates"

    def every(self, snapshot: Snapshot) -> typing.Iterable[Certificate]:
        """All of them."""
        return snapshot.certificates.values()

    def find(self, snapshot: Snapshot, name: str) -> Certificate | None:
        """By its domain, in any spelling."""
        return certificate_for(snapshot, name)

    def replaced(self, snapshot: Snapshot, document: Document) -> Certificate | None:
        """The one for the same domain."""
        domain = v_host_of(document, "domain")
        return None if domain is None else snapshot.certificates.get(domain)

    def key(self, thing: Certificate) -> str:
        """Its domain."""
        return thing.domain

    def read(
        self,
        snapshot: Snapshot,
        document: Document,
        name: str | None,
        before: Certificate | None,
    ) -> Read[Certificate]:
        """Read it, and see that it is for the domain of its path."""
        wanted = named(document, "domain", name, lambda text: v_host_of({"vHost": text}))
        return self._documents.certificate(wanted, before)

    def put(self, snapshot: Snapshot, thing: Certificate) -> Snapshot:
        """With it."""
        return with_certificate(snapshot, thing)

    def remove(self, snapshot: Snapshot, thing: Certificate) -> Snapshot:
        """Without it; names that have none are answered by another one."""
        return without_certificate(snapshot, thing.domain)

    def show(self, snapshot: Snapshot, thing: Certificate) -> Document:
        """With what it says of itself."""
        return {**certificate_document(thing), **self._observed.certificate(thing.domain)}

    def whole(self, thing: Certificate) -> Document:
        """With its key."""
        return certificate_document(thing, secrets=True)

    async def prepared(self, snapshot: Snapshot, document: Document, name: str | None) -> Document:
        """What a certificate keeps secret, it needs."""
        return document

    def location(self, snapshot: Snapshot, thing: Certificate) -> tuple[str, ...]:
        """By its domain."""
        return "certificates", thing.domain
