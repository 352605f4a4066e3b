"""Chromium looks at the page of an edge's tunnels, which real agents have opened."""

from __future__ import annotations

import json
import typing
import urllib.request

from twisted.internet.threads import blockingCallFromThread

from tests.agent_keys import AGENT_KEY
from tests.agent_process import AgentProcess, agent_environment
from tests.aluvia_process import reactor, until
from tests.edge_process import TOKEN
from tests.peers.edge import Edge
from tests.peers.edge_chromium import ChromiumCase
from tests.peers.test_edge_browser import PATIENCE, contrast

#: What an agent may call itself.
HOSTILE = "<img src=x onerror=document.title='taken'>\"'><script>"

#: The colours that are seen, where one lies on the other, and whether all fits.
LOOKS = """() => {
    const style = (selector) => getComputedStyle(document.querySelector(selector));
    const paper = style("body").backgroundColor;
    const context = document.createElement("canvas").getContext("2d",
        {willReadFrequently: true});
    const seen = (color) => {
        for (const each of [paper, color]) {
            context.fillStyle = each;
            context.fillRect(0, 0, 1, 1);
        }
        return `rgb(${[...context.getImageData(0, 0, 1, 1).data.slice(0, 3)]})`;
    };
    return {paper: seen(paper),
            inks: ["body", ".faint", ".good", ".bad", "a"].map((each) => seen(style(each).color)),
            fits: document.documentElement.scrollWidth <= innerWidth};
}"""


