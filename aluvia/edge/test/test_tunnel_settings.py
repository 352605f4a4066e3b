"""Tests for the options of the hub and of tunnels, and for what ``--check`` makes of them."""

from __future__ import annotations

from pathlib import Path

from aluvia.edge.check import examine, report
from aluvia.edge.load import advice
from aluvia.edge.settings import TunnelPlace
from aluvia.edge.test.tap_case import TapCase
from aluvia.process.sources import SettingsError

HUB = ("--hub", "127.0.0.1:8910")

ROUTES = """
[[routes]]
vHost = "a.test"
[[routes.backends]]
endpoint = "tunnel:App"
"""


class TunnelSettingsTests(TapCase):
    """What is read."""

    def test_defaults(self) -> None:
        """There is no hub unless it is asked for, and then tunnels have paths and no domain."""
        self.assertIsNone(self.parse().hub)
        settings = self.parse(*HUB)
        self.assertEqual(settings.hub, ("127.0.0.1", 8910))
        self.assertEqual((settings.hub_cert, settings.hub_key), (None, None))
        self.assertEqual((settings.tunnel_domain, settings.tunnel_paths), (None, True))
        self.assertEqual((settings.tunnel_rate, settings.tunnel_bytes_per_day), (None, None))
        self.assertEqual((settings.tunnel_streams, settings.tunnel_body_bytes), (256, None))

    def test_three_spellings(self) -> None:
        """On the command line, in the environment, and in a file."""
        config = self.file(
            'hub = "[::1]:1"\ntunnel-paths = false\ntunnel-tcp = ["db=127.0.0.1:5"]\n'
            'tunnel-bytes-per-day = 5\ntunnel-body-bytes = "none"\n'
        )
        self.environ |= {
            "ALUVIA_EDGE_CONFIG": config,
            "ALUVIA_EDGE_TUNNEL_DOMAIN": "Tunnels.Example.",
            "ALUVIA_EDGE_TUNNEL_RATE": "0.5",
        }
        settings = self.parse("--tunnel-auth-provider", "people", "--tunnel-streams", "0")
        self.assertEqual(settings.hub, ("::1", 1))
        self.assertEqual(settings.tunnel_domain, "tunnels.example")
        self.assertEqual((settings.tunnel_paths, settings.tunnel_rate), (False, 0.5))
        self.assertEqual((settings.tunnel_bytes_per_day, settings.tunnel_streams), (5, 0))
        self.assertEqual(settings.tunnel_auth_provider, "people")
        self.assertEqual(settings.tunnel_tcp, (TunnelPlace("db", "127.0.0.1", 5),))
        words = ("--tunnel-tcp", "A=localhost:1,b=[::1]:0", "--tunnel-tcp", "c=0.0.0.0:0")
        self.assertEqual(
            [str(each) for each in self.parse(*words).tunnel_tcp],
            ["a=127.0.0.1:1", "b=[::1]:0", "c=0.0.0.0:0"],
        )
        self.assertTrue(self.parse("--tunnel-paths", "on").tunnel_paths)

    def test_without_a_hub(self) -> None:
        """What is about tunnels wants --hub, wherever it was said."""
        for words in (
            ("--hub-cert", "x", "--hub-key", "y"),
            ("--tunnel-domain", "a.test"),
            ("--tunnel-paths", "on"),
            ("--tunnel-auth-provider", "a"),
            ("--tunnel-rate", "1"),
            ("--tunnel-bytes-per-day", "1"),
            ("--tunnel-streams", "1"),
            ("--tunnel-body-bytes", "1"),
            ("--tunnel-tcp", "a=127.0.0.1:1"),
        ):
            said = self.exits(64, *words)
            self.assertIn(f"{words[0]}: is about tunnels, and there is no hub: --hub", said)
        self.environ["ALUVIA_EDGE_TUNNEL_RATE"] = "1"
        self.assertIn("ALUVIA_EDGE_TUNNEL_RATE: is about tunnels", self.exits(64))

    def test_mistakes(self) -> None:
        """64, and a line that names the option and what it must be."""
        for words, said in (
            (["--hub", "8910"], "--hub: must be ADDRESS:PORT"),
            (["--hub-cert", "x"], "--hub-cert: wants --hub-key"),
            (["--hub-key", "x"], "--hub-key: wants --hub-cert"),
            (["--tunnel-domain", "10.0.0.1"], "--tunnel-domain: must be a name"),
            (["--tunnel-domain", "a b"], "--tunnel-domain: "),
            (["--tunnel-paths", "maybe"], "--tunnel-paths: must be on or off"),
            (["--tunnel-auth-provider", "a/b"], "--tunnel-auth-provider: must be the id"),
            (["--tunnel-rate", "0"], "--tunnel-rate: must be a number"),
            (["--tunnel-bytes-per-day", "0.5"], "--tunnel-bytes-per-day: must be a whole"),
            (["--tunnel-tcp", "5432"], "--tunnel-tcp: must be ID=ADDRESS:PORT"),
            (["--tunnel-tcp", "-=127.0.0.1:1"], "--tunnel-tcp: must be ID=ADDRESS:PORT"),
            (["--tunnel-tcp", "a=127.0.0.1:1,a=127.0.0.1:2"], "--tunnel-tcp names a tunnel twice"),
            (["--tunnel-tcp", "a=127.0.0.1:8910"], "cannot be at one place"),
            (["--hub", "127.0.0.1:8901"], "cannot be at one place"),
        ):
            self.assertIn(said, self.exits(64, *HUB, *words), words)

    def test_advice(self) -> None:
        """Agents' keys in the clear, off loopback, are worth a line; with a certificate, none."""
        more = ("--certificates", "x")
        (line,) = advice(self.parse("--hub", "0.0.0.0:8910", *more))
        self.assertIn("The hub at 0.0.0.0:8910 takes agents' keys without TLS", line)
        tls = ("--hub-cert", "x", "--hub-key", "y")
        self.assertEqual(advice(self.parse("--hub", "0.0.0.0:8910", *tls, *more)), [])
        self.assertEqual(advice(self.parse(*HUB, *more)), [])


