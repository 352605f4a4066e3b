"""The Python API, in a reactor, against a control plane, a gateway and an origin."""

from __future__ import annotations

import gc
import json
import typing
from pathlib import Path

import treq
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from aluvia.client import AluviaClient, Session
from aluvia.errors import (
    AluviaError,
    ApiError,
    InvalidUserTokenError,
    MissingUserTokenError,
    ProxyStartError,
)
from aluvia.testing.connection import FaultConnection
from aluvia.testing.control_plane import FakeControlPlane
from aluvia.testing.dialling import dial
from aluvia.testing.faults import FaultPeer
from aluvia.testing.gateway import FakeGateway
from aluvia.testing.http import read_response
from aluvia.testing.origin import FakeOrigin, Visit
from aluvia.testing.reactors import DescriptorReactor

reactor = typing.cast(DescriptorReactor, global_reactor)
TOKEN = "canary-token"


class ConstructorTests(SynchronousTestCase):
    """What a client is made of."""

    def test_missing_token(self) -> None:
        """Without a token there is no client."""
        for token in (None, "", "  \n"):
            self.assertRaises(MissingUserTokenError, AluviaClient, token)

    def test_bad_values(self) -> None:
        """A value that makes no sense is said by its name, and without the token."""
        for name, value in (
            ("poll_interval", 0.5),
            ("api_base_url", "ftp://a"),
            ("api_base_url", "https://user:pass@a/v1"),
            ("gateway_protocol", "socks"),
            ("gateway_port", 0),
            ("gateway_host", "a b"),
            ("local_port", 65536),
            ("log_level", "loud"),
            ("connection", "a/b"),
            ("on_no_config", "maybe"),
        ):
            error = self.assertRaises(ValueError, AluviaClient, TOKEN, **{name: value})
            self.assertNotIn(TOKEN, str(error))
            self.assertIn(name, str(error))
        error = self.assertRaises(ValueError, AluviaClient, "two words")
        self.assertNotIn("two", str(error))

    def test_good_values(self) -> None:
        """Numbers as a program computes them, paths as it has them, and any port."""
        AluviaClient(TOKEN, poll_interval=10 / 3, state_file=Path("state.json"), local_port=18788)

    def test_secrets(self) -> None:
        """A client shows no token."""
        self.assertNotIn(TOKEN, repr(AluviaClient(TOKEN)))


