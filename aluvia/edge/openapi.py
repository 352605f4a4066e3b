"""
The API's description (OpenAPI 3.1), made by hand: each operation says what it is for, what it
takes, and with which statuses it may answer.

A test compares it with the paths that there are, and its documents with what is shown.
"""

from __future__ import annotations

import functools
import re
import typing

import attrs

from aluvia import __version__
from aluvia.api.bodies import JSON, MERGE_PATCH
from aluvia.edge.openapi_parameters import PARAMETERS
from aluvia.edge.openapi_schemas import SCHEMAS, Schema, array_of, ref
from aluvia.edge.page_files import FORM
from aluvia.edge.rest_paths import BASE

__all__ = ["describe"]

_PROBLEM = "application/problem+json"

#: Statuses of every answer that is an error, and what they mean here.
_ERRORS: typing.Final[typing.Mapping[int, tuple[str, str]]] = {
    400: ("BadRequest", "What was sent cannot be read."),
    401: ("Unauthorized", "There is no token, or not the one."),
    404: ("NotFound", "There is no such thing."),
    409: ("Conflict", "Something is in the way: `error.code` says what, and `ids` which."),
    411: ("LengthRequired", "A body must say its length."),
    412: ("PreconditionFailed", "It is not as the client has it; `current` is what there is."),
    413: ("ContentTooLarge", "A body has so many bytes at most."),
    415: ("UnsupportedMediaType", "That is taken as another type."),
    422: ("UnprocessableContent", "Fields are not what they must be: `errors` lists all."),
    503: ("ServiceUnavailable", "Too much waits already, or the store cannot do it now."),
    507: ("InsufficientStorage", "There is no room to keep it."),
}

#: Of whatever changes something, and has a body.
_CHANGE = (400, 401, 404, 409, 412, 503, 507)
_BODY = (411, 413, 415, 422)

_TAG: typing.Final = {"ETag": {"$ref": "#/components/headers/ETag"}}
_LOCATION: typing.Final = {"Location": {"$ref": "#/components/headers/Location"}}

_TEXT: typing.Final[Schema] = {"type": "string"}

_SHOWS = ("wait", "ifNoneMatch")
_CHANGES = ("dryRun", "ifMatch")

_variable = re.compile(r"\{(\w+)\}")


@attrs.frozen
class _Operation:
    """
    One method of one path.

    :ivar answers: by status: what is said of it, and the schema of its body, if it has any.
    :ivar parameters: names in ``components/parameters``.
    :ivar takes: the schema of its body.
    """

    summary: str
    answers: typing.Mapping[int, tuple[str, Schema | None]]
    errors: tuple[int, ...] = (401,)
    parameters: tuple[str, ...] = ()
    takes: Schema | None = None
    types: tuple[str, ...] = (JSON,)
    tagged: bool = False
    public: bool = False
    media: str = JSON

    def document(self, group: str, path: str) -> Schema:
        """The operation, as it is written."""
        names = [*_variable.findall(path), *self.parameters]
        document: Schema = {
            "summary": self.summary,
            "tags": [group],
            "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in names],
            "responses": {
                **{
                    str(status): self._answer(status, text, schema)
                    for status, (text, schema) in self.answers.items()
                },
                **{
                    str(status): {"$ref": f"#/components/responses/{_ERRORS[status][0]}"}
                    for status in sorted(self.errors)
                },
            },
        }
        if self.takes is not None:
            content = {type_: {"schema": self.takes} for type_ in self.types}
            document["requestBody"] = {"required": True, "content": content}
        if self.public:
            document["security"] = []
        return document

    def _answer(self, status: int, text: str, schema: Schema | None) -> Schema:
        answer: Schema = {"description": text}
        if self.tagged and status != 204:
            answer["headers"] = _TAG | (_LOCATION if status == 201 else {})
        if schema is not None:
            answer["content"] = {self.media: {"schema": schema}}
        return answer


