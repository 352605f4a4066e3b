"""``aluvia lint``: what is odd about rules."""

from __future__ import annotations

import argparse

import attrs

from aluvia.cli.command import Commands, Parser, add_command, add_json, print_json
from aluvia.rules import Severity, lint
from aluvia.telemetry.logs import escape


def add(commands: Commands) -> Parser:
    """Add the command."""
    parser = add_command(
        commands,
        "lint",
        execute,
        "Say what is odd about rules. Status 1 if one of them does not do what it seems to say.",
        "[--json] RULE...",
    )
    parser.add_argument("rules", nargs="+", metavar="RULE", help="a rule, such as -www.example.com")
    add_json(parser)
    return parser


def execute(arguments: argparse.Namespace) -> int:
    """Lint the rules as one list."""
    findings = lint(arguments.rules)
    if arguments.json:
        print_json([attrs.asdict(finding) for finding in findings])
    else:
        for finding in findings:
            rule, sentence = escape(repr(finding.rule)), escape(finding.sentence)
            print(f"{finding.severity}: {rule}: {sentence} [{finding.code}]")
        if not findings:
            print("Nothing odd.")
    return int(any(finding.severity is Severity.WARNING for finding in findings))
