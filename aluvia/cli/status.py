"""``aluvia status``: whether a proxy runs here, and what it does."""

from __future__ import annotations

import argparse
import typing

from prometheus_client.parser import text_string_to_metric_families

from aluvia.cli.ask import add_admin, admin_of
from aluvia.cli.command import Commands, Parser, add_command, add_json, print_json
from aluvia.telemetry.logs import escape
from aluvia.telemetry.written import duration, size

#: Connections that are shown; ``--json`` has them all.
SHOWN = 20


def add(commands: Commands) -> Parser:
    """Add the command."""
    parser = add_command(
        commands,
        "status",
        execute,
        "Say whether a proxy runs here, where, how long, and what goes which way. Status 1 if it "
        "runs and is not ready.",
        "[--admin-port PORT] [--json]",
    )
    add_admin(parser)
    add_json(parser)
    return parser


def execute(arguments: argparse.Namespace) -> int:
    """Ask, and show."""
    admin = admin_of(arguments)
    try:
        data = {
            "admin": admin.url,
            **admin.get_json("/healthz"),
            **admin.get_json("/readyz", (200, 503)),
            **summary(admin.get("/metrics", "text/plain")[1].decode("utf-8", "replace")),
            **admin.get_json("/connections"),
        }
        lines = [escape(line) for line in _lines(data)]
    except (LookupError, TypeError, ValueError):
        raise admin.stranger() from None
    if arguments.json:
        print_json(data)
    else:
        print("\n".join(lines))
    return 0 if data["ready"] else 1


def summary(metrics: str) -> dict[str, typing.Any]:
    """
    What a scrape says of requests and bytes: ``{"requests": {way: {outcome: n}}, "bytes": {way:
    {direction: n}}, "open": {"connections": n, "tunnels": n}}``.
    """
    requests: dict[str, dict[str, int]] = {}
    moved: dict[str, dict[str, int]] = {}
    now = {"connections": 0, "tunnels": 0}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            labels, number = sample.labels, int(sample.value)
            if sample.name == "aluvia_requests_total":
                requests.setdefault(labels["way"], {})[labels["outcome"]] = number
            elif sample.name == "aluvia_bytes_total":
                moved.setdefault(labels["way"], {})[labels["direction"]] = number
            elif sample.name in ("aluvia_connections_open", "aluvia_tunnels_open"):
                now[sample.name.split("_")[1]] = number
    return {"requests": requests, "bytes": moved, "open": now}


def _lines(data: dict[str, typing.Any]) -> typing.Iterator[str]:
    ready = "ready" if data["ready"] else f"not ready: {data['reason']}"
    yield f"aluvia {data['version']} at {data['url']}, {ready}"
    yield f"admin port  {data['admin']}"
    yield f"running     {duration(data['uptime'])}"
    if data["rules"] is not None:
        # They are from a state file, and how old they are nobody has said yet.
        age = "never confirmed" if data["age"] is None else f"{duration(data['age'])} old"
        yield f"rules       {data['rules']}, revision {data['revision']}, {age}"
    if data["last_error"]:
        yield f"last error  {data['last_error']}"
    for way, outcomes in sorted(data["requests"].items()):
        counts = ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
        moved = data["bytes"].get(way, {})
        sizes = ", ".join(f"{size(number)} {where}" for where, number in sorted(moved.items()))
        yield f"{way:<11} {counts}" + (f"; {sizes}" if sizes else "")
    now = data["open"]
    yield f"open        {now['connections']} connections, {now['tunnels']} tunnels"
    for live in data["connections"][:SHOWN]:
        sizes = f"{size(live['bytes_up'])} up, {size(live['bytes_down'])} down"
        rule = f" by {live['rule']}" if live["rule"] is not None else ""
        yield (
            f"  {live['host']} port {live['port']}, {live['way']}{rule}, {sizes}, "
            f"{duration(live['age'])}"
        )
    if len(data["connections"]) > SHOWN:
        yield f"  and {len(data['connections']) - SHOWN} more"
