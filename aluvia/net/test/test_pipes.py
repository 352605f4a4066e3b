"""The pool of pipes: its budget, what it lends, and what it never lends again."""

from __future__ import annotations

import errno
import fcntl
import os
import unittest

from twisted.trial.unittest import SynchronousTestCase

from aluvia.net import pipes as pipes_module
from aluvia.net.accept import open_descriptors
from aluvia.net.pipes import CAN_SPLICE, LEAST_PIPE_BYTES, Pipe, Pipes, pipes_for
from aluvia.wire.limits import Limits

MEBIBYTE = 1_048_576


@unittest.skipUnless(CAN_SPLICE, "no splice here")
class PipesTests(SynchronousTestCase):
    """A pool with one user, which leaves when the test is over."""

    def setUp(self) -> None:
        """Make it."""
        self.descriptors = open_descriptors()
        self.pool = Pipes(8, MEBIBYTE, 65_536)
        self.pool.enter()

    def tearDown(self) -> None:
        """See that it leaves nothing."""
        self.assertEqual(self.pool.leased, 0)
        self.pool.leave()
        self.assertEqual(open_descriptors(), self.descriptors)

    def lease(self) -> Pipe:
        """A pipe, which there must be."""
        pipe = self.pool.lease()
        assert pipe is not None
        return pipe

    def test_a_pipe_that_still_holds_bytes_is_closed_never_returned_to_the_pool(self) -> None:
        """What is in a pipe belongs to one tunnel: nobody else gets it."""
        pipe = self.lease()
        os.write(pipe.writer, b"somebody's secret")
        pipe.held = 17
        self.pool.give_back(pipe)
        self.assertEqual(self.pool.idle, 0)
        self.assertEqual(open_descriptors(), self.descriptors)
        other = self.lease()
        self.assertRaises(BlockingIOError, os.read, other.reader, 100)
        self.pool.give_back(other)

    def test_an_empty_pipe_is_lent_again(self) -> None:
        """It is not made anew."""
        pipe = self.lease()
        self.pool.give_back(pipe)
        self.assertEqual(self.pool.idle, 1)
        self.assertIs(self.lease(), pipe)
        self.assertEqual(self.pool.leased, 1)
        self.pool.give_back(pipe)

    def test_after_the_last_user_nothing_is_kept(self) -> None:
        """Idle pipes are closed, and one that comes back late is too."""
        late = self.lease()
        self.pool.give_back(self.lease())
        self.pool.leave()
        self.assertEqual(open_descriptors(), self.descriptors + 2)
        self.pool.give_back(late)
        self.assertEqual(open_descriptors(), self.descriptors)
        self.pool.enter()

    def test_smaller_as_the_budget_gets_short_and_then_none(self) -> None:
        """Full size first, then a fourth, then a sixteenth; never more than the budget in all."""
        leased = []
        while (pipe := self.pool.lease()) is not None:
            leased.append(pipe)
        sizes = [pipe.size for pipe in leased]
        self.assertEqual(sizes, sorted(sizes, reverse=True))
        self.assertEqual(set(sizes), {MEBIBYTE, MEBIBYTE // 4, MEBIBYTE // 16})
        self.assertEqual(sum(sizes), 8 * MEBIBYTE)
        for pipe in leased:
            self.pool.give_back(pipe)
        # The best one that is idle goes first.
        best = self.lease()
        self.assertEqual(best.size, MEBIBYTE)
        self.pool.give_back(best)

    def test_the_kernel_refuses_the_size(self) -> None:
        """Then the next smaller one is asked for."""
        stock = fcntl.fcntl

        def refusing(descriptor: int, command: int, argument: int = 0) -> int:
            if command == fcntl.F_SETPIPE_SZ and argument > MEBIBYTE // 4:
                raise PermissionError(errno.EPERM, "over the user's budget")
            return stock(descriptor, command, argument)

        self.patch(fcntl, "fcntl", refusing)
        pipe = self.lease()
        self.assertEqual(pipe.size, MEBIBYTE // 4)
        self.pool.give_back(pipe)

    def test_only_tiny_pipes_are_left(self) -> None:
        """A pipe of two pages is not worth it: there is none."""

        def shrunk(descriptor: int, command: int, argument: int = 0) -> int:
            if command == fcntl.F_SETPIPE_SZ:
                raise PermissionError(errno.EPERM, "over the user's budget")
            return 8192

        self.patch(fcntl, "fcntl", shrunk)
        self.assertIsNone(self.pool.lease())
        self.assertEqual(open_descriptors(), self.descriptors)

    def test_no_descriptor_is_left(self) -> None:
        """There is none either, and no error."""

        def exhausted(flags: int) -> tuple[int, int]:
            raise OSError(errno.EMFILE, "too many")

        self.patch(os, "pipe2", exhausted)
        self.assertIsNone(self.pool.lease())

    def test_a_small_pool_of_small_pipes(self) -> None:
        """Where the size cannot be divided, the whole budget is of that size."""
        pool = Pipes(2, LEAST_PIPE_BYTES, 65_536)
        pool.enter()
        leased = [pool.lease(), pool.lease()]
        self.assertIsNone(pool.lease())
        for pipe in leased:
            assert pipe is not None
            self.assertEqual(pipe.size, LEAST_PIPE_BYTES)
            pool.give_back(pipe)
        pool.leave()

    def test_sockets_do_not_splice_after_all(self) -> None:
        """After ``give_up`` nothing is lent."""
        self.pool.give_up()
        self.assertFalse(self.pool.usable)
        self.assertIsNone(self.pool.lease())


class SharedTests(SynchronousTestCase):
    """Pools for a process."""

    def test_one_pool_for_equal_limits(self) -> None:
        """Two clients in one process share the budget of the process."""
        self.assertIs(pipes_for(Limits()), pipes_for(Limits(head_bytes=100)))
        self.assertIsNot(pipes_for(Limits()), pipes_for(Limits(pipes=1)))

    def test_no_pipes_where_the_platform_has_no_splice(self) -> None:
        """Then everything is copied."""
        self.patch(pipes_module, "CAN_SPLICE", False)
        pool = Pipes(8, MEBIBYTE, 65_536)
        self.assertFalse(pool.usable)
        self.assertIsNone(pool.lease())

    def test_no_pipes_where_they_are_turned_off(self) -> None:
        """``Limits(pipes=0)`` means copying."""
        pool = Pipes(0, MEBIBYTE, 65_536)
        self.assertFalse(pool.usable)
        self.assertIsNone(pool.lease())
