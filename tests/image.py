"""
What the Dockerfile says, done without an engine: its steps in directories of our own.

Paths of the image are in a directory instead of ``/``, and what would be a container is a process
with the image's environment and nothing else of ours.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import typing

import attrs

from tests.aluvia_process import Child, clean_environment
from tests.checkout import CHECKOUT, copy_checkout
from tests.newcomer import SECONDS_FOR_PIP

#: The directories of the image that steps and commands name.
PLACES = ("/opt/aluvia", "/made", "/var/lib")


def steps(name: str) -> list[str]:
    """What stands behind each instruction of this name, in both stages."""
    lines = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} ")]


def step(name: str) -> str:
    """What stands behind the one instruction of this name."""
    (found,) = steps(name)
    return found


@attrs.frozen
class Image:
    """
    What a build has made.

    :ivar root: instead of ``/``.
    :ivar context: what it was made from.
    """

    root: pathlib.Path
    context: pathlib.Path

    def placed(self, text: str, mounts: typing.Mapping[str, pathlib.Path]) -> str:
        """
        A text with paths of ours in the place of the image's.

        :param mounts: what is mounted, by its path in the container.
        """
        places = {path: pathlib.Path(f"{self.root}{path}") for path in PLACES} | dict(mounts)
        longest_first = sorted(places, key=len, reverse=True)
        paths = "|".join(map(re.escape, longest_first))
        return re.sub(
            rf"(?<![\w/.])({paths})(?=[/\s:]|$)", lambda found: str(places[found[0]]), text
        )

    def files(self) -> dict[str, int]:
        """All that is in it, with when it was changed."""
        return {
            str(path.relative_to(self.root)): path.lstat().st_mtime_ns
            for path in self.root.rglob("*")
        }


@attrs.frozen
class Container:
    """
    A process with what a container of the image has.

    :ivar mounts: what is mounted, by its path in it; ``/tmp`` among it.
    :ivar environment: besides the image's own.
    """

    image: Image
    mounts: typing.Mapping[str, pathlib.Path]
    environment: typing.Mapping[str, str] = {}

    def run(self, words: typing.Sequence[str]) -> Child:
        """Run a command in it."""
        said = dict(pair.split("=", 1) for line in steps("ENV") for pair in line.split())
        environment = {
            name: self._placed(value) for name, value in (said | {**self.environment}).items()
        }
        placed = [self._placed(word) for word in words]
        program = shutil.which(placed[0], path=environment["PATH"])
        if program is None:
            raise AssertionError(f"{placed[0]} is not in {environment['PATH']}")
        return Child(program, *placed[1:], environment=environment)

    def _placed(self, text: str) -> str:
        return self.image.placed(text, self.mounts)

    def start(
        self,
        command: typing.Sequence[str] | None = None,
        entrypoint: typing.Sequence[str] | None = None,
    ) -> Child:
        """Run what it is for; what is None is the image's own."""
        command = json.loads(step("CMD")) if command is None else command
        entrypoint = json.loads(step("ENTRYPOINT")) if entrypoint is None else entrypoint
        return self.run([*entrypoint, *command])

    def check(self) -> Child:
        """Look whether it is healthy, as an engine does."""
        return self.run(json.loads(step("HEALTHCHECK").partition("CMD ")[2]))

    @property
    def port_file(self) -> pathlib.Path:
        """Where its door says what it has."""
        return self.mounts["/tmp"] / "aluvia.json"


@functools.cache
def built() -> Image:
    """Do what the Dockerfile says, once for all tests; the directory goes with trial's own."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="image-", dir=pathlib.Path.cwd())).resolve()
    (place / "root").mkdir()
    image = Image(place / "root", place / "context")
    copy_context(copy_checkout(place / "checkout"), image.context)
    environment = clean_environment()
    environment.pop("PYTHONPATH", None)
    # The interpreter of these tests stands in for the image's.
    environment["PATH"] = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    for line in steps("RUN"):
        done = subprocess.run(
            ["sh", "-c", image.placed(line, {})],
            cwd=image.context,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS_FOR_PIP,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{line} ended with {done.returncode}:\n{done.stdout}")
    for line in steps("COPY"):
        *_, source, target = line.split()
        if line.startswith("--from=build ") and source != target:
            shutil.copytree(f"{image.root}{source}", f"{image.root}{target}", dirs_exist_ok=True)
    shutil.rmtree(image.root / "made")
    return image


def copy_context(checkout: pathlib.Path, target: pathlib.Path) -> None:
    """Copy what ``.dockerignore`` lets an engine see."""
    lines = (checkout / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    if rules[0] != "*" or not all(rule.startswith(("!", "**/")) for rule in rules[1:]):
        raise AssertionError(rules)
    left_out = [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
    target.mkdir()
    for name in (rule[1:] for rule in rules if rule.startswith("!")):
        if (checkout / name).is_dir():
            ignore = shutil.ignore_patterns(*left_out)
            shutil.copytree(checkout / name, target / name, ignore=ignore)
        else:
            shutil.copy(checkout / name, target / name)
