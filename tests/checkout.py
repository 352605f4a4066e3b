"""The checkout that these tests belong to, and a copy of it to build in."""

from __future__ import annotations

import pathlib
import shutil

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent

#: What is made, not written: with a stale ``build/`` modules would be packaged that are gone.
MADE = (
    ".git",
    ".venv",
    ".*_cache",
    "*.egg-info",
    "__pycache__",
    "_build",
    "_trial_temp*",
    "build",
    "dist",
    "dropin.cache",
    "node_modules",
)


def copy_checkout(target: pathlib.Path) -> pathlib.Path:
    """Copy what a fresh clone would hold to ``target``, which must not exist, and return it."""
    shutil.copytree(CHECKOUT, target, ignore=shutil.ignore_patterns(*MADE), symlinks=True)
    return target
