"""Tests for :mod:`aluvia.hub.registry`: whose a tunnel is, and how long it is known."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.hub.limits import HubLimits
from aluvia.hub.registration import WantedTunnel
from aluvia.hub.registry import HubFull, Registry, Session, TunnelTaken
from aluvia.hub.test.fake_session import FakeSession
from aluvia.wire.frames import Code

WEB, API, SSH = WantedTunnel("web"), WantedTunnel("api"), WantedTunnel("ssh", "tcp")


class RegistryCase(SynchronousTestCase):
    """A registry, and sessions that come and go."""

    limits = HubLimits()

    def setUp(self) -> None:
        """Nobody is there."""
        self.clock = Clock()
        self.registry = Registry(self.limits, self.clock.seconds)

    def come(
        self,
        *wanted: WantedTunnel,
        instance: str = "first",
        key_name: str = "laptop",
        group: str | None = None,
    ) -> FakeSession:
        """A session registers."""
        session = FakeSession(instance, key_name=key_name, group=group)
        self.registry.register(session, wanted or (WEB,))
        return session

    def refused(self, error: type[Exception], *wanted: WantedTunnel, **who: str) -> str:
        """A session cannot, and nothing is other than it was."""
        before = self.state()
        caught = self.assertRaises(error, self.come, *wanted, **who)
        self.assertEqual(self.state(), before)
        return str(caught)

    def state(self) -> object:
        """All of it."""
        return {
            id: (tunnel.kind, tunnel.token, tunnel.since, [*map(id_of, tunnel.offers)])
            for id, tunnel in self.registry.tunnels.items()
        }, dict(self.registry.sessions)

    def online(self) -> list[str]:
        """The ids that somebody has."""
        return sorted(each.id for each in self.registry.tunnels.values() if each.online)

    def holders(self, id: str = "web") -> list[Session]:
        """Who has an id."""
        return [each.session for each in self.registry.tunnels[id].offers]


def id_of(offer: object) -> int:
    """For what is compared by what it is."""
    return id(offer)


class RegistryTests(RegistryCase):
    """Sessions of their own."""

    def test_offered(self) -> None:
        """Who offers what nobody has, has it; a tunnel says what it is and since when."""
        self.clock.advance(5)
        session = self.come(WEB, SSH)
        self.assertEqual(self.registry.sessions, {session: ("web", "ssh")})
        tunnel = self.registry.tunnels["ssh"]
        self.assertEqual((tunnel.kind, tunnel.since, tunnel.online), ("tcp", 5.0, True))
        offer = self.registry.offer(session, "ssh")
        assert offer is not None
        self.assertIs(offer.wanted, SSH)
        self.assertIs(offer.up, None)
        self.assertIsNone(self.registry.offer(session, "other"))

    def test_an_id_stolen(self) -> None:
        """
        An id that a live agent has is nobody else's: not another key's, nor another instance's of
        the same key; and of what they offer besides nothing is registered either.
        """
        owner = self.come(WEB)
        for instance, key_name in (("other", "laptop"), ("first", "other"), ("other", "other")):
            text = self.refused(TunnelTaken, API, WEB, instance=instance, key_name=key_name)
            self.assertIn("web", text)
        self.assertEqual((self.holders(), owner.ended), ([owner], []))
        self.assertNotIn("api", self.registry.tunnels)

    def test_two_agents_of_one_name_flapping(self) -> None:
        """Of two machines that were cloned with one name the second is refused, time and again."""
        first = self.come(instance="first")
        for _ in range(3):
            self.refused(TunnelTaken, instance="second")
        self.assertEqual((self.holders(), first.ended), ([first], []))
        self.registry.withdraw(first)
        second = self.come(instance="second")
        self.refused(TunnelTaken, instance="first")
        self.assertEqual((self.holders(), second.ended), ([second], []))

    def test_takeover(self) -> None:
        """The same instance that comes back has its ids at once, and its old session ends."""
        old = self.come(WEB, API)
        old.when_ended = lambda: self.registry.withdraw(old)
        self.clock.advance(5)
        new = self.come(WEB, SSH)
        self.assertEqual((old.ended, new.ended), ([Code.REPLACED], []))
        self.assertEqual(self.registry.sessions, {new: ("web", "ssh")})
        self.assertEqual((self.holders(), self.online()), ([new], ["ssh", "web"]))
        self.assertEqual(self.registry.tunnels["web"].since, 0.0)
        self.assertIsNone(self.registry.offer(old, "web"))

    def test_takeover_that_is_refused(self) -> None:
        """One that asks for another's id besides is refused, and its old session stays."""
        old, other = self.come(WEB), self.come(API, instance="other")
        self.refused(TunnelTaken, WEB, API)
        self.assertEqual((old.ended, other.ended), ([], []))

    def test_withdrawn(self) -> None:
        """What was offered stays known and is offline, with its visitors' token; twice harmless."""
        session = self.come(WantedTunnel("web", token="secret"))
        tunnel = self.registry.tunnels["web"]
        for _ in range(2):
            self.registry.withdraw(session)
        self.assertEqual((self.registry.sessions, tunnel.online), ({}, False))
        self.assertEqual((self.registry.tunnels["web"], tunnel.token), (tunnel, "secret"))
        self.assertEqual(session.ended, [])

    def test_back(self) -> None:
        """Another agent may have what nobody has any more; the numbers go on."""
        self.registry.withdraw(self.come(WantedTunnel("web", token="secret")))
        tunnel = self.registry.tunnels["web"]
        tunnel.meter.request_count = 7
        self.come(WantedTunnel("web", "tcp"), instance="other", key_name="other")
        again = self.registry.tunnels["web"]
        self.assertEqual((again.kind, again.token), ("tcp", None))
        self.assertEqual((again.meter.request_count, again.since), (7, 0.0))

    def test_no_secret_shown(self) -> None:
        """No repr has a visitor's token in it."""
        session = self.come(WantedTunnel("web", token="canary-token"))
        self.assertNotIn("canary", repr(self.registry.tunnels))
        self.assertNotIn("canary", repr(self.registry.offer(session, "web")))


