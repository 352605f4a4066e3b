"""
The fakes for pytest: fixtures that are there wherever aluvia and pytest are installed.

========================  =========================================================================
``aluvia_fakes``          :class:`~aluvia.testing.background.Fakes`: starts any fake, and changes it
``aluvia_control_plane``  a :class:`~aluvia.testing.control_plane.FakeControlPlane`
``aluvia_gateway``        a :class:`~aluvia.testing.gateway.FakeGateway` with the account that the
                          control plane gives out
``aluvia_origin``         a :class:`~aluvia.testing.origin.FakeOrigin`
========================  =========================================================================

::

    def test_it(aluvia_control_plane, aluvia_gateway, aluvia_fakes):
        aluvia_fakes.call(aluvia_control_plane.change, rules=["*"])
        ...

pytest finds them by the entry point ``pytest11``, so that nothing is to be configured. Without
pytest this module is never imported; with it, nothing but this module is, until a test asks for a
fixture. (The fakes need h11, from the extra ``test``.)
"""

from __future__ import annotations

import typing

import pytest

if typing.TYPE_CHECKING:
    from aluvia.testing.background import Fakes
    from aluvia.testing.control_plane import FakeControlPlane
    from aluvia.testing.gateway import FakeGateway
    from aluvia.testing.origin import FakeOrigin


@pytest.fixture
def aluvia_fakes() -> typing.Iterator[Fakes]:
    """Fakes in a thread of their own, closed behind the test."""
    from aluvia.testing.background import Fakes  # noqa: PLC0415

    with Fakes() as fakes:
        yield fakes


@pytest.fixture
def aluvia_control_plane(aluvia_fakes: Fakes) -> FakeControlPlane:
    """A control plane with one user, whose token is ``token``."""
    return aluvia_fakes.control_plane()


@pytest.fixture
def aluvia_gateway(aluvia_fakes: Fakes) -> FakeGateway:
    """A gateway with one account, ``user`` and ``pass``, the one that the control plane gives."""
    return aluvia_fakes.gateway()


@pytest.fixture
def aluvia_origin(aluvia_fakes: Fakes) -> FakeOrigin:
    """A site that answers every path with what it was asked."""
    return aluvia_fakes.origin()
