"""The examples of ``docs/howto/testing.rst``: whoever copies them has tests that pass."""

from __future__ import annotations

import os
import re
import sys
import textwrap

from tests.aluvia_process import clean_environment
from tests.checkout import CHECKOUT
from tests.support import ProxyCase

PAGE = CHECKOUT / "docs" / "howto" / "testing.rst"


class TestingPageTests(ProxyCase):
    """What the page shows, run as it stands there."""

    def example(self, part: str, name: str) -> str:
        """Write the block of the page that holds *part* to a file; the directory it is in."""
        blocks = re.findall(
            r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", PAGE.read_text(), re.MULTILINE
        )
        [block] = [block for block in blocks if part in block]
        folder: str = os.path.abspath(self.mktemp())
        os.makedirs(folder)
        with open(os.path.join(folder, name), "w") as file:
            file.write(textwrap.dedent(block))
        return folder

    async def run_tests(self, folder: str, *words: str) -> str:
        """Run Python there, and see it end well."""
        path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
        # The plugin is loaded by name: it may be installed here, or not.
        environment = clean_environment(PYTHONPATH=path, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
        ran = await self.run_command(sys.executable, *words, **environment)
        self.assertEqual(ran.status, 0, ran.stdout + ran.stderr)
        return ran.stdout

    async def test_trial(self) -> None:
        """The test case for trial."""
        folder = self.example("AluviaFixtures", "test_with_trial.py")
        said = await self.run_tests(folder, "-m", "twisted.trial", "test_with_trial")
        self.assertIn("PASSED (successes=2)", said)

    async def test_pytest(self) -> None:
        """The functions for pytest."""
        folder = self.example("import pytest", "test_with_pytest.py")
        plugin = ("-p", "aluvia.testing.pytest_plugin", "-p", "no:cacheprovider")
        said = await self.run_tests(folder, "-m", "pytest", "-q", *plugin, folder)
        self.assertIn("2 passed", said)
