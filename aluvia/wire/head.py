"""Request and response heads: read, judged, written.

The gates stand here, for both directions alike, because whoever reads a message differently from
the next hop can be made to send it a second one. In doubt a message is refused; the table says
with what. (A violation about an upstream is told by its RFC 9209 name, and is a 502.)

.. code-block:: text

    refused                                                  status  source
    -------------------------------------------------------  ------  -----------------------------
    a start line that is not exactly three (two) parts with  400     RFC 9112 §3, §4
    one space between; a method that is no token; a target
    with anything but visible ASCII; HTTP/0.9, RTSP/1.0
    HTTP/x.y other than 1.0 and 1.1                          505     RFC 9110 §15.6.6
    a status that is not three digits from 100 up; 600–999   502     RFC 9110 §15
    are not the RFC's, but in use against robots, and pass
    a malformed, folded, or control-ridden field             400     headers.py
    a head or a field count over its limit                   431     RFC 6585 §5
    Content-Length that is not 1–19 digits, or > 2^63-1      400     RFC 9110 §8.6
    Content-Length twice, or a list: equal ones too. RFC     400     RFC 9110 §8.6
    9110 lets a recipient choose; honest senders of it are
    not known, and one reading is better than a repaired one
    Transfer-Encoding other than exactly chunked             501/400 headers.refused_coding
    Transfer-Encoding in HTTP/1.0, in either direction:      400     RFC 9112 §6.1
    "faulty framing", since 1.0 does not have it
    Content-Length with Transfer-Encoding                    400     RFC 9112 §6.3
    no Host in HTTP/1.1, two, or one that is no authority    400     RFC 9112 §3.2
    a CONNECT with a body, or with Transfer-Encoding. A      400     RFC 9110 §9.3.6
    Content-Length of 0 says what is true anyway, and
    WinINet sends it
    Expect other than 100-continue                           417     RFC 9110 §10.1.1

A chunked answer of an HTTP/1.1 server stands whatever the version of the client that waits behind
us: we ask in HTTP/1.1, so the server may use it (RFC 9112 §6.1), and for a client of 1.0 the
exchange takes the chunks off again.
"""

from __future__ import annotations

import re
import typing

import attrs

from aluvia.wire.errors import LocalProtocolError, ProtocolViolation
from aluvia.wire.framing import CHUNKED, UNTIL_CLOSE
from aluvia.wire.headers import (
    TOKEN,
    Field,
    Fields,
    both_framings,
    connection_options,
    pick,
    read_section,
    refused_coding,
    without_hop_by_hop,
    write_section,
)
from aluvia.wire.limits import Limits

__all__ = [
    "RequestHead",
    "ResponseHead",
    "check_request_line",
    "check_status_line",
    "judged_request",
    "parse_request_head",
    "parse_response_head",
    "split_request",
    "write_request_head",
    "write_response_head",
]


@attrs.define
class RequestHead:
    """What a client asks.

    :ivar target: as it stands in the request line; ``target.py`` knows what it means.
    :ivar minor: 0 or 1, of HTTP/1.x.
    :ivar fields: all of them, in order and as they were spelled.
    :ivar host: the value of Host, or None (HTTP/1.0).
    :ivar length: of the body: a count, or :data:`~aluvia.wire.framing.CHUNKED`.
    :ivar connection: the options of Connection, lower-cased.
    :ivar keep_alive: whether the client means to use the connection again. Never for HTTP/1.0:
        a proxy must not hold such a connection open (RFC 9112 §9.3).
    :ivar expect_continue: whether the client waits for a 100 before it sends the body.
    :ivar upgrade: the value of Upgrade, lower-cased, if Connection lists it.
    :ivar authenticates_connection: whether its Authorization is of a kind that holds for the
        connection rather than for the request: NTLM and Negotiate (RFC 4559 §6).
    """

    method: bytes
    target: bytes
    minor: int
    fields: list[Field]
    host: bytes | None
    length: int
    connection: frozenset[bytes]
    keep_alive: bool
    expect_continue: bool
    upgrade: bytes | None
    authenticates_connection: bool = False
    _end_to_end: Fields | None = attrs.field(default=None, init=False, eq=False, repr=False)
    _gone: typing.Container[bytes] = attrs.field(default=(), init=False, eq=False, repr=False)

    def end_to_end(self, gone: typing.Container[bytes] = ()) -> Fields:
        """The fields for the next hop (:func:`~aluvia.wire.headers.without_hop_by_hop`), with
        ``Upgrade`` only for a WebSocket. The list is shared: not to be changed.

        :param gone: lower-case names that do not go on either. The answer for the last such object
            is remembered.
        """
        kept = self._end_to_end
        if kept is None or gone is not self._gone:
            keep_upgrade = self.upgrade == b"websocket"
            kept = without_hop_by_hop(self.fields, self.connection, keep_upgrade, gone)
            self._end_to_end = kept
            self._gone = gone
        return kept

    def again(self, target: bytes) -> RequestHead:
        """The same head with another target. Its fields are shared."""
        head = RequestHead(
            self.method,
            target,
            self.minor,
            self.fields,
            self.host,
            self.length,
            self.connection,
            self.keep_alive,
            self.expect_continue,
            self.upgrade,
            self.authenticates_connection,
        )
        head._end_to_end = self._end_to_end
        head._gone = self._gone
        return head


