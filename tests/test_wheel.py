"""What ``pip install`` gives: the wheel, in an environment where nothing else is."""

from __future__ import annotations

import functools
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import attrs
from twisted.trial.unittest import SynchronousTestCase

import aluvia
from tests.checkout import copy_checkout

#: The commands that ``twistd`` gets, one for each door.
DOORS = {
    "aluvia": "--port",
    "aluvia-gateway": "--proxy",
    "aluvia-edge": "--https",
    "aluvia-agent": "--publish",
}

SECONDS_FOR_PIP = 600


def run(*command: str | pathlib.Path) -> str:
    """Run a program to its end and return what it wrote; fail if its status is not 0."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS_FOR_PIP,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


@attrs.frozen
class Installed:
    """
    The wheel, and an environment that holds it with what it needs.

    :ivar wheel: the file.
    :ivar programs: the environment's ``bin``.
    """

    wheel: pathlib.Path
    programs: pathlib.Path


@functools.cache
def installed() -> Installed:
    """Build and install once for all tests; the directory goes with trial's own."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="wheel-", dir=pathlib.Path.cwd())).resolve()
    checkout = copy_checkout(place / "checkout")
    run(sys.executable, "-m", "venv", place / "venv")
    programs = place / "venv" / "bin"
    run(programs / "pip", "wheel", "--quiet", "--no-deps", "-w", place / "dist", checkout)
    (wheel,) = (place / "dist").glob("*.whl")
    run(programs / "pip", "install", "--quiet", wheel)
    return Installed(wheel, programs)


class WheelTests(SynchronousTestCase):
    """The wheel holds what it should and nothing else, and its commands are there."""

    def test_files(self) -> None:
        """It holds the package, its type marker and the plugin; no tests/, docs or benchmarks."""
        names = set(zipfile.ZipFile(installed().wheel).namelist())
        there = {"aluvia/py.typed", "aluvia/wire/head.py", "twisted/plugins/aluvia_plugin.py"}
        self.assertEqual(there - names, set())
        self.assertEqual(
            {name.partition("/")[0] for name in names},
            {"aluvia", "twisted", f"aluvia-{aluvia.__version__}.dist-info"},
        )
        self.assertEqual(
            {name for name in names if name.startswith("twisted/")},
            {"twisted/plugins/aluvia_plugin.py"},
            "an __init__.py there would hide Twisted's own plugins",
        )

    def test_metadata(self) -> None:
        """Its metadata names the version of the package, and the licence is in it."""
        with zipfile.ZipFile(installed().wheel) as wheel:
            (metadata,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
            self.assertIn(f"\nVersion: {aluvia.__version__}\n", wheel.read(metadata).decode())
            self.assertTrue(any(name.endswith("/LICENSE") for name in wheel.namelist()))

    def test_twistd(self) -> None:
        """``twistd --help`` lists the command of every door, and each explains itself."""
        twistd = installed().programs / "twistd"
        listed = [line.split()[0] for line in run(twistd, "--help").splitlines() if line.strip()]
        self.assertEqual([door for door in DOORS if door not in listed], [])
        for door, option in DOORS.items():
            self.assertIn(option, run(twistd, door, "--help"))

    def test_console_script(self) -> None:
        """``aluvia --help`` lists its commands."""
        listed = run(installed().programs / "aluvia", "--help")
        for command in ("explain", "lint", "run", "status"):
            self.assertIn(command, listed)

    def test_dependencies(self) -> None:
        """The dependencies that were resolved agree with each other."""
        run(installed().programs / "pip", "check")
