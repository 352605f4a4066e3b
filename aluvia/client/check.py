"""What ``--check`` prints: the options that would be used, without passwords, and what to know."""

from __future__ import annotations

import json

from aluvia.client.advice import advice
from aluvia.client.options import OPTIONS
from aluvia.client.settings import Settings
from aluvia.rules import lint
from aluvia.telemetry.logs import escape


def report(settings: Settings) -> str:
    """
    A TOML file, but for the passwords, with a comment behind each option that says where it came
    from; then advice, what the linter says of the rules, and OK.
    """
    lines = []
    fields = {option.name: option.field for option in OPTIONS}
    for name, value in settings.redacted().items():
        source = settings.sources.get(fields[name], "default")
        lines.append(f"{name} = {toml(value)}  # {escape(source)}")
    lines.append("")
    lines += [f"# {escape(line)}" for line in advice(settings)]
    lines += [
        f"# Rule {escape(repr(finding.rule))}: {escape(finding.sentence)}"
        for finding in lint(settings.rules)
        if finding.severity == "info"
    ]
    lines.append("OK")
    return "\n".join(lines) + "\n"


def toml(value: object) -> str:
    """A value as TOML writes it; JSON does so too, but for DEL in strings."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
