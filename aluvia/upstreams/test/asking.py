"""Members in memory, with a clock that a test moves, and whoever asks them."""

from __future__ import annotations

import typing
from random import Random

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.upstreams.member import SLOW_START_STEPS
from aluvia.upstreams.members import Admin, Member, Members, Wanted

CLIENT = "192.0.2.1"


class Told:
    """
    An observer that keeps what it is told.

    :ivar news: one line for each.
    :ivar then: what is done when a member dies.
    """

    def __init__(self) -> None:
        self.news: list[str] = []
        self.then: typing.Callable[[], object] = lambda: None

    def member_died(self, member: Member[str], cause: str) -> None:
        """Keep it."""
        self.news.append(f"{member.id} died: {cause}")
        self.then()

    def member_revived(self, member: Member[str]) -> None:
        """Keep it."""
        self.news.append(f"{member.id} revived")

    def nobody_alive(self, so: bool) -> None:
        """Keep it."""
        self.news.append("nobody alive" if so else "somebody alive")

    def take(self) -> list[str]:
        """What came since this was asked last."""
        news, self.news = self.news, []
        return news


@attrs.define(eq=False)
class Request:
    """One request, and what becomes of it."""

    members: Members[str]
    member: Member[str]
    term: int

    def answer(self, seconds: float = 0.01, *, failing: bool = False) -> Request:
        """The first byte of an answer comes."""
        self.members.answered(self.member, seconds, failing, self.term)
        return self

    def fail(self, cause: str = "connection_refused") -> Request:
        """It fails."""
        self.members.failed(self.member, cause, self.term)
        return self

    def end(self) -> None:
        """It is over."""
        self.members.ended(self.member, self.term)


class MembersCase(SynchronousTestCase):
    """Some members, to be asked."""

    strategy = "ROUND_ROBIN"

    def setUp(self) -> None:
        """Have a clock that has run for a while, and no members."""
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.told = Told()
        self.members = Members(self.clock, self.strategy, self.told, random=Random(7))

    def have(self, *ids: str, **weights: int) -> list[Member[str]]:
        """Have these, and those of other weights than 1."""
        wanted = [Wanted(id=id, target=f"at {id}") for id in ids]
        wanted += [Wanted(id=id, target=f"at {id}", weight=each) for id, each in weights.items()]
        self.members.change(wanted)
        return list(self.members)

    def set_admin(self, id: str, admin: Admin) -> None:
        """Change what is wanted of one."""
        self.members.change(
            [
                Wanted(
                    id=each.id,
                    target=each.target,
                    weight=each.weight,
                    admin=admin if each.id == id else each.admin,
                )
                for each in self.members
            ]
        )

    def ask(self, client: str = CLIENT, tried: typing.Collection[Member[str]] = ()) -> Request:
        """Send a request; there is somebody for it."""
        member = self.members.pick(client, tried)
        assert member is not None
        return Request(self.members, member, self.members.began(member))

    def is_slow(self, member: Member[str]) -> bool:
        """Whether it has come back, and its share still grows."""
        return member.share(self.clock.seconds()) < SLOW_START_STEPS

    def asked(self, count: int, client: str = CLIENT) -> list[str]:
        """Send requests that go well, one after the other, and say where they went."""
        ids = []
        for _ in range(count):
            request = self.ask(client)
            ids.append(request.member.id)
            request.answer().end()
        return ids

    def kill(self, member: Member[str], cause: str = "connection_refused") -> None:
        """Let one die of a request that it was given."""
        request = Request(self.members, member, self.members.began(member))
        request.fail(cause).end()
