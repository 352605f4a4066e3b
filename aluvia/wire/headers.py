"""Field sections: read, judged line by line, filtered for the next hop, and written.

A section is kept as it came: a list of ``(name, value)`` in order, nothing folded together,
nothing re-spelled. What the wire itself must know of it (framing, Host, Connection) is picked
out once, in :func:`pick`; everything else passes through untouched.

Reading is done by llhttp (through httptools) as the judge of every byte, and one regular
expression as the knife. llhttp is used for its verdict alone, without callbacks: what it has
accepted is a sequence of lines ``name ":" OWS value OWS CRLF``, which has exactly one way to be
cut, and cutting in C costs less than twelve callbacks. The number of lines must agree with the
number of cuts; where it does not, the section is refused.

llhttp is given a start line of our own in front of the section, because it knows only a fixed
list of methods, and so that one reader serves requests, responses and trailers. Its own opinions
about framing are a subset of ours (``head.py``); it is a fresh parser for each section, and
dropped after it.
"""

from __future__ import annotations

import re
import typing

import attrs
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from aluvia.wire.errors import LocalProtocolError, ProtocolViolation
from aluvia.wire.limits import Limits

__all__ = [
    "FORWARDING",
    "HOP_BY_HOP",
    "TOKEN",
    "Field",
    "FieldNames",
    "Fields",
    "both_framings",
    "connection_options",
    "is_look_alike",
    "is_token",
    "owned",
    "pick",
    "read_section",
    "refused_coding",
    "without_hop_by_hop",
    "write_section",
]

Field = tuple[bytes, bytes]
"""A name as it was spelled, and a value without the white space around it."""


#: What names a field, or a method (RFC 9110 section 5.6.2); of a regular expression.
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"


class _Silent:
    """A protocol for llhttp that wants to hear nothing (None spares it the look-ups)."""

    on_message_begin = None
    on_url = None
    on_status = None
    on_header = None
    on_headers_complete = None
    on_body = None
    on_message_complete = None
    on_chunk_header = None
    on_chunk_complete = None


_SILENT = _Silent()
_START_LINE = b"GET / HTTP/1.1\r\n"
_FRAMING = frozenset([b"content-length", b"transfer-encoding"])

# Possessive where it can be, and never two stars that could share a blank: linear in the value,
# whatever it is made of.
_cut = re.compile(rb"([^:]*+):[ \t]*+([^\r]*[^\r \t]|)[ \t]*\r\n").findall
_line = re.compile(TOKEN + rb":[\t -~\x80-\xff]*")
_token = re.compile(TOKEN).fullmatch
_bare_line_end = re.compile(rb"(?<!\r)\n|\r(?!\n)")


def read_section(
    section: bytes, limits: Limits, over: str = "http_response_header_section_size"
) -> list[Field]:
    """Cut a whole field section, which ends with its empty line, into fields.

    :param section: the lines, each with its CRLF, and the CRLF of the empty line; ``b"\\r\\n"``
        for a section without fields.
    :param over: what a section of too many fields is called when an upstream sent it.
    :raises ProtocolViolation: 431 for more than :attr:`Limits.field_count` fields; 400 for
        anything that RFC 9110 §5 and RFC 9112 §5 do not allow: folded lines (§5.2), white space
        before the colon (§5.1), bare CR or LF (§2.2), NUL and other control characters.
    """
    count = section.count(b"\n") - 1
    if count > limits.field_count:
        raise ProtocolViolation(431, "There are too many header fields.", over)
    try:
        HttpRequestParser(_SILENT).feed_data(_START_LINE + section)
    except HttpParserUpgrade:
        # Connection: upgrade. It has read the section, and says that it would read no body.
        pass
    except HttpParserError:
        _explain(section)
    fields: list[Field] = _cut(section)
    if len(fields) != count:
        raise ProtocolViolation(400, "The header section does not end where its lines do.")
    return fields


