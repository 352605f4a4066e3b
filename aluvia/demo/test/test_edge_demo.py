"""The edge's demo, in this process: what it starts, and what is left when it has ended."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import ssl
import tempfile
import typing
from pathlib import Path

import attrs
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from aluvia.demo.edge import EdgeDemo
from aluvia.demo.quiet_site import ADDRESS
from aluvia.edge.api_token import VARIABLE
from aluvia.edge.listeners import Listener
from aluvia.edge.settings import IN_MEMORY, Settings
from aluvia.testing.connection import FaultConnection
from aluvia.testing.dialling import dial
from aluvia.testing.http import Response, read_response

reactor: typing.Any = global_reactor

APP = "app.localhost"
API = "api.localhost"
FREE = Listener(address=ADDRESS, port=0)
CREDENTIALS = "Authorization: Basic ZGVtbzpkZW1v"
REAL_TOKEN = "canary-of-the-real-one"


def asked(**places: typing.Any) -> Settings:
    """Settings with these places, which somebody asked for."""
    return Settings(**places, sources=dict.fromkeys(places, "--option"))


class EdgeDemoCase(TestCase):
    """Starts demos, with a directory for what they write."""

    timeout = 60

    def setUp(self) -> None:
        """Nothing was written yet."""
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.patch(tempfile, "tempdir", str(self.directory))
        self.before = sorted(os.listdir())
        self.out = io.StringIO()
        self.environ = {VARIABLE: REAL_TOKEN, "PATH": "/bin"}
        self.signals: dict[int, typing.Any] = {}
        self.levels: list[str] = []

    def demo(self, settings: Settings | None = None) -> EdgeDemo:
        """One that is not started; on free ports, unless it is said."""
        settings = settings or asked(http=FREE, https=FREE, api=(ADDRESS, 0))
        demo = EdgeDemo(
            settings,
            reactor,
            self.environ,
            self.levels.append,
            self.signals.__setitem__,
            out=self.out,
        )
        self.addCleanup(demo.stopService)
        return demo

    async def start(self, settings: Settings | None = None) -> None:
        """Start one, and let it say what to type."""
        self.running = self.demo(settings)
        self.where = await self.running.begin()
        self.running.came_up()

    @property
    def files(self) -> Path:
        """The directory of the one that runs."""
        (directory,) = self.directory.iterdir()
        return directory

    async def ask(
        self,
        host: str = APP,
        *fields: str,
        port: str = "http",
        line: str = "GET / HTTP/1.1",
        body: str = "",
    ) -> Response:
        """Ask it, and read the answer."""
        number = typing.cast(int, self.where[port])
        connection: FaultConnection = await dial(reactor, ADDRESS, number)
        self.addCleanup(connection.close)
        if port == "https":
            context = ssl.create_default_context(cafile=str(self.files / "certificate.pem"))
            await connection.start_tls(context, server_side=False, server_hostname=host)
        await connection.send("\r\n".join([line, f"Host: {host}", *fields, "", body]).encode())
        answer = await read_response(connection)
        connection.close()
        return answer

    async def names(self, count: int) -> list[bytes]:
        """Which backends answer, one request after the other."""
        return [(await self.ask()).body.partition(b":")[0] for _ in range(count)]

    async def assert_nothing_is_left(self) -> None:
        """No file here or there, and nobody at the ports."""
        self.assertEqual([*self.directory.iterdir()], [])
        self.assertEqual(sorted(os.listdir()), self.before)
        for name in ("http", "https", "api"):
            if self.where.get(name):
                with self.assertRaises(ConnectionRefusedError):
                    await dial(reactor, ADDRESS, typing.cast(int, self.where[name]))


class RunningTests(EdgeDemoCase):
    """One that runs."""

    async def test_vhosts(self) -> None:
        """Two backends in turns, by http and by https; and one that asks for a password."""
        await self.start()
        self.assertEqual(await self.names(4), [b"one", b"two", b"one", b"two"])
        answer = await self.ask(port="https")
        self.assertRegex(answer.body, rb"^one: GET https://app\.localhost/, asked by 127\.0\.0\.1")
        self.assertEqual((await self.ask(API)).status, 401)
        answer = await self.ask(API, CREDENTIALS, port="https")
        self.assertRegex(answer.body, rb"^two: GET .*, asked by demo at 127\.0\.0\.1\n$")

    async def test_api(self) -> None:
        """Its token is the one that it prints; with it a backend is marked dead, and alive."""
        await self.start()
        token = (self.files / "api-token").read_text().strip()
        self.assertIn(f"Bearer {token}", self.out.getvalue())
        bearer = f"Authorization: Bearer {token}"
        path = f"/api/v1/routes/{APP}/backends/one"
        for state, names in (("dead", {b"two"}), ("ready", {b"one", b"two"})):
            line = f"POST {path}/{state} HTTP/1.1"
            answer = await self.ask("x", bearer, "Content-Length: 0", port="api", line=line)
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual(set(await self.names(4)), names)
        line = "GET /api/v1/stats HTTP/1.1"
        answer = await self.ask("x", bearer, port="api", line=line)
        self.assertEqual(json.loads(answer.body)["sinceStart"]["requests"], 8)

    async def test_log_level(self) -> None:
        """What is changed over its API is changed."""
        await self.start()
        bearer = f"Authorization: Bearer {(self.files / 'api-token').read_text().strip()}"
        fields = bearer, "Content-Type: application/json", "Content-Length: 17"
        line = "PUT /api/v1/log-level HTTP/1.1"
        answer = await self.ask("x", *fields, port="api", line=line, body='{"level":"debug"}')
        self.assertEqual((answer.status, self.levels), (200, ["debug"]), answer.body)

    async def test_the_real_ones_token(self) -> None:
        """It opens nothing here; and no child of this process is given it."""
        await self.start()
        line = "GET /api/v1/stats HTTP/1.1"
        bearer = f"Authorization: Bearer {REAL_TOKEN}"
        self.assertEqual((await self.ask("x", bearer, port="api", line=line)).status, 401)
        self.assertEqual(self.environ, {"PATH": "/bin"})

    async def test_files(self) -> None:
        """What it writes is in a directory of its own, which nobody else can look into."""
        await self.start()
        self.assertEqual(self.files.stat().st_mode & 0o777, 0o700)
        self.assertEqual(sorted(os.listdir()), self.before)
        self.assertEqual(self.running.settings.db, IN_MEMORY)

    async def test_hung_up(self) -> None:
        """SIGHUP reads its routes again, as any edge's."""
        await self.start()
        (self.files / "routes.toml").write_text("routes = []\n")
        changed: Deferred[object] = Deferred()

        def tell(event: object) -> None:
            if not changed.called:
                changed.callback(event)

        assert self.running.edge is not None
        self.running.edge.events.subscribe("route.changed", tell)
        self.signals[signal.SIGHUP](signal.SIGHUP, None)
        await changed
        self.assertEqual((await self.ask()).status, 404)


