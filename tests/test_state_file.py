"""``--state-file``: a start that does not need the control plane."""

from __future__ import annotations

import json
import os
import signal
import stat
import typing

from aluvia.testing.control_plane import FakeControlPlane, always
from aluvia.testing.gateway import FakeGateway
from tests.aluvia_process import AluviaProcess, until
from tests.following import REFUSED, SECONDS, TOKEN, UNAVAILABLE, FollowingCase
from tests.support import PASSWORD, ProxyCase

STARTED = "It starts with the configuration that was kept in the state file."


class StateFileCase(FollowingCase):
    """A control plane whose rules send all through the gateway, and a file's name."""

    control: FakeControlPlane
    parent: FakeGateway
    state: str

    def setUp(self) -> None:
        """Start both fakes."""
        super().setUp()
        self.control, self.parent = self.plane(rules=["*"]), self.gateway()
        self.state = self.path("state.json")

    def again(self, **more: typing.Any) -> AluviaProcess:
        """Start a proxy with the state file, and do not wait for it."""
        return self.follow(self.control, "--state-file", self.state, gateway=self.parent, **more)

    async def killed(self) -> None:
        """Run one until it serves, and end it by SIGKILL."""
        process = await self.again().ready()
        process.kill()
        await process.wait()

    def content(self) -> dict[str, typing.Any]:
        """What is in the file."""
        with open(self.state) as file:
            data: dict[str, typing.Any] = json.load(file)
        return data


class StateFileTests(StateFileCase):
    """A file that is good."""

    async def test_killed_and_started_without_the_api(self) -> None:
        """
        After a kill -9 it starts from the file while the API is down or broken, says so, serves,
        and follows the API when that is back.
        """
        origin = self.origin()
        await self.killed()
        self.assertEqual(stat.S_IMODE(os.stat(self.state).st_mode), 0o600)
        for broken in (None, always(500), always(503, [(b"Retry-After", b"1")])):
            self.control.lie = broken
            if broken is None:
                self.control.go_down()
            process = await self.again().ready()
            self.control.come_back()
            self.assertEqual(process.output.count(STARTED), 1, process.output)
            ready = await self.readiness(process)
            self.assertTrue(ready["ready"])
            self.assertIsNotNone(ready["last_error"])
            self.assertEqual(await self.way(process, origin), "gateway")
            process.kill()
            await process.wait()
        self.control.lie = None
        self.control.go_down()
        process = await self.again().ready()
        self.control.change(rules=[])
        self.control.come_back()
        process.send_signal(signal.SIGHUP)
        await self.revision(process, 2)
        self.assertEqual(await self.way(process, origin), "direct")
        self.assertIsNone((await self.readiness(process))["last_error"])

    async def test_asks_with_the_kept_etag(self) -> None:
        """Started from the file, it asks with the ETag that is kept there, and 304 will do."""
        await self.killed()
        self.control.go_down()
        process = await self.again().ready()
        self.control.asked.clear()
        self.control.come_back()
        process.send_signal(signal.SIGHUP)
        await self.came_to(process, "unchanged")
        self.assertEqual(self.control.asked[0].header(b"if-none-match"), b'"1"')
        self.assertIsNone((await self.readiness(process))["last_error"])

    async def test_kept_etag_that_cannot_be_sent(self) -> None:
        """Whatever stands in its place: it asks without one, and gets the whole answer."""
        await self.killed()
        for etag in ("\ud800", '"1"\r\nX-Forged: y', 1):
            kept = json.dumps({**self.content(), "etag": etag})
            with open(self.state, "w") as file:
                file.write(kept)
            self.control.go_down()
            process = await self.again().ready()
            self.control.asked.clear()
            self.control.come_back()
            process.send_signal(signal.SIGHUP)
            await self.came_to(process, "unchanged")
            visit = self.control.asked[0]
            self.assertIsNone(visit.header(b"if-none-match"))
            self.assertIsNone(visit.header(b"x-forged"))
            self.assertIsNone((await self.readiness(process))["last_error"])
            await process.stop()

    async def test_what_is_kept(self) -> None:
        """The password is there, since it must be; the token is not. A change replaces it whole."""
        process = await self.again().ready()
        with open(self.state, "rb") as file:
            text = file.read()
        self.assertIn(PASSWORD.encode(), text)
        self.assertNotIn(TOKEN.encode(), text)
        self.assertEqual(self.content()["user"]["rules"], ["*"])
        before = os.stat(self.state).st_ino
        self.control.change(rules=["a.example"])
        process.send_signal(signal.SIGHUP)
        await until(lambda: self.content()["user"]["rules"] == ["a.example"], SECONDS, "replaced")
        self.assertNotEqual(os.stat(self.state).st_ino, before)
        self.assertEqual(stat.S_IMODE(os.stat(self.state).st_mode), 0o600)
        folder, name = os.path.split(self.state)
        self.assertEqual([each for each in os.listdir(folder) if name in each], [name])

    async def test_the_api_comes_first(self) -> None:
        """Where the API answers, its configuration is used, and not the file's."""
        origin = self.origin()
        await self.killed()
        self.control.change(rules=[])
        process = await self.again().ready()
        self.assertNotIn(STARTED, process.output)
        self.assertEqual(await self.way(process, origin), "direct")

    async def test_cannot_be_written(self) -> None:
        """A file that cannot be written is one line in the log, and no more."""
        self.state = self.path("missing/state.json")
        process = await self.again().ready()
        self.control.change(rules=["a.example"])
        process.send_signal(signal.SIGHUP)
        await self.revision(process, 2)
        self.assertEqual(process.output.count("cannot be written"), 1, process.output)


