"""Every size and count bound of the wire and of what stands on it, in one frozen class.

Nothing that a peer can make grow is without a bound, and every bound is a field here, so that
a reader finds them in one place, an operator can be told about them in one table, and a test
can overfill each. Sizes are in bytes unless the name says otherwise. What happens when a bound
is met differs, and each field says it: some refuse the message (431, 502), some only stop
reading until there is room again.
"""

from __future__ import annotations

import typing

import attrs

__all__ = ["DEFAULT_LIMITS", "Limits"]

# Any: one validator for ints and floats, which the types of attrs do not know.
_positive: typing.Any = attrs.validators.gt(0)
_not_negative: typing.Any = attrs.validators.ge(0)


@attrs.frozen(kw_only=True)
class Limits:
    """The bounds of one door.

    The defaults are those of the design; they keep a connection that is between messages at a
    few kilobytes, and the worst connection at a few hundred.
    """

    head_bytes: int = attrs.field(default=65_536, validator=_positive)
    """A whole head: start line, fields, and the empty line. Over it: 431 to a client, and 502
    ``http_response_header_section_size`` about an upstream."""

    field_count: int = attrs.field(default=200, validator=_positive)
    """Fields in one head, or in one trailer section. Over it: as for ``head_bytes``."""

    trailer_bytes: int = attrs.field(default=16_384, validator=_positive)
    """A whole trailer section, behind the last chunk. Over it: the message is refused."""

    chunk_line_bytes: int = attrs.field(default=4_096, validator=_positive)
    """One chunk-size line with its extensions, without its CRLF. Over it: refused."""

    chunk_extension_bytes: int = attrs.field(default=65_536, validator=_not_negative)
    """Chunk extensions of one body, together. They are dropped, so a sender who needs more of
    them than this is only making us work. Over it: refused."""

    informational_heads: int = attrs.field(default=32, validator=_not_negative)
    """1xx responses before one final response. Over it: 502."""

    leading_empty_lines: int = attrs.field(default=4, validator=_not_negative)
    """Empty lines ignored before a request line (RFC 9112 §2.2). Over it: 400."""

    replay_bytes: int = attrs.field(default=65_536, validator=_not_negative)
    """How much of a request's body is kept so that the request can be sent a second time. Over
    it: the request can no longer be repeated."""

    pipelined_bytes: int = attrs.field(default=65_536, validator=_positive)
    """What comes before its turn: later requests, and what is behind the head of a CONNECT or an
    Upgrade. Over it: reading stops until the current one is answered."""

    held_bytes: int = attrs.field(default=262_144, validator=_positive)
    """What an exchange itself keeps at the most, early or pipelined. ``pipelined_bytes`` is where
    reading stops; what was on its way then (up to one read, or what TLS has decrypted already)
    still fits below this. Over it: 400, or 502."""

    write_buffer_bytes: int = attrs.field(default=65_536, validator=_positive)
    """High-water mark of our transports: above it whoever writes is asked to pause."""

    relay_read_bytes: int = attrs.field(default=65_536, validator=_positive)
    """The most that one read of a relayed connection takes."""

    pipe_bytes: int = attrs.field(default=1_048_576, validator=_positive)
    """The size asked for a pipe that carries a spliced stream."""

    pipes: int = attrs.field(default=64, validator=_not_negative)
    """What all pipes together may take, in pipes of ``pipe_bytes``. As it runs short smaller ones
    are made; none left: the bytes are copied."""

    splice_rounds: int = attrs.field(default=4, validator=_positive)
    """How often one event may fill and empty its pipe before other connections get their turn.
    (Measured: 4 costs one stream nothing, and a hundred at once a fifth less than 8.)"""

    splice_least_bytes: int = attrs.field(default=262_144, validator=_positive)
    """How much of a body of known length has to be left for it to be spliced. Less is copied."""

    linger_bytes: int = attrs.field(default=262_144, validator=_positive)
    """What is read and discarded of one side of a tunnel when the other is gone. Over it: the
    connection is reset."""

    discarded_bytes: int = attrs.field(default=16_777_216, validator=_positive)
    """What is read and discarded after an answer that came before its request was read whole. More
    than the kernels at both ends hold of an upload that is under way (some 10 MB), since a reset
    within that would destroy the answer before the client has come to read it. Over it: the
    connection is reset."""

    linger_seconds: float = attrs.field(default=5.0, validator=_positive)
    """How long a client may take to close after we did."""

    head_seconds: float = attrs.field(default=30.0, validator=_positive)
    """From the first byte of a request, or from the connect, to the end of its head. Absolute.
    Over it: 408."""

    client_hello_bytes: int = attrs.field(default=65_536, validator=_positive)
    """What a client may send before its ClientHello is whole. Over it: its name is not looked at,
    and it is left to OpenSSL, with the default certificate."""

    handshake_seconds: float = attrs.field(default=10.0, validator=_positive)
    """From the connect to the end of a TLS handshake, where we are the server. Absolute. Over it:
    the connection is reset."""

    keep_alive_seconds: float = attrs.field(default=75.0, validator=_positive)
    """How long a client's connection may wait for its next request."""

    body_least_rate: int = attrs.field(default=100, validator=_positive)
    """Bytes per second that a request's body must bring, over any ``body_window_seconds`` in
    which we were ready to read it. Under it: 408."""

    body_window_seconds: float = attrs.field(default=60.0, validator=_positive)
    """What ``body_least_rate`` is measured over."""

    proxy_header_bytes: int = attrs.field(default=4_096, validator=_positive)
    """A header of the PROXY protocol, version 2, with its additions. (One of version 1 has 107.)
    Over it: the connection is reset."""

    proxy_header_seconds: float = attrs.field(default=5.0, validator=_positive)
    """From the connect to the end of that header, where a listener asks for one. Absolute. Over
    it: the connection is reset."""

    resolver_threads: int = attrs.field(default=64, validator=_positive)
    """Names that are resolved at the same time; each takes a thread. Over it: they line up."""

    resolver_line: int = attrs.field(default=1_024, validator=_not_negative)
    """Names that wait to be resolved. Over it: ``dns_error``."""

    resolver_answers: int = attrs.field(default=4_096, validator=_positive)
    """Names whose addresses are remembered. Over it: the oldest is forgotten."""

    addresses_per_name: int = attrs.field(default=16, validator=_positive)
    """Addresses of one name that are tried, in turns of the families. The others are left out."""

    idle_connections: int = attrs.field(default=1_024, validator=_positive)
    """Idle keep-alive connections to upstreams, in all. Over it: the one idle longest closes."""

    idle_connections_per_key: int = attrs.field(default=256, validator=_positive)
    """The same, to one place. Over it: the one idle longest there closes."""


DEFAULT_LIMITS = Limits()
