"""
What an edge is configured with: values, frozen, and equal where they mean the same.

They are what the store keeps, what the REST API reads and shows (in camelCase, see
:mod:`aluvia.edge.fields`), and what the data path is given. They say nothing of what runs: whether
a backend answers is known by its :class:`~aluvia.upstreams.members.Member`.

Whatever makes one has judged it: names are canonical (:func:`aluvia.wire.target.canonical_host`),
numbers are within their bounds. A value that was written in Python goes the same way before it is
used (:func:`aluvia.edge.fields.judge_route`).

``revision`` is the number of the store's change that made it what it is; 0 before it was stored.
Two values that differ in nothing else are equal. What may be a secret is not in their ``repr``:
keys, hashes, the values of fields for backends, the URL of a hook.
"""

from __future__ import annotations

import enum
import typing
import uuid

import attrs

__all__ = [
    "ANY_HOST",
    "AdminState",
    "AuthProvider",
    "Backend",
    "BackendTLS",
    "BalancingStrategy",
    "BasicProvider",
    "BearerProvider",
    "Certificate",
    "EntryPointProvider",
    "HealthCheck",
    "HookProvider",
    "KeyPair",
    "RateLimit",
    "Route",
    "Snapshot",
    "Timeouts",
    "make_id",
]

#: The vhost of a route for every name that no other route is for.
ANY_HOST = "*"


def make_id() -> str:
    """Make an id for what comes without one."""
    return str(uuid.uuid4())


class BalancingStrategy(enum.Enum):
    """How a request's backend is chosen; :mod:`aluvia.upstreams.strategies` says how each works."""

    ROUND_ROBIN = "ROUND_ROBIN"
    RANDOM = "RANDOM"
    IP_HASH = "IP_HASH"
    LEAST_LATENCY = "LEAST_LATENCY"


class AdminState(enum.Enum):
    """
    What an operator wants of a backend.

    ``drain``: what is under way there comes to its end, and nothing new goes there. ``maint``: the
    same, and no probe ever brings it back.
    """

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


@attrs.frozen(kw_only=True)
class BackendTLS:
    """
    TLS to a backend.

    :ivar sni: the name to ask for and to verify; None for the backend's own host name.
    :ivar ca: authorities (PEM) to trust in place of the platform's.
    :ivar client_cert: our certificate and its chain (PEM), for a backend that asks for one.
    :ivar client_key: its key (PEM).
    :ivar verify: whether the certificate is verified. Without, whoever answers is believed.
    """

    sni: str | None = None
    ca: str | None = None
    client_cert: str | None = None
    client_key: str | None = attrs.field(default=None, repr=False)
    verify: bool = True


@attrs.frozen(kw_only=True)
class Backend:
    """
    One place that answers for a route: ``hostname`` and ``port``, or an ``endpoint``.

    :ivar id: unique within its route; made, if none is given. Who puts a backend in the place of
        itself gives it its id again: another id is another backend.
    :ivar hostname: canonical; a name, or a literal without brackets. Empty with an ``endpoint``.
    :ivar endpoint: a dialer's name and what it is to dial, such as ``tls:host:port`` or
        ``tunnel:id``, in place of the two.
    :ivar weight: 1–1000; its share among the others.
    :ivar tls: None for a connection in the clear.
    """

    id: str = attrs.field(factory=make_id)
    hostname: str = ""
    port: int = 0
    endpoint: str | None = None
    weight: int = 1
    admin: AdminState = AdminState.READY
    tls: BackendTLS | None = None
    revision: int = attrs.field(default=0, eq=False)


@attrs.frozen(kw_only=True)
class Timeouts:
    """
    How long a backend may take; seconds.

    :ivar connect: for a connection to be made, TLS included.
    :ivar first_byte: in which nothing moves between a request and the head of its answer.
    :ivar idle: in which nothing moves later on; for a WebSocket, either way.
    """

    connect: float = 5.0
    first_byte: float = 60.0
    idle: float = 300.0


@attrs.frozen(kw_only=True)
class HealthCheck:
    """
    How a backend is probed; at most one of ``path`` and TCP alone.

    :ivar path: asked with GET; None to connect and no more.
    :ivar interval: between two probes of one backend; seconds.
    :ivar expect: the statuses that are good, such as ``(200, 204)``; empty for 200–399.
    :ivar rise: how many good probes in a row bring it back.
    :ivar fall: how many bad ones in a row take it out.
    """

    path: str | None = None
    interval: float = 60.0
    expect: tuple[int, ...] = ()
    rise: int = 1
    fall: int = 1


@attrs.frozen(kw_only=True)
class RateLimit:
    """
    How often one client address may ask.

    :ivar per_second: requests, in the long run.
    :ivar burst: at once.
    """

    per_second: float
    burst: int = 1


