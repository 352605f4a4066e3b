"""Tests for :mod:`aluvia.agent.load`, and for the hub's URL and the tunnels that it reads."""

from __future__ import annotations

import typing
from pathlib import Path

import trustme
from twisted.trial.unittest import SynchronousTestCase

from aluvia.agent.hub_url import HubURL, TakesHubURL
from aluvia.agent.load import load_settings
from aluvia.agent.options import OPTIONS, PREFIX
from aluvia.agent.settings import Settings
from aluvia.agent.tunnels import Published, TakesTunnels
from aluvia.process.sources import SettingsError
from aluvia.process.statuses import CONFIG, USAGE

KEY = "canary-agent-key-1f3a"
TOKEN = "canary-visitor-token-77c0"

#: What a start needs.
LEAST: dict[str, object] = {"hub": "wss://hub.example", "publish": ["app=http://127.0.0.1:3000"]}


class LoadCase(SynchronousTestCase):
    """Reads settings from what a test gives."""

    def file(self, text: str) -> str:
        """A file with this in it."""
        path = Path(self.mktemp()).absolute()
        path.write_text(text)
        return str(path)

    def load(self, flags: typing.Mapping[str, object] | None = None, **environ: str) -> Settings:
        """The settings, of a machine called ``laptop``; with a key, unless told of none."""
        environ.setdefault("ALUVIA_AGENT_KEY", KEY)
        return load_settings(LEAST if flags is None else flags, environ, lambda: "laptop")

    def refused(
        self, status: int, flags: typing.Mapping[str, object] | None = None, **environ: str
    ) -> str:
        """What is said of settings that are no good."""
        error = self.assertRaises(SettingsError, self.load, flags, **environ)
        self.assertEqual(error.status, status, error)
        self.assertNotIn("canary", str(error))
        self.assertNotIn("\n", str(error))
        return str(error)


class HubTests(LoadCase):
    """Where the hub is."""

    def test_spellings(self) -> None:
        """Without a path it is ``/agent``; an HTTP URL is a base, behind which that stands."""
        for text, read in (
            ("wss://hub.example", "wss://hub.example/agent"),
            ("wss://hub.example/", "wss://hub.example/agent"),
            (" WSS://Hub.Example:443/agent/ ", "wss://hub.example/agent"),
            ("wss://hub.example:8910/x/y", "wss://hub.example:8910/x/y"),
            ("ws://127.0.0.1:8910", "ws://127.0.0.1:8910/agent"),
            ("ws://[::1]:80", "ws://[::1]/agent"),
            ("http://localhost:8080", "ws://localhost:8080/agent"),
            ("https://hub.example/base/", "wss://hub.example/base/agent"),
        ):
            self.assertEqual(str(TakesHubURL().from_text(text)), read)

    def test_calls(self) -> None:
        """The long-poll contract is beside the WebSocket."""
        for url, place, calls in (
            ("wss://hub.example", "hub.example", "/api/agent"),
            ("https://hub.example:8443/base/", "hub.example:8443", "/base/api/agent"),
            ("ws://[::1]:8910/other", "[::1]:8910", "/api/agent"),
        ):
            hub = self.load({**LEAST, "hub": url}).hub
            self.assertEqual((hub.authority, hub.calls), (place, calls))

    def test_no_url(self) -> None:
        """User info, a query, a fragment, another scheme, no host."""
        for text, said in (
            (f"wss://x:{KEY}@hub.example", "must not hold a user name"),
            (f"wss://hub.example/agent?key={KEY}", "no query, no fragment"),
            (f"wss://hub.example#{KEY}", "no query, no fragment"),
            ("hub.example:8910", "must begin with wss://"),
            ("ftp://hub.example", "must begin with wss://"),
            ("wss://", "must name a host"),
            ("wss://hub.example:0", "must name a host"),
            ("wss://hub.example/a b", "no spaces"),
            ("wss://hub.example/é", "nothing but ASCII"),
        ):
            self.assertIn(said, self.refused(USAGE, {**LEAST, "hub": text}))

    def test_variables(self) -> None:
        """Our own stands first, then the other names, in their order."""
        names = ("ALUVIA_AGENT_HUB", "ALUVIA_HUB", "ORCH_WS", "PROXER_GATEWAY_BASE_URL")
        publish = {"publish": LEAST["publish"]}
        for at, name in enumerate(names):
            environ = {each: f"wss://{each.lower()}" for each in names[at:]}
            settings = self.load(publish, **environ)
            self.assertEqual(settings.hub.host, name.lower())
            self.assertEqual(settings.sources["hub"], name)
            self.assertEqual(settings.passed_over, dict.fromkeys(names[at + 1 :], name))
        settings = self.load(publish, ORCH_WS="wss://a", ALUVIA_HUB="wss://a")
        self.assertEqual(settings.passed_over, {})

    def test_without_tls(self) -> None:
        """Only to this machine, unless that is allowed."""
        away = {**LEAST, "hub": "ws://hub.example"}
        self.assertIn("--hub: ws://hub.example/agent is not on", self.refused(USAGE, away))
        publish = {"publish": LEAST["publish"]}
        said = self.refused(USAGE, publish, PROXER_GATEWAY_BASE_URL="http://gateway:8080")
        self.assertIn("PROXER_GATEWAY_BASE_URL: ws://gateway:8080/agent", said)
        self.assertTrue(self.load({**away, "insecure": True}).hub.exposed)
        for host in ("127.0.0.1", "localhost", "hub.localhost", "[::1]"):
            self.assertFalse(self.load({**LEAST, "hub": f"ws://{host}:1"}).hub.exposed)


