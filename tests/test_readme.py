"""The README, as a newcomer types it."""

from __future__ import annotations

import json
import re
import signal

from tests.aluvia_process import until
from tests.newcomer import SECONDS_TO_START, NewcomerCase, with_ports
from tests.readme import command


class ReadmeTests(NewcomerCase):
    """What the README says to type does what it says."""

    def test_lines(self) -> None:
        """Each of the two commands starts from a bare checkout, and is one line to paste."""
        for part in ("--demo", "trial aluvia"):
            line = command(part)
            self.assertTrue(line.startswith("python3 -m venv .venv && "), line)
            self.assertFalse(line.endswith("\\"), line)

    async def test_run(self) -> None:
        """
        One line sets it up and starts the demo, whose lines show both ways, and the flip; the
        others run a client with a parent proxy, a gateway, an edge, and a tunnel.
        """
        setup, _, demo = command("--demo").rpartition(" && ")
        await self.install(setup)
        await self.demo(demo)
        origin = await self.parent_proxy()
        await self.gateway()
        await self.an_edge(origin)
        await self.a_tunnel(origin)

    async def demo(self, line: str) -> None:
        """Type what the demo says to type."""
        child, proxy, _ = await self.proxy(line)
        await until(lambda: child.output.count("curl ") >= 4, SECONDS_TO_START, "the lines")
        lines = [each for each in child.output.splitlines() if each.startswith("curl ")]
        self.assertEqual(len(lines), 3, child.output)
        for each in lines:
            self.assertRegex(each, r" http://[a-z]+\.localhost:[0-9]+/$")
            self.assertIn(f"-x http://127.0.0.1:{proxy} ", each)
        direct, through, flip = [await self.finish(each) for each in lines]
        self.assertTrue(direct.startswith("direct"), direct)
        self.assertTrue(through.startswith("gateway"), through)
        self.assertTrue(flip.startswith("gateway"), flip)
        child.send_signal(signal.SIGTERM)
        self.assertEqual(await child.wait(), 128 + signal.SIGTERM, child.output)
        self.assertNotIn("Traceback", child.output)

    async def parent_proxy(self) -> int:
        """A curl line shows both ways; ``explain`` says why. The port of the site."""
        origin = await self.site(command("http.server"))
        run = command("--gateway-url")
        child, proxy, admin = await self.proxy(with_ports(run, {3128: self.nobody()}))
        curl = with_ports(command("curl -sI"), {18787: proxy, 8000: origin})
        direct, through, _ = (await self.finish(curl)).split("\r\n\r\n")
        self.assertRegex(direct, r"^HTTP/1\.1 200 OK\r\n")
        self.assertIn("Server: SimpleHTTP", direct)
        self.assertNotIn("Proxy-Status", direct)
        self.assertRegex(through, r"^HTTP/1\.1 502 Bad Gateway\r\n")
        self.assertRegex(through, r"(?m)^Proxy-Status: aluvia; ?error=connection_refused")
        told = await self.finish(f"{command('aluvia explain')} --admin-port {admin}")
        self.assertIn("gateway", told)
        self.assertIn("*.example.com", told)
        child.send_signal(signal.SIGTERM)
        self.assertEqual(await child.wait(), 128 + signal.SIGTERM, child.output)
        self.assertIn(f"http://127.0.0.1:{proxy}", child.output)
        self.assertNotIn("user:pass", child.output)
        return origin

    async def gateway(self) -> None:
        """An account, the gateway, and a client that follows it."""
        credentials = json.loads(await self.finish(f"{command('account add')} --json"))
        line = f"exec {command('aluvia-gateway')} --proxy 127.0.0.1:0 --api 127.0.0.1:0"
        gateway = self.start(line)
        pattern = re.compile(r"The (?:proxy|control plane) is (http://\S+)")
        await until(
            lambda: len(pattern.findall(gateway.output)) == 2 or gateway.ended,
            SECONDS_TO_START,
            "the gateway is ready",
        )
        proxy_url, api_url = pattern.findall(gateway.output)
        port = proxy_url.rpartition(":")[2]
        child, _, admin = await self.proxy(
            f"env ALUVIA_TOKEN={credentials['token']} .venv/bin/twistd -n --pidfile= aluvia "
            f"--api-base-url {api_url} --gateway-host 127.0.0.1 --gateway-port {port}"
        )
        self.assertIn("ready", await self.finish(f"curl -s http://127.0.0.1:{admin}/readyz"))
        for each in (child, gateway):
            each.send_signal(signal.SIGTERM)
            self.assertEqual(await each.wait(), 128 + signal.SIGTERM, each.output)

    async def an_edge(self, origin: int) -> None:
        """A route is one line, and there when that is answered."""
        child, ports = await self.edge(
            with_ports(command("--http 127.0.0.1:8081"), {8081: 0, 8443: 0})
        )
        await self.finish(command("api.curl)"))
        line = with_ports(command("api/v1/routes"), {8000: origin, 8901: ports["api"]})
        self.assertIn('"vHost": "app.localhost"', await self.finish(line))
        line = with_ports(command("app.localhost:8081"), {8081: ports["http"]})
        self.assertIn("architecture.rst", await self.finish(line))
        child.send_signal(signal.SIGTERM)
        self.assertEqual(await child.wait(), 128 + signal.SIGTERM, child.output)
        self.assertNotIn("Traceback", child.output)

    async def a_tunnel(self, origin: int) -> None:
        """Three commands, and the site is there; the edge has its store from before."""
        await self.finish(command("agent-key add"))
        edge, ports = await self.edge(
            with_ports(command("--http 127.0.0.1:8082"), {8082: 0, 8910: 0})
        )
        line = command("twistd -n --pidfile= aluvia-agent")
        agent = await self.agent(with_ports(line, {8910: ports["hub"], 8000: origin}))
        line = with_ports(command("8082/t/app"), {8082: ports["http"]})
        self.assertIn("architecture.rst", await self.finish(line))
        for child in (agent, edge):
            await self.interrupt(child)
