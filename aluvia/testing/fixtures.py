"""
The fakes for trial: started by a test, closed behind it.

::

    class MyTests(AluviaFixtures, TestCase):
        async def test_it(self) -> None:
            plane = self.fake_control_plane("my-token", rules=["*"])
            gateway = self.fake_gateway()
            ...

For tests that block, and for pytest: :mod:`aluvia.testing.background`.
"""

from __future__ import annotations

import typing

from aluvia.testing.control_plane import FakeControlPlane
from aluvia.testing.faults import FaultPeer
from aluvia.testing.gateway import FakeGateway
from aluvia.testing.origin import FakeOrigin
from aluvia.testing.reactors import DescriptorReactor

Fake = typing.TypeVar("Fake", FakeControlPlane, FakeGateway, FakeOrigin, FaultPeer)


class AluviaFixtures:
    """
    To be inherited beside :class:`twisted.trial.unittest.TestCase`.

    :cvar fakes_reactor: what the fakes run on; None for the reactor that runs the tests.
    """

    fakes_reactor: DescriptorReactor | None = None

    def fake_control_plane(self, *arguments: typing.Any, **options: typing.Any) -> FakeControlPlane:
        """Start one; see :class:`~aluvia.testing.control_plane.FakeControlPlane`."""
        return self._start_fake(FakeControlPlane, *arguments, **options)

    def fake_gateway(self, *arguments: typing.Any, **options: typing.Any) -> FakeGateway:
        """Start one; see :class:`~aluvia.testing.gateway.FakeGateway`."""
        return self._start_fake(FakeGateway, *arguments, **options)

    def fake_origin(self, *arguments: typing.Any, **options: typing.Any) -> FakeOrigin:
        """Start one; see :class:`~aluvia.testing.origin.FakeOrigin`."""
        return self._start_fake(FakeOrigin, *arguments, **options)

    def fault_peer(self, *arguments: typing.Any, **options: typing.Any) -> FaultPeer:
        """Start one; see :class:`~aluvia.testing.faults.FaultPeer`."""
        return self._start_fake(FaultPeer, *arguments, **options)

    def _start_fake(self, kind: type[Fake], *arguments: typing.Any, **options: typing.Any) -> Fake:
        fake = kind(_default(reactor=self.fakes_reactor), *arguments, **options)
        # Of the TestCase that is inherited too.
        self.addCleanup(fake.stop)  # type: ignore[attr-defined]
        return fake


def _default(*, reactor: DescriptorReactor | None = None) -> DescriptorReactor:
    if reactor is None:
        # Not at import: which reactor it is, trial decides.
        from twisted.internet import reactor as running  # noqa: PLC0415

        reactor = typing.cast(DescriptorReactor, running)
    return reactor
