"""What we need of a reactor."""

from __future__ import annotations

import collections.abc
import typing

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor, IWriteDescriptor


class Clock(typing.Protocol):
    """What tells the time: a reactor, or :class:`twisted.internet.task.Clock`."""

    def callLater(
        self, delay: float, callable: collections.abc.Callable[..., object], *args: object
    ) -> IDelayedCall:
        """Call later."""


class DescriptorReactor(Clock, typing.Protocol):
    """What we need of a reactor: the time, and events of descriptors."""

    def addReader(self, reader: IReadDescriptor) -> None:
        """Tell when it can be read."""

    def addWriter(self, writer: IWriteDescriptor) -> None:
        """Tell when it can be written."""

    def removeReader(self, reader: IReadDescriptor) -> None:
        """No more."""

    def removeWriter(self, writer: IWriteDescriptor) -> None:
        """No more."""
