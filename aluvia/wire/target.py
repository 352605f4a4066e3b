"""What a request is for: its target, its authority, and the one spelling of a host.

One host has many spellings: ``EXAMPLE.com.``, ``example.com``; ``bücher.de``,
``xn--bcher-kva.de``; ``127.0.0.1``, ``127.1``, ``0x7f000001``, ``2130706433``,
``[::ffff:127.0.0.1]``. Whoever judges one spelling and dials another can be talked round, so
there is one canonicaliser, :func:`canonical_host`, and rules, guards and dialers see nothing
but what it returns. It is idempotent.

A host is *invalid*, and refused, when it has no spelling that everybody reads alike:

* labels of something else than ``a-z``, ``0-9``, ``-`` and ``_`` once mapped; percent-encoding
  is among this, as no resolver undoes it and some proxies do. Hyphens and underscores may
  stand anywhere in a label, because in real names they do (``_dmarc``, ``r3---sn-x``, ``foo-``);
* empty labels, labels over 63 and names over 253 characters (RFC 1035 §2.3.4);
* an A-label (``xn--``) that is not exactly what its Unicode label becomes by UTS 46: some would
  look up what is written, others what it decodes to;
* a name whose last label is a number, if it is no IPv4 address (``256.1.1.1``, ``foo.1``);
* an IPv6 zone, which means something on one machine alone.

UTS 46 is applied as browsers do (non-transitional; CheckHyphens and UseSTD3ASCIIRules off,
CheckBidi label by label, CheckJoiners on), without the narrower list of IDNA 2008: names with
emoji are registered and reached.

Request targets are those of RFC 9112 §3.2. Errors here never quote the message.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import typing

import attrs
import idna

from aluvia.wire.errors import ProtocolViolation

__all__ = [
    "AbsoluteTarget",
    "Authority",
    "InvalidHost",
    "canonical_host",
    "parse_absolute_target",
    "parse_authority",
    "parse_connect_target",
]

NAME_LENGTH: typing.Final = 253
LABEL_LENGTH: typing.Final = 63
#: Characters that are looked at, at all: a Unicode spelling may be longer than its A-labels, as
#: some characters are mapped to nothing.
SPELLING_LENGTH: typing.Final = 1024
#: Answers kept for hosts that are not plain ASCII names: addresses and A-labels.
CACHED_SPELLINGS: typing.Final = 1024

# An ASCII name that needs lowering at most. The last label starts with no digit, so that it
# cannot be a number; names like ``a.4u`` take the long way.
_plain_name = re.compile(
    r"(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z_-][A-Za-z0-9_-]{0,62}\.?", re.ASCII
).fullmatch
_name = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.ASCII).fullmatch
_ends_in_number = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.ASCII).fullmatch
_ipv4_part = re.compile(r"0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*", re.ASCII).fullmatch

# RFC 3986 §3: scheme, authority, path and query, of visible ASCII without "#".
_absolute = re.compile(
    rb"([A-Za-z][A-Za-z0-9+.-]*)://([!-\"$-.0->@-~]*)((?:[/?][!-\"$-~]*)?)"
).fullmatch
_PORT_DIGITS: typing.Final = 5


class InvalidHost(ValueError):
    """Not a host name and not an address; the sentence says why, and never quotes the host."""


def canonical_host(host: str) -> str:
    """Return the one spelling of a host, without a port.

    Lower case, no trailing dot, A-labels by UTS 46; IPv6 by RFC 5952 and without brackets;
    whatever ``inet_aton`` reads, and IPv4-mapped IPv6, as dotted IPv4. Plain ASCII names, which
    is nearly all, take one regular expression; the rest is cached.

    :raises InvalidHost: as the top of this module says.
    """
    if len(host) <= NAME_LENGTH and _plain_name(host) is not None:
        name = host.lower()
        if "xn--" not in name:
            return name[:-1] if name[-1] == "." else name
    if len(host) > SPELLING_LENGTH:
        raise InvalidHost("The host is too long.")
    return _canonical_spelling(host)


@functools.lru_cache(maxsize=CACHED_SPELLINGS)
def _canonical_spelling(host: str) -> str:
    if ":" in host or host.startswith("["):
        return _canonical_ipv6(host)
    name = host.lower() if host.isascii() else _mapped(host)
    if name.endswith("."):
        name = name[:-1]
    if "xn--" in name or not name.isascii():
        name = ".".join(map(_ascii_label, name.split(".")))
    if len(name) > NAME_LENGTH or _name(name) is None:
        raise InvalidHost(_why_no_name(name))
    return name if _ends_in_number(name) is None else _canonical_ipv4(name)


def _canonical_ipv6(host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if "%" in host:
        raise InvalidHost("An IPv6 address with a zone means something on one machine alone.")
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        raise InvalidHost("The host has a colon or a bracket and is no IPv6 address.") from None
    return str(address.ipv4_mapped or address)


def _canonical_ipv4(name: str) -> str:
    """Read what ``inet_aton`` reads: one to four numbers in C's notation, the last one wide."""
    parts = name.split(".")
    if len(parts) > 4 or None in map(_ipv4_part, parts):
        raise InvalidHost("The host ends in a number and is no IPv4 address.")
    *first, last = (_c_number(part) for part in parts)
    if any(number > 255 for number in first) or last >> 8 * (4 - len(first)):
        raise InvalidHost("The host is an IPv4 address with a number out of range.")
    packed = bytes(first) + last.to_bytes(4 - len(first), "big")
    return ".".join(map(str, packed))


def _c_number(part: str) -> int:
    if part.startswith("0x"):
        return int(part, 16)
    return int(part, 8 if part.startswith("0") else 10)


