"""Tests for :mod:`aluvia.client.settings`, and for the files that it reads."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import hypothesis
import trustme
from hypothesis import strategies

from aluvia.client.advice import advice
from aluvia.client.config import static_snapshot
from aluvia.client.load import CONFIG, FILE_BYTES, USAGE, SettingsError, load_settings
from aluvia.client.local_users import FILE_BYTES as USER_FILE_BYTES
from aluvia.client.local_users import parse_users
from aluvia.client.options import OPTIONS
from aluvia.client.settings import Settings
from aluvia.client.test.settings_case import GATEWAY, SettingsCase
from aluvia.net.parent import ParentProxy
from aluvia.testing.properties import settings_for_tests


class PrecedenceTests(SettingsCase):
    """Which source is heard."""

    def test_defaults(self) -> None:
        """Whatever is not said is as the product's table has it."""
        settings = self.load()
        self.assertEqual(Settings(gateway=ParentProxy.from_url(GATEWAY)), settings)
        self.assertEqual(
            ("127.0.0.1", 18787, 18788, 10.0, 600.0, 10.0, 4096, "info", "text"),
            (
                settings.listen,
                settings.port,
                settings.admin_port,
                settings.connect_timeout,
                settings.idle_timeout,
                settings.drain_timeout,
                settings.max_connections,
                settings.log_level,
                settings.log_format,
            ),
        )

    def test_order(self) -> None:
        """Flags win over the environment, which wins over the file."""
        toml = "port = 1\nadmin-port = 1001\nmax-connections = 11"
        environ = {"ALUVIA_PORT": "2", "ALUVIA_ADMIN_PORT": "1002"}
        settings = self.load({"port": "3"}, environ, toml)
        self.assertEqual(3, settings.port)
        self.assertEqual(1002, settings.admin_port)
        self.assertEqual(11, settings.max_connections)
        self.assertEqual("--port", settings.sources["port"])
        self.assertEqual("ALUVIA_ADMIN_PORT", settings.sources["admin_port"])
        self.assertIn("max-connections in ", settings.sources["max_connections"])

    def test_an_empty_variable_is_none(self) -> None:
        """As with programs that always set them all."""
        self.assertEqual(5, self.load({}, {"ALUVIA_PORT": ""}, "port = 5").port)

    def test_the_file_by_environment(self) -> None:
        """``ALUVIA_CONFIG`` names it; ``--config`` stands above that."""
        one, two = self.toml("port = 1"), self.toml("port = 2")
        self.assertEqual(1, self.load({}, {"ALUVIA_CONFIG": one}).port)
        self.assertEqual(2, self.load({"config": two}, {"ALUVIA_CONFIG": one}).port)

    def test_each_option_in_each_source(self) -> None:
        """Every option of the table is read from all three, to the same value."""
        authority = self.file(trustme.CA().cert_pem.bytes())
        users = self.file(b"a:b\n")
        token = self.file(b" t0ken\n")
        static: dict[str, tuple[object, str]] = {
            "gateway-url": ("https://g.example", "https://g.example"),
            "rule": (["*", "-b.example"], "*,-b.example"),
            "listen": ("127.0.0.2", "127.0.0.2"),
            "port": (1, "1"),
            "admin-port": ("none", "none"),
            "port-file": ("/x/y", "/x/y"),
            "local-auth-file": (users, users),
            "gateway-ca": (authority, authority),
            "allow-link-local": (True, "true"),
            "connect-timeout": (2, "2"),
            "idle-timeout": (2.5, "2.5"),
            "drain-timeout": (0, "0"),
            "max-connections": (7, "7"),
            "log-level": ("debug", "debug"),
            "log-format": ("json", "json"),
        }
        following: dict[str, tuple[object, str]] = {
            "token-file": (token, token),
            "api-base-url": ("https://api.example/v2", "https://API.example/v2/"),
            "connection": ("c-1", "c-1"),
            "poll-interval": (1, "1"),
            "no-strict": (True, "true"),
            "on-no-config": ("refuse", "refuse"),
            "state-file": ("/x/z", "/x/z"),
            "flip-grace": (0, "0"),
            "gateway-protocol": ("https", "https"),
            "gateway-host": ("g.example", "G.example."),
            "gateway-port": (2, "2"),
        }
        names = {option.name for option in OPTIONS}
        self.assertEqual(names, {"token", *static, *following})
        for values in (static, following, {"token": ("t0ken", " t0ken ")}):
            # JSON is TOML, as far as these values go.
            toml = "\n".join(f"{name} = {json.dumps(value)}" for name, (value, _) in values.items())
            flags: dict[str, object] = {name: text for name, (_, text) in values.items()}
            flags |= {"rule": ["*", "-b.example"]} if "rule" in values else {}
            flags |= {name: True for name in ("allow-link-local", "no-strict") if name in values}
            environ = {
                f"ALUVIA_{name.upper().replace('-', '_')}": text
                for name, (_, text) in values.items()
            }
            read = [
                load_settings({"config": self.toml(toml)}, {}),
                load_settings(flags, {}),
                load_settings({}, environ),
            ]
            for settings in read:
                self.assertEqual(read[0], settings)
                for option in OPTIONS:
                    if option.name in values:
                        default, value = (
                            getattr(Settings(), option.field),
                            getattr(settings, option.field),
                        )
                        self.assertNotEqual(default, value, option.name)


