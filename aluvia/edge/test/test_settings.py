"""Tests for :mod:`aluvia.edge.options`, :mod:`aluvia.edge.settings` and :mod:`aluvia.edge.load`."""

from __future__ import annotations

from pathlib import Path

from aluvia.edge.listeners import Listener
from aluvia.edge.load import advice
from aluvia.edge.options import OPTIONS, PREFIX
from aluvia.edge.settings import IN_MEMORY, STANDARD_OUTPUT, Settings
from aluvia.edge.test.tap_case import TapCase
from aluvia.edge.trusted import MOST_NETWORKS


class SettingsTests(TapCase):
    """What is read."""

    def test_defaults(self) -> None:
        """It listens for everybody, its API for this machine alone; nobody is believed."""
        settings = self.parse()
        self.assertEqual(settings, Settings())
        self.assertEqual(settings.http, Listener(address="0.0.0.0", port=8080))
        self.assertEqual(settings.https, Listener(address="0.0.0.0", port=8443))
        self.assertEqual(settings.api, ("127.0.0.1", 8901))
        self.assertEqual(settings.db, Path("edge.db").absolute())
        self.assertEqual(settings.own_token_file, Path("edge.db.api-token").absolute())
        self.assertEqual((settings.trusted_proxies, settings.access_log), ((), None))

    def test_three_spellings(self) -> None:
        """The command line stands above the environment, and that above the file."""
        config = self.file(
            'http = "tcp:1"\napi = "[::1]:2"\ndb = "a.db"\nidle-timeout = 5\n'
            'trusted-proxy = ["10.0.0.0/8", "192.0.2.1"]\nhttps = "none"\n'
        )
        self.environ |= {
            "ALUVIA_EDGE_CONFIG": config,
            "ALUVIA_EDGE_API": "127.0.0.1:3",
            "ALUVIA_EDGE_IDLE_TIMEOUT": "6",
            "ALUVIA_EDGE_LOG_FORMAT": "json",
        }
        settings = self.parse("--idle-timeout", "7")
        self.assertEqual(settings.http, Listener(address="0.0.0.0", port=1))
        self.assertEqual(settings.api, ("127.0.0.1", 3))
        self.assertEqual(settings.db, Path(config).parent / "a.db")
        self.assertEqual(settings.trusted_proxies, ("10.0.0.0/8", "192.0.2.1/32"))
        self.assertIsNone(settings.https)
        self.assertEqual((settings.idle_timeout, settings.log_format), (7.0, "json"))
        self.assertEqual(settings.sources["api"], "ALUVIA_EDGE_API")
        self.assertEqual(settings.sources["http"], f"http in {config}")

    def test_trusted_proxies(self) -> None:
        """As often as there are, and between commas; from one source, each once."""
        self.environ["ALUVIA_EDGE_TRUSTED_PROXY"] = "10.0.0.0/8, 192.0.2.1 10.0.0.0/8"
        self.assertEqual(self.parse().trusted_proxies, ("10.0.0.0/8", "192.0.2.1/32"))
        words = ("--trusted-proxy", "2001:db8::/32,::1", "--trusted=172.16.0.0/12")
        self.assertEqual(
            self.parse(*words).trusted_proxies, ("2001:db8::/32", "::1/128", "172.16.0.0/12")
        )

    def test_the_store(self) -> None:
        """A file, by its name or its URL; or none."""
        for text, path in (
            ("a.db", Path("a.db").absolute()),
            ("/x/a.db", Path("/x/a.db")),
            ("sqlite:///a.db", Path("a.db").absolute()),
            ("sqlite:////x/a.db", Path("/x/a.db")),
            ("SQLite+pysqlite:////x/a.db", Path("/x/a.db")),
            (":memory:", IN_MEMORY),
            ("sqlite://", IN_MEMORY),
            ("sqlite:///:memory:", IN_MEMORY),
            ("./:memory:", Path(":memory:").absolute()),
        ):
            settings = self.parse("--db", text)
            self.assertEqual(settings.db, path, text)
        self.assertEqual(settings.own_token_file, Path(":memory:.api-token").absolute())
        in_memory = self.parse("--config", self.file('db = ":memory:"'))
        self.assertEqual(in_memory.db, IN_MEMORY)
        self.assertEqual(in_memory.own_token_file, Path("aluvia-edge.api-token").absolute())

    def test_connections_from_one_address(self) -> None:
        """Half of all, unless it is said; or as many as there are."""
        for words, most in (
            ([], 8192),
            (["--max-connections", "1000"], 500),
            (["--max-connections", "1"], 1),
            (["--max-connections-per-address", "7"], 7),
            (["--max-connections-per-address", "none"], None),
        ):
            self.assertEqual(self.parse(*words).max_connections_per_address, most)

    def test_the_public_port(self) -> None:
        """That of --https, unless it is said."""
        self.assertIsNone(self.parse().public_https_port)
        self.assertEqual(self.parse("--public-https-port", "443").public_https_port, 443)
        config = self.file("public-https-port = 443")
        self.assertEqual(self.parse("--config", config).public_https_port, 443)

    def test_the_access_log(self) -> None:
        """A file, or standard output, which is no file of that name."""
        self.assertEqual(self.parse("--access-log", "-").access_log, STANDARD_OUTPUT)
        self.assertEqual(self.parse("--access-log", "x").access_log, Path("x").absolute())

    def test_nowhere(self) -> None:
        """One of the two ways in is enough."""
        self.assertIsNone(self.parse("--http", "none").http)
        self.assertIsNone(self.parse("--https", "NONE").https)


