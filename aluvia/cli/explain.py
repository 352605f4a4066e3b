"""``aluvia explain``: which way a host goes, and why."""

from __future__ import annotations

import argparse
import re
from urllib.parse import quote, urlsplit

import attrs

from aluvia.cli.ask import add_admin, admin_of
from aluvia.cli.command import (
    CommandError,
    Commands,
    Parser,
    add_command,
    add_json,
    print_json,
)
from aluvia.client.explained import explanation_text
from aluvia.process.statuses import USAGE
from aluvia.rules import RuleSet, explain
from aluvia.wire.target import InvalidHost


def add(commands: Commands) -> Parser:
    """Add the command."""
    parser = add_command(
        commands,
        "explain",
        execute,
        "Say which way a host goes and why, by the rules of the proxy that runs or by given ones.",
        "[--rule PATTERN]... [--admin-port PORT] [--json] HOST",
    )
    parser.add_argument("host", metavar="HOST", help="a host; of a URL its host is taken")
    parser.add_argument(
        "--rule",
        action="append",
        metavar="PATTERN",
        help="judge by this rule (repeatable), and ask nobody",
    )
    add_admin(parser)
    add_json(parser)
    return parser


def execute(arguments: argparse.Namespace) -> int:
    """Explain."""
    host = host_of(arguments.host)
    if arguments.rule:
        try:
            data = attrs.asdict(explain(RuleSet.compile(arguments.rule), host))
        except InvalidHost as error:
            raise CommandError(str(error), USAGE) from None
    else:
        admin = admin_of(arguments)
        data = admin.get_json(f"/explain?host={quote(host, safe='')}")
        try:
            explanation_text(data)
        except (LookupError, TypeError, ValueError):
            raise admin.stranger() from None
    if arguments.json:
        print_json(data)
    else:
        print(explanation_text(data), end="")
    return 0


def host_of(text: str) -> str:
    """The host of a URL or of ``host:port``, as people have them at hand; otherwise the text."""
    if "://" in text:
        try:
            return urlsplit(text).hostname or text
        except ValueError:
            return text
    match = re.fullmatch(r"([^:]+|\[.*\]):[0-9]+", text)
    return match[1] if match is not None else text
