"""The admin port's page and its PAC file in a browser: Debian's Chromium, by Playwright."""

from __future__ import annotations

import typing

import attrs

from aluvia.client.admin import ADMIN_ADDRESS, admin_site
from aluvia.client.config import Snapshot
from aluvia.client.observed import LiveConnection
from aluvia.client.test.fake_observed import FakeObserved
from aluvia.net.parent import ParentProxy
from aluvia.rules import RuleSet
from tests.aluvia_process import reactor
from tests.peers.support import PeerCase, in_thread, need_module, need_program

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

HOSTILE = "</code><script>document.title='hit'</script><img src=x onerror=\"document.title='hit'\">"

#: Told to the console by a page that is about to break its policy.
LISTEN = """
document.addEventListener("securitypolicyviolation",
    (event) => console.error("violation", event.violatedDirective, event.blockedURI));
"""


@attrs.define
class Seen:
    """
    What a browser made of a page.

    :ivar complaints: errors on its console, scripts that failed, requests that did, violations of
        the policy.
    """

    status: int = 0
    complaints: list[str] = attrs.field(factory=list)
    title: str = ""
    text: str = ""
    facts: typing.Any = None


class BrowserCase(PeerCase):
    """Has a browser."""

    def setUp(self) -> None:
        """Look for it."""
        super().setUp()
        self.playwright = need_module("playwright.sync_api").sync_playwright
        self.chromium = need_program("chromium", "chromium")

    def show(self, observed: FakeObserved) -> str:
        """An admin port of its own for this client; its URL."""
        site = admin_site(observed, reactor)
        port = reactor.listenTCP(0, site, interface=ADMIN_ADDRESS)
        self.addCleanup(site.close)
        self.addCleanup(port.stopListening)
        return f"http://{ADMIN_ADDRESS}:{port.getHost().port}"

    async def see(
        self, url: str, script: str = "null", *, options: tuple[str, ...] = (), **context: object
    ) -> Seen:
        """
        Open a page, and look.

        :param script: an expression for :attr:`Seen.facts`.
        :param options: of the browser, besides those that keep it quiet.
        :param context: of Playwright, such as ``color_scheme``.
        """

        def look() -> Seen:
            seen = Seen()
            complain = seen.complaints.append
            with self.playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=self.chromium, args=[*QUIET, *options]
                )
                page = browser.new_context(**context).new_page()
                page.add_init_script(LISTEN)
                page.on(
                    "console",
                    lambda told: complain(told.text) if told.type in ("error", "warning") else None,
                )
                page.on("pageerror", lambda error: complain(str(error)))
                page.on("requestfailed", lambda request: complain(f"failed: {request.url}"))
                answer = page.goto(url)
                seen.status = answer.status
                seen.title = page.title()
                seen.text = page.inner_text("body")
                seen.facts = page.evaluate(script)
                browser.close()
            return seen

        return await in_thread(look)


class PageTests(BrowserCase):
    """``/``."""

    async def test_what_was_requested(self) -> None:
        """The page shows it, with its style, in both schemes and on a telephone, without a word."""
        origin = self.origin()
        proxy = await self.plain_proxy()
        await self.get(proxy, f"http://www.example.com:{origin.port}/")
        url = f"http://127.0.0.1:{proxy.ports['admin']}/"
        papers = set()
        for scheme, width in (("light", 1100), ("dark", 360)):
            seen = await self.see(
                url,
                "[getComputedStyle(document.body).backgroundColor,"
                " document.documentElement.scrollWidth <= innerWidth]",
                color_scheme=scheme,
                viewport={"width": width, "height": 800},
            )
            self.assertEqual(
                (200, [], "Ready · aluvia"), (seen.status, seen.complaints, seen.title)
            )
            for text in ("www.example.com", "gateway by *.example.com", proxy.url):
                self.assertIn(text, seen.text)
            self.assert_no_secret(seen.text)
            paper, fits = seen.facts
            papers.add(paper)
            self.assertTrue(fits)
        self.assertEqual(2, len(papers))
        self.assertNotIn("rgba(0, 0, 0, 0)", papers)

    async def test_explain(self) -> None:
        """The form asks which way a host goes, and the page says so."""
        proxy = await self.plain_proxy()
        url = f"http://localhost:{proxy.ports['admin']}/?host=www.example.com"
        seen = await self.see(
            url,
            "new Promise((resolve) => { const form = document.forms[0];"
            " form.addEventListener('submit', (event) => { event.preventDefault();"
            " resolve([form.method, form.action, new FormData(form).get('host')]); });"
            " form.querySelector('button').click(); })",
        )
        self.assertEqual([], seen.complaints)
        self.assertIn("www.example.com: gateway", seen.text)
        origin = f"http://localhost:{proxy.ports['admin']}"
        self.assertEqual(["get", f"{origin}/#way", "www.example.com"], seen.facts)

    async def test_hostile_texts(self) -> None:
        """Whatever others have chosen is text, and the policy finds nothing to forbid."""
        observed = FakeObserved(started_at=reactor.seconds())
        observed.now = Snapshot(gateway=ParentProxy(HOSTILE, 1), rules=RuleSet.compile(["*"]))
        observed.last_error = HOSTILE
        observed.ledger.count(HOSTILE, "direct", HOSTILE, 1, 1)
        observed.flows = [LiveConnection(HOSTILE, 1, "direct", HOSTILE, 1, 1, 1.0)]
        seen = await self.see(
            self.show(observed) + "/?host=%3Cscript%3E",
            "[document.scripts.length, document.images.length]",
        )
        self.assertEqual(([], "Ready · aluvia", [0, 0]), (seen.complaints, seen.title, seen.facts))
        self.assertGreater(seen.text.count(HOSTILE), 5)


class PacTests(BrowserCase):
    """``/proxy.pac``, as the browser's configuration."""

    async def test_ways(self) -> None:
        """What the rules send through the gateway comes to the proxy, what they do not does not."""
        origin = self.origin()
        proxy = await self.plain_proxy()
        options = (
            f"--proxy-pac-url=http://127.0.0.1:{proxy.ports['admin']}/proxy.pac",
            "--host-resolver-rules=MAP direct.test 127.0.0.1",
        )
        for host in ("www.example.com", "direct.test"):
            seen = await self.see(f"http://{host}:{origin.port}/get", options=options)
            self.assertEqual(200, seen.status, seen)
        ledger = await proxy.admin_json("/ledger")
        self.assertEqual({"www.example.com"}, {row["host"] for row in ledger["rows"]})
        self.assertTrue(all(b"direct.test" not in asked.target for asked in self.parent.asked))

    async def test_long_list(self) -> None:
        """A list that would be too long for the browser, which then would take none of it."""
        origin = self.origin()
        proxy = await self.plain_proxy()
        rules = [f"host-{number:06d}.with-a-longer-name.example" for number in range(100_000)]
        observed = FakeObserved()
        observed.url = proxy.url
        observed.now = Snapshot(gateway=None, rules=RuleSet.compile([*rules, "www.example.com"]))
        option = f"--proxy-pac-url={self.show(observed)}/proxy.pac"
        await self.see(f"http://www.example.com:{origin.port}/get", options=(option,))
        ledger = await proxy.admin_json("/ledger")
        self.assertEqual(["www.example.com"], [row["host"] for row in ledger["rows"]])