@attrs.frozen(kw_only=True)
class KeyPair:
    """
    A certificate and its key.

    :ivar cert: with its chain behind it (PEM).
    :ivar key: PEM.
    """

    cert: str
    key: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Route:
    """
    One virtual host, or one part of its paths, and the backends that answer for it.

    :ivar id: unique among all routes; made, if none is given.
    :ivar v_host: ``api.example.com``; ``*.example.com``, for any depth below it; or ``*``.
    :ivar path_prefix: such as ``/api``, for whole segments; None for all paths that no other route
        of the same vhost is for.
    :ivar auto_https: plain requests are sent to https, where there is a certificate for it.
    :ivar req_active_length: how many requests run at once.
    :ivar req_queue_length: how many wait for that; 0 for no queue.
    :ivar queue_timeout_ms: how long one waits; milliseconds.
    :ivar max_streams: how many WebSockets and event streams there are; they are not among the
        requests that run.
    :ivar retries: how often a request is sent again, to another backend.
    :ivar auth_provider: the id of the :data:`AuthProvider` that is asked; None for no
        authentication.
    :ivar headers: fields for the backend, by name; they replace the client's of the same name.
    :ivar health_check: None to probe dead backends alone, by TCP, every 60 s.
    :ivar preserve_host: whether the backend gets the client's Host; else its own host name.
    :ivar forwarded: whether it also gets ``Forwarded`` (RFC 7239).
    :ivar max_body_bytes: of a request; None for no limit.
    :ivar allow: client networks that may ask, such as ``10.0.0.0/8``; empty for all.
    :ivar deny: client networks that may not; the more specific network wins, ``deny`` a tie.
    :ivar ssl: a certificate of its own for its vhost; it wins over one of
        ``/certificates`` for the same name.
    """

    id: str = attrs.field(factory=make_id)
    v_host: str
    path_prefix: str | None = None
    strategy: BalancingStrategy = BalancingStrategy.ROUND_ROBIN
    auto_https: bool = False
    req_queue_length: int = 100
    req_active_length: int = 50
    queue_timeout_ms: int = 10_000
    max_streams: int = 1_000
    retries: int = 3
    timeouts: Timeouts = Timeouts()
    auth_provider: str | None = None
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    health_check: HealthCheck | None = None
    preserve_host: bool = True
    forwarded: bool = False
    max_body_bytes: int | None = None
    rate_limit: RateLimit | None = None
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    backends: tuple[Backend, ...] = ()
    ssl: KeyPair | None = None
    revision: int = attrs.field(default=0, eq=False)


@attrs.frozen(kw_only=True)
class Certificate:
    """
    A certificate for one domain.

    :ivar domain: ``api.example.com``, or ``*.example.com`` for one label below it.
    :ivar pair: the certificate and its key.
    """

    domain: str
    pair: KeyPair
    revision: int = attrs.field(default=0, eq=False)


@attrs.frozen(kw_only=True)
class BasicProvider:
    """
    Users with passwords (RFC 7617).

    :ivar users: scrypt hashes by name, as :func:`aluvia.edge.password_hashes.hash_password` writes
        them.
    """

    id: str
    realm: str = "restricted"
    users: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    revision: int = attrs.field(default=0, eq=False)


@attrs.frozen(kw_only=True)
class BearerProvider:
    """
    Tokens (RFC 6750).

    :ivar tokens: a name for each, and its SHA-256 in hexadecimal.
    """

    id: str
    realm: str = "restricted"
    tokens: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    revision: int = attrs.field(default=0, eq=False)


@attrs.frozen(kw_only=True)
class HookProvider:
    """
    A URL that is asked about each request.

    :ivar url: ``http:`` or ``https:``.
    :ivar timeout: for the whole of its answer; seconds.
    :ivar request_headers: names of the client's fields that it is shown; none for all but the body.
    :ivar copy_headers: names of fields of its answer that the backend gets; the client's of these
        names never do.
    """

    id: str
    url: str = attrs.field(repr=False)
    timeout: float = 5.0
    request_headers: tuple[str, ...] = ()
    copy_headers: tuple[str, ...] = ()
    revision: int = attrs.field(default=0, eq=False)


@attrs.frozen(kw_only=True)
class EntryPointProvider:
    """
    A Python callable, found by its name in the entry-point group ``aluvia.auth``.

    :ivar timeout: for its answer; seconds.
    :ivar copy_headers: as a hook's.
    """

    id: str
    entry_point: str
    timeout: float = 5.0
    copy_headers: tuple[str, ...] = ()
    revision: int = attrs.field(default=0, eq=False)


#: Who is asked about a request before it goes anywhere.
AuthProvider: typing.TypeAlias = BasicProvider | BearerProvider | HookProvider | EntryPointProvider


@attrs.frozen(kw_only=True)
class Snapshot:
    """
    All that an edge is configured with, at one moment.

    The mappings are in the order in which their things were made, or were put all together; they
    are not to be changed.

    :ivar routes: by id.
    :ivar certificates: by domain.
    :ivar providers: by id.
    """

    routes: typing.Mapping[str, Route] = attrs.field(factory=dict)
    certificates: typing.Mapping[str, Certificate] = attrs.field(factory=dict)
    providers: typing.Mapping[str, AuthProvider] = attrs.field(factory=dict)
