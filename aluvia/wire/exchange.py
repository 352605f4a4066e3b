"""One request and its response on one HTTP/1.x connection, without I/O: bytes in, events out.

:class:`ServerExchange` is our end of a client's connection, :class:`ClientExchange` our end of a
connection to an origin or a parent proxy. Each has two halves, what is read and what is written,
and each half is in one :class:`State`. :data:`TRANSITIONS` says which step leads where; a step
that the table does not have is a :class:`~aluvia.wire.errors.LocalProtocolError`, a bug of ours.

What the table cannot say, because it concerns both halves:

* The next cycle begins when both halves are DONE and nothing asks for the connection to close.
* Bytes become opaque when the server's half has AGREED (a 2xx to a CONNECT, or the 101 that was
  asked for) and the request is DONE. What came behind the heads is kept for whoever takes over.
* A response may come while its request goes on. A response without a request is only ever the
  refusal of one that could not be read, and the last thing on its connection.
* A refused CONNECT closes: what its client sent in good hope must not be read as requests.

A receive() that finds a violation gives no events, even if some bytes in front of it were good:
nothing of a message is used when it is already known to be bad. What comes afterwards is dropped,
since nobody can say where in it a message would begin. The exchange must then be closed.

A body is passed on in the pieces in which it came, never collected. What is kept here is a head
until it is whole, a chunk-size line or a trailer section likewise, and what came too early; each
has its bound in ``limits.py``. Deadlines are for the one who has a clock.
"""

from __future__ import annotations

from aluvia.wire.client_exchange import ClientExchange
from aluvia.wire.cycle import TRANSITIONS, Event, State, Step
from aluvia.wire.framing import CHUNKED, END, UNTIL_CLOSE, EndOfMessage, Trailers
from aluvia.wire.server_exchange import ServerExchange

__all__ = [
    "CHUNKED",
    "END",
    "TRANSITIONS",
    "UNTIL_CLOSE",
    "ClientExchange",
    "EndOfMessage",
    "Event",
    "ServerExchange",
    "State",
    "Step",
    "Trailers",
]
