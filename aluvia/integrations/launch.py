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
from aluvia.errors import (
    AluviaError,
    ApiError,
    InvalidUserTokenError,
    MissingUserTokenError,
    ProxyStartError,
)

if typing.TYPE_CHECKING:
    from aluvia.integrations.child import NotReadyError, ProxyProcess

#: How the child's own one-line reason begins.
_MARK = "aluvia: "

#: What options of the command line are called here, where that is not the same.
_ARGUMENTS = {"port": "local_port", "rule": "rules", "no_strict": "strict"}


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
    state_file: str | None = None,
    gateway_ca: str | None = None,
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
    # Not before it is needed: ``import aluvia`` stays cheap.
    from aluvia.integrations.child import NotReadyError, ProxyProcess  # noqa: PLC0415

    options: dict[str, object] = {
        "port": local_port or 0,
        "admin-port": "none",
        "drain-timeout": 0,
        "log-level": log_level,
        "gateway-ca": gateway_ca,
    }
    if gateway_url is not None:
        if token is not None:
            raise ValueError("token and gateway_url: give one of them")
        secret = {"ALUVIA_GATEWAY_URL": gateway_url}
    elif token is None or not token.strip():
        raise MissingUserTokenError("There is no user API token: give launch(token=...).")
    else:
        secret = {"ALUVIA_TOKEN": token}
        options |= {
            "api-base-url": api_base_url,
            "poll-interval": poll_interval,
            "gateway-protocol": gateway_protocol,
            "gateway-host": gateway_host,
            "gateway-port": gateway_port,
            "connection": connection,
            "on-no-config": on_no_config,
            "state-file": state_file,
        }
    words = [f"--{name}={value}" for name, value in options.items() if value is not None]
    words += [] if strict or gateway_url is not None else ["--no-strict"]
    words += [f"--rule={rule}" for rule in ([rules] if isinstance(rules, str) else rules)]
    # What is in our environment for other proxies is not for this one.
    environ = {name: text for name, text in os.environ.items() if not name.startswith("ALUVIA_")}
    try:
        process = ProxyProcess(words, environ | secret, keep_stderr=True)
        process.wait_until_ready()
    except NotReadyError as error:
        raise _typed(error) from None
    except OSError as error:
        raise AluviaError(f"The proxy's process cannot be started: {error}") from None
    return Launched(process)


def _typed(error: NotReadyError) -> Exception:
    """The error of ours that the child's end stands for."""
    reasons = [line for line in error.said.splitlines() if line.startswith(_MARK)]
    if not reasons:
        text = str(error)
        return AluviaError(f"{text[0].upper()}{text[1:]}. {error.said}".strip())
    reason = reasons[-1].removeprefix(_MARK)
    match error.status:
        case os.EX_USAGE | os.EX_CONFIG:
            return ValueError(_in_python(reason))
        case os.EX_NOPERM:
            return InvalidUserTokenError(reason)
        case os.EX_UNAVAILABLE:
            answered = re.match(r"The API answered ([0-9]{3})\b", reason)
            return ApiError(reason, status_code=int(answered[1]) if answered else None)
        case os.EX_CANTCREAT:
            return ProxyStartError(reason)
    return AluviaError(reason)


def _in_python(reason: str) -> str:
    """What the child says of its options and variables, with the names of our arguments."""

    def renamed(option: re.Match[str]) -> str:
        name = option[1].replace("-", "_").lower()
        return _ARGUMENTS.get(name, name)

    return re.sub(r"(?<![\w-])(?:--|ALUVIA_)([A-Za-z_-]*[A-Za-z])", renamed, reason)
