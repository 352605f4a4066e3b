"""Authenticators of a configuration."""

from __future__ import annotations

import typing

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.api.problems import Problem
from aluvia.edge.auth import Authenticators, Means, authenticator_for
from aluvia.edge.auth_basic import BasicAuthenticator
from aluvia.edge.auth_bearer import BearerAuthenticator
from aluvia.edge.auth_entry_point import EntryPointAuthenticator
from aluvia.edge.auth_hook import HookAuthenticator
from aluvia.edge.model import (
    AuthProvider,
    BasicProvider,
    BearerProvider,
    EntryPointProvider,
    HookProvider,
)
from aluvia.edge.passwords import hash_token
from aluvia.edge.test.auth_case import UPGRADE, ByHand, asked, cheap_hash, verdict_now
from aluvia.edge.test.test_auth_entry_point import point
from aluvia.edge.verdicts import Admitted, Denied
from aluvia.net.dial import Dialers

TOKENS = BearerProvider(id="t", tokens=(("ci", hash_token("t")),))
BASIC = BasicProvider(id="b", users=(("a", cheap_hash("b")),))
HOOK = HookProvider(id="h", url="http://hook.example/")
CALLABLE = EntryPointProvider(id="e", entry_point="members")
EVERY: dict[str, AuthProvider] = {each.id: each for each in (TOKENS, BASIC, HOOK, CALLABLE)}
BASIC_OF_A = (b"Authorization", b"Basic YTpi")

pending: list[Deferred[bool]] = []


def judge(request: object) -> Deferred[bool]:
    """Judge later."""
    pending.append(Deferred())
    return pending[-1]


class AuthenticatorsTests(SynchronousTestCase):
    """They are made, kept, replaced and stopped."""

    def setUp(self) -> None:
        """Nothing is configured."""
        pending.clear()
        self.clock = Clock()
        self.threads = ByHand()
        self.means = Means(
            reactor=self.clock,
            dialers=Dialers(),
            threads=self.threads,
            find=lambda *, group, name: [point(f"{__name__}:judge")],
        )
        self.authenticators = Authenticators(self.means)

    def put(self, **changes: AuthProvider | None) -> None:
        """Put every provider in force, but for these."""
        providers = {**EVERY, **changes}
        prepared = self.authenticators.prepared(
            {k: v for k, v in providers.items() if v is not None}
        )
        prepared.apply()
        self.now = prepared.by_id

    def test_kinds(self) -> None:
        """Each kind of provider has a kind of authenticator."""
        for provider, kind in (
            (TOKENS, BearerAuthenticator),
            (BASIC, BasicAuthenticator),
            (HOOK, HookAuthenticator),
            (CALLABLE, EntryPointAuthenticator),
        ):
            self.assertIsInstance(authenticator_for(provider, self.means), kind)

    def test_websockets_skipping_auth(self) -> None:
        """No kind lets an upgrade pass unasked."""
        self.put(h=None)
        for name in ("t", "b"):
            verdict = verdict_now(self.now[name], asked(*UPGRADE))
            self.assertIsInstance(verdict, Denied)
        self.assertIsInstance(self.now["e"].ask(asked(*UPGRADE)), Deferred)

    def test_kept(self) -> None:
        """One whose provider stays as it is stays, whatever happens to others."""
        self.put()
        before = {name: self.now[name] for name in EVERY}
        self.put(
            t=BearerProvider(id="t", realm="new", revision=7),
            b=BasicProvider(id="b", users=BASIC.users, revision=8),
        )
        kept = [name for name in EVERY if self.now[name] is before[name]]
        self.assertEqual(kept, ["b", "h", "e"])

    def test_replaced(self) -> None:
        """What was verified for a provider is forgotten when it changes."""
        self.put()
        self.now["b"].ask(asked(BASIC_OF_A))
        self.threads.work()
        self.assertIsInstance(verdict_now(self.now["b"], asked(BASIC_OF_A)), Admitted)
        self.put(b=BasicProvider(id="b", users=(("a", cheap_hash("c")),)))
        self.assertIsInstance(self.now["b"].ask(asked(BASIC_OF_A)), Deferred)

    def test_prepared_only(self) -> None:
        """What is prepared is not in force before it is said, and takes nothing's place."""
        self.put()
        before = self.now["t"]
        other = self.authenticators.prepared({"t": BearerProvider(id="t")})
        self.assertIsNot(other.by_id["t"], before)
        self.put()
        self.assertIs(self.now["t"], before)
        self.assertIsInstance(self.now["b"], BasicAuthenticator)

    def test_gone(self) -> None:
        """There is none of a provider that there is not."""
        self.put()
        self.put(t=None)
        self.assertNotIn("t", self.now)

    def test_bad(self) -> None:
        """Each that cannot be made is told by its place, and nothing changes."""
        self.put()
        before = self.now
        with self.assertRaises(Problem) as caught:
            self.put(
                h=HookProvider(id="h", url="ftp://x"),
                t=None,
                b=BasicProvider(id="b", users=(("a", "canary"),)),
            )
        faults = caught.exception.faults
        places = [
            f"/authProviders/{at}"
            for at, name in enumerate(n for n in EVERY if n != "t")
            if name in "bh"
        ]
        self.assertEqual([fault.pointer for fault in faults], places)
        self.put()
        self.assertEqual(self.now, before)

    def test_what_is_under_way_is_not_lost(self) -> None:
        """Who has asked one that is replaced gets its answer."""
        self.put()
        verdict = self.now["e"].ask(asked())
        assert isinstance(verdict, Deferred)
        self.put(e=None)
        self.assertNoResult(verdict)
        pending[0].callback(True)
        self.assertEqual(self.successResultOf(verdict), Admitted())

    def test_stop(self) -> None:
        """At the end all that is under way is denied, also of those that are replaced."""
        self.put(h=None)
        verdicts = [self.now["e"].ask(asked())]
        self.put(h=None, e=EntryPointProvider(id="e", entry_point="members", timeout=1.0))
        verdicts.append(self.now["e"].ask(asked()))
        self.successResultOf(Deferred.fromCoroutine(self.authenticators.stop()))
        for each in verdicts:
            assert isinstance(each, Deferred)
            self.assertEqual(typing.cast(Denied, self.successResultOf(each)).status, 503)
        self.assertEqual(self.clock.getDelayedCalls(), [])
