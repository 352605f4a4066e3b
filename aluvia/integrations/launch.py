"""
``aluvia.launch``: the client for synchronous programs, and for any event loop.

::

    with aluvia.launch(token=...) as session:
        requests.get("https://www.example.com/", proxies=session.as_requests())

The proxy is a child process, ``twistd -n aluvia``, that ends with this one, however that ends
(``kill -9`` too). No thread, no signal handler and no reactor is installed here, and nothing of
Twisted is imported, neither by ``import aluvia`` nor by a launch.

.. code-block:: text

    the child ends with        which is
    -------------------------  -----------------------------------------------
    64, 78                     ValueError
    69                         ApiError
    73                         ProxyStartError
    77                         InvalidUserTokenError
    anything else, or not      AluviaError
    getting ready in time
"""

from __future__ import annotations

import os
import re
import types
import typing

from aluvia.adapters import ProxyAddress
from aluvia.arguments import ARGUMENTS, flags_of, in_python, variable_of
from aluvia.errors import (
    AluviaError,
    ApiError,
    InvalidUserTokenError,
    MissingUserTokenError,
    ProxyStartError,
)
from aluvia.process import statuses

if typing.TYPE_CHECKING:
    from aluvia.integrations.child import NotReadyError, ProxyProcess

#: How the child's own one-line reason begins.
_MARK = "aluvia: "

#: Arguments that go to the child by its environment: every user of the machine can read the words.
_SECRETS = ("token", "gateway_url")


class Launched(ProxyAddress):
    """
    A proxy in a process of its own, and a context manager that stops it.

    It ends as well when the last reference to this object is gone.

    :ivar pid: of its process.
    """

    def __init__(self, process: ProxyProcess) -> None:
        super().__init__(process.url)
        self.pid = process.pid
        self._process = process

    def stop(self) -> None:
        """
        Stop the proxy, and wait until its port is free: live tunnels are reset. Again is safe, and
        so it is from another thread.
        """
        self._process.end()

    def close(self) -> None:
        """:meth:`stop`."""
        self.stop()

    def __enter__(self) -> Launched:
        """It runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()


def launch(
    token: str | None = None,
    *,
    api_base_url: str = "https://api.aluvia.io/v1",
    poll_interval: float = 5.0,
    gateway_protocol: typing.Literal["http", "https"] = "http",
    gateway_host: str = "gateway.aluvia.io",
    gateway_port: int | None = None,
    local_port: int | None = None,
    log_level: typing.Literal["silent", "info", "debug"] = "silent",
    connection: str | None = None,
    strict: bool = True,
    on_no_config: typing.Literal["direct", "refuse"] = "direct",
    state_file: str | os.PathLike[str] | None = None,
    gateway_ca: str | os.PathLike[str] | None = None,
    gateway_url: str | None = None,
    rules: typing.Iterable[str] = (),
) -> Launched:
    """
    Start a proxy in a process of its own, and wait until it can be used.

    This blocks, usually for about a second; in an event loop it belongs into a thread, as with
    ``await asyncio.to_thread(aluvia.launch, token=...)``. The arguments are those of
    :class:`aluvia.client.session.AluviaClient`, but for these:

    :param log_level: the log goes to our standard error.
    :param gateway_url: in place of a token: the parent proxy, ``http://user:password@host:port``.
        No control plane is followed then, and the arguments about it mean nothing.
    :param rules: with ``gateway_url``: what goes through it.
    :raises MissingUserTokenError: there is no token, or a blank one, and no ``gateway_url``.
    :raises InvalidUserTokenError: the token was refused.
    :raises ApiError: there is no configuration to be had.
    :raises ProxyStartError: the port cannot be bound.
    :raises ValueError: something else makes no sense; with a sentence that says what.
    :raises AluviaError: the proxy's process cannot be started, or does not get ready.
    """
    # These are the arguments, as long as nothing else has a name here.
    flags = flags_of(locals())
    # Not before it is needed: ``import aluvia`` stays cheap.
    from aluvia.integrations.child import NotReadyError, ProxyProcess  # noqa: PLC0415

    if gateway_url is not None:
        if token is not None:
            raise ValueError("token and gateway_url: give one of them")
    elif token is None or not token.strip():
        raise MissingUserTokenError("There is no user API token: give launch(token=...).")
    # What is in our environment for other proxies is not for this one.
    environ = {name: text for name, text in os.environ.items() if not name.startswith("ALUVIA_")}
    for argument in _SECRETS:
        if ARGUMENTS[argument] in flags:
            environ[variable_of(argument)] = flags.pop(ARGUMENTS[argument])
    try:
        process = ProxyProcess(_words(flags), environ, keep_stderr=True)
        process.wait_until_ready()
    except NotReadyError as error:
        raise _typed(error) from None
    except OSError as error:
        raise AluviaError(f"The proxy's process cannot be started: {error}") from None
    return Launched(process)


def _words(flags: typing.Mapping[str, typing.Any]) -> typing.Iterator[str]:
    """Options as a command line has them."""
    for name, value in flags.items():
        if value is True:
            yield f"--{name}"
        elif isinstance(value, list):
            yield from (f"--{name}={each}" for each in value)
        else:
            yield f"--{name}={os.fspath(value) if isinstance(value, os.PathLike) else value}"


def _typed(error: NotReadyError) -> Exception:
    """The error of ours that the child's end stands for."""
    reasons = [line for line in error.said.splitlines() if line.startswith(_MARK)]
    if not reasons:
        text = str(error)
        return AluviaError(f"{text[0].upper()}{text[1:]}. {error.said}".strip())
    reason = reasons[-1].removeprefix(_MARK)
    match error.status:
        case statuses.USAGE | statuses.CONFIG:
            return ValueError(in_python(reason))
        case statuses.NO_PERMISSION:
            return InvalidUserTokenError(reason)
        case statuses.UNAVAILABLE:
            answered = re.match(r"The API answered ([0-9]{3})\b", reason)
            return ApiError(reason, status_code=int(answered[1]) if answered else None)
        case statuses.CANNOT_CREATE:
            return ProxyStartError(reason)
    return AluviaError(reason)