def _explain(section: bytes) -> typing.NoReturn:
    """Say why llhttp refused a section: line by line, without haste, and then as a whole.

    :raises ProtocolViolation: always.
    """
    if b"\0" in section:
        raise ProtocolViolation(400, "There is a NUL in the header section.")
    if _bare_line_end.search(section):
        raise ProtocolViolation(400, "A line of the header section ends with a bare CR or LF.")
    for line in section[:-4].split(b"\r\n"):
        if line[:1] in (b" ", b"\t"):
            raise ProtocolViolation(400, "A header field is folded over more than one line.")
        if line and not _line.fullmatch(line):
            raise ProtocolViolation(400, "A header field is malformed.")
    # Every line is well-formed, so it is what the framing fields mean together.
    found = pick(_cut(section), _FRAMING)
    if len(found) == 2:
        raise both_framings()
    if b"transfer-encoding" in found:
        raise refused_coding(found[b"transfer-encoding"])
    raise ProtocolViolation(400, "The Content-Length is not one number.")


def both_framings() -> ProtocolViolation:
    """Return the refusal of a message with two framings (RFC 9112 §6.3, item 3: a smuggler)."""
    return ProtocolViolation(400, "There are both a Content-Length and a Transfer-Encoding.")


def refused_coding(value: bytes) -> ProtocolViolation:
    """Return the refusal of a Transfer-Encoding that is not exactly ``chunked``.

    A coding that we do not know, under a final ``chunked``, is 501 (RFC 9112 §6.1). Anything
    else leaves the end of the message in doubt, which is 400 (§6.3, item 4).
    """
    codings = [coding.strip(b" \t") for coding in value.lower().split(b",")]
    framed = codings[-1] == b"chunked" and codings.count(b"chunked") == 1 and all(codings)
    return ProtocolViolation(
        501 if framed else 400,
        "The Transfer-Encoding is something else than chunked.",
        "http_response_transfer_coding",
    )


def _spellings(names: str) -> frozenset[bytes]:
    """Return names as HTTP/1.1 programs spell them, and as those who think in HTTP/2 do."""
    given = names.encode("ascii").split()
    return frozenset(given) | {name.lower() for name in given} | {name.title() for name in given}


# Names that mean nothing to this hop, in their usual spellings. It is here for speed alone: one
# look-up instead of lower-casing and judging, for nearly every field of nearly every message.
# What is not in it is judged the plain way, with the same result; a test compares the two.
_ORDINARY = _spellings(
    """Accept Accept-Charset Accept-Encoding Accept-Language Accept-Ranges
    Access-Control-Allow-Credentials Access-Control-Allow-Headers Access-Control-Allow-Methods
    Access-Control-Allow-Origin Access-Control-Expose-Headers Access-Control-Max-Age
    Access-Control-Request-Headers Access-Control-Request-Method Age Allow Alt-Svc
    Cache-Control Content-Disposition Content-Encoding Content-Language Content-Location
    Content-Range Content-Security-Policy Content-Type Cookie Cross-Origin-Opener-Policy
    Cross-Origin-Embedder-Policy Cross-Origin-Resource-Policy Date DNT ETag Expires From
    If-Match If-Modified-Since If-None-Match If-Range If-Unmodified-Since Last-Modified Link
    Location Max-Forwards NEL Origin P3P Permissions-Policy Pragma Priority Purpose Range Referer
    Referrer-Policy Report-To Retry-After Sec-CH-UA Sec-CH-UA-Mobile Sec-CH-UA-Platform
    Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User Sec-GPC Server Server-Timing
    Set-Cookie SOAPAction Strict-Transport-Security Timing-Allow-Origin Upgrade-Insecure-Requests
    User-Agent Vary WWW-Authenticate X-Cache X-Content-Type-Options X-Frame-Options X-Powered-By
    X-Requested-With X-XSS-Protection"""
)


def is_token(name: bytes) -> bool:
    """Whether it can be the name of a field (RFC 9110 §5.1)."""
    return _token(name) is not None


