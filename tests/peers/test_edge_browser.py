"""Chromium in front of the edge: a site over https, the edge's own pages, and its API's."""

from __future__ import annotations

import json
import typing

from tests.edge_process import BASE, TOKEN
from tests.peers.edge import HOST, Edge
from tests.peers.edge_chromium import ChromiumCase, Seen
from tests.peers.edge_node import chunked_text

#: How long a page may take for what it does; milliseconds.
PATIENCE = 20_000

#: The background and the text of a page, and whether it fits.
PAPER = """() => {
    const style = getComputedStyle(document.body);
    const faint = getComputedStyle(document.querySelector("p"));
    return [style.backgroundColor, style.color, faint.color,
            document.documentElement.scrollWidth <= innerWidth];
}"""


def brightness(color: str) -> float:
    """The relative luminance of ``rgb(1, 2, 3)`` (WCAG 2)."""
    parts = [int(part) / 255 for part in color.strip("rgb()").split(",")]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Of two colours (WCAG 2); 4.5 and more can be read."""
    light, dark = sorted((brightness(one), brightness(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


class EdgeSiteTests(ChromiumCase):
    """A site of Node's, with a certificate of our authority."""

    async def start(self, *certified: str, **more: object) -> Edge:
        """Start all."""
        await self.start_chromium()
        port = await self.start_node()
        edge = await self.edge()
        await edge.route(HOST, port, **more)
        for name in certified:
            await self.certify(edge, name)
        return edge

    def assert_whole(self, seen: Seen) -> None:
        """What the page has done came to what it should."""
        self.assertEqual((seen.complaints, seen.error), ([], ""))
        facts = seen.facts
        self.assertEqual((facts["posted"], facts["chunks"]), (True, len(chunked_text())))
        self.assertEqual(facts["spoken"], ["two", 250_000])
        # Four, and after they ended two more: it came again, and said what it had.
        self.assertEqual([each.split("event")[0] for each in facts["events"]], [*"123456"])

    def result(self, page: typing.Any, answer: typing.Any) -> typing.Any:
        """What the page has done, and what its connection was."""
        page.wait_for_function("window.result", timeout=PATIENCE)
        security = answer.security_details()
        return {**page.evaluate("window.result"), "security": security}

    async def test_a_site(self) -> None:
        """A page, fetch, a WebSocket and events over https; nothing is overlooked to get there."""
        edge = await self.start(HOST)
        seen = await self.see(f"https://{HOST}:{edge.https}/page", self.result)
        self.assert_whole(seen)
        self.assertEqual(seen.facts["security"]["protocol"], "TLS 1.3")

    async def test_a_site_behind_a_password(self) -> None:
        """Without it there is a 401, also for what the page asks for; with it all of it works."""
        users = [{"name": "alice", "password": "correct horse"}]
        edge = await self.start(HOST)
        await edge.change("POST", "/auth-providers", {"type": "basic", "id": "b", "users": users})
        await edge.change("PATCH", f"/routes/{HOST}", {"authProvider": "b"})
        url = f"https://{HOST}:{edge.https}/page"
        credentials = {"username": "alice", "password": "correct horse"}
        right, wrong = await self.see_all(
            (url, self.result, {"http_credentials": credentials}),
            (url, "null", {"http_credentials": credentials | {"password": "other"}}),
        )
        self.assert_whole(right)
        self.assertIn(wrong.status or "ERR_INVALID_AUTH_CREDENTIALS" in wrong.error, (401, True))

    async def test_a_wrong_certificate(self) -> None:
        """The default one is for another name, and is refused; an upload later it is right."""
        edge = await self.start("other.example.com")
        url = f"https://{HOST}:{edge.https}/page"
        self.assertIn("ERR_CERT_COMMON_NAME_INVALID", (await self.see(url)).error)
        await self.certify(edge, HOST)
        self.assert_whole(await self.see(url, self.result))

    async def test_its_own_pages(self) -> None:
        """404 and 503: they can be read in light and dark, and on a telephone; without a word."""
        edge = await self.start("*.example.com", HOST)
        await edge.route("none.example.com")
        shows = (
            {"color_scheme": "light", "viewport": {"width": 1100, "height": 500}},
            {"color_scheme": "dark", "viewport": {"width": 360, "height": 500}},
        )
        for host, status in (("unknown.example.com", 404), ("none.example.com", 503)):
            url = f"https://{host}:{edge.https}/a?b=%3Cscript%3E"
            papers = set()
            for seen in await self.see_all(*((url, PAPER, show) for show in shows)):
                self.assertEqual((seen.status, seen.complaints), (status, []))
                self.assertTrue(seen.title.startswith(f"{status} "), seen.title)
                self.assertIn("Request", seen.text)
                paper, text, faint, fits = seen.facts
                papers.add(paper)
                self.assertTrue(fits)
                self.assertGreater(contrast(paper, text), 7)
                self.assertGreater(contrast(paper, faint), 4.5)
            self.assertEqual(len(papers), 2)


