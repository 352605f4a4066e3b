"""
Work that is much at once, done beside the requests: a slice, the reactor turns, a slice, …

No request waits for more than a slice of it.
"""

from __future__ import annotations

import typing

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

__all__ = ["BATCH", "batches", "in_slices"]

#: How many routes, backends, tunnels or certificates are one slice: a few milliseconds' work.
BATCH = 8

T = typing.TypeVar("T")


def batches(rows: typing.Sequence[T]) -> typing.Iterator[typing.Sequence[T]]:
    """All of them; one batch where there are none."""
    for start in range(0, max(1, len(rows)), BATCH):
        yield rows[start : start + BATCH]


async def in_slices(
    parts: typing.Iterable[T], take: typing.Callable[[T], object], clock: IReactorTime
) -> None:
    """
    Take each part; the reactor turns behind it. If that is cancelled, no more is done.

    :param parts: makes one in as much time as a slice may take.
    """
    for part in parts:
        take(part)
        await deferLater(clock, 0)
