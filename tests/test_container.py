"""The Dockerfile of the documentation, step by step in a directory of its own."""

from __future__ import annotations

import json
import pathlib
import shlex
import signal
import sys

from aluvia.testing.control_plane import FakeControlPlane
from tests.aluvia_process import Child, clean_environment, reactor, until
from tests.checkout import CHECKOUT
from tests.newcomer import SECONDS_FOR_PIP, SECONDS_TO_START, NewcomerCase

DOCKERFILE = CHECKOUT / "docs/howto/Dockerfile"


def steps(name: str) -> list[str]:
    """What stands behind each of these instructions."""
    lines = DOCKERFILE.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]


class ContainerTests(NewcomerCase):
    """Every RUN, the CMD, and the HEALTHCHECK: no engine is needed for what they do."""

    async def test_steps(self) -> None:
        """The image's program starts, is healthy, and drains at SIGTERM."""
        place = pathlib.Path(self.mktemp()).resolve()
        secrets = place / "secrets"
        secrets.mkdir(parents=True)
        (secrets / "aluvia-token").write_text("token\n", encoding="utf-8")
        (secrets / "aluvia-users").write_text("me:mine\n", encoding="utf-8")

        def placed(line: str) -> str:
            moved = line.replace("/opt/aluvia", str(place / "opt"))
            return moved.replace("/run/secrets", str(secrets))

        python = shlex.quote(str(pathlib.Path(sys.executable).parent))
        (run,) = steps("RUN")
        await self.finish(f"export PATH={python}:$PATH; {placed(run)}", SECONDS_FOR_PIP)
        plane = FakeControlPlane(reactor, rules=["*.example.com"])
        self.addCleanup(plane.stop)
        (command,) = steps("CMD")
        words = [placed(word) for word in json.loads(command)]
        ports = place / "ports"
        child = Child(
            *words,
            *("--port", "0", "--admin-port", "0", "--port-file", str(ports)),
            environment=clean_environment(ALUVIA_API_BASE_URL=plane.base_url),
        )
        self.addCleanup(child.kill)
        await until(lambda: ports.exists() or child.ended, SECONDS_TO_START, "it is ready")
        self.assertFalse(child.ended, child.output)
        admin = json.loads(ports.read_text(encoding="utf-8"))["admin"]
        (health,) = steps("HEALTHCHECK CMD")
        await self.finish(f"{placed(health)} --admin-port {admin}")
        child.send_signal(signal.SIGTERM)
        self.assertEqual(await child.wait(), 128 + signal.SIGTERM, child.output)
        self.assertNotIn("mine", child.output)