class GroupTests(RegistryCase):
    """Agents that share their ids."""

    def test_group(self) -> None:
        """Agents of one group have an id together, under keys of their own."""
        one = self.come(group="g")
        other = self.come(instance="other", key_name="other", group="g")
        self.assertEqual((self.holders(), one.ended), ([one, other], []))

    def test_another_group(self) -> None:
        """Who names another group, or none, is none of them; nor is anybody where there is none."""
        self.come(group="g")
        for group in ("h", "", "gg"):
            self.refused(TunnelTaken, instance="other", group=group)
        self.refused(TunnelTaken, instance="other")
        self.come(API, instance="lonely")
        self.refused(TunnelTaken, API, instance="other", group="g")

    def test_group_that_means_another(self) -> None:
        """Nor who means another thing by the id: visitors get the same from each."""
        self.come(WantedTunnel("web", token="secret"), group="g")
        for wanted in (WEB, WantedTunnel("web", token="x"), WantedTunnel("web", "tcp", "secret")):
            self.refused(TunnelTaken, wanted, instance="other", group="g")
        self.come(WantedTunnel("web", token="secret"), instance="other", group="g")

    def test_member_comes_back(self) -> None:
        """One that comes back takes its own place, and no other's."""
        one, other = self.come(group="g"), self.come(instance="other", group="g")
        again = self.come(group="g")
        self.assertEqual((one.ended, other.ended), ([Code.REPLACED], []))
        self.assertEqual(self.holders(), [other, again])

    def test_last_member(self) -> None:
        """A tunnel is online while one of them is there."""
        one, other = self.come(group="g"), self.come(instance="other", group="g")
        self.registry.withdraw(one)
        self.assertEqual((self.online(), self.holders()), (["web"], [other]))
        self.registry.withdraw(other)
        self.assertEqual(self.online(), [])

    def test_turns(self) -> None:
        """They are asked in turn, all of them; one that drains is not."""
        sessions = [self.come(instance=f"instance{n}", group="g") for n in range(3)]
        tunnel = self.registry.tunnels["web"]

        def turn() -> list[int]:
            return [sessions.index(each.session) for each in tunnel.turns()]  # type: ignore[arg-type]

        self.assertEqual([turn() for _ in range(4)], [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]])
        sessions[2].drain()
        self.assertEqual(turn(), [1, 0])
        for each in sessions:
            each.drain()
        self.assertEqual((turn(), tunnel.online), ([], True))


class BoundTests(RegistryCase):
    """A hub that is full."""

    limits = HubLimits(sessions=2, tunnels=3)

    def test_sessions(self) -> None:
        """There are so many agents at most; one that comes back is none more."""
        self.come(WEB)
        self.come(API, instance="other")
        self.refused(HubFull, SSH, instance="third")
        self.come(WEB)
        self.assertEqual(len(self.registry.sessions), 2)

    def test_the_longest_offline_is_forgotten(self) -> None:
        """Where there are too many ids the one that went first is forgotten."""
        for id in ("a", "b", "c"):
            self.registry.withdraw(self.come(WantedTunnel(id)))
        self.registry.withdraw(self.come(WantedTunnel("a")))
        self.come(WEB)
        self.assertEqual(sorted(self.registry.tunnels), ["a", "c", "web"])

    def test_ids(self) -> None:
        """Nobody's id is forgotten while an agent has it; what finds no room is refused."""
        self.come(WantedTunnel("a"), WantedTunnel("b"))
        self.registry.withdraw(self.come(WantedTunnel("c"), instance="other"))
        self.refused(HubFull, WEB, API, instance="other")
        self.come(WEB, instance="other")
        self.assertEqual(self.online(), ["a", "b", "web"])

    def test_an_id_that_comes_back(self) -> None:
        """It is not forgotten to make room for itself."""
        self.registry.withdraw(self.come(WEB))
        self.registry.withdraw(self.come(WantedTunnel("b"), WantedTunnel("c")))
        self.registry.tunnels["web"].meter.request_count = 7
        self.come(WEB, API)
        self.assertEqual(sorted(self.registry.tunnels), ["api", "c", "web"])
        self.assertEqual(self.registry.tunnels["web"].meter.request_count, 7)

    def test_other_ids_of_a_takeover(self) -> None:
        """What the old session alone had makes room for what the new one has."""
        old = self.come(WantedTunnel("a"), WantedTunnel("b"))
        self.come(WantedTunnel("c"), instance="other")
        self.come(WantedTunnel("b"), WEB)
        self.assertEqual(old.ended, [Code.REPLACED])
        self.assertEqual(self.online(), ["b", "c", "web"])
        self.assertEqual(len(self.registry.tunnels), 3)
