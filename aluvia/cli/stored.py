"""
What the commands have in common that look into a store and change it, whether a door runs on it or
not: their arguments, their errors, and how they write.
"""

from __future__ import annotations

import argparse
import collections.abc
import contextlib
import time
import typing
from pathlib import Path

from aluvia.cli.command import CommandError, Parser, add_json, print_json
from aluvia.process.statuses import CONFIG, DATA, USAGE

if typing.TYPE_CHECKING:
    from aluvia.store.database import Database

#: The action that takes no name.
LIST = "list"

#: The action that makes the file if it is not there.
ADD = "add"


def add_arguments(
    parser: Parser, actions: typing.Sequence[str], what: str, name: str, door: str
) -> None:
    """
    Add what each of them takes.

    :param what: for people, what the actions do.
    :param name: of which characters a NAME is.
    :param door: whose file it is; without ``--db`` it has its name.
    """
    parser.add_argument("action", choices=actions, help=what)
    parser.add_argument("name", nargs="?", metavar="NAME", help=f"of {name}")
    file = f"{door}.db"
    parser.add_argument(
        "--db", default=file, metavar="FILE", help=f"the {door}'s file [default: {file}]"
    )
    add_json(parser)


@contextlib.contextmanager
def opened(command: str, arguments: argparse.Namespace) -> collections.abc.Iterator[Database]:
    """
    Open the file, for what the arguments ask for.

    :raises CommandError: they fit nothing, or the file cannot be opened, or what was done in the
        block raised an error of the store's.
    """
    # Not before it is needed: it takes a while, and the other commands are quick.
    from aluvia.store import errors  # noqa: PLC0415
    from aluvia.store.database import Database  # noqa: PLC0415

    action = arguments.action
    if (arguments.name is None) is not (action == LIST):
        what = "takes no NAME" if action == LIST else "wants a NAME"
        raise CommandError(f"{command} {action} {what}", USAGE)
    try:
        database = Database(Path(arguments.db), create=action == ADD)
        try:
            yield database
        finally:
            database.close()
    except errors.BadNameError as error:
        raise CommandError(str(error), USAGE) from None
    except (errors.NotFoundError, errors.TakenError) as error:
        raise CommandError(f"{arguments.db}: {error}", DATA) from None
    except errors.StoreError as error:
        raise CommandError(str(error), CONFIG) from None


def show_done(done: str, name: str, *, as_json: bool) -> None:
    """
    Say what was done to the thing of this name.

    :param done: a verb in the past.
    """
    if as_json:
        print_json({"name": name})
    else:
        print(f"{done} {name}.")


def written_time(seconds: float) -> str:
    """A time, as RFC 3339 has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