class TokenTests(SettingsCase):
    """Where the token may stand."""

    def token(
        self, flags: dict[str, object], environ: dict[str, str], toml: str = ""
    ) -> str | None:
        """Which one is used."""
        file: dict[str, object] = {"config": self.toml(toml)} if toml else {}
        return load_settings(file | flags, environ).token

    def test_precedence(self) -> None:
        """The higher source holds, in whichever of its two spellings."""
        file = self.file(b"\n from-file \n")
        toml = f"token-file = {json.dumps(file)}"
        self.assertEqual("from-file", self.token({}, {}, toml))
        self.assertEqual("variable", self.token({}, {"ALUVIA_TOKEN": "variable"}, toml))
        self.assertEqual(
            "from-file", self.token({"token-file": file}, {"ALUVIA_TOKEN": "variable"})
        )
        self.assertEqual("flag", self.token({"token": "flag"}, {"ALUVIA_TOKEN_FILE": file}))
        # A blank one is none.
        self.assertEqual("from-file", self.token({"token": " "}, {"ALUVIA_TOKEN_FILE": file}))

    def test_credential(self) -> None:
        """systemd's is read when there is no other, and no gateway's URL."""
        directory = Path(self.mktemp())
        directory.mkdir()
        environ = {"CREDENTIALS_DIRECTORY": str(directory)}
        self.assertRaises(SettingsError, self.token, {}, environ)
        (directory / "aluvia-token").write_text("credential\n")
        self.assertEqual("credential", self.token({}, environ))
        self.assertEqual("flag", self.token({"token": "flag"}, environ))
        self.assertIsNone(self.token({"gateway-url": GATEWAY}, environ))

    def test_mistakes(self) -> None:
        """Twice in one source, empty, unreadable, with blanks within, beside a gateway's URL."""
        file = self.file(b"t0ken")
        for flags, status in (
            ({}, USAGE),
            ({"token": " "}, USAGE),
            ({"token": "a", "token-file": file}, USAGE),
            ({"token-file": self.file(b" \n")}, USAGE),
            ({"token-file": "/nowhere"}, CONFIG),
            ({"token-file": self.file(b"canary pass")}, CONFIG),
            ({"token-file": self.file(b"canary-\xff")}, CONFIG),
            ({"token-file": self.file(b"x" * 10_000)}, CONFIG),
            ({"token": "canary pass"}, USAGE),
            ({"token": "a", "gateway-url": GATEWAY}, USAGE),
            ({"token": "a", "rule": ["*"]}, USAGE),
        ):
            error = self.assertRaises(SettingsError, load_settings, flags, {})
            self.assertEqual(status, error.status, flags)
            self.assertNotIn("canary", str(error))

    def test_not_shown(self) -> None:
        """A token is in no form of the settings."""
        settings = load_settings({"token": "canary-token"}, {})
        self.assertEqual("***", settings.redacted()["token"])
        for text in (repr(settings), str(settings.redacted()), " ".join(advice(settings))):
            self.assertNotIn("canary", text)

    def test_base_urls(self) -> None:
        """An API is a scheme, a host and a path; nothing that could carry a secret."""
        for url in (
            "a",
            "ftp://a",
            "https://u:p@a",
            "https://",
            "https://a?b",
            "https://a b/",
            "https://a/#b",
        ):
            self.assertRaises(SettingsError, load_settings, {"token": "a", "api-base-url": url}, {})
        for url, kept in (
            ("HTTPS://A.example:443//", "https://a.example:443"),
            ("http://[::1]:80/v1/", "http://[::1]:80/v1"),
        ):
            self.assertEqual(
                kept, load_settings({"token": "a", "api-base-url": url}, {}).api_base_url
            )

    def test_place(self) -> None:
        """The gateway's port goes with the protocol, unless it is given."""
        for flags, url in (
            ({}, "http://gateway.aluvia.io:8080"),
            ({"gateway-protocol": "https"}, "https://gateway.aluvia.io:8443"),
            ({"gateway-host": "[::1]", "gateway-port": "1"}, "http://[::1]:1"),
        ):
            self.assertEqual(url, str(load_settings({"token": "a", **flags}, {}).place))

    def test_advice(self) -> None:
        """A token in argv, and an API or a gateway without TLS; options without a meaning."""
        quiet = {"gateway-protocol": "https"}
        (line,) = advice(load_settings({"token": "a", **quiet}, {}))
        self.assertIn("ALUVIA_TOKEN", line)
        environ = {"ALUVIA_TOKEN": "a"}
        self.assertEqual([], advice(load_settings(quiet, environ)))
        (line,) = advice(load_settings({"api-base-url": "http://a.example/v1", **quiet}, environ))
        self.assertIn("http://a.example/v1", line)
        (line,) = advice(load_settings({}, environ))
        self.assertIn("http://gateway.aluvia.io:8080", line)
        (line,) = advice(self.load({"state-file": "/x"}))
        self.assertIn("--state-file has no meaning", line)


