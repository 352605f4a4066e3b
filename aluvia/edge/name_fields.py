"""
Names of hosts, paths and networks, each in the one spelling by which it is compared.

.. code-block:: text

    a vhost    api.example.com      a name; or an address, an IPv6 one without brackets
               *.example.com        whatever is below a name, at any depth
               *                    all
               a port is dropped, since Host has one where the port is not the usual
    a prefix   /api, /api/          whole segments: /api and /api/x, not /apix; / is none
"""

from __future__ import annotations

import ipaddress
import re
import typing

from aluvia.edge.bounds import PATH_CHARS
from aluvia.edge.model import ANY_HOST
from aluvia.edge.plain_fields import limited
from aluvia.edge.reading import Wrong
from aluvia.wire.target import NAME_LENGTH, SPELLING_LENGTH, InvalidHost, canonical_host

__all__ = [
    "domain",
    "host",
    "host_and_port",
    "host_name",
    "is_address",
    "network",
    "path_prefix",
    "path_prefix_of",
    "probe_path",
    "v_host",
    "v_host_of",
]

#: As long as an IPv6 network can be written.
_NETWORK_CHARS = 64

_port = re.compile(r"[0-9]{1,5}", re.ASCII).fullmatch

# RFC 3986 section 3.3.
_segment = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+", re.ASCII).fullmatch
_encoded = re.compile(r"%[0-9A-Fa-f]{2}", re.ASCII)
_unreserved = re.compile(r"[A-Za-z0-9._~-]", re.ASCII).fullmatch
_target = re.compile(r"/[!-\"$-~]*", re.ASCII).fullmatch


def host(value: object) -> str:
    """A name or an address, without a port."""
    try:
        return canonical_host(limited(value, SPELLING_LENGTH, least=0))
    except InvalidHost as invalid:
        raise Wrong(str(invalid)) from None


def host_name(value: object) -> str:
    """A name."""
    name = host(value)
    if is_address(name):
        raise Wrong("must be a name, and no address (RFC 6066 section 3)")
    return name


def is_address(canonical: str) -> bool:
    """Whether a canonical host is an address."""
    try:
        ipaddress.ip_address(canonical)
    except ValueError:
        return False
    return True


def host_and_port(text: str) -> tuple[str, int | None]:
    """``host[:port]``; what has more than one colon, and no brackets, is an IPv6 address."""
    name, colon, port = text, "", ""
    if text.startswith("["):
        name, bracket, rest = text.partition("]")
        name, colon, port = name + bracket, rest[:1], rest[1:]
    elif text.count(":") == 1:
        name, colon, port = text.partition(":")
    if colon not in ("", ":") or (port and not (_port(port) and 0 < int(port) <= 65_535)):
        raise Wrong("has something behind its name that is no port from 1 to 65535")
    return host(name), int(port) if port else None


def v_host(value: object) -> str:
    """A vhost, and that it can be somebody's at all."""
    text = limited(value, SPELLING_LENGTH)
    if "/" in text:
        raise Wrong("must be a host's name, and no URL")
    star, dot, below = text.partition(".")
    if star.partition(":")[0] == ANY_HOST and not dot:
        # Whatever the port is, if it is one.
        host_and_port("any" + star[1:])
        return ANY_HOST
    if star != ANY_HOST:
        if ANY_HOST in text:
            raise Wrong("can have a star alone, or as *. before a name; no other would match")
        return host_and_port(text)[0]
    if ANY_HOST in below:
        raise Wrong("can have one star: it is for any depth already")
    name = host_and_port(below)[0]
    if is_address(name):
        raise Wrong("would match nothing: there are no names below an address")
    if len(name) + len("a.") > NAME_LENGTH:
        raise Wrong("would match nothing: names below this one would be too long")
    return f"*.{name}"


def domain(value: object) -> str:
    """What a certificate is for: a vhost that is not all."""
    name = v_host(value)
    if name == ANY_HOST:
        raise Wrong("must be a name: no certificate is for all")
    return name


def v_host_of(document: dict[str, typing.Any], member: str = "vHost") -> str | None:
    """The vhost that stands in an object, if it is one."""
    try:
        return v_host(document.get(member))
    except Wrong:
        return None


def path_prefix(value: object) -> str | None:
    """Whole segments, with no slash at the end; None for all paths."""
    text = limited(value, PATH_CHARS)
    if not text.startswith("/"):
        raise Wrong("must begin with /")
    if text == "/":
        return None
    if "?" in text or "#" in text:
        raise Wrong("must be a path alone, without ? and #")
    segments = text.removesuffix("/").split("/")[1:]
    for segment in segments:
        if not segment:
            raise Wrong("has an empty segment: two slashes in a row")
        if segment in (".", ".."):
            raise Wrong("has a segment . or .., which clients resolve before they ask")
        if _segment(segment) is None:
            raise Wrong("has a character that must be percent-encoded (RFC 3986 section 3.3)")
        if any(_unreserved(chr(int(octet[1:], 16))) for octet in _encoded.findall(segment)):
            raise Wrong("has a letter, a digit or one of - . _ ~ percent-encoded: write it plainly")
    return _encoded.sub(lambda octet: octet[0].upper(), "/" + "/".join(segments))


def path_prefix_of(document: dict[str, typing.Any]) -> tuple[bool, str | None]:
    """Whether the prefix that stands in an object is one, and which."""
    given = document.get("pathPrefix")
    try:
        return True, None if given is None else path_prefix(given)
    except Wrong:
        return False, None


def probe_path(value: object) -> str:
    """What a probe asks for: a path, with a query or without."""
    text = limited(value, PATH_CHARS)
    if _target(text) is None:
        raise Wrong("must begin with /, and be of visible ASCII characters without #")
    return text


def network(value: object) -> str:
    """
    A network, or an address, which is the network of one.

    IPv4 in the clothes of IPv6 is IPv4, as clients' addresses are.
    """
    must = "must be an address or a network, such as 10.0.0.0/8 or 2001:db8::1"
    text = limited(value, _NETWORK_CHARS)
    address, slash, length = text.partition("/")
    if "%" in text or (slash and not (length.isascii() and length.isdigit())):
        # A zone means something on one machine alone, and 0.0.0.255 is a mask to some.
        raise Wrong(must)
    try:
        found = ipaddress.ip_network(text, strict=False)
        given = ipaddress.ip_address(address)
    except ValueError:
        raise Wrong(must) from None
    if given != found.network_address:
        raise Wrong(f"has bits behind its length: the network is {found}")
    if isinstance(found, ipaddress.IPv6Network) and found.prefixlen >= 96:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return f"{mapped}/{found.prefixlen - 96}"
    return str(found)
