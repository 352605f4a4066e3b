"""The tutorial, from its first line to its last."""

from __future__ import annotations

import signal

from tests.checkout import CHECKOUT
from tests.newcomer import NewcomerCase, with_ports
from tests.readme import commands

PAGE = CHECKOUT / "docs" / "tutorial" / "first-proxy.rst"


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