def _mapped(text: str) -> str:
    """Map by UTS 46 §4: to lower case, to NFC, full-width to ASCII, other dots to dots."""
    try:
        return idna.uts46_remap(text, std3_rules=False)
    except ValueError:
        raise InvalidHost("The host has a character that no host name can have.") from None


def _ascii_label(label: str) -> str:
    """Return the A-label of a mapped label; an A-label must be the one that we would make."""
    if not label.isascii():
        return _a_label(label)
    if not label.startswith("xn--") or len(label) > LABEL_LENGTH:
        return label
    try:
        decoded = label[4:].encode("ascii").decode("punycode")
    except ValueError:
        decoded = ""
    # Python's decoder also takes spellings that no encoder writes, hence the way back.
    if decoded.isascii() or _mapped(decoded) != decoded or _a_label(decoded) != label:
        raise InvalidHost("The host has an xn-- label that is not the A-label of any name.")
    return label


def _a_label(label: str) -> str:
    if label.startswith("xn--"):
        raise InvalidHost("The host has an xn-- label that is not ASCII.")
    try:
        idna.check_initial_combiner(label)
        idna.check_bidi(label)
        joined = all(
            idna.valid_contextj(label, at)
            for at, character in enumerate(label)
            if character in "\u200c\u200d"
        )
    except ValueError:
        joined = False
    if not joined:
        raise InvalidHost("The host has a label whose characters cannot stand together.")
    return "xn--" + label.encode("punycode").decode("ascii")


def _why_no_name(name: str) -> str:
    if not name:
        return "The host is empty."
    labels = name.split(".")
    if "" in labels:
        return "The host has an empty label: two dots in a row, or one at its beginning."
    if len(name) > NAME_LENGTH or max(map(len, labels)) > LABEL_LENGTH:
        return "The host is longer than 253 characters, or one of its labels than 63."
    if "%" in name:
        return "The host is percent-encoded, which no host name is."
    return "The host has a character that no host name can have."


@attrs.frozen
class Authority:
    """Where a request goes: a canonical host, and a port if one was given.

    :ivar host: as :func:`canonical_host` returns it, so an IPv6 address has no brackets.
    :ivar port: 1 to 65535, or ``None``.
    """

    host: str
    port: int | None = None
    raw: bytes = attrs.field(init=False, eq=False, repr=False)
    """As it is written on the wire: ``[::1]:80``, ``example.com``."""

    @raw.default
    def _written(self) -> bytes:
        return str(self).encode("ascii")

    def __str__(self) -> str:
        """Return it as it is written on the wire."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def parse_authority(raw: bytes, *, port_required: bool = False) -> Authority:
    """Read ``host [":" port]``, as in a Host field (RFC 9110 §7.2, RFC 3986 §3.2).

    An empty port (``example.com:``) is none. User information is refused (RFC 9110 §4.2.4), and
    so is an IPv6 address without brackets, whose last group could be a port.

    :raises ProtocolViolation: 400.
    """
    if len(raw) > SPELLING_LENGTH:
        raise ProtocolViolation(400, "The host is too long.")
    authority = _authority(raw)
    if port_required and authority.port is None:
        raise ProtocolViolation(400, "The target names no port.")
    return authority


@functools.lru_cache(maxsize=CACHED_SPELLINGS)
def _authority(raw: bytes) -> Authority:
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        raise ProtocolViolation(400, "The host is not ASCII.") from None
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        host += bracket
        colon, port_text = rest[:1], rest[1:]
        if colon not in ("", ":"):
            raise ProtocolViolation(400, "There is something between the host and its port.")
    else:
        host, colon, port_text = text.partition(":")
        if "@" in text:
            raise ProtocolViolation(400, "User information does not belong in a target.")
    try:
        canonical = canonical_host(host)
    except InvalidHost as invalid:
        raise ProtocolViolation(400, str(invalid)) from None
    return Authority(canonical, _port(port_text) if port_text else None)


def _port(digits: str) -> int:
    if digits.isdigit() and len(digits) <= _PORT_DIGITS and 0 < (port := int(digits)) <= 65535:
        return port
    raise ProtocolViolation(400, "A port is a number from 1 to 65535.")


def parse_connect_target(raw: bytes) -> Authority:
    """Read the target of a CONNECT: ``host:port``, both given (RFC 9112 §3.2.3).

    :raises ProtocolViolation: 400.
    """
    return parse_authority(raw, port_required=True)


@attrs.frozen
class AbsoluteTarget:
    """The target of a request to a proxy (RFC 9112 §3.2.2), taken apart.

    :ivar scheme: lower case. Any scheme is read; which ones are served is for others to say.
    :ivar origin_form: path and query as they came, for an origin: ``/`` when both are missing,
        and ``*`` for OPTIONS then (RFC 9112 §3.2.4).
    """

    scheme: str
    authority: Authority
    origin_form: bytes


def parse_absolute_target(raw: bytes, method: bytes) -> AbsoluteTarget:
    """Read ``scheme://host[:port][/path][?query]``.

    The path is opaque: nothing is decoded or normalised, so that the origin sees what the
    client meant. A fragment is refused, as it never belongs on the wire; so are white space,
    control bytes, and bytes over 0x7e.

    :raises ProtocolViolation: 400.
    """
    match = _absolute(raw)
    if match is None:
        raise ProtocolViolation(400, "The target is no absolute URL of visible ASCII.")
    scheme, authority, rest = match.groups()
    if not rest:
        rest = b"*" if method == b"OPTIONS" else b"/"
    elif rest[0] == 0x3F:  # "?": the path is empty
        rest = b"/" + rest
    name = "http" if scheme == b"http" else scheme.decode("ascii").lower()
    return AbsoluteTarget(name, parse_authority(authority), rest)