def pick(fields: typing.Iterable[Field], wanted: frozenset[bytes]) -> dict[bytes, bytes]:
    """Find the fields that matter here, by their lower-cased names.

    A field that is there more than once is joined with ``", "`` as RFC 9110 §5.3 allows. That is
    right for lists (Connection, Upgrade), and it is what refuses the others: two lengths or two
    hosts, equal or not, become a value that is no length and no host.
    """
    found: dict[bytes, bytes] = {}
    for name, value in fields:
        if name in _ORDINARY:
            continue
        lowered = name.lower()
        if lowered in wanted:
            if lowered in found:
                found[lowered] += b", " + value
            else:
                found[lowered] = value
    return found


_NO_OPTIONS: frozenset[bytes] = frozenset()
_COMMON_OPTIONS: dict[bytes, frozenset[bytes]] = {
    spelling: frozenset([spelling.lower()])
    for spelling in (b"keep-alive", b"Keep-Alive", b"close", b"Close", b"upgrade", b"Upgrade")
}


def connection_options(value: bytes | None) -> frozenset[bytes]:
    """Return the options of a Connection field, lower-cased (RFC 9110 §7.6.1).

    :param value: the field's value, or None where there is none.
    """
    if value is None:
        return _NO_OPTIONS
    options = _COMMON_OPTIONS.get(value)
    if options is None:
        members = (member.strip(b" \t") for member in value.lower().split(b","))
        options = frozenset(member for member in members if member)
    return options


#: What ends at this hop whether or not Connection says so, and the framing, which the exchange
#: writes anew: a length that is passed on by hand is how two hops come to disagree about it.
HOP_BY_HOP = frozenset(
    [
        b"connection",
        b"proxy-connection",
        b"keep-alive",
        b"te",
        b"upgrade",
        b"transfer-encoding",
        b"content-length",
        b"proxy-authorization",
        b"proxy-authenticate",
        b"proxy-authentication-info",
    ]
)

_UPGRADE = frozenset([b"upgrade"])
_HARMLESS = frozenset([b"keep-alive", b"close", b"upgrade", b"te"])

# Listed in Connection or not, these are for the next hop: without a Host there is no request.
_NEVER_LISTED = frozenset([b"host"])


@attrs.frozen
class FieldNames:
    """Names of fields, lower-cased: some whole, some by how they begin."""

    whole: frozenset[bytes] = frozenset()
    prefixes: tuple[bytes, ...] = ()

    def __contains__(self, lowered: typing.Any) -> bool:
        """Whether this name is one of them."""
        return lowered in self.whole or lowered.startswith(self.prefixes)

    def __or__(self, other: FieldNames) -> FieldNames:
        """Those of both."""
        return FieldNames(self.whole | other.whole, self.prefixes + other.prefixes)


#: What tells who is behind a proxy, or that there is one. Whoever adds such a field removes the
#: client's before.
FORWARDING = FieldNames(
    frozenset(
        [
            b"via",
            b"forwarded",
            b"x-real-ip",
            b"x-client-ip",
            b"x-cluster-client-ip",
            b"client-ip",
            b"true-client-ip",
        ]
    ),
    (b"x-forwarded", b"x-original-forwarded"),
)

_IMITATED = FORWARDING | FieldNames(HOP_BY_HOP | {b"host", b"expect", b"trailer"}, (b"forwarded",))


def is_look_alike(lowered: bytes) -> bool:
    """Tell whether a name with ``_`` in it is a framing or forwarding field spelled in disguise.

    CGI, WSGI and their kin turn both ``-`` and ``_`` into ``_``, so that behind us
    ``x_forwarded_for`` and ``X-Forwarded-For`` are one field. Ours would be overwritten by the
    client's. Other names with ``_`` are nobody's business and pass.

    :param lowered: the lower-cased name.
    """
    if b"_" not in lowered:
        return False
    return lowered.replace(b"_", b"-") in _IMITATED