class BadStateFileTests(StateFileCase):
    """A file that must not be used."""

    async def not_used(self, named: str, **more: typing.Any) -> None:
        """The API is down, and the start fails with 69; the log says what is wrong."""
        process = self.again(**more)
        await self.refuses(process, UNAVAILABLE, "cannot be reached")
        self.assertNotIn(STARTED, process.output)
        self.assertIn(named, process.output)

    async def test_not_used(self) -> None:
        """None at all, another token's, a broken one, one that others may write."""
        await self.killed()
        with open(self.state, "rb") as file:
            good = file.read()
        self.control.go_down()
        await self.not_used("another token", environment={"ALUVIA_TOKEN": "canary-other"})
        os.chmod(self.state, 0o660)
        await self.not_used("may write it")
        os.chmod(self.state, 0o602)
        await self.not_used("may write it")
        os.chmod(self.state, 0o600)
        user = json.loads(good)["user"]
        for text, named in (
            (good[:-20], "no JSON"),
            (b"", "no JSON"),
            (b"[]", "another version"),
            (good.replace(b'"version": 1', b'"version": 2'), "another version"),
            (json.dumps({**json.loads(good), "user": {**user, "proxy_password": ""}}).encode(),
             "proxy_password"),
        ):  # fmt: skip
            with open(self.state, "wb") as file:
                file.write(text)
            await self.not_used(named)
        os.unlink(self.state)
        os.mkfifo(self.state)
        await self.not_used("no regular file")
        os.unlink(self.state)
        await self.not_used("")
        with open(self.state, "wb") as file:
            file.write(good)
        os.chmod(self.state, 0o600)
        ProxyCase.assert_no_secret(self, (await self.again().ready()).output)

    async def test_an_answer_is_no_outage(self) -> None:
        """401, 404 and HTML end the start, whatever is kept, and whatever their body is."""
        await self.killed()
        for lie, status, named in (
            (always(401), REFUSED, "401"),
            (always(404), UNAVAILABLE, "404"),
            (always(200, [], b"<html>"), UNAVAILABLE, "JSON"),
            (always(401, [], b"x" * 1_048_577), REFUSED, "401"),
            (always(403, [(b"Content-Encoding", b"gzip")], b"?"), REFUSED, "403"),
            (always(200, [], b"x" * 1_048_577), UNAVAILABLE, "longer"),
        ):
            self.control.lie = lie
            process = self.again()
            await self.refuses(process, status, named)
            self.assertNotIn(STARTED, process.output)