def _shows(summary: str, schema: Schema, *parameters: str) -> _Operation:
    return _Operation(
        summary,
        {200: ("It is this.", schema), 304: ("The client has it.", None)},
        (400, 401, 404, 409, 503),
        (*parameters, *_SHOWS),
        tagged=True,
    )


def _changes(
    summary: str,
    answers: typing.Mapping[int, tuple[str, Schema | None]],
    *parameters: str,
    takes: Schema | None = None,
    types: tuple[str, ...] = (JSON,),
) -> _Operation:
    errors = _CHANGE if takes is None else (*_CHANGE, *_BODY)
    names = (*_CHANGES, *parameters)
    return _Operation(summary, answers, errors, names, takes, types, tagged=True)


def _collection(
    noun: str, name: str, path: str, variable: str, *, patch: bool = True, upload: bool = False
) -> dict[str, dict[str, _Operation]]:
    """
    A collection, and one of it.

    :param upload: whether a POST comes in place of what there is.
    """
    schema = ref(name)
    now = "It is this now."
    made: dict[int, tuple[str, Schema | None]] = {201: ("It was made.", schema)}
    replaced: dict[int, tuple[str, Schema | None]] = {200: (now, schema)}
    tried: dict[int, tuple[str, Schema | None]] = {200: ("It would be this (dry_run).", schema)}
    one = {
        "get": _shows(f"Show a {noun}.", schema),
        "put": _changes(
            f"Make a {noun} what the body says, or make it.",
            replaced | made,
            "ifNoneMatch",
            takes=schema,
        ),
        "delete": _changes(
            f"Remove a {noun}.",
            {204: ("It is gone.", None), 200: ("It would go (dry_run).", schema)},
        ),
    }
    if patch:
        one["patch"] = _changes(
            f"Change of a {noun} what the body names.",
            replaced,
            takes=ref("MergePatch"),
            types=(MERGE_PATCH, JSON),
        )
    return {
        path: {
            "get": _shows(
                f"Show all {noun}s, in the order in which they were made.", array_of(schema)
            ),
            "post": _changes(
                f"Upload a {noun}, in place of the one that there is."
                if upload
                else f"Make a {noun}.",
                made | (replaced if upload else tried),
                takes=schema,
            ),
        },
        f"{path}/{{{variable}}}": one,
    }


def _tells(summary: str, *parameters: str, errors: tuple[int, ...] = (400, 401)) -> _Operation:
    return _Operation(summary, {200: ("It is this.", ref("Facts"))}, errors, parameters)


def _file(summary: str, media: str) -> _Operation:
    return _Operation(summary, {200: ("It is this.", _TEXT)}, (400,), public=True, media=media)


def _becomes(summary: str) -> _Operation:
    return _changes(summary, {200: ("It is this now.", ref("Backend"))})


_BACKEND = f"{BASE}/routes/{{vHost}}/backends/{{id}}"
_LEVEL = {200: ("It is this.", ref("LogLevel"))}

