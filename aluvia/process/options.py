"""One option of a door: its name in each of three spellings, what it takes, and what it is for."""

from __future__ import annotations

import typing

import attrs

from aluvia.process.takes import Takes

__all__ = ["Option"]


@attrs.frozen
class Option:
    """
    One option.

    :cvar prefix: of a door's variables.
    :ivar name: on the command line behind ``--``, and as it is in the file.
    :ivar field: the field of the door's settings that its value is for.
    :ivar metavar: what its value is called in help texts; empty for a switch.
    :ivar also: variables of other programs, read where its own is not set; the first that is set
        holds.
    """

    prefix: typing.ClassVar[str] = "ALUVIA_"

    name: str
    field: str
    takes: Takes
    metavar: str
    text: str
    also: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """On the command line."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """In the environment."""
        return self.prefix + self.name.upper().replace("-", "_")

    @property
    def variables(self) -> tuple[str, ...]:
        """All that it may be in there."""
        return (self.variable, *self.also)
