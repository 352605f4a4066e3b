"""The tables that :mod:`aluvia.rules.decide` looks into, and how they are filled.

A table for a kind that is written with dots is a tree laid flat: a key of several labels puts the
shorter ones on the way to it into the table too, as :data:`OPEN`. A walk that meets no entry
knows that there is nothing further down and stops, so that a host without a rule costs one or
two look-ups, however many labels it has.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Iterator

import attrs

from aluvia.rules.model import Kind, Pattern, Rule

__all__ = [
    "DIRECT",
    "OPEN",
    "Decision",
    "Networks",
    "Table",
    "heads",
    "network_tables",
    "settle",
    "table_of",
    "tails",
    "tree_of",
]


@attrs.frozen(eq=False)
class Decision:
    """The way of one request. There is one object per rule, made when compiling.

    :ivar proxied: through the gateway (``True``) or direct.
    :ivar rule: the text of the rule that settled it; ``None`` when no rule matched.
    :ivar index: where that rule stands in the list.
    """

    proxied: bool
    rule: str | None
    index: int | None


#: No rule matched.
DIRECT: typing.Final = Decision(False, None, None)
#: No rule here, but further down in the tree.
OPEN: typing.Final = Decision(False, None, None)

Settled: typing.TypeAlias = dict[Pattern, Decision]
Table: typing.TypeAlias = dict[str, Decision]
# Per prefix length, longest first: how far to shift an address, and the networks of that length.
Networks: typing.TypeAlias = tuple[tuple[int, dict[int, Decision]], ...]


def settle(rules: Iterable[Rule]) -> Settled:
    """Keep one decision per pattern: an exclusion before an inclusion, then the first."""
    settled: Settled = {}
    for rule in rules:
        held = settled.get(rule.pattern)
        if held is None or (held.proxied and rule.excludes):
            settled[rule.pattern] = Decision(not rule.excludes, rule.text, rule.index)
    return settled


def table_of(settled: Settled, kind: Kind) -> Table:
    """Return what is settled for one kind, by name."""
    return {p.name: decision for p, decision in settled.items() if p.kind is kind}


def tree_of(settled: Settled, kind: Kind, on_the_way: Callable[[str], Iterable[str]]) -> Table:
    """Return the same as a tree, with the ways to its entries open."""
    table = table_of(settled, kind)
    for name in list(table):
        for shorter in on_the_way(name):
            table.setdefault(shorter, OPEN)
    return table


def tails(name: str) -> Iterator[str]:
    """Yield ``b.c`` and ``c`` of ``a.b.c``."""
    while name := name.partition(".")[2]:
        yield name


def heads(name: str) -> Iterator[str]:
    """Yield ``a.b`` and ``a`` of ``a.b.c``."""
    while name := name.rpartition(".")[0]:
        yield name


def network_tables(settled: Settled, kind: Kind, width: int) -> Networks:
    """Build the tables of one address family.

    Each exclusion is spread over the networks that it contains, so that the first hit of a search
    from the longest prefix down is the answer.
    """
    by_bits: dict[int, dict[int, Decision]] = {}
    exclusions: dict[int, dict[int, Decision]] = {}
    for pattern, decision in settled.items():
        if pattern.kind is kind:
            number = pattern.network >> (width - pattern.bits)
            by_bits.setdefault(pattern.bits, {})[number] = decision
            if not decision.proxied:
                exclusions.setdefault(pattern.bits, {})[number] = decision
    for bits, table in by_bits.items():
        wider = [(bits - shorter, exclusions[shorter]) for shorter in exclusions if shorter < bits]
        for number, decision in table.items():
            for shift, excluded in wider if decision.proxied else ():
                above = excluded.get(number >> shift)
                if above is not None:
                    table[number] = above
                    break
    return tuple((width - bits, by_bits[bits]) for bits in sorted(by_bits, reverse=True))
