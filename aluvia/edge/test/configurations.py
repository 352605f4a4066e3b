"""Hypothesis's strategies for what an edge is configured with: values as whoever judged them."""

from __future__ import annotations

import typing

import attrs
from hypothesis import strategies as some

from aluvia.edge import bounds
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
    RateLimit,
    Route,
    Snapshot,
    Timeouts,
)
from aluvia.edge.password_hashes import PasswordHash
from aluvia.edge.test.fields_case import AUTHORITY_PEM, FIRST, SECOND

T = typing.TypeVar("T")

_IDS = some.from_regex(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,5}", fullmatch=True)
_HOSTS = some.sampled_from(["a", "b.example", "xn--bcher-kva.de", "127.0.0.1", "::1", "*.b"])
_NAMES = some.sampled_from(["a", "b.example", "xn--bcher-kva.de", "127.0.0.1", "2001:db8::1"])
_SECONDS = some.floats(0.001, bounds.SECONDS) | some.integers(1, bounds.SECONDS).map(float)
_PAIRS = some.sampled_from([FIRST, SECOND])
_NETWORKS = some.lists(
    some.sampled_from(["10.0.0.0/8", "10.0.0.1/32", "::/0", "2001:db8::/32"]), unique=True
).map(tuple)
_PREFIXES = some.sampled_from(["/api", "/api/v1", "/a%2Fb", "/~a", "/..."])
_ASCII = some.text(some.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)


def _unique(
    items: some.SearchStrategy[T], key: typing.Callable[[T], object]
) -> some.SearchStrategy[tuple[T, ...]]:
    return some.lists(items, max_size=3, unique_by=typing.cast(typing.Any, key)).map(tuple)


_TLS = some.builds(
    lambda pair, **others: BackendTLS(
        client_cert=pair and pair.cert, client_key=pair and pair.key, **others
    ),
    some.none() | _PAIRS,
    sni=some.sampled_from([None, "a", "b.example"]),
    ca=some.sampled_from([None, AUTHORITY_PEM]),
    verify=some.booleans(),
)

_PLACES = some.fixed_dictionaries(
    {"hostname": _NAMES, "port": some.integers(1, 65_535)}
) | some.fixed_dictionaries({"endpoint": some.sampled_from(["tcp:a:1", "tls:[::1]:443"])})

BACKENDS: some.SearchStrategy[Backend] = some.builds(
    lambda place, **others: Backend(**place, **others),
    _PLACES,
    id=_IDS,
    weight=some.integers(1, bounds.WEIGHT),
    admin=some.sampled_from(AdminState),
    tls=some.none() | _TLS,
)

#: Without the one spelling of the statuses that need none.
_STATUSES = (
    some.sets(some.integers(200, 599), max_size=5)
    | some.integers(200, 500).map(lambda first: set(range(first, first + 50)))
).map(lambda statuses: tuple(sorted(statuses)))

_PROBES = some.integers(1, bounds.PROBES)
_INTERVALS = some.floats(bounds.LEAST_INTERVAL, bounds.SECONDS)
_HEALTH_CHECKS = some.builds(
    HealthCheck, interval=_INTERVALS, rise=_PROBES, fall=_PROBES
) | some.builds(
    HealthCheck,
    path=some.sampled_from(["/", "/up?x=%20"]),
    interval=_INTERVALS,
    expect=_STATUSES,
    rise=_PROBES,
    fall=_PROBES,
)

_HEADERS = _unique(
    some.tuples(
        some.sampled_from(["X-A", "x-b", "Authorization", "Cookie"]),
        some.text(some.characters(min_codepoint=32, max_codepoint=126), max_size=8).map(str.strip),
    ),
    lambda field: field[0],
)


def _with_pair(route: dict[str, typing.Any]) -> Route:
    return Route(**(route | ({"ssl": None} if route["v_host"] == "*" else {})))


ROUTES: some.SearchStrategy[Route] = some.fixed_dictionaries(
    {
        "id": _IDS,
        "v_host": _HOSTS | some.just("*"),
        "path_prefix": some.none() | _PREFIXES,
        "strategy": some.sampled_from(BalancingStrategy),
        "auto_https": some.booleans(),
        "req_queue_length": some.integers(0, bounds.REQUESTS),
        "req_active_length": some.integers(1, bounds.REQUESTS),
        "queue_timeout_ms": some.integers(1, bounds.QUEUE_TIMEOUT_MS),
        "max_streams": some.integers(0, bounds.REQUESTS),
        "retries": some.integers(0, bounds.RETRIES),
        "timeouts": some.builds(Timeouts, connect=_SECONDS, first_byte=_SECONDS, idle=_SECONDS),
        "auth_provider": some.none() | _IDS,
        "headers": _HEADERS,
        "health_check": some.none() | _HEALTH_CHECKS,
        "preserve_host": some.booleans(),
        "forwarded": some.booleans(),
        "max_body_bytes": some.none() | some.integers(0, bounds.BODY_BYTES),
        "rate_limit": some.none()
        | some.builds(RateLimit, per_second=_SECONDS, burst=some.integers(1, bounds.REQUESTS)),
        "allow": _NETWORKS,
        "deny": _NETWORKS,
        "backends": _unique(BACKENDS, lambda backend: backend.id),
        "ssl": some.none() | _PAIRS,
    }
).map(_with_pair)

