"""``--demo`` where others run already."""

from __future__ import annotations

import socket
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from tests.aluvia_process import AluviaProcess, clean_environment, until

SECONDS = 10.0


class DemoTests(TestCase):
    """What the README's own test does not see."""

    timeout = 60

    def demo(self, *options: str, **environment: str) -> AluviaProcess:
        """Start one, on ports that nobody asked for; it ends with the test at the latest."""
        port_file = Path(self.mktemp()).absolute()
        demo = AluviaProcess(
            *("--demo", "--port-file", str(port_file), *options),
            ports=False,
            environment=clean_environment(**environment),
        )
        demo.port_file = port_file
        self.addCleanup(demo.wait)
        self.addCleanup(demo.kill)
        return demo

    async def test_many_at_the_same_moment(self) -> None:
        """Each that finds a port taken, even between two looks, takes another one and says so."""
        demos = [self.demo() for _ in range(3)]
        await gatherResults([Deferred.fromCoroutine(demo.ready()) for demo in demos])
        for name, wanted in (("proxy", 18787), ("admin", 18788)):
            got = [demo.ports[name] for demo in demos]
            self.assertEqual(len(set(got)), 3)
            said = f"The {name} port {wanted} is taken; another one is used."
            for demo in demos:
                self.assertEqual(said in demo.output, demo.ports[name] != wanted, demo.output)
        await until(
            lambda: all(f"curl -x {demo.url} " in demo.output for demo in demos),
            SECONDS,
            "the lines to type",
        )
        for demo in demos:
            await demo.stop()

    async def test_a_port_that_was_asked_for(self) -> None:
        """It is that one or none: status 73."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            demo = self.demo("--port", str(port), "--admin-port", "0")
            self.assertEqual(await demo.wait(), 73, demo.output)
        self.assertIn(f"the proxy port 127.0.0.1:{port} cannot be bound", demo.output)

    async def test_what_is_set_for_the_real_one(self) -> None:
        """Neither its state, nor its users, nor its file of options has anything to do with it."""
        kept, users, config = (Path(self.mktemp()).absolute() for _ in range(3))
        kept.write_text("kept")
        users.write_text("me:mine\n")
        config.write_text('gateway-url = "http://127.0.0.1:9"\n')
        demo = self.demo(
            *("--port", "0", "--admin-port", "0"),
            ALUVIA_STATE_FILE=str(kept),
            ALUVIA_LOCAL_AUTH_FILE=str(users),
            ALUVIA_CONFIG=str(config),
            ALUVIA_TOKEN="real",
        )
        await demo.ready()
        await until(lambda: "can be seen at" in demo.output, SECONDS, "the lines to type")
        self.assertEqual(kept.read_text(), "kept")
        # The first lines that mention a proxy are those that prove it, in their order.
        lines = [line for line in demo.output.splitlines() if "curl" in line]
        self.assertRegex(lines[0], rf"^curl -x {demo.url} http://direct\.localhost:[0-9]+/$")
        self.assertRegex(lines[1], rf"^curl -x {demo.url} http://proxied\.localhost:[0-9]+/$")
        self.assertEqual(len(lines), 3)
        await demo.stop()

    async def test_options_that_it_has_itself(self) -> None:
        """To give one is a mistake, which is said by its name."""
        for option in ("--config", "--token", "--gateway-url", "--state-file", "--gateway-host"):
            demo = self.demo(option, "x")
            self.assertEqual(await demo.wait(), 64, demo.output)
            self.assertIn(f"{option}: --demo has all of its own", demo.output)
