"""Direct or through the gateway: a list of rules, compiled once, asked for every request.

The answer is that of the table in :mod:`aluvia.rules.model` and of three sentences: any matching
exclusion wins over every inclusion, wherever it stands; without a matching inclusion the way is
direct; ``*`` is an inclusion like the others.

Asking costs the same for ten rules as for a hundred thousand, because each kind has a table to
look into (:mod:`aluvia.rules.tables`), and a host gives few keys to look up:

===========  ==================================  ============================================
kind         what is looked up for               and when it ends
             ``www.google.co.uk``
===========  ==================================  ============================================
NAME         the host                            a hit is the answer, see below
BELOW        ``uk``, ``co.uk``,                  where the tree ends, or at an exclusion
             ``google.co.uk``
STEM         ``www``, ``www.google``,            where the tree ends, or at an exclusion
             ``www.google.co``
BELOW_STEM   ``google``, ``co`` all at once in   usually there; else every run of labels that
             a set of last labels                ends in such a one
IPV4, IPV6   an address only: cut to each        at the longest prefix that hits
             prefix length in use
===========  ==================================  ============================================

What can be known when compiling is settled then. A name that is included, but excluded by a
wider rule, has that exclusion in the NAME table, hence one look-up settles it. Under ``-*``
nothing is included, so inclusions are left out altogether. The public suffix of a stem is asked
for last, when everything else fits: few hosts begin with one, and it is the dearest look-up.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from aluvia.rules.match import address_number
from aluvia.rules.model import Kind, Pattern, Rule
from aluvia.rules.read import read_rules
from aluvia.rules.suffixes import is_icann_suffix, load_suffixes
from aluvia.rules.tables import (
    DIRECT,
    OPEN,
    Decision,
    Networks,
    Table,
    heads,
    network_tables,
    settle,
    table_of,
    tails,
    tree_of,
)
from aluvia.wire.target import InvalidHost, canonical_host

__all__ = ["Decision", "RuleSet", "should_proxy"]


@attrs.frozen(eq=False, repr=False)
class RuleSet:
    """A compiled list of rules. Immutable: a changed list is a new one.

    Make it with :meth:`compile`.

    :ivar rules: the rules that count, in their order.
    :ivar revision: whatever number whoever compiled it knows this list by.
    """

    rules: tuple[Rule, ...]
    revision: int
    _default: Decision
    _names: Table
    _below: Table
    _stems: Table
    _below_stems: Table
    _below_stem_ends: frozenset[str]
    _ipv4: Networks
    _ipv6: Networks

    @classmethod
    def compile(cls, rules: Iterable[object], revision: int = 0) -> RuleSet:
        """Compile a list of rules; entries that do not count are left out.

        It takes about 10 µs per rule, and the first list that has a ``google.*`` loads the public
        suffixes.

        :raises TypeError: when ``rules`` is one string.
        """
        counted = tuple(rule for rule in read_rules(rules) if isinstance(rule, Rule))
        settled = settle(counted)
        default = settled.pop(Pattern(Kind.ANY), DIRECT)
        if default is not DIRECT and not default.proxied:
            settled = {p: decision for p, decision in settled.items() if not decision.proxied}
        stems = tree_of(settled, Kind.STEM, heads)
        below_stems = table_of(settled, Kind.BELOW_STEM)
        if stems or below_stems:
            load_suffixes()
        compiled = cls(
            rules=counted,
            revision=revision,
            default=default,
            names=table_of(settled, Kind.NAME),
            below=tree_of(settled, Kind.BELOW, tails),
            stems=stems,
            below_stems=below_stems,
            below_stem_ends=frozenset(name.rpartition(".")[2] for name in below_stems),
            ipv4=network_tables(settled, Kind.IPV4, 32),
            ipv6=network_tables(settled, Kind.IPV6, 128),
        )
        compiled._overrule_names()
        return compiled

    def __repr__(self) -> str:
        """Say how many rules count; lists are long."""
        return f"<RuleSet of {len(self.rules)} rules, revision {self.revision}>"

    def decide(self, host: str) -> Decision:
        """Return the way for a host, which must be canonical (``aluvia.wire.target``).

        Where several rules match, ``Decision.rule`` is: of exclusions one of them; of inclusions
        the first in the order NAME, longest BELOW, longest STEM, BELOW_STEM, longest network,
        ``*``; of equal patterns the one that stands first in the list.
        """
        decision = self._names.get(host)
        return self._wide(host) if decision is None else decision

    def _wide(self, host: str) -> Decision:
        """Decide by the rules that are not for one host alone."""
        # "9" is the last digit, and what sorts before it in a host is a dot or a hyphen.
        if (self._ipv4 or self._ipv6) and (host[-1] <= "9" or ":" in host):
            number = address_number(host)
            if number is not None:
                return self._in_networks(number, self._ipv6 if ":" in host else self._ipv4)
        found = self._default
        below = self._below
        if below:
            dot = host.rfind(".")
            while dot > 0:
                node = below.get(host[dot + 1 :])
                if node is None:
                    break
                if node is not OPEN:
                    if not node.proxied:
                        return node
                    found = node
                dot = host.rfind(".", 0, dot)
        if self._below_stems or self._stems:
            node = self._by_stem(host)
            if node is not None and (found is self._default or not node.proxied):
                return node
        return found

    def _in_networks(self, number: int, networks: Networks) -> Decision:
        for shift, table in networks:
            found = table.get(number >> shift)
            if found is not None:
                return found
        return self._default

    def _by_stem(self, host: str) -> Decision | None:
        """Return an exclusion if one matches, else the inclusion, else ``None``."""
        found = None
        stems = self._stems
        dot = host.find(".")
        while dot > 0:
            node = stems.get(host[:dot])
            if node is None:
                break
            if node is not OPEN and is_icann_suffix(host[dot + 1 :]):
                if not node.proxied:
                    return node
                found = node
            dot = host.find(".", dot + 1)
        ends = self._below_stem_ends
        if ends and not ends.isdisjoint(host.split(".")[1:-1]):
            node = self._by_below_stem(host)
            if node is not None and (found is None or not node.proxied):
                return node
        return found

    def _by_below_stem(self, host: str) -> Decision | None:
        """Try every run of labels with something before it and a public suffix behind it."""
        found = None
        stem = host.rpartition(".")[0]
        while stem:
            front, dot, last = stem.rpartition(".")
            if dot and last in self._below_stem_ends and is_icann_suffix(host[len(stem) + 1 :]):
                tail = stem.partition(".")[2]
                while tail:
                    node = self._below_stems.get(tail)
                    if node is not None:
                        if not node.proxied:
                            return node
                        found = found or node
                    tail = tail.partition(".")[2]
            stem = front
        return found

    def _overrule_names(self) -> None:
        """Put the exclusion that a wider rule makes of a name in the place of its inclusion."""
        for host, decision in self._names.items():
            if decision.proxied:
                wide = self._wide(host)
                if wide is not DIRECT and not wide.proxied:
                    self._names[host] = wide


def should_proxy(hostname: str, rules: Iterable[object]) -> bool:
    """Whether a request for a host goes through the gateway, by a list of rules.

    It compiles the list each time: whoever asks twice wants a :class:`RuleSet`. A hostname that
    is not valid is no host, and is direct.
    """
    ruleset = RuleSet.compile(rules)
    try:
        return ruleset.decide(canonical_host(hostname)).proxied
    except InvalidHost:
        return False
