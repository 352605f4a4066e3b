"""Tests for :mod:`aluvia.upstreams.strategies`."""

from __future__ import annotations

import collections
import typing
from random import Random

import attrs
import hypothesis
from hypothesis import strategies
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.testing.properties import settings_for_tests
from aluvia.upstreams import strategies as module
from aluvia.upstreams.latency import DECAY_SECONDS, FORGOTTEN_SECONDS, Latency
from aluvia.upstreams.strategies import STRATEGIES, AddressHash, Strategy

CLIENTS = [f"198.51.{number // 250}.{number % 250}" for number in range(2_000)]


@attrs.define(eq=False)
class One:
    """A candidate."""

    id: str
    active: int = 0
    measured: Latency = attrs.field(factory=Latency)


class StrategyCase(SynchronousTestCase):
    """Some candidates, of weights."""

    name = ""

    def setUp(self) -> None:
        """Make the strategy."""
        self.clock = Clock()
        self.strategy = self.make()
        self.by_id: dict[str, One] = {}

    def make(self, seed: int = 3) -> Strategy[One]:
        """Make one."""
        return STRATEGIES[self.name](self.clock.seconds, Random(seed))

    def settle(self, **weights: int) -> None:
        """Pick among these."""
        for id in weights:
            self.by_id.setdefault(id, One(id))
        self.strategy.settle([(self.by_id[id], weight) for id, weight in weights.items()])

    def pick(self, client: str = "192.0.2.1", *tried: str) -> str | None:
        """Pick one."""
        picked = self.strategy.pick(client, [self.by_id[id] for id in tried])
        return None if picked is None else picked.id

    def picks(self, count: int) -> str:
        """Pick some."""
        return "".join(self.pick() or "-" for _ in range(count))

    def homes(self) -> dict[str, str | None]:
        """Who is picked for each of many clients."""
        return {client: self.pick(client) for client in CLIENTS}


class EveryStrategyTests(StrategyCase):
    """What holds for all."""

    name = "ROUND_ROBIN"

    def test_nobody(self) -> None:
        """None, before anybody is there, when nobody is, and when all were tried."""
        for self.name in STRATEGIES:
            self.strategy = self.make()
            self.assertIsNone(self.pick())
            self.settle()
            self.assertIsNone(self.pick())
            self.settle(a=1, b=2)
            self.assertIn(self.pick(), ("a", "b"))
            self.assertIsNone(self.pick("192.0.2.1", "b", "a"))

    def test_suits(self) -> None:
        """Any client is one for a trial, where no client belongs to anyone, or nobody is there."""
        for self.name in STRATEGIES:
            self.strategy = self.make()
            self.settle()
            self.assertTrue(self.strategy.suits("192.0.2.1", One("z"), 1))
            self.settle(a=1)
            if self.name != "IP_HASH":
                self.assertTrue(self.strategy.suits("192.0.2.1", One("z"), 1))

    def test_tried(self) -> None:
        """One that was tried is passed over, whoever else there is."""
        for self.name in STRATEGIES:
            self.strategy = self.make()
            self.settle(a=50, b=1, c=1)
            for client in CLIENTS[:100]:
                self.assertIn(self.pick(client, "a"), ("b", "c"))
                self.assertEqual("c", self.pick(client, "a", "b"))


class RoundRobinTests(StrategyCase):
    """Each in its turn."""

    name = "ROUND_ROBIN"

    def test_turns(self) -> None:
        """Round and round, smoothly."""
        self.settle(a=1, b=1, c=1)
        self.assertEqual("abcabca", self.picks(7))
        self.strategy = self.make()
        self.settle(a=5, b=1, c=1)
        self.assertEqual("aabacaa" * 2, self.picks(14))

    def test_place_stays(self) -> None:
        """Whoever stands first does not have a turn more at each change."""
        picked = ""
        for _ in range(6):
            self.settle(a=1, b=1, c=1)
            picked += self.picks(1)
            self.settle(a=1, b=1, c=1, d=1)
        self.assertEqual("abcabc", picked)

    def test_fewer(self) -> None:
        """A round that has become shorter than where it stood goes on within."""
        self.settle(a=1, b=1, c=1)
        self.picks(3)
        self.settle(a=1)
        self.assertEqual("aa", self.picks(2))

    def test_tried(self) -> None:
        """The turns of one that was tried are given to the others in their order."""
        self.settle(a=2, b=1, c=1)
        self.assertEqual("b", self.pick("192.0.2.1", "a"))
        self.assertEqual("c", self.pick("192.0.2.1", "a"))
        self.assertEqual("b", self.pick("192.0.2.1", "a"))


