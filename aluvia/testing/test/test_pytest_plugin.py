"""Tests for :mod:`aluvia.testing.pytest_plugin`: a pytest of its own, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

from twisted.trial.unittest import SynchronousTestCase

TESTS = """
    import json
    import sys
    import urllib.request

    def test_nothing_is_imported_before_it_is_wanted():
        assert "aluvia.testing.background" not in sys.modules
        assert "h11" not in sys.modules

    def test_control_plane(aluvia_control_plane, aluvia_fakes):
        aluvia_fakes.call(aluvia_control_plane.change, rules=["*"])
        url = f"{aluvia_control_plane.base_url}/user"
        asking = urllib.request.Request(url, headers={"Authorization": "Bearer token"})
        with urllib.request.urlopen(asking, timeout=20) as answer:
            assert json.load(answer)["data"]["rules"] == ["*"]

    def test_gateway(aluvia_gateway, aluvia_origin):
        proxy = f"http://user:pass@127.0.0.1:{aluvia_gateway.port}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy}))
        opener.open(f"http://www.example.com:{aluvia_origin.port}/", timeout=20).close()
        assert aluvia_gateway.asked[0].authorized
        assert len(aluvia_origin.visits) == 1
"""


class PluginTests(SynchronousTestCase):
    """The fixtures, as a user's tests see them."""

    def test_fixtures(self) -> None:
        """They are there, work from synchronous tests, and cost nothing before they are used."""
        folder = self.mktemp()
        os.makedirs(folder)
        with open(f"{folder}/test_users.py", "w") as file:
            file.write(textwrap.dedent(TESTS))
        # By name: in a checkout that is not installed there is no entry point to find it by.
        words = ["-q", "-p", "aluvia.testing.pytest_plugin", "-p", "no:cacheprovider", folder]
        child = subprocess.run(
            [sys.executable, "-m", "pytest", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        )
        self.assertEqual(child.returncode, 0, child.stdout + child.stderr)
        self.assertIn("3 passed", child.stdout)
