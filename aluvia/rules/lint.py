"""What is odd about a list of rules, in plain sentences.

========================  ========  ==========================================================
code                      severity  when
========================  ========  ==========================================================
``never-matches``         warning   no host can match; the rule is ignored
``not-a-string``          warning   the entry is ignored
``duplicate``             warning   a rule before it says the same, perhaps in other words
``shadowed``              warning   an inclusion, all of whose hosts one exclusion takes away
``only-exclusions``       warning   there is no inclusion, so everything is direct anyway
``overlap``               info      a wider rule of the same sign says it already
``narrower-than-prefix``  info      ``google.*``: other programs read it as a prefix
``public-suffix``         info      ``*.co.uk``: everybody's names
``private-suffix``        info      ``*.github.io``: names of many owners
``respelled``             info      the pattern is read as something that looks different
``blank``                 info      the entry is ignored
``placeholder``           info      ``AUTO``, ignored
========================  ========  ==========================================================

One pattern covers another when every host of the second matches the first. Rules are compared by
:func:`covering`, which lists all patterns that could cover one, so that a list of any length is
judged in one pass. Coverage by several rules together is not looked for.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator

import attrs

from aluvia.rules.match import address_number, stems_of
from aluvia.rules.model import Ignored, Kind, Pattern, Rule
from aluvia.rules.read import read_rules
from aluvia.rules.suffixes import is_icann_suffix, is_private_suffix
from aluvia.rules.tables import tails

__all__ = ["Finding", "Severity", "covering", "lint"]


class Severity(enum.StrEnum):
    """WARNING: it does not do what it seems to say. INFO: worth knowing."""

    WARNING = "warning"
    INFO = "info"


@attrs.frozen
class Finding:
    """One odd thing about one rule.

    :ivar rule: the text of the rule.
    :ivar index: where it stands in the list, from 0.
    :ivar code: a name that stays, for programs; the table is at the top of this module.
    :ivar sentence: for people.
    """

    rule: str
    index: int
    severity: Severity
    code: str
    sentence: str


def lint(rules: Iterable[object]) -> list[Finding]:
    """Return what is odd about a list of rules, in the order of the list.

    :raises TypeError: when ``rules`` is one string.
    """
    entries = list(read_rules(rules))
    counted = [entry for entry in entries if isinstance(entry, Rule)]
    first: dict[tuple[bool, Pattern], Rule] = {}
    for rule in counted:
        first.setdefault((rule.excludes, rule.pattern), rule)
    findings = []
    if counted and all(rule.excludes for rule in counted):
        sentence = "There are exclusions only, so everything is direct, with or without them."
        findings.append(_finding(counted[0], Severity.WARNING, "only-exclusions", sentence))
    for entry in entries:
        if isinstance(entry, Ignored):
            findings.append(_ignored(entry))
        else:
            findings.extend(_of_itself(entry))
            findings.extend(_among_others(entry, first))
    return sorted(findings, key=lambda finding: finding.index)


def _finding(rule: Rule | Ignored, severity: Severity, code: str, sentence: str) -> Finding:
    return Finding(rule.text, rule.index, severity, code, sentence)


def _ignored(entry: Ignored) -> Finding:
    harmless = entry.reason in ("blank", "placeholder")
    severity = Severity.INFO if harmless else Severity.WARNING
    return _finding(entry, severity, entry.reason, entry.sentence)


def _of_itself(rule: Rule) -> Iterator[Finding]:
    """Yield what can be said of a rule without the others."""
    pattern = rule.pattern
    written = rule.text.removeprefix("-").strip().lower().removesuffix(".")
    is_prefix = pattern.kind is Kind.IPV4 and "/" not in written
    if written.replace("[", "").replace("]", "") != str(pattern) and not is_prefix:
        yield _finding(rule, Severity.INFO, "respelled", f"This is read as {pattern}.")
    name = pattern.name
    if pattern.kind in (Kind.STEM, Kind.BELOW_STEM):
        sentence = (
            f"The last star is a registry's suffix: {name}.com and {name}.co.uk match,"
            f" {name}.evil.com and {name}.github.io do not, though they begin alike."
        )
        yield _finding(rule, Severity.INFO, "narrower-than-prefix", sentence)
    elif pattern.kind is Kind.BELOW and is_icann_suffix(name):
        sentence = f"Every name registered under {name} matches."
        yield _finding(rule, Severity.INFO, "public-suffix", sentence)
    elif pattern.kind is Kind.BELOW and is_private_suffix(name):
        sentence = f"Names below {name} belong to many owners, and all of them match."
        yield _finding(rule, Severity.INFO, "private-suffix", sentence)


def _among_others(rule: Rule, first: dict[tuple[bool, Pattern], Rule]) -> Iterator[Finding]:
    """Yield what can be said of a rule because of the others."""
    same = first[rule.excludes, rule.pattern]
    if same is not rule:
        sentence = f"{same.text!r} before it says the same."
        yield _finding(rule, Severity.WARNING, "duplicate", sentence)
    if not rule.excludes:
        for pattern in (rule.pattern, *covering(rule.pattern)):
            exclusion = first.get((True, pattern))
            if exclusion is not None:
                sentence = f"{exclusion.text!r} excludes every host that this includes."
                yield _finding(rule, Severity.WARNING, "shadowed", sentence)
                break
    for pattern in covering(rule.pattern):
        wider = first.get((rule.excludes, pattern))
        if wider is not None:
            sentence = f"{wider.text!r} covers every host that this matches."
            yield _finding(rule, Severity.INFO, "overlap", sentence)
            break


def covering(pattern: Pattern) -> Iterator[Pattern]:
    """Yield every other pattern that matches all hosts of this one, ``*`` last."""
    name, kind = pattern.name, pattern.kind
    if kind is Kind.NAME:
        number = address_number(name)
        if number is not None:
            width = 128 if ":" in name else 32
            family = Kind.IPV6 if ":" in name else Kind.IPV4
            yield from _wider_networks(family, number, width, width)
        else:
            yield from (Pattern(Kind.BELOW, base) for base in tails(name))
            for stem in stems_of(name):
                yield Pattern(Kind.STEM, stem)
                yield from (Pattern(Kind.BELOW_STEM, tail) for tail in tails(stem))
    elif kind is Kind.BELOW:
        yield from (Pattern(kind, base) for base in tails(name))
        for stem in stems_of(name):
            yield from (Pattern(Kind.BELOW_STEM, tail) for tail in (stem, *tails(stem)))
    elif kind in (Kind.STEM, Kind.BELOW_STEM):
        yield from (Pattern(Kind.BELOW_STEM, tail) for tail in tails(name))
    elif kind in (Kind.IPV4, Kind.IPV6):
        width = 32 if kind is Kind.IPV4 else 128
        yield from _wider_networks(kind, pattern.network, pattern.bits, width)
    if kind is not Kind.ANY:
        yield Pattern(Kind.ANY)


def _wider_networks(kind: Kind, number: int, bits: int, width: int) -> Iterator[Pattern]:
    for wider in range(bits - 1, -1, -1):
        shift = width - wider
        yield Pattern(kind, network=number >> shift << shift, bits=wider)
