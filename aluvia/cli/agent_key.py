"""``aluvia agent-key``: which agents may connect to a hub; in its file, whether it runs or not."""

from __future__ import annotations

import argparse
import collections.abc
import contextlib
import datetime
import functools
import os
import re
import time
import typing
from pathlib import Path

import attrs

from aluvia.cli.command import CommandError, Commands, Parser, add_command, print_json
from aluvia.cli.stored import ADD, LIST, add_arguments, opened, show_done, written_time
from aluvia.hub.keys import AnyID
from aluvia.hub.registration import tunnel_id
from aluvia.process.statuses import CANNOT_CREATE, USAGE
from aluvia.telemetry.logs import escape
from aluvia.telemetry.written import table

if typing.TYPE_CHECKING:
    from aluvia.store.agent_keys import AgentKey, NewKey
    from aluvia.store.database import Database

#: The other action that makes a key.
ROTATE = "rotate"

_SECONDS = {"h": 3_600, "d": 86_400, "w": 604_800}


def add(commands: Commands) -> Parser:
    """Add the command."""
    parser = add_command(
        commands,
        "agent-key",
        execute,
        "Say which agents may connect to a hub: add a key, put another one in its place, revoke "
        "it, or list them all.",
        "[--db FILE] [--json] (add NAME [--key-file FILE] [--publish ID]... [--exit] "
        "[--expires WHEN] | rotate NAME [--key-file FILE] | revoke NAME | list)",
    )
    add_arguments(
        parser,
        (ADD, ROTATE, "revoke", LIST),
        "add: print a key, which is not shown again; rotate: print another one that may do the "
        "same, in its place; a hub that runs sees any change in a second, and ends the sessions "
        "of agents that may not stay",
        "A-Z, a-z, 0-9, _, . and -: what you call it",
        "edge",
    )
    parser.add_argument(
        "--key-file",
        metavar="FILE",
        help="write the key there, for its owner alone, and print nothing of it; add makes the "
        "file, rotate may replace it",
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
        say = _perform(database, arguments, now, may)
    say()
    return 0


def _what_it_may(arguments: argparse.Namespace, now: float) -> dict[str, typing.Any]:
    """The fields of the key that is to be made."""
    wanted = arguments.publish or arguments.exit or arguments.expires is not None
    if wanted and arguments.action != ADD:
        raise CommandError(
            f"agent-key {arguments.action} takes no --publish, --exit or --expires", USAGE
        )
    if arguments.key_file is not None and arguments.action not in (ADD, ROTATE):
        raise CommandError(f"agent-key {arguments.action} takes no --key-file", USAGE)
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
    arguments: argparse.Namespace,
    now: float,
    may: typing.Mapping[str, typing.Any],
) -> typing.Callable[[], object]:
    """
    :return: says what came of it.
    """
    from aluvia.store import agent_keys  # noqa: PLC0415

    action, name, as_json = arguments.action, arguments.name, arguments.json
    if action == LIST:
        with database.reading() as connection:
            return functools.partial(_show_all, agent_keys.every(connection), now, as_json)
    if action not in (ADD, ROTATE):
        with database.writing() as connection:
            agent_keys.remove(connection, name)
        return functools.partial(show_done, "Revoked", name, as_json=as_json)
    file = None if arguments.key_file is None else Path(arguments.key_file)
    # The transaction ends first: the file appears once the key is good.
    with _appearing(file, new=action == ADD) as write, database.writing() as connection:
        if action == ADD:
            new = agent_keys.add(connection, name, now, **may)
        else:
            new = agent_keys.rotate(connection, name, now)
        write(new.key)
    if file is None:
        return functools.partial(_show_new, new, as_json)
    return functools.partial(show_done, f"{file} has the key of", name, as_json=as_json)


@contextlib.contextmanager
def _appearing(
    path: Path | None, *, new: bool
) -> collections.abc.Iterator[typing.Callable[[str], object]]:
    """
    A file that is there, whole and for its owner alone, when the block has come to its good end.

    :param path: None for no file; what is written is then nobody's.
    :param new: whether it may not be there yet.
    :raises CommandError: it is, or it cannot be written; what stood there before stays.
    """
    if path is None:
        yield lambda line: None
        return
    if new and os.path.lexists(path):
        raise CommandError(f"{path} is there already", CANNOT_CREATE)
    beside = path.with_name(f".{path.name}.{os.getpid()}")

    def write(line: str) -> None:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(descriptor)

    try:
        yield write
        beside.replace(path)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}", CANNOT_CREATE) from None
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


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
