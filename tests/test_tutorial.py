"""The tutorials, each from its first line to its last."""

from __future__ import annotations

import json
import signal

from tests.aluvia_process import Child
from tests.checkout import CHECKOUT
from tests.newcomer import NewcomerCase, need_openssl, with_ports
from tests.readme import commands

PAGE = CHECKOUT / "docs" / "tutorial" / "first-proxy.rst"
EDGE_PAGE = CHECKOUT / "docs" / "tutorial" / "first-edge.rst"


class TutorialTests(NewcomerCase):
    """Whoever types what the page says sees what the page shows."""

    async def test_page(self) -> None:
        """Each line, in its order; the ports are free ones."""
        lines = iter(commands(PAGE))
        await self.install(next(lines))
        self.assertIn("proxy", await self.finish(next(lines)))
        origin = await self.site(next(lines))

        await self.finish(next(lines))
        gateway_child, gateway, _ = await self.proxy(next(lines))
        refused = await self.finish(with_ports(next(lines), {3128: gateway, 8000: origin}))
        self.assertTrue(refused.startswith("HTTP/1.1 407 Proxy Authentication Required\r\n"))

        _, proxy, admin = await self.proxy(with_ports(next(lines), {3128: gateway}))
        ports = {18787: proxy, 8000: origin}
        for _way in ("direct", "gateway"):
            self.assertEqual(await self.finish(with_ports(next(lines), ports)), "200\n")
        for way in ("direct", "gateway"):
            self.assertIn(way, await self.finish(f"{next(lines)} --admin-port {admin}"))

        gateway_child.send_signal(signal.SIGINT)
        self.assertEqual(await gateway_child.wait(), 128 + signal.SIGINT, gateway_child.output)
        failed = await self.finish(with_ports(next(lines), ports))
        self.assertTrue(failed.startswith("HTTP/1.1 502 Bad Gateway\r\n"), failed)
        self.assertRegex(failed, r"(?m)^Proxy-Status: aluvia; ?error=connection_refused")

        self.assertRegex(await self.finish(next(lines)), r"^http://127\.0\.0\.1:\d+\n$")
        self.assertEqual(list(lines), [])


class EdgeTutorialTests(NewcomerCase):
    """So it is with the edge's page."""

    async def test_page(self) -> None:
        """Each line, in its order; the ports are free ones."""
        need_openssl()
        lines = iter(commands(EDGE_PAGE))
        await self.install(next(lines))
        self.assertIn("reverse proxy", await self.finish(next(lines)))

        await self.finish(next(lines))
        line_of_one = next(lines)
        one, port_of_one = await self.serving(line_of_one, 8001, 0)
        two, port_of_two = await self.serving(next(lines), 8002, 0)

        await self.finish(next(lines))
        line_of_edge = next(lines)
        edge, ports = await self.edge(with_ports(line_of_edge, {8080: 0, 8443: 0}))
        self.assertIn("There is no route yet", edge.output)
        self.assertIn("/edge.db.api-token", edge.output)
        await self.finish(next(lines))

        api, http, https = {8901: ports["api"]}, {8080: ports["http"]}, {8443: ports["https"]}
        made = json.loads(await self.finish(with_ports(next(lines), {8001: port_of_one, **api})))
        self.assertEqual((made["id"], made["retries"]), ("shop", 3))
        self.assertEqual(await self.finish(with_ports(next(lines), https)), "one\n")
        sent_on = await self.finish(with_ports(next(lines), http))
        self.assertTrue(sent_on.startswith("HTTP/1.1 308 Permanent Redirect\r\n"), sent_on)
        self.assertIn(f"\r\nLocation: https://shop.localhost:{ports['https']}/\r\n", sent_on)

        more = json.loads(await self.finish(with_ports(next(lines), {8002: port_of_two, **api})))
        self.assertEqual(more["id"], "two")
        self.assertEqual(await self.finish(with_ports(next(lines), https)), "two\none\n")

        drained = json.loads(await self.finish(with_ports(next(lines), api)))
        self.assertEqual((drained["admin"], drained["active"]), ("drain", 0))
        self.assertEqual(await self.finish(with_ports(next(lines), https)), "two\ntwo\n")
        await self.interrupt(one)
        await self.serving(line_of_one, 8001, port_of_one)
        ready = json.loads(await self.finish(with_ports(next(lines), api)))
        self.assertEqual((ready["admin"], ready["isDead"]), ("ready", False))

        await self.interrupt(two)
        self.assertEqual(await self.finish(with_ports(next(lines), https)), "one\none\n")
        self.assertIn("Backend two of shop is dead: connection_refused", edge.output)
        dead = json.loads(await self.finish(with_ports(next(lines), api)))
        self.assertTrue(dead["isDead"], dead)
        stats = json.loads(await self.finish(with_ports(next(lines), api)))
        # Seven over TLS, and one that was sent there.
        self.assertEqual(stats["sinceStart"]["requests"], 8, stats)
        self.assertIn(
            "aluvia_edge_requests_total{", await self.finish(with_ports(next(lines), api))
        )

        await self.interrupt(edge, 128 + signal.SIGINT)
        _, ports = await self.edge(with_ports(line_of_edge, {8080: 0, 8443: 0}))
        again = await self.finish(with_ports(next(lines), {8443: ports["https"]}))
        self.assertEqual(again, "one\n")
        self.assertEqual(list(lines), [])

    async def interrupt(self, child: Child, status: int = 0) -> None:
        """Press Ctrl-C in its terminal."""
        child.send_signal(signal.SIGINT)
        self.assertEqual(await child.wait(), status, child.output)
        self.assertNotIn("Unhandled", child.output)
