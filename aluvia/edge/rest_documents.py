"""How what is sent to the API is read: :mod:`aluvia.edge.fields`, and what that has to know."""

from __future__ import annotations

import collections.abc
import typing

import attrs
from twisted.internet.defer import Deferred

from aluvia.edge import fields
from aluvia.edge.fields import DIALERS, NOBODY, Judges, MakeId, Read
from aluvia.edge.model import AuthProvider, Backend, Certificate, Route, Snapshot

__all__ = ["Document", "Documents", "HashSecrets"]

Document: typing.TypeAlias = dict[str, typing.Any]

#: Puts hashes in place of passwords and tokens (:func:`aluvia.edge.passwords.hash_secrets`), given
#: the providers so far.
HashSecrets: typing.TypeAlias = typing.Callable[
    [object, typing.Mapping[str, AuthProvider]],
    collections.abc.Coroutine[Deferred[typing.Any], typing.Any, typing.Any],
]


@attrs.frozen(kw_only=True)
class Documents:
    """
    Reads documents.

    :ivar make_id: for routes, backends and providers that come without one.
    :ivar hash_secrets: is asked before a provider is read.
    :ivar dialers: what an ``endpoint`` may begin with.
    :ivar judges: of what no document says.
    """

    make_id: MakeId
    hash_secrets: HashSecrets
    dialers: typing.Collection[str] = DIALERS
    judges: Judges = NOBODY

    def route(
        self, document: object, before: Route | None, providers: typing.Container[str]
    ) -> Read[Route]:
        """Read a route, which may name one of these providers."""
        judges = attrs.evolve(self.judges, providers=providers)
        return fields.read_route(
            document, self.make_id, before, dialers=self.dialers, judges=judges
        )

    def backend(self, document: object, before: Backend | None) -> Read[Backend]:
        """Read a backend."""
        return fields.read_backend(
            document, self.make_id, before, dialers=self.dialers, judges=self.judges
        )

    def certificate(self, document: object, before: Certificate | None) -> Read[Certificate]:
        """Read a certificate."""
        return fields.read_certificate(document, before, judges=self.judges)

    def provider(self, document: object, before: AuthProvider | None) -> Read[AuthProvider]:
        """Read a provider, whose secrets are hashes."""
        return fields.read_provider(document, self.make_id, before, judges=self.judges)

    def snapshot(self, document: object, before: Snapshot) -> Read[Snapshot]:
        """Read all, whose secrets are hashes."""
        return fields.read_snapshot(
            document, self.make_id, before, dialers=self.dialers, judges=self.judges
        )
