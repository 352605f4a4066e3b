"""Debian's Chromium, driven by Playwright, by Selenium and by Puppeteer, with their adapters."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import typing

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread

from aluvia.integrations.launch import Launched
from tests.aluvia_process import clean_environment, until
from tests.peers.launched import CHROMIUM, CHROMIUM_ARGUMENTS, DIRECT, LaunchedCase
from tests.peers.support import HERE, in_thread, missing, need_module, need_program

reactor: typing.Any = global_reactor

#: How long a program may take for what a test asks of it.
SECONDS = 60

#: What Chromium says when its proxy is gone.
NO_PROXY_LEFT = "ERR_PROXY_CONNECTION_FAILED"


def started(work: typing.Callable[[], typing.Coroutine[typing.Any, typing.Any, int]]) -> typing.Any:
    """A coroutine, in the reactor."""
    return Deferred.fromCoroutine(work())


class BrowserCase(LaunchedCase):
    """A browser that goes through a session."""

    def need_chromium(self) -> None:
        """There is one."""
        if not CHROMIUM.exists():
            missing("chromium", "apt-get install chromium")

    @contextlib.contextmanager
    def playwright(self, session: Launched) -> typing.Iterator[typing.Any]:
        """A page of Playwright's; in a thread."""
        api = need_module("playwright.sync_api")
        with (
            api.sync_playwright() as playwright,
            contextlib.closing(
                playwright.chromium.launch(
                    executable_path=str(CHROMIUM),
                    proxy=session.as_playwright(),
                    args=list(CHROMIUM_ARGUMENTS),
                )
            ) as browser,
        ):
            yield browser.new_page()

    def open_all(self, session: Launched, go: typing.Callable[[str], object]) -> None:
        """Open every page, and then once more without the proxy, when none must come."""
        for url in self.urls("/page"):
            go(url)
        session.stop()
        for url in self.urls("/page"):
            with self.assertRaisesRegex(Exception, NO_PROXY_LEFT):
                go(url)


class AdapterTests(BrowserCase):
    """Each adapter for a browser, with the library that it is for."""

    async def test_playwright(self) -> None:
        """``as_playwright``."""
        self.need_chromium()
        session = await self.launch()

        def work() -> None:
            with self.playwright(session) as page:

                def go(url: str) -> None:
                    page.goto(url)
                    self.assertEqual(page.title(), "/page")

                self.open_all(session, go)

        await in_thread(work)
        self.assert_both_ways()

    async def test_selenium(self) -> None:
        """``as_selenium``."""
        self.need_chromium()
        webdriver = need_module("selenium.webdriver")
        driver_path = need_program("chromedriver", "chromium-driver")
        session = await self.launch()
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        profile = f"--user-data-dir={self.folder()}"
        for argument in (*session.as_selenium(), *CHROMIUM_ARGUMENTS, "--headless=new", profile):
            options.add_argument(argument)

        def work() -> None:
            driver = webdriver.Chrome(
                options=options, service=webdriver.ChromeService(executable_path=driver_path)
            )
            try:

                def go(url: str) -> None:
                    driver.get(url)
                    self.assertEqual(driver.title, "/page")

                self.open_all(session, go)
            finally:
                driver.quit()

        await in_thread(work)
        self.assert_both_ways()

    async def test_puppeteer(self) -> None:
        """``as_puppeteer``, in Node."""
        self.need_chromium()
        node = need_program("node", "nodejs")
        if not (HERE / "node_modules" / "puppeteer-core").is_dir():
            missing("puppeteer-core", f"npm install --prefix {HERE}")
        session = await self.launch()
        environ = clean_environment(
            CHROMIUM=str(CHROMIUM),
            PROFILE=str(self.folder()),
            ARGUMENTS=json.dumps([*session.as_puppeteer(), *CHROMIUM_ARGUMENTS]),
        )

        def work() -> None:
            with subprocess.Popen(
                [node, str(HERE / "browse.mjs"), *self.urls("/page")],
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            ) as child:
                # It hangs no longer than this, whatever it waits for.
                late = threading.Timer(SECONDS, child.kill)
                late.start()
                assert child.stdout is not None
                self.assertEqual(["/page"] * 4, json.loads(child.stdout.readline()))
                session.stop()
                errors = json.loads(child.communicate()[0])
                late.cancel()
                self.assertEqual(4, len(errors))
                for error in errors:
                    self.assertIn(NO_PROXY_LEFT, error)

        await in_thread(work)
        self.assert_both_ways()


class LiveRulesTests(BrowserCase):
    """New rules, while a browser is open."""

    async def move(self, come: typing.Callable[[int], bool], *, monitored: bool) -> None:
        """
        Change the rules under a browser, so that its next request goes through the gateway.

        :param come: whether the proxy has heard of it; called with the number of questions that
            the control plane was asked before the change.
        """
        self.need_chromium()
        self.start_sites()
        self.plane.monitored = monitored
        session = await self.launch_only()
        url = f"http://{DIRECT}:{self.plain.port}"

        async def change() -> int:
            if monitored:
                await until(lambda: self.monitors(0), SECONDS, "the monitor is asked")
            before = len(self.plane.asked)
            self.plane.change(rules=[DIRECT])
            await until(lambda: come(before), SECONDS, "the proxy asks")
            return before

        def work() -> int:
            with self.playwright(session) as page:
                page.goto(f"{url}/page")
                self.assertEqual(0, len(self.parent.asked))
                before: int = blockingCallFromThread(reactor, started, change)
                page.goto(f"{url}/after")
                self.assertEqual(page.title(), "/after")
                return before

        self.asked_before = await in_thread(work)
        targets = [each.target for each in self.parent.asked]
        self.assertEqual([f"{url}/after".encode()], targets)

    def monitors(self, since: int) -> int:
        """How many questions a monitor was asked."""
        return sum(visit.path.endswith("/monitor") for visit in list(self.plane.asked)[since:])

    async def test_polls(self) -> None:
        """Within two polls."""
        await self.move(lambda before: len(self.plane.asked) >= before + 2, monitored=False)

    async def test_monitor(self) -> None:
        """At once: the monitor's answer, and no poll besides."""
        await self.move(lambda before: self.monitors(before) > 0, monitored=True)
        asked = list(self.plane.asked)[self.asked_before :]
        self.assertEqual(self.monitors(self.asked_before), len(asked))
