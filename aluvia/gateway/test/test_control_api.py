"""Tests for :mod:`aluvia.gateway.control_api`: a real store, and connections in memory."""

from __future__ import annotations

import json
import typing

from twisted.internet.defer import Deferred, gatherResults

from aluvia.api.test.site_case import Reply
from aluvia.gateway.control_api import CHANGES_AT_ONCE, SECONDS_PER_CHANGE
from aluvia.gateway.test.control_case import JSON, ControlCase
from aluvia.gateway.user_fields import MOST_FAULTS, MOST_RULES, RULE_CHARS, RULES_BYTES
from aluvia.store import accounts as stored
from aluvia.store.errors import StoreBusyError, StoreError


class UserTests(ControlCase):
    """Looking at an account."""

    async def test_get(self) -> None:
        """The account of the token, in its envelope, with a tag and a monitor."""
        reply = await self.user()
        self.assertEqual(reply.status, 200)
        self.assertEqual(
            reply.json(),
            {
                "success": True,
                "data": {
                    "proxy_username": "alice",
                    "proxy_password": self.made.proxy_password,
                    "rules": [],
                    "session_id": None,
                    "target_geo": None,
                },
            },
        )
        self.assertEqual(reply.fields["link"], '</v1/user/monitor>; rel="monitor"')
        self.assertEqual(reply.fields["cache-control"], "no-store")
        self.assertEqual(reply.fields["content-type"], "application/json")
        self.assertRegex(reply.fields["etag"], '^"[!-~]+"$')
        self.assertEqual(len(reply.body), int(reply.fields["content-length"]))

    async def test_head(self) -> None:
        """The same without its body."""
        reply = await self.user()
        headed = await self.ask("/v1/user", self.bearer, method="HEAD")
        self.assertEqual((headed.status, headed.body), (200, b""))
        self.assertEqual(headed.fields["etag"], reply.fields["etag"])

    async def test_not_modified(self) -> None:
        """304 to whoever has it, weakly, in a list or with a star; 200 to others."""
        etag = (await self.user()).fields["etag"]
        for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
            reply = await self.user(f"If-None-Match: {known}")
            self.assertEqual((reply.status, reply.body), (304, b""), known)
            self.assertEqual(reply.fields["etag"], etag)
            self.assertIn("link", reply.fields)
            self.assertNotIn("content-type", reply.fields)
        for known in ('"x"', etag[:-1], "x"):
            self.assertEqual((await self.user(f"If-None-Match: {known}")).status, 200)
        lines = [f"If-None-Match: {known}" for known in (f"W/{etag}", '"x"')]
        self.assertEqual((await self.user(*lines)).status, 304)

    async def test_tokens(self) -> None:
        """401 with a challenge for everything that is no token of ours."""
        for fields, code in (
            ([], "token_missing"),
            (["Authorization: Basic YTpi"], "token_malformed"),
            (["Authorization: Bearer"], "token_malformed"),
            (["Authorization: Bearer a b"], "token_malformed"),
            ([self.bearer, self.bearer], "token_malformed"),
            (["Authorization: Bearer nobody"], "token_invalid"),
            ([self.bearer + "x"], "token_invalid"),
        ):
            for target, method in (
                ("/v1/user", "GET"),
                ("/v1/user", "PATCH"),
                ("/v1/user/monitor", "GET"),
            ):
                reply = await self.ask(target, *fields, method=method)
                self.assert_problem(reply, 401, code)
                self.assertTrue(reply.fields["www-authenticate"].startswith("Bearer realm="))
                self.assertNotIn(self.made.token.encode(), reply.body)
        lower = self.bearer.replace("Bearer", "bearer")
        self.assertEqual((await self.ask("/v1/user", lower)).status, 200)

    async def test_token_in_the_query(self) -> None:
        """A token in a URL, where it would be logged, is none."""
        reply = await self.ask(f"/v1/user?access_token={self.made.token}")
        self.assert_problem(reply, 401, "token_missing")

    async def test_removed(self) -> None:
        """The token of an account that is gone is nobody's."""
        await self.store.write(lambda connection: stored.remove(connection, "alice"))
        await self.accounts.look_now()
        self.assert_problem(await self.user(), 401, "token_invalid")


