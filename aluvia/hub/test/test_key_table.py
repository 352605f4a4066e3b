"""Tests for :mod:`aluvia.hub.key_table` and :mod:`aluvia.hub.fixed_keys`."""

from __future__ import annotations

import hmac
import typing

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.hub import key_table
from aluvia.hub.fixed_keys import FixedKeys
from aluvia.hub.keys import Keys, Permit
from aluvia.store.tokens import hash_of

KEY = "alv_agent_" + "k" * 43
OTHER = "alv_agent_" + "o" * 43


class KeyTableTests(SynchronousTestCase):
    """Keys that come, go and expire."""

    def setUp(self) -> None:
        """Nothing yet; what is told is counted."""
        self.clock = Clock()
        self.keys = FixedKeys(self.clock.seconds)
        self.told = 0
        self.keys.on_change(self.note)

    def note(self) -> None:
        """Some may not stay."""
        self.told += 1

    def add(self, key: str = KEY, **fields: typing.Any) -> Permit:
        """Add a key."""
        permit = attrs.evolve(Permit(name="laptop", made=1.0), **fields)
        self.keys.add(permit, key)
        return permit

    def test_is_keys(self) -> None:
        """It is what a hub asks for."""
        keys: Keys = self.keys
        self.assertIsNone(keys.permit(KEY))

    def test_permit(self) -> None:
        """What a key is good for is had by that key alone."""
        first, second = self.add(), self.add(OTHER, name="other", exit=True)
        self.assertIs(self.keys.permit(KEY), first)
        self.assertIs(self.keys.permit(OTHER), second)
        for wrong in (
            "",
            KEY[:-1],
            KEY + "x",
            KEY.upper(),
            KEY.removeprefix("alv_agent_"),
            "\ud800",
        ):
            self.assertIsNone(self.keys.permit(wrong))
        self.assertEqual(self.told, 0)

    def test_constant_time_compare(self) -> None:
        """
        Whatever is shown, two hashes are compared in constant time: as many where there is no
        such key as where there is one.
        """
        self.add()
        compared: list[tuple[int, int]] = []

        class Recorded:
            """Stands for :mod:`hmac`."""

            @staticmethod
            def compare_digest(one: bytes, other: bytes) -> bool:
                """Note what is compared."""
                compared.append((len(one), len(other)))
                return hmac.compare_digest(one, other)

        self.patch(key_table, "hmac", Recorded)
        for shown in (KEY, OTHER, "", "x"):
            self.keys.permit(shown)
        self.assertEqual(compared, [(32, 32)] * 4)

    def test_a_hash_is_no_key(self) -> None:
        """What no key is compared with opens nothing, were it ever hit."""
        self.add()
        self.keys._nothing = hash_of("x")
        self.assertIsNone(self.keys.permit("x"))

    def test_revoked_key(self) -> None:
        """A revoked key opens nothing, who came with it may not stay, and that is told."""
        permit = self.add()
        self.assertTrue(self.keys.still_good(permit))
        self.keys.revoke("laptop")
        self.assertIsNone(self.keys.permit(KEY))
        self.assertFalse(self.keys.still_good(permit))
        self.assertEqual(self.told, 1)
        self.keys.revoke("laptop")
        self.assertEqual(self.told, 1)

    def test_rotated_key(self) -> None:
        """A key that was made anew under its name is another one."""
        before = self.add()
        after = self.add(OTHER, made=2.0)
        self.assertIsNone(self.keys.permit(KEY))
        self.assertFalse(self.keys.still_good(before))
        self.assertTrue(self.keys.still_good(after))
        self.assertEqual(self.told, 1)

    def test_narrowed_key(self) -> None:
        """Who came with a key stays as long as it may do what it might then, and no longer."""
        wide = self.add(publish=frozenset(["web", "api"]), exit=True)
        cases: list[tuple[dict[str, typing.Any], bool]] = [
            ({"publish": frozenset(["web", "api", "more"]), "exit": True}, True),
            ({"publish": frozenset(["*"]), "exit": True}, True),
            ({"publish": frozenset(["web"]), "exit": True}, False),
            ({"publish": frozenset(["web", "api"]), "exit": False}, False),
            ({"publish": frozenset(), "exit": True}, False),
        ]
        for fields, good in cases:
            self.add(publish=wide.publish, exit=True)
            before = self.told
            self.add(**fields)
            self.assertEqual(self.keys.still_good(wide), good, fields)
            self.assertEqual(self.told > before, not good, fields)
        any_id = self.add(publish=frozenset(["*"]))
        self.add(publish=frozenset(["web"]))
        self.assertFalse(self.keys.still_good(any_id))

    def test_expired_key(self) -> None:
        """An expired key opens nothing from that moment on; that is told at the next look, once."""
        permit = self.add(expires=10.0)
        lasting = self.add(OTHER, name="other", expires=20.0)
        self.clock.advance(9.9)
        self.keys.look()
        self.assertIs(self.keys.permit(KEY), permit)
        self.clock.advance(0.1)
        self.assertIsNone(self.keys.permit(KEY))
        self.assertFalse(self.keys.still_good(permit))
        self.assertEqual(self.told, 0)
        for _ in range(2):
            self.keys.look()
        self.assertEqual(self.told, 1)
        self.assertTrue(self.keys.still_good(lasting))
        self.clock.advance(10)
        self.keys.look()
        self.assertEqual(self.told, 2)

    def test_expired_before_it_was_added(self) -> None:
        """One that has expired when it is read lets nobody in, and was nobody's."""
        self.clock.advance(10)
        self.add(expires=10.0)
        self.keys.look()
        self.assertIsNone(self.keys.permit(KEY))
        self.assertEqual(self.told, 0)

    def test_earlier_expiry(self) -> None:
        """An expiry that was put off or brought forward holds as it is now."""
        permit = self.add(expires=10.0)
        self.add(expires=30.0)
        self.clock.advance(20)
        self.keys.look()
        self.assertTrue(self.keys.still_good(permit))
        self.add(expires=15.0)
        self.assertFalse(self.keys.still_good(permit))
        self.assertEqual(self.told, 1)

    def test_may_be_published(self) -> None:
        """Ids that a key names exist; a key for any id names none, nor does one that expired."""
        self.add(publish=frozenset(["web"]), expires=10.0)
        self.add(OTHER, name="any")
        self.assertTrue(self.keys.may_be_published("web"))
        for id in ("api", "*", ""):
            self.assertFalse(self.keys.may_be_published(id))
        self.clock.advance(10)
        self.keys.look()
        self.assertFalse(self.keys.may_be_published("web"))

    def test_what_follows_fails(self) -> None:
        """A fault in what follows from a change is logged, and the others are told."""
        keys = FixedKeys()
        keys.on_change(lambda: 1 / 0)
        keys.on_change(self.note)
        keys.add(Permit(name="laptop"), KEY)
        keys.revoke("laptop")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.told, 1)

    def test_no_secret_shown(self) -> None:
        """Nothing that is shown has a key in it."""
        self.assertNotIn(KEY, repr(self.add()) + repr(self.keys))