class KeyTests(LoadCase):
    """The agent's key."""

    def test_places(self) -> None:
        """A file on the command line, then the variables in their order, then the config's file."""
        config = self.file(f'key-file = "{self.file("from-config")}"\n')
        flags = {**LEAST, "config": config}
        names = {"ALUVIA_AGENT_KEY": "", "AGENT_KEY": "b ", "PROXER_AGENT_TOKEN": "c"}
        self.assertEqual(self.load(flags, ALUVIA_AGENT_KEY="").key, "from-config")
        self.assertEqual(self.load(flags, **names).key, "b")
        self.assertEqual(self.load(flags, **names).passed_over, {"PROXER_AGENT_TOKEN": "AGENT_KEY"})
        settings = self.load({**flags, "key-file": self.file("\n from-flag \n")}, **names)
        self.assertEqual((settings.key, settings.sources["key"]), ("from-flag", "--key-file"))
        self.assertEqual(self.load(flags, ALUVIA_AGENT_KEY=f" {KEY}\n").key, KEY)

    def test_no_key(self) -> None:
        """None, twice, blank, or nothing that can be sent."""
        said = self.refused(USAGE, ALUVIA_AGENT_KEY=" ")
        self.assertEqual(said, "no key: give --key-file FILE, or ALUVIA_AGENT_KEY")
        said = self.refused(USAGE, ALUVIA_AGENT_KEY_FILE=self.file(KEY))
        self.assertIn("ALUVIA_AGENT_KEY_FILE: the key stands in ALUVIA_AGENT_KEY already", said)
        self.assertIn("AGENT_KEY: the key holds", self.refused(USAGE, ALUVIA_AGENT_KEY="canary é"))
        for text, why in (
            (" \n", "there is no key in it"),
            ("canary one\ncanary two", "the key holds a character that cannot be sent"),
            ("canary" * 100, "a key has 512 characters at most"),
            ("canary" * 10_000, "longer than 8192 bytes"),
        ):
            self.assertIn(why, self.refused(CONFIG, {**LEAST, "key-file": self.file(text)}))
        said = self.refused(CONFIG, {**LEAST, "key-file": "/nowhere/key"})
        self.assertIn("--key-file: /nowhere/key: No such file", said)


