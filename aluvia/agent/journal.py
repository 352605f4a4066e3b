"""
What an operator reads of the traffic: one line for each request and each connection that is over,
and one, once in a while, for what goes wrong with each of them.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from aluvia.agent.observed_http import ObservedRequest
from aluvia.telemetry.told_once import ToldOnce

__all__ = ["Journal"]

log = Logger()


class Journal:
    """
    Writes them to the log.

    :param clock: by which durations are told.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._told = ToldOnce(clock)

    def request(self, id: str, request: ObservedRequest) -> None:
        """One is over, or was cut off."""
        stream = request.status == 101
        seconds = self._clock.seconds() - request.began
        if request.status == 0:
            form = "{id}: {method} {path} was not answered, after {ms} ms"
        elif stream:
            form = (
                "{id}: {method} {path} 101, ended after {seconds} s, {received} bytes from the "
                "visitor, {sent} to it"
            )
        elif request.whole:
            form = "{id}: {method} {path} {status}, {sent} bytes in {ms} ms"
        else:
            form = "{id}: {method} {path} {status}, cut off after {sent} bytes and {ms} ms"
        log.info(
            form,
            id=id,
            method=request.method.decode("ascii"),
            path=request.path,
            status=request.status,
            received=request.bytes_in,
            sent=request.bytes_out,
            ms=round(seconds * 1000, 1),
            seconds=round(seconds, 1),
        )

    def connection(self, id: str, began: float, received: int, sent: int) -> None:
        """One that carries bytes of any kind is over."""
        log.info(
            "{id}: a connection ended after {seconds} s, {received} bytes from the visitor, {sent} "
            "to it",
            id=id,
            seconds=round(self._clock.seconds() - began, 1),
            received=received,
            sent=sent,
        )

    def refused(self, id: str, why: str) -> None:
        """The hub asked for what is not given."""
        if self._told.is_new(f"refused {id} {why}"):
            log.warn("The hub asked for {id}, and was refused: {why}", id=id, why=why)

    def not_connected(self, id: str, why: str) -> None:
        """A target was not connected to, and the cause is not that nothing listens there."""
        if self._told.is_new(f"failed {id} {why}"):
            log.warn("{id}: a visitor's connection to the target failed: {why}", id=id, why=why)
