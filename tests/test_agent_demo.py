"""``twistd -n aluvia-agent --demo``, as somebody meets it who has never seen a tunnel."""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from tests.agent_process import AgentProcess, agent_environment
from tests.aluvia_process import Child, until

SECONDS = 30.0

IDS = ("app", "private")


class AgentDemoProcess(AgentProcess):
    """
    A demo in a process of its own.

    :ivar temporary: where it would make files.
    """

    def __init__(self, *options: str, **environment: str) -> None:
        """Start it; :meth:`lines` waits."""
        self.temporary = Path(tempfile.mkdtemp(dir=os.getcwd()))
        own = {"TMPDIR": str(self.temporary), **environment}
        super().__init__("--demo", *options, environment=agent_environment(**own))

    async def lines(self) -> list[str]:
        """What it says to type, once it has."""
        await self.ready()
        await until(lambda: self.output.count("\ncurl ") == 5, SECONDS, "the lines")
        return [line for line in self.output.splitlines() if line.startswith("curl ")]

    def left(self) -> list[Path]:
        """The files that there are now, and were not before it."""
        places = (self.temporary, Path(self.directory), self.port_file.parent)
        return [path for place in places for path in place.rglob("*")]


class AgentDemoTests(TestCase):
    """Demos, and lines that are typed as they stand."""

    timeout = 120

    def demo(self, *options: str, **environment: str) -> AgentDemoProcess:
        """Start one; it ends with the test at the latest."""
        demo = AgentDemoProcess(*options, **environment)
        self.addCleanup(demo.wait)
        self.addCleanup(demo.kill)
        return demo

    async def typed(self, line: str, status: int = 0) -> str:
        """Type a line, and return what it prints."""
        child = Child("bash", "-c", line)
        self.addCleanup(child.kill)
        self.assertEqual(await child.wait(), status, f"{line}:\n{child.output}")
        return child.stdout.decode()

    async def assert_works(self, demo: AgentDemoProcess) -> None:
        """Type all its lines, in their order."""
        by_path, by_host, private, events, tunnels = await demo.lines()
        for line in (by_path, by_host, private):
            url = line.split()[-1]
            self.assertEqual(await self.typed(line), f"site: GET {url}, asked by 127.0.0.1\n")
        self.assertEqual((await self.typed(events)).count("data: event "), 3)
        shown = json.loads(await self.typed(tunnels))
        self.assertEqual({each["id"]: each["online"] for each in shown}, dict.fromkeys(IDS, True))

    async def test_lines(self) -> None:
        """Each line that it prints shows what stands above it; and it ends without a trace."""
        demo = self.demo()
        await self.assert_works(demo)
        private = (await demo.lines())[2]
        without = re.sub(r"-H '[^']+' ", "-f ", private)
        await self.typed(without, status=22)
        link = re.search(r"^A browser is shown it by (\S+)$", demo.output, re.MULTILINE)
        assert link is not None
        self.assertIn("site: GET ", await self.typed(f"curl -sSf '{link[1]}'"))
        page = re.search(
            r"^A browser shows it at (\S+/tunnels) and asks ", demo.output, re.MULTILINE
        )
        assert page is not None
        self.assertIn("<html", await self.typed(f"curl -sS '{page[1]}'"))
        # In the lines that are printed it stands, and in none of the log.
        token = link[1].partition("=")[2]
        log = [line for line in demo.output.splitlines() if line.startswith("20")]
        self.assertTrue(any(" app: GET / 200, " in line for line in log), demo.output)
        self.assertNotIn(token, "".join(log))
        await demo.stop()
        self.assertEqual(demo.left(), [])

    async def test_two_at_the_same_moment(self) -> None:
        """Each finds ports, and is alone behind its lines."""
        demos = [self.demo() for _ in range(2)]
        await gatherResults([Deferred.fromCoroutine(demo.lines()) for demo in demos])
        self.assertEqual(len({demo.state["hub"] for demo in demos}), 2)
        for demo in demos:
            await self.assert_works(demo)
            await demo.stop()
            self.assertEqual(demo.left(), [])

    async def test_interrupted(self) -> None:
        """Ctrl-C is an end like any other, also as soon as there is anything of it."""
        for early in (True, False):
            demo = self.demo()
            await until(lambda demo=demo: "starting" in demo.output, SECONDS, "it starts")  # type: ignore[misc]
            if not early:
                await demo.lines()
            demo.send_signal(signal.SIGINT)
            self.assertEqual(await demo.wait(), 128 + signal.SIGINT, demo.output)
            demo.assert_quiet()
            self.assertEqual(demo.left(), [])

    async def test_what_is_set_for_the_real_one(self) -> None:
        """Neither its hub, nor its key, nor its tunnels have anything to do with it."""
        demo = self.demo(
            ALUVIA_AGENT_HUB="wss://canary.example.com",
            ALUVIA_AGENT_CONFIG="/canary",
            ALUVIA_PUBLISH="canary=http://127.0.0.1:1",
        )
        await self.assert_works(demo)
        await demo.stop()
        self.assertNotIn("canary", demo.output)

    async def test_what_would_have_no_effect(self) -> None:
        """It is refused in words, and nothing is started."""
        demo = self.demo("--publish", "app=http://127.0.0.1:3000")
        self.assertEqual(await demo.wait(), 64, demo.output)
        self.assertEqual(demo.output, "aluvia: --publish: --demo has all of its own\n")
        self.assertEqual(demo.left(), [])
