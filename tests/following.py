"""What the tests of a client with its control plane have in common."""

from __future__ import annotations

import json
import os
import typing

from twisted.internet.defer import Deferred

from aluvia.testing.control_plane import FakeControlPlane
from aluvia.testing.gateway import FakeGateway
from aluvia.testing.http import Response
from aluvia.testing.origin import FakeOrigin
from tests.aluvia_process import AluviaProcess, clean_environment, pause, reactor
from tests.support import PASSWORD, USERNAME, ProxyCase

#: A token that would be found anywhere.
TOKEN = "canary-token-51e8"

#: How long something may take that a poll brings about: generous, for a busy machine.
SECONDS = 30.0

USAGE, UNAVAILABLE, TAKEN, REFUSED, BAD_FILE = 64, 69, 73, 77, 78


async def eventually(
    condition: typing.Callable[[], typing.Coroutine[Deferred[typing.Any], object, object]],
    what: str,
    seconds: float = SECONDS,
) -> None:
    """
    Wait until a condition that is awaited holds.

    :raises AssertionError: not within *seconds*.
    """
    began = reactor.seconds()
    while not await condition():
        if reactor.seconds() - began > seconds:
            raise AssertionError(f"not within {seconds} s: {what}")
        await pause(0.05)


class FollowingCase(ProxyCase):
    """Starts proxies that follow a control plane, which gives out the account of the gateway."""

    timeout = 120

    def plane(self, token: str = TOKEN, **options: typing.Any) -> FakeControlPlane:
        """Start a control plane."""
        options = {"username": USERNAME, "password": PASSWORD, **options}
        plane = FakeControlPlane(reactor, token, **options)
        self.addCleanup(plane.stop)
        return plane

    def assert_no_secret(self, text: str | bytes) -> None:
        """No credential and no token of ours is in *text*."""
        super().assert_no_secret(text)
        text = text.decode("latin-1") if isinstance(text, bytes) else text
        self.assertNotIn(TOKEN, text)

    def spawn(self, *options: str, **more: typing.Any) -> AluviaProcess:
        """Start a proxy with just these options, and do not wait for it."""
        process = AluviaProcess(*options, **more)
        self._processes.append(process)
        return process

    def follow(
        self,
        plane: FakeControlPlane,
        *options: str,
        gateway: FakeGateway | None = None,
        environment: typing.Mapping[str, str] | None = None,
        **more: typing.Any,
    ) -> AluviaProcess:
        """Start a proxy that follows *plane*, its token in the environment; do not wait for it."""
        environment = {"ALUVIA_TOKEN": TOKEN} if environment is None else environment
        return self.spawn(
            *("--api-base-url", plane.base_url, "--poll-interval", "1"),
            *("--gateway-host", "127.0.0.1"),
            *("--gateway-port", str(9 if gateway is None else gateway.port)),
            *options,
            environment=clean_environment(**environment),
            **more,
        )

    async def following(
        self, plane: FakeControlPlane, *options: str, **more: typing.Any
    ) -> AluviaProcess:
        """Start a proxy that follows *plane*, and wait until it is ready."""
        return await self.follow(plane, *options, **more).ready()

    async def refuses(self, process: AluviaProcess, status: int, *named: str) -> str:
        """
        The start fails: with *status*, one line on standard error that says each of *named*, and
        no traceback; that line.
        """
        self.assertEqual(await process.wait(), status, process.output)
        process.assert_quiet()
        self.assertFalse(process.port_file.exists())
        lines = process.stderr.decode().splitlines()
        self.assertEqual(len(lines), 1, process.output)
        for part in ("aluvia: ", *named):
            self.assertIn(part, lines[0])
        return lines[0]

    # What is seen of it

    async def readiness(self, process: AluviaProcess) -> dict[str, typing.Any]:
        """What ``/readyz`` says, ready or not."""
        response = await process.admin("/readyz", b"Accept: application/json\r\n")
        data: dict[str, typing.Any] = json.loads(response.body)
        self.assertEqual(response.status, 200 if data["ready"] else 503)
        return data

    async def polls(self, process: AluviaProcess, outcome: str) -> float:
        """How many polls came to *outcome*."""
        name = f'aluvia_polls_total{{outcome="{outcome}"}}'
        return (await process.metrics()).get(name, 0.0)

    async def came_to(self, process: AluviaProcess, outcome: str, count: int = 1) -> None:
        """Wait until *count* polls came to *outcome*."""

        async def there() -> bool:
            return await self.polls(process, outcome) >= count

        await eventually(there, f"{count} polls that came to {outcome}\n{process.output}")

    async def revision(self, process: AluviaProcess, number: int) -> None:
        """Wait until the configuration is the one of this *number*."""

        async def there() -> bool:
            return bool((await self.readiness(process))["revision"] == number)

        await eventually(there, f"revision {number}\n{process.output}")

    async def way(self, process: AluviaProcess, origin: FakeOrigin, host: str = "127.0.0.1") -> str:
        """The way that a request for *host* takes: ``gateway`` or ``direct``."""
        answer = await self.get(process, f"http://{host}:{origin.port}/")
        self.assertEqual(answer.status, 200, answer)
        return via(answer)

    def path(self, name: str) -> str:
        """An absolute name for a file of this test."""
        return os.path.abspath(f"{self._testMethodName}-{name}")

    def file(self, name: str, text: str | bytes) -> str:
        """Write a file; its absolute name."""
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
        return path


def via(answer: Response) -> str:
    """The way that a request took, by its answer."""
    return "direct" if answer.header(b"x-fake-gateway") is None else "gateway"
