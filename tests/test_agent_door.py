"""The agent as its users have it: a real process, its command line, its signals."""

from __future__ import annotations

import signal
import socket
import tempfile
import typing
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.agent_process import KEY, AgentProcess, agent_environment
from tests.aluvia_process import until

TOKEN = "canary-visitor-token-90ad"


class AgentCase(TestCase):
    """Starts agents, and ends them; nothing they say has a secret in it."""

    timeout = 120

    def start(self, *options: str, **more: typing.Any) -> AgentProcess:
        """Start one."""
        agent = AgentProcess(*options, **more)
        self.addCleanup(self.end, agent)
        return agent

    async def end(self, agent: AgentProcess) -> None:
        """It is gone, and has told no secret."""
        agent.kill()
        await agent.wait()
        for secret in (KEY, TOKEN):
            self.assertNotIn(secret, agent.output)
        agent.assert_quiet()

    async def said(self, status: int, *options: str, **more: typing.Any) -> str:
        """What is said by one that ends at once, with this status."""
        agent = self.start(*options, **more)
        self.assertEqual(await agent.wait(), status, agent.output)
        self.assertFalse(agent.port_file.exists())
        return agent.output

    def listener(self) -> tuple[socket.socket, str]:
        """A server that takes connections and says nothing; and its place."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        return listening, f"127.0.0.1:{listening.getsockname()[1]}"


class CommandLineTests(AgentCase):
    """What ends before anything runs."""

    async def test_help(self) -> None:
        """It says what there is."""
        output = await self.said(0, "--help")
        for option in ("--hub URL", "--key-file FILE", "--publish ID=URL", "--check"):
            self.assertIn(option, output)

    async def test_check(self) -> None:
        """It says what would be used, and tries the targets, without secrets."""
        _, place = self.listener()
        closed = socket.socket()
        self.addCleanup(closed.close)
        closed.bind(("127.0.0.1", 0))
        output = await self.said(
            0,
            *("--check", "--publish", f"app@{TOKEN}=http://{place}"),
            *("--publish-tcp", f"db=127.0.0.1:{closed.getsockname()[1]}"),
            environment=agent_environment(PROXER_GATEWAY_BASE_URL="http://localhost:8080"),
        )
        self.assertIn('hub = "ws://localhost:8080/agent"  # PROXER_GATEWAY_BASE_URL\n', output)
        self.assertIn(f'publish = ["app@***=http://{place}"]  # --publish\n', output)
        self.assertIn("# db: 127.0.0.1:", output)
        self.assertNotIn("# app:", output)
        self.assertTrue(output.endswith("OK\n"))

    async def test_bad_input(self) -> None:
        """A line that names the place, and the status that says of which kind it is."""
        publish = ("--publish", "app=http://127.0.0.1:3000")
        least = ("--hub", "wss://hub.example.com", *publish)
        nowhere = str(Path(tempfile.mkdtemp()) / "key")
        for status, options, text in (
            (64, (), "no hub: give --hub"),
            (64, (*least, "--key", KEY), "--key: others can read a command line"),
            (64, (*least, "--exit"), "--exit: is not available yet"),
            (64, (*publish, "--hub", "ws://hub.example.com"), "use wss://, or allow it"),
            (64, (*publish, "--hub", f"wss://a:{TOKEN}@b"), "must not hold a user name"),
            (64, (*least, "--publish", f"x@{TOKEN}=ftp://a"), "x: the target must begin with"),
            (64, (*least, "--publish", "x=http://a/b"), "x: the target must be a host and a port"),
            (78, (*least, "--key-file", nowhere), f"--key-file: {nowhere}: No such file"),
            (78, (*least, "--cafile", nowhere), f"--cafile: {nowhere}: No such file"),
            (78, ("--config", nowhere), f"{nowhere}: No such file"),
        ):
            output = await self.said(status, *options)
            self.assertRegex(output, r"\Aaluvia: .+\n\Z")
            self.assertIn(text, output)


class LifeTests(AgentCase):
    """A process that runs."""

    async def test_a_hub_that_is_away(self) -> None:
        """It is ready all the same, says why it is not connected, and ends as a service does."""
        closed = socket.socket()
        self.addCleanup(closed.close)
        closed.bind(("127.0.0.1", 0))
        agent = self.start(
            *("--hub", f"ws://127.0.0.1:{closed.getsockname()[1]}"),
            *("--publish", f"app@{TOKEN}=http://127.0.0.1:1"),
        )
        await agent.ready()
        self.assertEqual((agent.online, agent.state["tunnels"]), (False, {"app": None}))
        await until(lambda: "Not connected to ws://" in agent.output, 10, "it says so")
        await until(lambda: "app: nothing listens at" in agent.output, 10, "it says that too")
        agent.send_signal(signal.SIGHUP)
        await until(lambda: "SIGHUP: the options are read" in agent.output, 10, "that it was heard")
        await agent.stop()
        self.assertFalse(agent.port_file.exists())

    async def test_a_hub_that_says_nothing(self) -> None:
        """A stop does not wait for it."""
        _, place = self.listener()
        agent = self.start("--hub", f"ws://{place}", "--publish", f"app=http://{place}")
        await agent.ready()
        await agent.stop()
