"""Tests for :mod:`aluvia.edge.tunnels`: which tunnel a request is for, and what its app gets."""

from __future__ import annotations

import json

from aluvia.edge import tunnels
from aluvia.edge.test.edge_case import HOST, backend, seen
from aluvia.edge.test.tunnel_case import ELSEWHERE, REFUSED, TunnelCase


class PathTests(TunnelCase):
    """By /t/ID/."""

    async def test_the_app(self) -> None:
        """The app gets the path without the prefix, and is told the prefix and the visitor."""
        self.publish("app")
        got = await self.echo("/t/app/echo?a=1", "X-Forwarded-Prefix: /mine", host=ELSEWHERE)
        self.assertEqual(got["target"], "/echo?a=1")
        self.assertEqual(seen(got, "X-Forwarded-Prefix"), ["/t/app"])
        self.assertEqual(seen(got, "X-Forwarded-Host"), [ELSEWHERE])
        self.assertEqual(seen(got, "Host"), [ELSEWHERE])
        self.assertEqual(seen(got, "X-Forwarded-For"), ["127.0.0.1"])

    async def test_either_case(self) -> None:
        """An id is the same in either case; the prefix is as its visitor spells it."""
        self.publish("app")
        got = await self.echo("/t/APP/echo", host=ELSEWHERE)
        self.assertEqual(seen(got, "X-Forwarded-Prefix"), ["/t/APP"])

    async def test_without_the_slash(self) -> None:
        """It is sent to the slash, with its query; what is no tunnel is not."""
        self.publish("app")
        answer = await self.ask("/t/app?a=1", host=ELSEWHERE)
        self.assertEqual((answer.status, answer.header(b"location")), (308, b"/t/app/?a=1"))
        self.assertEqual((await self.ask("/t/none", host=ELSEWHERE)).status, 404)

    async def test_a_vhosts_own(self) -> None:
        """A vhost's own /t/ is never taken, not even where no prefix of it is for that."""
        self.publish("app")
        self.route(backend(self.app), path_prefix="/a")
        self.assertEqual((await self.ask("/t/app/echo")).status, 404)
        self.route(backend(self.app))
        self.assertEqual((await self.ask("/t/app/echo")).status, 200)
        self.assertEqual(self.tunnel().meter.request_count, 0)

    async def test_a_route_for_every_host(self) -> None:
        """Such a route takes /t/ too: every host is its."""
        self.publish("app")
        self.route(backend(self.app), v_host="*")
        self.assertEqual((await self.ask("/t/app/echo", host=ELSEWHERE)).status, 200)
        self.assertEqual(self.tunnel().meter.request_count, 0)

    async def test_off(self) -> None:
        """--tunnel-paths off leaves /t/ alone."""
        self.open(tunnel_paths=False)
        self.publish("app")
        self.assertEqual((await self.ask("/t/app/echo", host=ELSEWHERE)).status, 404)

    async def test_odd_spellings(self) -> None:
        """An odd spelling of a path never gets past a tunnel's token: it is no tunnel's, or stays
        within the one that it begins with."""
        self.publish("app", token="secret")
        open_one = self.publish("open", instance="instance-2")
        for path in (
            "/t/%61pp/echo",
            "/%74/app/echo",
            "//t/app/echo",
            "/./t/app/echo",
            "/t//app/echo",
            "/t/./app/echo",
            "/t/app%2fecho",
            "/t/app;x/echo",
            "/t\\app\\echo",
            "/t/app%00/echo",
            "/T/app/echo",
            "/x/../t/app/echo",
        ):
            self.assertEqual((await self.ask(path, host=ELSEWHERE)).status, 404, path)
        self.assertEqual(open_one.opened, 0)
        for path in ("/t/open/../app/echo", "/t/open/%2e%2e/app/echo", "/t/open//t/app/echo"):
            await self.ask(path, host=ELSEWHERE)
        self.assertEqual(self.tunnel("app").meter.request_count, 0)
        self.assertEqual(self.tunnel("open").meter.request_count, 3)

    async def test_many(self) -> None:
        """Of many tunnels the one that was visited the longest ago makes room."""
        self.patch(tunnels, "MOST_ROUTES", 2)
        self.publish("a", "b", "c")
        for id in ("a", "b", "a", "c", "b", "a"):
            self.assertEqual((await self.ask(f"/t/{id}/echo", host=ELSEWHERE)).status, 200)
        assert self.edge.proxy.tunnels is not None
        self.assertEqual([*self.edge.proxy.tunnels._routes], ["b", "a"])
        self.assertEqual(self.tunnel("a").meter.request_count, 3)


class DomainTests(TunnelCase):
    """By ID.DOMAIN."""

    async def test_the_app(self) -> None:
        """All paths are the app's, /t/ among them; there is no prefix."""
        self.open(tunnel_domain="tunnels.test")
        self.publish("app")
        got = await self.echo("/echo", host="App.Tunnels.test.:80")
        self.assertEqual((got["target"], seen(got, "X-Forwarded-Prefix")), ("/echo", []))
        await self.ask("/t/app/echo", host="app.tunnels.test")
        self.assertEqual(self.tunnel().meter.request_count, 2)

    async def test_order(self) -> None:
        """An exact vhost wins over a tunnel, and a tunnel over a wildcard and over any host."""
        self.open(tunnel_domain="tunnels.test")
        self.publish("app", "www")
        for v_host, by_tunnel in {
            "app.tunnels.test": 0,
            "*.tunnels.test": 1,
            "*.test": 1,
            "*": 1,
        }.items():
            before = self.tunnel().meter.request_count
            self.route(backend(self.app), v_host=v_host)
            self.assertEqual((await self.ask("/echo", host="app.tunnels.test")).status, 200)
            self.assertEqual(self.tunnel().meter.request_count - before, by_tunnel, v_host)

    async def test_no_tunnel(self) -> None:
        """A name below it is a tunnel's, also of one that there is not; a deeper one is not."""
        self.open(tunnel_domain="tunnels.test")
        self.route(backend(self.app), v_host="*.tunnels.test")
        for host, status in {
            "none.tunnels.test": 404,
            "-.tunnels.test": 404,
            "a.b.tunnels.test": 200,
        }.items():
            self.assertEqual((await self.ask("/echo", host=host)).status, status, host)

    async def test_without_a_hub(self) -> None:
        """Where there is no hub there is nothing of it."""
        super(TunnelCase, self).open()
        self.assertEqual((await self.ask("/t/app/", host=ELSEWHERE)).status, 404)