class FileTests(SettingsCase):
    """Files that are not what they should be."""

    def test_unknown_keys(self) -> None:
        """The key is named, and the one that it may mean."""
        for line, words in (
            ("prot = 1", "unknown key 'prot'; is 'port' meant?"),
            ("admin_port = 1", "unknown key 'admin_port'; is 'admin-port' meant?"),
            ("rules = []", "unknown key 'rules'; is 'rule' meant?"),
            ("zzzzzz = 1", "unknown key 'zzzzzz'"),
            ("[client]\nport = 1", "unknown key 'client'"),
            ("check = true", "unknown key 'check'"),
        ):
            self.assertIn(words, self.refused(CONFIG, toml=line))

    def test_no_toml(self) -> None:
        """What is wrong, with its place, and none of its text."""
        text = self.refused(CONFIG, toml="port = 1\ngateway-url = http://u:canary-pass@h")
        self.assertIn("line 2", text)

    def test_no_file(self) -> None:
        """Missing, a directory, too long, not UTF-8: one line each."""
        for data, words in (
            (b"# " + b"x" * FILE_BYTES, "longer than"),
            (b"\xff", "not UTF-8"),
            (b"a = 1\na =\n", "line 2"),
        ):
            self.assertIn(words, self.refused(CONFIG, {"config": self.file(data)}))
        self.assertIn("No such file", self.refused(CONFIG, {"config": "/nonexistent/x.toml"}))
        self.assertIn("Is a directory", self.refused(CONFIG, {"config": "/"}))

    def test_local_users(self) -> None:
        """They are read once, at start."""
        path = self.file(b"\xef\xbb\xbf# who may\n\n  one:se:cret  \r\ntwo:\xc3\xa4\n")
        settings = self.load({"local-auth-file": path})
        self.assertEqual({"one": "se:cret", "two": "ä"}, settings.local_users)

    def test_bad_local_users(self) -> None:
        """The line is named by its number, never shown."""
        for data, words in (
            (b"a:b\ncanary-pass\n", "line 2 is not user:password"),
            (b":canary-pass", "line 1 is not"),
            (b"canary-pass:", "line 1 is not"),
            (b"a:b\na:canary-pass", "line 2 has a user name that was there before"),
            (b"a:canary-pass\x07x", "line 1 has a character"),
            (b"\n#\n", "nobody"),
            (b"\xff", "not UTF-8"),
            (b"a:b\n" * USER_FILE_BYTES, "longer"),
        ):
            text = self.refused(CONFIG, {"local-auth-file": self.file(data)})
            self.assertIn(words, text)
            self.assertIn("--local-auth-file: ", text)
        self.assertIn("No such file", self.refused(CONFIG, {"local-auth-file": "/nonexistent"}))

    def test_authorities(self) -> None:
        """A file without a certificate is found before anything starts."""
        self.assertIn(
            "certificate", self.refused(CONFIG, {"gateway-ca": self.file(b"no certificate")})
        )
        self.assertIn("No such file", self.refused(CONFIG, {"gateway-ca": "/nonexistent"}))

    @settings_for_tests
    @hypothesis.given(strategies.binary() | strategies.text().map(str.encode))
    def test_any_users(self, data: bytes) -> None:
        """Whatever is in the file, it is users or a ValueError of one line."""
        try:
            users = parse_users(data)
        except ValueError as error:
            self.assertEqual(1, len(str(error).splitlines()))
        else:
            self.assertTrue(all(users) and all(users.values()))