class EdgeViewerTests(ChromiumCase):
    """The API's description for people, at ``/api/v1/docs``."""

    async def test_viewer(self) -> None:
        """
        With the token it shows every operation; it asks, makes, and listens to events; and its
        policy finds nothing to forbid. Without the token it says so.
        """
        await self.start_chromium()
        edge = await self.edge()
        description = await edge.api.get("/openapi.json")
        count = sum(len(methods) for methods in description["paths"].values())

        def look(page: typing.Any, answer: typing.Any) -> typing.Any:
            facts = {"policy": answer.headers["content-security-policy"]}
            page.click("#load")
            page.locator("#state").filter(has_text="401: ").wait_for(timeout=PATIENCE)
            page.fill("#token", TOKEN)
            page.click("#load")
            page.locator("#operations details").first.wait_for(timeout=PATIENCE)
            facts["operations"] = page.locator("#operations details").count()

            def operation(method: str, path: str) -> typing.Any:
                return page.locator("#operations details").filter(
                    has=page.locator(f"summary code.{method}"),
                    has_text=path,
                )

            def ask(method: str, path: str, said: str) -> str:
                found = operation(method, path).first
                found.locator("summary").click()
                found.get_by_role("button", name="Send").click()
                output = found.locator("pre")
                output.filter(has_text=said).wait_for(timeout=PATIENCE)
                return str(output.inner_text())

            field = operation("post", f"{BASE}/routes").first.locator("textarea")
            route = {"vHost": HOST, "backends": [{"hostname": "127.0.0.1", "port": 9}]}
            operation("post", f"{BASE}/routes").first.locator("summary").click()
            field.fill(json.dumps(route))
            operation("post", f"{BASE}/routes").first.locator("summary").click()
            facts["made"] = ask("post", f"{BASE}/routes", "201 ")
            facts["shown"] = ask("get", f"{BASE}/routes", "200 ")
            ask("get", f"{BASE}/events", "200 ")
            events = operation("get", f"{BASE}/events").first
            events.get_by_role("button", name="Stop").click()
            events.locator("pre").filter(has_text="Stopped.").wait_for(timeout=PATIENCE)
            facts["fits"] = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            return facts

        for scheme, width in (("light", 1100), ("dark", 400)):
            viewport = {"width": width, "height": 800}
            url = f"{edge.api_url}/docs"
            seen = await self.see(url, look, color_scheme=scheme, viewport=viewport)
            self.assertEqual((seen.error, seen.complaints), ("", []))
            self.assertEqual((seen.status, seen.facts["operations"]), (200, count))
            self.assertIn("default-src 'none'", seen.facts["policy"])
            self.assertIn("ETag: ", seen.facts["made"])
            self.assertIn(HOST, seen.facts["shown"])
            self.assertTrue(seen.facts["fits"])
            await edge.change("DELETE", f"/routes/{HOST}")
