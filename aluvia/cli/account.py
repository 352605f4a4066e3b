"""``aluvia account``: who may use a gateway; in the gateway's file, whether it runs or not."""

from __future__ import annotations

import argparse
import functools
import time
import typing

import attrs

from aluvia.cli.command import Commands, Parser, add_command, print_json
from aluvia.cli.stored import ADD, LIST, add_arguments, opened, show_done, written_time
from aluvia.telemetry.written import table

if typing.TYPE_CHECKING:
    from aluvia.store.accounts import Account, Credentials
    from aluvia.store.database import Database


def add(commands: Commands) -> Parser:
    """Add the command."""
    parser = add_command(
        commands,
        "account",
        execute,
        "Say who may use a gateway: add or remove an account, give it another password, or list "
        "them all.",
        "[--db FILE] [--json] (add NAME | rotate NAME | remove NAME | list)",
    )
    add_arguments(
        parser,
        (ADD, "rotate", "remove", LIST),
        "add: print its user token, which is not shown again, and its proxy credentials; "
        "rotate: give it another proxy password; a gateway that runs sees any change in a second",
        "a-z, 0-9, _ and .",
        "gateway",
    )
    return parser


def execute(arguments: argparse.Namespace) -> int:
    """Do it, and say what came of it when it is on the disk."""
    with opened("account", arguments) as database:
        say = _perform(database, arguments.action, arguments.name, arguments.json)
    say()
    return 0


def _perform(
    database: Database, action: str, name: str, as_json: bool
) -> typing.Callable[[], object]:
    """
    :return: says what came of it.
    """
    from aluvia.store import accounts  # noqa: PLC0415

    if action == LIST:
        with database.reading() as connection:
            return functools.partial(_show_all, accounts.every(connection), as_json)
    now = time.time()
    with database.writing() as connection:
        if action == ADD:
            return functools.partial(_show_new, accounts.add(connection, name, now), as_json)
        if action == "rotate":
            account = accounts.rotate_password(connection, name, now)
            return functools.partial(_show_password, account, as_json)
        accounts.remove(connection, name)
        return functools.partial(show_done, "Removed", name, as_json=as_json)


def _show_new(made: Credentials, as_json: bool) -> None:
    if as_json:
        print_json(attrs.asdict(made))
        return
    print(f"token           {made.token}")
    print(f"proxy_username  {made.proxy_username}")
    print(f"proxy_password  {made.proxy_password}")
    print()
    print("The token is not kept, and cannot be shown again.")


def _show_password(account: Account, as_json: bool) -> None:
    if as_json:
        shown = {"name": account.name, "proxy_username": account.proxy_username}
        print_json(shown | {"proxy_password": account.proxy_password})
        return
    print(f"proxy_username  {account.proxy_username}")
    print(f"proxy_password  {account.proxy_password}")


def _show_all(accounts: typing.Sequence[Account], as_json: bool) -> None:
    """Without secrets: a list is looked at over shoulders."""
    if as_json:
        fields = ("name", "rules", "session_id", "target_geo", "revision", "created", "updated")
        print_json([{field: getattr(each, field) for field in fields} for each in accounts])
        return
    rows = [(each.name, str(len(each.rules)), written_time(each.created)) for each in accounts]
    print(table("NAME #RULES CREATED", rows), end="")
