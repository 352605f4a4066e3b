"""Tests for documents of providers: :mod:`aluvia.edge.provider_fields`."""

from __future__ import annotations

import typing

from aluvia.edge import bounds
from aluvia.edge.fields import provider_document, read_provider
from aluvia.edge.model import (
    AuthProvider,
    BasicProvider,
    BearerProvider,
    EntryPointProvider,
    HookProvider,
)
from aluvia.edge.test.fields_case import CANARY, SCRYPT, FieldsCase, ids

HASH, OTHER, NEW = SCRYPT + CANARY * 2, SCRYPT + "A" * 43, SCRYPT + "Q" * 43
DIGEST = "ab" * 32


class ProviderCase(FieldsCase):
    """A test of providers."""

    def read(self, before: AuthProvider | None = None, **members: object) -> AuthProvider:
        """Read a document."""
        return read_provider({"id": "p"} | members, ids(), before).value

    def refuse(self, *expected: tuple[str, str], **members: object) -> None:
        """A document has these faults."""
        self.assert_told(self.told(self.read, **members), *expected)


class TypeTests(ProviderCase):
    """Which kinds there are."""

    def test_all(self) -> None:
        """Each is read, shown and read again."""
        cases: list[tuple[dict[str, typing.Any], AuthProvider]] = [
            (
                {
                    "id": "p",
                    "type": "basic",
                    "realm": 'Staff "only"',
                    "users": [{"name": "ann", "passwordHash": HASH}],
                },
                BasicProvider(id="p", realm='Staff "only"', users=(("ann", HASH),)),
            ),
            (
                {
                    "id": "p",
                    "type": "bearer",
                    "realm": "restricted",
                    "tokens": [{"name": "ci: x", "tokenHash": DIGEST}],
                },
                BearerProvider(id="p", tokens=(("ci: x", DIGEST),)),
            ),
            (
                {
                    "id": "p",
                    "type": "hook",
                    "url": "https://auth.example:8443/ask?x=1",
                    "timeout": 2.5,
                    "requestHeaders": ["Cookie", "Authorization"],
                    "copyHeaders": ["X-Forwarded-User"],
                },
                HookProvider(
                    id="p",
                    url="https://auth.example:8443/ask?x=1",
                    timeout=2.5,
                    request_headers=("Cookie", "Authorization"),
                    copy_headers=("X-Forwarded-User",),
                ),
            ),
            (
                {
                    "id": "p",
                    "type": "entryPoint",
                    "entryPoint": "my.auth-1",
                    "timeout": 5,
                    "copyHeaders": [],
                },
                EntryPointProvider(id="p", entry_point="my.auth-1"),
            ),
        ]
        for document, provider in cases:
            self.assertEqual(self.read(**document), provider)
            shown = provider_document(provider, secrets=True)
            self.assertEqual(shown, document)
            self.assertEqual(list(shown), list(document))
            # Hashes are not shown, and then not lost.
            self.assertEqual(self.read(provider, **provider_document(provider)), provider)
            self.assertNotIn("ash", str(provider_document(provider)))

    def test_defaults(self) -> None:
        """A realm and nobody in it; a hook that is waited for for five seconds."""
        self.assertEqual(self.read(type="basic"), BasicProvider(id="p"))
        self.assertEqual(self.read(type="bearer"), BearerProvider(id="p"))
        hook = self.read(type="hook", url="http://a/")
        self.assertEqual(hook, HookProvider(id="p", url="http://a/", timeout=5.0))

    def test_type(self) -> None:
        """It is one of four; without it, nothing can be said of the rest."""
        others: list[object] = [None, "Basic", 1, [], {}]
        for given in others:
            self.refuse(("/type", "basic, bearer, hook, entryPoint"), type=given, users=5)
        self.refuse(("/type", "must be one of"))
        self.assertEqual(self.told(read_provider, "basic", ids()), [("", "must be an object")])

    def test_members(self) -> None:
        """Each type has its own."""
        self.refuse(
            ("/url", "is unknown"), ("/tokens", "is unknown"), type="basic", url=1, tokens=1
        )
        self.refuse(("/url", "is missing"), ("/users", "is unknown"), type="hook", users=[])
        self.refuse(("/entryPoint", "is missing"), type="entryPoint")

    def test_id(self) -> None:
        """It is made, or stays; also where the type becomes another."""
        read = read_provider({"type": "basic"}, ids())
        self.assertEqual(read.value.id, "id-1")
        before = BearerProvider(id="kept", tokens=(("a", DIGEST),))
        changed = read_provider({"type": "basic"}, ids(), before)
        self.assertEqual(changed.value, BasicProvider(id="kept"))
        told = self.told(self.read, before, type="basic")
        self.assert_told(told, ("/id", "cannot be changed"))
        document = {"type": "basic", "users": [{"name": "a"}]}
        told = self.told(read_provider, document, ids(), before)
        self.assert_told(told, ("/users/0/passwordHash", "is missing"))