class EndTests(EdgeDemoCase):
    """When it ends, and how."""

    async def test_nothing_is_left(self) -> None:
        """No file, no listener, no connection; whatever was asked before."""
        await self.start()
        await self.ask()
        await self.ask(API, CREDENTIALS, port="https")
        await self.running.stopService()
        await self.assert_nothing_is_left()

    async def test_ended_while_it_starts(self) -> None:
        """A signal that comes first leaves nothing either."""
        self.where = {}
        demo = self.demo()
        beginning = Deferred.fromCoroutine(demo.begin())
        self.assertEqual(len([*self.directory.iterdir()]), 1)
        await demo.stopService()
        with self.assertRaises(CancelledError):
            await beginning
        await self.assert_nothing_is_left()
        self.assertEqual(self.out.getvalue(), "")

    async def test_never_started(self) -> None:
        """Nor does one that was made, and not begun."""
        self.where = {}
        await self.demo().stopService()
        await self.assert_nothing_is_left()

    async def test_a_port_that_was_asked_for(self) -> None:
        """It is that one, or none: the error says which, and nothing is left."""
        self.where = {}
        for name in ("http", "https", "api"):
            with socket.create_server((ADDRESS, 0)) as taken:
                place = taken.getsockname()
                places: dict[str, typing.Any] = {"http": FREE, "https": FREE, "api": (ADDRESS, 0)}
                listener = Listener(address=ADDRESS, port=place[1])
                places[name] = place if name == "api" else listener
                demo = self.demo(asked(**places))
                with self.assertRaises(OSError) as caught:
                    await demo.begin()
            self.assertRegex(str(caught.exception), f"(?i)^the {name} port .* cannot be bound")
            await demo.stopService()
            await self.assert_nothing_is_left()


