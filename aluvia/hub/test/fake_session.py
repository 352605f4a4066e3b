"""A session without a carrier: it notes what it is told, and a test answers what it is asked."""

from __future__ import annotations

import typing

from twisted.internet.interfaces import IProtocol

from aluvia.hub.keys import Permit
from aluvia.net.dial import Dialing
from aluvia.net.errors import DialError
from aluvia.net.resolve import Failed
from aluvia.wire.frames import Code


class FakeDialing:
    """One stream that is asked for; a test says what comes of it."""

    def __init__(self, tunnel_id: str, protocol: IProtocol, failed: Failed) -> None:
        self.tunnel_id = tunnel_id
        self.protocol = protocol
        self.failed = failed
        self.cancelled = 0

    def cancel(self) -> None:
        """Note it."""
        self.cancelled += 1

    def fail(self, error: str, status: int = 502) -> None:
        """Fail it."""
        self.failed(DialError(error, status, "No."))


class FakeSession:
    """
    One agent that is connected.

    :param instance: which instance of it.
    :param refuses: with this error every stream is refused at once.
    :ivar ended: with what it was, each time.
    :ivar asked: for which streams it was.
    """

    def __init__(
        self,
        instance: str = "first",
        *,
        key_name: str = "laptop",
        group: str | None = None,
        refuses: str = "",
    ) -> None:
        self.agent_id = "agent"
        self.permit = Permit(name=key_name)
        self.instance = instance
        self.group = group
        self.carrier = "wss"
        self.address = "192.0.2.1"
        self.since = 0.0
        self.draining = False
        self.refuses = refuses
        self.ended: list[Code] = []
        self.asked: list[FakeDialing] = []
        self.when_ended: typing.Callable[[], object] = lambda: None

    @property
    def last_seen(self) -> float:
        """It is never heard of."""
        return self.since

    @property
    def streams_open(self) -> int:
        """Those that were asked for."""
        return len(self.asked)

    def open(self, tunnel_id: str, protocol: IProtocol, failed: Failed) -> Dialing:
        """Note it, or refuse it."""
        dialing = FakeDialing(tunnel_id, protocol, failed)
        self.asked.append(dialing)
        if self.refuses:
            dialing.fail(self.refuses)
        return dialing

    def end(self, code: Code, reason: str) -> None:
        """Note it."""
        self.ended.append(code)
        self.when_ended()

    def probe(self) -> None:
        """It is there."""

    def drain(self) -> None:
        """Take no more streams."""
        self.draining = True