class PatchTests(ControlCase):
    """Changing an account."""

    async def test_fields(self) -> None:
        """What is given changes, and what is not stays; the answer is what there is then."""
        first = await self.patch_user({"rules": ["*.example.com", "-a"], "session_id": "s"})
        self.assertEqual(first.status, 200)
        second = await self.patch_user({"target_geo": "us", "session_id": None})
        data = second.json()["data"]
        self.assertEqual(data["rules"], ["*.example.com", "-a"])
        self.assertEqual((data["session_id"], data["target_geo"]), (None, "us"))
        got = await self.user()
        self.assertEqual(got.body, second.body)
        self.assertEqual(got.fields["etag"], second.fields["etag"])
        self.assertNotEqual(first.fields["etag"], second.fields["etag"])

    async def test_on_the_disk(self) -> None:
        """What was answered is in the file."""
        await self.patch_user({"rules": ["é"]})
        (account,) = await (await self.open()).read(stored.every)
        self.assertEqual(account.rules, ("é",))

    async def test_nothing(self) -> None:
        """What changes nothing keeps the tag."""
        etag = (await self.user()).fields["etag"]
        bodies: list[dict[str, object]] = [{}, {"rules": []}, {"session_id": None}]
        for body in bodies:
            reply = await self.patch_user(body)
            self.assertEqual((reply.status, reply.fields["etag"]), (200, etag))

    async def test_if_match(self) -> None:
        """With If-Match only what was seen is changed; a weak tag is not good enough."""
        etag = (await self.user()).fields["etag"]
        for seen in ('"x"', f"W/{etag}", ""):
            reply = await self.patch_user({"session_id": "no"}, f"If-Match: {seen}")
            self.assert_problem(reply, 412, "changed_meanwhile")
            self.assertEqual(reply.fields["etag"], etag)
        reply = await self.patch_user({"session_id": "a"}, f"If-Match: {etag}")
        self.assertEqual(reply.status, 200)
        again = await self.patch_user({"session_id": "b"}, f"If-Match: {etag}")
        self.assert_problem(again, 412, "changed_meanwhile")
        self.assertEqual((await self.patch_user({}, "If-Match: *")).json(), reply.json())
        lines = [f"If-Match: {seen}" for seen in (reply.fields["etag"], '"x"')]
        self.assertEqual((await self.patch_user({"session_id": "c"}, *lines)).status, 200)

    async def test_faults(self) -> None:
        """422 with each fault and where it is; nothing is changed."""
        before = (await self.user()).body
        cases: list[tuple[object, list[str]]] = [
            ([], [""]),
            ("rules", [""]),
            ({"rules": None}, ["/rules"]),
            ({"rules": "a,b"}, ["/rules"]),
            ({"rules": {"items": []}}, ["/rules"]),
            ({"rules": ["a", 5, None, "b", ["c"]]}, ["/rules/1", "/rules/2", "/rules/4"]),
            ({"rules": ["x" * (RULE_CHARS + 1)]}, ["/rules/0"]),
            ({"rules": ["\ud800"]}, ["/rules/0"]),
            ({"rules": ["a"] * (MOST_RULES + 1)}, ["/rules"]),
            ({"session_id": 5, "target_geo": ""}, ["/session_id", "/target_geo"]),
            ({"session_id": "x" * 65}, ["/session_id"]),
            ({"session_id": "a\nb"}, ["/session_id"]),
            ({"target_geo": "é"}, ["/target_geo"]),
            ({"proxy_password": "x", "rules": []}, ["/proxy_password"]),
            ({"a/b~c": 1}, ["/a~1b~0c"]),
        ]
        for body, pointers in cases:
            self.clock.advance(SECONDS_PER_CHANGE)
            reply = await self.patch_user(body)
            self.assert_problem(reply, 422, "invalid_fields")
            problem = reply.json()
            self.assertEqual([fault["pointer"] for fault in problem["errors"]], pointers)
            self.assertEqual(problem["error"]["details"], problem["errors"])
        self.assertEqual((await self.user()).body, before)

    async def test_many_faults(self) -> None:
        """Not more of them are told than somebody reads."""
        bodies: list[dict[str, object]] = [
            {"rules": [1] * MOST_RULES},
            {str(number): 1 for number in range(10_000)},
            {"rules": [1] * 60} | {str(number): 1 for number in range(60)},
        ]
        for body in bodies:
            reply = await self.patch_user(body)
            self.assert_problem(reply, 422, "invalid_fields")
            self.assertEqual(len(reply.json()["errors"]), MOST_FAULTS)

    async def test_too_often(self) -> None:
        """
        An account may be changed so many times at once, and then so often; the others as before.
        """
        bob = await self.add("bob")
        await self.accounts.look_now()
        for number in range(CHANGES_AT_ONCE):
            self.assertEqual((await self.patch_user({"session_id": str(number)})).status, 200)
        for body in ({"session_id": "no"}, {}, "no object"):
            reply = await self.patch_user(body)
            self.assert_problem(reply, 429, "too_many_changes")
        self.assertEqual((await self.user()).json()["data"]["session_id"], str(number))
        wait = int(reply.fields["retry-after"])
        self.assertEqual(wait, 1)
        bearer, self.bearer = self.bearer, f"Authorization: Bearer {bob.token}"
        self.assertEqual((await self.patch_user({"session_id": "bob"})).status, 200)
        self.bearer = bearer
        self.clock.advance(wait)
        self.assertEqual((await self.patch_user({"session_id": "yes"})).status, 200)
        self.assert_problem(await self.patch_user({"session_id": "no"}), 429, "too_many_changes")

    async def test_made_anew(self) -> None:
        """The token of an account that was removed neither changes nor shows its successor."""
        await self.store.write(lambda connection: stored.remove(connection, "alice"))
        again = await self.add()
        reply = await self.patch_user({"session_id": "stranger"})
        self.assert_problem(reply, 401, "token_invalid")
        self.assertNotIn(again.proxy_password.encode(), reply.body)
        (account,) = await self.store.read(stored.every)
        self.assertIsNone(account.session_id)

    async def test_long_rules(self) -> None:
        """Rules that are too long together are refused, however few their bytes were on the way."""
        rules = ["é" * 300] * (RULES_BYTES // 1800 + 1)
        reply = await self.patch_user(json.dumps({"rules": rules}, ensure_ascii=False).encode())
        self.assert_problem(reply, 422, "invalid_fields")
        self.assertEqual([each["pointer"] for each in reply.json()["errors"]], ["/rules"])

    async def test_no_json(self) -> None:
        """400 for what is no JSON, however deep."""
        for body in (b"", b"{", b"\xff", b"nope", b"[" * 100_000, '"é"'.encode("utf-16")):
            reply = await self.ask("/v1/user", self.bearer, JSON, method="PATCH", body=body or b" ")
            self.assert_problem(reply, 400, "invalid_json")

    async def test_content_type(self) -> None:
        """415 for what does not say that it is JSON; a charset and a merge patch are fine."""
        for content_type, status in (
            ("application/json", 200),
            ("Application/JSON; charset=utf-8", 200),
            ("application/merge-patch+json", 200),
            ("text/plain", 415),
            ("application/x-www-form-urlencoded", 415),
            ("application/jsonx", 415),
            ("", 415),
        ):
            self.clock.advance(SECONDS_PER_CHANGE)
            reply = await self.ask(
                "/v1/user",
                self.bearer,
                f"Content-Type: {content_type}",
                method="PATCH",
                body=b"{}",
            )
            self.assertEqual(reply.status, status, content_type)
            if status == 415:
                self.assert_problem(reply, 415, "unsupported_media_type")
                self.assertIn("application/json", reply.fields["accept-patch"])

    async def test_longest(self) -> None:
        """The longest rules that are taken are given back whole, within a client's 1 MiB."""
        rule = '"\\' * 128
        rules = [rule] * ((RULES_BYTES - 100) // (len(json.dumps(rule)) + 2))
        self.assertEqual((await self.patch_user({"rules": rules})).status, 200)
        reply = await self.user()
        self.assertEqual(reply.json()["data"]["rules"], rules)
        self.assertLess(len(reply.body), 1_048_576)

    async def test_concurrent(self) -> None:
        """
        Of 6 changes at once, each of what was seen, none undoes another; whoever is told to come
        back later does so.
        """
        done: list[int] = []

        async def append(number: int) -> None:
            while number not in done:
                seen = await self.user()
                rules = [*seen.json()["data"]["rules"], str(number)]
                etag = seen.fields["etag"]
                reply = await self.patch_user({"rules": rules}, f"If-Match: {etag}")
                if reply.status == 200:
                    done.append(number)
                elif reply.status == 429:
                    self.clock.advance(int(reply.fields["retry-after"]))
                else:
                    self.assert_problem(reply, 412, "changed_meanwhile")

        await gatherResults([Deferred.fromCoroutine(append(number)) for number in range(6)])
        rules = (await self.user()).json()["data"]["rules"]
        self.assertEqual(sorted(rules, key=int), [str(number) for number in range(6)])

    async def test_store(self) -> None:
        """503 if it cannot be kept, or too much waits; 401 if the account is gone meanwhile."""
        logged: list[dict[str, typing.Any]] = []
        self.patch(self.api._log, "observer", logged.append)
        for error, code in (
            (StoreError("the disk is full"), "store_unavailable"),
            (StoreBusyError("too much"), "busy"),
        ):

            async def fail(job: object, error: StoreError = error) -> typing.NoReturn:
                raise error

            self.patch(self.store, "write", fail)
            reply = await self.patch_user({"session_id": "x"})
            self.assert_problem(reply, 503, code)
            self.assertNotIn(b"disk", reply.body)
        self.assertEqual(len(logged), 1)


class MonitorTests(ControlCase):
    """Waiting for a change."""

    async def etag(self) -> str:
        """Of the account."""
        return f"If-None-Match: {(await self.user()).fields['etag']}"

    async def test_change(self) -> None:
        """It is answered when the account changes, with what it is then."""
        waiting = self.begin("/v1/user/monitor?wait=25", self.bearer, await self.etag())
        self.clock.advance(24)
        self.assertEqual(waiting.value(), b"")
        self.assertEqual(self.watch.waiting, 1)
        changed = await self.patch_user({"rules": ["*"]})
        reply = Reply(waiting.value())
        self.assertEqual((reply.status, reply.body), (200, changed.body))
        self.assertEqual(reply.fields["etag"], changed.fields["etag"])

    async def test_other_process(self) -> None:
        """A change of another process is seen too; a change of another account is none."""
        other = await self.open()
        waiting = self.begin("/v1/user/monitor", self.bearer, await self.etag())
        await other.write(lambda connection: stored.add(connection, "bob", 0.0))
        await self.accounts.look_now()
        self.assertEqual(waiting.value(), b"")
        await other.write(lambda connection: stored.rotate_password(connection, "alice", 0.0))
        await self.accounts.look_now()
        self.assertEqual(Reply(waiting.value()).status, 200)

    async def test_time(self) -> None:
        """When the time is over it is as any GET; 25 seconds if none were given, 60 at most."""
        for query, seconds in (("", 25), ("?wait=2", 2), ("?wait=60", 60), ("?wait=999", 60)):
            waiting = self.begin(f"/v1/user/monitor{query}", self.bearer, await self.etag())
            self.clock.advance(seconds - 0.5)
            self.assertEqual(waiting.value(), b"")
            self.clock.advance(0.5)
            self.assertEqual(Reply(waiting.value()).status, 304)

    async def test_at_once(self) -> None:
        """Who has an older state is answered at once, and so is ``wait=0``."""
        reply = await self.ask("/v1/user/monitor", self.bearer, 'If-None-Match: "old"')
        self.assertEqual(reply.status, 200)
        waiting = self.begin("/v1/user/monitor?wait=0", self.bearer, await self.etag())
        self.clock.advance(0)
        self.assertEqual(Reply(waiting.value()).status, 304)

    async def test_bad_wait(self) -> None:
        """What is no number of seconds is 400."""
        for query in ("wait=x", "wait=-1", "wait=", "wait=1.5", "wait=1&wait=2", "wait=99999"):
            reply = await self.ask(f"/v1/user/monitor?{query}", self.bearer)
            if query == "wait=":
                # Nothing is given there, as twisted.web reads it.
                continue
            self.assert_problem(reply, 400, "bad_wait")

    async def test_bound(self) -> None:
        """So many may wait for an account; one more is told when to come back."""
        waiting = [self.begin("/v1/user/monitor", self.bearer) for _ in range(3)]
        reply = await self.ask("/v1/user/monitor", self.bearer)
        self.assert_problem(reply, 503, "busy")
        self.assertEqual(reply.fields["retry-after"], "5")
        waiting[0].leave()
        self.assertEqual(self.watch.waiting, 2)
        self.begin("/v1/user/monitor", self.bearer)
        self.assertEqual(self.watch.waiting, 3)

    async def test_removed(self) -> None:
        """The account is gone: so is the token's worth."""
        waiting = self.begin("/v1/user/monitor", self.bearer)
        await self.store.write(lambda connection: stored.remove(connection, "alice"))
        await self.accounts.look_now()
        self.assert_problem(Reply(waiting.value()), 401, "token_invalid")

    async def test_end(self) -> None:
        """At the end of the gateway it is answered at once."""
        waiting = self.begin("/v1/user/monitor", self.bearer, await self.etag())
        self.watch.end()
        self.assertEqual(Reply(waiting.value()).status, 304)
