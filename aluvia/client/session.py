"""
The Python API: a client in the program's own reactor.

.. code-block:: text

    state     start()                              stop()
    --------  -----------------------------------  ------------------------------------------
    STOPPED   -> STARTING                          nothing to do
    STARTING  waits for it; the same session       ends the start, which fails -> STOPPED
    RUNNING   the same session                     -> STOPPING
    STOPPING  waits for it, then -> STARTING       waits for it

The coroutines await Deferreds: they run under Twisted, also under its asyncio reactor. Any other
program uses :func:`aluvia.launch`.
"""

from __future__ import annotations

import collections.abc
import os
import types
import typing

from twisted.internet.defer import CancelledError, Deferred, DeferredLock, succeed
from twisted.internet.error import CannotListenError
from twisted.logger import (
    FilteringLogObserver,
    Logger,
    LogLevelFilterPredicate,
    globalLogPublisher,
)
from twisted.web.iweb import IAgent

from aluvia.adapters import ProxyAddress
from aluvia.arguments import flags_of, in_python
from aluvia.client.agent import LocalAgent
from aluvia.client.load import SettingsError, load_settings
from aluvia.client.local import LocalProxy
from aluvia.errors import AluviaError, MissingUserTokenError, ProxyStartError
from aluvia.net.waiting import wait_for
from aluvia.telemetry.logs import THRESHOLDS


