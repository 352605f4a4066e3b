"""``aluvia hash-password``: what a provider of an edge's keeps in place of a password."""

from __future__ import annotations

import argparse
import getpass
import sys

from aluvia.cli.command import CommandError, Commands, Parser, add_command
from aluvia.process.statuses import USAGE

#: What is read of a pipe at most: more is no password.
INPUT_CHARS = 8_192


def add(commands: Commands) -> Parser:
    """Add the command."""
    return add_command(
        commands,
        "hash-password",
        execute,
        "Print the hash of a password, for the passwordHash of a user. The password is asked for "
        "at a terminal, else it is read from standard input.",
        "",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Read the password, and print its hash."""
    # Not before it is needed: it takes a while, and the other commands are quick.
    from aluvia.edge.password_hashes import hash_password  # noqa: PLC0415

    try:
        print(hash_password(_typed() if sys.stdin.isatty() else _piped()))
    except UnicodeError:
        # The error's own text would show a part of it.
        raise CommandError(
            "the password is no text in the encoding of this terminal", USAGE
        ) from None
    except ValueError as error:
        raise CommandError(str(error), USAGE) from None
    return 0


def _typed() -> str:
    try:
        password = getpass.getpass("Password: ")
        again = getpass.getpass("The same again: ")
    except EOFError:
        raise CommandError("there is no password", USAGE) from None
    if password != again:
        raise CommandError("the two are not the same", USAGE)
    return password


def _piped() -> str:
    """One line; its end is no part of the password."""
    return sys.stdin.read(INPUT_CHARS).removesuffix("\n").removesuffix("\r")
