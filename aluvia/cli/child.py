"""A proxy in a process of its own, that ends when we do."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import types
import typing

from aluvia.cli.command import UNAVAILABLE, CommandError
from aluvia.client.lifeline import VARIABLE
from aluvia.client.options import OPTIONS
from aluvia.client.supervise import NOTIFY_VARIABLES
from aluvia.client.takes import Switch

#: How long it may take to be ready.
READY_SECONDS = 60.0

#: How long it may take to end, by itself and then by SIGTERM.
END_SECONDS = 10.0

#: More than this is no line that says where a proxy is.
LINE_BYTES = 4_096

# ``-P``: what lies in the directory where the command is run is not imported as if it were ours.
_TWISTD = (sys.executable, "-P", "-c", "from twisted.scripts.twistd import run; run()")


class ProxyProcess:
    """
    A ``twistd aluvia`` for ourselves; a context manager.

    It has one end of a socket pair (:mod:`aluvia.client.lifeline`): there it says where it is, and
    there it sees our end, however that comes. It is a session of its own, so that Ctrl-C in a
    terminal ends the command and not its proxy. What it logs goes to our standard error.

    :param flags: options by name, as for :func:`~aluvia.client.settings.load_settings`.
    :param environ: ours. The gateway's URL goes there and not into the command line, which every
        user of the machine can read.
    :ivar pid: of its process.
    :ivar url: the proxy's, once it is entered.
    """

    def __init__(
        self, flags: typing.Mapping[str, typing.Any], environ: typing.Mapping[str, str]
    ) -> None:
        self.url = ""
        self._told = False
        self._line, theirs = socket.socketpair()
        hidden = {"gateway-url": flags["gateway-url"]} if "gateway-url" in flags else {}
        kept = {name: text for name, text in environ.items() if name not in NOTIFY_VARIABLES}
        variables = {option.name: option.variable for option in OPTIONS}
        with theirs:
            self._process = subprocess.Popen(
                [*_TWISTD, "-n", "--pidfile=", "aluvia", *_words(flags, hidden)],
                env={
                    **kept,
                    **{variables[name]: text for name, text in hidden.items()},
                    VARIABLE: str(theirs.fileno()),
                },
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
                start_new_session=True,
            )
        self.pid = self._process.pid

    def __enter__(self) -> ProxyProcess:
        """
        Wait until it is ready.

        :raises CommandError: if it ended before; with its status. It has said why.
        """
        try:
            self.url = self._ready()["url"]
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        """End it, and wait until its port is free."""
        self._told = True
        self._end()

    def fileno(self) -> int:
        """Our end of the pair; -1 once it is closed."""
        return self._line.fileno()

    def complain_if_ended(self) -> None:
        """Say so, once, if it has ended before its time."""
        if not self._told and self._process.poll() is not None:
            self._told = True
            sys.stderr.write(f"aluvia: the proxy has ended, with {self._process.returncode}\n")

    def _ready(self) -> dict[str, typing.Any]:
        self._line.settimeout(READY_SECONDS)
        read = b""
        while not read.endswith(b"\n") and len(read) < LINE_BYTES:
            try:
                data = self._line.recv(LINE_BYTES)
            except TimeoutError:
                raise CommandError("the proxy does not get ready", UNAVAILABLE) from None
            if not data:
                status = self._process.wait(END_SECONDS)
                if status > 0:
                    # Its own line about it is on standard error.
                    raise CommandError("", status)
                raise CommandError(f"the proxy did not start, and ended with {status}", UNAVAILABLE)
            read += data
        told: dict[str, typing.Any] = json.loads(read)
        return told

    def _end(self) -> None:
        self._line.close()
        for harder in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                harder()
        self._process.wait()


def _words(
    flags: typing.Mapping[str, typing.Any], hidden: typing.Container[str]
) -> typing.Iterator[str]:
    """The options as a command line has them."""
    for option in OPTIONS:
        if option.name not in flags or option.name in hidden:
            continue
        value = flags[option.name]
        if option.takes == Switch():
            yield option.flag
        else:
            for text in [value] if isinstance(value, str) else value:
                yield f"{option.flag}={text}"
    if "config" in flags:
        yield f"--config={flags['config']}"
