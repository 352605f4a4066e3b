"""
``aluvia ready``: whether the door is ready that wrote a port file.

It is for checks of health beside the door, of whatever kind that is:

.. code-block:: text

    what the file says      whose it is          ready
    ----------------------  -------------------  --------------------------------------------------
    ``online``              an agent's           its hub has it
    ``api_url``             an edge's, a         ``/readyz`` says so there
                            gateway's
    ``admin``               the client's         ``/readyz`` says so on that port; without an admin
                                                 port, since the file is there

A file whose process is gone is nobody's.
"""

from __future__ import annotations

import argparse
import typing
from pathlib import Path
from urllib.parse import urlsplit

from aluvia.cli.ask import Admin
from aluvia.cli.command import CommandError, Commands, Parser, add_command
from aluvia.process.statuses import UNAVAILABLE


def add(commands: Commands) -> Parser:
    """Add the command."""
    parser = add_command(
        commands,
        "ready",
        execute,
        "Say whether a door is ready: a proxy, a gateway, an edge or an agent, by the file of its "
        "--port-file. Status 1 if it runs and is not ready, 69 if it does not run.",
        "FILE",
    )
    parser.add_argument("file", metavar="FILE", help="what it was given as --port-file")
    return parser


def execute(arguments: argparse.Namespace) -> int:
    """Look, ask, and say."""
    reason = why_not(arguments.file, _said(arguments.file))
    print("ready" if reason is None else f"not ready: {reason}")
    return 0 if reason is None else 1


def why_not(file: str, said: typing.Mapping[str, typing.Any]) -> str | None:
    """
    Why a door is not ready; None if it is.

    :param file: for people.
    :param said: what its port file says.
    :raises CommandError: it does not answer, or not as one does.
    """
    if "online" in said:
        return None if said["online"] is True else "the hub is away, or refuses the agent"
    if said.get("api_url") is not None:
        base = urlsplit(str(said["api_url"])).netloc
    elif said.get("admin") is not None:
        base = f"127.0.0.1:{said['admin']}"
    else:
        return None
    admin = Admin(f"http://{base}", f"{file} names it")
    data = admin.get_json("/readyz", (200, 503))
    if not isinstance(data.get("ready"), bool):
        raise admin.stranger()
    return None if data["ready"] else str(data.get("reason"))


def _said(file: str) -> dict[str, typing.Any]:
    # Not before it is needed: it takes a while, and the other commands are quick.
    from aluvia.process import port_file  # noqa: PLC0415

    try:
        said = port_file.read(Path(file))
    except OSError as error:
        raise CommandError(
            f"nothing runs that writes {file}: {error.strerror}", UNAVAILABLE
        ) from None
    if said is None:
        raise CommandError(f"{file} is no port file of aluvia", UNAVAILABLE)
    if not port_file.runs(said["pid"]):
        raise CommandError(f"the process is gone that wrote {file}", UNAVAILABLE)
    return said
