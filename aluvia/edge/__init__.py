"""
The edge: a reverse proxy whose routes, backends and certificates change while it runs.

The names below are what it is configured with and what it tells; the edge itself, which brings the
store with it, is :class:`aluvia.edge.edge.Edge`. :mod:`aluvia.edge.service` is where to start
reading.
"""

from aluvia.edge.events import Event, EventBus
from aluvia.edge.model import (
    AdminState,
    AuthProvider,
    Backend,
    BackendTLS,
    BalancingStrategy,
    BasicProvider,
    BearerProvider,
    Certificate,
    EntryPointProvider,
    HealthCheck,
    HookProvider,
    KeyPair,
    RateLimit,
    Route,
    Timeouts,
)

__all__ = [
    "AdminState",
    "AuthProvider",
    "Backend",
    "BackendTLS",
    "BalancingStrategy",
    "BasicProvider",
    "BearerProvider",
    "Certificate",
    "EntryPointProvider",
    "Event",
    "EventBus",
    "HealthCheck",
    "HookProvider",
    "KeyPair",
    "RateLimit",
    "Route",
    "Timeouts",
]
