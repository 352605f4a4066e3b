"""A request that is over, as a test wants it."""

from __future__ import annotations

import attrs


@attrs.define(kw_only=True)
class Completed:
    """One that went well: 4 ms, to backend ``one`` of route ``api``."""

    request_id: str = "3d6f0a6e-0000-4000-8000-000000000001"
    connection_id: str = "c-1"
    client_address: str = "192.0.2.1"
    method: bytes = b"GET"
    target: bytes = b"/a/b"
    v_host: str = "api.example.com"
    route_id: str = "api"
    backend_id: str = "one"
    attempts: int = 1
    status: int = 200
    bytes_up: int = 10
    bytes_down: int = 1000
    started: float = 1_767_323_045.678
    queued: float = 0.0
    connect: float = 0.0005
    first_byte: float = 0.003
    total: float = 0.004
    cause: str = ""
    upgraded: bool = False
