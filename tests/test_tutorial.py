"""The tutorials, each from its first line to its last."""

from __future__ import annotations

import json

from tests.aluvia_process import until
from tests.checkout import CHECKOUT
from tests.newcomer import (
    NewcomerCase,
    free_port,
    listens,
    need_openssl,
    python_blocks,
    with_ports,
)
from tests.readme import commands

PAGE = CHECKOUT / "docs" / "tutorial" / "first-proxy.rst"
EDGE_PAGE = CHECKOUT / "docs" / "tutorial" / "first-edge.rst"
TUNNEL_PAGE = CHECKOUT / "docs" / "tutorial" / "first-tunnel.rst"


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

        await self.interrupt(gateway_child)
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
        await self.interrupt(one, 0)
        await self.serving(line_of_one, 8001, port_of_one)
        ready = json.loads(await self.finish(with_ports(next(lines), api)))
        self.assertEqual((ready["admin"], ready["isDead"]), ("ready", False))

        await self.interrupt(two, 0)
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

        await self.interrupt(edge)
        _, ports = await self.edge(with_ports(line_of_edge, {8080: 0, 8443: 0}))
        again = await self.finish(with_ports(next(lines), {8443: ports["https"]}))
        self.assertEqual(again, "one\n")
        self.assertEqual(list(lines), [])


class TunnelTutorialTests(NewcomerCase):
    """So it is with the page about tunnels."""

    async def test_page(self) -> None:
        """Each line, in its order; the ports are free ones."""
        lines = iter(commands(TUNNEL_PAGE))
        await self.install(next(lines))
        self.assertIn("through a hub", await self.finish(next(lines)))
        await self.finish(next(lines))
        line_of_site = next(lines)
        site, port = await self.serving(line_of_site, 3000, 0)

        told = "laptop.key has the key of laptop.\n"
        self.assertEqual(await self.finish(next(lines)), told)
        edge, ports = await self.edge(with_ports(next(lines), {8080: 0, 8910: 0}))
        http, hub = {8080: ports["http"]}, {8910: ports["hub"]}
        self.assertIn(f"hub is at ws://127.0.0.1:{ports['hub']}/agent\n", edge.output)
        self.assertIn("tunnels are at /t/ID/ without one", edge.output)
        agent = await self.agent(with_ports(next(lines), {3000: port, **hub}))
        self.assertIn("app is at /t/app/ of the edge\n", agent.output)
        page = await self.finish(with_ports(next(lines), http))
        self.assertEqual(page, '<script src="/live.js"></script>Hello from here.\n')
        await self.interrupt(site, 0)
        refused = await self.finish(with_ports(next(lines), http))
        self.assertRegex(refused, r"^HTTP/1\.1 502 [^$]+aluvia-edge; error=connection_refused\r\n")
        await until(lambda: "app: nothing listens at" in agent.output, 30, "it is told")
        self.assertRegex(agent.output, r" app: GET / 200, 49 bytes in \d")
        await self.serving(line_of_site, 3000, port)

        await self.interrupt(agent)
        away = await self.finish(with_ports(next(lines), http))
        self.assertRegex(away, r"^HTTP/1\.1 502 [^$]+ error=destination_unavailable\r\n")
        agent = await self.agent(with_ports(next(lines), {3000: port, **hub}))
        for status in (403, 200):
            self.assertEqual(await self.finish(with_ports(next(lines), http)), f"{status}\n")
        self.assertNotIn("open-sesame", agent.output + edge.output)
        await self.interrupt(agent)

        live = free_port()
        (text,) = python_blocks(TUNNEL_PAGE)
        (self.checkout / "live.py").write_text(with_ports(text, {5173: live}), encoding="utf-8")
        self.start(f"exec {next(lines)}")
        await until(lambda: listens(live), 30, "it listens")
        agent = await self.agent(with_ports(next(lines), {3000: port, 5173: live, **hub}))
        said = await self.finish(with_ports(next(lines), http))
        self.assertEqual(said, f"Hello, 127.0.0.1:{ports['http']}\n")

        await self.interrupt(edge)
        edge, _ = await self.edge(with_ports(next(lines), http | hub))
        there = f"app is at http://app.tunnels.localhost:{ports['http']}/\n"
        await until(lambda: there in agent.output, 60, "it is back")
        for status in (404, 200):
            self.assertEqual(await self.finish(with_ports(next(lines), http)), f"{status}\n")

        self.assertEqual(await self.finish(next(lines)), "Revoked laptop.\n")
        await until(lambda: ": The key was revoked, " in agent.output, 30, "it is told")
        self.assertEqual(list(lines), [])