class Session(ProxyAddress):
    """
    A proxy that runs: where it is, and what else there is to know about it.

    Also an asynchronous context manager: ``async with`` stops it.
    """

    def __init__(self, client: AluviaClient, proxy: LocalProxy, agent: LocalAgent) -> None:
        super().__init__(proxy.url)
        self._client = client
        self._agent = agent

    def as_agent(self) -> IAgent:
        """An agent of :mod:`twisted.web.client` that goes through the proxy, as treq wants one."""
        return self._agent

    async def stop(self) -> None:
        """Stop the proxy; again is safe, also when the client was started anew since."""
        await self._client._stop_session(self)

    async def close(self) -> None:
        """:meth:`stop`."""
        await self.stop()

    async def __aenter__(self) -> Session:
        """It runs already."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        """Stop."""
        await self.stop()


class AluviaClient:
    """
    A local proxy that follows a user's configuration.

    :param token: the user API token.
    :param api_base_url: the control plane.
    :param poll_interval: seconds between two questions whether something has changed, at least 1.
    :param gateway_protocol: ``http``, or ``https`` for TLS to the gateway.
    :param gateway_host: the gateway that the user's credentials are for.
    :param gateway_port: by default 8080, with ``https`` 8443.
    :param local_port: by default any that is free.
    :param log_level: ``silent``, ``info``, or ``debug`` for a line about each request. The events
        go to :mod:`twisted.logger`.
    :param connection: follow this connection of an account; the token is then the account's key.
    :param strict: False to start without a configuration, if there is none to be had.
    :param on_no_config: ``direct`` or ``refuse``: what becomes of requests meanwhile.
    :param state_file: keep the last good configuration there, and start from it when the control
        plane cannot be reached.
    :param gateway_ca: a file of certificates (PEM) to trust, besides the system's.
    :param reactor: by default the global one.
    :raises MissingUserTokenError: there is no token, or a blank one.
    :raises ValueError: something else makes no sense; with a sentence that says what.
    """

    def __init__(
        self,
        token: str | None = None,
        *,
        api_base_url: str = "https://api.aluvia.io/v1",
        poll_interval: float = 5.0,
        gateway_protocol: typing.Literal["http", "https"] = "http",
        gateway_host: str = "gateway.aluvia.io",
        gateway_port: int | None = None,
        local_port: int | None = None,
        log_level: typing.Literal["silent", "info", "debug"] = "info",
        connection: str | None = None,
        strict: bool = True,
        on_no_config: typing.Literal["direct", "refuse"] = "direct",
        state_file: str | os.PathLike[str] | None = None,
        gateway_ca: str | os.PathLike[str] | None = None,
        reactor: typing.Any = None,
    ) -> None:
        flags = flags_of(locals())
        if token is None or not token.strip():
            raise MissingUserTokenError("There is no user API token: give AluviaClient(token=...).")
        if reactor is None:
            from twisted.internet import reactor  # noqa: PLC0415
        self._reactor = reactor
        try:
            self._settings = load_settings(flags, {})
        except SettingsError as error:
            raise ValueError(in_python(str(error))) from None
        self._lock = DeferredLock()
        self._starting: Deferred[None] | None = None
        self._ending: Deferred[None] = succeed(None)
        self._given_up = False
        self._proxy: LocalProxy | None = None
        self._agent: LocalAgent | None = None
        self._session: Session | None = None

    def __repr__(self) -> str:
        return f"<AluviaClient {'stopped' if self._session is None else self._session.url}>"

    async def start(self) -> Session:
        """
        Fetch the configuration, and open the local port.

        :return: the session; the same one while it runs.
        :raises InvalidUserTokenError: the token was refused.
        :raises ApiError: there is no configuration to be had.
        :raises ProxyStartError: the port cannot be bound.
        """
        async with self._lock:
            if self._session is None:
                await self._ended()
                self._given_up = False
                self._proxy = proxy = LocalProxy(
                    self._settings, self._reactor, log=_logger(self._settings.log_level)
                )
                self._starting = Deferred.fromCoroutine(self._start(proxy))
                try:
                    await self._starting
                except BaseException:
                    await self._end()
                    if self._given_up:
                        raise AluviaError("The client was stopped while it started.") from None
                    raise
                finally:
                    self._starting = None
            assert self._session is not None
            return self._session

    async def stop(self) -> None:
        """
        End the proxy: live tunnels are reset, and no listener, timer or connection is left.

        Safe to call at any time, and again. When it is cancelled the end goes on, and a start or
        another stop waits for it.
        """
        if self._starting is not None:
            self._given_up = True
            self._starting.cancel()
        async with self._lock:
            await self._end()

    async def update_rules(self, rules: collections.abc.Iterable[str]) -> None:
        """
        Change the rules, at the control plane and here.

        :raises ApiError: if that failed; the rules here are as they were.
        :raises AluviaError: the client does not run.
        """
        await self._patch({"rules": list(rules)})

    async def update_session_id(self, session_id: str | None) -> None:
        """Change the session id; see :meth:`update_rules`."""
        await self._patch({"session_id": session_id})

    async def update_target_geo(self, target_geo: str | None) -> None:
        """Change where exits should be; see :meth:`update_rules`."""
        await self._patch({"target_geo": target_geo})

    async def __aenter__(self) -> Session:
        """Start."""
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        """Stop."""
        await self.stop()

    async def _start(self, proxy: LocalProxy) -> None:
        try:
            await proxy.configure()
            if self._given_up:
                raise CancelledError
            proxy.open(self._settings.port)
        except CannotListenError as error:
            why = getattr(error.socketError, "strerror", None) or error.socketError
            raise ProxyStartError(
                f"The port {error.interface}:{error.port} cannot be bound: {why}"
            ) from None
        self._agent = LocalAgent(proxy)
        self._session = Session(self, proxy, self._agent)

    async def _end(self) -> None:
        if self._ending.called:
            self._ending = Deferred.fromCoroutine(self._let_go())
        await self._ended()

    async def _ended(self) -> None:
        """Wait for the last end. It goes on when whoever waits is cancelled."""
        await wait_for(self._ending)

    async def _let_go(self) -> None:
        proxy, self._proxy = self._proxy, None
        agent, self._agent = self._agent, None
        self._session = None
        try:
            if proxy is not None:
                await proxy.stop()
        finally:
            # Last, since an answer that ends meanwhile gives its connection back to be kept.
            if agent is not None:
                await agent.close()

    async def _stop_session(self, session: Session) -> None:
        if session is self._session:
            await self.stop()
        else:
            await self._ended()

    async def _patch(self, fields: dict[str, object]) -> None:
        control = None if self._proxy is None else self._proxy.control
        if control is None or self._session is None:
            raise AluviaError("The client does not run: start it first.")
        await control.patch(fields)


def _logger(level: str) -> Logger:
    """One that is as loud as this client, whatever the others in its process are."""
    predicate = LogLevelFilterPredicate(defaultLogLevel=THRESHOLDS[level])
    observer = FilteringLogObserver(globalLogPublisher, [predicate])
    return Logger(namespace="aluvia.client", observer=observer)