class MistakeTests(TapCase):
    """What is refused."""

    def test_usage_errors(self) -> None:
        """64, and a line that names the place."""
        for words, said in (
            (["--http", "8080"], "--http: must be ADDRESS:PORT"),
            (["--http", "unix:/x"], "--http: cannot be a UNIX socket"),
            (["--https", "ssl:443"], "--https: cannot be an endpoint of TLS"),
            (["--http", "0.0.0.0:80,x"], "--http: can have proxy_protocol behind its comma"),
            (["--api", "0.0.0.0:80,proxy_protocol"], "--api: must be ADDRESS:PORT"),
            (["--api", "none"], "--api: must be ADDRESS:PORT"),
            (["--http", "none", "--https", "none"], "both none, so there is no way in"),
            (["--http", "127.0.0.1:8901"], "cannot be at one place"),
            (["--http", "[::]:1", "--https", "tcp6:1"], "cannot be at one place"),
            (["--http", "systemd:INET:0", "--https", "systemd:INET:0"], "cannot be at one place"),
            (["--db", ""], "--db: must name a file"),
            (["--db", "postgresql://u:canary@h/d"], "--db: cannot be PostgreSQL yet"),
            (["--db", "postgres://u:canary@h/d"], "--db: cannot be PostgreSQL yet"),
            (["--db", "postgresql+psycopg://u:canary@h/d"], "--db: cannot be PostgreSQL yet"),
            (["--db", "mysql://u:canary@h/d"], "--db: must be a file, :memory:, or sqlite:///"),
            (["--db", "sqlite:///a.db?canary=1"], "without parameters"),
            (["--db", "sqlite://canary/a.db"], "must be a file"),
            (["--routes", ""], "--routes: must name a file"),
            (["--trusted-proxy", "canary"], "--trusted-proxy: must be a network"),
            (["--trusted-proxy", "10.0.0.0/8,x"], "--trusted-proxy: must be a network"),
            (["--trusted-proxy", "10.0.0.1/8"], "has bits behind its length: the network is 10.0"),
            (["--default-certificate", "x"], "--default-certificate: wants --default-key"),
            (["--default-key", "x"], "--default-key: wants --default-certificate"),
            (["--public-https-port", "0"], "--public-https-port: must be a whole number from 1"),
            (["--public-https-port", "none"], "--public-https-port: must be a whole number"),
            (["--https", "none", "--certificates", "x"], "--certificates: is for --https"),
            (
                ["--https", "none", "--default-key", "x", "--default-certificate", "x"],
                "--default-certificate: is for --https",
            ),
            (["--access-log", ""], "--access-log: must name a file"),
            (["--drain-timeout", "-1"], "--drain-timeout: must be a number"),
            (["--idle-timeout", "0"], "--idle-timeout: must be a number"),
            (["--max-connections", "0"], "--max-connections: must be a whole number"),
            (["--max-connections-per-address", "x"], "--max-connections-per-address: must be"),
            (["--log-level", "loud"], "--log-level: must be silent or info"),
            (["--log-format", "xml"], "--log-format: must be text or json"),
            (["--api-token", "canary"], "--api-token: others can read a command line"),
            (["--http2"], "option --http2 not recognized"),
            (["word"], "'word' is no option"),
        ):
            text = self.exits(64, *words)
            self.assertIn(said, text)
            self.assertNotIn("canary", text)
            self.assertEqual(text.count("\n"), 1)

    def test_too_many_networks(self) -> None:
        """There is a bound to what is looked through."""
        most = [f"10.{number // 256}.{number % 256}.1" for number in range(MOST_NETWORKS)]
        self.assertEqual(len(self.parse("--trusted-proxy", ",".join(most)).trusted_proxies), 1024)
        text = self.exits(64, "--trusted-proxy", ",".join([*most, "::1"]))
        self.assertIn("--trusted-proxy: must be 1024 networks or less", text)

    def test_variables(self) -> None:
        """64 as well, with the variable's name."""
        self.environ["ALUVIA_EDGE_HTTP"] = "x"
        self.assertIn("ALUVIA_EDGE_HTTP: must be ADDRESS:PORT", self.exits(64))

    def test_file_errors(self) -> None:
        """78, and a line that names the file."""
        for text, said in (
            ("htp = 1", "unknown key 'htp'; is 'http' meant?"),
            ("http = 8080", "http in"),
            ("http = 8080", "must be a string, not an integer"),
            ("db = 1", "must be a string, not an integer"),
            ("access-log = 1", "must be a string, not an integer"),
            ('trusted-proxy = "10.0.0.0/8"', "must be an array of strings"),
            ("trusted-proxy = [1]", "must be an array of strings"),
            ('trusted-proxy = ["x"]', "must be a network"),
            ('default-key = "x"', "wants --default-certificate"),
        ):
            self.assertIn(said, self.exits(78, "--config", self.file(text)))
        self.assertIn("/nowhere: No such file", self.exits(78, "--config", "/nowhere"))


