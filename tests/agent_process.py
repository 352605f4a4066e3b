"""A child ``twistd -n aluvia-agent``."""

from __future__ import annotations

import json
import os
import tempfile
import typing
from pathlib import Path

from tests.aluvia_process import TWISTD, AluviaProcess, Child, clean_environment

#: A key that would be found anywhere.
KEY = "canary-agent-key-4be1c7"

#: What is of other agents, and would be read.
OTHERS = ("ORCH_WS", "AGENT_KEY", "PROXER_")


def agent_environment(**more: str) -> dict[str, str]:
    """An environment with the key, and nothing of other agents."""
    kept = clean_environment()
    return {name: kept[name] for name in kept if not name.startswith(OTHERS)} | {
        "ALUVIA_AGENT_KEY": KEY,
        **more,
    }


class AgentProcess(AluviaProcess):
    """
    An agent in a process of its own.

    :param options: ``--hub`` and what it publishes among them.
    :param before: a command that runs the one behind it.
    """

    def __init__(
        self,
        *options: str,
        environment: typing.Mapping[str, str] | None = None,
        before: typing.Sequence[str] = (),
    ) -> None:
        """Start it; :meth:`ready` waits until it has started."""
        self.ports: dict[str, typing.Any] = {}
        self.sockets_at_rest = 0
        folder = Path(tempfile.mkdtemp(dir=os.getcwd()))
        self.port_file = folder / "agent.json"
        Child.__init__(
            self,
            *(
                *before,
                *TWISTD,
                "-n",
                "--pidfile=",
                "aluvia-agent",
                "--port-file",
                str(self.port_file),
            ),
            *options,
            environment=agent_environment() if environment is None else environment,
        )

    @property
    def state(self) -> dict[str, typing.Any]:
        """What the port file says now."""
        said: dict[str, typing.Any] = json.loads(self.port_file.read_text())
        return said

    @property
    def online(self) -> bool:
        """Whether the hub has it."""
        return bool(self.state["online"])
