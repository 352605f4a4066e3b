"""Threads for hashing, with real ones and a reactor's queue in memory."""

from __future__ import annotations

import functools
import threading
import types
import typing

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge import hashing_threads
from aluvia.edge.hashing_threads import HashingThreads, NoThread
from aluvia.net.test.dialling import ThreadedClock

#: Seconds after which a test gives up; nothing is measured by it.
PATIENCE = 10.0


class HashingThreadsTests(SynchronousTestCase):
    """What is done, by whom, and what is not."""

    def setUp(self) -> None:
        """One thread, and a line of two."""
        self.clock = ThreadedClock()
        self.threads = HashingThreads(self.clock.callFromThread, threads=1, line=2)
        self.addCleanup(self.threads.stop)
        self.go_on = threading.Event()
        self.addCleanup(self.go_on.set)
        self.done: list[str] = []

    def wait(self) -> bool:
        """A job that lasts until the test lets it end."""
        return self.go_on.wait(PATIENCE)

    def test_result(self) -> None:
        """What a job returns comes back, in the reactor's thread; the job ran in another."""
        done = self.threads.do(threading.get_ident)
        self.assertNoResult(done)
        self.clock.hear()
        self.assertNotEqual(self.successResultOf(done), threading.get_ident())

    def test_error(self) -> None:
        """What a job raises comes back too, and the thread lives on."""
        done = self.threads.do(lambda: 1 // 0)
        self.clock.hear()
        self.failureResultOf(done, ZeroDivisionError)
        done = self.threads.do(lambda: 1)
        self.clock.hear()
        self.assertEqual(self.successResultOf(done), 1)

    def test_line(self) -> None:
        """There are no more threads than there may be; what is over waits in its order."""
        first = self.threads.do(self.wait)
        rest = [self.threads.do(functools.partial(self.done.append, name)) for name in "ab"]
        self.go_on.set()
        for _ in range(3):
            self.clock.hear()
        self.assertTrue(self.successResultOf(first))
        for each in rest:
            self.successResultOf(each)
        self.assertEqual(self.done, ["a", "b"])

    def test_full_line(self) -> None:
        """What is over the line is refused at once, until there is room again."""
        self.threads.do(self.wait)
        given_up, second = (self.threads.do(int) for _ in range(2))
        self.failureResultOf(self.threads.do(int), NoThread)
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        third = self.threads.do(int)
        self.failureResultOf(self.threads.do(int), NoThread)
        self.go_on.set()
        for _ in range(3):
            self.clock.hear()
        self.assertEqual([self.successResultOf(each) for each in (second, third)], [0, 0])

    def test_cancelled_in_line(self) -> None:
        """What is cancelled in the line is never done."""
        self.threads.do(self.wait)
        given_up = self.threads.do(lambda: self.done.append("given up"))
        kept = self.threads.do(lambda: self.done.append("kept"))
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        self.go_on.set()
        self.clock.hear()
        self.clock.hear()
        self.successResultOf(kept)
        self.assertEqual(self.done, ["kept"])

    def test_cancelled_while_it_runs(self) -> None:
        """What runs comes to its end for nobody, and its thread is free then."""
        running = self.threads.do(self.wait)
        running.cancel()
        self.failureResultOf(running, CancelledError)
        after = self.threads.do(int)
        self.go_on.set()
        self.clock.hear()
        self.clock.hear()
        self.assertEqual(self.successResultOf(after), 0)

    def test_several_threads(self) -> None:
        """Several jobs run at once, if there are threads for them."""
        threads = HashingThreads(self.clock.callFromThread, threads=2)
        self.addCleanup(threads.stop)
        both = threading.Barrier(2)
        done = [threads.do(lambda: both.wait(PATIENCE)) for _ in range(2)]
        self.clock.hear()
        self.clock.hear()
        self.assertEqual({self.successResultOf(each) for each in done}, {0, 1})

    def test_stop(self) -> None:
        """At the end all that is under way fails at once, and nothing is done any more."""
        under_way: list[Deferred[typing.Any]] = [self.threads.do(self.wait), self.threads.do(int)]
        self.threads.stop()
        for each in under_way:
            self.failureResultOf(each, NoThread)
        self.failureResultOf(self.threads.do(int), NoThread)
        self.go_on.set()
        # The one that ran has come to its end for nobody.
        self.clock.hear()
        self.assertTrue(self.clock.heard_all())

    def test_threads_end(self) -> None:
        """At the end the threads end as well."""
        begun: list[threading.Thread] = []

        class Thread(threading.Thread):
            def start(self) -> None:
                begun.append(self)
                super().start()

        self.patch(hashing_threads, "threading", types.SimpleNamespace(Thread=Thread))
        threads = HashingThreads(self.clock.callFromThread, threads=2)
        both = threading.Barrier(2)
        done = [threads.do(lambda: both.wait(PATIENCE)) for _ in range(2)]
        self.clock.hear()
        self.clock.hear()
        threads.stop()
        for each in done:
            self.successResultOf(each)
        for thread in begun:
            thread.join(PATIENCE)
        self.assertEqual([thread.is_alive() for thread in begun], [False, False])

    def test_no_thread(self) -> None:
        """Where the system gives no thread, it is refused; where it gives one, that one will do."""
        gives = [True]

        class Thread(threading.Thread):
            def start(self) -> None:
                if not gives:
                    raise RuntimeError("can't start new thread")
                gives.pop()
                super().start()

        self.patch(hashing_threads, "threading", types.SimpleNamespace(Thread=Thread))
        threads = HashingThreads(self.clock.callFromThread, threads=2)
        self.addCleanup(threads.stop)
        done: list[Deferred[typing.Any]] = [threads.do(self.wait), threads.do(int)]
        self.go_on.set()
        self.clock.hear()
        self.clock.hear()
        self.assertEqual([self.successResultOf(each) for each in done], [True, 0])
        none = HashingThreads(self.clock.callFromThread)
        self.failureResultOf(none.do(int), NoThread)
