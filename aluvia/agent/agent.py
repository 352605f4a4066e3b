"""
The agent, whole, but for its process: targets, their health, streams to them, and the session.
"""

from __future__ import annotations

import collections.abc
import random
import secrets
import typing

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from aluvia.agent.carrier import Carrier, CarrierOwner, Kind
from aluvia.agent.choice import Choice
from aluvia.agent.health import Health
from aluvia.agent.hub_calls import HubCalls
from aluvia.agent.journal import Journal
from aluvia.agent.longpoll import LongPollCarrier
from aluvia.agent.requests import Requests
from aluvia.agent.session import Session, State
from aluvia.agent.settings import Settings
from aluvia.agent.streams import Streams
from aluvia.agent.targets import Targets
from aluvia.agent.tunnels import Published
from aluvia.agent.wss import WSSCarrier
from aluvia.net.accept import Sweep
from aluvia.net.connecting import ClientWire
from aluvia.net.dial import Connect, Dialer, TCPDialer
from aluvia.net.guard import Guard
from aluvia.net.resolve import Resolver
from aluvia.net.tls import TLSDialer, client_context
from aluvia.net.waiting import wait_for

__all__ = ["Agent"]

log = Logger()


class Agent:
    """
    One agent.

    :param connect: makes all connections, to the hub and to targets.
    :param jitter: a number from 0 to 1, a new one each time.
    :param changed: called whenever :attr:`online` may have changed.
    :ivar instance: random, and the same for as long as the process lives: by it the hub knows that
        a connection is the same agent's as the one before.
    """

    def __init__(
        self,
        settings: Settings,
        reactor: typing.Any,
        *,
        connect: Connect = ClientWire.connect,
        jitter: collections.abc.Callable[[], float] = random.random,
        changed: collections.abc.Callable[[], object] = lambda: None,
    ) -> None:
        self.instance = secrets.token_urlsafe(18)
        self._settings = settings
        self._reactor = reactor
        self._sweep = Sweep(reactor)
        self._resolver = Resolver(reactor, self._sweep)
        self._hub = self._hub_dialer(connect)
        targets = Targets(
            settings.tunnels,
            reactor,
            self._resolver,
            self._sweep,
            connect_timeout=settings.connect_timeout,
            authorities=settings.cafile,
            connect=connect,
        )
        self._health = Health(targets, reactor.seconds, self._sweep)
        self._calls = HubCalls(settings.hub, settings.key, self._hub, reactor, self._sweep)
        self._jitter = jitter
        self._web = [each for each in settings.tunnels if each.kind == "http"]
        self._kept_for_wss = [each.id for each in settings.tunnels if each.kind != "http"]
        journal = Journal(reactor)
        self._requests = Requests(
            targets,
            self._health,
            journal,
            reactor,
            self._sweep,
            most=settings.max_streams,
        )
        self._streams = Streams(
            targets,
            self._health,
            journal,
            reactor,
            self._sweep,
            idle_timeout=settings.idle_timeout,
            most=settings.max_streams,
        )
        self._session = Session(
            str(settings.hub),
            self._make_carrier,
            # By long-polling there would be nothing to register.
            Choice(settings.carrier if self._web else "wss", reactor.seconds),
            lambda: self._health.statuses,
            reactor,
            jitter,
            changed,
        )
        self._health.told = self._session.tell
        self._ending: Deferred[None] | None = None
        self._drained: Deferred[None] = Deferred()

    @property
    def online(self) -> bool:
        """Whether the hub has it now."""
        return self._session.state is State.ONLINE

    @property
    def connections_open(self) -> int:
        """Streams, and whole requests, that are open now."""
        return len(self._streams) + len(self._requests)

    def where(self) -> dict[str, str]:
        """By id, where the hub says that visitors find a tunnel; nothing before it has said so."""
        return {place.id: place.where for place in self._session.places}

    def start(self) -> None:
        """Try the targets, and connect."""
        self._health.start()
        self._session.start()

    def stop(self, drain_timeout: float = 0.0) -> Deferred[None]:
        """
        Take no new streams, and give live ones this long. Called again, or with 0: end them at
        once.

        :return: fires when nothing is left open. To cancel it is to wait no longer.
        """
        if self._ending is None:
            self._ending = Deferred.fromCoroutine(self._end(drain_timeout))
        if not (drain_timeout or self._drained.called):
            self._drained.callback(None)
        return wait_for(self._ending)

    async def _end(self, drain_timeout: float) -> None:
        if drain_timeout:
            timer = self._reactor.callLater(drain_timeout, self._time_over)
            self._streams.drain()
            self._session.drain().addCallback(lambda _: self._time_over())
            await self._drained
            if timer.active():
                timer.cancel()
        ended = self._session.end()
        self._streams.abort()
        await ended
        self._calls.close()
        self._health.stop()
        self._resolver.stop()
        self._sweep.stop()
        # What was closed just now is gone in the next turn.
        await deferLater(self._reactor, 0)

    def _time_over(self) -> None:
        if not self._drained.called:
            self._drained.callback(None)

    def _hub_dialer(self, connect: Connect) -> Dialer:
        settings = self._settings
        tcp = TCPDialer(
            self._reactor,
            self._resolver,
            Guard(tuple),
            self._sweep,
            connect=connect,
            connect_timeout=settings.connect_timeout,
        )
        if not settings.hub.tls:
            return tcp
        context = client_context(settings.cafile)
        return TLSDialer(
            self._reactor,
            tcp,
            context,
            self._sweep,
            connect_timeout=settings.connect_timeout,
        )

    def _make_carrier(self, owner: CarrierOwner, kind: Kind) -> Carrier:
        settings = self._settings
        if kind == "longpoll":
            self._say_what_is_kept()
            return LongPollCarrier(
                owner,
                self._calls,
                self._registration(self._web),
                self._requests,
                self._reactor,
                self._sweep,
                self._jitter,
            )
        return WSSCarrier(
            owner,
            settings.hub,
            settings.key,
            self._registration(settings.tunnels),
            self._hub,
            self._streams,
            self._reactor,
            self._sweep,
            most_streams=settings.max_streams,
        )

    def _say_what_is_kept(self) -> None:
        kept, self._kept_for_wss = self._kept_for_wss, []
        if kept:
            log.warn(
                "Not published by long-polling, which carries HTTP alone: {ids}",
                ids=", ".join(kept),
            )

    def _registration(self, tunnels: typing.Iterable[Published]) -> dict[str, object]:
        """
        What it registers with; the key goes elsewhere. Of a target the hub learns the scheme: where
        it is on this network is none of its business.
        """
        settings = self._settings
        offered = [
            {
                "id": each.id,
                "target": f"{each.scheme}:",
                **({} if each.token is None else {"token": each.token}),
            }
            for each in tunnels
        ]
        group = {} if settings.group is None else {"group": settings.group}
        return {"agent_id": settings.id, "instance": self.instance, **group, "tunnels": offered}
