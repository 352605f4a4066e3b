"""The routes file that is read again while other things change."""

from __future__ import annotations

import json
import typing
from pathlib import Path

import attrs
from twisted.internet.defer import Deferred

from aluvia.edge.edge import Edge
from aluvia.edge.hashing_threads import NoThread
from aluvia.edge.test.whole_edge_case import WholeEdgeCase
from aluvia.process.sources import SettingsError

PROVIDERS = {"authProviders": [{"id": "staff", "type": "bearer", "tokens": []}]}


class HeldThreads:
    """
    What is asked of it is done at once, and told when the test says so.

    :ivar let: the last one that was asked comes last.
    """

    def __init__(self) -> None:
        self.let: list[Deferred[None]] = []

    def do(self, call: typing.Callable[[], typing.Any]) -> Deferred[typing.Any]:
        """Do it."""
        held: Deferred[None] = Deferred()
        self.let.append(held)
        result = call()
        return held.addCallback(lambda _: result)


class ReadingTests(WholeEdgeCase):
    """An edge with a routes file, and threads that are slow."""

    async def setUp(self) -> None:  # type: ignore[override]
        """It has read an empty one."""
        super().setUp()
        self.path = Path(self.mktemp()).absolute()
        self.edge = await self.started({})
        self.threads = HeldThreads()
        self.patch(self.edge.ingress.threads, "do", self.threads.do)

    async def started(self, document: object) -> Edge:
        """An edge that has read this."""
        self.write(document)
        return await self.start(self.settings(routes=self.path))

    def write(self, document: object) -> None:
        """Write the routes file."""
        self.path.write_text(json.dumps(document))

    def read(self, document: object) -> Deferred[None]:
        """Write it, and begin to read it."""
        self.write(document)
        return Deferred.fromCoroutine(self.edge.read_routes())

    @property
    def ids(self) -> list[str]:
        """Those of the routes in force."""
        return [route.id for route in self.edge.router.routes]

    async def test_a_change_meanwhile_stays(self) -> None:
        """What was answered while the file was read is in force behind it, and on the disk."""
        reading = self.read(PROVIDERS)
        await self.edge.router.add_route(self.route())
        self.threads.let.pop().callback(None)
        await reading
        self.assertEqual(self.ids, ["service-a"])
        # The file is in force as well.
        guarded = attrs.evolve(self.route(), auth_provider="staff")
        await self.edge.router.put_route(guarded)
        await self.edge.stop()
        self.assertEqual((await self.start()).router.routes, (guarded,))

    async def test_what_the_file_says_goes_before_a_change_meanwhile(self) -> None:
        """A section that it has is that of the file, whatever was changed in it."""
        reading = self.read({"routes": [{"id": "of-the-file", "vHost": "file.test"}]})
        await self.edge.router.add_route(self.route())
        self.threads.let.pop().callback(None)
        await reading
        self.assertEqual(self.ids, ["of-the-file"])

    async def test_a_change_meanwhile_that_the_file_does_not_go_with(self) -> None:
        """It is judged over what there is by then, and refused."""
        reading = self.read({"authProviders": []})
        staff = {**PROVIDERS, "routes": [{"id": "a", "vHost": "a.test", "authProvider": "staff"}]}
        answer = await self.ask_api(
            self.edge, "/api/v1/config", "PUT", json.dumps({"certificates": [], **staff})
        )
        self.assertEqual(answer.status, 200, answer.body)
        self.threads.let.pop().callback(None)
        with self.assertRaises(SettingsError) as caught:
            await reading
        self.assertIn("must have 'staff'", str(caught.exception))
        self.assertEqual(self.ids, ["a"])

    async def test_two_readings_end_with_the_later_file(self) -> None:
        """Whichever thread is the quicker."""
        older, newer = (
            self.read({"routes": [{"id": id, "vHost": f"{id}.test"}]}) for id in ("old", "new")
        )
        while not (older.called and newer.called):
            if self.threads.let:
                self.threads.let.pop().callback(None)
            await self.turn()
        await older
        await newer
        self.assertEqual(self.ids, ["new"])

    async def test_no_thread_to_read_it_in(self) -> None:
        """Is one line, and the routes stay; the next time it goes."""

        def do(call: object) -> typing.NoReturn:
            raise NoThread("Too much waits for a thread.")

        self.patch(self.edge.ingress.threads, "do", do)
        with self.assertRaises(SettingsError) as caught:
            await self.read({"routes": []})
        said = f"{self.path}: it was not read: Too much waits for a thread."
        self.assertEqual(str(caught.exception), said)

    async def test_what_cannot_be_put_in_force(self) -> None:
        """Is said with the file and the place in it."""
        loop = {"hostname": "127.0.0.1", "port": self.edge.ingress.place("http")[1]}
        reading = self.read({"routes": [{"vHost": "a.test", "backends": [loop]}]})
        self.threads.let.pop().callback(None)
        with self.assertRaises(SettingsError) as caught:
            await reading
        said = f"{self.path}: /routes/0/backends/0: the backend is this edge itself"
        self.assertEqual(str(caught.exception), said)
