"""Tests for :mod:`aluvia.edge.rest_config`: all of it, in and out."""

from __future__ import annotations

import typing

from aluvia.edge.test.rest_case import CERT, KEY, OTHER_CERT, RestCase, etag, fake_hash


class ConfigurationTests(RestCase):
    """A backup, and going back to it."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Something of everything."""
        await super().setUp()
        users = [{"name": "alice", "password": "SECRET"}]
        body: dict[str, object] = {"type": "basic", "users": users}
        await self.done("PUT", "auth-providers/staff", body=body, status=201)
        await self.add_route("b.example", authProvider="staff", ssl={"cert": CERT, "key": KEY})
        await self.add_route("a.example")
        body = {"domain": "a.example", "cert": CERT, "key": KEY}
        await self.done("POST", "certificates", body=body, status=201)
        self.first = self.configuration.state

    async def backup(self, target: str = "config?secrets=1") -> typing.Any:
        """As it is shown."""
        return (await self.get(target)).json()

    async def test_shown(self) -> None:
        """All of it is shown, with nothing of what runs; secrets only to whoever asks for them."""
        shown = await self.get("config")
        document = shown.json()
        self.assertEqual(list(document), ["routes", "certificates", "authProviders"])
        self.assertEqual([each["id"] for each in document["routes"]], ["b", "a"])
        self.assertNotIn("isDead", document["routes"][0]["backends"][0])
        whole = await self.get("config?secrets=1")
        for secret in (b"SECRET", b"scrypt"):
            self.assertNotIn(secret, shown.body)
            self.assertIn(secret, whole.body)
        self.assertEqual(shown.fields["etag"], whole.fields["etag"])

    async def test_back(self) -> None:
        """A backup with its secrets brings everything back, in one change."""
        backup = await self.backup()
        await self.done("DELETE", "routes/b", status=204)
        await self.done("PATCH", "routes/a", body={"retries": 9})
        await self.done("DELETE", "certificates/a.example", status=204)
        await self.done("DELETE", "auth-providers/staff", status=204)
        applied = len(self.live.applied)
        answer = await self.done("PUT", "config?secrets=1", body=backup)
        self.assertEqual(len(self.live.applied), applied + 1)
        self.assertEqual(self.configuration.state, self.first)
        self.assertEqual(answer["authProviders"], backup["authProviders"])
        # In its places.
        self.assertEqual([each["id"] for each in answer["routes"]], ["b", "a"])

    async def test_order(self) -> None:
        """Another order alone is a change too, of all of it and of nothing in it."""
        document = await self.backup("config")
        one, all_of_it = await self.get("routes/b"), await self.get("config")
        document["routes"].reverse()
        self.events.clear()
        reply = await self.ask("PUT", "config?dry_run=1", body=document)
        self.assertEqual(reply.json(), document)
        self.assertEqual((await self.get("config")).body, all_of_it.body)
        reply = await self.ask("PUT", "config", body=document)
        self.assertEqual((reply.status, reply.json()), (200, document))
        self.assertNotEqual(reply.fields["etag"], all_of_it.fields["etag"])
        self.assertEqual((await self.get("config")).json(), document)
        again = await self.get("routes/b")
        self.assertEqual(again.fields["etag"], one.fields["etag"])
        self.assertEqual(self.events, [])

    async def test_without_secrets(self) -> None:
        """What comes without them keeps those that there are, if it is the same otherwise."""
        document = await self.backup("config")
        reply = await self.ask("PUT", "config", body=document)
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.json(), document)
        self.assertIs(self.configuration.state, self.first)
        self.assertNotIn(b"SECRET", reply.body)
        document["certificates"][0]["cert"] = OTHER_CERT
        document["routes"][0]["ssl"]["cert"] = OTHER_CERT
        reply = await self.ask("PUT", "config", body=document)
        self.assert_faults(reply, "/routes/0/ssl/key", "/certificates/0/key")

    async def test_passwords(self) -> None:
        """Passwords in plain text are hashed here too."""
        document = await self.backup("config")
        document["authProviders"][0]["users"].append({"name": "bob", "password": "12345"})
        reply = await self.ask("PUT", "config", body=document)
        self.assertEqual(reply.status, 200, reply.body)
        users: typing.Any = self.configuration.state.providers["staff"]
        self.assertEqual(users.users, (("alice", fake_hash(6)), ("bob", fake_hash(5))))

    async def test_bad_hashes(self) -> None:
        """Every one is told by its place, and nobody is named; of one provider, too."""
        users = [{"name": f"canary/~{at}", "passwordHash": "canary"} for at in range(2)]
        document = await self.backup("config")
        good = document["authProviders"][0]
        document["authProviders"] = [good, {"id": "p", "type": "basic", "users": users}]
        reply = await self.ask("PUT", "config", body=document)
        places = [f"/users/{at}/passwordHash" for at in range(2)]
        self.assert_faults(reply, *(f"/authProviders/1{place}" for place in places))
        self.assertNotIn(b"canary", reply.body)
        body: dict[str, object] = {"id": "p", "type": "basic", "users": users}
        for method, target in (("POST", "auth-providers"), ("PUT", "auth-providers/p")):
            reply = await self.ask(method, target, body=body)
            self.assert_faults(reply, *places)
            self.assertNotIn(b"canary", reply.body)

    async def test_atomic(self) -> None:
        """All of it or nothing: one fault, wherever it is, and all is as it was."""
        document = await self.backup()
        document["routes"] = [document["routes"][0], {"vHost": "new.example", "retries": -1}]
        document["certificates"] = []
        before = await self.get("config")
        self.assert_faults(await self.ask("PUT", "config", body=document), "/routes/1/retries")
        document["routes"][1]["retries"] = 1
        document["authProviders"] = []
        reply = await self.ask("PUT", "config", body=document)
        self.assert_faults(reply, "/routes/0/authProvider")
        del document["authProviders"]
        self.assert_faults(await self.ask("PUT", "config", body=document), "/authProviders")
        self.live.refuses = self.refusing("/routes/1", "cannot be")
        document["authProviders"] = before.json()["authProviders"]
        self.assert_faults(await self.ask("PUT", "config", body=document), "/routes/1")
        self.assertIs(self.configuration.state, self.first)
        self.assertEqual((await self.get("config")).body, before.body)

    async def test_conditions(self) -> None:
        """It can rest on what was seen, of all that there is."""
        seen = await self.get("config")
        await self.done("POST", "routes/a/backends/node-1/dead")
        empty: dict[str, object] = {"routes": [], "certificates": [], "authProviders": []}
        reply = await self.ask("PUT", "config", etag(seen), body=empty)
        problem = self.assert_problem(reply, 412, "changed_meanwhile")
        now = await self.get("config")
        self.assertEqual(problem["current"], now.json())
        self.assertEqual(reply.fields["etag"], now.fields["etag"])
        self.assertNotIn(b"SECRET", reply.body)
        reply = await self.ask("PUT", "config", etag(now), body=empty)
        self.assertEqual((reply.status, reply.json()), (200, empty))
        self.assertEqual(self.configuration.state.routes, {})
        self.assertEqual((await self.get("config")).fields["etag"], reply.fields["etag"])

    async def test_dry_run(self) -> None:
        """It can be tried, and says what would be."""
        empty: dict[str, object] = {"routes": [], "certificates": [], "authProviders": []}
        reply = await self.ask("PUT", "config?dry_run=1", body=empty)
        self.assertEqual((reply.status, reply.json()), (200, empty))
        self.assertNotIn("etag", reply.fields)
        self.assertIs(self.configuration.state, self.first)

    async def test_notes(self) -> None:
        """What a client copied together from elsewhere is noted."""
        document = await self.backup("config")
        document["routes"] = (await self.get("routes")).json()
        reply = await self.ask("PUT", "config", body=document)
        self.assertEqual(reply.status, 200)
        self.assertTrue(reply.json()["notes"])
        self.assertIs(self.configuration.state, self.first)
