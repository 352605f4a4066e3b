"""Tests for :mod:`aluvia.process.takes`, by way of the settings."""

from __future__ import annotations

from pathlib import Path

from aluvia.client.load import CONFIG, USAGE, load_settings
from aluvia.client.test.settings_case import GATEWAY, SettingsCase


class ValueTests(SettingsCase):
    """What each kind of value may be."""

    def test_rules_in_the_environment(self) -> None:
        """Between commas, white space or line ends; a sign belongs to the name behind it."""
        for text in (
            "*.a.example,-b.a.example",
            " *.a.example \n -b.a.example,,",
            "*.a.example,- b.a.example",
        ):
            self.assertEqual(
                ("*.a.example", "-b.a.example"), self.load({}, {"ALUVIA_RULE": text}).rules, text
            )

    def test_numbers_as_text(self) -> None:
        """Whole numbers and seconds have bounds, and are digits."""
        for name, good, bad in (
            ("port", ["0", "65535", " 80 "], ["-1", "65536", "1.0", "x", "", "٣", "1_0", "9" * 30]),
            ("admin-port", ["0", "none", "NONE"], ["no", "70000"]),
            ("max-connections", ["1"], ["0", "1000001"]),
            (
                "connect-timeout",
                ["0.001", "2", ".5", "86400"],
                ["0", "nan", "inf", "1e3", "-1", "86401"],
            ),
            ("drain-timeout", ["0", "0.0"], ["-0", "x"]),
        ):
            for text in good:
                self.load({name: text})
            for text in bad:
                self.assertIn(f"--{name}: must be ", self.refused(USAGE, {name: text}), text)

    def test_numbers_in_the_file(self) -> None:
        """TOML's own types; a string is none, nor is a boolean."""
        for line in (
            'port = "80"',
            "port = 80.0",
            "port = true",
            "port = 65536",
            "port = 2026-01-01",
            "port = [1]",
            "idle-timeout = inf",
            "idle-timeout = nan",
            f"idle-timeout = {10**400}",
            'admin-port = "off"',
        ):
            text = self.refused(CONFIG, toml=line)
            self.assertIn(f"{line.split()[0]} in ", text)
            self.assertIn("must be ", text)
        self.assertIsNone(self.load(toml='admin-port = "none"').admin_port)
        self.assertEqual(5.0, self.load(toml="idle-timeout = 5").idle_timeout)

    def test_other_types_in_the_file(self) -> None:
        """Each says what it should be, and what it is."""
        for line, words in (
            ("listen = 1", "a string, not an integer"),
            ('allow-link-local = "yes"', "true or false, not a string"),
            ('rule = "*"', "an array of strings"),
            ("rule = [1]", "an array of strings"),
            ("port-file = {}", "a string, not a table"),
            ("log-level = 1.5", "a string, not a float"),
            ("gateway-url = 2026-01-01", "a string, not a date or time"),
        ):
            self.assertIn(words, self.refused(CONFIG, toml=line))

    def test_words(self) -> None:
        """Anything else names the words that there are."""
        self.assertIn(
            "ALUVIA_LOG_LEVEL: must be silent or info or debug",
            self.refused(USAGE, {}, {"ALUVIA_LOG_LEVEL": "loud"}),
        )
        self.assertIn("text or json", self.refused(USAGE, {"log-format": "x"}))

    def test_switches(self) -> None:
        """The usual words."""
        for text, value in (("1", True), ("YES", True), ("off", False), ("false", False)):
            settings = self.load({}, {"ALUVIA_ALLOW_LINK_LOCAL": text})
            self.assertIs(value, settings.allow_link_local)
        self.refused(USAGE, {}, {"ALUVIA_ALLOW_LINK_LOCAL": "maybe"})

    def test_addresses(self) -> None:
        """Literals, IPv6 with or without brackets, and localhost."""
        for text, value in (
            ("localhost", "127.0.0.1"),
            ("[::1]", "::1"),
            ("::1", "::1"),
            ("127.0.0.9", "127.0.0.9"),
        ):
            self.assertEqual(value, self.load({"listen": text}).listen)
        for text in ("example.com", "127.0.0.1:80", "", "127.1"):
            self.assertIn("an IP address", self.refused(USAGE, {"listen": text}))

    def test_gateways(self) -> None:
        """A bad URL is said without the URL."""
        for text in (
            "canary-pass",
            "socks5://canary-pass@h:1",
            "http://u:canary-pass@:x",
            "http://u:canary-pass",
        ):
            self.assertIn("--gateway-url: ", self.refused(USAGE, {"gateway-url": text}))
        self.assertIn(
            "gateway-url in ", self.refused(CONFIG, {}, {}, 'gateway-url = "canary-pass"')
        )

    def test_paths(self) -> None:
        """Absolute, since a daemon changes its directory; in a file they count from the file."""
        self.assertEqual(Path.cwd() / "x", self.load({"port-file": "x"}).port_file)
        config = Path(self.toml('port-file = "x"'))
        self.assertEqual(
            config.absolute().parent / "x",
            load_settings({"config": str(config)}, {"ALUVIA_GATEWAY_URL": GATEWAY}).port_file,
        )
        self.assertEqual(Path.home() / "x", self.load({}, {"ALUVIA_PORT_FILE": "~/x"}).port_file)
        for text in ("", "a\0b", "~no-such-user-here/x"):
            self.assertIn("--port-file: ", self.refused(USAGE, {"port-file": text}))
