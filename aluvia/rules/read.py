"""How the text of a rule is read.

A text is read by making the shortest host that the pattern would match and having *that* made
canonical. What has no such host can never match; there is no second notion of a valid name.
"""

from __future__ import annotations

import ipaddress
import re
import typing
from collections.abc import Iterable, Iterator

from aluvia.rules.model import Ignored, Kind, Pattern, Rule, Unreadable
from aluvia.wire.target import InvalidHost, canonical_host

__all__ = ["read_pattern", "read_rules"]


def read_rules(rules: Iterable[object]) -> Iterator[Rule | Ignored]:
    """Read a list of rules as it came, from a control plane or a command line.

    :raises TypeError: for one string in place of a list. It would be read letter by letter, and
        the ``*`` in it would send everything through the gateway.
    """
    if isinstance(rules, str | bytes):
        raise TypeError("rules is a list of strings, not one string")
    for index, entry in enumerate(rules):
        if not isinstance(entry, str):
            sentence = f"A rule is a string; this is a value of type {type(entry).__name__}."
            yield Ignored(index, repr(entry), "not-a-string", sentence)
            continue
        text = entry.strip()
        excludes = text.startswith("-")
        try:
            yield Rule(index, text, excludes, read_pattern(text[1:] if excludes else text))
        except Unreadable as unreadable:
            yield Ignored(index, text, unreadable.reason, str(unreadable))


# A top-level domain as short as they come: what stands in for the star of ``google.*``.
_SHORTEST_SUFFIX: typing.Final = ".ac"
_octet: typing.Final = r"(?:0|[1-9][0-9]{0,2})"
_address_prefix = re.compile(rf"{_octet}(?:\.{_octet}){{0,2}}", re.ASCII).fullmatch
_port = re.compile(r"[^:]+:[0-9]*|\[.*\]:[0-9]*", re.ASCII).fullmatch


def read_pattern(text: str) -> Pattern:
    """Read one pattern, without the ``-`` of an exclusion.

    :raises Unreadable: when it is blank, the placeholder ``AUTO``, or can never match; the text
        of the exception is a plain sentence for whoever wrote the rule.
    """
    text = text.strip()
    if not text:
        raise Unreadable("blank", "The rule is blank.")
    if text.lower() == "auto":
        raise Unreadable("placeholder", "AUTO is a placeholder and has no effect.")
    if text == "*":
        return Pattern(Kind.ANY)
    if "/" in text:
        return _network(text)
    below, stem = text.startswith("*."), text.endswith(".*")
    body = text[2 * below : len(text) - 2 * stem]
    if "*" in body or not body:
        raise Unreadable("never-matches", _STAR)
    # A stem is read with a suffix behind it: on its own 163 would be the address 0.0.0.163.
    witness = "a." * below + body + _SHORTEST_SUFFIX * stem
    try:
        host = canonical_host(witness)
    except InvalidHost as invalid:
        raise Unreadable("never-matches", _advice(text, str(invalid))) from None
    name = host[2 * below : len(host) - len(_SHORTEST_SUFFIX) * stem]
    if not stem:
        return Pattern(Kind.BELOW if below else Kind.NAME, name)
    if below:
        return Pattern(Kind.BELOW_STEM, name)
    return _numbers(name) or Pattern(Kind.STEM, name)


def _numbers(name: str) -> Pattern | None:
    """Read the beginning of a dotted address, ``10`` or ``127.0.0``; ``360`` begins none."""
    numbers = [int(part) for part in name.split(".")] if _address_prefix(name) else [256]
    if max(numbers) > 255:
        return None
    packed = bytes(numbers).ljust(4, b"\0")
    return Pattern(Kind.IPV4, network=int.from_bytes(packed, "big"), bits=8 * len(numbers))


def _network(text: str) -> Pattern:
    """Read ``address/bits``. Bits behind the prefix are cleared; a whole address is a NAME."""
    address, _, length = text.partition("/")
    try:
        if not (length.isascii() and length.isdigit()) or "%" in address:
            raise ValueError
        bits = int(length)
        if ":" in address:
            host = address[1:-1] if address.startswith("[") and address.endswith("]") else address
            six = ipaddress.IPv6Network((host, bits), strict=False)
            mapped = six.network_address.ipv4_mapped
            if mapped is None or bits < 96:
                return _of_network(Kind.IPV6, six)
            # Hosts are never spelled as mapped addresses, so the network must not be either.
            address, bits = str(mapped), bits - 96
        four = ipaddress.IPv4Network((canonical_host(address), bits), strict=False)
    except ValueError:
        raise Unreadable("never-matches", _advice(text, _NO_NETWORK)) from None
    return _of_network(Kind.IPV4, four)


def _of_network(kind: Kind, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Pattern:
    if network.prefixlen == network.max_prefixlen:
        return Pattern(Kind.NAME, str(network.network_address))
    return Pattern(kind, network=int(network.network_address), bits=network.prefixlen)


_STAR = (
    "A star stands alone, for all labels in front (*.example.com), or for the public suffix"
    " behind (google.*), and nowhere else."
)
_NO_NETWORK = "What has a slash is an IPv4 or IPv6 network, like 192.0.2.0/24."


def _advice(text: str, why: str) -> str:
    """Name the usual mistakes; ``why`` is for the others."""
    if "://" in text:
        return "A URL is no pattern: give the host name alone."
    if _port(text) is not None:
        return "Ports take no part in matching: give the host name alone."
    if text.startswith("."):
        return "For everything below a name write *.example.com."
    if "," in text or len(text.split()) > 1:
        return "One rule holds one pattern: make it a list."
    return why
