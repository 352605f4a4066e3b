"""Passwords and tokens in documents."""

from __future__ import annotations

import copy
import hashlib
import typing

from hypothesis import given
from hypothesis import strategies as some
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from aluvia.api.problems import Problem
from aluvia.edge import passwords
from aluvia.edge.model import AuthProvider, BasicProvider, HookProvider
from aluvia.edge.password_hashes import verify
from aluvia.edge.passwords import hash_secrets, hash_secrets_now
from aluvia.edge.test.auth_case import ByHand, cheap_hash
from aluvia.testing.properties import settings_for_tests


def basic(*users: typing.Any, **more: typing.Any) -> dict[str, typing.Any]:
    """A provider's document."""
    return {"id": "staff", "type": "basic", "users": list(users), **more}


class DocumentTests(SynchronousTestCase):
    """What comes out of a document."""

    def setUp(self) -> None:
        """Hashes that cost nothing."""
        self.patch(passwords, "hash_password", cheap_hash)

    def faults(self, document: object) -> list[str]:
        """The pointers of what is wrong with it."""
        with self.assertRaises(Problem) as caught:
            hash_secrets_now(document)
        problem = caught.exception
        self.assertEqual(problem.status, 422)
        self.assertNotIn("canary", str(problem.body()))
        return [fault.pointer for fault in problem.faults]

    def test_provider(self) -> None:
        """In a provider a password becomes its hash, in its place, and nothing else changes."""
        document = basic({"password": "a:b", "name": "alice"}, {"name": "bob", "passwordHash": "x"})
        before = copy.deepcopy(document)
        hashed = hash_secrets_now(document)
        self.assertEqual(document, before)
        alice, bob = hashed.pop("users")
        self.assertEqual(list(alice), ["passwordHash", "name"])
        self.assertTrue(verify("a:b", alice["passwordHash"]))
        self.assertEqual(bob, {"name": "bob", "passwordHash": "x"})
        del before["users"]
        self.assertEqual(hashed, before)

    def test_snapshot(self) -> None:
        """In a whole snapshot those of every provider do."""
        document: dict[str, typing.Any] = {
            "routes": [{"users": [{"password": "stays"}]}],
            "authProviders": [
                basic({"name": "alice", "password": "a"}),
                {"id": "t", "type": "bearer", "tokens": [{"name": "ci", "token": "t"}]},
                basic({"name": "alice", "password": "b"}, id="other"),
                "nonsense",
            ],
        }
        hashed = hash_secrets_now(document)
        self.assertEqual(hashed["routes"], document["routes"])
        staff, tokens, other, nonsense = hashed["authProviders"]
        self.assertTrue(verify("a", staff["users"][0]["passwordHash"]))
        self.assertTrue(verify("b", other["users"][0]["passwordHash"]))
        digest = hashlib.sha256(b"t").hexdigest()
        self.assertEqual(tokens["tokens"], [{"name": "ci", "tokenHash": digest}])
        self.assertEqual(nonsense, "nonsense")

    def test_left_to_the_reader(self) -> None:
        """What is not as it should be comes out as it went in."""
        documents: tuple[typing.Any, ...] = (
            *(None, 1, "x", [], {}, {"users": None}, {"users": {"alice": {"password": "a"}}}),
            *({"authProviders": 3}, {"authProviders": [[]]}, basic("alice", None, [])),
            *(basic({"name": "a", "password": 7}), basic({"name": "a", "token": "t"})),
        )
        for document in documents:
            self.assertEqual(hash_secrets_now(document), document)

    def test_faults(self) -> None:
        """All that can be no password or token is told at once, with pointers, and not quoted."""
        bad = basic(
            {"name": "a", "password": "canary\n"},
            {"name": "b", "password": ""},
            {"name": "c", "password": "fine"},
            {"name": "d", "password": "canary", "passwordHash": "x"},
            {"name": "e", "password": "canary" * 1000},
        )
        pointers = [f"/users/{at}/password" for at in (0, 1, 3, 4)]
        self.assertEqual(self.faults(bad), pointers)
        tokens = {"tokens": [{"token": ""}, {"token": "canary\udc80"}, {"token": "t"}]}
        self.assertEqual(
            self.faults({"authProviders": [{}, tokens]}),
            ["/authProviders/1/tokens/0/token", "/authProviders/1/tokens/1/token"],
        )

    def test_too_many(self) -> None:
        """A document of more passwords than can be hashed in a minute is refused."""
        users = [{"name": f"u{at}", "password": "p"} for at in range(passwords.MOST_PASSWORDS)]
        self.assertEqual(len(hash_secrets_now(basic(*users))["users"]), len(users))
        self.assertEqual(self.faults(basic(*users, {"name": "v", "password": "p"})), [""])

    def test_the_same_password_keeps_its_hash(self) -> None:
        """What is read a second time says what it said before; another password does not."""
        known: dict[str, AuthProvider] = {
            "staff": BasicProvider(id="staff", users=(("alice", cheap_hash("a", b"old salt")),)),
            "hook": HookProvider(id="hook", url="http://h"),
        }
        provider = known["staff"]
        assert isinstance(provider, BasicProvider)
        before = provider.users[0][1]
        again = hash_secrets_now(basic({"name": "alice", "password": "a"}), known)
        self.assertEqual(again["users"][0]["passwordHash"], before)
        for user, password, name in (("alice", "b", "staff"), ("bob", "a", "staff")):
            other = hash_secrets_now(basic({"name": user, "password": password}, id=name), known)
            self.assertNotEqual(other["users"][0]["passwordHash"], before)
            self.assertTrue(verify(password, other["users"][0]["passwordHash"]))
        for provider_id in ("hook", "new", None):
            document = basic({"name": "alice", "password": "a"}, id=provider_id)
            other = hash_secrets_now(document, known)
            self.assertNotEqual(other["users"][0]["passwordHash"], before)

    @settings_for_tests
    @given(
        some.recursive(
            some.none() | some.integers() | some.text(max_size=3),
            lambda inner: (
                some.lists(inner, max_size=3)
                | some.dictionaries(
                    some.sampled_from(["authProviders", "users", "tokens", "name", "id", "x"]),
                    inner,
                )
            ),
        )
    )
    def test_anything_else(self, document: object) -> None:
        """A document without passwords and tokens comes out as it went in."""
        self.assertEqual(hash_secrets_now(document), document)


