"""Tests for :mod:`aluvia.edge.tunnel_page` and :mod:`aluvia.edge.tunnel_rows`."""

from __future__ import annotations

import html.parser

from aluvia.api.test.site_case import Reply
from aluvia.edge.page_files import FORM
from aluvia.edge.slices import BATCH
from aluvia.edge.test.fake_hub import NOW
from aluvia.edge.test.rest_case import TOKEN, RestCase
from aluvia.edge.tunnel_page import MOST_ROWS, SIGN_IN_BYTES

PLACE = "/tunnels"

#: What an agent may call itself, and would be if nobody looked.
HOSTILE = "<img src=x onerror=alert(1)>'\"&amp;<!--rows--></td>\u202e"


class Rows(html.parser.HTMLParser):
    """The text of each cell, by its column, of each row."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: dict[str, dict[str, str]] = {}
        self.elements: list[str] = []
        self._row = self._column = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note where we are."""
        given = dict(attrs)
        self.elements.append(tag)
        if tag == "tr":
            self._row, self._column = given.get("id") or "", ""
        elif tag in ("td", "th"):
            self._column = given.get("data-name") or "Tunnel"

    def handle_endtag(self, tag: str) -> None:
        """Behind a row there is none."""
        if tag == "tr":
            self._row = ""

    def handle_data(self, data: str) -> None:
        """Note what stands there."""
        if self._row:
            row = self.rows.setdefault(self._row.removeprefix("tunnel-"), {})
            row[self._column] = row.get(self._column, "") + data


