"""
``twistd -n aluvia-agent --demo``: an agent, the edge that it publishes through, and a site, all on
loopback and all real.

.. code-block:: text

    curl ──/t/app/──►     edge ══hub══ agent ──► site
         ──/t/private/──►      (a token)

It needs nothing outside and leaves nothing behind: keys and tokens are made at its start and are in
memory, as the edge's store is. They are good for as long as it runs, on this machine; that is why
they may stand in a line that is printed.
"""

from __future__ import annotations

import secrets
import signal
import typing

import attrs

from aluvia.agent.hub_url import HubURL
from aluvia.agent.service import AgentService
from aluvia.agent.settings import Settings
from aluvia.demo.agent_lines import DOMAIN, Place, agent_lines
from aluvia.demo.lines import say
from aluvia.demo.published import PublishedSite
from aluvia.demo.quiet_site import ADDRESS
from aluvia.edge.edge import Edge
from aluvia.edge.listeners import Listener
from aluvia.edge.settings import IN_MEMORY
from aluvia.edge.settings import Settings as EdgeSettings
from aluvia.hub.fixed_keys import FixedKeys
from aluvia.hub.keys import Permit
from aluvia.process.door_service import SetSignal

__all__ = ["AgentDemo"]

#: The ports of the edge's own documentation; each gives way where it is taken.
HTTP_PORT, API_PORT, HUB_PORT = 8080, 8901, 8910


class AgentDemo(AgentService):
    """
    All of it: the agent's own service, with an edge and a site that come and go with it.

    :param settings: the agent's, with the key, and two tunnels: for everybody, and for who has its
        token. Where their target and the hub are is put in here.
    :param environ: the process's environment; what is for us is taken out of it.
    :param set_signal: installs a handler of a signal, and returns the one before it.
    :param out: where the lines go that are to be typed.
    """

    name = "aluvia-agent-demo"

    def __init__(
        self,
        settings: Settings,
        reactor: typing.Any,
        environ: typing.MutableMapping[str, str],
        set_signal: SetSignal = signal.signal,
        out: typing.TextIO | None = None,
    ) -> None:
        super().__init__(settings, reactor, environ, set_signal)
        self._api_token = secrets.token_urlsafe(32)
        self._out = out
        self._said = False
        self._site = PublishedSite(reactor, reactor)
        self._edge = _edge(settings.key, self._api_token, reactor)

    async def come_up(self) -> dict[str, object]:
        """
        Start the site and the edge, and then as any agent does.

        :raises OSError: there is no port.
        """
        site = self._site.listen()
        await self._edge.start()
        _, hub = self._edge.ingress.place("hub")
        self.settings = attrs.evolve(
            self.settings,
            hub=HubURL(tls=False, host=ADDRESS, port=hub),
            publish=tuple(attrs.evolve(each, port=site) for each in self.settings.publish),
            sources={},
        )
        return await super().come_up()

    def changed(self) -> None:
        """Say what to type, as soon as that leads anywhere."""
        super().changed()
        if self._said or self.door is None or not self.door.online:
            return
        self._said = True
        _, http = self._edge.ingress.place("http")
        place = Place(http=http, api_url=self._edge.urls["api"], api_token=self._api_token)
        say(agent_lines(place, *self.settings.publish), self._out)

    async def gone_down(self) -> None:
        """End the rest."""
        await super().gone_down()
        await self._edge.stop()
        await self._site.stop()


def _edge(key: str, api_token: str, reactor: typing.Any) -> Edge:
    keys = FixedKeys()
    keys.add(Permit(name="demo"), key)
    settings = EdgeSettings(
        http=Listener(address=ADDRESS, port=HTTP_PORT),
        https=None,
        api=(ADDRESS, API_PORT),
        db=IN_MEMORY,
        hub=(ADDRESS, HUB_PORT),
        tunnel_domain=DOMAIN,
    )
    movable = {"http", "API", "hub"}
    return Edge(settings, token=api_token, reactor=reactor, movable=movable, keys=keys)
