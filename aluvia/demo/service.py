"""
``twistd -n aluvia --demo``: a gateway, its control plane with one account, a site, and a client in
front of them, all on loopback and all real.

.. code-block:: text

   curl ──► client ──direct────────────────────────────► site
               └──credentials──► gateway ──its own line──► site
               └──asks, and is told──► control plane

It needs nothing outside and leaves nothing behind: the store is in a directory of its own, which
goes with the service. The account's token is good for as long as it runs, on this machine; that is
why it may stand in a line that is printed.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import signal
import tempfile
import typing

import attrs
from sqlalchemy import Connection
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.client.service import ClientService
from aluvia.client.settings import Settings
from aluvia.demo.lines import say
from aluvia.demo.quiet_site import ADDRESS
from aluvia.demo.site import DemoSite, Line
from aluvia.gateway.service import GatewayService
from aluvia.gateway.settings import Settings as GatewaySettings
from aluvia.process.statuses import CANNOT_CREATE, SOFTWARE
from aluvia.process.supervise import exit_with
from aluvia.store import accounts
from aluvia.store.engine import Store

__all__ = ["DemoService"]

log = Logger()

ACCOUNT = "demo"

#: What the account's rules are at first.
RULES = ("proxied.localhost",)

Learn = typing.Callable[[str, str], None]


class DemoService(Service):
    """
    All of it.

    :param settings: the client's. A port that nobody asked for gives way to any free one where it
        is taken.
    :param learn: called with each user name and password before it is used.
    :param out: where the lines go that are to be typed.
    """

    name = "aluvia-demo"

    def __init__(
        self,
        settings: Settings,
        reactor: typing.Any,
        environ: typing.MutableMapping[str, str],
        learn: Learn,
        set_signal: typing.Callable[[int, typing.Any], object] = signal.signal,
        out: typing.TextIO | None = None,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._environ = environ
        self._learn = learn
        self._set_signal = set_signal
        self._out = out
        self._directory: str | None = None
        self._site: DemoSite | None = None
        self._gateway: GatewayService | None = None
        self._client: ClientService | None = None
        self._starting: Deferred[None] | None = None

    def startService(self) -> None:
        """Start one after the other, and say what to type."""
        super().startService()
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._not_started)

    async def _start(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="aluvia-demo-")
        path = pathlib.Path(self._directory) / "gateway.db"
        credentials = await self._account(path)
        self._learn(credentials.proxy_username, credentials.proxy_password)
        line = Line()
        self._site = DemoSite(line, self._reactor)
        site = self._site.listen()
        line.site = (ADDRESS, site)
        self._gateway = GatewayService(
            GatewaySettings(proxy=(ADDRESS, 0), api=(ADDRESS, 0), db=path, allow_private=True),
            self._reactor,
            {},
            lambda number, handler: None,
            connect=line.connect,
        )
        ports = await self._gateway.begin()
        settings = attrs.evolve(
            self._settings,
            sources={},
            token=credentials.token,
            connection=None,
            gateway_protocol="http",
            api_base_url=f"http://{ADDRESS}:{ports['api']}/v1",
            gateway_host=ADDRESS,
            gateway_port=typing.cast(int, ports["proxy"]),
        )
        self._client = client = ClientService(
            settings,
            self._reactor,
            self._environ,
            self._set_signal,
            self._learn,
            movable={
                name
                for name, field in (("proxy", "port"), ("admin", "admin_port"))
                if field not in self._settings.sources
            },
        )
        await client.begin()
        self._say(client, site, self._gateway.api_url, credentials.token)

    async def _account(self, path: pathlib.Path) -> accounts.Credentials:
        store = Store(path, self._reactor.callFromThread)
        await store.open()
        try:
            return await store.write(self._new_account)
        finally:
            await store.close()

    def _new_account(self, connection: Connection) -> accounts.Credentials:
        now = self._reactor.seconds()
        credentials = accounts.add(connection, ACCOUNT, now)
        accounts.change(connection, accounts.find(connection, ACCOUNT), now, {"rules": RULES})
        return credentials

    def _say(self, client: ClientService, site: int, api_url: str, token: str) -> None:
        url = client.url
        direct, proxied = (f"http://{name}.localhost:{site}/" for name in ("direct", "proxied"))
        fields = json.dumps({"rules": ["direct.localhost"]})
        patch = (
            f"curl -s -X PATCH -H 'Authorization: Bearer {token}' "
            f"-H 'Content-Type: application/json' -d '{fields}' {api_url}/user"
        )
        lines = [
            "One of these goes direct, the other through the gateway:",
            f"curl -x {url} {direct}",
            f"curl -x {url} {proxied}",
            "This turns the rules around, while everything runs:",
            f"{patch} > /dev/null && sleep 1 && curl -x {url} {direct}",
        ]
        if client.admin_url is not None:
            lines.append(f"What it does can be seen at {client.admin_url}/")
        say(lines, self._out)

    def _not_started(self, failure: Failure) -> None:
        if not self.running:
            return
        if failure.check(OSError) is None:
            log.failure("The demo did not start.", failure=failure)
            exit_with(self._reactor, SOFTWARE, "the demo did not start; the log says why")
        else:
            exit_with(self._reactor, CANNOT_CREATE, str(failure.value))

    def stopService(self) -> Deferred[None]:
        """End all of it, the client first."""
        if self._starting is None:
            return succeed(None)
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        starting, self._starting = self._starting, None
        if starting is not None:
            starting.cancel()
        for service in (self._client, self._gateway):
            if service is not None:
                await service.stopService()
        if self._site is not None:
            await self._site.stop()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
