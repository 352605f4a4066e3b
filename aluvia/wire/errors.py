"""What goes wrong on the wire: their fault, and ours.

A :class:`ProtocolViolation` is about bytes that a peer sent. It is one class for both
directions, because the gates are the same for requests and for responses; whoever catches it
knows which peer it was talking to and takes the half that fits: :attr:`~ProtocolViolation.status`
to answer a client, :attr:`~ProtocolViolation.error` to report an upstream. Either way there is
doubt about where the next message would begin, so the connection closes.

A :class:`LocalProtocolError` is about us: a method called in a state that does not allow it, or
a field that must not be written.
"""

from __future__ import annotations

__all__ = ["LocalProtocolError", "ProtocolViolation"]


class ProtocolViolation(Exception):
    """A peer sent something that is not HTTP/1.x, or that has two readings.

    :ivar status: what a server answers: 400, 408, 417, 431, 501, 502 or 505.
    :ivar reason: one plain sentence for people. It names the rule and never holds bytes of the
        message, so that it can stand in a log line or in an error page.
    :ivar error: the name of RFC 9209 §2.3 for when an upstream sent it.
    """

    def __init__(self, status: int, reason: str, error: str = "http_protocol_error") -> None:
        super().__init__(status, reason, error)
        self.status = status
        self.reason = reason
        self.error = error

    def __str__(self) -> str:
        """Return the sentence, so that a log line reads well."""
        return self.reason


class LocalProtocolError(RuntimeError):
    """Our own code asked for something that the state of the exchange does not allow.

    It is a bug of the caller, or a field from elsewhere that would split the message (CR, LF
    or NUL). Nothing has been written, and the state is as it was.
    """
