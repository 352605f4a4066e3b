"""Tests of :mod:`aluvia.net.resolve`: several who ask, names that hang, and giving up."""

from __future__ import annotations

import threading

from aluvia.net.addresses import Addresses
from aluvia.net.test.resolving import Asker, ResolverCase


class Company(ResolverCase):
    """Several who ask."""

    def test_same_name(self) -> None:
        """Those who ask for one name wait for one question."""
        askers = [self.ask("one.example") for _ in range(5)]
        self.clock.hear()
        self.assertEqual([asker.outcome() for asker in askers], [["192.0.2.1"]] * 5)
        self.assertEqual(self.asked(), "one.example")
        self.assertTrue(self.getaddrinfo.asked.empty())

    def test_slow_names_hold_up_nobody(self) -> None:
        """Twenty names hang, and another is answered."""
        for n in range(20):
            self.names[f"slow{n}.example"] = self.hang
            self.ask(f"slow{n}.example")
        asker = self.ask("one.example")
        self.clock.hear()
        self.assertEqual(asker.outcome(), ["192.0.2.1"])

    def test_one_thread_for_a_name_that_hangs(self) -> None:
        """However often a name that hangs is asked for, it takes one thread."""
        self.resolver = self.make(resolver_threads=2)
        self.names["slow.example"] = self.hang
        self.ask("slow.example")
        for _ in range(5):
            self.clock.advance(10)
            self.deadlines.look()
            self.ask("slow.example")
        asker = self.ask("one.example")
        self.clock.hear()
        self.assertEqual(asker.outcome(), ["192.0.2.1"])

    def test_line(self) -> None:
        """Where all threads are taken, names line up, and are served in order."""
        self.resolver = self.make(resolver_threads=1)
        self.names["slow.example"] = self.hang
        slow = self.ask("slow.example")
        first, second = self.ask("one.example"), self.ask("two.example")
        self.release.set()
        self.clock.hear()
        self.assertEqual(slow.outcome(), ["192.0.2.99"])
        self.clock.hear()
        self.assertEqual((len(first.outcome()), len(second.outcome())), (1, 0))
        self.clock.hear()
        self.assertEqual(len(second.outcome()), 3)

    def test_line_is_bounded(self) -> None:
        """Over the line's bound a name is refused at once, with a detail that says why."""
        self.resolver = self.make(resolver_threads=1, resolver_line=1)
        self.names["slow.example"] = self.hang
        self.ask("slow.example")
        waiting = self.ask("one.example")
        refused = self.ask("two.example")
        self.assertEqual(refused.outcome(), ["dns_error"])
        self.assertIn("Too many names", refused.errors[0].detail)
        self.assertEqual(self.ask("192.0.2.1").outcome(), ["192.0.2.1"])
        self.release.set()
        self.clock.hear()
        self.clock.hear()
        self.assertEqual(waiting.outcome(), ["192.0.2.1"])

    def test_threads_are_bounded(self) -> None:
        """There are never more threads than the bound, and they are used again."""
        self.resolver = self.make(resolver_threads=3)
        for n in range(10):
            self.names[f"slow{n}.example"] = self.hang
            self.ask(f"slow{n}.example")
        threads = self.new_threads()
        self.assertEqual(len(threads), 3)
        self.release.set()
        for _ in range(10):
            self.clock.hear()
        self.assertEqual(self.new_threads(), threads)

    def test_no_thread_can_be_started(self) -> None:
        """If the system gives no thread, that is said."""

        def start(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        self.patch(threading.Thread, "start", start)
        asker = self.ask("one.example")
        self.assertEqual(asker.outcome(), ["dns_error"])
        self.assertIn("thread", asker.errors[0].detail)


class Endings(ResolverCase):
    """Giving up."""

    def test_dns_timeout(self) -> None:
        """A name that hangs is ``dns_timeout`` after ten seconds; its answer is still kept."""
        self.names["slow.example"] = self.hang
        asker = self.ask("slow.example")
        self.clock.advance(9.9)
        self.deadlines.look()
        self.assertEqual(asker.outcome(), [])
        self.clock.advance(0.1)
        self.deadlines.look()
        self.assertEqual(asker.outcome(), ["dns_timeout"])
        self.assertEqual(asker.errors[0].status, 504)
        self.assertEqual(self.deadlines.watched, set())
        self.release.set()
        self.clock.hear()
        self.assertEqual(asker.outcome(), ["dns_timeout"])
        self.assertEqual(self.ask("slow.example").outcome(), ["192.0.2.99"])

    def test_deadlines_are_each_ones_own(self) -> None:
        """Who asks later for a name that hangs waits as long as the first."""
        self.names["slow.example"] = self.hang
        first = self.ask("slow.example")
        self.clock.advance(6)
        second = self.ask("slow.example")
        self.clock.advance(4)
        self.deadlines.look()
        self.assertEqual((first.outcome(), second.outcome()), (["dns_timeout"], []))
        self.release.set()
        self.clock.hear()
        self.assertEqual(second.outcome(), ["192.0.2.99"])

    def test_deadline_told_twice(self) -> None:
        """A deadline that is noticed after the answer changes nothing."""
        asker = self.ask("one.example")
        (item,) = self.deadlines.watched
        self.clock.hear()
        item.deadline_passed(99.0)
        self.assertEqual(asker.outcome(), ["192.0.2.1"])

    def test_cancel(self) -> None:
        """Who cancels is told nothing; the others are."""
        self.names["slow.example"] = self.hang
        gone, stays = self.ask("slow.example"), self.ask("slow.example")
        assert gone.lookup is not None
        gone.lookup.cancel()
        gone.lookup.cancel()
        self.release.set()
        self.clock.hear()
        self.assertEqual((gone.outcome(), stays.outcome()), ([], ["192.0.2.99"]))
        self.assertEqual(self.deadlines.watched, set())

    def test_cancel_in_line(self) -> None:
        """A name that nobody waits for any more leaves the line."""
        self.resolver = self.make(resolver_threads=1, resolver_line=1)
        self.names["slow.example"] = self.hang
        self.ask("slow.example")
        self.assertEqual(self.asked(), "slow.example")
        gone = self.ask("one.example")
        assert gone.lookup is not None
        gone.lookup.cancel()
        asker = self.ask("two.example")
        self.release.set()
        self.clock.hear()
        self.clock.hear()
        self.assertEqual((gone.outcome(), len(asker.outcome())), ([], 3))
        self.assertEqual(self.asked(), "two.example")

    def test_cancel_while_told(self) -> None:
        """One who is told may cancel another who waits for the same name."""
        other = Asker()

        def cancel_other(addresses: Addresses) -> None:
            assert other.lookup is not None
            other.lookup.cancel()

        self.resolver.lookup("one.example", cancel_other, self.fail)
        other.lookup = self.resolver.lookup("one.example", other.found.append, other.errors.append)
        self.clock.hear()
        self.assertEqual(other.outcome(), [])

    def test_stop(self) -> None:
        """``stop`` does not wait for a name that hangs; who waits for it is told."""
        self.names["slow.example"] = self.hang
        asker = self.ask("slow.example")
        self.assertEqual(self.asked(), "slow.example")
        self.resolver.stop()
        self.assertEqual(asker.outcome(), ["dns_error"])
        self.assertEqual(self.deadlines.watched, set())
        self.assertEqual(self.ask("two.example").outcome(), ["dns_error"])
        self.release.set()
        self.clock.hear()
        self.assertEqual(asker.outcome(), ["dns_error"])

    def test_stop_ends_threads(self) -> None:
        """No thread is left behind, and stopping twice is safe."""
        self.names["slow.example"] = self.hang
        self.ask("one.example")
        self.ask("slow.example")
        threads = self.new_threads()
        self.assertEqual(len(threads), 2)
        self.resolver.stop()
        self.resolver.stop()
        self.release.set()
        for thread in threads:
            thread.join(timeout=10)
        self.assertEqual([thread for thread in threads if thread.is_alive()], [])