class SecretTests(ProviderCase):
    """Users and tokens."""

    def test_plain(self) -> None:
        """A password or a token as it is does not belong here, and is not repeated."""
        self.refuse(
            ("/users/0/password", "give passwordHash"),
            type="basic",
            users=[{"name": "a", "password": CANARY}],
        )
        self.refuse(
            ("/tokens/0/token", "give tokenHash"),
            type="bearer",
            tokens=[{"name": "a", "token": CANARY}],
        )

    def test_hashes(self) -> None:
        """That of a password is scrypt's, that of a token what SHA-256 is."""
        for value, part in (
            ("", "1 to 512"),
            (f"{CANARY} x", "That is no hash like"),
            (f"$2b$12${CANARY}", "That is no hash like"),
            (HASH.replace("ln=14", "ln=9"), "protects nothing"),
            (HASH.replace("ln=14", "ln=40"), "take too much"),
            (f"{SCRYPT}AAAA", "the hash 16 to 64"),
            (f"{HASH}A", "no base64"),
        ):
            self.refuse(
                ("/users/0/passwordHash", part),
                type="basic",
                users=[{"name": "a", "passwordHash": value}],
            )
        for digest in (CANARY, DIGEST[1:], DIGEST + "a", "g" * 64, 5, None, "\uff11" * 64):
            self.refuse(
                ("/tokens/0/tokenHash", "SHA-256"),
                type="bearer",
                tokens=[{"name": "a", "tokenHash": digest}],
            )
        upper = self.read(type="bearer", tokens=[{"name": "a", "tokenHash": DIGEST.upper()}])
        self.assertEqual(upper, BearerProvider(id="p", tokens=(("a", DIGEST),)))

    def test_every_bad_hash(self) -> None:
        """Each is told by its place, and not by its user's name, which may be a secret too."""
        users = [
            {"name": f"{CANARY}{at}/~", "passwordHash": "x" if at % 2 else HASH} for at in range(5)
        ]
        told = self.told(self.read, type="basic", users=users)
        expected = [(f"/users/{at}/passwordHash", "That is no hash like") for at in (1, 3)]
        self.assert_told(told, *expected)
        self.assertNotIn(CANARY, str(told))

    def test_names(self) -> None:
        """A user's name ends at a colon, so it has none; two are not the same."""
        good = ["ann", "Ann", "bob smith", "änne", "a" * 256]
        users = [{"name": name, "passwordHash": HASH} for name in good]
        read = self.read(type="basic", users=users)
        assert isinstance(read, BasicProvider)
        self.assertEqual([name for name, _ in read.users], good)
        for name, part in {
            "a:b": "without a colon",
            " a": "no blank",
            "a\n": "visible",
            "a\x85": "visible",
            "\ud800": "visible",
            "": "1 to 256",
            "a" * 257: "1 to 256",
            "ä" * 129: "256 bytes",
        }.items():
            user = {"name": name, "passwordHash": HASH}
            self.refuse(("/users/0/name", part), type="basic", users=[user])
        self.refuse(
            ("/users/1/name", "item 0"),
            ("/users/2/name", "is missing"),
            ("/users/3", "must be an object"),
            type="basic",
            users=[
                {"name": "\u00e9", "passwordHash": HASH},
                {"name": "e\u0301", "passwordHash": HASH},
                {"passwordHash": HASH},
                "ann",
            ],
        )

    def test_kept(self) -> None:
        """A name keeps its hash; a new name needs one."""
        before = BasicProvider(id="p", users=(("ann", HASH), ("bob", OTHER)))
        users: list[dict[str, str]] = [{"name": "bob"}, {"name": "ann", "passwordHash": NEW}]
        after = self.read(before, type="basic", users=users)
        self.assertEqual(after, BasicProvider(id="p", users=(("bob", OTHER), ("ann", NEW))))
        users.append({"name": "eve"})
        told = self.told(self.read, before, type="basic", users=users)
        self.assert_told(told, ("/users/2/passwordHash", "is missing"))

    def test_bounds(self) -> None:
        """There are so many."""
        self.refuse(("/users", "at most"), type="basic", users=[{}] * (bounds.USERS + 1))
        self.refuse(("/tokens", "at most"), type="bearer", tokens=[{}] * (bounds.TOKENS + 1))
        self.refuse(("/users", "a list"), ("/realm", "visible"), type="basic", users={}, realm="ä")


