"""What a rule decision costs: ``python benchmarks/rules.py``.

Rule sets of 10 and of 100 000 rules with every kind of pattern in them are asked for hosts of
several kinds: rules hit and missed, exact and by suffix, deep names, addresses. Figures are
processor time per decision in microseconds: of each kind, their mean, the slowest. ``canonical``
is a decision together with making the host canonical, for plain ASCII names of which none has
been seen before, so that no memory of recent names helps.

It prints one line of JSON. ``run.py --case rules`` runs it beside the other cases.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence

from aluvia.rules import RuleSet
from aluvia.wire.target import canonical_host

FEW, MANY = 10, 100_000
HOSTS_OF_A_KIND = 100


def rule_list(count: int) -> list[str]:
    """``count`` rules, of every ten: names, suffixes, exclusions, stems and networks."""
    rules: list[str] = []
    for number in range(count // 10):
        first, second = divmod(number, 250)
        rules += [
            f"shop{number}.example.com",
            f"www.site{number}.example",
            f"*.cdn{number}.example.net",
            f"*.eu.site{number}.example.org",
            f"-static.site{number}.example",
            f"-*.internal.cdn{number}.example.net",
            f"brand{number}.*",
            f"*.label{number}.*",
            f"10.{first % 250}.{second}.0/24",
            f"2001:db8:{number:x}::/48",
        ]
    return rules


def hosts_by_kind(count: int) -> dict[str, list[str]]:
    """Canonical hosts of each kind for a list of ``count`` rules."""
    step = max(count // 10 // HOSTS_OF_A_KIND, 1)
    numbers = [index * step % (count // 10) for index in range(HOSTS_OF_A_KIND)]
    return {
        "name": [f"shop{number}.example.com" for number in numbers],
        "below": [f"a.b.cdn{number}.example.net" for number in numbers],
        "excluded": [f"x.internal.cdn{number}.example.net" for number in numbers],
        "stem": [f"brand{number}.co.uk" for number in numbers],
        "below a stem": [f"www.label{number}.com" for number in numbers],
        "address": [f"10.0.{number % 250}.7" for number in numbers],
        "no rule": [f"www.other{number}.example.edu" for number in numbers],
        "no rule, deep": [f"a.b.c.d.e.f{number}.elsewhere.example" for number in numbers],
    }


def microseconds(ruleset: RuleSet, hosts: Sequence[str], decisions: int) -> float:
    """Processor time of one decision, the loop around it included."""
    decide = ruleset.decide
    rounds = max(decisions // len(hosts), 1)
    began = time.process_time()
    for _ in range(rounds):
        for host in hosts:
            decide(host)
    return (time.process_time() - began) / (rounds * len(hosts)) * 1e6


def canonical_microseconds(ruleset: RuleSet, decisions: int) -> float:
    """Processor time of a decision for a name as a client wrote it, each name a new one."""
    names = [f"www.host{number}.example.com" for number in range(decisions)]
    began = time.process_time()
    for name in names:
        ruleset.decide(canonical_host(name))
    return (time.process_time() - began) / decisions * 1e6


def figures(decisions: int) -> Iterator[tuple[str, float]]:
    """Every figure by its name."""
    for name, count in (("few", FEW), ("many", MANY)):
        rules = rule_list(count)
        began = time.process_time()
        ruleset = RuleSet.compile(rules)
        yield f"{name}_compile_ms", (time.process_time() - began) * 1e3
        kinds = hosts_by_kind(count)
        for hosts in kinds.values():  # warm the caches of the interpreter
            microseconds(ruleset, hosts, 2_000)
        costs = {kind: microseconds(ruleset, kinds[kind], decisions) for kind in kinds}
        yield name, sum(costs.values()) / len(costs)
        yield f"{name}_slowest", max(costs.values())
        for kind, cost in costs.items():
            yield f"{name}: {kind}", cost
    yield "canonical", canonical_microseconds(ruleset, decisions)


def main(arguments: Sequence[str]) -> int:
    """Measure once."""
    parser = argparse.ArgumentParser(description="What a rule decision costs, in microseconds.")
    parser.add_argument("--decisions", type=int, default=200_000, help="per kind of host")
    chosen = parser.parse_args(arguments)
    if not 1_000 <= chosen.decisions <= 10_000_000:
        parser.error("--decisions: between 1000 and 10 000 000")
    print(json.dumps({name: round(value, 3) for name, value in figures(chosen.decisions)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
