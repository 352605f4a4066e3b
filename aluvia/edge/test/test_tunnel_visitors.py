"""Tests for visitors of tunnels with a token: who is let in, and what of it the app sees."""

from __future__ import annotations

import json
from pathlib import Path

from aluvia.edge.model import BasicProvider
from aluvia.edge.password_hashes import hash_password
from aluvia.edge.test.edge_case import HOST, backend, seen
from aluvia.edge.test.tunnel_case import ELSEWHERE, TOKEN, TunnelCase, tunnel_backend
from aluvia.testing.http import read_response
from aluvia.testing.origin import Visit

FIELD = f"X-Proxer-Tunnel-Token: {TOKEN}"
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")


class TokenTests(TunnelCase):
    """A tunnel with a token."""

    async def test_who_may(self) -> None:
        """The token in the field or in the query lets in; another one, and none, is 403."""
        session = self.publish("app", token=TOKEN)
        for path, fields, status in (
            ("/t/app/echo", (), 403),
            ("/t/app/echo", ("X-Proxer-Tunnel-Token: wrong",), 403),
            ("/t/app/echo", ("X-Proxer-Tunnel-Token:",), 403),
            ("/t/app/echo", (f"X_Proxer_Tunnel_Token: {TOKEN}",), 403),
            ("/t/app/echo?access_token=wrong", (), 403),
            ("/t/app/echo?access_token=", (), 403),
            ("/t/app/echo?access_token", (), 403),
            (f"/t/app/echo?x_access_token={TOKEN}", (), 403),
            (f"/t/app/echo?access_token={TOKEN[:-1]}", (), 403),
            ("/t/app/echo", ("Authorization: Bearer " + TOKEN,), 403),
            ("/t/app/echo", (FIELD,), 200),
            (f"/t/app/echo?access_token={TOKEN}", (), 200),
            (f"/t/app/echo?a=1&access_token={TOKEN}&b=2", (), 200),
            (f"/t/app/echo?access%5Ftoken={TOKEN.replace('-', '%2D')}", (), 200),
        ):
            answer = await self.ask(path, *fields, host=ELSEWHERE)
            self.assertEqual(answer.status, status, (path, fields))
            if status == 403:
                self.assertNotIn(TOKEN.encode(), answer.body)
                self.assertIsNotNone(answer.header(b"x-proxer-request-id"))
        self.assertEqual(self.tunnel().meter.request_count, 14)
        self.assertEqual(session.opened, 1)

    async def test_upgrades(self) -> None:
        """WebSockets are guarded as everything is."""
        session = self.publish("app", token=TOKEN)
        answer = await self.ask("/t/app/ws", *UPGRADE, host=ELSEWHERE)
        self.assertEqual((answer.status, session.opened), (403, 0))

    async def test_a_visitors_token_seen_by_the_app(self) -> None:
        """It never is: neither the field, nor the parameter, nor the cookie, nor the Referer of a
        page that was opened with it; whether the tunnel has a token, or none."""
        for token in (TOKEN, None):
            self.publish("app", token=token)
            answer = await self.ask(f"/t/app/echo?access_token={TOKEN}", host=ELSEWHERE)
            cookie = (answer.header(b"set-cookie") or b"aluvia_tunnel_app=x").partition(b";")[0]
            got = await self.echo(
                f"/t/app/echo?a=1&access_token={TOKEN}&b=%20",
                FIELD,
                f"X_Proxer_Tunnel_Token: {TOKEN}",
                f"Referer: http://{ELSEWHERE}/t/app/?access_token={TOKEN}&c=1",
                f"Cookie: a=1; {cookie.decode()}; b=2",
                f"Cookie: {cookie.decode()}",
                host=ELSEWHERE,
            )
            self.assertEqual(got["target"], "/echo?a=1&b=%20")
            self.assertNotIn(TOKEN, json.dumps(got))
            self.assertNotIn("aluvia_tunnel", json.dumps(got))
            self.assertEqual(seen(got, "Cookie"), ["a=1; b=2"])
            self.assertEqual(seen(got, "Referer"), [f"http://{ELSEWHERE}/t/app/?c=1"])

    async def test_trailers(self) -> None:
        """Nor is it in a trailer."""
        self.publish("app", token=TOKEN)

        async def trailers(visit: Visit) -> None:
            _, fields = await visit.conversation.read_body()
            await visit.answer(200, [], repr(fields).encode())

        self.app.routes["/x"] = trailers
        client = await self.connect()
        head = f"POST /t/app/x HTTP/1.1\r\nHost: {ELSEWHERE}\r\n{FIELD}\r\n"
        body = f"3\r\nabc\r\n0\r\n{FIELD}\r\nX-Sum: 1\r\n\r\n"
        await client.send(f"{head}Transfer-Encoding: chunked\r\n\r\n{body}".encode())
        answer = await read_response(client)
        self.assertIn(b"x-sum", answer.body.lower())
        self.assertNotIn(TOKEN.encode(), answer.body)

    async def test_a_browser(self) -> None:
        """A page that was opened with the token has its parts by a cookie, which is not the token,
        and is for that tunnel alone, as long as it has that token."""
        self.publish("app", token=TOKEN)
        self.publish("other", token=TOKEN, instance="instance-2")
        self.answering(("Set-Cookie", "own=1; Path=/"))
        answer = await self.ask(f"/t/app/x?access_token={TOKEN}", host=ELSEWHERE)
        own, ours = [value for name, value in answer.headers if name == b"set-cookie"]
        self.assertEqual(own, b"own=1; Path=/t/app/")
        cookie, _, attributes = ours.partition(b"; ")
        self.assertEqual(attributes, b"Path=/t/app; HttpOnly; SameSite=Lax")
        self.assertNotIn(TOKEN.encode(), ours)
        shown = f"Cookie: own=1; {cookie.decode()}"
        answer = await self.ask("/t/app/x", shown, host=ELSEWHERE)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.header(b"set-cookie"), b"own=1; Path=/t/app/")
        for path in ("/t/other/x", "/t/app/x"):
            wrong = shown.replace("_app=", "_other=")
            self.assertEqual((await self.ask(path, wrong, host=ELSEWHERE)).status, 403)
        self.publish("app", token="another")
        self.assertEqual((await self.ask("/t/app/x", shown, host=ELSEWHERE)).status, 403)

    async def test_by_a_route(self) -> None:
        """The agent's owner has asked for it, so it holds on a route, too; behind the route's own
        authentication. A cookie is for all of that host."""
        self.publish("app", token=TOKEN)
        self.route(tunnel_backend())
        self.assertEqual((await self.ask("/echo")).status, 403)
        got = await self.echo("/echo?b=1", FIELD)
        self.assertNotIn(TOKEN, json.dumps(got))
        answer = await self.ask(f"/echo?access_token={TOKEN}&a=1")
        self.assertEqual(json.loads(answer.body)["target"], "/echo?a=1")
        self.assertIn(b"; Path=/; ", answer.header(b"set-cookie") or b"")

    async def test_mixed_backends(self) -> None:
        """Of a route that has other backends, too, those see no visitor's token either."""
        self.publish("app")
        self.route(backend(self.app))
        self.assertIn(TOKEN, json.dumps(await self.echo("/echo", FIELD)))
        self.route(backend(self.app), tunnel_backend(), id="r")
        for _ in range(4):
            self.assertNotIn(TOKEN, json.dumps(await self.echo("/echo", FIELD)))
        self.assertEqual(self.tunnel().meter.request_count, 2)

    async def test_every_log(self) -> None:
        """No log has it: not the access log, not the events, not the statistics."""
        place = Path(self.mktemp()).absolute()
        self.open(access_log=place)
        told: list[object] = []
        self.edge.bus.subscribe("request.completed", told.append)
        self.publish("app", token=TOKEN)
        for path in ("/t/app/echo", "/t/none/", "/t/app", "/x"):
            await self.ask(f"{path}?access_token={TOKEN}&a=1", FIELD, host=ELSEWHERE)
            await self.ask(f"{path}?access_token={TOKEN}x", host=ELSEWHERE)
        assert self.edge.proxy.access_log is not None
        self.edge.proxy.access_log.flush()
        lines = place.read_text()
        self.assertEqual(len(lines.splitlines()), 8)
        self.assertIn('"target":"/t/app/echo?"', lines)
        self.assertIn('"route":"tunnel:app"', lines)
        self.assertNotIn(TOKEN, lines + repr(told))
        self.assertEqual(len(told), 8)


