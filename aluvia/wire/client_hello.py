"""
The server name in the first message of TLS, read before OpenSSL is given any of it.

Who terminates TLS for many names chooses a certificate by what the client asks for (RFC 6066
section 3). It stands in the ClientHello (RFC 8446 section 4.1.2, and the same in TLS 1.2), which
comes in one or several records (section 5.1), and those in as many pieces as the network likes.

This reads no more than it needs, and judges nothing: what it cannot read is for OpenSSL to refuse,
with the alert that is right for it.

.. code-block:: text

    state    a piece comes
    -------  ------------------------------------------------------------------------------------
    READING  the message is whole -> KNOWN;  it is none, or breaks the rules, or its end is not
             there within the bound -> UNREADABLE;  else it goes on
    KNOWN, UNREADABLE   nothing is read any more
"""

from __future__ import annotations

import struct
import typing

import attrs

from aluvia.wire.limits import DEFAULT_LIMITS

__all__ = ["UNREADABLE", "ClientHello", "ClientHelloReader"]

# RFC 8446 sections 5.1, 4 and 4.2; RFC 6066 section 3.
_HANDSHAKE: typing.Final = 22
_MAJOR_VERSION: typing.Final = 3
_RECORD_HEADER: typing.Final = 5
_RECORD_LENGTH: typing.Final = 16_384
_CLIENT_HELLO: typing.Final = 1
_MESSAGE_HEADER: typing.Final = 4
_VERSION_AND_RANDOM: typing.Final = 34
_EXTENSION_HEADER: typing.Final = 4
_SERVER_NAME: typing.Final = 0
_HOST_NAME: typing.Final = 0
_NAME_LENGTH: typing.Final = 255

_extension_header = struct.Struct(">HH").unpack_from


@attrs.frozen
class ClientHello:
    """
    What a client asks for.

    :ivar server_name: as it was sent; None where it names none.
    :ivar readable: False for what is no ClientHello that we can read.
    """

    server_name: bytes | None
    readable: bool = True


UNREADABLE: typing.Final = ClientHello(None, readable=False)


class ClientHelloReader:
    """
    Reads one, piece by piece.

    :param most: how many bytes may come before it is whole.
    :ivar held: all that was fed; OpenSSL wants to see it too.
    """

    __slots__ = ("_at", "_message", "_most", "held")

    def __init__(self, most: int = DEFAULT_LIMITS.client_hello_bytes) -> None:
        self.held = bytearray()
        self._most = most
        # Where the next record begins, and what those before it held.
        self._at = 0
        self._message = bytearray()

    def feed(self, data: bytes) -> ClientHello | None:
        """Return what is asked for, once it is known; None while more has to come."""
        self.held += data
        try:
            hello = self._read()
        except (_Broken, struct.error):
            return UNREADABLE
        if hello is None and len(self.held) >= self._most:
            return UNREADABLE
        return hello

    def _read(self) -> ClientHello | None:
        held = self.held
        while (at := self._at) < len(held):
            # Each byte is judged when it comes: who speaks no TLS is told at once.
            if held[at] != _HANDSHAKE or (len(held) > at + 1 and held[at + 1] != _MAJOR_VERSION):
                raise _Broken
            content = at + _RECORD_HEADER
            if len(held) < content:
                return None
            length = int.from_bytes(held[content - 2 : content], "big")
            if not 0 < length <= _RECORD_LENGTH:
                raise _Broken
            if len(held) < content + length:
                return None
            self._at = content + length
            self._message += held[content : self._at]
            body = self._body()
            if body is not None:
                return ClientHello(_server_name(body))
        return None

    def _body(self) -> bytes | None:
        """The message without its header, when it is whole."""
        message = self._message
        if message[0] != _CLIENT_HELLO:
            raise _Broken
        if len(message) < _MESSAGE_HEADER:
            return None
        end = _MESSAGE_HEADER + int.from_bytes(message[1:_MESSAGE_HEADER], "big")
        if end > self._most:
            raise _Broken
        return bytes(message[_MESSAGE_HEADER:end]) if len(message) >= end else None


class _Broken(Exception):
    """It is no ClientHello, or breaks the rules."""


def _behind(data: bytes, at: int, size: int) -> int:
    """Return where a vector ends that begins at ``at`` with ``size`` bytes of its length."""
    content = at + size
    end = content + int.from_bytes(data[at:content], "big")
    if end > len(data):
        raise _Broken
    return end


def _server_name(body: bytes) -> bytes | None:
    at = _behind(body, _VERSION_AND_RANDOM, 1)  # the session id
    at = _behind(body, at, 2)  # cipher suites
    at = _behind(body, at, 1)  # compression methods
    if at == len(body):
        return None
    if _behind(body, at, 2) != len(body):
        raise _Broken
    at += 2
    while at < len(body):
        kind, length = _extension_header(body, at)
        content = at + _EXTENSION_HEADER
        at = content + length
        if kind == _SERVER_NAME:
            # What is behind it is for OpenSSL to judge, a second one among it.
            return _host_name(body[content:at])
    if at > len(body):
        raise _Broken
    return None


def _host_name(data: bytes) -> bytes:
    """
    Read the extension: a list of one entry.

    RFC 6066 speaks of several, and then of one of each type, of which it has one. OpenSSL takes
    exactly one; so do we.
    """
    name = data[5:]
    if (
        _behind(data, 0, 2) != len(data)
        or data[2:3] != bytes([_HOST_NAME])
        or _behind(data, 3, 2) != len(data)
        or not 0 < len(name) <= _NAME_LENGTH
        or 0 in name
    ):
        raise _Broken
    return name
