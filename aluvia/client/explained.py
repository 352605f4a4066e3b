"""An explanation of a decision, written for people: by the admin port and ``aluvia explain``."""

from __future__ import annotations

import typing

from aluvia.telemetry.logs import escape


def explanation_text(data: typing.Mapping[str, object]) -> str:
    """An explanation for people, from what JSON says of it."""
    through = f" ({data['gateway']})" if data.get("gateway") else ""
    lines = [f"{data['host']}: {data['way']}{through}"]
    lines.append(f"by: {data['rule']}" if data["rule"] is not None else "by: no rule matches")
    lost = data["lost"]
    if isinstance(lost, list | tuple) and lost:
        lines.append(f"matching too: {', '.join(map(str, lost))}")
    return "\n".join(map(escape, lines)) + "\n"
