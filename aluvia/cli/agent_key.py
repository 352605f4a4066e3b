"""``aluvia agent-key``: which agents may connect to a hub; in its file, whether it runs or not."""

from __future__ import annotations

import argparse
import datetime
import functools
import re
import time
import typing

import attrs

from aluvia.cli.command import CommandError, Commands, Parser, add_command, print_json
from aluvia.cli.stored import ADD, LIST, add_arguments, opened, show_done, written_time
from aluvia.hub.keys import AnyID
from aluvia.hub.registration import tunnel_id
from aluvia.process.statuses import USAGE
from aluvia.telemetry.logs import escape
from aluvia.telemetry.written import table

if typing.TYPE_CHECKING:
    from aluvia.store.agent_keys import AgentKey, NewKey
    from aluvia.store.database import Database

_SECONDS = {"h": 3_600, "d": 86_400, "w": 604_800}


def add(commands: Commands) -> Parser:
    """Add the command."""
    parser = add_command(
        commands,
        "agent-key",
        execute,
        "Say which agents may connect to a hub: add a key, put another one in its place, revoke "
        "it, or list them all.",
        "[--db FILE] [--json] (add NAME [--publish ID]... [--exit] [--expires WHEN] | rotate NAME "
        "| revoke NAME | list)",
    )
    add_arguments(
        parser,
        (ADD, "rotate", "revoke", LIST),
        "add: print a key, which is not shown again; rotate: print another one that may do the "
        "same, in its place; a hub that runs sees any change in a second, and ends the sessions "
        "of agents that may not stay",
        "A-Z, a-z, 0-9, _, . and -: what you call it",
        "edge",
    )
    parser.add_argument(
        "--publish",
        action="append",
        default=[],
        metavar="ID",
        help="the id of a tunnel that its agents may publish, * for any; may be repeated "
        "[default: any, and with --exit none]",
    )
    parser.add_argument("--exit", action="store_true", help="its agents may be exits")
    parser.add_argument(
        "--expires",
        metavar="WHEN",
        help="30d, 12h or 4w from now, or 2026-12-31, the last day (UTC) [default: never]",
    )
    return parser


def execute(arguments: argparse.Namespace) -> int:
    """Do it, and say what came of it when it is on the disk."""
    now = time.time()
    may = _what_it_may(arguments, now)
    with opened("agent-key", arguments) as database:
        say = _perform(database, arguments.action, arguments.name, now, may, arguments.json)
    say()
    return 0


def _what_it_may(arguments: argparse.Namespace, now: float) -> dict[str, typing.Any]:
    """The fields of the key that is to be made."""
    wanted = arguments.publish or arguments.exit or arguments.expires is not None
    if wanted and arguments.action != ADD:
        raise CommandError(
            f"agent-key {arguments.action} takes no --publish, --exit or --expires", USAGE
        )
    publish = [_id(each) for each in arguments.publish]
    if not publish and not arguments.exit:
        publish = [AnyID]
    expires = None if arguments.expires is None else expiry(arguments.expires, now)
    return {"publish": publish, "exit": arguments.exit, "expires": expires}


def _id(text: str) -> str:
    id = AnyID if text == AnyID else tunnel_id(text)
    if id is None:
        raise CommandError(
            "--publish: an id has 1 to 63 of a-z, 0-9, - and _, and no dash at its ends; * is any",
            USAGE,
        )
    return id


def expiry(text: str, now: float) -> float:
    """
    When a key expires; seconds since 1970, as ``now`` is.

    :param text: so many hours, days or weeks from now, or the last day.
    :raises CommandError: it is no time, or in the past.
    """
    span = re.fullmatch(r"([0-9]{1,5})([hdw])", text)
    if span is not None:
        expires = now + int(span[1]) * _SECONDS[span[2]]
    else:
        try:
            if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is None:
                raise ValueError
            day = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)
            expires = (day + datetime.timedelta(days=1)).timestamp()
        except (ValueError, OverflowError):
            raise CommandError("--expires: such as 12h, 30d, 4w or 2026-12-31", USAGE) from None
    if expires <= now:
        raise CommandError("--expires: that is over", USAGE)
    return expires


def _perform(
    database: Database,
    action: str,
    name: str,
    now: float,
    may: typing.Mapping[str, typing.Any],
    as_json: bool,
) -> typing.Callable[[], object]:
    """
    :return: says what came of it.
    """
    from aluvia.store import agent_keys  # noqa: PLC0415

    if action == LIST:
        with database.reading() as connection:
            return functools.partial(_show_all, agent_keys.every(connection), now, as_json)
    with database.writing() as connection:
        if action == ADD:
            new = agent_keys.add(connection, name, now, **may)
            return functools.partial(_show_new, new, as_json)
        if action == "rotate":
            return functools.partial(_show_new, agent_keys.rotate(connection, name, now), as_json)
        agent_keys.remove(connection, name)
        return functools.partial(show_done, "Revoked", name, as_json=as_json)


def _show_new(new: NewKey, as_json: bool) -> None:
    if as_json:
        print_json(attrs.asdict(new))
        return
    print(new.key)
    print()
    print("The key is not kept, and cannot be shown again. Put it into a file that the agent alone")
    print("can read, and name that file:")
    print()
    print("    twistd -n aluvia-agent --key-file FILE ...")


def _show_all(keys: typing.Sequence[AgentKey], now: float, as_json: bool) -> None:
    """Without hashes; they are nobody's business."""
    if as_json:
        fields = ("name", "publish", "exit", "expires", "made", "revision", "damage")
        print_json([{field: getattr(each, field) for field in fields} for each in keys])
        return
    print(table("NAME PUBLISH EXIT MADE EXPIRES", [_row(each, now) for each in keys]), end="")


def _row(key: AgentKey, now: float) -> tuple[str, ...]:
    if key.damage is not None:
        return escape(key.name), "cannot be read", "-", "-", "-"
    expires = "never"
    if key.expires is not None:
        expires = "expired" if key.expires <= now else written_time(key.expires)
    publish = escape(",".join(key.publish)) or "-"
    return escape(key.name), publish, "yes" if key.exit else "no", written_time(key.made), expires
