"""
The commands of ``README.rst``, taken from the text itself, so that what is tested is what it says.

``python3 tests/readme.py PART`` prints the one command that holds ``PART``, for ``.ci/run``. It
needs nothing but the standard library, since it runs before anything is installed.
"""

from __future__ import annotations

import pathlib
import re
import sys

README = pathlib.Path(__file__).resolve().parent.parent / "README.rst"


def commands(page: pathlib.Path = README) -> list[str]:
    """Return what stands behind each ``$`` in the ``console`` blocks of a page."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^\.\. code-block:: console\n\n((?:   .*\n|\n)+)", text, re.MULTILINE)
    return [line[5:] for block in blocks for line in block.split("\n") if line.startswith("   $ ")]


def command(part: str, page: pathlib.Path = README) -> str:
    """
    Return the one command of a page that holds ``part``.

    :raise LookupError: there is none, or more than one.
    """
    found = [line for line in commands(page) if part in line]
    if len(found) != 1:
        raise LookupError(f"{len(found)} commands of {page.name} hold {part!r}")
    return found[0]


if __name__ == "__main__":
    print(command(sys.argv[1]))
