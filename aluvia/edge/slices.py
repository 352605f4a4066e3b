"""
Work that is much at once, done beside the requests: a slice, the reactor turns, a slice, …

No request waits for more than a slice of it.
"""

from __future__ import annotations

import itertools
import typing

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

__all__ = ["BATCH", "batches", "in_slices"]

#: How many routes, backends, tunnels or certificates are one slice: a few milliseconds' work.
BATCH = 8

T = typing.TypeVar("T")


def batches(rows: typing.Iterable[T]) -> typing.Iterator[list[T]]:
    """All of them, which are taken as they are needed; one batch where there are none."""
    left = iter(rows)
    batch = [*itertools.islice(left, BATCH)]
    yield batch
    while batch := [*itertools.islice(left, BATCH)]:
        yield batch


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
