"""Where the console script begins."""

from __future__ import annotations

import os
import re
import sys
import typing

from aluvia import __version__
from aluvia.cli import account, agent_key, doctor, explain, hash_password, lint, ready, run, status
from aluvia.cli.command import CommandError, Parser
from aluvia.process.statuses import BROKEN_PIPE, INTERRUPTED, UNAVAILABLE, USAGE
from aluvia.telemetry.logs import escape


def main(words: typing.Sequence[str] | None = None) -> int:
    """
    Execute a command.

    :param words: the command line without the program's name; that of the process by default.
    :return: the exit status.
    """
    try:
        arguments = parse(list(sys.argv[1:] if words is None else words))
        result: int = arguments.execute(arguments)
        sys.stdout.flush()
    except CommandError as error:
        if str(error):
            sys.stderr.write(f"aluvia: {escape(str(error))}\n")
        return error.status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read has had enough; the interpreter would complain when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        sys.stderr.write(f"aluvia: {escape(str(error))}\n")
        return UNAVAILABLE
    return result


def parse(words: list[str]) -> typing.Any:
    """
    Parse a command line.

    :raises CommandError: if it is none.
    :raises SystemExit: with 0, for ``--help`` and ``--version``.
    """
    parser = Parser(
        prog="aluvia",
        description="Programs for a local forward proxy; the proxy itself is: twistd -n aluvia",
        epilog="aluvia COMMAND --help says what a command takes.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"aluvia {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in (run, explain, lint, status, ready, doctor, account, agent_key, hash_password):
        command.add(commands)
    if not words:
        parser.print_help(sys.stderr)
        raise CommandError("which command?", USAGE)
    words, behind = _split(words)
    arguments = parser.parse_args(words)
    arguments.command = behind
    return arguments


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """
    What argparse may see, and the command behind ``run … --``.

    Exclusions begin with a minus as options do, so argparse would not take them: behind ``--rule``
    they are joined to it, and those of ``lint`` are put behind a ``--``.
    """
    if words[0] == "run" and "--" in words:
        at = words.index("--")
        words, behind = words[:at], words[at + 1 :]
    else:
        behind = []
    if words[0] == "lint":
        options = [word for word in words[1:] if word == "-h" or re.match("--.", word)]
        rules = [word for word in words[1:] if word not in (*options, "--")]
        return ["lint", *options, "--", *rules], behind
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == "--rule":
            joined[-1] = f"--rule={word}"
        else:
            joined.append(word)
    return joined, behind
