"""What the commands have in common: how they are added to the parser, and how they fail."""

from __future__ import annotations

import argparse
import json
import typing

from aluvia.process.statuses import USAGE


class CommandError(Exception):
    """
    A command cannot do what it was asked for. The text is one line for its user; empty if it was
    told already.

    :ivar status: what the process exits with.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class Parser(argparse.ArgumentParser):
    """
    Says what is wrong with a call in one line, and ends with 64 as all of aluvia does.
    """

    def error(self, message: str) -> typing.NoReturn:
        """End the process."""
        raise CommandError(f"{message} ({self.prog} --help says what there is)", USAGE)


#: What ``add_subparsers`` returns.
Commands: typing.TypeAlias = "argparse._SubParsersAction[Parser]"


def add_command(
    commands: Commands,
    name: str,
    execute: typing.Callable[[argparse.Namespace], int],
    summary: str,
    usage: str,
) -> Parser:
    """
    Add a command.

    :param execute: gets the parsed arguments, and returns the exit status.
    :param usage: what stands behind the command's name.
    """
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary,
        usage=f"aluvia {name} {usage}",
        allow_abbrev=False,
    )
    parser.set_defaults(execute=execute)
    return parser


def add_json(parser: Parser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="say it as JSON")


def print_json(data: object) -> None:
    """Print an object as JSON, readable for people too."""
    print(json.dumps(data, indent=2))
