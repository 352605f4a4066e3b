"""Tests for :mod:`aluvia.edge.rest_certificates` and :mod:`aluvia.edge.rest_providers`."""

from __future__ import annotations

import typing

from aluvia.edge.model import BasicProvider, BearerProvider
from aluvia.edge.passwords import hash_token
from aluvia.edge.test.rest_case import CERT, KEY, OTHER_CERT, RestCase, etag, fake_hash

UPLOAD = {"domain": "A.example.", "cert": CERT, "key": KEY}
OTHER_KEY = KEY.replace("SECRET", "SECOND")


class CertificateTests(RestCase):
    """Certificates go in with their keys, and come out without them."""

    async def test_upload(self) -> None:
        """An upload makes one: 201, and what it says of itself; never its key."""
        reply = await self.ask("POST", "certificates", body=UPLOAD)
        self.assertEqual(reply.status, 201, reply.body)
        self.assertEqual(reply.fields["location"], "/api/v1/certificates/a.example")
        self.assertEqual(
            reply.json(),
            {
                "domain": "a.example",
                "cert": CERT,
                "names": ["a.example"],
                "notAfter": "2030-01-01T00:00:00Z",
            },
        )
        for target in ("certificates", "certificates/A.example.", "config"):
            shown = await self.get(target)
            self.assertEqual(shown.status, 200)
            self.assertIn(b"a.example", shown.body)
            self.assertNotIn(b"SECRET", shown.body)
        self.assertEqual(self.configuration.state.certificates["a.example"].pair.key, KEY)
        event = self.events[-1]
        self.assertEqual((event.name, event.data["domain"]), ("certificate.changed", "a.example"))

    async def test_uploaded_again(self) -> None:
        """As the seed says, an upload updates as well: 200, in its place."""
        await self.done("POST", "certificates", body=UPLOAD, status=201)
        await self.done("POST", "certificates", body=UPLOAD | {"domain": "b.example"}, status=201)
        renewed = {"domain": "a.example", "cert": OTHER_CERT, "key": OTHER_KEY}
        reply = await self.ask("POST", "certificates", body=renewed)
        self.assertEqual((reply.status, reply.json()["cert"]), (200, OTHER_CERT))
        self.assertEqual(reply.fields["content-location"], "/api/v1/certificates/a.example")
        shown = (await self.get("certificates")).json()
        self.assertEqual([each["domain"] for each in shown], ["a.example", "b.example"])
        self.assertEqual(self.events[-1].data["change"], "changed")
        self.assertEqual(self.configuration.state.certificates["a.example"].pair.key, OTHER_KEY)

    async def test_put(self) -> None:
        """A PUT makes what its path names; with If-None-Match: * it makes a new one or nothing."""
        body = {"cert": CERT, "key": KEY}
        only_new = "If-None-Match: *"
        reply = await self.ask("PUT", "certificates/%2A.example.com", only_new, body=body)
        self.assertEqual((reply.status, reply.json()["domain"]), (201, "*.example.com"))
        self.assertEqual(reply.fields["location"], "/api/v1/certificates/%2A.example.com")
        reply = await self.ask("PUT", "certificates/*.example.com", only_new, body=body)
        current = self.assert_problem(reply, 412, "changed_meanwhile")["current"]
        self.assertEqual(current["domain"], "*.example.com")
        self.assertNotIn(b"SECRET", reply.body)
        reply = await self.ask("PUT", "certificates/b.example", body=UPLOAD)
        self.assert_faults(reply, "/domain")

    async def test_key_stays(self) -> None:
        """Without a key the one that there is stays, as long as its certificate does."""
        await self.done("POST", "certificates", body=UPLOAD, status=201)
        shown = (await self.get("certificates/a.example")).json()
        again = await self.done("PUT", "certificates/a.example", body=shown)
        self.assertEqual(len(again["notes"]), 2)
        self.assertEqual(self.configuration.state.certificates["a.example"].pair.key, KEY)
        reply = await self.ask("PUT", "certificates/a.example", body={"cert": OTHER_CERT})
        self.assert_faults(reply, "/key")
        reply = await self.ask("POST", "certificates", body={"domain": "x", "cert": CERT})
        self.assert_faults(reply, "/key")

    async def test_faults(self) -> None:
        """Everything that is wrong is told, and nothing of the key is."""
        body = {"domain": "wrong.example", "cert": CERT, "key": KEY, "chain": ""}
        self.assert_faults(await self.ask("POST", "certificates", body=body), "/chain", "/cert")
        body = {"domain": "*", "cert": "SECRET", "key": "SECRET"}
        reply = await self.ask("POST", "certificates", body=body)
        self.assert_faults(reply, "/domain", "/cert", "/key")
        self.assertNotIn(b"SECRET", reply.body)
        self.assertEqual(self.configuration.state.certificates, {})

    async def test_remove(self) -> None:
        """204, then 404; there is nothing to be patched."""
        made = await self.ask("POST", "certificates", body=UPLOAD)
        reply = await self.ask("PATCH", "certificates/a.example", body={})
        self.assert_problem(reply, 405, "method_not_allowed")
        self.assertEqual(reply.fields["allow"], "DELETE, GET, HEAD, PUT")
        await self.done("DELETE", "certificates/a.example", etag(made), status=204)
        for method in ("GET", "DELETE"):
            reply = await self.ask(method, "certificates/a.example")
            self.assert_problem(reply, 404, "not_found")
        self.assertEqual(self.events[-1].data["change"], "removed")


