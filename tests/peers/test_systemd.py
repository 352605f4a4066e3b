"""The unit of the documentation, as systemd reads it."""

from __future__ import annotations

import pathlib
import re
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.checkout import CHECKOUT
from tests.peers.support import need_program

PAGE = CHECKOUT / "docs/howto/supervisor.rst"


class UnitTests(SynchronousTestCase):
    """``systemd-analyze verify``."""

    def test_unit(self) -> None:
        """It has no unknown key, no value that is none, and a program that is there."""
        text = PAGE.read_text(encoding="utf-8")
        found = re.search(r"\.\. code-block:: ini\n\n((?:   .*\n|\n)+)", text)
        assert found is not None
        unit = re.sub("(?m)^   ", "", found[1])
        # Any program does for one that is installed by the reader.
        self.assertIn("ExecStart=/opt/aluvia/bin/twistd ", unit)
        unit = unit.replace("/opt/aluvia/bin/twistd", "/bin/true")
        path = pathlib.Path(self.mktemp()).resolve() / "aluvia.service"
        path.parent.mkdir()
        path.write_text(unit, encoding="utf-8")
        verdict = subprocess.run(
            [need_program("systemd-analyze", "systemd"), "verify", "--man=no", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        ours = [line for line in verdict.stderr.splitlines() if "aluvia" in line]
        self.assertEqual((verdict.returncode, ours), (0, []), verdict.stderr)
