"""Hostname rules: which requests go through the gateway, and why. Pure; no I/O.

:mod:`~aluvia.rules.model` says what a rule is and :mod:`~aluvia.rules.read` reads it;
:mod:`~aluvia.rules.match` says what one pattern matches; :mod:`~aluvia.rules.decide` compiles a
list of them for the data path; :mod:`~aluvia.rules.explain` and :mod:`~aluvia.rules.lint` are for
people.
"""

from __future__ import annotations

from aluvia.rules.decide import Decision, RuleSet, should_proxy
from aluvia.rules.explain import Explanation, explain
from aluvia.rules.lint import Finding, Severity, lint
from aluvia.rules.match import match_pattern

__all__ = [
    "Decision",
    "Explanation",
    "Finding",
    "RuleSet",
    "Severity",
    "explain",
    "lint",
    "match_pattern",
    "should_proxy",
]
