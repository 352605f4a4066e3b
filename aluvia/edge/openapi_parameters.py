"""The parameters of the API's operations, for its description."""

from __future__ import annotations

import typing

from aluvia.api.conditions import LONGEST_WAIT_SECONDS
from aluvia.edge.events import EventName
from aluvia.edge.openapi_schemas import Schema, array_of

__all__ = ["PARAMETERS"]

#: By the names that operations have for them.
PARAMETERS: typing.Final[typing.Mapping[str, Schema]] = {
    "vHost": {
        "in": "path",
        "name": "vHost",
        "required": True,
        "description": "A vhost, as long as it has one route, or the id of a route.",
        "schema": {"type": "string"},
    },
    "id": {"in": "path", "name": "id", "required": True, "schema": {"type": "string"}},
    "domain": {"in": "path", "name": "domain", "required": True, "schema": {"type": "string"}},
    "tunnel": {"in": "path", "name": "tunnel", "required": True, "schema": {"type": "string"}},
    "find": {
        "in": "query",
        "name": "find",
        "description": "Those with this in their id, or that of an agent.",
        "schema": {"type": "string"},
    },
    "dryRun": {
        "in": "query",
        "name": "dry_run",
        "description": "1: go as far as can be without changing anything.",
        "schema": {"enum": ["0", "1", "false", "true", ""]},
    },
    "wait": {
        "in": "query",
        "name": "wait",
        "description": "With If-None-Match: hold the answer until it has changed, so many seconds.",
        "schema": {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT_SECONDS},
    },
    "secrets": {
        "in": "query",
        "name": "secrets",
        "description": "1: with keys and hashes.",
        "schema": {"enum": ["0", "1", "false", "true", ""]},
    },
    "eventName": {
        "in": "query",
        "name": "name",
        "description": "The events that are wanted; all, if none is named.",
        "schema": array_of({"enum": [*map(str, EventName)]}),
    },
    "ifMatch": {
        "in": "header",
        "name": "If-Match",
        "description": "Do it only if this is what there is.",
        "schema": {"type": "string"},
    },
    "ifNoneMatch": {
        "in": "header",
        "name": "If-None-Match",
        "description": "The tag that the client has; `*` on a PUT makes a new one or nothing.",
        "schema": {"type": "string"},
    },
}