class CheckTests(TapCase):
    """``--check``."""

    def test_round(self) -> None:
        """Its report is a configuration file of the same."""
        words = (
            *HUB,
            *("--tunnel-domain", "a.test", "--tunnel-paths", "off", "--tunnel-rate", "2.5"),
            *("--tunnel-tcp", "db=127.0.0.1:5432", "--tunnel-bytes-per-day", "7"),
        )
        settings = self.parse(*words)
        body = report(settings).removesuffix("OK\n")
        self.assertEqual(self.parse("--config", self.file(body)), settings)
        self.assertNotIn("tunnel", report(self.parse()))

    def test_tunnels_as_backends(self) -> None:
        """They are good where there is a hub, and a mistake where there is none."""
        routes = self.file(ROUTES, "routes.toml")
        words = ("--db", str(self.directory / "a.db"), "--routes", routes)
        examine(self.parse(*HUB, *words), {}, 0.0)
        said = str(self.assertRaises(SettingsError, examine, self.parse(*words), {}, 0.0))
        self.assertIn("is a tunnel, and there is no hub here: --hub", said)

    def test_the_provider(self) -> None:
        """One that is not there would leave visitors outside."""
        words = ("--db", str(self.directory / "a.db"), *HUB, "--tunnel-auth-provider", "people")
        notes = examine(self.parse(*words), {}, 0.0)
        line = "There is no authProvider 'people'"
        self.assertTrue(any(line in each for each in notes), notes)
        routes = '[[authProviders]]\nid = "people"\ntype = "hook"\nurl = "http://127.0.0.1:1/"\n'
        place = Path(self.file(routes, "providers.toml"))
        notes = examine(self.parse(*words, "--routes", str(place)), {}, 0.0)
        self.assertFalse(any(line in each for each in notes), notes)
