"""``twistd -n aluvia-edge --demo``, as somebody meets it who has never seen an edge."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import tempfile
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from tests.aluvia_process import TWISTD, AluviaProcess, Child, clean_environment, until

SECONDS = 30.0
NAMES = ("http", "https", "api")

#: The last line that it prints.
LAST = re.compile(r"^What else can be changed .* at (\S+)$", re.MULTILINE)


class EdgeDemoProcess(AluviaProcess):
    """
    A demo in a process of its own.

    :ivar temporary: the directory in which it makes its own.
    """

    def __init__(self, *options: str, **environment: str) -> None:
        """Start it; :meth:`ready` waits."""
        self.ports = {}
        self.sockets_at_rest = 0
        self.temporary = Path(tempfile.mkdtemp(dir=os.getcwd()))
        self.port_file = Path(tempfile.mkdtemp(dir=os.getcwd())) / "ports.json"
        Child.__init__(
            self,
            *(*TWISTD, "-n", "--pidfile=", "aluvia-edge", "--demo"),
            *("--port-file", str(self.port_file), *options),
            environment=clean_environment(TMPDIR=str(self.temporary), **environment),
        )

    async def lines(self) -> list[str]:
        """What it says to type, once it has."""
        await self.ready()
        await until(lambda: LAST.search(self.output), SECONDS, "the lines")
        return [line for line in self.output.splitlines() if line.startswith("curl ")]

    def left(self) -> list[Path]:
        """The files that there are now, and were not before it."""
        places = (self.temporary, Path(self.directory), self.port_file.parent)
        return [path for place in places for path in place.rglob("*")]


class EdgeDemoTests(TestCase):
    """Demos, and lines that are typed as they stand."""

    timeout = 120

    def demo(self, *options: str, **environment: str) -> EdgeDemoProcess:
        """Start one; it ends with the test at the latest."""
        demo = EdgeDemoProcess(*options, **environment)
        self.addCleanup(demo.wait)
        self.addCleanup(demo.kill)
        return demo

    async def typed(self, line: str, status: int = 0) -> str:
        """Type a line, and return what it prints."""
        child = Child("bash", "-c", line)
        self.addCleanup(child.kill)
        self.assertEqual(await child.wait(), status, f"{line}:\n{child.output}")
        return child.stdout.decode()

    async def answering(self, line: str) -> list[str]:
        """Type a line, and return who has answered."""
        answers = (await self.typed(line)).splitlines()
        for answer in answers:
            pattern = r"(one|two): GET https?://(app|api)\.localhost:\d+/, asked by (demo at )?"
            self.assertRegex(answer, f"^{pattern}127\\.0\\.0\\.[12]$")
        return [answer.partition(":")[0] for answer in answers]

    async def assert_works(self, demo: EdgeDemoProcess, ways: int) -> None:
        """
        Type all its lines, in their order.

        :param ways: how many of ``http`` and ``https`` there are.
        """
        turns, *rest = await demo.lines()
        self.assertEqual(len(rest), 2 + ways, demo.output)
        self.assertEqual(await self.answering(turns), ["one", "two"])
        if ways == 2:
            self.assertEqual(await self.answering(rest.pop(0)), ["one"])
        password, dead, stats = rest
        self.assertEqual(await self.answering(password), ["two"])
        self.assertEqual(await self.answering(dead), ["two", "two"])
        self.assertEqual(await self.answering(turns), ["two", "two"])
        # What stands above that line says so.
        ready = dead.replace("/one/dead ", "/one/ready ")
        self.assertEqual(sorted(await self.answering(ready)), ["one", "two"])
        told = json.loads(await self.typed(stats))
        self.assertEqual(told["sinceStart"]["answers"]["2xx"], 8 + ways)
        domains = {each["domain"] for each in told["certificates"]}
        self.assertEqual(domains, {"app.localhost", "api.localhost"})

    async def test_lines(self) -> None:
        """Each line that it prints shows what stands above it; and it ends without a trace."""
        demo = self.demo()
        await self.assert_works(demo, ways=2)
        _, https, password, *_ = await demo.lines()
        # The certificate is what makes it work, and the password.
        without = re.sub(r"--cacert \S+ ", "", https)
        self.assertNotEqual(without, https)
        await self.typed(without, status=60)
        without = password.replace("-u demo:demo", "-f")
        await self.typed(without, status=22)
        found = LAST.search(demo.output)
        assert found is not None
        self.assertIn("<html", await self.typed(f"curl -sSf {found[1]}"))
        routes = re.search(r"^What it is configured with is in (\S+)$", demo.output, re.MULTILINE)
        assert routes is not None
        self.assertIn('vHost = "app.localhost"', Path(routes[1]).read_text())
        await demo.stop()
        self.assertEqual(demo.left(), [])

    async def test_other_places(self) -> None:
        """The lines come in where it listens, wherever it was told to."""
        for options, ways in (
            (("--http", "none", "--https", "127.0.0.1:0"), 1),
            (("--http", "127.0.0.2:0", "--https", "0.0.0.0:0"), 2),
            (("--http", "127.0.0.1:0,proxy_protocol", "--https", "none"), 1),
        ):
            demo = self.demo(*options, "--api", "127.0.0.1:0")
            await self.assert_works(demo, ways)
            await demo.stop()
            self.assertEqual(demo.left(), [])

    async def test_two_at_the_same_moment(self) -> None:
        """Each finds ports, says where another one is used, and is alone behind its lines."""
        demos = [self.demo() for _ in range(2)]
        await gatherResults([Deferred.fromCoroutine(demo.lines()) for demo in demos])
        for name, said, wanted in (
            ("http", "http", 8080),
            ("https", "https", 8443),
            ("api", "API", 8901),
        ):
            got = [demo.ports[name] for demo in demos]
            self.assertEqual(len(set(got)), 2)
            for demo in demos:
                moved = f"The {said} port {wanted} is taken; another one is used."
                self.assertEqual(moved in demo.output, demo.ports[name] != wanted, demo.output)
        first, second = demos
        await self.assert_works(first, ways=2)
        self.assertEqual(len([*first.temporary.iterdir()]), 1)
        await first.stop()
        self.assertEqual(first.left(), [])
        await self.assert_works(second, ways=2)
        await second.stop()
        self.assertEqual(second.left(), [])

    async def test_ended_while_it_starts(self) -> None:
        """SIGTERM as soon as there is anything of it, and nothing is left."""
        demo = self.demo()
        await until(lambda: [*demo.temporary.iterdir()] or demo.ended, SECONDS, "its directory")
        await demo.stop()
        self.assertEqual(demo.left(), [])

    async def test_interrupted(self) -> None:
        """Ctrl-C is an end like any other, also with a client that stays connected."""
        demo = self.demo()
        await demo.lines()
        with socket.create_connection(("127.0.0.1", demo.ports["http"])):
            demo.send_signal(signal.SIGINT)
            self.assertEqual(await demo.wait(), 128 + signal.SIGINT, demo.output)
        demo.assert_quiet()
        self.assertEqual(demo.left(), [])

    async def test_a_port_that_was_asked_for(self) -> None:
        """It is that one or none: status 73, a line, and nothing is left."""
        for name in NAMES:
            with socket.create_server(("127.0.0.1", 0)) as taken:
                place = f"127.0.0.1:{taken.getsockname()[1]}"
                demo = self.demo(f"--{name}", place)
                self.assertEqual(await demo.wait(), 73, demo.output)
            self.assertRegex(demo.output, f"(?im)^aluvia: the {name} port {place} cannot be bound")
            demo.assert_quiet()
            self.assertEqual(demo.left(), [])

    async def test_what_is_set_for_the_real_one(self) -> None:
        """Neither its store, nor its routes, nor its token has anything to do with it."""
        store, routes, config = (Path(self.mktemp()).absolute() for _ in range(3))
        for path in (store, routes, config):
            path.write_text("kept")
        demo = self.demo(
            ALUVIA_EDGE_DB=str(store),
            ALUVIA_EDGE_ROUTES=str(routes),
            ALUVIA_EDGE_CONFIG=str(config),
            ALUVIA_EDGE_HTTP="127.0.0.1:1",
            ALUVIA_API_TOKEN="canary-of-the-real-one",
        )
        *_, stats = await demo.lines()
        self.assertNotIn("canary", demo.output)
        real = re.sub(r"Bearer [^']+", "Bearer canary-of-the-real-one", stats)
        self.assertIn('"status": 401', await self.typed(real))
        await demo.stop()
        self.assertEqual(demo.left(), [])
        self.assertEqual({path.read_text() for path in (store, routes, config)}, {"kept"})
