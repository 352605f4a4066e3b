"""The units of the documentation, as systemd reads them."""

from __future__ import annotations

import pathlib
import re
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.checkout import CHECKOUT
from tests.peers.support import need_program

HOWTO = CHECKOUT / "docs/howto"

#: How the first line of a unit names it.
PLACE = "# /etc/systemd/system/"


class UnitTests(SynchronousTestCase):
    """``systemd-analyze`` on each of them."""

    def test_unit(self) -> None:
        """It has no unknown key, no value that is none, and a program that is there."""
        self.assert_good(self.written("supervisor"), "aluvia.service")

    def test_edge(self) -> None:
        """So it is with the edge's, and its sockets; all of them are read together."""
        self.assert_good(
            self.written("edge-systemd"),
            "aluvia-edge-http.socket",
            "aluvia-edge-https.socket",
            "aluvia-edge.service",
        )

    def test_tunnels(self) -> None:
        """So it is with an agent's, and with what an edge gets for its hub."""
        self.assert_good(
            self.written("edge-systemd", "tunnels-deploy"),
            "aluvia-agent.service",
            "aluvia-edge-http.socket",
            "aluvia-edge-https.socket",
            "aluvia-edge.service",
            "aluvia-edge.service.d/hub.conf",
        )

    def test_confined(self) -> None:
        """An agent may do little: systemd has it among the well protected (2 of 10 at most)."""
        folder = self.written("tunnels-deploy")
        verdict = self.analyze(
            *("security", "--offline=true", "--threshold=20", "--no-pager"),
            str(folder / "aluvia-agent.service"),
        )
        self.assertEqual(verdict.returncode, 0, verdict.stdout + verdict.stderr)

    def written(self, *pages: str) -> pathlib.Path:
        """The units of these pages in a folder, each under its own name."""
        folder = pathlib.Path(self.mktemp()).resolve()
        for page in pages:
            text = (HOWTO / f"{page}.rst").read_text(encoding="utf-8")
            for block in re.findall(r"\.\. code-block:: ini\n\n((?:   .*\n|\n)+)", text):
                unit = re.sub("(?m)^   ", "", block)
                place, _, _ = unit.partition("\n")
                self.assertTrue(place.startswith(PLACE), place)
                path = folder / place.removeprefix(PLACE)
                path.parent.mkdir(parents=True, exist_ok=True)
                # Any program does for one that is installed by the reader.
                self.assertIn(path.suffix == ".service", ["/opt/aluvia/bin/twistd " in unit])
                path.write_text(unit.replace("/opt/aluvia/bin/twistd", "/bin/true"))
        return folder

    def assert_good(self, folder: pathlib.Path, *names: str) -> None:
        """These units are there, and systemd has nothing to say of them."""
        there = [path for path in folder.rglob("*") if path.is_file()]
        self.assertEqual(sorted(str(path.relative_to(folder)) for path in there), sorted(names))
        units = [str(folder / name) for name in names if not name.endswith(".conf")]
        verdict = self.analyze("verify", "--man=no", *units)
        ours = [line for line in verdict.stderr.splitlines() if "aluvia" in line]
        self.assertEqual((verdict.returncode, ours), (0, []), verdict.stderr)

    def analyze(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Call ``systemd-analyze``."""
        return subprocess.run(
            [need_program("systemd-analyze", "systemd"), *words],
            capture_output=True,
            text=True,
            check=False,
        )
