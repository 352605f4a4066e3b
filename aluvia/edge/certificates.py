"""
Which certificate a client is shown, by the name that it asks for.

There are four sources, and a name can be found in several. Of these the first that has it wins:

.. code-block:: text

    exactly that name      a route's own ``ssl``, for its vhost
                           ``/certificates``, for its domain
                           any other name of: a route's, one of ``/certificates``, one of the files,
                           ``--default-certificate``; in one source, the one that is valid longest
    the wildcard above it  in the same order; it stands for one label
    the default            ``--default-certificate``; else the ``ssl`` of a route for ``*``; else
                           what was uploaded first: to ``/certificates``, or with a route
    nothing                the handshake is refused, with ``unrecognized_name``

So what is handed in through the API wins over what lies in files for the same name, and files are
no default: they are there for their names.

A :class:`CertificateMap` does not change. A new one is made of the last, and shares with it what
stayed as it was, so that to replace one certificate of a thousand costs one context.
:class:`Certificates` holds the one in force; it is asked for each client, so that one assignment
is the swap, and whatever has begun goes on with what it was given.
"""

from __future__ import annotations

import typing

import attrs
from OpenSSL import SSL
from twisted.internet.interfaces import IReactorTime

from aluvia.api.problems import Fault, Problem
from aluvia.edge.key_pairs import BadPair, above, read_pair, untimely
from aluvia.edge.model import ANY_HOST, KeyPair, Snapshot

__all__ = [
    "CertificateMap",
    "Certificates",
    "Presented",
    "present",
]


@attrs.frozen(kw_only=True, eq=False)
class Presented:
    """
    A certificate that clients are shown.

    :ivar domain: what it was handed in for: a domain, a vhost, or the name of its directory. It
        stays when the certificate is renewed. Empty for ``--default-certificate``.
    :ivar names: what it is for; canonical, with wildcards and addresses.
    :ivar not_before: seconds since 1970, and so is ``not_after``.
    :ivar description: what may be told of it; see
        :meth:`~aluvia.edge.key_pairs.ReadPair.describe`.
    :ivar context: for connections that are shown it. Its tickets open nobody else's sessions.
    """

    domain: str
    names: tuple[str, ...]
    not_before: float
    not_after: float
    pair: KeyPair = attrs.field(repr=False)
    description: typing.Mapping[str, object] = attrs.field(repr=False)
    context: SSL.Context = attrs.field(repr=False)


def present(pair: KeyPair, domain: str) -> Presented:
    """
    Make one, with its context.

    :raises BadPair: it cannot be used.
    """
    read = read_pair(pair)
    return Presented(
        domain=domain,
        names=read.names,
        not_before=read.not_before,
        not_after=read.not_after,
        pair=pair,
        description=read.describe(),
        context=read.context(),
    )


