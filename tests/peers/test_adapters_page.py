"""The examples of ``docs/howto/python.rst``, run as they stand there."""

from __future__ import annotations

import re
import sys

from tests.checkout import CHECKOUT
from tests.peers.launched import PROXIED, TOKEN, LaunchedCase
from tests.peers.support import need_module, need_program

PAGE = CHECKOUT / "docs" / "howto" / "python.rst"
SITE = "https://www.example.com/"

#: What stands in front of an example: it follows the control plane of the test.
PRELUDE = """
import functools
import aluvia
from aluvia.client import session
options = {options!r}
options.pop("token")
aluvia.launch = functools.partial(aluvia.launch, **options)
make = session.AluviaClient.__init__
session.AluviaClient.__init__ = functools.partialmethod(make, **options)
"""


def examples() -> dict[str, str]:
    """The Python of the page, by what each example imports."""
    blocks = re.findall(
        r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", PAGE.read_text("utf-8"), re.MULTILINE
    )
    found = {}
    for block in blocks:
        text = re.sub("^   ", "", block, flags=re.MULTILINE)
        names = ("playwright", "selenium", "treq", "aiohttp", "httpx", "requests", "subprocess")
        found[next(name for name in names if name in text)] = text
    return found


class PageTests(LaunchedCase):
    """Each example goes through the gateway. (Those for browsers need what they download.)"""

    async def run_example(self, name: str) -> str:
        """What it wrote."""
        self.start_sites()
        text = examples()[name]
        self.assertEqual(1, text.count(SITE), text)
        text = text.replace(SITE, f"http://{PROXIED}:{self.plain.port}/get")
        ran = await self.run_command(
            *(sys.executable, "-c", PRELUDE.format(options=self.options()) + text),
            ALUVIA_TOKEN=TOKEN,
            PYTHONPATH=str(CHECKOUT),
        )
        self.assertEqual((0, ""), (ran.status, ran.stderr))
        self.assertEqual([True], [asked.authorized for asked in self.parent.asked])
        return ran.stdout

    def test_all(self) -> None:
        """Each example of the page has a test, here or in ``test_browsers``."""
        prefix = "test_example_"
        here = {name.removeprefix(prefix) for name in dir(self) if name.startswith(prefix)}
        self.assertEqual({*here, "playwright", "selenium"}, set(examples()))

    async def test_example_requests(self) -> None:
        """``aluvia.launch``, with requests."""
        need_module("requests")
        self.assertEqual("200\n", await self.run_example("requests"))

    async def test_example_httpx(self) -> None:
        """httpx."""
        need_module("httpx")
        self.assertEqual("200\n", await self.run_example("httpx"))

    async def test_example_aiohttp(self) -> None:
        """aiohttp, and asyncio."""
        need_module("aiohttp")
        self.assertEqual("200\n", await self.run_example("aiohttp"))

    async def test_example_treq(self) -> None:
        """Twisted."""
        self.assertEqual("200\n", await self.run_example("treq"))

    async def test_example_subprocess(self) -> None:
        """Another program."""
        need_program("curl", "curl")
        self.assertTrue((await self.run_example("subprocess")).startswith("HTTP/1.1 200 OK"))
