"""Tests for :mod:`aluvia.process.lifeline`."""

from __future__ import annotations

import os
import socket
import stat
import typing

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from aluvia.process.lifeline import Lifeline, adopt
from aluvia.process.test.supervisor import turn


class LifelineTests(TestCase):
    """A parent that started us for itself; real sockets, since descriptors are what it is about."""

    def setUp(self) -> None:
        """Both ends; ours as a bare number."""
        self.parent, child = socket.socketpair()
        self.addCleanup(self.parent.close)
        self.descriptor = child.detach()
        self.gone: Deferred[None] = Deferred()

    async def test_ready_and_gone(self) -> None:
        """The parent reads one line; its end is told once."""
        lifeline = adopt(
            typing.cast(typing.Any, reactor), str(self.descriptor), lambda: self.gone.callback(None)
        )
        self.assertRaises(OSError, os.fstat, self.descriptor)
        lifeline.ready({"proxy": 5})
        self.parent.settimeout(5)
        await turn()
        self.assertEqual(b'{"proxy": 5}\n', self.parent.recv(100))
        self.parent.send(b"what?")
        self.parent.close()
        await self.gone

    async def test_released(self) -> None:
        """After we let go, the end of the connection means nothing."""
        lifeline = adopt(
            typing.cast(typing.Any, reactor), str(self.descriptor), lambda: self.gone.callback(None)
        )
        lifeline.release()
        await turn()
        await turn()
        self.assertEqual(b"", self.parent.recv(1))
        self.assertNoResult(self.gone)

    def test_not_inherited(self) -> None:
        """A child of ours does not keep the parent's connection open."""
        lifeline = adopt(typing.cast(typing.Any, reactor), str(self.descriptor), lambda: None)
        transport: typing.Any = lifeline.transport
        self.assertFalse(os.get_inheritable(transport.fileno()))
        lifeline.release()
        return turn()  # type: ignore[return-value]

    def test_no_socket(self) -> None:
        """A number that is no socket is refused, whatever it is."""
        os.close(self.descriptor)
        with open(os.devnull) as null:
            for number in (str(null.fileno()), str(self.descriptor), "-1", "x", "", "9" * 30, "٣"):
                self.assertRaises(OSError, adopt, reactor, number, lambda: None)
            self.assertTrue(stat.S_ISCHR(os.fstat(null.fileno()).st_mode))

    def test_nobody_connected(self) -> None:
        """A lifeline that was never connected can be told and released."""
        lifeline = Lifeline(lambda: None)
        lifeline.ready({})
        lifeline.release()