class TogetherTests(SettingsCase):
    """What options mean for each other."""

    def test_a_gateway_is_needed(self) -> None:
        """Wherever it could have been named."""
        for flags in ({}, {"rule": ["*"]}, {"config": self.toml('rule = ["*"]')}):
            error = self.assertRaises(SettingsError, load_settings, flags, {})
            self.assertEqual(USAGE, error.status)
            self.assertIn("--gateway-url", str(error))

    def test_other_machines(self) -> None:
        """A listener that they reach wants credentials from them."""
        users = self.file(b"a:b")
        for listen in ("0.0.0.0", "::", "192.0.2.1", "::ffff:192.0.2.1"):
            self.assertIn("--local-auth-file", self.refused(USAGE, {"listen": listen}))
            self.load({"listen": listen, "local-auth-file": users})
        self.assertIn("listen in ", self.refused(CONFIG, toml='listen = "0.0.0.0"'))
        for listen in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"):
            self.load({"listen": listen})

    def test_two_listeners_on_one_port(self) -> None:
        """Zero means any free one, for both."""
        self.assertIn("both be 5", self.refused(USAGE, {"port": "5", "admin-port": "5"}))
        self.assertIn("both be 18787", self.refused(USAGE, {"admin-port": "18787"}))
        self.load({"port": "0", "admin-port": "0"})


class SecretTests(SettingsCase):
    """What is shown, and what is said."""

    def test_nothing_shown(self) -> None:
        """No form has a password; a user name is only where its owner checks it."""
        users = self.file(b"canary-local:canary-word")
        settings = self.load({"gateway-url": GATEWAY, "local-auth-file": users})
        shown = settings.redacted()
        self.assertEqual("http://canary-user:***@127.0.0.1:3128", shown["gateway-url"])
        self.assertEqual("(1 users)", shown["local-auth-file"])
        for text in (repr(settings), str(settings), " ".join(advice(settings))):
            self.assertNotIn("canary", text)
        for secret in ("canary-pass", "canary-word"):
            self.assertNotIn(secret, repr(shown))
        self.assertEqual(
            [("canary-local", "canary-word"), ("canary-user", "canary-pass")],
            settings.credentials(),
        )

    def test_redacted(self) -> None:
        """Every option that is set, under its name."""
        settings = self.load(
            {"gateway-url": "https://g.example", "admin-port": "none", "rule": ["*"]}
        )
        shown = settings.redacted()
        self.assertEqual("https://g.example:8443", shown["gateway-url"])
        self.assertEqual("none", shown["admin-port"])
        self.assertEqual(["*"], shown["rule"])
        self.assertNotIn("port-file", shown)
        self.assertEqual("/x", self.load({"port-file": "/x"}).redacted()["port-file"])
        self.assertEqual([], Settings().credentials())

    def test_advice(self) -> None:
        """A line each for: no TLS, a password in argv, rules that do nothing, strange variables."""
        self.assertEqual([], advice(self.load()))
        far = "http://canary-user:canary-pass@gate.example:8080"
        for place in ("127.0.0.1", "localhost", "a.localhost", "[::1]"):
            self.assertEqual(
                [], advice(self.load({}, {"ALUVIA_GATEWAY_URL": f"http://a:b@{place}:1"}))
            )
        (line,) = advice(self.load({}, {"ALUVIA_GATEWAY_URL": far}))
        self.assertIn("http://gate.example:8080", line)
        self.assertIn("TLS", line)
        self.assertEqual(
            [], advice(self.load({}, {"ALUVIA_GATEWAY_URL": far.replace("http", "https")}))
        )
        (line,) = advice(self.load({"gateway-url": GATEWAY}))
        self.assertIn("command line", line)
        self.assertEqual([], advice(self.load({"gateway-url": "http://127.0.0.1:1"})))
        (line,) = advice(self.load({"rule": ["https://a.example", "google.*"]}))
        self.assertIn("'https://a.example'", line)
        (line,) = advice(self.load({}, {"ALUVIA_RULES": "*", "OTHER": "y"}))
        self.assertIn("ALUVIA_RULES is no option", line)
        self.assertIn("ALUVIA_RULE meant", line)

    @settings_for_tests
    @hypothesis.given(strategies.text())
    def test_any_toml(self, text: str) -> None:
        """Any text is settings or one line of what is wrong with it."""
        try:
            table = tomllib.loads(text)
        except ValueError:
            table = {}
        path = Path(self.mktemp())
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            load_settings({"config": str(path)}, {"ALUVIA_GATEWAY_URL": GATEWAY})
        except SettingsError as error:
            self.assertEqual(1, len(str(error).splitlines()), str(error))
        else:
            self.assertEqual({}, table)


class SnapshotTests(SettingsCase):
    """Static mode's only configuration."""

    def test_static(self) -> None:
        """Gateway and rules as the settings have them."""
        settings = self.load({"rule": ["*.a.example"]})
        snapshot = static_snapshot(settings, 12.5)
        self.assertIs(settings.gateway, snapshot.gateway)
        self.assertTrue(snapshot.rules.decide("x.a.example").proxied)
        self.assertEqual(
            (1, 1, 12.5), (snapshot.revision, snapshot.rules.revision, snapshot.fetched_at)
        )
        self.assertNotIn("canary", repr(snapshot))
