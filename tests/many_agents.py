"""
Many agents in one process: ``many_agents.py HUB_PORT AUTHORITY TARGET_PORT COUNT``, with the key in
``$ALUVIA_AGENT_KEY``. Agent *n* publishes ``many{n}``, which is the target. There is a line on
standard output whenever it has changed how many are online.
"""

from __future__ import annotations

import os
import sys
import typing
from pathlib import Path

from twisted.internet import reactor as global_reactor

from aluvia.agent.agent import Agent
from aluvia.agent.hub_url import HubURL
from aluvia.agent.settings import Settings
from aluvia.agent.tunnels import Published

reactor: typing.Any = global_reactor


def main(hub: str, authority: str, target: str, count: str) -> None:
    """Run them until we are killed."""
    agents: list[Agent] = []
    said = 0

    def changed() -> None:
        nonlocal said
        online = sum(each.online for each in agents)
        if online != said:
            said = online
            print("online", online, flush=True)

    for number in range(int(count)):
        settings = Settings(
            hub=HubURL(True, "127.0.0.1", int(hub)),
            key=os.environ["ALUVIA_AGENT_KEY"],
            id=f"box{number}",
            publish=(Published(f"many{number}", "http", False, "127.0.0.1", int(target)),),
            carrier="wss",
            cafile=Path(authority).read_bytes(),
        )
        agents.append(Agent(settings, reactor, changed=changed))
    for agent in agents:
        agent.start()
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
