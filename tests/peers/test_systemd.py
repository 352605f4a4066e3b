"""The units of the documentation, as systemd reads them."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.checkout import CHECKOUT
from tests.peers.support import need_program

HOWTO = CHECKOUT / "docs/howto"


class UnitTests(SynchronousTestCase):
    """``systemd-analyze verify``."""

    def test_unit(self) -> None:
        """It has no unknown key, no value that is none, and a program that is there."""
        self.assert_good("supervisor", "aluvia.service")

    def test_edge(self) -> None:
        """So it is with the edge's, and its sockets; all of them are read together."""
        self.assert_good(
            "edge-systemd",
            "aluvia-edge-http.socket",
            "aluvia-edge-https.socket",
            "aluvia-edge.service",
        )

    def assert_good(self, page: str, *names: str) -> None:
        """A page has these units, and systemd has nothing to say of them."""
        text = (HOWTO / f"{page}.rst").read_text(encoding="utf-8")
        found = re.findall(r"\.\. code-block:: ini\n\n((?:   .*\n|\n)+)", text)
        self.assertEqual(len(found), len(names))
        folder = pathlib.Path(self.mktemp()).resolve()
        folder.mkdir()
        paths = [str(folder / name) for name in names]
        for path, block in zip(paths, found, strict=True):
            unit = re.sub("(?m)^   ", "", block)
            self.assertIn(f"# /etc/systemd/system/{os.path.basename(path)}\n", unit)
            # Any program does for one that is installed by the reader.
            self.assertIn(path.endswith(".service"), ["/opt/aluvia/bin/twistd " in unit])
            unit = unit.replace("/opt/aluvia/bin/twistd", "/bin/true")
            pathlib.Path(path).write_text(unit, encoding="utf-8")
        verdict = subprocess.run(
            [need_program("systemd-analyze", "systemd"), "verify", "--man=no", *paths],
            capture_output=True,
            text=True,
            check=False,
        )
        ours = [line for line in verdict.stderr.splitlines() if "aluvia" in line]
        self.assertEqual((verdict.returncode, ours), (0, []), verdict.stderr)
