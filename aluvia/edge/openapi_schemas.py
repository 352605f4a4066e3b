"""
The documents of the API as JSON Schema (2020-12), for its description.

Bounds are those of :mod:`aluvia.edge.bounds`, so that they are said once. What is shown and not set
is ``readOnly``, what is set and not shown ``writeOnly``.
"""

from __future__ import annotations

import enum
import typing

from aluvia.edge import bounds
from aluvia.edge.model import AdminState, BalancingStrategy
from aluvia.telemetry.logs import THRESHOLDS

__all__ = ["SCHEMAS", "Schema", "array_of", "ref"]

Schema: typing.TypeAlias = dict[str, typing.Any]


def ref(name: str) -> Schema:
    """A schema of :data:`SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def array_of(items: Schema, most: int | None = None) -> Schema:
    """A list."""
    return {"type": "array", "items": items} | ({} if most is None else {"maxItems": most})


def _object(needed: str = "", **properties: Schema) -> Schema:
    made: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return made | ({"required": needed.split()} if needed else {})


def _text(most: int, description: str = "", **more: typing.Any) -> Schema:
    return _told({"type": "string", "minLength": 1, "maxLength": most, **more}, description)


def _whole(least: int, most: int, default: int | None = None, description: str = "") -> Schema:
    made: Schema = {"type": "integer", "minimum": least, "maximum": most}
    return _told(made | ({} if default is None else {"default": default}), description)


def _seconds(default: float, most: float = bounds.SECONDS) -> Schema:
    made: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": most, "default": default}
    return _told(made, "Seconds.")


def _flag(default: bool, description: str = "") -> Schema:
    return _told({"type": "boolean", "default": default}, description)


def _choice(among: type[enum.Enum], default: enum.Enum) -> Schema:
    return {"enum": [each.value for each in among], "default": default.value}


def _time(description: str) -> Schema:
    return {"type": "number", "description": f"{description} Seconds since 1970."}


def _count(description: str) -> Schema:
    return {"type": "integer", "minimum": 0, "description": description}


def _nullable(schema: Schema) -> Schema:
    if "type" in schema:
        return schema | {"type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def _shown(schema: Schema) -> Schema:
    return schema | {"readOnly": True}


def _secret(schema: Schema) -> Schema:
    return schema | {"writeOnly": True}


def _told(schema: Schema, description: str) -> Schema:
    return schema | ({"description": description} if description else {})


_ID = _text(
    bounds.ID_CHARS,
    "Made where it is absent; it cannot be changed.",
    pattern="^[A-Za-z0-9._~-]+$",
)
_V_HOST = _text(
    1_024, "A name, `*.` before a name for any depth below it, or `*`. It is shown canonically."
)
_CERTIFICATES = _text(bounds.PEM_CHARS, "Certificates in PEM, the chain behind its first.")
_KEY = _secret(_text(bounds.PEM_CHARS, "In PEM. Absent, it stays with its certificate."))
_HEADER_NAME = _text(bounds.HEADER_NAME_CHARS)
_NETWORK = {"type": "string", "examples": ["10.0.0.0/8", "2001:db8::1"]}
_NOTES = _shown(
    _told(
        array_of({"type": "string"}),
        "In the answer to a change: what there is to know of what was sent.",
    )
)
_ANSWER_SECONDS = _seconds(5, bounds.ANSWER_SECONDS)
_COPIED = _told(
    array_of(_HEADER_NAME, bounds.HEADER_NAMES),
    "Fields of the answer that the backend gets, in place of the client's.",
)


def _provider(type_: str, needed: str, **properties: Schema) -> Schema:
    return _object(f"type {needed}", id=_ID, type={"const": type_}, **properties, notes=_NOTES)


def _hashed(most: int, plain: str, hashed: str) -> Schema:
    secret = {"type": "string"}
    entry = _object(
        "name",
        name=_text(bounds.NAME_BYTES),
        **{
            plain: _secret(_told(secret, "Its hash alone is kept.")),
            hashed: _secret(_told(secret, "Absent, it stays with its name.")),
        },
    )
    return array_of(entry, most)


_REALM = _text(bounds.REALM_CHARS, default="restricted")

SCHEMAS: typing.Final[typing.Mapping[str, Schema]] = {
    "Route": _object(
        "vHost",
        id=_ID,
        vHost=_V_HOST,
        pathPrefix=_nullable(_text(bounds.PATH_CHARS, "Whole segments; null for all paths.")),
        strategy=_choice(BalancingStrategy, BalancingStrategy.ROUND_ROBIN),
        autoHttps=_flag(False, "Plain requests are sent to https, where there is a certificate."),
        reqQueueLength=_whole(0, bounds.REQUESTS, 100, "Requests that wait; 0 for no queue."),
        reqActiveLength=_whole(1, bounds.REQUESTS, 50, "Requests that run at once."),
        queueTimeoutMs=_whole(1, bounds.QUEUE_TIMEOUT_MS, 10_000, "How long one waits."),
        maxStreams=_whole(0, bounds.REQUESTS, 1_000, "WebSockets and event streams."),
        retries=_whole(0, bounds.RETRIES, 3, "How often a request is sent again."),
        timeouts=_object(connect=_seconds(5), firstByte=_seconds(60), idle=_seconds(300)),
        authProvider=_nullable(_text(bounds.ID_CHARS, "The id of one that there is.")),
        headers={
            "type": "object",
            "description": "Injected into requests, in place of the client's.",
            "maxProperties": bounds.HEADERS,
            "additionalProperties": {"type": "string", "maxLength": bounds.HEADER_VALUE_BYTES},
        },
        healthCheck=_nullable(ref("HealthCheck")),
        preserveHost=_flag(True, "Whether the backend gets the client's Host."),
        forwarded=_flag(False, "Whether it gets Forwarded (RFC 7239) as well."),
        maxBodyBytes=_nullable(_whole(0, bounds.BODY_BYTES)),
        rateLimit=_nullable(ref("RateLimit")),
        allow=_told(array_of(_NETWORK, bounds.NETWORKS), "Clients that may ask; none for all."),
        deny=_told(array_of(_NETWORK, bounds.NETWORKS), "Clients that may not."),
        backends=array_of(ref("Backend"), bounds.BACKENDS),
        ssl=_nullable(ref("KeyPair")),
        notes=_NOTES,
    ),
    "Backend": _object(
        id=_ID,
        hostname=_nullable(_text(1_024, "A name or an address; with a port.")),
        port=_nullable(_whole(1, 65_535)),
        endpoint=_nullable(
            _text(
                bounds.ENDPOINT_CHARS,
                "In place of the two.",
                examples=["tls:10.0.0.1:443", "tunnel:app"],
            )
        ),
        weight=_whole(1, bounds.WEIGHT, 1),
        admin=_choice(AdminState, AdminState.READY),
        tls=_nullable(ref("BackendTLS")),
        isDead=_shown({"type": "boolean"}),
        deadSince=_shown(_told({"type": ["number", "null"]}, "Seconds since 1970.")),
        failureCount=_shown({"type": "integer"}),
        active=_shown(_told({"type": "integer"}, "Requests that it has now.")),
        latencyMs=_shown({"type": ["number", "null"]}),
        notes=_NOTES,
    ),
    "BackendTLS": _object(
        sni=_nullable(_text(1_024, "To ask for and to verify; null for the host name.")),
        ca=_nullable(_text(bounds.PEM_CHARS, "To trust, in PEM; null for the platform's.")),
        clientCert=_nullable(_CERTIFICATES),
        clientKey=_nullable(_KEY),
        verify=_flag(True),
    ),
    "HealthCheck": _object(
        path=_nullable(_text(bounds.PATH_CHARS, "Asked for with GET; null to connect alone.")),
        tcp={"const": True, "description": "There where path is null."},
        interval=_seconds(60) | {"minimum": bounds.LEAST_INTERVAL},
        expect=_told(
            array_of(
                {
                    "oneOf": [
                        {"type": "integer", "minimum": 200, "maximum": 599},
                        {"type": "string", "pattern": "^[2-5][0-9]{2}-[2-5][0-9]{2}$"},
                    ]
                },
                bounds.EXPECTED,
            ),
            "Statuses that are good, and ranges of them.",
        ),
        rise=_whole(1, bounds.PROBES, 1),
        fall=_whole(1, bounds.PROBES, 1),
    ),
    "RateLimit": _object(
        "perSecond",
        perSecond={"type": "number", "exclusiveMinimum": 0, "maximum": bounds.REQUESTS},
        burst=_whole(1, bounds.REQUESTS, 1),
    ),
    "KeyPair": _object("cert", key=_KEY, cert=_CERTIFICATES),
    "Certificate": _object(
        "domain cert",
        domain=_text(1_024, "A name, or `*.` before a name for one label below it."),
        key=_KEY,
        cert=_CERTIFICATES,
        names=_shown(array_of({"type": "string"})),
        notAfter=_shown({"type": "string"}),
        issuer=_shown({"type": "string"}),
        serial=_shown(_told({"type": "string"}, "In hexadecimal.")),
        fingerprint=_shown(_told({"type": "string"}, "Its SHA-256, in hexadecimal.")),
        notes=_NOTES,
    ),
    "AuthProvider": {
        "oneOf": [
            ref(name)
            for name in ("BasicProvider", "BearerProvider", "HookProvider", "EntryPointProvider")
        ]
    },
    "BasicProvider": _provider(
        "basic", "", realm=_REALM, users=_hashed(bounds.USERS, "password", "passwordHash")
    ),
    "BearerProvider": _provider(
        "bearer", "", realm=_REALM, tokens=_hashed(bounds.TOKENS, "token", "tokenHash")
    ),
    "HookProvider": _provider(
        "hook",
        "url",
        url=_text(bounds.URL_CHARS, format="uri"),
        timeout=_ANSWER_SECONDS,
        requestHeaders=_told(
            array_of(_HEADER_NAME, bounds.HEADER_NAMES),
            "The client's fields that it is shown; none for all.",
        ),
        copyHeaders=_COPIED,
    ),
    "EntryPointProvider": _provider(
        "entryPoint",
        "entryPoint",
        entryPoint=_text(bounds.ID_CHARS, "In the group aluvia.auth."),
        timeout=_ANSWER_SECONDS,
        copyHeaders=_COPIED,
    ),
    "Configuration": _object(
        "routes certificates authProviders",
        routes=array_of(ref("Route"), bounds.ROUTES),
        certificates=array_of(ref("Certificate"), bounds.CERTIFICATES),
        authProviders=array_of(ref("AuthProvider"), bounds.PROVIDERS),
        notes=_NOTES,
    ),
    "Tunnel": _object(
        "id kind online",
        id=_told({"type": "string"}, "As an agent offers it."),
        kind={"enum": ["http", "tcp"]},
        online=_told({"type": "boolean"}, "Whether an agent is connected."),
        target=_told({"enum": ["up", "down", "unknown"]}, "Whether the app takes connections."),
        since=_time("When it was offered first."),
        last_seen=_time("When its last request ended; 0 before."),
        agent=_told({"type": ["string", "null"]}, "The first of `agents`."),
        agents=array_of(ref("TunnelAgent")),
        request_count=_count("Requests that ended."),
        error_count=_count("Of those: answered with 500 or more, or not to the end."),
        bytes_in=_count("Payload from visitors."),
        bytes_out=_count("Payload to visitors."),
        avg_latency_ms={"type": "number"},
        p50_latency_ms={"type": "number"},
        p90_latency_ms={"type": "number"},
        p99_latency_ms={"type": "number"},
        last_status=_count("Of the last request; 0 before, and where there was no answer."),
        streams_open=_count("Requests, WebSockets and TCP connections that are under way."),
        reached_at=_told(
            array_of({"type": "string"}), "URLs, paths, hosts of routes, addresses of ports."
        ),
    ),
    "TunnelAgent": _object(
        "agent_id",
        agent_id=_told({"type": "string"}, "As it calls itself."),
        key=_told({"type": "string"}, "The name of its key."),
        carrier={"enum": ["wss", "longpoll"]},
        address={"type": "string"},
        since=_time("When it came."),
        last_seen=_time("When it was last heard of."),
        draining=_told({"type": "boolean"}, "Whether it takes nothing new."),
        target={"enum": ["up", "down", "unknown"]},
        why_down=_told({"type": "string"}, "In its words; empty for nothing."),
    ),
    "SignIn": _object(
        "token",
        token={"type": "string"},
        find=_told({"type": "string"}, "A part of an id, or of an agent's."),
    ),
    "MergePatch": {
        "type": "object",
        "description": "The members that are to be other; null for the default (RFC 7396).",
    },
    "LogLevel": _object("level", level={"enum": [*THRESHOLDS]}),
    "Facts": {"type": "object"},
    "Problem": {
        "type": "object",
        "description": "RFC 9457.",
        "required": ["type", "title", "status", "detail", "success", "error"],
        "properties": {
            "type": {"const": "about:blank"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": array_of(ref("Fault")),
            "success": {"const": False},
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "details": _nullable(array_of(ref("Fault"))),
                },
            },
            "current": {"description": "412: what there is."},
            "ids": _told(array_of({"type": "string"}), "409: of what is in the way."),
        },
    },
    "Fault": _object(
        "pointer detail",
        pointer={"type": "string", "description": "RFC 6901; empty for the whole."},
        detail={"type": "string"},
    ),
}
