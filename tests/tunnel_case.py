"""What the tests of tunnels have in common: an edge with a hub, agents, and the line between."""

from __future__ import annotations

import json
import os
import tempfile
import time
import typing
from pathlib import Path

from aluvia.store import agent_keys
from aluvia.store.database import Database
from aluvia.testing.http import Response, read_response
from tests.agent_keys import AgentKeyCase
from tests.agent_process import AgentProcess, agent_environment
from tests.aluvia_process import until
from tests.edge_case import SECONDS
from tests.edge_process import EdgeProcess
from tests.line import Line
from tests.raw_agents import RawAgents

#: What carries is dead after that long without a word; and the second between two looks.
SILENCE_SECONDS = 26.0

#: No route is for it, so ``/t/`` is there.
HOST = "edge.example"


class TunnelCase(AgentKeyCase):
    """Publishes what runs here, by agents that are processes of their own."""

    edge_process: EdgeProcess

    def setUp(self) -> None:
        """Nothing runs yet."""
        super().setUp()
        self.keys: dict[str, str] = {}
        self._agents: list[AgentProcess] = []
        # Before the edge, which is to be at rest when it ends.
        self.addCleanup(self._end_agents)

    async def _end_agents(self) -> None:
        for agent in self._agents:
            agent.kill()
            await agent.wait()
            with open(os.path.join(agent.directory, "output"), "w") as file:
                file.write(agent.output)
            agent.assert_quiet()
            self.assert_no_secret(agent.output)

    async def hub(self, *options: str, **others: typing.Sequence[str]) -> EdgeProcess:
        """
        Start an edge with a hub, whose file has a key already: of the name ``laptop``.

        :param others: the names of other keys, and the ids that each is for.
        """
        db = Path(tempfile.mkdtemp(dir=os.getcwd())) / "edge.db"
        database = Database(db, create=True)
        with database.writing() as connection:
            for name, ids in {"laptop": ["*"], **others}.items():
                made = agent_keys.add(connection, name, time.time(), publish=ids)
                self.keys[name] = made.key
        database.close()
        self.secrets += self.keys.values()
        self.edge_process = await self.edge("--hub", "127.0.0.1:0", *options, db=db)
        return self.edge_process

    @property
    def key(self) -> str:
        """The one that agents have unless they are given another."""
        return self.keys["laptop"]

    @property
    def hub_port(self) -> int:
        """Where agents connect."""
        return int(self.edge_process.ports["hub"])

    def line(self) -> Line:
        """A line to the hub."""
        line = Line(self.hub_port)
        self.addCleanup(line.stop)
        return line

    def spawn_agent(
        self,
        *options: str,
        port: int | None = None,
        key: str = "",
        before: typing.Sequence[str] = (),
        **environment: str,
    ) -> AgentProcess:
        """
        Start an agent, and do not wait for it.

        :param port: the hub's, or a line's.
        :param before: a command that runs it.
        :param environment: besides the key.
        """
        hub = ("--hub", f"ws://127.0.0.1:{port or self.hub_port}")
        variables = agent_environment(ALUVIA_AGENT_KEY=key or self.key, **environment)
        options = options if "--hub" in options else (*hub, *options)
        agent = AgentProcess(*options, environment=variables, before=before)
        self._agents.append(agent)
        return agent

    async def agent(self, *options: str, **more: typing.Any) -> AgentProcess:
        """Start an agent, and wait until the hub has it."""
        agent = self.spawn_agent(*options, **more)
        await agent.ready()
        await self.online(agent)
        return agent

    async def online(self, agent: AgentProcess) -> None:
        """Wait until the hub has it."""
        await until(lambda: agent.online, SECONDS, f"it is online:\n{agent.output}")

    async def publish(
        self, *targets: typing.Any, options: typing.Sequence[str] = (), **more: typing.Any
    ) -> AgentProcess:
        """Publish origins or peers of this test: the first one as ``app``, then ``app1``, …"""
        ids = ["app", *(f"app{number}" for number in range(1, len(targets)))]
        words = [*options]
        for id, target in zip(ids, targets, strict=True):
            words += ["--publish", f"{id}=http://127.0.0.1:{target.port}"]
        return await self.agent(*words, **more)

    def raw_agents(self, authority: str | None = None) -> RawAgents:
        """
        Agents in this process.

        :param authority: a PEM file, for a hub inside TLS.
        """
        pem = None if authority is None else Path(authority).read_bytes()
        agents = RawAgents(self.hub_port, self.key, pem)
        self.addCleanup(agents.stop)
        return agents

    async def ask_tunnel(
        self, path: str = "/", *fields: str, id: str = "app", **more: typing.Any
    ) -> Response:
        """Ask an app by its path at the edge."""
        return await self.visit(self.edge_process, HOST, f"/t/{id}{path}", *fields, **more)

    async def tunnels(self) -> dict[str, dict[str, typing.Any]]:
        """What the hub says of its tunnels, by their ids."""
        reply = await self.call_hub("GET", "/api/tunnels")
        self.assertEqual(reply.status, 200, reply)
        return {each["id"]: each for each in json.loads(reply.body)["tunnels"]}

    async def call_hub(
        self, method: str, path: str, document: object = None, token: str | None = None
    ) -> Response:
        """Call the hub's port, as those do who poll; and as an operator."""
        edge = self.edge_process
        if edge.ports["hub_url"].startswith("wss:"):
            connection = await self.secure_dial(self.hub_port, "127.0.0.1")
        else:
            connection = await self.dial(self.hub_port)
        body = b"" if document is None else json.dumps(document).encode()
        token = self.edge_token if token is None else token
        head = [
            f"{method} {path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.hub_port}",
            *([f"Authorization: Bearer {token}"] if method == "GET" else []),
            *([f"Content-Length: {len(body)}", "Content-Type: application/json"] if body else []),
        ]
        await connection.send("\r\n".join([*head, "", ""]).encode() + body)
        try:
            return await read_response(connection, method.encode())
        finally:
            connection.close()

    @property
    def edge_token(self) -> str:
        """The API's."""
        return self.secrets[0]

    def assert_cause(self, answer: Response, status: int, error: str) -> None:
        """The edge's own answer, with its status and its reason."""
        said = (answer.header(b"proxy-status") or b"").decode()
        self.assertEqual(answer.status, status, answer)
        self.assertRegex(said, rf"; ?error={error}(;|$)")
        self.assertTrue(answer.header(b"x-proxer-request-id"))
