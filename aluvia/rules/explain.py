"""Why a host takes its way: for people, not for the data path.

It reads the rules one by one (about 0.3 µs each), so that it shows also those that lost, which
the index of :mod:`aluvia.rules.decide` no longer knows.
"""

from __future__ import annotations

import typing

import attrs

from aluvia.rules.decide import RuleSet
from aluvia.rules.match import matches
from aluvia.wire.target import canonical_host

__all__ = ["Explanation", "explain"]


@attrs.frozen
class Explanation:
    """The way of one host, and what led to it.

    :ivar host: the canonical spelling that was judged.
    :ivar rule: the text of the rule that settled it; ``None`` when no rule matched.
    :ivar lost: the texts of the other rules that match this host, in the order of the list.
    :ivar revision: that of the rule set.
    """

    host: str
    way: typing.Literal["direct", "gateway"]
    rule: str | None
    lost: tuple[str, ...]
    revision: int


def explain(ruleset: RuleSet, host: str) -> Explanation:
    """Say which way a host goes, by which rule, and which rules would have said otherwise or same.

    :param host: a host in any spelling, without a port.
    :raises aluvia.wire.target.InvalidHost: when it is none.
    """
    canonical = canonical_host(host)
    decision = ruleset.decide(canonical)
    return Explanation(
        host=canonical,
        way="gateway" if decision.proxied else "direct",
        rule=decision.rule,
        lost=tuple(
            rule.text
            for rule in ruleset.rules
            if rule.index != decision.index and matches(rule.pattern, canonical)
        ),
        revision=ruleset.revision,
    )