class PlaceTests(EdgeDemoCase):
    """Where it listens."""

    async def test_taken(self) -> None:
        """Where nobody asked for a port, and it is taken, another one is used; on loopback."""
        with (
            socket.create_server((ADDRESS, 0)) as http,
            socket.create_server((ADDRESS, 0)) as https,
            socket.create_server((ADDRESS, 0)) as api,
        ):
            taken = [each.getsockname()[1] for each in (http, https, api)]
            anywhere = [Listener(address="0.0.0.0", port=port) for port in taken[:2]]
            await self.start(Settings(http=anywhere[0], https=anywhere[1], api=(ADDRESS, taken[2])))
        got = [self.where[name] for name in ("http", "https", "api")]
        self.assertEqual(set(got) & {0, *taken}, set())
        urls = [self.where[f"{name}_url"] for name in ("http", "https", "api")]
        schemes = ("http", "https", "http")
        pairs = zip(schemes, got, strict=True)
        self.assertEqual(urls, [f"{scheme}://{ADDRESS}:{port}" for scheme, port in pairs])
        self.assertEqual(await self.names(2), [b"one", b"two"])

    async def test_what_is_said_of_a_place(self) -> None:
        """The lines come in where it listens, as that wants it."""
        announced = attrs.evolve(FREE, proxy_protocol=True)
        await self.start(asked(http=announced, https=None, api=(ADDRESS, 0)))
        url = f"http://{APP}:{self.where['http']}/"
        self.assertIn(f"curl -4 --haproxy-protocol {url} {url}\n", self.out.getvalue())
        self.assertNotIn("https:", self.out.getvalue())
        await self.running.stopService()
        await self.start(asked(http=None, https=announced, api=(ADDRESS, 0)))
        trust = f"--cacert {self.files}/certificate.pem"
        url = f"https://{APP}:{self.where['https']}/"
        self.assertIn(f"curl -4 --haproxy-protocol {trust} {url} {url}\n", self.out.getvalue())


class SettingsTests(SynchronousTestCase):
    """What becomes of the settings."""

    def places(self, settings: Settings) -> tuple[typing.Any, ...]:
        """Where it would listen."""
        used = EdgeDemo(settings, reactor, {}).settings
        listeners = (each and (each.address, each.port) for each in (used.http, used.https))
        return (*listeners, used.api)

    def test_defaults(self) -> None:
        """Loopback, whatever the real one's defaults are."""
        expected = ((ADDRESS, 8080), (ADDRESS, 8443), (ADDRESS, 8901))
        self.assertEqual(self.places(Settings()), expected)

    def test_asked_for(self) -> None:
        """What somebody asked for is taken as it is, ``none`` too."""
        everywhere = Listener(address="0.0.0.0", port=80)
        settings = asked(http=everywhere, https=None, api=("::1", 81))
        self.assertEqual(self.places(settings), (("0.0.0.0", 80), None, ("::1", 81)))

    def test_another_ones_default(self) -> None:
        """A port that was asked for is not taken by what nobody asked for."""
        expected = ((ADDRESS, 0), (ADDRESS, 8080), (ADDRESS, 8901))
        here = Listener(address=ADDRESS, port=8080)
        self.assertEqual(self.places(asked(https=here)), expected)
        expected = ((ADDRESS, 8080), (ADDRESS, 0), (ADDRESS, 8443))
        self.assertEqual(self.places(asked(api=(ADDRESS, 8443))), expected)
        expected = ((ADDRESS, 8901), (ADDRESS, 8443), (ADDRESS, 0))
        here = Listener(address=ADDRESS, port=8901)
        self.assertEqual(self.places(asked(http=here)), expected)