class SessionCase(TestCase):
    """A client, and all that it needs."""

    timeout = 30

    def setUp(self) -> None:
        """Start what is around it."""
        self.origin = FakeOrigin(reactor)
        self.addCleanup(self.origin.stop)
        self.gateway = FakeGateway(reactor)
        self.addCleanup(self.gateway.stop)
        self.plane = FakeControlPlane(reactor, TOKEN, rules=["*.proxied.example"])
        self.addCleanup(self.plane.stop)

    def client(self, **options: typing.Any) -> AluviaClient:
        """A client that follows the control plane, and ends with the test."""
        given: dict[str, typing.Any] = {
            "token": TOKEN,
            "api_base_url": self.plane.base_url,
            "gateway_host": "127.0.0.1",
            "gateway_port": self.gateway.port,
        }
        client = AluviaClient(**given | options)
        self.addCleanup(client.stop)
        return client

    async def get(self, session: Session, host: str, path: str = "/") -> int:
        """The status of a request through the session's proxy."""
        connection = await dial(reactor, session.host, session.port)
        try:
            return await self.ask(connection, host, path)
        finally:
            connection.close()

    async def ask(self, connection: FaultConnection, host: str, path: str = "/") -> int:
        """The status of a request on this connection."""
        url = f"http://{host}:{self.origin.port}{path}"
        await connection.send(f"GET {url} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        return (await read_response(connection)).status

    async def tunnel(self, session: Session, host: str) -> FaultConnection:
        """A tunnel to the origin, by this name."""
        connection = await dial(reactor, session.host, session.port)
        self.addCleanup(connection.close)
        target = f"{host}:{self.origin.port}"
        await connection.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        self.assertEqual((await read_response(connection, b"CONNECT")).status, 200)
        return connection

    async def refused(self, awaited: typing.Awaitable[object], kind: type[Exception]) -> typing.Any:
        """The error of this kind."""
        try:
            await awaited
        except kind as error:
            self.assertNotIn(TOKEN, str(error))
            return error
        self.fail(f"{kind.__name__} not raised")


class LifeTests(SessionCase):
    """Starting and stopping, in whatever order."""

    async def test_start(self) -> None:
        """What matches goes through the gateway, the rest direct."""
        session = await self.client().start()
        self.assertEqual(session.url, f"http://127.0.0.1:{session.port}")
        self.assertEqual(session.host, "127.0.0.1")
        await self.get(session, "127.0.0.1")
        self.assertEqual(len(self.gateway.asked), 0)
        await self.get(session, "www.proxied.example")
        self.assertEqual(len(self.gateway.asked), 1)

    async def test_start_twice(self) -> None:
        """The second start is the first one's session, also while that is under way."""
        client = self.client()
        first = Deferred.fromCoroutine(client.start())
        second = Deferred.fromCoroutine(client.start())
        self.assertIs(await first, await second)
        self.assertIs(await client.start(), await first)

    async def test_stop(self) -> None:
        """The port is closed, live tunnels are reset, nothing polls; again is safe."""
        client = self.client()
        session = await client.start()
        tunnel = await self.tunnel(session, "127.0.0.1")
        await client.stop()
        await self.origin.peer.when(lambda: tunnel.ended is not None and not self.origin.peer.open)
        await self.refused(dial(reactor, session.host, session.port), OSError)
        await client.stop()
        await session.stop()
        await session.close()

    async def test_stop_before_start(self) -> None:
        """There is nothing to stop."""
        await self.client().stop()

    async def test_stop_while_starting(self) -> None:
        """The start fails, and nothing is left of it."""
        stall: Deferred[None] = Deferred()

        async def lie(visit: Visit) -> None:
            await stall

        self.plane.lie = lie
        client = self.client()
        starting = Deferred.fromCoroutine(client.start())
        await self.plane.peer.when(lambda: bool(self.plane.asked))
        await client.stop()
        await self.refused(starting, AluviaError)
        (asking,) = self.plane.peer.connections
        await self.plane.peer.when(lambda: asking.ended is not None)
        self.plane.lie = None
        self.assertNotEqual((await client.start()).port, 0)

    async def test_start_while_stopping(self) -> None:
        """It waits for the stop, and starts anew; the old session cannot stop the new one."""
        client = self.client()
        old = await client.start()
        await self.tunnel(old, "127.0.0.1")
        stopping = Deferred.fromCoroutine(client.stop())
        starting = Deferred.fromCoroutine(client.start())
        await stopping
        new = await starting
        self.assertIsNot(old, new)
        await old.stop()
        self.assertEqual(await self.get(new, "127.0.0.1"), 200)

    async def test_stop_that_is_cancelled(self) -> None:
        """The end goes on; the next stop waits for it, and so does a start."""
        client = self.client()
        for again in (client.stop, client.start):
            session = await client.start()
            tunnel = await self.tunnel(session, "127.0.0.1")
            stopping = Deferred.fromCoroutine(client.stop())
            stopping.cancel()
            await self.refused(stopping, CancelledError)
            await again()
            await self.refused(dial(reactor, session.host, session.port), OSError)
            await tunnel.until_closed()
            await self.origin.peer.when(lambda: not self.origin.peer.open)

    async def test_stop_while_answers_are_read(self) -> None:
        """However far the agent's requests are, no timer of its pool stays behind."""
        client = self.client()
        for turns in range(40):
            session = await client.start()
            http = treq.client.HTTPClient(session.as_agent())
            asking = [
                http.get(f"http://127.0.0.1:{self.origin.port}/").addCallback(treq.content)
                for _ in range(8)
            ]
            for _ in range(turns):
                await deferLater(global_reactor, 0)
            await client.stop()
            await DeferredList(asking, consumeErrors=True)
        # What is left now would be the reactor's, which trial looks at.

    async def test_two_clients(self) -> None:
        """They do not disturb each other."""
        other = FakeControlPlane(reactor, "other", rules=["*"])
        self.addCleanup(other.stop)
        one = await self.client().start()
        two_client = self.client(token="other", api_base_url=other.base_url)
        two = await two_client.start()
        await self.get(one, "a.example.invalid.localhost")
        self.assertEqual(len(self.gateway.asked), 0)
        await self.get(two, "a.example")
        self.assertEqual(len(self.gateway.asked), 1)
        await two_client.stop()
        self.assertEqual(await self.get(one, "127.0.0.1"), 200)

    async def test_context_manager(self) -> None:
        """``async with`` starts and stops."""
        async with self.client() as session:
            self.assertEqual(await self.get(session, "127.0.0.1"), 200)
        await self.refused(dial(reactor, session.host, session.port), OSError)

    async def test_nothing_is_left(self) -> None:
        """After more lives of a client there are as many readers and objects as before."""
        client = self.client()
        counts = []
        for _ in range(4):
            session = await client.start()
            await self.get(session, "127.0.0.1")
            await self.get(session, "a.proxied.example")
            await self.tunnel(session, "a.proxied.example")
            http = treq.client.HTTPClient(session.as_agent())
            await (await http.get(f"http://127.0.0.1:{self.origin.port}/")).content()
            await client.stop()
            await self.gateway.peer.when(lambda: not self.gateway.peer.open)
            await self.origin.peer.when(lambda: not self.origin.peer.open)
            gc.collect()
            ours = sum(map(_is_of_a_client, gc.get_objects()))
            counts.append((len(global_reactor.getReaders()), ours))
        self.assertEqual(counts[1], counts[-1])


def _is_of_a_client(each: object) -> bool:
    return str(type(each).__module__).startswith(
        ("aluvia.client.", "aluvia.forwarding.", "aluvia.net.")
    )


class FailureTests(SessionCase):
    """Starts that fail, each with its own error, and with nothing left."""

    async def test_refused_token(self) -> None:
        """401 and 403."""
        await self.refused(self.client(token="wrong").start(), InvalidUserTokenError)

    async def test_api(self) -> None:
        """Any other answer, and none."""

        async def lie(visit: Visit) -> None:
            body = {"success": False, "error": {"code": "oops", "message": "Broken."}}
            await visit.answer(500, [], json.dumps(body).encode())

        self.plane.lie = lie
        error = await self.refused(self.client().start(), ApiError)
        self.assertEqual((error.status_code, error.code), (500, "oops"))
        await self.plane.stop()
        error = await self.refused(self.client().start(), ApiError)
        self.assertIsNone(error.status_code)

    async def test_used_port(self) -> None:
        """A port that is taken; once it is free the same client starts."""
        taken = FaultPeer(reactor)
        self.addCleanup(taken.stop)
        client = self.client(local_port=taken.port)
        error = await self.refused(client.start(), ProxyStartError)
        port = taken.port
        self.assertIn(str(port), str(error))
        await taken.stop()
        self.assertEqual((await client.start()).port, port)

    async def test_not_running(self) -> None:
        """Changes need a client that runs."""
        error = await self.refused(self.client().update_rules(["*"]), AluviaError)
        self.assertNotIsInstance(error, ApiError)


class UpdateTests(SessionCase):
    """Changing the configuration from the program."""

    async def test_rules(self) -> None:
        """New rules hold for the next request, also on a connection that is open."""
        client = self.client()
        session = await client.start()
        connection = await dial(reactor, session.host, session.port)
        self.addCleanup(connection.close)
        await self.ask(connection, "127.0.0.1")
        await client.update_rules(["127.0.0.1"])
        self.assertEqual(self.plane.user["rules"], ["127.0.0.1"])
        await self.ask(connection, "127.0.0.1")
        self.assertEqual(len(self.gateway.asked), 1)

    async def test_session_id_and_target_geo(self) -> None:
        """Both go to the control plane; a geo can be taken back."""
        client = self.client()
        await client.start()
        await client.update_session_id("abc")
        await client.update_target_geo("us")
        self.assertEqual(
            (self.plane.user["session_id"], self.plane.user["target_geo"]), ("abc", "us")
        )
        await client.update_target_geo(None)
        self.assertIsNone(self.plane.user["target_geo"])

    async def test_refused(self) -> None:
        """A refusal is an ApiError, and the rules stay."""
        client = self.client()
        session = await client.start()

        async def lie(visit: Visit) -> None:
            await visit.answer(422, [], b'{"title": "No.", "detail": "rules/0 is bad"}')

        self.plane.lie = lie
        error = await self.refused(client.update_rules(["*"]), ApiError)
        self.assertEqual(error.status_code, 422)
        await self.get(session, "127.0.0.1")
        self.assertEqual(len(self.gateway.asked), 0)


class RotationTests(SessionCase):
    """Credentials that change at the gateway."""

    def rotate(self, password: str = "new") -> None:
        """At the gateway, and at the control plane."""
        self.gateway.password = password
        self.plane.change(proxy_password=password)

    async def test_plain(self) -> None:
        """A request that the gateway refuses is asked again with them; so is a short body."""
        session = await self.client().start()
        self.rotate()
        self.assertEqual(await self.get(session, "a.proxied.example"), 200)
        self.rotate("newer")
        connection = await dial(reactor, session.host, session.port)
        self.addCleanup(connection.close)
        url = f"http://a.proxied.example:{self.origin.port}/"
        await connection.send(
            f"POST {url} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody".encode()
        )
        answer = await read_response(connection, b"POST")
        self.assertEqual(answer.status, 200)
        self.assertEqual(json.loads(answer.body)["body"], "body")

    async def test_tunnel(self) -> None:
        """So is a CONNECT."""
        session = await self.client().start()
        self.rotate()
        await self.tunnel(session, "a.proxied.example")
        self.assertEqual([asked.authorized for asked in self.gateway.asked], [False, True])

    async def test_not_renewed(self) -> None:
        """Without other credentials it is a 502 that says so, after one question and no more."""
        session = await self.client().start()
        self.gateway.password = "new"
        asked = len(self.plane.asked)
        self.assertEqual(await self.get(session, "a.proxied.example"), 502)
        self.assertEqual(len(self.plane.asked), asked + 1)
        self.assertEqual(len(self.gateway.asked), 1)

    async def test_still_refused(self) -> None:
        """New ones that are refused too are not followed by a third try."""
        session = await self.client().start()
        self.gateway.password = "new"
        self.plane.change(proxy_password="other")
        self.assertEqual(await self.get(session, "a.proxied.example"), 502)
        self.assertEqual(len(self.gateway.asked), 2)

    async def test_known_already(self) -> None:
        """Those that came while it was asking are used without another question."""
        session = await self.client().start()
        self.rotate()
        await self.get(session, "a.proxied.example")
        asked = len(self.plane.asked)
        await self.get(session, "b.proxied.example")
        self.assertEqual(len(self.plane.asked), asked)

    async def test_many_at_once(self) -> None:
        """A hundred requests that are refused at once ask the control plane once or twice."""
        session = await self.client().start()
        self.rotate()
        asked = len(self.plane.asked)
        statuses = [
            Deferred.fromCoroutine(self.get(session, f"h{number}.proxied.example"))
            for number in range(100)
        ]
        self.assertEqual({await status for status in statuses}, {200})
        self.assertLessEqual(len(self.plane.asked) - asked, 2)

    async def test_client_that_leaves(self) -> None:
        """Who leaves while the control plane is asked leaves nothing."""
        session = await self.client().start()
        self.gateway.password = "new"
        stall: Deferred[None] = Deferred()

        async def lie(visit: Visit) -> None:
            await stall

        self.plane.lie = lie
        connection = await dial(reactor, session.host, session.port)
        await connection.send(b"CONNECT a.proxied.example:1 HTTP/1.1\r\nHost: a\r\n\r\n")
        await self.plane.peer.when(lambda: len(self.plane.asked) > 1)
        connection.reset()
        local = session._client._proxy
        assert local is not None
        await self.plane.peer.when(lambda: not local.application.live)


class AdapterTests(SessionCase):
    """What other libraries are given."""

    async def test_shapes(self) -> None:
        """Each has the shape of the contract."""
        session = await self.client().start()
        url = session.url
        self.assertEqual(session.get_url(), url)
        self.assertEqual(session.as_playwright(), {"server": url})
        self.assertEqual(session.as_puppeteer(), [f"--proxy-server={url}"])
        self.assertEqual(session.as_selenium(), [f"--proxy-server={url}"])
        self.assertEqual(session.as_requests(), {"http": url, "https": url})
        self.assertEqual(session.as_httpx(), {"proxy": url})
        self.assertEqual(session.as_aiohttp(), {"proxy": url})
        variables = session.as_env()
        for name in ("HTTP_PROXY", "https_proxy"):
            self.assertEqual(variables[name], url)
        self.assertEqual(variables["NO_PROXY"], "localhost,127.0.0.1,::1")

    async def test_agent(self) -> None:
        """treq goes through it: in absolute form for http."""
        session = await self.client().start()
        http = treq.client.HTTPClient(session.as_agent())
        for host in ("127.0.0.1", "a.proxied.example"):
            answer = await http.get(f"http://{host}:{self.origin.port}/path?q=1", timeout=10)
            self.assertEqual((await answer.json())["target"], "/path?q=1")
        self.assertEqual([asked.method for asked in self.gateway.asked], [b"GET"])
        answer = await http.post(f"http://127.0.0.1:{self.origin.port}/", data=b"x" * 100_000)
        self.assertEqual(len((await answer.json())["body"]), 100_000)


class LogTests(SessionCase):
    """How loud a client is."""

    async def test_levels(self) -> None:
        """Silent says nothing but errors; two clients differ; no secret is said at any level."""
        told: list[dict[str, typing.Any]] = []
        observer = typing.cast(ILogObserver, told.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        silent = await self.client(log_level="silent").start()
        other = self.client(log_level="silent")
        await other.start()
        await other.stop()
        errors = (LogLevel.error, LogLevel.critical)
        self.assertEqual([each for each in told if each["log_level"] not in errors], [])
        loud = await self.client(log_level="debug").start()
        await self.get(silent, "127.0.0.1")
        before = [formatEvent(each) for each in told]
        self.assertFalse([line for line in before if "GET 127.0.0.1" in line])
        await self.get(loud, "a.proxied.example")
        lines = [formatEvent(each) for each in told]
        self.assertTrue([line for line in lines if "GET a.proxied.example" in line])
        self.assertIn("Configuration 1: 1 rules.", lines)
        self.assertFalse([line for line in lines if TOKEN in line or "pass" in line])