class ThreadTests(SynchronousTestCase):
    """Where it is done."""

    def setUp(self) -> None:
        """Hashes that cost nothing."""
        self.patch(passwords, "hash_password", cheap_hash)
        self.threads = ByHand()

    def begin(self, document: object) -> Deferred[typing.Any]:
        """Begin to hash."""
        return Deferred.fromCoroutine(hash_secrets(document, self.threads))

    def test_one_after_the_other(self) -> None:
        """A document takes one place among those who wait for a thread, however long it is."""
        hashing = self.begin(basic(*({"name": f"u{at}", "password": f"p{at}"} for at in range(3))))
        for _ in range(3):
            self.assertNoResult(hashing)
            self.assertEqual(self.threads.work(), 1)
        users = self.successResultOf(hashing)["users"]
        for at, user in enumerate(users):
            self.assertTrue(verify(f"p{at}", user["passwordHash"]))

    def test_nothing_to_do(self) -> None:
        """Without passwords no thread is asked, tokens or not."""
        self.successResultOf(self.begin({"tokens": [{"token": "t"}]}))
        self.assertEqual(self.threads.waiting, [])

    def test_no_thread(self) -> None:
        """Where there is no thread for it, it can be tried again."""
        self.threads.full = True
        hashing = self.begin(basic({"name": "a", "password": "p"}))
        problem = self.failureResultOf(hashing, Problem).value
        self.assertEqual((problem.status, problem.fields), (503, ((b"Retry-After", b"1"),)))

    def test_given_up(self) -> None:
        """Who waits no more leaves nothing behind."""
        hashing = self.begin(basic({"name": "a", "password": "p"}))
        hashing.cancel()
        self.failureResultOf(hashing)
        self.assertEqual((self.threads.given_up, self.threads.waiting), (1, []))