@attrs.define
class ResponseHead:
    """What a server answers.

    :ivar length: of the body that follows: a count, or one of the constants of ``framing.py``.
        0 where there never is a body: to a HEAD, to a CONNECT that succeeded, 1xx, 204, 304.
    :ivar declared_length: what the framing fields say, whether a body follows or not:
        :data:`~aluvia.wire.framing.UNTIL_CLOSE` where there are none. For the answer to a HEAD
        it is this that is passed on.
    :ivar keep_alive: whether the server means to keep the connection.
    :ivar upgrade: the value of Upgrade, lower-cased, if Connection lists it.
    """

    status: int
    reason: bytes
    minor: int
    fields: list[Field]
    length: int
    declared_length: int
    connection: frozenset[bytes]
    keep_alive: bool
    upgrade: bytes | None
    _end_to_end: Fields | None = attrs.field(default=None, init=False, eq=False, repr=False)

    def end_to_end(self, gone: typing.Container[bytes] = ()) -> Fields:
        """The fields for the next hop (:func:`~aluvia.wire.headers.without_hop_by_hop`), with
        ``Upgrade`` only in a 101. The list is shared: not to be changed.

        :param gone: lower-case names that do not go on either; the same ones at each call.
        """
        kept = self._end_to_end
        if kept is None:
            kept = without_hop_by_hop(self.fields, self.connection, self.status == 101, gone)
            self._end_to_end = kept
        return kept

    @property
    def authenticates_connection(self) -> bool:
        """Whether it asks for credentials that hold for the connection: NTLM and Negotiate."""
        return self.status == 401 and any(
            name.lower() == b"www-authenticate" and _connection_scheme(value)
            for name, value in self.fields
        )

    @property
    def informational(self) -> bool:
        """Whether another head follows this one: 1xx but 101."""
        return self.status < 200 and self.status != 101


_request_line = re.compile(rb"(" + TOKEN + rb") ([!-~]+) HTTP/1\.([01])\r\n").match
_request_line_of_any_version = re.compile(TOKEN + rb" [!-~]+ HTTP/[0-9]\.[0-9]\r\n").match
_status_line = re.compile(
    rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t -~\x80-\xff]*))?\r\n",
).match
_status_line_of_any_status = re.compile(rb"HTTP/1\.[01] [0-9]{3}[ \r]").match

# Cheap, and enough to keep out lists, spaces and bytes that are nobody's; what the authority means
# is for target.py to say.
_host_value = re.compile(
    rb"(?:[A-Za-z0-9\-._~%!$&'()*+,;=]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?"
).fullmatch

_OF_REQUESTS = frozenset(
    b"host connection content-length transfer-encoding expect upgrade authorization".split()
)
_connection_scheme = re.compile(rb"(?:.*,)?[ \t]*(?:NTLM|Negotiate)\b", re.IGNORECASE).match
_OF_RESPONSES = frozenset([b"connection", b"content-length", b"transfer-encoding", b"upgrade"])
_framing_lines = re.compile(
    rb"^(?:content-length|transfer-encoding):[\t -~\x80-\xff]*\r\n", re.IGNORECASE | re.MULTILINE
).sub
_CONTINUE = frozenset([b"100-continue"])

_GREATEST_LENGTH = 2**63 - 1


def parse_request_head(raw: bytes, limits: Limits) -> RequestHead:
    """Read one request head.

    :param raw: exactly one head, from the first byte of the request line to the empty line.
    :raises ProtocolViolation: see the table above.
    """
    return judged_request(*split_request(raw), limits)


def split_request(raw: bytes) -> tuple[bytes, bytes, int, bytes]:
    """Take a head apart without reading its fields.

    :return: method, target, minor version, and the field section.
    :raises ProtocolViolation: for the request line.
    """
    line = _request_line(raw)
    if line is None:
        raise _bad_request_line(raw)
    method, target, version = line.groups()
    return method, target, int(version == b"1"), raw[line.end() :]


