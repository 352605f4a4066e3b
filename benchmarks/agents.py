"""Agents that connect to a hub and do nothing, to see what each costs it.

    agents.py HUB.json COUNT

The file is ``{"port", "certificate", "key_file"}``. Each registers a tunnel of its own, inside TLS.
When all are registered one line goes to standard output; they stay until standard input ends.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.protocol import Protocol
from twisted.internet.stdio import StandardIO

from aluvia.net.accept import Sweep
from aluvia.net.dial import TCPDialer
from aluvia.net.mux import Mux
from aluvia.net.resolve import Resolver
from aluvia.net.tls import TLSDialer, client_context
from aluvia.net.websocket import Asked, WebSocket

reactor: Any = installed

#: Handshakes at a time.
AT_A_TIME = 16


class _Anywhere:
    def check(self, address: str, port: int) -> None:
        """There is one address here."""


class Agents:
    """All of them."""

    def __init__(self, hub: dict[str, Any], count: int) -> None:
        self.key = Path(hub["key_file"]).read_text().strip()
        self.sweep = Sweep(reactor)
        tcp = TCPDialer(reactor, Resolver(reactor, self.sweep), _Anywhere(), self.sweep)
        context = client_context(only_authorities=Path(hub["certificate"]).read_bytes())
        self.tls = TLSDialer(reactor, tcp, context, self.sweep, verify=False)
        self.port = hub["port"]
        self.left = count
        self.waiting = count

    def start(self) -> None:
        """The first of them."""
        for _ in range(AT_A_TIME):
            self.next()

    def next(self) -> None:
        """One more, if there is one to come."""
        if self.left:
            self.left -= 1
            self.tls.dial("127.0.0.1", self.port, Agent(self, self.left).websocket, self.failed)

    def registered(self) -> None:
        """One has."""
        self.waiting -= 1
        if self.waiting:
            self.next()
        else:
            print("registered", flush=True)

    def failed(self, why: object) -> None:
        """One cannot connect: then none of it is worth anything."""
        print(why, file=sys.stderr)
        reactor.stop()


class Agent:
    """One of them, the owner of its WebSocket and of its mux."""

    def __init__(self, agents: Agents, number: int) -> None:
        self._agents = agents
        self._number = number
        self._mux: Mux | None = None
        asked = Asked("wss://127.0.0.1/agent", [("Authorization", f"Bearer {agents.key}")])
        self.websocket = WebSocket(self, agents.sweep, asked)

    def websocket_open(self) -> None:
        """Register."""
        tunnels = [{"id": f"idle-{self._number}", "target": "http:"}]
        message = {
            "type": "register",
            "agent_id": f"idle-{self._number}",
            "instance": f"instance-{self._number:08}",
            "tunnels": tunnels,
        }
        self.websocket.send_text(json.dumps(message))

    def text_received(self, text: str) -> None:
        """The hub's answer."""
        if json.loads(text)["type"] != "registered":
            self._agents.failed(text)
            return
        self._mux = Mux(self.websocket, self, reactor, self._agents.sweep, opens=False)
        self.websocket.use_producer(self._mux.writer)
        self._agents.registered()

    def data_received(self, data: bytes) -> None:
        """Pings."""
        if self._mux is not None:
            self._mux.received(data)

    def websocket_ended(self, why: BaseException) -> None:
        """Too soon."""
        self._agents.failed(why)

    def incoming(self, incoming: Any) -> None:
        """Nobody visits."""

    def going_away(self, code: int, reason: str) -> None:
        """It is over."""

    def drained(self) -> None:
        """Not asked for."""

    def broken(self, code: int, reason: str) -> None:
        """Too soon."""
        self._agents.failed(reason)


class UntilTheEnd(Protocol):
    """Standard input."""

    def connectionLost(self, reason: Any = None) -> None:
        """That is all."""
        if reactor.running:
            reactor.stop()


def main(path: str, count: int) -> None:
    """Run them."""
    agents = Agents(json.loads(Path(path).read_text()), count)
    StandardIO(UntilTheEnd())
    reactor.callWhenRunning(agents.start)
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