class EdgeTunnelsTests(ChromiumCase):
    """``/tunnels`` of an edge with a hub and agents."""

    async def start(self) -> Edge:
        """Start an edge with a hub, and a key for agents."""
        await self.start_chromium()
        edge = await self.edge("--hub", "127.0.0.1:0")
        ran = await self.run_command(*AGENT_KEY, "add", "k", "--json", "--db", str(edge.db))
        self.assertEqual(ran.status, 0, ran)
        self.key = json.loads(ran.stdout)["key"]
        self.page = f"{edge.ports['api_url']}/tunnels"
        return edge

    async def publish(self, edge: Edge, *publish: str, id: str = "home") -> AgentProcess:
        """Start an agent, and wait until the hub has it."""
        words = [word for each in publish for word in ("--publish", each)]
        hub = f"ws://127.0.0.1:{edge.ports['hub']}"
        environment = agent_environment(ALUVIA_AGENT_KEY=self.key)
        agent = AgentProcess("--hub", hub, "--id", id, *words, environment=environment)
        self.addCleanup(self.end, agent)
        await agent.ready()
        await until(lambda: agent.online, 20, "the agent is there")
        return agent

    async def end(self, agent: AgentProcess) -> None:
        """It has told no secret."""
        agent.kill()
        await agent.wait()
        self.assertNotIn(self.key, agent.output)

    def sign_in(self, page: typing.Any, token: str = TOKEN) -> None:
        """Give the token."""
        page.fill("#token", token)
        page.click("#show")

    async def test_it_is_live(self) -> None:
        """
        A wrong token is told; with the right one there is the table, and a request through a
        tunnel, or the end of its agent, shows by itself. The page of the API needs no token again,
        until it is forgotten. The policy finds nothing to forbid.
        """
        edge = await self.start()
        app = self.origin()
        agent = await self.publish(edge, f"app=http://127.0.0.1:{app.port}")

        def look(page: typing.Any, answer: typing.Any) -> typing.Any:
            facts = {"policy": answer.headers["content-security-policy"]}
            facts["before"] = page.locator("table").count()
            self.sign_in(page, "another-token-of-some-length")
            page.get_by_text("That is not the token.").wait_for(timeout=PATIENCE)
            self.sign_in(page)
            row = page.locator("#tunnel-app")
            row.get_by_text("Online").wait_for(timeout=PATIENCE)
            requests = row.locator("[data-name=Requests]")
            facts["requests"] = [requests.inner_text()]
            with urllib.request.urlopen(f"{edge.url}/t/app/echo", timeout=20) as visit:
                visit.read()
            requests.get_by_text("1", exact=True).wait_for(timeout=PATIENCE)
            facts["last"] = row.locator("[data-name='Last answer']").inner_text()
            blockingCallFromThread(reactor, agent.kill)
            row.get_by_text("Offline").wait_for(timeout=PATIENCE)
            facts["agents"] = row.locator("[data-name=Agents]").inner_text()
            page.click("nav >> text=API")
            page.locator("#operations details").first.wait_for(timeout=PATIENCE)
            page.click("nav >> text=Tunnels")
            row.wait_for(timeout=PATIENCE)
            facts["kept"] = page.evaluate("[document.cookie, Object.keys(localStorage).length]")
            page.click("#forget")
            page.wait_for_function("!document.querySelector('table')", timeout=PATIENCE)
            facts["after"] = [page.input_value("#token"), page.evaluate("sessionStorage.length")]
            return facts

        seen = await self.see(self.page, look)
        self.assertEqual((seen.status, seen.error, seen.complaints), (200, "", []))
        facts = seen.facts
        self.assertIn("default-src 'none'", facts["policy"])
        self.assertEqual((facts["before"], facts["requests"]), (0, ["0"]))
        self.assertTrue(facts["last"].startswith("200"), facts["last"])
        self.assertEqual(
            (facts["agents"], facts["kept"], facts["after"]), ("none", ["", 0], ["", 0])
        )

    async def test_an_edge_that_is_gone(self) -> None:
        """What is shown stays there, and is said to be old."""
        edge = await self.start()
        await self.publish(edge, f"app=http://127.0.0.1:{self.origin().port}")

        def look(page: typing.Any, answer: typing.Any) -> typing.Any:
            self.sign_in(page)
            page.locator("#tunnel-app").wait_for(timeout=PATIENCE)
            blockingCallFromThread(reactor, edge.kill)
            page.get_by_text("The edge does not answer.").wait_for(timeout=PATIENCE)
            return page.locator("#shown.stale #tunnel-app").count()

        self.assertEqual((await self.see(self.page, look)).facts, 1)

    async def test_hostile_agents(self) -> None:
        """What an agent calls itself is text, with a script and without."""
        edge = await self.start()
        await self.publish(edge, f"app=http://127.0.0.1:{self.origin().port}", id=HOSTILE)

        def look(page: typing.Any, answer: typing.Any) -> typing.Any:
            self.sign_in(page)
            page.locator("#tunnel-app").wait_for(timeout=PATIENCE)
            # Again, as its script puts it there.
            page.wait_for_timeout(4_000)
            text = page.locator("#tunnel-app [data-name=Agents]").inner_text()
            return [text.partition("\n")[0], page.locator("img, td script").count()]

        for scripts in (True, False):
            seen = await self.see(self.page, look, java_script_enabled=scripts)
            self.assertEqual((seen.facts, seen.complaints), ([HOSTILE, 0], []))
            self.assertTrue(seen.title.startswith("Tunnels"))

    async def test_looks(self) -> None:
        """Light, dark, on a telephone and without a script it can be read, and fits."""
        edge = await self.start()
        app = self.origin()
        await self.publish(
            edge,
            *(f"{id}=http://127.0.0.1:{app.port}" for id in ("app", "shop-" + "x" * 58)),
            "down=http://127.0.0.1:9",
        )
        await self.publish(edge, f"web=http://127.0.0.1:{app.port}", id="y" * 128)

        def look(page: typing.Any, answer: typing.Any) -> typing.Any:
            self.sign_in(page)
            page.locator("#tunnel-down").get_by_text("app is down").wait_for(timeout=PATIENCE)
            names = page.get_by_role("columnheader").all_inner_texts()
            return {**page.evaluate(LOOKS), "names": names}

        papers = set()
        for scheme, width in (("light", 1300), ("dark", 1300), ("light", 360), ("dark", 360)):
            show = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
            seen = await self.see(self.page, look, **show)
            self.assertEqual((seen.error, seen.complaints), ("", []))
            facts = seen.facts
            papers.add(facts["paper"])
            self.assertTrue(facts["fits"], show)
            self.assertEqual(len(facts["names"]), 10)
            for ink in facts["inks"]:
                self.assertGreater(contrast(facts["paper"], ink), 4.5, show)
        self.assertEqual(len(papers), 2)
