"""
What a provider of authentication is asked, and what it can say.

.. code-block:: text

    says      what becomes of the request
    --------  -----------------------------------------------------------------------------
    Admitted  it goes on; ``fields`` are added to those for the backend, once the client's of the
              names in :attr:`Authenticator.removed` are gone
    Denied    it is answered with ``status``, ``reason``, ``fields`` and ``body``, and goes nowhere

The values here are read by the data path and made by the modules of each kind:
:mod:`~aluvia.edge.auth_basic`, :mod:`~aluvia.edge.auth_bearer`, :mod:`~aluvia.edge.auth_hook` and
:mod:`~aluvia.edge.auth_entry_point`. :mod:`aluvia.edge.auth` has all of it together.
"""

from __future__ import annotations

import typing
from http import HTTPStatus

import attrs
from twisted.internet.defer import Deferred

from aluvia.wire.head import RequestHead
from aluvia.wire.headers import Field, FieldNames

__all__ = ["RETRY_SOON", "Admitted", "Asked", "Authenticator", "Denied", "Verdict", "denied"]

#: For what is denied because too much of it is under way: in a second it may go.
RETRY_SOON: tuple[Field, ...] = ((b"Retry-After", b"1"),)


@attrs.frozen
class Asked:
    """
    A request, as far as a provider may look at it. Neither head nor target is in its ``repr``,
    since either can hold a secret.

    :ivar client_address: who asks, as it was resolved; a literal.
    :ivar scheme: ``http`` or ``https``.
    :ivar host: canonical (see :mod:`aluvia.wire.target`).
    :ivar target: origin-form, as it came.
    """

    head: RequestHead = attrs.field(repr=False)
    client_address: str
    scheme: str
    host: str
    target: bytes = attrs.field(repr=False)


@attrs.frozen
class Admitted:
    """
    The request goes on.

    :ivar fields: for the backend.
    """

    fields: typing.Sequence[Field] = attrs.field(default=(), repr=False)


@attrs.frozen
class Denied:
    """
    The request is answered, and goes nowhere.

    :ivar fields: without any framing, which whoever answers writes.
    :ivar cause: a name of RFC 9209 section 2.3, such as ``http_request_denied``.
    :ivar detail: one sentence for people, without secrets, where the answer is our own: ``body`` is
        empty then, and whoever answers says it in the way of our other failures. Empty where the
        answer is somebody else's, and goes out as it is.
    """

    status: int
    reason: bytes
    fields: typing.Sequence[Field] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    cause: str
    detail: str = ""


Verdict: typing.TypeAlias = Admitted | Denied


def denied(status: int, cause: str, detail: str, fields: typing.Sequence[Field] = ()) -> Denied:
    """A denial of our own."""
    reason = HTTPStatus(status).phrase.encode("ascii")
    return Denied(status, reason, tuple(fields), b"", cause, detail)


class Authenticator(typing.Protocol):
    """
    One provider at work.

    :ivar removed: names of fields that no backend gets from a client: what was said to us, and
        copies of what the provider may add. :mod:`aluvia.edge.request_fields` removes them.
    """

    @property
    def removed(self) -> FieldNames:
        """See above; the same object at each call."""

    def ask(self, asked: Asked) -> Verdict | Deferred[Verdict]:
        """
        Judge a request, an upgrade like any other.

        A Deferred fires with a verdict whatever goes wrong. It may be cancelled, as is to be done
        when the client leaves; then, and only then, it fails, with
        :class:`~twisted.internet.defer.CancelledError`.
        """

    def stop(self, *, finish: bool = False) -> Deferred[None]:
        """
        Judge no more, and leave nothing behind: no timer, no connection, no cache. What is asked
        from now on is denied. It may be called again.

        :param finish: let what is under way come to its end before; else it is denied at once.
        """
