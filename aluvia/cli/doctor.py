"""
``aluvia doctor``: whether a client could run with these settings, and what to do if not.

It takes the options of ``twistd aluvia`` and reads the same sources, so that it finds what that
would find. The checks outside of this machine are in :mod:`aluvia.cli.examination`; the settings
and the ports are looked at here.
"""

from __future__ import annotations

import argparse
import errno
import os
import socket
import typing
from urllib.parse import urlsplit

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from aluvia.cli.ask import Admin
from aluvia.cli.command import CommandError, Commands, Parser, add_command, add_json, print_json
from aluvia.cli.run import add_options, flags_of
from aluvia.client.advice import advice
from aluvia.client.load import SettingsError, load_settings
from aluvia.client.settings import Settings
from aluvia.process.statuses import CANNOT_CREATE
from aluvia.telemetry.logs import escape
from aluvia.telemetry.redaction import Redactor

OK = "ok"
WARNING = "warning"
BAD = "bad"
SKIPPED = "skipped"

#: Where an admin port always is.
ADMIN_ADDRESS = "127.0.0.1"

_SHOWN = {OK: "ok", WARNING: "warning", BAD: "BAD", SKIPPED: "-"}


@attrs.frozen
class Check:
    """
    One check.

    :ivar result: one of :data:`OK`, :data:`WARNING`, :data:`BAD` and :data:`SKIPPED`.
    :ivar text: what was found; a sentence without secrets.
    :ivar advice: what to do; empty where there is nothing.
    :ivar status: what the process exits with if this is the first that is bad.
    """

    name: str
    result: str
    text: str
    advice: str = ""
    status: int = 0


def add(commands: Commands) -> Parser:
    """Add the command."""
    parser = add_command(
        commands,
        "doctor",
        execute,
        "Look whether a proxy could run with these settings: the control plane, the token, the "
        "configuration, the gateway and the ports, each with what to do. Status 0 if all is good, "
        "else that of the first that is not.",
        "[options] [--json]",
    )
    add_options(parser, {})
    add_json(parser)
    return parser


def execute(arguments: argparse.Namespace) -> int:
    """Look, and tell."""
    redactor = Redactor()
    checks = examine(flags_of(arguments), os.environ, redactor)
    status = next((each.status for each in checks if each.result == BAD), 0)
    # The second line of defence: none of the texts should have a secret.
    told = [
        attrs.evolve(each, text=redactor(each.text), advice=redactor(each.advice))
        for each in checks
    ]
    if arguments.json:
        print_json({"status": status, "checks": [_as_data(each) for each in told]})
    else:
        print("\n".join(line for each in told for line in _lines(each)))
    return status


def examine(
    flags: typing.Mapping[str, object], environ: typing.Mapping[str, str], redactor: Redactor
) -> list[Check]:
    """
    All checks, in their order.

    :param redactor: learns every secret that comes up.
    """
    try:
        settings = load_settings(flags, environ)
    except SettingsError as error:
        return [Check("settings", BAD, f"{error}.", "Mend that, and look again.", error.status)]
    redactor.add(*([] if settings.token is None else [settings.token]))
    for username, password in settings.credentials():
        redactor.add_credentials(username, password)
    # Not at import: the examination makes checks, and a check is defined here.
    from aluvia.cli.examination import Examination  # noqa: PLC0415

    return [
        of_settings(settings),
        *_run(lambda reactor: Examination(settings, reactor, redactor.add_credentials).checks()),
        *of_ports(settings),
    ]


def of_settings(settings: Settings) -> Check:
    """That they can be read is known by now; what there is to say of them."""
    source = settings.sources.get("token") or settings.sources.get("gateway", "")
    what = "token" if settings.token is not None else "gateway"
    told = advice(settings)
    text = f"They are good; the {what} is from {source}."
    return Check("settings", WARNING if told else OK, text, "\n".join(told))


def of_ports(settings: Settings) -> list[Check]:
    """Whether the ports are free, or have the proxy that these settings are for."""
    running = _running(settings)
    checks = []
    for name, option, host, port in (
        ("proxy port", "--port", settings.listen, settings.port),
        ("admin port", "--admin-port", ADMIN_ADDRESS, settings.admin_port),
    ):
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if not port:
            why = "None is wanted." if port is None else "Any free one is taken."
            checks.append(Check(name, OK, why))
            continue
        error = _bound(host, port)
        if error is None:
            checks.append(Check(name, OK, f"{place} is free."))
        elif error.errno == errno.EADDRINUSE and port in running:
            checks.append(Check(name, OK, f"{place} belongs to the aluvia that runs already."))
        else:
            if error.errno == errno.EADDRINUSE:
                todo = f"End the program that has it, or choose another with {option}."
            elif error.errno == errno.EACCES:
                todo = f"Choose one above 1023 with {option}."
            else:
                todo = "Look at --listen." if option == "--port" else f"Look at {option}."
            text = f"{place} cannot be bound: {error.strerror}."
            checks.append(Check(name, BAD, text, todo, CANNOT_CREATE))
    return checks


def _running(settings: Settings) -> set[int]:
    """The ports of the aluvia that runs with this admin port, if one does."""
    if not settings.admin_port:
        return set()
    try:
        data = Admin(f"http://{ADMIN_ADDRESS}:{settings.admin_port}").get_json(
            "/readyz", (200, 503)
        )
        return {settings.admin_port, urlsplit(data["url"]).port or 0}
    except (CommandError, LookupError, TypeError, ValueError, AttributeError):
        return set()


def _bound(host: str, port: int) -> OSError | None:
    """Bind a port as the proxy would, and let go; why that is not possible, if so."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, port))
            # Two may be bound with SO_REUSEADDR as long as none listens.
            sock.listen(1)
    except OSError as error:
        return error
    return None


def _run(
    begin: typing.Callable[
        [typing.Any], typing.Coroutine[Deferred[typing.Any], object, list[Check]]
    ],
) -> list[Check]:
    """Run a reactor for as long as a coroutine takes."""
    from twisted.internet import reactor as running  # noqa: PLC0415

    reactor: typing.Any = running
    outcome: list[list[Check] | Failure] = []

    def ended(result: list[Check] | Failure) -> None:
        outcome.append(result)
        reactor.stop()

    async def look() -> list[Check]:
        # In here, so that what goes wrong at the beginning ends the reactor too.
        return await begin(reactor)

    def started() -> None:
        Deferred.fromCoroutine(look()).addBoth(ended)

    reactor.callWhenRunning(started)
    reactor.run()
    if not outcome:
        # Somebody has stopped it.
        raise KeyboardInterrupt
    if isinstance(outcome[0], Failure):
        outcome[0].raiseException()
        raise AssertionError
    return outcome[0]


def _as_data(check: Check) -> dict[str, object]:
    return {
        "name": check.name,
        "result": check.result,
        "text": check.text,
        "advice": check.advice.splitlines(),
        "status": check.status,
    }


def _lines(check: Check) -> typing.Iterator[str]:
    yield f"{_SHOWN[check.result]:<8} {check.name:<14} {escape(check.text)}"
    for line in check.advice.splitlines():
        yield f"{'':<23} {escape(line)}"
