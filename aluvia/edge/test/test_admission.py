"""Slots, a line, and nobody who waits for ever."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.admission import Admission, LineFull


class Asking:
    """A request."""

    def __init__(self, admission: Admission, *, brief: bool = False) -> None:
        self.admission = admission
        self.brief = brief
        self.told: list[str] = []

    def admitted(self) -> None:
        """Note it; a brief one is over at once."""
        self.told.append("admitted")
        if self.brief:
            self.admission.leave()

    def waited_too_long(self) -> None:
        """Note it."""
        self.told.append("late")


class AdmissionTests(SynchronousTestCase):
    """Two slots, and two places in line for ten seconds."""

    def setUp(self) -> None:
        """Make it."""
        self.clock = Clock()
        self.admission = Admission(self.clock, 2, 2, 10.0)

    def ask(self, *, brief: bool = False) -> Asking:
        """One more."""
        asking = Asking(self.admission, brief=brief)
        if self.admission.enter(asking):
            asking.told.append("runs")
        return asking

    def test_the_queue_admits_no_more_than_it_may(self) -> None:
        """The one that finds no room is refused, and nothing is counted for it."""
        asked = [self.ask() for _ in range(4)]
        self.assertRaises(LineFull, self.ask)
        self.assertEqual([each.told for each in asked], [["runs"], ["runs"], [], []])
        self.assertEqual((self.admission.active, self.admission.waiting), (2, 2))

    def test_in_order(self) -> None:
        """A slot goes to the first in line, and not to one that comes later."""
        _, _, third, fourth = (self.ask() for _ in range(4))
        self.admission.leave()
        self.assertEqual((third.told, fourth.told), (["admitted"], []))
        fifth = self.ask()
        self.admission.leave()
        self.assertEqual((fourth.told, fifth.told), (["admitted"], []))
        self.assertEqual(self.admission.active, 2)

    def test_who_leaves_is_dropped(self) -> None:
        """Its place is free at once, and no slot is lost on it."""
        _, _, third, fourth = (self.ask() for _ in range(4))
        self.admission.withdraw(third)
        self.admission.withdraw(third)
        self.ask()
        self.admission.leave()
        self.assertEqual((third.told, fourth.told), ([], ["admitted"]))

    def test_waited_too_long(self) -> None:
        """Each has its own time; behind the last one there is no timer."""
        self.ask(), self.ask()
        third = self.ask()
        self.clock.advance(4)
        fourth = self.ask()
        self.clock.advance(6)
        self.assertEqual((third.told, fourth.told), (["late"], []))
        self.clock.advance(4)
        self.assertEqual(fourth.told, ["late"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((self.admission.active, self.admission.waiting), (2, 0))

    def test_one_that_raises(self) -> None:
        """Who is late behind it hears of that all the same."""
        self.ask(), self.ask()
        third, fourth = self.ask(), self.ask()
        self.patch(third, "waited_too_long", lambda: 1 / 0)
        self.assertRaises(ZeroDivisionError, self.clock.advance, 10)
        self.clock.advance(0)
        self.assertEqual(fourth.told, ["late"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_queue(self) -> None:
        """A length of 0 is none."""
        self.admission.change(1, 0, 10.0)
        self.ask()
        self.assertRaises(LineFull, self.ask)

    def test_more_slots(self) -> None:
        """A change admits who waits, and takes nothing from anybody."""
        asked = [self.ask() for _ in range(4)]
        self.admission.change(3, 2, 10.0)
        self.assertEqual(asked[2].told, ["admitted"])
        self.admission.change(1, 0, 10.0)
        self.assertEqual((self.admission.active, self.admission.waiting), (3, 1))
        self.admission.leave()
        self.admission.leave()
        self.assertEqual(asked[3].told, [])
        self.admission.leave()
        self.assertEqual(asked[3].told, ["admitted"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_long_line_of_brief_ones(self) -> None:
        """Each that is over as soon as it is admitted does not nest in the one before."""
        self.admission.change(1, 5_000, 10.0)
        self.ask()
        asked = [self.ask(brief=True) for _ in range(5_000)]
        self.admission.leave()
        self.assertEqual({tuple(each.told) for each in asked}, {("admitted",)})
        self.assertEqual((self.admission.active, self.admission.waiting), (0, 0))

    def test_bodies_on_their_way(self) -> None:
        """Half of the slots are one client's at the most, and one at least."""
        admission = Admission(self.clock, 5, 100, 10.0)
        one, beside, other = "2001:db8::1", "2001:db8::2", "192.0.2.1"
        begun = [admission.body_begins(each) for each in (one, beside, one, other, other, other)]
        self.assertEqual(begun, [True, True, False, True, True, False])
        admission.body_is_over(beside)
        self.assertTrue(admission.body_begins(one))
        admission.change(1, 100, 10.0)
        self.assertEqual([admission.body_begins("192.0.2.2") for _ in "ab"], [True, False])