def without_hop_by_hop(
    fields: typing.Iterable[Field],
    connection: frozenset[bytes] = _NO_OPTIONS,
    keep_upgrade: bool = False,
    also: typing.Container[bytes] = (),
) -> Fields:
    """Return the fields that are for the next hop, in their order (RFC 9110 §7.6.1).

    Gone are the fields of this hop, everything that Connection lists, the framing (the exchange
    writes its own), credentials for and challenges of a proxy, and look-alikes
    (:func:`is_look_alike`). ``Trailer`` stays. Forwarding fields are added after this, so that
    ``Connection: X-Forwarded-For`` removes the client's and not ours.

    :param connection: the options of the message's own Connection field; none to begin with.
    :param keep_upgrade: let ``Upgrade`` pass; the exchange then says ``Connection: Upgrade``.
    :param also: further lower-case names that go; common fields (``_ORDINARY``) cannot be among
        them.
    """
    gone = HOP_BY_HOP - _UPGRADE if keep_upgrade else HOP_BY_HOP
    if connection <= _HARMLESS:
        return Fields(
            [
                field
                for field in fields
                if field[0] in _ORDINARY or _goes_on(field[0].lower(), gone, also)
            ]
        )
    gone |= connection - _NEVER_LISTED
    if keep_upgrade:
        gone -= _UPGRADE
    return Fields([field for field in fields if _goes_on(field[0].lower(), gone, also)])


def _goes_on(lowered: bytes, gone: frozenset[bytes], also: typing.Container[bytes]) -> bool:
    return lowered not in gone and lowered not in also and not is_look_alike(lowered)


class Fields(list[Field]):
    """Fields for the next hop, which remember what is found out about them.

    The heads of one connection repeat themselves (``head.LastRequestHead``), and so the same fields
    are written again and again. Not to be changed once they are made.
    """

    __slots__ = ("_first", "_owned", "_section", "_written")

    def __init__(self, fields: typing.Iterable[Field] = ()) -> None:
        super().__init__(fields)
        self._owned: dict[bytes, bytes] | None = None
        self._written: bytes | None = None
        self._first = self._section = b""

    def owned(self) -> dict[bytes, bytes]:
        """Those that say how the message ends, or what the connection becomes."""
        if self._owned is None:
            self._owned = pick(self, _OWNED)
        return self._owned

    def written(self) -> bytes:
        """Their lines, each with its CRLF.

        :raises LocalProtocolError: for CR, LF or NUL inside one.
        """
        if self._written is None:
            self._written = _lines(self)
        return self._written

    def section(self, first: bytes) -> bytes:
        """They with a first line and the empty line; the last one is remembered.

        :raises LocalProtocolError: for CR, LF or NUL inside the line or a field.
        """
        if first != self._first:
            self._section = _joined(first, self.written())
            self._first = first
        return self._section


_OWNED = frozenset([b"upgrade", b"connection", b"content-length", b"transfer-encoding"])


def owned(fields: typing.Iterable[Field]) -> dict[bytes, bytes]:
    """Find the fields that only the exchange may write, and Upgrade."""
    return fields.owned() if isinstance(fields, Fields) else pick(fields, _OWNED)


_colon = b": ".join


def _lines(fields: typing.Sequence[Field]) -> bytes:
    written = b"\r\n".join([*map(_colon, fields), b""])
    harmless = written.translate(None, b"\r\n\0")
    if len(written) - len(harmless) != 2 * len(fields):
        raise LocalProtocolError("A field to be written has a CR, LF or NUL in it.")
    return written


def write_section(first: bytes, fields: typing.Sequence[Field]) -> bytes:
    """Join a first line, fields, and the empty line into bytes for the wire.

    Every CR and LF in the result must be one that was put there just now, so counting finds any
    that came inside a value, and NULs, without looking at the values one by one. A server's
    obs-text (0x80–0xFF) passes.

    :raises LocalProtocolError: for CR, LF or NUL inside the line or a field.
    """
    return fields.section(first) if isinstance(fields, Fields) else _joined(first, _lines(fields))


def _joined(first: bytes, lines: bytes) -> bytes:
    if len(first.translate(None, b"\r\n\0")) != len(first):
        raise LocalProtocolError("A first line to be written has a CR, LF or NUL in it.")
    return b"%b\r\n%b\r\n" % (first, lines)
