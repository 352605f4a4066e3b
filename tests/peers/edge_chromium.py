"""
Debian's Chromium, which trusts our authority, and finds every site on this machine.

Who wants to see what it sees names a directory in ``$ALUVIA_PICTURES``.
"""

from __future__ import annotations

import os
import typing
from pathlib import Path

import attrs

from tests.peers.edge_node import NodeCase
from tests.peers.support import in_thread, need_module, need_program
from tests.peers.test_admin_page import LISTEN, QUIET

#: What a browser says on its console of any page whose status is no good one.
_SAID_OF_ALL = "Failed to load resource: the server responded with a status of"

Look = typing.Callable[[typing.Any, typing.Any], object]

#: A URL, what to look at, and a context; see :meth:`ChromiumCase.see`.
Visit = tuple[str, Look | str, typing.Mapping[str, object]]


@attrs.define
class Seen:
    """
    What a browser made of a page.

    :ivar error: why it did not come.
    :ivar complaints: errors on its console, scripts that failed, requests that did, violations of
        the policy.
    :ivar facts: what the look at it came to.
    """

    status: int = 0
    error: str = ""
    complaints: list[str] = attrs.field(factory=list)
    title: str = ""
    text: str = ""
    facts: typing.Any = None


class ChromiumCase(NodeCase):
    """Has a browser, and a home for it with our authority in it."""

    async def start_chromium(self) -> None:
        """Look for it, and make its home."""
        self.playwright = need_module("playwright.sync_api").sync_playwright
        self.chromium = need_program("chromium", "chromium")
        certutil = need_program("certutil", "libnss3-tools")
        self.home = self.folder()
        # The older place, and the one of newer versions.
        for place in (".pki/nssdb", ".local/share/pki/nssdb"):
            database = self.home / place
            database.mkdir(parents=True)
            where = ("-d", f"sql:{database}")
            ours = ("-n", "ours", "-t", "C,,", "-i", self.certificates.file())
            for command in (("-N", "--empty-password"), ("-A", *ours)):
                ran = await self.run_command(certutil, *where, *command)
                self.assertEqual(ran.status, 0, ran)

    async def see(self, url: str, look: Look | str = "null", **context: object) -> Seen:
        """
        Open a page.

        :param look: is given the page and its answer, for :attr:`Seen.facts`; or an expression.
        :param context: of Playwright, such as ``color_scheme``.
        """
        (seen,) = await self.see_all((url, look, context))
        return seen

    async def see_all(self, *visits: Visit) -> list[Seen]:
        """Open pages, one after the other, each with nothing of the others."""
        environment = {"HOME": str(self.home), "PATH": "/usr/bin:/bin"}
        arguments = [*QUIET, "--host-resolver-rules=MAP *.example.com 127.0.0.1"]

        def work() -> list[Seen]:
            with self.playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=self.chromium, args=arguments, env=environment
                )
                try:
                    return [self._look(browser, *visit) for visit in visits]
                finally:
                    browser.close()

        return await in_thread(work)

    def _look(
        self, browser: typing.Any, url: str, look: Look | str, context: typing.Mapping[str, object]
    ) -> Seen:
        seen = Seen()
        with browser.new_context(**context) as opened:
            page = opened.new_page()
            page.add_init_script(LISTEN)
            page.on("console", lambda told: self._complained(seen, told.type, told.text))
            page.on("pageerror", lambda error: seen.complaints.append(str(error)))
            page.on("requestfailed", lambda request: self._failed(seen, request))
            try:
                answer = page.goto(url)
            except Exception as error:
                seen.error = str(error)
            else:
                seen.status = answer.status
                seen.facts = page.evaluate(look) if isinstance(look, str) else look(page, answer)
                seen.title = page.title()
                seen.text = page.inner_text("body")
                if pictures := os.environ.get("ALUVIA_PICTURES"):
                    made = Path(pictures) / f"{seen.status}-{len(os.listdir(pictures))}.png"
                    page.screenshot(path=str(made))
        return seen

    def _complained(self, seen: Seen, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not text.startswith(_SAID_OF_ALL):
            seen.complaints.append(text)

    def _failed(self, seen: Seen, request: typing.Any) -> None:
        # A page that has heard enough of its events closes them.
        if request.failure != "net::ERR_ABORTED":
            seen.complaints.append(f"{request.failure}: {request.url}")