class TunnelTests(LoadCase):
    """What is published."""

    def test_words(self) -> None:
        """An id, perhaps a token, and a target."""
        for text, read in (
            ("App=HTTP://LocalHost", Published("app", "http", False, "localhost", 80)),
            ("a@x=y=@=https://[::1]:8443/", Published("a", "http", True, "::1", 8443, "x=y=@")),
            ("b_1=https://web.lan", Published("b_1", "http", True, "web.lan", 443)),
        ):
            self.assertEqual(TakesTunnels("http").from_toml([text]), (read,))
        self.assertEqual(
            TakesTunnels("tcp").from_toml(["db=[::1]:5432", "a=tcp://pg.lan:1"]),
            (
                Published("db", "tcp", False, "::1", 5432),
                Published("a", "tcp", False, "pg.lan", 1),
            ),
        )

    def test_shown(self) -> None:
        """A tunnel names its target, and keeps its token."""
        (tunnel,) = typing.cast(
            tuple[Published], TakesTunnels("http").from_text(f"a@{TOKEN}=https://web.lan")
        )
        self.assertEqual((tunnel.target, tunnel.place), ("https://web.lan:443", "web.lan:443"))
        self.assertNotIn(TOKEN, repr(tunnel))

    def test_variables_and_file(self) -> None:
        """Commas in a variable; tables in the file. The higher source replaces the lower one."""
        config = self.file(
            '[publish]\napp = "http://127.0.0.1:1"\n'
            f'[publish.admin]\ntarget = "https://localhost"\ntoken = " {TOKEN}"\n'
            '[publish-tcp]\ndb = "127.0.0.1:2"\n'
        )
        flags = {"hub": "wss://h", "config": config}
        settings = self.load(flags)
        self.assertEqual([each.id for each in settings.tunnels], ["app", "admin", "db"])
        self.assertEqual([each.token for each in settings.tunnels], [None, TOKEN, None])
        self.assertEqual([each.scheme for each in settings.tunnels], ["http", "https", "tcp"])
        settings = self.load(flags, PROXER_AGENT_TUNNELS=f"a@{TOKEN}=http://x:1, b=http://x:2,")
        self.assertEqual([each.id for each in settings.tunnels], ["a", "b", "db"])
        settings = self.load(flags, ALUVIA_PUBLISH="c=http://x", PROXER_AGENT_TUNNELS="d=http://x")
        self.assertEqual([each.id for each in settings.tunnels], ["c", "db"])
        settings = self.load(flags, ALUVIA_AGENT_PUBLISH_TCP="e=x:1", ALUVIA_PUBLISH_TCP="f=x:1")
        self.assertEqual([each.id for each in settings.tunnels], ["app", "admin", "e"])

    def test_no_tunnels(self) -> None:
        """What is wrong is said with the id, or with its place; a token never."""
        for words, said in (
            ([TOKEN], "tunnel 1: must be like app=http://127.0.0.1:3000"),
            (["a=http://x", f"-a@{TOKEN}=http://x"], "tunnel 2: an id is 1 to 63 of"),
            ([f"a:{TOKEN}=http://x"], "tunnel 1: an id is"),
            (["a=ftp://x"], "a: the target must begin with http://"),
            (["a=http://x/app"], "a: the target must be a host and a port alone"),
            (["a=http://x?y"], "a: the target must be a host and a port alone"),
            ([f"a=http://u:{TOKEN}@x"], "a: the target must not hold a user name"),
            (["a=http://x:0"], "a: the target must name a host"),
            (["a=http://"], "a: the target must name a host"),
            (["a@=http://x"], "a: the token is empty"),
            (["a@canary é=http://x"], "a: the token holds a character"),
            ([f"a@{'x' * 513}=http://x"], "a: the token has more than 512"),
            (["a=http://x", "A=http://y"], "a is there twice"),
        ):
            text = self.refused(USAGE, {**LEAST, "publish": words})
            self.assertTrue(text.startswith(f"--publish: {said}"), text)
        for words, said in (
            (["a=127.0.0.1"], "a: the target must have a port"),
            (["a=http://x:1"], "a: the target must be HOST:PORT alone; a web server's URL is for"),
            ([f"a@{TOKEN}=x:1"], "a: a TCP tunnel has no token"),
            (["a"], "tunnel 1: must be like db=127.0.0.1:5432"),
            (["app=x:1"], "app is published already"),
        ):
            text = self.refused(USAGE, {**LEAST, "publish-tcp": words})
            self.assertTrue(text.startswith(f"--publish-tcp: {said}"), text)
        said = self.refused(USAGE, {"hub": "wss://h"})
        self.assertIn("nothing to publish: give --publish", said)

    def test_no_tables(self) -> None:
        """The same of the file, which is another status."""
        for text, said in (
            ("publish = 1", "must be a table of ids, or an array of strings, not an integer"),
            ("publish = [1]", "not an array of something else"),
            ("publish.a = 1", "a: must be a string, not an integer"),
            ("publish.'-' = 'http://x'", "'-' is no id: an id is"),
            (f"publish.a.token = '{TOKEN}'", "a: must have a target, may have a token"),
            ("publish.a = { target = 'http://x', tokn = 'x' }", "a: must have a target"),
            ("publish.a = { target = 'http://x', token = 1 }", "a: must be a string"),
            ("publish-tcp.a = 'x'", "a: the target must have a port"),
            ("publish = ['a=http://x', 'a=http://x']", "a is there twice"),
            ("tunnels = 1", "unknown key 'tunnels'"),
        ):
            self.assertIn(said, self.refused(CONFIG, {"hub": "wss://h", "config": self.file(text)}))