class WeightedRandomTests(StrategyCase):
    """By the dice."""

    name = "RANDOM"

    def test_shares(self) -> None:
        """By weight."""
        self.settle(a=1, b=3)
        counts = collections.Counter(self.picks(4_000))
        self.assertApproximates(1_000, counts["a"], 120)

    def test_shares_of_the_others(self) -> None:
        """By weight, without those that were tried."""
        self.settle(a=1, b=50, c=3, d=1)
        counts = collections.Counter(self.pick("", "b") for _ in range(5_000))
        self.assertApproximates(3_000, counts["c"], 200)
        self.assertApproximates(1_000, counts["a"], 150)


class AddressHashTests(StrategyCase):
    """For one client always the same."""

    name = "IP_HASH"

    def test_same(self) -> None:
        """It is the same at each request, in another process, and in whatever order they stand."""
        self.settle(a=1, b=1, c=1)
        before = self.homes()
        self.assertEqual(before, self.homes())
        self.strategy = self.make(seed=99)
        self.settle(c=1, a=1, b=1)
        self.assertEqual(before, self.homes())

    def test_known(self) -> None:
        """What is promised across restarts is not only so within one."""
        self.settle(a=1, b=2, c=3)
        self.assertEqual(
            "cabbbccb", "".join(self.pick(f"198.51.100.{number}") or "-" for number in range(8))
        )

    def test_shares(self) -> None:
        """By weight."""
        self.settle(a=1, b=2, c=5)
        counts = collections.Counter(self.homes().values())
        for id, weight in (("a", 1), ("b", 2), ("c", 5)):
            self.assertApproximates(len(CLIENTS) * weight / 8, counts[id], 80)

    def test_others_stay(self) -> None:
        """If one goes, its clients move, to all that are left, and nobody else's do."""
        self.settle(a=1, b=2, c=5)
        before = self.homes()
        self.settle(a=1, b=2)
        after = self.homes()
        for client, home in before.items():
            if home != "c":
                self.assertEqual(home, after[client])
        self.assertEqual({"a", "b"}, {after[each] for each in before if before[each] == "c"})

    def test_weight_grows(self) -> None:
        """One whose weight grows gains clients; between the others none moves."""
        self.settle(a=2, b=2, c=2)
        before = self.homes()
        self.settle(a=3, b=2, c=2)
        for client, home in self.homes().items():
            self.assertIn(home, (before[client], "a"))

    def test_tried_is_as_gone(self) -> None:
        """The next one for a client is who it would have without the one that was tried."""
        self.settle(a=1, b=2, c=5)
        second = {client: self.pick(client, "c") for client in CLIENTS}
        self.settle(a=1, b=2)
        self.assertEqual(self.homes(), second)

    def test_networks(self) -> None:
        """Of IPv6 the /64 counts; IPv4 within IPv6 is IPv4."""
        self.settle(**{f"m{number}": 1 for number in range(50)})
        for one, other in (
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"),
            ("fe80::1%eth0", "fe80::1"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
        ):
            self.assertEqual(self.pick(one), self.pick(other))
        networks = {self.pick(f"2001:db8:1:{number:x}::1") for number in range(200)}
        self.assertGreater(len(networks), 30)

    def test_no_address(self) -> None:
        """What is no address is a client like any other; and an id may be any string."""
        self.settle(**{"": 1, "\udcff": 1})
        for client in ("", "unix", "1.2.3", "not:an:address", "\udcff", "a\0b"):
            self.assertIn(self.pick(client), ("", "\udcff"))

    def test_cache_is_bounded(self) -> None:
        """It does not grow with the number of clients, and a full one changes nothing."""
        self.patch(module, "CLIENTS_REMEMBERED", 10)
        self.settle(a=1, b=1)
        before = self.homes()
        self.assertEqual(before, self.homes())
        assert isinstance(self.strategy, AddressHash)
        self.assertLessEqual(len(self.strategy._homes), 10)

    def test_suits(self) -> None:
        """Just the clients that one would have if it were among the others."""
        self.settle(a=1, b=1, c=3)
        with_c = self.homes()
        self.settle(a=1, b=1)
        for client in CLIENTS:
            suits = self.strategy.suits(client, self.by_id["c"], 3)
            self.assertEqual(with_c[client] == "c", suits)

    @settings_for_tests
    @hypothesis.given(
        strategies.dictionaries(
            strategies.text(min_size=1, max_size=4), strategies.integers(1, 1_000), min_size=2
        ),
        strategies.data(),
    )
    def test_stability(self, weights: dict[str, int], data: strategies.DataObject) -> None:
        """Whatever the ids and the weights: only the clients of one that goes move."""
        gone = data.draw(strategies.sampled_from(sorted(weights)))
        self.by_id.clear()
        self.settle(**weights)
        clients = CLIENTS[:50]
        before = {client: self.pick(client) for client in clients}
        del weights[gone]
        self.settle(**weights)
        for client in clients:
            after = self.pick(client)
            self.assertEqual(after if before[client] == gone else before[client], after)
            self.assertNotEqual(gone, after)


class LeastLatencyTests(StrategyCase):
    """Who is expected to answer first."""

    name = "LEAST_LATENCY"

    def settle_measured(self, **seconds: float) -> None:
        """Pick among these, which have answered just now."""
        self.settle(**dict.fromkeys(seconds, 1))
        for id, each in seconds.items():
            self.by_id[id].measured.answered(each, self.clock.seconds())

    def test_quickest(self) -> None:
        """The quickest, as long as it is not busy."""
        self.settle_measured(a=0.3, b=0.1)
        self.assertEqual("b", self.pick())
        self.by_id["b"].active = 3
        self.assertEqual("a", self.pick())

    def test_weight(self) -> None:
        """One that counts twice may have twice as much to do."""
        self.settle_measured(a=0.1, b=0.1)
        self.settle(a=1, b=2)
        self.assertEqual("b", self.pick())
        self.by_id["b"].active = 2
        self.assertEqual("a", self.pick())

    def test_unmeasured(self) -> None:
        """One of which nothing is known is tried, by one request at a time."""
        self.settle_measured(a=0.1, b=0.1)
        self.settle(a=1, b=1, c=1)
        self.assertEqual("c", self.pick())
        self.by_id["c"].active = 1
        self.assertEqual("a", self.pick())

    def test_all_unmeasured(self) -> None:
        """Then who has least to do."""
        self.settle(a=1, b=1)
        for expected in "abab":
            self.assertEqual(expected, self.pick())
            self.by_id[expected].active += 1

    def test_failing(self) -> None:
        """Who fails at once is as slow as a timeout."""
        self.settle_measured(a=0.5, b=0.5)
        self.by_id["b"].measured.failed(60.0, self.clock.seconds())
        self.by_id["b"].measured.answered(0.001, self.clock.seconds())
        self.by_id["a"].active = 20
        self.assertEqual("a", self.pick())

    def test_slow_ones_are_tried_again(self) -> None:
        """What was slow is not so for ever: it fades while the others are measured."""
        self.settle_measured(a=0.1, b=5.0)
        self.assertEqual("a", self.pick())
        self.clock.advance(DECAY_SECONDS * 4)
        self.by_id["a"].measured.answered(0.1, self.clock.seconds())
        self.assertEqual("b", self.pick())

    def test_forgotten(self) -> None:
        """After a long silence nothing is known, and not all go to one."""
        self.settle_measured(a=0.1, b=5.0)
        self.clock.advance(FORGOTTEN_SECONDS * 100)
        picked: list[typing.Any] = []
        for _ in range(2):
            picked.append(self.pick())
            self.by_id[picked[-1]].active += 1
        self.assertEqual(["a", "b"], picked)
