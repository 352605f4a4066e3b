"""The README, as a newcomer types it."""

from __future__ import annotations

import signal

from tests.newcomer import NewcomerCase, with_ports
from tests.readme import command


class ReadmeTests(NewcomerCase):
    """What the README says to type does what it says."""

    def test_lines(self) -> None:
        """Each of the two commands starts from a bare checkout, and is one line to paste."""
        for part in ("twistd -n", "trial aluvia"):
            line = command(part)
            self.assertTrue(line.startswith("python3 -m venv .venv && "), line)
            self.assertFalse(line.endswith("\\"), line)

    async def test_run(self) -> None:
        """One line sets it up and runs it; a curl line shows both ways; ``explain`` says why."""
        setup, _, run = command("twistd -n").rpartition(" && ")
        await self.install(setup)
        origin = await self.site(command("http.server"))
        child, proxy, admin = await self.proxy(with_ports(run, {3128: self.nobody()}))

        curl = with_ports(command("curl "), {18787: proxy, 8000: origin})
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