def judged_request(
    method: bytes, target: bytes, minor: int, section: bytes, limits: Limits
) -> RequestHead:
    """Read the fields of a request that :func:`split_request` has taken apart, and judge it all.

    :raises ProtocolViolation: see the table above.
    """
    fields = read_section(section, limits)
    found = pick(fields, _OF_REQUESTS)
    get = found.get
    host = get(b"host")
    if host is None:
        if minor:
            raise ProtocolViolation(400, "There is no Host.")
    elif not _host_value(host):
        raise ProtocolViolation(400, "The Host is not one valid authority.")
    length = _declared_length(found, minor)
    if length == UNTIL_CLOSE:
        length = 0
    elif length and method == b"CONNECT":
        raise ProtocolViolation(400, "A CONNECT has a body.")
    expected = connection_options(get(b"expect"))
    if not expected <= _CONTINUE:
        raise ProtocolViolation(417, "Only 100-continue can be expected.")
    options = connection_options(get(b"connection"))
    upgrade = get(b"upgrade") if minor and b"upgrade" in options else None
    return RequestHead(
        method,
        target,
        minor,
        fields,
        host,
        length,
        options,
        minor == 1 and b"close" not in options,
        # Not without a body, and not by HTTP/1.0 (RFC 9110 §10.1.1).
        minor == 1 and length != 0 and b"100-continue" in expected,
        None if upgrade is None else upgrade.lower(),
        b"authorization" in found and _connection_scheme(found[b"authorization"]) is not None,
    )


def parse_response_head(raw: bytes, method: bytes, limits: Limits) -> ResponseHead:
    """Read one response head.

    :param raw: exactly one head, from the first byte of the status line to the empty line.
    :param method: of the request that it answers, which decides whether a body follows.
    :raises ProtocolViolation: see the table above.
    """
    line = _status_line(raw)
    if line is None:
        raise _bad_status_line(raw)
    version, digits, reason = line.groups()
    minor = 1 if version == b"1" else 0
    status = int(digits)
    opens_tunnel = method == b"CONNECT" and 200 <= status < 300
    section = raw[line.end() :]
    if opens_tunnel:
        # RFC 9110 §9.3.6: whatever the framing fields say, the tunnel begins here.
        section = _framing_lines(b"", section)
    fields = read_section(section, limits)
    found = pick(fields, _OF_RESPONSES)
    options = connection_options(found.get(b"connection"))
    upgrade = found.get(b"upgrade") if b"upgrade" in options else None
    declared = UNTIL_CLOSE if opens_tunnel else _declared_length(found, minor)
    bodiless = (
        status < 200
        or status in (204, 304)
        or method == b"HEAD"
        or (method == b"CONNECT" and status < 300)
    )
    length = 0 if bodiless else declared
    return ResponseHead(
        status,
        b"" if reason is None else reason,
        minor,
        fields,
        length,
        declared,
        options,
        length != UNTIL_CLOSE
        and b"close" not in options
        and (minor == 1 or b"keep-alive" in options),
        None if upgrade is None else upgrade.lower(),
    )


def _declared_length(found: dict[bytes, bytes], minor: int) -> int:
    """Return what the framing fields say (RFC 9112 §6.3), UNTIL_CLOSE for nothing."""
    length = found.get(b"content-length")
    coding = found.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            raise both_framings()
        if not minor:
            raise ProtocolViolation(400, "There is a Transfer-Encoding in HTTP/1.0.")
        if coding.lower() != b"chunked":
            raise refused_coding(coding)
        return CHUNKED
    if length is None:
        return UNTIL_CLOSE
    # isdigit() of bytes is about ASCII alone; int() would take a sign, blanks and underscores.
    if not length.isdigit() or len(length) > 19:
        raise ProtocolViolation(400, "The Content-Length is not one number.")
    count = int(length)
    if count > _GREATEST_LENGTH:
        raise ProtocolViolation(400, "The Content-Length is too large.")
    return count


def check_request_line(line: bytes) -> None:
    """Judge a request line before the rest of its head has come.

    :param line: with its CRLF.
    :raises ProtocolViolation: 400 or 505.
    """
    if _request_line(line) is None:
        raise _bad_request_line(line)


def check_status_line(line: bytes) -> None:
    """Judge a status line before the rest of its head has come.

    :param line: with its CRLF.
    :raises ProtocolViolation: it is none.
    """
    if _status_line(line) is None:
        raise _bad_status_line(line)


def _bad_request_line(raw: bytes) -> ProtocolViolation:
    if _request_line_of_any_version(raw) is not None:
        return ProtocolViolation(505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.")
    return ProtocolViolation(400, "The request line is malformed.")


def _bad_status_line(raw: bytes) -> ProtocolViolation:
    if _status_line_of_any_status(raw) is not None:
        return ProtocolViolation(502, "The status line has a status or a reason that cannot be.")
    return ProtocolViolation(502, "The status line is malformed, or of another version.")


def write_request_head(
    method: bytes, target: bytes, minor: int, fields: typing.Sequence[Field]
) -> bytes:
    """Return a request head for the wire, up to and with the empty line.

    :raises LocalProtocolError: for CR, LF or NUL anywhere, or a space in the method or target.
    """
    line = b"%b %b HTTP/1.%d" % (method, target, minor)
    if line.count(b" ") != 2:
        raise LocalProtocolError("There is a space in the method or in the target.")
    return write_section(line, fields)


def write_response_head(status: int, reason: bytes, fields: typing.Sequence[Field]) -> bytes:
    """Return a response head for the wire, up to and with the empty line, as HTTP/1.1.

    :raises LocalProtocolError: for CR, LF or NUL anywhere.
    """
    return write_section(b"HTTP/1.1 %d %b" % (status, reason), fields)