#: Groups of operations, by path and method.
_OPERATIONS: typing.Final[typing.Mapping[str, dict[str, dict[str, _Operation]]]] = {
    "routes": _collection("route", "Route", f"{BASE}/routes", "vHost"),
    "backends": {
        **_collection("backend", "Backend", f"{BASE}/routes/{{vHost}}/backends", "id"),
        f"{_BACKEND}/dead": {"post": _becomes("Take it out for maintenance: no probe revives it.")},
        f"{_BACKEND}/drain": {"post": _becomes("Send nothing new there.")},
        f"{_BACKEND}/ready": {"post": _becomes("Put it among the others again.")},
    },
    "certificates": _collection(
        "certificate", "Certificate", f"{BASE}/certificates", "domain", patch=False, upload=True
    ),
    "auth-providers": _collection("provider", "AuthProvider", f"{BASE}/auth-providers", "id"),
    "configuration": {
        f"{BASE}/config": {
            "get": _shows("Show all of it.", ref("Configuration"), "secrets"),
            "put": _changes(
                "Put another one in the place of all of it, or of nothing.",
                {200: ("It is this now.", ref("Configuration"))},
                "ifNoneMatch",
                "secrets",
                takes=ref("Configuration"),
            ),
        },
    },
    "tunnels": {
        f"{BASE}/tunnels": {
            "get": _Operation(
                "Show all tunnels that agents have opened, by their ids.",
                {200: ("They are these.", array_of(ref("Tunnel")))},
                (400, 401),
            )
        },
        f"{BASE}/tunnels/{{tunnel}}": {
            "get": _Operation(
                "Show a tunnel.", {200: ("It is this.", ref("Tunnel"))}, (400, 401, 404)
            )
        },
        "/tunnels": {
            "get": attrs.evolve(
                _file("The tunnels, for people; without a token a form.", "text/html"),
                errors=(400, 401),
                parameters=("find",),
            ),
            "post": attrs.evolve(
                _file("The same, for a browser without scripts.", "text/html"),
                answers={200: ("It is this.", _TEXT), 401: ("That is not the token.", _TEXT)},
                errors=(400, 411, 413, 415),
                takes=ref("SignIn"),
                types=(FORM,),
            ),
        },
        "/tunnels/tunnels.css": {"get": _file("A part of it.", "text/css")},
        "/tunnels/tunnels.js": {"get": _file("A part of it.", "text/javascript")},
    },
    "observation": {
        f"{BASE}/stats": {"get": _tells("How all routes do together.")},
        f"{BASE}/stats/{{vHost}}": {
            "get": _tells("How a route does.", errors=(400, 401, 404, 409))
        },
        f"{BASE}/events": {
            "get": _Operation(
                "What happens, as it happens.",
                {200: ("Each event's data is an object with `name`, `at` and `data`.", _TEXT)},
                (400, 401, 503),
                ("eventName",),
                media="text/event-stream",
            )
        },
        "/metrics": {
            "get": _Operation(
                "The numbers, as Prometheus text or OpenMetrics.",
                {200: ("They are this.", _TEXT)},
                (400, 401),
                media="text/plain",
            )
        },
        "/healthz": {
            "get": attrs.evolve(_tells("Alive.", errors=(400,)), public=True),
        },
        "/readyz": {
            "get": _Operation(
                "Whether new requests are taken.",
                {
                    200: ("They are.", ref("Facts")),
                    503: ("They are not; `reason` says why.", ref("Facts")),
                },
                (400,),
                public=True,
            )
        },
    },
    "process": {
        f"{BASE}/log-level": {
            "get": _Operation("What is logged.", _LEVEL, (400, 401)),
            "put": _Operation(
                "Log more or less, until the process ends.",
                _LEVEL,
                (400, 401, *_BODY),
                ("dryRun",),
                takes=ref("LogLevel"),
            ),
        },
        f"{BASE}/openapi.json": {"get": _tells("This description.")},
        f"{BASE}/docs": {"get": _file("This description, for people.", "text/html")},
        f"{BASE}/docs/viewer.css": {"get": _file("A part of it.", "text/css")},
        f"{BASE}/docs/viewer.js": {"get": _file("A part of it.", "text/javascript")},
        f"{BASE}/docs/token.js": {"get": _file("A part of it.", "text/javascript")},
    },
}


@functools.cache
def describe() -> Schema:
    """The description; it is not to be changed."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "aluvia-edge",
            "version": __version__,
            "summary": "Routes, backends, certificates and providers, changed while they run.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": [{"name": group} for group in _OPERATIONS],
        "paths": {
            path: {method: operation.document(group, path) for method, operation in methods.items()}
            for group, paths in _OPERATIONS.items()
            for path, methods in paths.items()
        },
        "components": {
            "schemas": dict(SCHEMAS),
            "parameters": dict(PARAMETERS),
            "headers": {
                "ETag": {
                    "description": "Of the configuration: what runs does not change it.",
                    "schema": {"type": "string"},
                },
                "Location": {"schema": {"type": "string", "format": "uri-reference"}},
            },
            "responses": {
                name: {
                    "description": text,
                    "content": {_PROBLEM: {"schema": ref("Problem")}},
                }
                for name, text in _ERRORS.values()
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
