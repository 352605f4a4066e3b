"""``aluvia run``: a command, with a proxy of its own for as long as it runs."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import typing
from pathlib import Path
from urllib.parse import quote

from aluvia.adapters import proxy_environment
from aluvia.cli.command import CommandError, Commands, Parser, add_command
from aluvia.client.load import SettingsError, load_settings
from aluvia.client.options import OPTIONS, PREFIX
from aluvia.client.settings import Settings
from aluvia.integrations.child import NotReadyError, ProxyProcess
from aluvia.process.sources import from_file
from aluvia.process.statuses import NOT_EXECUTABLE, NOT_FOUND, UNAVAILABLE, USAGE
from aluvia.process.takes import Rules, Switch

#: What is different from ``twistd aluvia`` if nothing else is said, wherever it could be: many may
#: run at once, they should not be heard, and whatever a command leaves behind is not waited for.
DEFAULTS = {"port": "0", "admin-port": "none", "log-level": "silent", "drain-timeout": "0"}

#: Options that go to the proxy by its environment.
SECRETS = {"gateway-url", "token"}

_FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def add(commands: Commands) -> Parser:
    """Add the command, with every option of ``twistd aluvia``."""
    parser = add_command(
        commands,
        "run",
        execute,
        "Run a command with a proxy of its own, which its environment names (HTTP_PROXY and "
        "others). The proxy ends when the command does; the status is the command's.",
        "[options] -- COMMAND...",
    )
    add_options(parser, DEFAULTS)
    return parser


def add_options(parser: Parser, defaults: typing.Mapping[str, str]) -> None:
    """Add every option of ``twistd aluvia``, some with another default."""
    for option in OPTIONS:
        text = option.text.replace("%", "%%")
        default = defaults.get(option.name)
        if default is not None:
            text = f"{text.partition(' [')[0]} [default: {default}]"
        if option.takes == Switch():
            parser.add_argument(option.flag, action="store_const", const=True, help=text)
        else:
            action = "append" if option.takes == Rules() else "store"
            parser.add_argument(option.flag, action=action, metavar=option.metavar, help=text)
    parser.add_argument("--config", metavar="FILE", help="a TOML file with any of these options")


def flags_of(arguments: argparse.Namespace) -> dict[str, typing.Any]:
    """The options that were given, by name, as for :func:`~aluvia.client.load.load_settings`."""
    names = (*(option.name for option in OPTIONS), "config")
    given = {name: getattr(arguments, name.replace("-", "_")) for name in names}
    return {name: value for name, value in given.items() if value is not None}


def execute(arguments: argparse.Namespace) -> int:
    """Start the proxy, run the command, end the proxy."""
    if not arguments.command:
        raise CommandError("no command: aluvia run [options] -- COMMAND...", USAGE)
    try:
        flags = with_defaults(flags_of(arguments), os.environ)
        # The child would say the same; but it has not been started yet.
        settings = load_settings(flags, os.environ)
    except SettingsError as error:
        raise CommandError(str(error), error.status) from None
    # Whoever started us may not want to know of its children; we wait for ours.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    proxy = start_proxy(flags, os.environ)
    try:
        proxy.wait_until_ready()
        environ = {**os.environ, **proxy_environment(with_user(proxy.url, settings))}
        return run_command(arguments.command, environ, proxy)
    except NotReadyError as error:
        if error.status is not None and error.status > 0:
            # Its own line about it is on standard error.
            raise CommandError("", error.status) from None
        raise CommandError(str(error), UNAVAILABLE) from None
    finally:
        proxy.end()


def with_defaults(
    flags: typing.Mapping[str, typing.Any], environ: typing.Mapping[str, str]
) -> dict[str, typing.Any]:
    """
    The flags, and :data:`DEFAULTS` for what stands in no source: it is no flag, no variable, and
    not in the file.

    Rejected: to load the settings without them, and to look at their sources. Settings are judged
    together, and with the defaults of ``twistd aluvia`` in these places they may be refused (for
    two ports that are one) where with ours they are not.

    :raises SettingsError: the file is no good.
    """
    config = flags.get("config") or environ.get(f"{PREFIX}CONFIG")
    in_file = from_file(Path(config), OPTIONS) if config else {}
    lacking = {
        option.name: DEFAULTS[option.name]
        for option in OPTIONS
        if option.name in DEFAULTS
        and option.name not in flags
        and option.field not in in_file
        and not environ.get(option.variable)
    }
    return {**lacking, **flags}


def start_proxy(
    flags: typing.Mapping[str, typing.Any], environ: typing.Mapping[str, str]
) -> ProxyProcess:
    """
    Start it, and do not wait.

    :param flags: options by name, as for :func:`~aluvia.client.load.load_settings`.
    :param environ: ours. What has a secret goes there and not into the command line, which every
        user of the machine can read.
    """
    variables = {option.name: option.variable for option in OPTIONS}
    changed = dict(environ)
    for name in SECRETS & set(flags):
        changed[variables[name]] = flags[name]
        if name == "token":
            # It stands above the file that is named beside it now.
            changed.pop(variables["token-file"], None)
    return ProxyProcess(_words(flags), changed)


def _words(flags: typing.Mapping[str, typing.Any]) -> typing.Iterator[str]:
    """The options as a command line has them, without those that have secrets."""
    for option in OPTIONS:
        if option.name not in flags or option.name in SECRETS:
            continue
        value = flags[option.name]
        if option.takes == Switch():
            yield option.flag
        else:
            for text in [value] if isinstance(value, str) else value:
                yield f"{option.flag}={text}"
    if "config" in flags:
        yield f"--config={flags['config']}"


def with_user(url: str, settings: Settings) -> str:
    """The proxy's URL, with a local user's credentials where it wants some."""
    for username, password in (settings.local_users or {}).items():
        return url.replace("://", f"://{quote(username, safe='')}:{quote(password, safe='')}@", 1)
    return url


def run_command(
    words: typing.Sequence[str], environ: typing.Mapping[str, str], proxy: ProxyProcess
) -> int:
    """
    Run the command to its end, and pass signals on to it.

    Signals are taken one by one with ``sigwaitinfo``, which also tells who sent them: those that a
    terminal sends (Ctrl-C) reach the command by themselves, since it is in our process group, and
    would come twice if we passed them on.

    :return: its status; 128 + N if signal N ended it; 127 or 126 if it could not be started.
    """
    watched = {*_FORWARDED, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        command = subprocess.Popen(
            words,
            env=environ,
            # Unsafe beside threads; there are none here.
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before),  # noqa: PLW1509
        )
        while command.poll() is None:
            number, from_kernel = _next_signal(watched)
            if number == signal.SIGCHLD:
                proxy.complain_if_ended()
            elif not from_kernel:
                command.send_signal(number)
    except FileNotFoundError:
        sys.stderr.write(f"aluvia: {words[0]}: no such command\n")
        return NOT_FOUND
    except OSError as error:
        sys.stderr.write(f"aluvia: {words[0]}: {error.strerror}\n")
        return NOT_EXECUTABLE
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return 128 - command.returncode if command.returncode < 0 else command.returncode


def _next_signal(watched: typing.Collection[signal.Signals]) -> tuple[int, bool]:
    """The next signal, and whether the kernel sent it of itself."""
    if sys.platform == "darwin":
        # There is no sigwaitinfo.
        return signal.sigwait(watched), False
    info = signal.sigwaitinfo(watched)
    return info.si_signo, info.si_code > 0