CERTIFICATES: some.SearchStrategy[Certificate] = some.builds(
    Certificate, domain=_HOSTS, pair=_PAIRS
)

_PASSWORD_HASHES = some.builds(
    lambda salt, digest: str(PasswordHash(14, 8, 1, salt, digest)),
    some.binary(min_size=8, max_size=64),
    some.binary(min_size=16, max_size=64),
)
_USERS = _unique(
    some.tuples(some.sampled_from(["ann", "bob smith", "é"]), _PASSWORD_HASHES),
    lambda user: user[0],
)
_TOKENS = _unique(
    some.tuples(
        some.sampled_from(["ci", "x: y"]), some.from_regex(r"[0-9a-f]{64}", fullmatch=True)
    ),
    lambda token: token[0],
)
_REALMS = some.sampled_from(["restricted", 'the "inner" one'])
_FIELDS = some.lists(some.sampled_from(["X-A", "Cookie", "X-Forwarded-User"]), unique=True).map(
    tuple
)
_TIMEOUTS = some.floats(0.001, bounds.ANSWER_SECONDS)

PROVIDERS: some.SearchStrategy[AuthProvider] = (
    some.builds(BasicProvider, id=_IDS, realm=_REALMS, users=_USERS)
    | some.builds(BearerProvider, id=_IDS, realm=_REALMS, tokens=_TOKENS)
    | some.builds(
        HookProvider,
        id=_IDS,
        url=some.sampled_from(["http://a/", "https://[::1]:8443/ask?x"]),
        timeout=_TIMEOUTS,
        request_headers=_FIELDS,
        copy_headers=_FIELDS,
    )
    | some.builds(
        EntryPointProvider,
        id=_IDS,
        entry_point=some.sampled_from(["mine", "a.b-c_d"]),
        timeout=_TIMEOUTS,
        copy_headers=_FIELDS,
    )
)


@some.composite
def snapshots(draw: some.DrawFn) -> Snapshot:
    """A configuration that is right as a whole."""
    providers = draw(_unique(PROVIDERS, lambda provider: provider.id))
    known = some.sampled_from([None, *(provider.id for provider in providers)])
    routes = _unique(ROUTES, lambda route: (route.v_host, route.path_prefix))
    by_id = {route.id: attrs.evolve(route, auth_provider=draw(known)) for route in draw(routes)}
    certificates = draw(_unique(CERTIFICATES, lambda certificate: certificate.domain))
    return Snapshot(
        routes=by_id,
        certificates={certificate.domain: certificate for certificate in certificates},
        providers={provider.id: provider for provider in providers},
    )


_ANYTHING: some.SearchStrategy[typing.Any] = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats()
    | some.text(max_size=4)
    | some.sampled_from(["a", "*", "/", "tcp:a:1", "10.0.0.0/8", "READY", FIRST.cert, FIRST.key]),
    lambda below: (
        some.lists(below, max_size=3)
        | some.dictionaries(
            some.text(max_size=3) | some.sampled_from(["id", "hostname", "path", "~", "a/b"]),
            below,
            max_size=3,
        )
    ),
    max_leaves=5,
)


@some.composite
def mutated(draw: some.DrawFn, document: typing.Any) -> typing.Any:
    """
    A document with something changed, somewhere.

    :param document: is changed.
    """
    for _ in range(draw(some.integers(1, 3))):
        parent: typing.Any = None
        key: typing.Any = None
        place = document
        while place and isinstance(place, dict | list) and draw(some.integers(0, 4)):
            keys = sorted(place) if isinstance(place, dict) else range(len(place))
            parent, key = place, draw(some.sampled_from(keys))
            place = parent[key]
        change = draw(some.sampled_from(["replace", "remove", "add", "twice"]))
        if change == "add" and isinstance(place, dict):
            place[draw(some.text(max_size=3))] = draw(_ANYTHING)
        elif change in ("add", "twice") and isinstance(place, list):
            place.append(place[0] if place and change == "twice" else draw(_ANYTHING))
        elif parent is None:
            continue
        elif change == "remove":
            del parent[key]
        else:
            parent[key] = draw(_ANYTHING)
    return document
