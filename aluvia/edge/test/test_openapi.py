"""Tests for :mod:`aluvia.edge.openapi`: that what it says is so."""

from __future__ import annotations

import re
import typing

from aluvia.edge import fields, openapi
from aluvia.edge.model import (
    AuthProvider,
    Backend,
    BackendTLS,
    BasicProvider,
    BearerProvider,
    Certificate,
    EntryPointProvider,
    HealthCheck,
    HookProvider,
    KeyPair,
    RateLimit,
    Route,
    Snapshot,
)
from aluvia.edge.openapi_schemas import SCHEMAS
from aluvia.edge.pem_fields import DERIVED
from aluvia.edge.test.rest_case import RestCase

ROUTE = Route(
    id="a",
    v_host="a.example",
    health_check=HealthCheck(),
    rate_limit=RateLimit(per_second=1.0),
    ssl=KeyPair(cert="c", key="k"),
    backends=(Backend(id="b", hostname="h", port=1, tls=BackendTLS()),),
)


def references(part: object) -> typing.Iterator[str]:
    """Whatever it refers to."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(part, list):
        for item in part:
            yield from references(item)


class DescriptionTests(RestCase):
    """The description, and what it describes."""

    def described(self) -> dict[tuple[str, str], typing.Any]:
        """Operations by method and path."""
        return {
            (method.upper(), path): operation
            for path, methods in openapi.describe()["paths"].items()
            for method, operation in methods.items()
        }

    def parameters(self, operation: typing.Any, where: str) -> set[str]:
        """The names of its parameters there."""
        found = openapi.describe()["components"]["parameters"]
        given = [found[each["$ref"].rpartition("/")[2]] for each in operation["parameters"]]
        return {each["name"] for each in given if each["in"] == where}

    def test_paths(self) -> None:
        """Every path that there is is described, and the reverse; with its parameters."""
        described = self.described()
        there = {
            (path.method, re.sub(r"<(\w+)>", r"{\1}", path.rule)): path for path in self.api.paths
        }
        self.assertEqual(sorted(there), sorted(described))
        for key, path in there.items():
            operation = described[key]
            self.assertEqual(self.parameters(operation, "query"), set(path.query), key)
            self.assertEqual(self.parameters(operation, "path"), set(path.variables), key)
            self.assertEqual(operation.get("security") == [], path.public, key)

    def test_references(self) -> None:
        """Whatever is referred to is there, and whatever is there is referred to."""
        description = openapi.describe()
        components = {
            f"#/components/{kind}/{name}"
            for kind, parts in description["components"].items()
            if kind != "securitySchemes"
            for name in parts
        }
        self.assertEqual(set(references(description)), components)

    def test_documents(self) -> None:
        """What is shown of each thing has the members that are described, and the reverse."""
        route = fields.route_document(ROUTE, secrets=True)
        runtime = self.observed.backend_runtime("a", "b")
        certificate = fields.certificate_document(
            Certificate(domain="a.example", pair=KeyPair(cert="c", key="k")), secrets=True
        )
        providers: dict[str, AuthProvider] = {
            "BasicProvider": BasicProvider(id="a", users=(("a", "h"),)),
            "BearerProvider": BearerProvider(id="a", tokens=(("a", "h"),)),
            "HookProvider": HookProvider(id="a", url="http://a/"),
            "EntryPointProvider": EntryPointProvider(id="a", entry_point="a"),
        }
        self.observed.hub.publish("app")
        [tunnel] = self.observed.tunnels.documents(self.observed.tunnels.find())
        documents = {
            "Route": route,
            "HealthCheck": route["healthCheck"],
            "RateLimit": route["rateLimit"],
            "KeyPair": route["ssl"],
            "Backend": {**route["backends"][0], **runtime},
            "BackendTLS": route["backends"][0]["tls"],
            "Certificate": {**certificate, **dict.fromkeys(DERIVED)},
            "Configuration": fields.snapshot_document(Snapshot()),
            "Tunnel": tunnel,
            "TunnelAgent": tunnel["agents"][0],
            **{
                name: fields.provider_document(provider, secrets=True)
                for name, provider in providers.items()
            },
        }
        for name, document in documents.items():
            described = set(SCHEMAS[name]["properties"]) - {"notes"}
            self.assertEqual(described, set(document), name)
        timeouts = SCHEMAS["Route"]["properties"]["timeouts"]["properties"]
        self.assertEqual(set(timeouts), set(route["timeouts"]))

    def test_defaults(self) -> None:
        """Defaults that are described are those that are shown."""
        shown = fields.route_document(Route(id="a", v_host="a.example"))
        for name, schema in SCHEMAS["Route"]["properties"].items():
            if "default" in schema:
                self.assertEqual(schema["default"], shown[name], name)
        for name, schema in SCHEMAS["Route"]["properties"]["timeouts"]["properties"].items():
            self.assertEqual(schema["default"], shown["timeouts"][name])

    def test_secrets(self) -> None:
        """What is described as never shown is not shown, and nothing else is missing."""
        whole = fields.route_document(ROUTE, secrets=True)
        shown = fields.route_document(ROUTE)
        for name, secret, public in (
            ("KeyPair", whole["ssl"], shown["ssl"]),
            ("BackendTLS", whole["backends"][0]["tls"], shown["backends"][0]["tls"]),
        ):
            schema = SCHEMAS[name]["properties"]
            hidden = {member for member in schema if schema[member].get("writeOnly")}
            self.assertEqual(set(secret) - set(public), hidden)

    async def test_served(self) -> None:
        """It is there for whoever shows the token; the page for people is for all."""
        reply = await self.get("openapi.json")
        self.assertEqual(reply.json(), openapi.describe())
        self.assert_problem(await self.ask("GET", "openapi.json", token=None), 401, "token_missing")
        for target, content_type in (
            ("docs", "text/html"),
            ("docs/viewer.js", "text/javascript"),
            ("docs/viewer.css", "text/css"),
            ("docs/token.js", "text/javascript"),
            ("/tunnels", "text/html"),
            ("/tunnels/tunnels.css", "text/css"),
            ("/tunnels/tunnels.js", "text/javascript"),
        ):
            reply = await self.ask("GET", target, token=None)
            self.assertEqual(reply.status, 200)
            self.assertEqual(reply.fields["content-type"], f"{content_type}; charset=utf-8")
            policy = reply.fields["content-security-policy"]
            self.assertIn("default-src 'none'", policy)
            self.assertNotIn("unsafe", policy)
            # Nothing is loaded from elsewhere, nothing is markup that was not, nothing is inline.
            for never in (b"http:", b"https:", b"innerHTML", b"eval(", b"<style", b" style="):
                self.assertNotIn(never, reply.body)
