"""
Authentication: who may ask, decided before a request goes anywhere.

A route names a provider (:data:`aluvia.edge.model.AuthProvider`), and each provider has an
authenticator that judges requests:

.. code-block:: text

    provider            asks                                   module
    ------------------  -------------------------------------  ---------------------------------
    BasicProvider       for a user and a password              aluvia.edge.auth_basic
    BearerProvider      for a token                            aluvia.edge.auth_bearer
    HookProvider        a URL                                  aluvia.edge.auth_hook
    EntryPointProvider  a Python callable of somebody's own    aluvia.edge.auth_entry_point

In doubt all of them deny. What they say, and what they may be asked, is in
:mod:`aluvia.edge.verdicts`; :mod:`aluvia.edge.request_fields` makes the backend's fields of a
verdict. For the author of a callable: :class:`AuthRequest`, :func:`allow` and :func:`deny`.
"""

from __future__ import annotations

import importlib.metadata
import typing

import attrs
from twisted.internet.defer import gatherResults
from twisted.logger import Logger

from aluvia.api.problems import Fault, Problem
from aluvia.edge.auth_basic import BasicAuthenticator
from aluvia.edge.auth_bearer import BearerAuthenticator
from aluvia.edge.auth_entry_point import (
    EntryPointAuthenticator,
    FindEntryPoints,
    find_one,
)
from aluvia.edge.auth_hook import HookAuthenticator
from aluvia.edge.auth_request import AuthRequest, allow, deny
from aluvia.edge.hashing_threads import Threads
from aluvia.edge.model import (
    AuthProvider,
    BasicProvider,
    BearerProvider,
    EntryPointProvider,
    HookProvider,
)
from aluvia.edge.verdicts import Admitted, Asked, Authenticator, Denied, Verdict
from aluvia.net.dial import Dialers

__all__ = [
    "Admitted",
    "Asked",
    "AuthRequest",
    "Authenticator",
    "Authenticators",
    "Denied",
    "Means",
    "Prepared",
    "Verdict",
    "allow",
    "authenticator_for",
    "deny",
]

_log = Logger()


@attrs.frozen
class Means:
    """
    What authenticators work with.

    :ivar dialers: ``tcp`` and ``tls``, to reach hooks by.
    :ivar threads: verify passwords. Who made them stops them.
    :ivar find: finds entry points.
    """

    reactor: typing.Any
    dialers: Dialers
    threads: Threads
    find: FindEntryPoints = importlib.metadata.entry_points
    log: Logger = _log


def authenticator_for(provider: AuthProvider, means: Means) -> Authenticator:
    """
    Make a provider's authenticator. It holds nothing that must be stopped before it is asked.

    :raises ValueError: it cannot be; the text says why in one sentence, without secrets.
    """
    match provider:
        case BasicProvider():
            return BasicAuthenticator(provider, means.reactor, means.threads, log=means.log)
        case BearerProvider():
            return BearerAuthenticator(provider)
        case HookProvider():
            return HookAuthenticator(provider, means.reactor, means.dialers, log=means.log)
        case EntryPointProvider():
            return EntryPointAuthenticator(provider, means.reactor, find=means.find, log=means.log)


@attrs.frozen
class Prepared:
    """
    Authenticators that are not in force yet.

    :ivar by_id: by the ids of their providers.
    :ivar apply: puts them in force, and does not fail. What was asked of those that are not in
        force any more comes to its end.
    """

    by_id: typing.Mapping[str, Authenticator]
    apply: typing.Callable[[], None]


class Authenticators:
    """
    The authenticators of a configuration, by the ids of their providers.

    A provider that stays as it is keeps its authenticator, and with it what that has verified and
    what it has connected.
    """

    def __init__(self, means: Means) -> None:
        self._means = means
        self._now: dict[str, tuple[AuthProvider, Authenticator]] = {}
        self._retiring: set[Authenticator] = set()

    def prepared(self, providers: typing.Mapping[str, AuthProvider]) -> Prepared:
        """
        Make what is missing for other providers.

        :raises Problem: 422; some cannot be made. The pointers are those of the whole document.
        """
        made: dict[str, tuple[AuthProvider, Authenticator]] = {}
        faults: list[Fault] = []
        for at, (name, provider) in enumerate(providers.items()):
            before = self._now.get(name)
            if before is not None and before[0] == provider:
                made[name] = before
                continue
            try:
                made[name] = provider, authenticator_for(provider, self._means)
            except ValueError as error:
                faults.append(Fault(f"/authProviders/{at}", str(error)))
        if faults:
            raise Problem(422, "invalid_fields", "Some providers cannot be used.", faults)
        by_id = {name: authenticator for name, (_, authenticator) in made.items()}
        return Prepared(by_id, lambda: self._put(made))

    def get(self, id: str) -> Authenticator | None:
        """The one in force of the provider with this id; None if there is none."""
        found = self._now.get(id)
        return None if found is None else found[1]

    def why_no_entry_point(self, name: str) -> str | None:
        """Say what is wrong with an entry point of this name; None if there is one."""
        try:
            find_one(name, self._means.find)
        except ValueError as error:
            return str(error)
        return None

    async def stop(self) -> None:
        """
        Deny what is under way, and leave nothing behind. Passwords that are being verified are
        denied when the threads are stopped.
        """
        every = [*self._retiring, *(each for _, each in self._now.values())]
        self._now.clear()
        await gatherResults([each.stop() for each in every])

    def _put(self, made: dict[str, tuple[AuthProvider, Authenticator]]) -> None:
        kept = [each for _, each in made.values()]
        gone = [each for _, each in self._now.values() if each not in kept]
        self._now = made
        for each in gone:
            self._retiring.add(each)
            each.stop(finish=True).addBoth(self._retired, each)

    def _retired(self, result: object, authenticator: Authenticator) -> object:
        self._retiring.discard(authenticator)
        return result