class CauseTests(TunnelCase):
    """Answers name the cause, and the request."""

    async def test_causes(self) -> None:
        """404, 502 and 502 are three things; each answer has the request's id under both names."""
        self.publish("app")
        self.publish("down", to=REFUSED, instance="instance-2")
        late = type(REFUSED)("connection_timeout", 504, "It took too long.")
        self.publish("late", to=late, instance="instance-3")
        gone = self.publish("gone", instance="instance-4")
        self.registry.withdraw(gone)
        self.publish("tcp", kind="tcp", instance="instance-5")
        self.name_ids("named")
        for id, status, error in (
            ("none", 404, "destination_not_found"),
            ("named", 502, "destination_unavailable"),
            ("gone", 502, "destination_unavailable"),
            ("down", 502, "connection_refused"),
            ("late", 504, "connection_timeout"),
            ("tcp", 404, "destination_not_found"),
        ):
            answer = await self.ask(f"/t/{id}/echo", "X-Request-ID: mine", host=ELSEWHERE)
            self.assertEqual(answer.status, status, id)
            problem = json.loads(answer.body)
            self.assertEqual((problem["error"], problem["requestId"]), (error, "mine"), id)
            self.assertIn(b"error=" + error.encode(), answer.header(b"proxy-status") or b"", id)
            self.assertEqual(answer.header(b"x-proxer-request-id"), b"mine", id)
        self.assertIn("TCP", problem["detail"])

    async def test_for_people(self) -> None:
        """A browser gets a page in words that its reader knows."""
        self.publish("down", to=REFUSED)
        answer = await self.ask("/t/down/", "Accept: text/html", host=ELSEWHERE)
        self.assertEqual(answer.header(b"content-type"), b"text/html; charset=utf-8")
        self.assertIn(b"what it publishes does not run", answer.body)

    async def test_the_apps_own_answers(self) -> None:
        """Those of the app have the id, too; what the app says under the name does not count."""
        self.publish("app")
        self.answering(("X-Proxer-Request-ID", "lies"))
        answer = await self.ask("/t/app/x", "X-Request-ID: mine", host=ELSEWHERE)
        values = [value for name, value in answer.headers if name.lower() == b"x-proxer-request-id"]
        self.assertEqual(values, [b"mine"])

    async def test_offline_and_back(self) -> None:
        """Offline it is 502 at once, as often as it is asked; the agent's return is served at
        once."""
        session = self.publish("app")
        self.assertEqual((await self.ask("/t/app/echo", host=ELSEWHERE)).status, 200)
        self.registry.withdraw(session)
        self.edge.idle.close_all()
        for _ in range(5):
            self.assertEqual((await self.ask("/t/app/echo", host=ELSEWHERE)).status, 502)
        self.publish("app")
        for _ in range(5):
            self.assertEqual((await self.ask("/t/app/echo", host=ELSEWHERE)).status, 200)

    async def test_no_such_host(self) -> None:
        """What is about no tunnel is answered as it ever was."""
        self.publish("app")
        answer = await self.ask("/", host=ELSEWHERE)
        self.assertEqual((answer.status, answer.header(b"x-proxer-request-id")), (404, None))
        self.assertEqual((await self.ask("/t", host=HOST)).status, 404)


class AnswerTests(TunnelCase):
    """In an answer."""

    async def test_by_path(self) -> None:
        """Redirects and cookies lead to where their app is; redirects are not followed."""
        self.publish("app")
        fields = (("Location", f"http://{ELSEWHERE}/a"), ("Set-Cookie", "a=1; Path=/"))
        self.answering(*fields, status=302)
        answer = await self.ask("/t/app/x", host=ELSEWHERE)
        self.assertEqual(answer.status, 302)
        self.assertEqual(answer.header(b"location"), b"http://%b/t/app/a" % ELSEWHERE.encode())
        self.assertEqual(answer.header(b"set-cookie"), b"a=1; Path=/t/app/")

    async def test_by_name(self) -> None:
        """A tunnel that has a host of its own is left alone."""
        self.open(tunnel_domain="tunnels.test")
        self.publish("app")
        self.answering(("Location", "/a"), ("Set-Cookie", "a=1; Path=/"), status=302)
        answer = await self.ask("/x", host="app.tunnels.test")
        self.assertEqual(answer.header(b"location"), b"/a")
        self.assertEqual(answer.header(b"set-cookie"), b"a=1; Path=/")

    async def test_compressed(self) -> None:
        """A compressed body passes untouched."""
        self.publish("app")
        self.answering(("Content-Encoding", "gzip"))
        answer = await self.ask("/t/app/x", "Accept-Encoding: gzip", host=ELSEWHERE)
        self.assertEqual((answer.body, answer.header(b"content-encoding")), (b"said", b"gzip"))
