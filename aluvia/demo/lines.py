"""Printing what is to be typed."""

from __future__ import annotations

import contextlib
import sys
import typing

__all__ = ["say"]


def say(lines: typing.Iterable[str], out: typing.TextIO | None = None) -> None:
    """
    Print lines, set off from what stands around them.

    Not by the log, which would hide a token in them.

    :param out: by default the real standard output, in place of which ``twistd`` has put its log.
    """
    stream = out or sys.__stdout__ or sys.stdout
    # Where nobody reads it, the demo runs all the same.
    with contextlib.suppress(OSError, ValueError):
        stream.write("\n".join(["", *lines, "", ""]))
        stream.flush()
