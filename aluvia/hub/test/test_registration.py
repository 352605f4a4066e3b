"""Tests for :mod:`aluvia.hub.registration`: what an agent says of itself."""

from __future__ import annotations

import typing

from twisted.trial.unittest import SynchronousTestCase

from aluvia.hub.registration import (
    BadRegistration,
    Registration,
    WantedTunnel,
    read_registration,
    tunnel_id,
)

SECRET = "canary-secret"


class TunnelIDTests(SynchronousTestCase):
    """What is an id."""

    def test_good(self) -> None:
        """Letters, digits, - and _; capitals mean the same."""
        for text, id in (
            *(("a", "a"), ("0", "0"), ("_", "_"), ("Web", "web"), ("a-b_c", "a-b_c")),
            *(("x" * 63, "x" * 63), ("a--b", "a--b"), ("_a_", "_a_")),
        ):
            self.assertEqual(tunnel_id(text), id)

    def test_bad(self) -> None:
        """Nothing else, nor what only becomes one when it is made small."""
        for text in (
            *("", "-", "-a", "a-", "x" * 64, "a.b", "a b", "a/b", "*", "a\n", "\na", "ä", "a\0"),
            *("\u212a", "\u0130", "\uff41", "\u0661", None, 1, True, ["a"], b"a"),
        ):
            self.assertIsNone(tunnel_id(text), repr(text))


class RegistrationTests(SynchronousTestCase):
    """What is read."""

    def read(self, most: int = 3, **fields: object) -> Registration:
        """Read a registration with these fields."""
        known: dict[str, object] = {"agent_id": "agent", "tunnels": [{"id": "web"}]}
        return read_registration(known | fields, most)

    def refused(self, document: object, most: int = 3) -> str:
        """What is wrong with it; nothing of what was sent is in that."""
        error = self.assertRaises(BadRegistration, read_registration, document, most)
        self.assertNotIn(SECRET, str(error))
        return str(error)

    def wrong(self, **fields: object) -> str:
        """What is wrong with these fields."""
        return self.refused({"agent_id": "agent", "tunnels": [{"id": "web"}]} | fields)

    def test_least(self) -> None:
        """An agent of the seed's contract says who it is and what it offers."""
        self.assertEqual(
            self.read(), Registration(agent_id="agent", tunnels=(WantedTunnel("web"),))
        )

    def test_all(self) -> None:
        """All of it; what is not known is left alone."""
        read = self.read(
            agent_id="Ägent 7",
            token="key",
            instance="0123456789abcdef",
            group="g",
            exit=True,
            later={"x": 1},
            tunnels=[
                {"id": "Web", "target": "http://127.0.0.1:3000", "token": "t", "later": 1},
                {"id": "ssh", "target": "TCP://127.0.0.1:22"},
                {"id": "odd", "target": "tcpish://x", "token": ""},
            ],
        )
        self.assertEqual(
            read,
            Registration(
                agent_id="Ägent 7",
                token="key",
                instance="0123456789abcdef",
                group="g",
                exit=True,
                tunnels=(
                    WantedTunnel("web", "http", "t"),
                    WantedTunnel("ssh", "tcp"),
                    WantedTunnel("odd", "http"),
                ),
            ),
        )

    def test_nothing(self) -> None:
        """What is null or empty is not there."""
        read = self.read(token="", group=None, instance=None, exit=None)
        self.assertEqual((read.token, read.group, read.instance), (None, None, None))
        self.assertFalse(read.exit)

    def test_no_secret_shown(self) -> None:
        """No repr shows a key, a visitors' token or a group."""
        read = self.read(
            token=SECRET,
            group=SECRET,
            tunnels=[{"id": "web", "token": SECRET}],
            instance="12345678",
        )
        self.assertNotIn(SECRET, repr(read))

    def test_no_object(self) -> None:
        """What is no object is none."""
        documents: tuple[object, ...] = (None, [], "x", 1, True)
        for document in documents:
            self.assertIn("JSON object", self.refused(document))

    def test_wrong_fields(self) -> None:
        """A field that is wrong is named."""
        cases: list[tuple[str, list[typing.Any]]] = [
            ("agent_id", [None, "", 1, "x" * 129, f"{SECRET}\n", "\ud800", ["a"]]),
            ("token", [1, "x" * 513, f"{SECRET}\0", {}]),
            ("instance", ["", "short", "x" * 65, f"{SECRET} ", "1234567\n", "äääääääää", 12345678]),
            ("group", [1, "x" * 129, f"{SECRET}\r", []]),
            ("exit", [0, 1, "", "true", {}]),
            ("tunnels", [None, [], {}, "web", [{"id": "web"}] * 4]),
        ]
        for field, values in cases:
            for value in values:
                self.assertTrue(self.wrong(**{field: value}).startswith(field), (field, value))

    def test_wrong_tunnels(self) -> None:
        """So is a tunnel, by its place."""
        for tunnel, where in (
            ("web", "tunnels[1]: "),
            ({}, "tunnels[1].id: "),
            ({"id": f"{SECRET}/"}, "tunnels[1].id: "),
            ({"id": "b", "target": 1}, "tunnels[1].target: "),
            ({"id": "b", "target": "x" * 2_049}, "tunnels[1].target: "),
            ({"id": "b", "token": f"{SECRET}\n"}, "tunnels[1].token: "),
            ({"id": "b", "token": "x" * 513}, "tunnels[1].token: "),
            ({"id": "A"}, "tunnels[1]: "),
        ):
            self.assertTrue(self.wrong(tunnels=[{"id": "a"}, tunnel]).startswith(where), tunnel)

    def test_bounds(self) -> None:
        """What is as long as it may be is taken."""
        read = self.read(
            most=1,
            agent_id="x" * 128,
            token="x" * 512,
            instance="x" * 64,
            group="x" * 128,
            tunnels=[{"id": "x" * 63, "target": "x" * 2_048, "token": "x" * 512}],
        )
        self.assertEqual(len(read.tunnels), 1)
        self.assertIn("there may be 1", self.refused({"agent_id": "a", "tunnels": [{}, {}]}, 1))
