"""
What the agent's operator should know, and what ``--check`` prints.

``--check`` reads all that a start would read, tells the hub nothing, and connects to each target. A
target that does not answer yet is a note: it may be started later.
"""

from __future__ import annotations

import json
import socket
import typing
from pathlib import Path

from aluvia.agent.hub_url import HubURL
from aluvia.agent.options import OPTIONS, PREFIX
from aluvia.agent.settings import Settings
from aluvia.agent.tunnels import Published
from aluvia.net.errors import dial_error
from aluvia.telemetry.logs import escape

__all__ = ["advice", "examine", "report"]

#: In place of a secret.
HIDDEN = "***"

#: For one target to answer, where a person waits for it; seconds.
PATIENCE = 1.0


def advice(settings: Settings) -> list[str]:
    """What its operator should know, and what is no error: a line each, without secrets."""
    return [*_about_secrets(settings), *_about_variables(settings)]


def _about_secrets(settings: Settings) -> typing.Iterator[str]:
    if settings.hub.exposed:
        yield (
            f"The hub {settings.hub} is reached without TLS (--insecure): the key and all that "
            "visitors send can be read on the way."
        )
    seen = {field for field, source in settings.sources.items() if source.startswith("--")}
    if "publish" in seen and any(each.token is not None for each in settings.publish):
        yield (
            "A visitors' token is on the command line, where other users of this machine can read "
            "it. ALUVIA_PUBLISH or a file (--config) keeps it to yourself."
        )
    if "group" in seen:
        yield (
            "The group is on the command line, where other users of this machine can read it. "
            "ALUVIA_AGENT_GROUP or a file (--config) keeps it to yourself."
        )


def _about_variables(settings: Settings) -> typing.Iterator[str]:
    for variable, holds in settings.passed_over.items():
        yield f"{variable} is not read, since {holds} says something else and stands above it."
    for variable, meant in settings.unknown.items():
        yield f"{variable} is no option. {PREFIX}* is read; is {meant} meant?"


def examine(settings: Settings) -> list[str]:
    """Connect to each target; a line for each that does not answer."""
    notes = []
    for tunnel in settings.tunnels:
        try:
            socket.create_connection((tunnel.host, tunnel.port), PATIENCE).close()
        except TimeoutError:
            notes.append(f"{tunnel.id}: {tunnel.place} does not answer yet.")
        except OSError as error:
            notes.append(f"{tunnel.id}: {tunnel.place}: {dial_error(error).detail}")
    return notes


def report(settings: Settings, notes: typing.Iterable[str] = ()) -> str:
    """
    A TOML file of what would be used, but for secrets, with where each came from; then advice, and
    OK.

    :param notes: more advice.
    """
    lines = []
    source_of = settings.sources.get
    for option in OPTIONS:
        value = _shown(option.field, getattr(settings, option.field))
        if value is not None:
            source = escape(source_of(option.field, "default"))
            lines.append(f"{option.name} = {_toml(value)}  # {source}")
    lines.insert(1, f"# the key: {escape(source_of('key', ''))}")
    lines.append("")
    lines += [f"# {escape(line)}" for line in (*advice(settings), *notes)]
    lines.append("OK")
    return "\n".join(lines) + "\n"


def _shown(field: str, value: typing.Any) -> object:
    match value:
        case () | False if field != "insecure":
            return None
        case tuple():
            return [_declared(each) for each in value]
        case HubURL() | Path():
            return str(value)
        case bytes():
            return f"({value.count(b'-----BEGIN CERTIFICATE-----')} certificates)"
        case str() if field == "group":
            return HIDDEN
    shown: object = value
    return shown


def _declared(tunnel: Published) -> str:
    token = "" if tunnel.token is None else f"@{HIDDEN}"
    target = tunnel.place if tunnel.kind == "tcp" else tunnel.target
    return f"{tunnel.id}{token}={target}"


def _toml(value: object) -> str:
    """A value as TOML writes it; JSON does so too, but for DEL in strings."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
