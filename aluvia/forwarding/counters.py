"""
What the client counts: plain integers, kept where things happen and read when somebody asks.

``way`` is ``direct``, ``gateway``, or ``none`` for what was refused before a way was decided.
``outcome`` is ``ok``, ``client_gone``, or an error name of RFC 9209. Both come from our own code
alone, so that the tables stay small whatever clients do.
"""

from __future__ import annotations

from aluvia.telemetry.metrics import Histogram


class Counters:
    """
    The numbers of one client since it started.

    :ivar requests: how many ended, by way and outcome; a tunnel is one request.
    :ivar bytes_up: payload from clients, by way; of flows that have ended.
    :ivar bytes_down: payload to clients, by way; of flows that have ended.
    :ivar tunnels_open: tunnels that are open now.
    :ivar connections_total: clients' connections that were accepted.
    :ivar fail_opens: requests that went direct because there was no configuration.
    :ivar credentials_renewed: requests that were asked again of the gateway with new credentials.
    :ivar connect_seconds: how long upstream connections took to be made, by way.
    """

    __slots__ = (
        "bytes_down",
        "bytes_up",
        "connect_seconds",
        "connections_total",
        "credentials_renewed",
        "fail_opens",
        "requests",
        "tunnels_open",
    )

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str], int] = {}
        self.bytes_up: dict[str, int] = {}
        self.bytes_down: dict[str, int] = {}
        self.tunnels_open = 0
        self.connections_total = 0
        self.fail_opens = 0
        self.credentials_renewed = 0
        self.connect_seconds: dict[str, Histogram] = {}

    def request_ended(self, way: str, outcome: str) -> None:
        """Count one request that is over."""
        key = (way, outcome)
        self.requests[key] = self.requests.get(key, 0) + 1

    def bytes_moved(self, way: str, up: int, down: int) -> None:
        """Count what one flow carried."""
        self.bytes_up[way] = self.bytes_up.get(way, 0) + up
        self.bytes_down[way] = self.bytes_down.get(way, 0) + down

    def connected(self, way: str, seconds: float) -> None:
        """Count one upstream connection."""
        histogram = self.connect_seconds.get(way)
        if histogram is None:
            histogram = self.connect_seconds[way] = Histogram()
        histogram.observe(seconds)