class ProviderTests(TunnelCase):
    """--tunnel-auth-provider."""

    async def test_basic(self) -> None:
        """Visitors without a route are asked by it, and by the token besides."""
        self.open(tunnel_auth_provider="people")
        self.publish("app")
        self.assertEqual((await self.ask("/t/app/echo", host=ELSEWHERE)).status, 503)
        users = (("alice", hash_password("open")),)
        self.use(providers={"people": BasicProvider(id="people", users=users)})
        answer = await self.ask("/t/app/echo", host=ELSEWHERE)
        self.assertEqual(answer.status, 401)
        self.assertIsNotNone(answer.header(b"x-proxer-request-id"))
        alice = "Authorization: Basic YWxpY2U6b3Blbg=="
        self.assertEqual((await self.ask("/t/app/echo", alice, host=ELSEWHERE)).status, 200)
        self.publish("app", token=TOKEN)
        self.assertEqual((await self.ask("/t/app/echo", alice, host=ELSEWHERE)).status, 403)
        self.assertEqual((await self.ask("/t/app/echo", alice, FIELD, host=ELSEWHERE)).status, 200)
        self.assertEqual((await self.ask("/t/app/echo", FIELD, host=ELSEWHERE)).status, 401)
        self.use(providers={})
        self.assertEqual((await self.ask("/t/app/echo", alice, FIELD, host=ELSEWHERE)).status, 503)

    async def test_by_a_route(self) -> None:
        """A route's own settings govern there."""
        self.open(tunnel_auth_provider="people")
        self.publish("app")
        self.route(tunnel_backend())
        self.assertEqual((await self.ask("/echo", host=HOST)).status, 200)
