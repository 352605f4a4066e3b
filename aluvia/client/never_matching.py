"""
Rules of a control plane that can never match, said in the log.

They are ignored, and who wrote them thinks that they do something. A rule of the command line is
judged at start (:mod:`aluvia.client.advice`); these come while we run, in any number, and from
somebody else: so a few of them are shown, cut, on one line each, without what a terminal would act
on.
"""

from __future__ import annotations

import collections.abc

from aluvia.rules import RuleSet, Severity, lint
from aluvia.telemetry.logs import escape

#: More than these are only counted.
SHOWN = 10

#: More of a rule is not shown. No pattern that could match is longer by much.
RULE_CHARACTERS = 300


def never_matching(
    sent: collections.abc.Sequence[str],
    compiled: RuleSet,
    redact: collections.abc.Callable[[str], str],
) -> list[str]:
    """
    A line for each of the first :data:`SHOWN`, and one for all the others.

    :param sent: the rules as they came.
    :param compiled: what became of them. Only what is not in it is looked at again.
    :param redact: takes out of a rule what must not be shown.
    """
    if len(compiled.rules) == len(sent):
        return []
    count = {rule.index for rule in compiled.rules}
    left_out = (text for index, text in enumerate(sent) if index not in count)
    # The rest of what is left out, blanks and AUTO, is nobody's mistake.
    found = [each for each in lint(left_out) if each.severity is Severity.WARNING]
    lines = [
        f"Rule '{_shown(redact(each.rule))}' is ignored: {each.sentence}" for each in found[:SHOWN]
    ]
    if len(found) > SHOWN:
        lines.append(f"{len(found) - SHOWN} more rules can never match, and are ignored.")
    return lines


def _shown(text: str) -> str:
    return escape(text[:RULE_CHARACTERS])[:RULE_CHARACTERS]
