"""Tests for :mod:`aluvia.gateway.egress` and :mod:`aluvia.gateway.policy`. Real sockets."""

from __future__ import annotations

import contextlib
import json
import typing

from aluvia.gateway.policy import GatewayPolicy
from aluvia.gateway.test.gateway_case import GatewayCase, reactor
from aluvia.gateway.wish import FILTERS, Wish
from aluvia.testing.ended import Ended
from aluvia.testing.faults import Accepting, FaultPeer
from aluvia.testing.http import Response, read_response
from aluvia.testing.origin import FakeOrigin, Visit
from aluvia.testing.steps import Read, Send, Stall


class EgressCase(GatewayCase):
    """A gateway, and a site behind it."""

    async def started(self, **options: typing.Any) -> FakeOrigin:
        """Start both."""
        await self.start(**options)
        self.site = self.peer(FakeOrigin(reactor))
        self.url = f"http://127.0.0.1:{self.site.port}/"
        return self.site

    def assert_refused(self, answer: Response, status: int, error: str, told: str) -> str:
        """It is the gateway's own refusal; what it says of it."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(
            answer.header(b"proxy-status"), f"aluvia-gateway; error={error}".encode(), answer
        )
        self.assertEqual(answer.header(b"x-aluvia-error"), told.encode())
        self.assertNotIn(self.made.proxy_password.encode(), repr(answer).encode())
        return answer.body.decode()


class AdmissionTests(EgressCase):
    """Who may."""

    async def test_no_credentials(self) -> None:
        """407 with a challenge, for a tunnel and for a page; nothing goes out."""
        site = await self.started()
        for start in (f"GET {self.url}", f"CONNECT 127.0.0.1:{site.port}"):
            answer = await self.ask(start)
            self.assert_refused(answer, 407, "http_request_denied", "client; http_request_denied")
            self.assertEqual(
                answer.header(b"proxy-authenticate"),
                b'Basic realm="aluvia-gateway", charset="UTF-8"',
            )
        self.assertEqual(len(site.visits), 0)

    async def test_wrong_credentials(self) -> None:
        """A wrong password, an unknown account and a bad wish of a stranger are told the same."""
        await self.started()
        said = set()
        for field in (
            self.credentials(password="wrong"),
            self.credentials("-cuntry-us", password="wrong"),
            "Proxy-Authorization: Basic Ym9iOng=",
        ):
            answer = await self.ask(f"GET {self.url}", field)
            text = self.assert_refused(
                answer, 407, "http_request_denied", "client; http_request_denied"
            )
            said.add(text.partition("\n")[0])
        self.assertEqual(len(said), 1)

    async def test_no_basic(self) -> None:
        """What is no pair in Basic is refused, and so are two of them."""
        await self.started()
        good = self.credentials()
        for fields in (
            ["Proxy-Authorization: Bearer x"],
            ["Proxy-Authorization: Basic"],
            ["Proxy-Authorization: Basic !!!!"],
            ["Proxy-Authorization: Basic YWxpY2U="],
            ["Proxy-Authorization: Basic /////w=="],
            [good, good],
        ):
            answer = await self.ask(f"GET {self.url}", *fields)
            self.assertEqual(answer.status, 407, fields)

    async def test_good(self) -> None:
        """A page and a tunnel are had; nothing of ours reaches the site."""
        site = await self.started()
        answer = await self.ask(
            f"GET {self.url}a?b",
            self.credentials("-session-x-TTL-5-hard"),
            "X-Aluvia-Session: y",
            "X-Aluvia-Request-ID: mine",
            "X-Forwarded-For: 10.1.2.3",
            "Via: 1.1 me",
            "X-Other: kept",
        )
        self.assertEqual(answer.status, 200)
        sent = {name.lower() for name, _ in site.visits[0].headers}
        self.assertEqual(sent, {b"host", b"x-other"})
        self.assertEqual(json.loads(answer.body)["target"], "/a?b")
        self.assertEqual(
            (await self.ask(f"CONNECT 127.0.0.1:{site.port}", self.credentials())).status, 200
        )

    async def test_trailers(self) -> None:
        """Nor does it in the trailers of a request."""
        site = await self.started()
        heard = []

        async def listen(visit: Visit) -> None:
            heard.append((await visit.conversation.read_body())[1])
            await visit.answer(204, [])

        site.routes["/listen"] = listen
        client = await self.connect()
        await client.send(
            f"POST {self.url}listen HTTP/1.1\r\nHost: a\r\n{self.credentials()}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n0\r\n"
            "X-Aluvia-Session: y\r\nX-Forwarded-For: 10.1.2.3\r\nX-Other: kept\r\n\r\n".encode()
        )
        self.assertEqual((await read_response(client, b"POST")).status, 204)
        self.assertEqual(heard, [[(b"x-other", b"kept")]])

    async def test_an_origin_that_speaks_for_the_gateway(self) -> None:
        """What a gateway says of a request cannot be said by an origin, in a head or behind it."""
        site = await self.started()
        lies = [
            (b"X-Aluvia-Error", b"pool; no_exit"),
            (b"X-Aluvia-Exit", b"elsewhere"),
            (b"X-Aluvia-Request-ID", b"another"),
        ]

        async def lie(visit: Visit) -> None:
            head = [*lies, (b"Transfer-Encoding", b"chunked"), (b"X-Other", b"kept")]
            await visit.answer(200, head, b"x", trailers=[*lies, (b"X-Last", b"kept")])

        site.routes["/lie"] = lie
        answer = await self.ask(
            f"GET {self.url}lie", self.credentials("-debug"), "X-Aluvia-Request-ID: mine"
        )
        ours = [field for field in answer.headers if field[0].startswith(b"x-aluvia")]
        self.assertEqual(ours, [(b"x-aluvia-request-id", b"mine"), (b"x-aluvia-exit", b"direct")])
        self.assertEqual(answer.header(b"x-other"), b"kept")
        self.assertEqual(answer.trailers, [(b"x-last", b"kept")])

    async def test_an_origin_that_asks_for_proxy_credentials(self) -> None:
        """A 407 is the gateway's to give: an origin's would pass for a refusal of the account."""
        site = await self.started()

        async def deny(visit: Visit) -> None:
            await visit.answer(407, [(b"Proxy-Authenticate", b"Basic")])

        site.routes["/deny"] = deny
        answer = await self.ask(f"GET {self.url}deny", self.credentials())
        self.assert_refused(answer, 502, "http_protocol_error", "target; http_protocol_error")
        self.assertIsNone(answer.header(b"proxy-authenticate"))

    async def test_one_address(self) -> None:
        """It cannot fill the port: what it has beyond half of all is reset."""
        await self.started(max_connections=6)
        for _ in range(3):
            await self.connect()
        await self.when(lambda: self.egress.connections_open == 3)
        # The reset may be quicker than whoever connects.
        with contextlib.suppress(ConnectionResetError):
            await self.connect()
        await self.when(lambda: self.egress.connections_refused == 1)
        self.assertEqual(self.egress.connections_open, 3)

    async def test_accounts_share_no_connection(self) -> None:
        """What an origin gave one account's connection is not another's; its own is used again."""
        site = await self.started()
        alice = self.credentials()
        self.made = await self.add("bob")
        await self.accounts.look_now()
        for field in (alice, alice, self.credentials()):
            self.assertEqual((await self.ask(f"GET {self.url}", field)).status, 200)
        self.assertEqual(site.peer.accepted, 2)

    async def test_gone(self) -> None:
        """Every field by which a wish can be said stays here."""
        for key in (*FILTERS, "session", "ttl", "hard", "debug", "request-id"):
            self.assertIn(f"x-aluvia-{key}".encode(), GatewayPolicy.gone)
        self.assertTrue(Wish())

    async def test_rotation(self) -> None:
        """A new password holds for the next request, and the old one does not."""
        await self.started()
        before = self.credentials()
        await self.accounts.change("alice", lambda seen: {"proxy_password": "n:é w"})
        self.assertEqual((await self.ask(f"GET {self.url}", before)).status, 407)
        after = self.credentials(password="n:é w")
        self.assertEqual((await self.ask(f"GET {self.url}", after)).status, 200)

    async def test_removed(self) -> None:
        """What is under way for an account that is gone ends: a tunnel, an answer, a dial."""
        site = await self.started()
        silent = self.peer(FaultPeer(reactor, [Read(until=b"\r\n\r\n"), Stall()]))
        full = self.peer(FaultPeer(reactor, [], accepting=Accepting.IGNORE))
        clients = []
        for start in (
            f"CONNECT 127.0.0.1:{site.port}",
            f"GET http://127.0.0.1:{silent.port}/",
            f"CONNECT 127.0.0.1:{full.port}",
        ):
            client = await self.connect()
            await client.send(
                f"{start} HTTP/1.1\r\nHost: a\r\n{self.credentials()}\r\n\r\n".encode()
            )
            clients.append(client)
        await read_response(clients[0], b"CONNECT")
        live = self.egress.application.live
        await self.when(lambda: len(live) == len(clients) and silent.accepted)
        self.egress.expel("bob")
        self.assertEqual(len(live), len(clients))
        self.egress.expel("alice")
        await self.when(lambda: all(client.ended is Ended.RESET for client in clients))
        self.assertEqual(len(live), 0)
        await self.when(lambda: not site.peer.open and not silent.open)


class WishTests(EgressCase):
    """Which exit."""

    async def test_bad(self) -> None:
        """A wish that cannot be read is 407 with the reason, in a name and in a field."""
        site = await self.started()
        for option, field, reason in (
            ("-cuntry-us", "X-Other: x", "'cuntry' is no option of a user name."),
            ("-session", "X-Other: x", "The option session has no value."),
            ("", "X-Aluvia-Cuntry: us", "'X-Aluvia-Cuntry' is no field of this gateway."),
            ("-hard-hard", "X-Other: x", "hard is there twice."),
        ):
            answer = await self.ask(f"GET {self.url}", self.credentials(option), field)
            text = self.assert_refused(
                answer, 407, "http_request_denied", "client; http_request_denied"
            )
            self.assertIn(reason, text)
        self.assertEqual(len(site.visits), 0)

    async def test_no_exit(self) -> None:
        """A filter is never passed over: there is no such exit."""
        site = await self.started()
        for key in FILTERS:
            value = {"country": "us", "asn": "1"}.get(key, "x")
            for option, field in (
                (f"-{key}-{value}", "X-Other: x"),
                ("", f"X-Aluvia-{key}: {value}"),
            ):
                for start in (f"GET {self.url}", f"CONNECT 127.0.0.1:{site.port}"):
                    answer = await self.ask(start, self.credentials(option), field)
                    text = self.assert_refused(
                        answer, 502, "destination_not_found", "pool; no_exit"
                    )
                    self.assertIn(f"by {key}:", text)
        self.assertEqual(len(site.visits), 0)

    async def test_of_the_account(self) -> None:
        """What the account wishes holds too; a blank is no wish."""
        await self.started()
        for geo, status in (("us", 502), ("", 200), (None, 200)):
            await self.accounts.change("alice", lambda seen, geo=geo: {"target_geo": geo})  # type: ignore[misc]
            answer = await self.ask(f"GET {self.url}", self.credentials())
            self.assertEqual(answer.status, status)

    async def test_precedence(self) -> None:
        """A field stands above the user name, and that above the account."""
        await self.started()
        await self.accounts.change("alice", lambda seen: {"session_id": "of account"})

        async def session(option: str, *fields: str) -> str:
            answer = await self.ask(f"GET {self.url}", self.credentials(option), *fields)
            return (answer.header(b"proxy-status") or b"").decode()

        said = 'aluvia-gateway; details="exit=direct; session={}"'
        self.assertEqual(await session("-debug"), said.format("of account"))
        self.assertEqual(await session("-debug-session-name"), said.format("name"))
        self.assertEqual(
            await session("-debug-session-name", "X-Aluvia-Session: field"), said.format("field")
        )
        self.assertEqual(await session("-debug", "X-Aluvia-Debug: false"), "")

    async def test_debug(self) -> None:
        """A good answer says how it came, if that was wished for; otherwise nothing is added."""
        site = await self.started()
        for start in (f"GET {self.url}", f"CONNECT 127.0.0.1:{site.port}"):
            answer = await self.ask(start, self.credentials("-debug"))
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.header(b"x-aluvia-exit"), b"direct")
            self.assertEqual(
                answer.header(b"proxy-status"), b'aluvia-gateway; details="exit=direct"'
            )
            answer = await self.ask(start, self.credentials())
            for name in (b"x-aluvia-exit", b"proxy-status", b"x-aluvia-request-id"):
                self.assertIsNone(answer.header(name))


class RequestIDTests(EgressCase):
    """What a client calls its request."""

    async def test_kept(self) -> None:
        """It is in every kind of answer."""
        site = await self.started()
        field = "X-Aluvia-Request-ID: abc-123"
        closed = self.peer(FaultPeer(reactor, [Read(until=b"\r\n\r\n"), Send(b"nonsense\r\n\r\n")]))
        for start, credentials, status in (
            (f"GET {self.url}", self.credentials(), 200),
            (f"CONNECT 127.0.0.1:{site.port}", self.credentials(), 200),
            (f"GET {self.url}", "X-Other: x", 407),
            (f"GET {self.url}", self.credentials("-country-us"), 502),
            (f"GET http://127.0.0.1:{closed.port}/", self.credentials(), 502),
            ("GET /", self.credentials(), 400),
            ("CONNECT 127.0.0.1:25", self.credentials(), 403),
        ):
            answer = await self.ask(start, credentials, field)
            self.assertEqual(answer.status, status, start)
            self.assertEqual(answer.header(b"x-aluvia-request-id"), b"abc-123", start)

    async def test_not_kept(self) -> None:
        """One that is too long, not visible or there twice is not taken over."""
        await self.started()
        for fields in (
            ["X-Aluvia-Request-ID: " + "x" * 65],
            ["X-Aluvia-Request-ID: a b"],
            ["X-Aluvia-Request-ID:"],
            ["X-Aluvia-Request-ID: a", "X-Aluvia-Request-ID: b"],
            ["X-Aluvia-Request-ID: \xe9"],
        ):
            answer = await self.ask(f"GET {self.url}", *fields)
            self.assertRegex(
                (answer.header(b"x-aluvia-request-id") or b"").decode(), "^[0-9a-f]{8}-[0-9a-f]+$"
            )

    async def test_logged(self) -> None:
        """It is in the log at debug level, with the account and without the password."""
        logged: list[dict[str, typing.Any]] = []
        await self.started(log_level="debug")
        policy: typing.Any = self.egress.application.policy
        self.patch(policy._log, "observer", logged.append)
        await self.ask(f"GET {self.url}", self.credentials(), "X-Aluvia-Request-ID: abc")
        await self.when(lambda: logged)
        (event,) = logged
        self.assertEqual(
            (event["request_id"], event["account"], event["outcome"]), ("abc", "alice", "ok")
        )


class TargetTests(EgressCase):
    """Where nobody gets."""

    async def test_private(self) -> None:
        """Addresses that are not public are refused by any name, and nothing arrives there."""
        site = await self.started(allow_private=False)
        for host in (
            "127.0.0.1",
            "localhost",
            "a.localhost",
            "127.1",
            "0x7f.1",
            "2130706433",
            "0.0.0.0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "169.254.169.254",
            "10.0.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "[fd00::1]",
            "[fe80::1]",
            "224.0.0.1",
            "255.255.255.255",
        ):
            for start in (f"GET http://{host}:{site.port}/", f"CONNECT {host}:{site.port}"):
                self.assert_refused(
                    await self.ask(start, self.credentials()),
                    403,
                    "destination_ip_prohibited",
                    "policy; destination_ip_prohibited",
                )
        self.assertEqual(site.peer.accepted, 0)

    async def test_own_listeners(self) -> None:
        """Where private addresses are open, our own ports are not."""
        await self.started()
        self.egress.own.append(("127.0.0.1", 8900))
        for port in (self.egress.place("proxy")[1], 8900):
            self.assert_refused(
                await self.ask(f"CONNECT a.localhost:{port}", self.credentials()),
                502,
                "proxy_loop_detected",
                "policy; proxy_loop_detected",
            )

    async def test_mail(self) -> None:
        """Port 25 is refused everywhere."""
        await self.started()
        self.assert_refused(
            await self.ask("CONNECT 127.0.0.1:25", self.credentials()),
            403,
            "destination_ip_prohibited",
            "policy; destination_ip_prohibited",
        )

    async def test_target_fails(self) -> None:
        """What the target does wrong is said to be the target's."""
        site = await self.started()
        port = site.port
        await site.stop()
        self.assert_refused(
            await self.ask(f"CONNECT 127.0.0.1:{port}", self.credentials()),
            502,
            "connection_refused",
            "target; connection_refused",
        )

    async def test_web_site(self) -> None:
        """Whoever takes it for a web site is told what it is, with no side effect."""
        await self.started()
        answer = await self.ask("GET /", self.credentials())
        text = self.assert_refused(answer, 400, "http_request_error", "client; http_request_error")
        self.assertIn("aluvia-gateway, a forward proxy", text)
