"""Node: fetch with undici's ProxyAgent, and a CONNECT by its own http module."""

from __future__ import annotations

import json

from tests.peers.support import HERE, PeerCase, missing, need_program

HOSTS = ("localhost", "www.example.com")


class NodeTests(PeerCase):
    """``fetch.mjs`` through the proxy."""

    async def fetch(self, tunnel: str) -> None:
        """Run it for http and https, by both ways."""
        node = need_program("node", "nodejs")
        if not (HERE / "node_modules" / "undici").is_dir():
            missing("undici", f"npm install --prefix {HERE}")
        plain = self.origin()
        secure = self.origin(context=self.certificates.server(*HOSTS))
        proxy = await self.plain_proxy()
        urls = [f"http://{host}:{plain.port}/get" for host in HOSTS]
        urls += [f"https://{host}:{secure.port}/get" for host in HOSTS]
        ran = await self.run_command(
            *(node, str(HERE / "fetch.mjs"), *urls),
            PROXY=proxy.url,
            AUTHORITY=self.certificates.file(),
            TUNNEL=tunnel,
        )
        self.assertEqual(ran.status, 0, ran)
        said = json.loads(ran.stdout)
        self.assertEqual(len(said["results"]), len(urls))
        for result in said["results"]:
            self.assertEqual(result["fetched"]["status"], 200)
            self.assertEqual(result["fetched"]["target"], "/get")
            self.assertEqual(result["fetched"]["posted"], 200_000)
            self.assertEqual(result["connected"]["connect"], 200)
            self.assertIn("/by-connect", result["connected"]["text"])
        self.assertEqual(said["many"], [f"/{n}" for n in range(40)])
        methods = {asked.method for asked in self.parent.asked}
        self.assertEqual(methods, {b"CONNECT"} | (set() if tunnel == "1" else {b"GET", b"POST"}))

    async def test_fetch_tunnelled(self) -> None:
        """ProxyAgent's default: a CONNECT for everything."""
        await self.fetch("1")

    async def test_fetch_forwarded(self) -> None:
        """ProxyAgent without tunnels for http://."""
        await self.fetch("0")
