"""
The edge: a reverse proxy whose routes, backends and certificates change while it runs.

The names below are its Python face; :mod:`aluvia.edge.model` describes what they hold, and
:mod:`aluvia.edge.service` is where to start reading.
"""

from aluvia.edge.edge import Edge
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
from aluvia.edge.router import Router

__all__ = [
    "AdminState",
    "AuthProvider",
    "Backend",
    "BackendTLS",
    "BalancingStrategy",
    "BasicProvider",
    "BearerProvider",
    "Certificate",
    "Edge",
    "EntryPointProvider",
    "Event",
    "EventBus",
    "HealthCheck",
    "HookProvider",
    "KeyPair",
    "RateLimit",
    "Route",
    "Router",
    "Timeouts",
]