class TunnelPageTests(RestCase):
    """A page over the tunnels of a hub."""

    async def setUp(self) -> None:  # type: ignore[override]
        """The API's clock shows what the hub's does."""
        await super().setUp()
        self.clock.advance(NOW - self.clock.seconds())
        self.hub = self.observed.hub

    async def shown(self, target: str = PLACE) -> Rows:
        """What is on the page, for who has the token."""
        return Rows((await self.get(target)).body.decode())

    async def send(self, form: str, *fields: str) -> Reply:
        """Send the form, without a token in the head."""
        fields = fields or (f"Content-Type: {FORM}",)
        return await self.ask("POST", PLACE, *fields, body=form.encode(), token=None)

    async def test_without_a_token(self) -> None:
        """A form, and nothing of any tunnel; nothing in it runs but its own script."""
        self.hub.publish("secret-project")
        reply = await self.ask("GET", PLACE, token=None)
        self.assertEqual(reply.status, 200)
        self.assertNotIn(b"secret-project", reply.body)
        self.assertNotIn(b"<table", reply.body)
        self.assertIn(b'method="post"', reply.body)
        policy = reply.fields["content-security-policy"]
        for part in ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'"):
            self.assertIn(part, policy)
        self.assertNotIn("unsafe", policy)
        for name, value in (
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ):
            self.assertEqual(reply.fields[name], value)
        self.assertNotIn("set-cookie", reply.fields)

    async def test_wrong_token(self) -> None:
        """401: a problem for the script, and the form again for who sent it."""
        self.hub.publish("secret-project")
        reply = await self.ask("GET", PLACE, token="another-token-of-some-length")
        self.assert_problem(reply, 401, "token_invalid")
        for form in ("", "token=", "token=another", "find=secret", f"TOKEN={TOKEN}"):
            reply = await self.send(form)
            self.assertEqual(reply.status, 401, form)
            self.assertIn(b"That is not the token.", reply.body)
            self.assertTrue(reply.fields["www-authenticate"].startswith("Bearer"))
            self.assertNotIn(b"secret-project", reply.body)

    async def test_the_form(self) -> None:
        """The table comes without a script, and the token is nowhere in it."""
        self.hub.publish("app", "web")
        reply = await self.send(f"token={TOKEN}&find=ap")
        self.assertEqual([*Rows(reply.body.decode()).rows], ["app"])
        self.assertNotIn(TOKEN.encode(), reply.body)
        self.assertNotIn("set-cookie", reply.fields)

    async def test_bad_forms(self) -> None:
        """Of strangers nothing else is taken, and not much of it."""
        self.assert_problem(await self.send("token=%ff"), 400, "bad_query")
        reply = await self.send("{}", "Content-Type: application/json")
        self.assert_problem(reply, 415, "unsupported_media_type")
        reply = await self.send("token=" + "x" * SIGN_IN_BYTES)
        self.assert_problem(reply, 413, "body_too_long")
        reply = await self.ask("GET", f"{PLACE}?token={TOKEN}", token=None)
        self.assert_problem(reply, 400, "unknown_parameter")

    async def test_figures(self) -> None:
        """Each is there, in units that can be read."""
        session = self.hub.publish("app", agent_id="home")
        meter = self.hub.registry.tunnels["app"].meter
        meter.streams_open = 3
        for seconds in (0.010, 0.020, 0.600):
            meter.record(200, seconds, 1_500, 2_000_000, ok=True, now=NOW - 61)
        meter.record(502, 0.010, 0, 0, ok=True, now=NOW - 60)
        session.since = NOW - 3_600
        row = (await self.shown()).rows["app"]
        self.assertEqual(
            row,
            {
                "Tunnel": "app HTTP/t/app/",
                "State": "Onlineapp not tried yetknown for 0.0 s",
                "Agents": "homeWebSockethere for 1 h 0 minheard of 1 h 0 min ago",
                "Requests": "4",
                "Errors": "1",
                "In": "4.5 kB",
                "Out": "6.0 MB",
                "Latency": "avg 160 msp50 10.0 msp90 600 msp99 600 ms",
                "Last answer": "5021 min 0 s ago",
                "Open": "3",
            },
        )

    async def test_states(self) -> None:
        """They are words, and not colours alone."""
        session = self.hub.publish("up", "down")
        pool = self.hub.publish("pool", carrier="longpoll", group="g")
        self.hub.publish("pool", agent_id="other", group="g")
        self.hub.registry.withdraw(self.hub.publish("gone"))
        pool.draining = True
        for id, up in (("up", True), ("down", False)):
            offer = self.hub.registry.offer(session, id)
            assert offer is not None
            offer.up, offer.why_down = up, "" if up else "connection refused"
        rows = (await self.shown()).rows
        self.assertIn("Onlineapp is up", rows["up"]["State"])
        self.assertIn("Onlineapp is downconnection refused", rows["down"]["State"])
        self.assertTrue(rows["gone"]["State"].startswith("Offlineknown for"))
        self.assertEqual(rows["gone"]["Agents"], "none")
        self.assertEqual(rows["gone"]["Last answer"], "–")
        self.assertIn("long-polling, draining", rows["pool"]["Agents"])
        self.assertIn("otherWebSocket", rows["pool"]["Agents"])

    async def test_hostile_agents(self) -> None:
        """Whatever an agent, or who looks for it, says is text, on one line."""
        session = self.hub.publish("app", agent_id=HOSTILE)
        self.hub.publish("web")
        offer = self.hub.registry.offer(session, "app")
        assert offer is not None
        offer.up, offer.why_down = False, HOSTILE
        shown = await self.shown()
        escaped = HOSTILE.replace("\u202e", "\\u202e")
        self.assertIn(escaped, shown.rows["app"]["Agents"])
        self.assertIn(escaped, shown.rows["app"]["State"])
        self.assertEqual([*shown.rows], ["app", "web"])
        self.assertNotIn("img", shown.elements)
        for find in ("%3Cimg", "%22%3E%3Cimg%20src=x%3E", "%3C!--rows--%3E"):
            shown = await self.shown(f"{PLACE}?find={find}")
            self.assertNotIn("img", shown.elements)
            self.assertLessEqual(len(shown.rows), 1)

    async def test_nothing_to_show(self) -> None:
        """It is said why."""
        for target, said in (
            (PLACE, "No agent has opened a tunnel"),
            (f"{PLACE}?find=x", "Nothing has “x” in it."),
        ):
            self.assertIn(said, (await self.get(target)).body.decode())
        self.observed.tunnels._hub = None
        reply = await self.get(PLACE)
        self.assertIn(b"<code>--hub</code>", reply.body)

    async def test_ten_thousand_tunnels_do_not_hold_the_reactor(self) -> None:
        """Some are shown, a few in each turn; the others can be found."""
        for number in range(100):
            self.hub.publish(*(f"t{number}-{each}" for each in range(100)))
        slices = self.count_slices()
        page = (await self.get(PLACE)).body.decode()
        self.assertGreaterEqual(len(slices), MOST_ROWS // BATCH)
        self.assertEqual(len(Rows(page).rows), MOST_ROWS)
        self.assertIn("10,000 tunnels, 10,000 online", page)
        self.assertIn("9,900 more", page)
        self.assertEqual([*(await self.shown(f"{PLACE}?find=T99-98")).rows], ["t99-98"])

    async def test_table(self) -> None:
        """Its heads say what they are of, for who only hears it."""
        self.hub.publish("app")
        page = (await self.get(PLACE)).body.decode()
        self.assertEqual(page.count('scope="col"'), 10)
        self.assertEqual(page.count('scope="row"'), 1)
        self.assertIn("<caption>", page)
