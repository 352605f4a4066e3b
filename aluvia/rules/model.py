"""What a rule is.

A rule is a pattern, with a ``-`` in front if it excludes. A pattern is one of seven kinds:

=============  ====================  =====================================================
kind           written               matches
=============  ====================  =====================================================
ANY            ``*``                 every host
NAME           ``example.com``       that host; it may be an address
BELOW          ``*.example.com``     any depth below it, never itself
STEM           ``google.*``          the stem, then a public suffix (ICANN section)
BELOW_STEM     ``*.google.*``        any depth below what the STEM matches
IPV4, IPV6     ``192.0.2.0/24``      literal addresses of a network; ``10.*`` is ``10.0.0.0/8``
=============  ====================  =====================================================

Patterns are kept in the spelling of :func:`aluvia.wire.target.canonical_host`, so that two
texts that mean the same give equal patterns: ``10.*`` and ``10.0.0.0/8``, ``[::1]`` and ``::1``,
``127.1`` and ``127.0.0.1/32``, ``BÜCHER.de`` and ``xn--bcher-kva.de``. How a text is read is in
:mod:`aluvia.rules.read`.
"""

from __future__ import annotations

import enum
import ipaddress
import typing

import attrs

__all__ = ["Ignored", "Kind", "Pattern", "Reason", "Rule", "Unreadable"]


class Kind(enum.Enum):
    """The seven kinds of pattern; the table is at the top of this module."""

    ANY = "any"
    NAME = "name"
    BELOW = "below"
    STEM = "stem"
    BELOW_STEM = "below-stem"
    IPV4 = "ipv4"
    IPV6 = "ipv6"


@attrs.frozen
class Pattern:
    """One pattern, read. Equal patterns match the same hosts.

    :ivar name: what the kind applies to: the host, the base below which it matches, or the
        stem; empty for ANY and for networks.
    :ivar network: the first address of a network, as a number.
    :ivar bits: the length of its prefix.
    """

    kind: Kind
    name: str = ""
    network: int = 0
    bits: int = 0

    def __str__(self) -> str:
        """Return the pattern as it would be written in its canonical spelling."""
        if self.kind is Kind.IPV4:
            return f"{ipaddress.IPv4Address(self.network)}/{self.bits}"
        if self.kind is Kind.IPV6:
            return f"{ipaddress.IPv6Address(self.network)}/{self.bits}"
        return _FORMS[self.kind].format(self.name)


_FORMS: typing.Final = {
    Kind.ANY: "*",
    Kind.NAME: "{}",
    Kind.BELOW: "*.{}",
    Kind.STEM: "{}.*",
    Kind.BELOW_STEM: "*.{}.*",
}

Reason = typing.Literal["never-matches", "placeholder", "blank", "not-a-string"]


class Unreadable(ValueError):
    """The text is no pattern that could ever match.

    :ivar reason: which kind of nothing it is.
    """

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@attrs.frozen
class Rule:
    """One rule that counts.

    :ivar index: where it stands in the list, from 0; entries that do not count are counted.
    :ivar text: as written, without the white space around it.
    """

    index: int
    text: str
    excludes: bool
    pattern: Pattern


@attrs.frozen
class Ignored:
    """One entry of the list that does not count, and a plain sentence that says why."""

    index: int
    text: str
    reason: Reason
    sentence: str