class OtherTests(LoadCase):
    """The other options."""

    def test_defaults(self) -> None:
        """Off until switched on, by the name of the machine."""
        settings = self.load()
        hub = HubURL(True, "hub.example", 443)
        publish = (Published("app", "http", False, "127.0.0.1", 3000),)
        self.assertEqual(settings, Settings(hub=hub, key=KEY, id="laptop", publish=publish))
        self.assertNotIn(KEY, repr(settings))
        for name in ("", "\0\n", " "):
            settings = load_settings(LEAST, {"AGENT_KEY": KEY}, [name].pop)
            self.assertEqual(settings.id, "agent")

    def test_exit(self) -> None:
        """It is not there yet, however it is asked for."""
        said = "is not available yet: an agent publishes, and is no exit"
        self.assertEqual(f"--exit: {said}", self.refused(USAGE, {**LEAST, "exit": True}))
        self.assertEqual(f"ALUVIA_AGENT_EXIT: {said}", self.refused(USAGE, ALUVIA_AGENT_EXIT="yes"))
        config = {**LEAST, "config": self.file("exit = true")}
        self.assertIn(f": {said}", self.refused(CONFIG, config))
        self.assertFalse(self.load(ALUVIA_AGENT_EXIT="no").exit)

    def test_longpoll(self) -> None:
        """It is for web servers; where there are none it would publish nothing."""
        self.assertEqual(self.load({**LEAST, "carrier": "longpoll"}).carrier, "longpoll")
        tcp = {"hub": "wss://hub.example", "publish-tcp": ["db=127.0.0.1:5432"]}
        self.assertEqual(
            self.refused(USAGE, {**tcp, "carrier": "longpoll"}),
            "--carrier: longpoll carries web servers alone, and none is published",
        )

    def test_authorities(self) -> None:
        """They are read, and must be some."""
        pem = trustme.CA().cert_pem.bytes()
        self.assertEqual(self.load({**LEAST, "cafile": self.file(pem.decode())}).cafile, pem)
        said = self.refused(CONFIG, {**LEAST, "cafile": self.file("nothing")})
        self.assertIn("has no good certificate in PEM", said)

    def test_names(self) -> None:
        """For people; a group is not shown."""
        settings = self.load({**LEAST, "id": " büro 1 ", "group": "canary-group"})
        self.assertEqual((settings.id, settings.group), ("büro 1", "canary-group"))
        self.assertNotIn("canary", repr(settings))
        for name in ("id", "group"):
            for value in ("", "a\nb", "x" * 129):
                said = self.refused(USAGE, {**LEAST, name: value})
                self.assertEqual(f"--{name}: must be 1 to 128 printable characters", said)

    def test_variables(self) -> None:
        """Each option has one of its own; what looks like one is told."""
        for option in OPTIONS:
            self.assertTrue(option.variable.startswith(PREFIX))
        settings = self.load(ALUVIA_AGENT_PUBLISHE="x", ALUVIA_AGENT_KEY_FILE="")
        self.assertEqual(settings.unknown, {"ALUVIA_AGENT_PUBLISHE": "ALUVIA_AGENT_PUBLISH"})