@attrs.frozen(kw_only=True, eq=False)
class CertificateMap:
    """
    All certificates of one moment, by name. The names that it is asked for are canonical.

    :ivar routes: those of routes, in the order of these.
    :ivar certificates: those of ``/certificates``, in their order.
    :ivar files: those of a directory.
    :ivar given: ``--default-certificate``.
    :ivar by_domain: those of ``/certificates``.
    :ivar default: what is shown to who asks for a name that no certificate is for, or for none.
    """

    routes: tuple[Presented, ...] = ()
    certificates: tuple[Presented, ...] = ()
    files: tuple[Presented, ...] = ()
    given: Presented | None = None
    by_domain: typing.Mapping[str, Presented] = attrs.field(init=False, repr=False)
    default: Presented | None = attrs.field(init=False)
    _by_name: typing.Mapping[str, Presented] = attrs.field(init=False, repr=False)

    @by_domain.default
    def _of_domains(self) -> typing.Mapping[str, Presented]:
        return {each.domain: each for each in self.certificates}

    @default.default
    def _first(self) -> Presented | None:
        whole = [each for each in self.routes if each.domain == ANY_HOST]
        given = () if self.given is None else (self.given,)
        return next(iter((*given, *whole, *self.certificates, *self.routes)), None)

    @_by_name.default
    def _index(self) -> typing.Mapping[str, Presented]:
        by_name: dict[str, Presented] = {}
        given = () if self.given is None else (self.given,)
        # The last one that is put in a place wins it.
        for source in (given, self.files, self.certificates, self.routes):
            for each in sorted(source, key=_end):
                by_name.update(dict.fromkeys(each.names, each))
        for source in (self.certificates, self.routes):
            by_name.update({each.domain: each for each in sorted(source, key=_end)})
        return by_name

    def find(self, name: str) -> Presented | None:
        """Return what a client is shown that asks for this name; None if it is to be refused."""
        return self.own(name) or self.default

    def own(self, host: str) -> Presented | None:
        """Return the certificate for this host, if there is one besides the default."""
        by_name = self._by_name
        return by_name.get(host) or by_name.get(above(host))

    def usable(self, host: str, now: float) -> bool:
        """
        Whether a host has a certificate that a client can accept.

        :param now: seconds since 1970.
        """
        own = self.own(host)
        return own is not None and not untimely(own, now)

    def serves(self, presented: Presented, host: str, server_name: str = "") -> bool:
        """
        Whether a request for this host may come on a connection that was shown ``presented``.

        If not it is misdirected: 421 (RFC 9110 section 15.5.20). What the client asked for in its
        handshake it may ask for from then on, whatever became of the certificate meanwhile; so may
        it where the host's certificate is that one renewed.

        :param server_name: what it asked for in its handshake; empty if nothing.
        """
        if host == server_name:
            return True
        wanted = self.find(host)
        return wanted is not None and (wanted is presented or wanted.domain == presented.domain)

    def replaced(self, snapshot: Snapshot) -> CertificateMap:
        """
        Return a map with these routes' certificates and ``/certificates``.

        :raises Problem: 422; some cannot be used. The pointers are those of the whole document.
        """
        kept = {each.pair: each for each in (*self.routes, *self.certificates)}
        faults: list[Fault] = []
        routes = [
            _present_again(kept, route.ssl, route.v_host, f"/routes/{at}/ssl", faults)
            for at, route in enumerate(snapshot.routes.values())
            if route.ssl is not None
        ]
        certificates = [
            _present_again(kept, each.pair, each.domain, f"/certificates/{at}", faults)
            for at, each in enumerate(snapshot.certificates.values())
        ]
        if faults:
            detail = "Some certificates cannot be used."
            raise Problem(422, "invalid_fields", detail, faults=faults)
        return attrs.evolve(
            self,
            routes=tuple(each for each in routes if each is not None),
            certificates=tuple(each for each in certificates if each is not None),
        )


class Certificates:
    """
    The certificates in force.

    :ivar map: read it anew for each client.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.map = CertificateMap()
        self._clock = clock

    def prepare(self, snapshot: Snapshot) -> typing.Callable[[], None]:
        """
        Make what a snapshot needs.

        :return: puts it in force, and does not fail. Files may have changed since.
        :raises Problem: 422; some cannot be used.
        """
        made = self.map.replaced(snapshot)

        def apply() -> None:
            self.map = attrs.evolve(made, files=self.map.files, given=self.map.given)

        return apply

    def use_files(self, files: typing.Iterable[Presented], given: Presented | None) -> None:
        """Put in force what was read from files, and the one that was given as default."""
        self.map = attrs.evolve(self.map, files=tuple(files), given=given)

    def usable(self, host: str) -> bool:
        """Whether a host has a certificate that a client can accept now."""
        return self.map.usable(host, self._clock.seconds())


def _end(presented: Presented) -> float:
    return presented.not_after


def _present_again(
    kept: dict[KeyPair, Presented], pair: KeyPair, domain: str, pointer: str, faults: list[Fault]
) -> Presented | None:
    """Present a pair; with the context that it had, if it had one."""
    known = kept.get(pair)
    try:
        if known is None:
            known = kept[pair] = present(pair, domain)
        elif known.domain != domain:
            known = attrs.evolve(known, domain=domain)
    except BadPair as bad:
        faults += [Fault(pointer, fault) for fault in bad.faults]
    return known
