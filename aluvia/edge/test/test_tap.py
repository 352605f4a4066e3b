"""Tests for :mod:`aluvia.edge.tap`, and of the plugin."""

from __future__ import annotations

import json
import subprocess
import sys
import types
import typing

from twisted.application.service import Application, IServiceMaker, Service
from twisted.internet import reactor
from twisted.logger import ILogObserver, LogLevel
from twisted.plugin import getPlugins

from aluvia.edge.api_token import VARIABLE
from aluvia.edge.settings import IN_MEMORY
from aluvia.edge.tap import Options, makeService
from aluvia.edge.test.tap_case import TapCase


class FakeEdge(Service):
    """Keeps what it was made from."""

    def __init__(self, *made_from: object) -> None:
        self.made_from = made_from


class FakeDemo(FakeEdge):
    """The same, for the other."""


class ServiceTests(TapCase):
    """What twistd runs."""

    def setUp(self) -> None:
        """No edge that would listen."""
        super().setUp()
        for name, member in (
            ("aluvia.edge.service", {"EdgeService": FakeEdge}),
            ("aluvia.demo.edge", {"EdgeDemo": FakeDemo}),
        ):
            before = sys.modules.get(name)
            self.addCleanup(self._put, name, before)
            self._put(name, typing.cast(types.ModuleType, types.SimpleNamespace(**member)))

    def _put(self, name: str, module: types.ModuleType | None) -> None:
        if module is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = module

    def made(self, *words: str) -> tuple[Options, typing.Any]:
        """The options, and the service in what they make."""
        options = self.options(*words)
        container: typing.Any = makeService(options)
        (service,) = container.services
        return options, service

    def test_made(self) -> None:
        """The edge gets the settings, the reactor and the environment."""
        options, edge = self.made("--http", "127.0.0.1:0")
        self.assertIsInstance(edge, FakeEdge)
        settings, running, environ, set_log_level = edge.made_from
        self.assertIs(settings, options.settings)
        self.assertIs(running, reactor)
        self.assertIs(environ, self.environ)
        set_log_level("debug")

    def test_demo(self) -> None:
        """The demo gets the same; the real one's environment and store are left alone."""
        self.environ |= {"ALUVIA_EDGE_HTTP": "127.0.0.1:1", "ALUVIA_EDGE_DB": "real.db"}
        options, demo = self.made("--demo", "--https", "127.0.0.1:0")
        self.assertIsInstance(demo, FakeDemo)
        settings, running, environ, set_log_level = demo.made_from
        self.assertIs(settings, options.settings)
        self.assertEqual((settings.db, settings.http.port), (IN_MEMORY, 8080))
        self.assertEqual(settings.https.fixed, None)
        self.assertIs(running, reactor)
        self.assertIs(environ, self.environ)
        set_log_level("debug")

    def test_what_a_demo_has_itself(self) -> None:
        """Cannot be said besides."""
        for name in ("config", "api-token-file", "db", "routes", "certificates", "default-key"):
            said = self.exits(64, "--demo", f"--{name}", "x")
            self.assertIn(f"--{name}: --demo has all of its own", said)

    def test_log(self) -> None:
        """The application's log is ours: its level and format, and no token in it."""
        self.environ[VARIABLE] = " canary-token-0123 "
        application = Application("aluvia-edge")
        options = self.options("--log-format", "json", "--log-level", "silent")
        service: typing.Any = makeService(options)
        service.setServiceParent(application)
        observer = application.getComponent(ILogObserver)
        observer({"log_format": "hidden", "log_level": LogLevel.warn})
        observer({"log_format": "{it}", "it": "canary-token-0123", "log_level": LogLevel.error})
        (line,) = self.stdout.getvalue().splitlines()
        self.assertEqual(json.loads(line)["message"], "[redacted]")

    def test_twistds_log_file(self) -> None:
        """twistd's ``--logfile`` is honoured; one that cannot be is status 73, and a line."""
        options = self.options()
        parent: typing.Any = {"logfile": "/nonexistent/x.log", "nodaemon": 1}
        options.parent = parent
        error = self.assertRaises(SystemExit, makeService, options)
        self.assertEqual(error.code, 73)
        self.assertIn("/nonexistent", self.stderr.getvalue())


class PluginTests(TapCase):
    """The command as twistd knows it."""

    def test_plugin(self) -> None:
        """twistd finds it, once, with a description."""
        makers: list[typing.Any] = list(getPlugins(IServiceMaker))
        (maker,) = [each for each in makers if each.tapname == "aluvia-edge"]
        self.assertIs(maker.options, Options)
        self.assertTrue(maker.description)

    def test_light(self) -> None:
        """A command line is read without the store, and without a reactor."""
        program = """if True:
            import sys
            from aluvia.edge.tap import Options
            Options().parseOptions(["--http", "127.0.0.1:0"])
            print(sorted({"klein", "sqlalchemy", "twisted.internet.reactor"} & set(sys.modules)))
        """
        child = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual((child.stdout, child.stderr), ("[]\n", ""))

    def test_real_twistd(self) -> None:
        """Through twistd itself: the statuses, one line on standard error, no traceback."""
        twistd = "from twisted.scripts.twistd import run; run()"
        for words, status, said in (
            (["--http", "x"], 64, "aluvia: --http: must be"),
            (["--config", "/nonexistent"], 78, "aluvia: /nonexistent: "),
            (["--check", "--routes", "/nonexistent"], 78, "aluvia: /nonexistent: "),
            (["--check"], 0, ""),
        ):
            child = subprocess.run(
                [sys.executable, "-c", twistd, "-n", "--pidfile=", "aluvia-edge", *words],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            self.assertEqual(child.returncode, status, child.stderr)
            self.assertTrue(child.stderr.startswith(said))
            self.assertEqual(child.stderr.count("\n") == 1, bool(said))
