"""
What stands behind a server's connections: an application, and a responder for each request.

:class:`~aluvia.net.http_server.ServerConnection` calls both; it has no opinion of its own about
what a request means.
"""

from __future__ import annotations

import typing

from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.head import RequestHead
from aluvia.wire.headers import Field

if typing.TYPE_CHECKING:
    from aluvia.net.http_server import ServerConnection


class Responder(typing.Protocol):
    """What answers one request. Called only while its request is the current one."""

    def request_data(self, data: bytes) -> None:
        """Some of the request's body came."""

    def request_trailers(self, fields: typing.Sequence[Field]) -> None:
        """The trailer fields of a chunked body came; :meth:`request_end` follows."""

    def request_end(self) -> None:
        """The request's body is whole (also called for a request without one)."""

    def client_ended(self) -> None:
        """The client sent a FIN after a whole request: it may still read the answer."""

    def client_lost(self) -> None:
        """The connection is gone: nothing can be answered any more."""

    def request_broken(self, violation: ProtocolViolation) -> None:
        """
        The rest of the request is no good, or did not come in time: answer
        ``violation.status`` if that can still be done, else abort the connection.
        """

    def pause_response(self) -> None:
        """The client reads slowly: stop sending."""

    def resume_response(self) -> None:
        """The client has caught up."""

    def timed_out(self) -> None:
        """No byte moved for ``idle_seconds``."""


class Application(typing.Protocol):
    """What the requests of a listener are for."""

    def request(self, connection: ServerConnection, head: RequestHead) -> Responder | None:
        """
        A request head has come; its body, if any, goes to the responder returned. None if it
        was answered at once.
        """

    def bad_request(self, connection: ServerConnection, violation: ProtocolViolation) -> None:
        """What came is no request: answer ``violation.status``. The connection then closes."""