class AdviceTests(TapCase):
    """What its operator should know."""

    def test_nothing(self) -> None:
        """Where all is well."""
        words = ("--certificates", "x", "--trusted-proxy", "10.0.0.0/8")
        more = ("--max-connections-per-address", "none", "--http", "127.0.0.1:80,proxy_protocol")
        self.assertEqual(advice(self.parse(*words, *more)), [])

    def test_lines(self) -> None:
        """Each has its cause in it."""
        certificates = ("--certificates", "x")
        for words, said in (
            (["--api", "0.0.0.0:8901"], "The API at 0.0.0.0:8901 takes its token without TLS"),
            ([], "No certificate is given for --https 0.0.0.0:8443"),
            (["--db", ":memory:"], "ends with this process"),
            (["--http", "[::]:80,proxy_protocol"], "reaches --http [::]:80,proxy_protocol can say"),
            (["--https", "haproxy:systemd:INET:0"], "reaches --https systemd:domain=INET:index=0"),
            (["--trusted-proxy", "0.0.0.0/0"], "(--trusted-proxy 0.0.0.0/0)"),
            (["--trusted-proxy", "::/0"], "(--trusted-proxy ::/0)"),
            (["--trusted-proxy", "10.0.0.1"], "one address, of which 8192 connections are taken"),
            (["--http", "127.0.0.1:80,proxy_protocol"], "of which 8192 connections are taken"),
        ):
            lines = advice(self.parse(*words, *(certificates if words else ())))
            self.assertTrue(lines and said in lines[0], (words, lines))

    def test_no_certificate(self) -> None:
        """Nothing is missing where some are named, or where there is no https."""
        certificate, key = "x", "y"
        for words in (
            ["--https", "none"],
            ["--routes", "x"],
            ["--default-certificate", certificate, "--default-key", key],
        ):
            self.assertEqual(advice(self.parse(*words)), [])

    def test_unknown_variables(self) -> None:
        """What looks like an option and is none; and the token's own, under a wrong name."""
        self.environ |= {"ALUVIA_EDGE_HTTPP": "x", "ALUVIA_EDGE_API_TOKEN": "canary"}
        lines = advice(self.parse("--certificates", "x"))
        self.assertEqual(len(lines), 2)
        self.assertIn("ALUVIA_EDGE_API_TOKEN is no option", lines[0])
        self.assertIn("is ALUVIA_API_TOKEN meant?", lines[0])
        self.assertIn("is ALUVIA_EDGE_HTTP", lines[1])
        self.assertNotIn("canary", "".join(lines))


class HelpTests(TapCase):
    """``--help``."""

    def test_help(self) -> None:
        """It names every option, in the order of the table."""
        said = self.exits(0, "--help")
        places = [said.index(f"  {option.flag} ") for option in OPTIONS]
        self.assertEqual(places, sorted(places))
        self.assertIn("--demo", said)
        for option in OPTIONS:
            self.assertTrue(option.variable.startswith(PREFIX))
