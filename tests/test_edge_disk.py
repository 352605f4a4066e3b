"""A disk without room: a change is refused, all of it, and there is no other harm."""

from __future__ import annotations

import contextlib
import os
import resource
import typing
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.edge_case import EdgeCase, backend, is_root
from tests.edge_process import Api, EdgeProcess

#: More than there is room for, and less than the API takes.
LARGE = {f"X-Large-{number}": "x" * 8_000 for number in range(60)}


class DiskCase(EdgeCase):
    """What is to be seen while there is no room, and when there is again."""

    async def no_room(self, edge: EdgeProcess, api: Api, status: int) -> None:
        """A change is refused with this status; nothing of it is there; all is served."""
        before = await api("GET", "/config")
        whole = before.json()
        extra = [{"id": f"r{n}", "vHost": f"r{n}.example", "headers": LARGE} for n in range(3)]
        for method, path, document in (
            ("POST", "/routes", {**extra[0]}),
            ("PATCH", "/routes/a", {"headers": LARGE}),
            ("PUT", "/config", {**whole, "routes": [*whole["routes"], *extra]}),
        ):
            reply = await api(method, path, document)
            self.assertEqual(reply.status, status, (method, path, reply.text))
            self.assertEqual(reply.field("content-type"), "application/problem+json")
            self.assert_no_secret(reply.text)
        after = await api("GET", "/config")
        self.assertEqual((after.etag, after.json()), (before.etag, whole))
        self.assertEqual((await self.visit(edge, "a.example")).status, 200)
        self.assertEqual((await self.visit(edge, "r0.example")).status, 404)
        self.assertEqual((await api("GET", "//readyz")).status, 200)
        self.assertIn("A change could not be kept", edge.output)

    async def room_again(self, edge: EdgeProcess, api: Api) -> None:
        """The same changes are made; and are there after the next start, with what was before."""
        await api.done("PATCH", "/routes/a", {"headers": LARGE})
        await api.done("POST", "/routes", {"id": "r0", "vHost": "r0.example", "headers": LARGE})
        kept = await api("GET", "/config")
        edge.kill()
        await edge.wait()
        again = self.api(await self.edge(db=edge.db))
        found = await again("GET", "/config")
        self.assertEqual((found.etag, found.json()), (kept.etag, kept.json()))


class FileSizeTests(DiskCase):
    """A limit of a file's size, which needs nobody's permission."""

    async def test_no_room(self) -> None:
        """503, and when there is room again the change is made."""
        edge, api, _ = await self.start()
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        ahead = edge.db.with_name(edge.db.name + "-wal")
        size = max(ahead.stat().st_size, edge.db.stat().st_size)
        resource.prlimit(edge.pid, resource.RLIMIT_FSIZE, (size, hard))
        await self.no_room(edge, api, 503)
        resource.prlimit(edge.pid, resource.RLIMIT_FSIZE, (hard, hard))
        await self.room_again(edge, api)


class FullDiskTests(DiskCase):
    """A small file system, which is full."""

    def mount(self, size: str) -> Path:
        """A file system of its own; skips where there may be none."""
        if not is_root():
            raise SkipTest("mounting a file system needs root")
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        if os.spawnlp(os.P_WAIT, "mount", *f"mount -t tmpfs -o size={size} none {place}".split()):
            raise SkipTest("a file system cannot be mounted here")
        self.addCleanup(os.spawnlp, os.P_WAIT, "umount", "umount", "--lazy", str(place))
        return place

    def fill(self, place: Path) -> Path:
        """Leave no room; what takes it."""
        filler = place / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)
        return filler

    async def test_full_disk(self) -> None:
        """507, and when there is room again the change is made."""
        place = self.mount("4m")
        db = place / "edge.db"
        edge = await self.edge(db=db)
        api, origin = self.api(edge), self.origin()
        await self.route(api, "a.example", backend(origin, "one"))
        filler = self.fill(place)
        await self.no_room(edge, api, 507)
        filler.unlink()
        await self.room_again(edge, api)

    async def test_start_on_a_full_disk(self) -> None:
        """What is there is served; nothing is lost, whether it can be opened or not."""
        place = self.mount("4m")
        db = place / "edge.db"
        edge = await self.edge(db=db)
        api, origin = self.api(edge), self.origin()
        await self.route(api, "a.example", backend(origin, "one"))
        edge.kill()
        await edge.wait()
        filler = self.fill(place)
        with_no_room = self.spawn_edge(db=db)
        served: typing.Any = None
        try:
            served = await with_no_room.ready()
        except AssertionError:
            self.assertIn(with_no_room.status, (73, 78), with_no_room.output)
            self.assertIn(str(db), with_no_room.output)
            with_no_room.assert_quiet()
        if served is not None:
            self.assertEqual((await self.visit(with_no_room, "a.example")).status, 200)
            with_no_room.kill()
            await with_no_room.wait()
        filler.unlink()
        again = await self.edge(db=db)
        self.assertEqual((await self.visit(again, "a.example")).status, 200)