class AskedTests(ProviderCase):
    """Hooks and entry points."""

    def test_urls(self) -> None:
        """They are complete, and without what would be shown to all who read them."""
        for url, canonical in {
            "HTTP://Auth.Example.": "http://auth.example/",
            "http://127.1:80/a": "http://127.0.0.1:80/a",
            "https://[::1]/?q": "https://[::1]/?q",
        }.items():
            self.assertEqual(self.read(type="hook", url=url), HookProvider(id="p", url=canonical))
        for url in (
            f"http://ann:{CANARY}@a/",
            "ftp://a/",
            "a/b",
            "/a",
            "http:a",
            "http://a/#b",
            "http://a/ b",
            "http://ä/",
            "http:///a",
            "http://a:0/",
        ):
            self.refuse(("/url", "a URL with http: or https:"), type="hook", url=url)
        self.refuse(("/url", "1 to 2048"), type="hook", url="http://a/" + "a" * 2040)
        self.refuse(("/url", "a string"), type="hook", url=None)

    def test_fields(self) -> None:
        """They are names; what the edge writes itself is not taken from an answer."""
        hook = self.read(
            type="hook", url="http://a/", requestHeaders=["Cookie", "cookie"], copyHeaders=["X-A"]
        )
        assert isinstance(hook, HookProvider)
        self.assertEqual(hook.request_headers, ("Cookie",))
        self.refuse(
            ("/requestHeaders/0", "name of a header field"),
            ("/copyHeaders/0", "writes itself"),
            ("/copyHeaders/1", "writes itself"),
            ("/copyHeaders/2", "writes itself"),
            ("/copyHeaders/3", "must be a string"),
            type="hook",
            url="http://a/",
            requestHeaders=["a b"],
            copyHeaders=["Host", "x_forwarded_for", "Transfer-Encoding", 5],
        )
        names = ["X"] * (bounds.HEADER_NAMES + 1)
        self.refuse(
            ("/copyHeaders", "at most"), type="entryPoint", entryPoint="a", copyHeaders=names
        )

    def test_entry_point(self) -> None:
        """It is a name, and it is waited for for a while."""
        self.refuse(
            ("/entryPoint", "letters, digits"),
            ("/timeout", "up to 300"),
            type="entryPoint",
            entryPoint="a = b",
            timeout=301,
        )