class ProviderTests(RestCase):
    """Providers of authentication, whose secrets are hashes."""

    def provider(self, id: str) -> typing.Any:
        """The one that is in force."""
        return self.configuration.state.providers[id]

    async def test_make(self) -> None:
        """A password goes in, its hash is kept, and neither comes out."""
        body = {"id": "staff", "type": "basic", "users": [{"name": "alice", "password": "SECRET"}]}
        reply = await self.ask("POST", "auth-providers", body=body)
        self.assertEqual(reply.status, 201, reply.body)
        self.assertEqual(reply.fields["location"], "/api/v1/auth-providers/staff")
        self.assertEqual(reply.json()["users"], [{"name": "alice"}])
        self.assertEqual(self.provider("staff").users, (("alice", fake_hash(6)),))
        self.assert_problem(await self.ask("POST", "auth-providers", body=body), 409, "exists")
        for target in ("auth-providers", "auth-providers/staff", "config"):
            shown = await self.get(target)
            self.assertIn(b"alice", shown.body)
            for secret in (b"SECRET", b"scrypt"):
                self.assertNotIn(secret, shown.body)

    async def test_change(self) -> None:
        """A hash stays with its name: what was shown can be sent back, and be patched."""
        body = {"type": "basic", "users": [{"name": "alice", "password": "SECRET"}]}
        await self.done("PUT", "auth-providers/staff", body=body, status=201)
        shown = (await self.get("auth-providers/staff")).json()
        users = [*shown["users"], {"name": "bob", "password": "12345"}]
        await self.done("PUT", "auth-providers/staff", body=shown | {"users": users})
        hashes = (("alice", fake_hash(6)), ("bob", fake_hash(5)))
        self.assertEqual(self.provider("staff").users, hashes)
        patched = await self.done("PATCH", "auth-providers/staff", body={"realm": "here"})
        self.assertEqual(patched["realm"], "here")
        self.assertEqual(self.provider("staff").users, hashes)
        body = {"users": [{"name": "bob", "password": "1"}]}
        await self.done("PATCH", "auth-providers/staff", body=body)
        expected = BasicProvider(id="staff", realm="here", users=(("bob", fake_hash(1)),))
        self.assertEqual(self.provider("staff"), expected)

    async def test_tokens(self) -> None:
        """So it is with tokens; and a provider can become another kind of one."""
        body = {"type": "bearer", "tokens": [{"name": "ci", "token": "SECRET"}]}
        made = await self.done("PUT", "auth-providers/ci", body=body, status=201)
        self.assertEqual(made["tokens"], [{"name": "ci"}])
        expected = BearerProvider(id="ci", tokens=(("ci", hash_token("SECRET")),))
        self.assertEqual(self.provider("ci"), expected)
        hook = {"type": "hook", "url": "http://a.example/", "tokens": None, "realm": None}
        patched = await self.done("PATCH", "auth-providers/ci", body=hook)
        self.assertEqual((patched["type"], patched["url"]), ("hook", "http://a.example/"))

    async def test_faults(self) -> None:
        """What is wrong is told, without what is secret."""
        body = {"type": "basic", "users": [{"name": "a:b", "password": "SECRET"}], "url": 1}
        reply = await self.ask("POST", "auth-providers", body=body)
        self.assert_faults(reply, "/users/0/name", "/url")
        self.assertNotIn(b"SECRET", reply.body)
        reply = await self.ask("POST", "auth-providers", body={"type": "magic"})
        self.assert_faults(reply, "/type")
        reply = await self.ask("PUT", "auth-providers/a", body={"id": "b", "type": "basic"})
        self.assert_faults(reply, "/id")

    async def test_remove(self) -> None:
        """One that a route asks stays: 409 says which; then 204, and 404."""
        await self.done("PUT", "auth-providers/staff", body={"type": "basic"}, status=201)
        await self.add_route("a.example", authProvider="staff")
        reply = await self.ask("DELETE", "auth-providers/staff")
        self.assertEqual(self.assert_problem(reply, 409, "in_use")["ids"], ["a"])
        await self.done("PATCH", "routes/a", body={"authProvider": None})
        await self.done("DELETE", "auth-providers/staff", status=204)
        reply = await self.ask("DELETE", "auth-providers/staff")
        self.assert_problem(reply, 404, "not_found")
