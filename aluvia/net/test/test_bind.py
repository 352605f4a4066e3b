"""Ports that nobody asked for give way (:func:`aluvia.net.door.bind`)."""

from __future__ import annotations

import errno

from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.door import bind

TAKEN = 8080
FORBIDDEN = 80
ERRORS = {TAKEN: errno.EADDRINUSE, FORBIDDEN: errno.EACCES}


class BindTests(SynchronousTestCase):
    """A machine on which one port is taken, and one is not for us."""

    def setUp(self) -> None:
        """Nothing was tried."""
        self.tried: list[int] = []

    def listen(self, port: int) -> None:
        """Open a port, if that can be."""
        self.tried.append(port)
        if port in ERRORS:
            raise CannotListenError("127.0.0.1", port, OSError(ERRORS[port], "for a reason"))

    def test_free(self) -> None:
        """A port that is free is the one, movable or not."""
        for movable in ((), ("http",)):
            bind("http", 8081, self.listen, movable)
        self.assertEqual(self.tried, [8081, 8081])

    def test_moved(self) -> None:
        """In place of one that is taken, and that nobody asked for, any free one is opened."""
        bind("http", TAKEN, self.listen, ("http", "https"))
        self.assertEqual(self.tried, [TAKEN, 0])

    def test_asked_for(self) -> None:
        """One that somebody asked for is that one, or an error with a sentence."""
        error = self.assertRaises(OSError, bind, "http", TAKEN, self.listen, ("https",))
        said = "the http port 127.0.0.1:8080 cannot be bound: for a reason"
        self.assertEqual((str(error), self.tried), (said, [TAKEN]))

    def test_for_another_reason(self) -> None:
        """What is wrong with it, and is not that it is taken, is said; none is put in its place."""
        self.assertRaises(OSError, bind, "http", FORBIDDEN, self.listen, ("http",))
        self.assertEqual(self.tried, [FORBIDDEN])

    def test_none_is_free(self) -> None:
        """To ask for any and to get none is an error, and not asked again."""

        def full(port: int) -> None:
            self.tried.append(port)
            raise CannotListenError("127.0.0.1", port, OSError(errno.EADDRINUSE, "full"))

        self.assertRaises(OSError, bind, "http", TAKEN, full, ("http",))
        self.assertEqual(self.tried, [TAKEN, 0])
        self.assertRaises(OSError, bind, "http", 0, full, ("http",))
        self.assertEqual(self.tried, [TAKEN, 0, 0])
