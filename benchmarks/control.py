"""What following a control plane costs: ``python benchmarks/control.py``.

Two things are measured, over loopback, against ``aluvia.testing``'s control plane:

* the processor time of a poll, in the process that asks: of a 304, of a 200 that changes nothing,
  and of a 200 with new rules, ten or ten thousand. The control plane runs in another process.
* the time from a change of the rules to the first request that follows it, with the monitor;
  requests follow each other without a pause on one connection. (With plain polling it is, on
  average, half the poll interval.)

Both are medians, with the lowest and the highest behind them.
"""

from __future__ import annotations

import collections.abc
import statistics
import subprocess
import sys
import time
import typing
from pathlib import Path

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from aluvia.client import AluviaClient
from aluvia.client.config import read_user
from aluvia.client.local import LocalProxy
from aluvia.client.settings import Settings
from aluvia.client.user_api import UserAPI
from aluvia.net.guard import Guard
from aluvia.rules import RuleSet
from aluvia.testing.control_plane import FakeControlPlane
from aluvia.testing.dialling import dial
from aluvia.testing.gateway import FakeGateway
from aluvia.testing.http import read_response
from aluvia.testing.origin import FakeOrigin

reactor: typing.Any = global_reactor
ROUNDS = 5
POLLS = 100
CHANGES = 50
FEW, MANY = 10, 10_000

PLANE = Path(__file__).with_name("plane.py")


def show(name: str, values: list[float], unit: str) -> None:
    """Print one line of the table."""
    low, middle, high = min(values), statistics.median(values), max(values)
    print(f"{name:<52}{middle:9.1f} {unit}  ({low:.1f}–{high:.1f})", flush=True)


async def poll(rules: int) -> None:
    """The processor time of polls of a control plane with so many rules."""
    hosts = [f"h{number}.example" for number in range(rules)]
    command = [sys.executable, str(PLANE), "0", "token", "user", "pass", *hosts]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as plane:
        assert plane.stdout is not None
        base_url = plane.stdout.readline().strip()
        local = LocalProxy(Settings(token="token", port=0), reactor)
        api = UserAPI(reactor, local.dialers(Guard(list)), base_url, "token")
        etag = (await api.get()).etag
        polls = POLLS if rules == FEW else POLLS // 20

        async def unmodified() -> None:
            await api.get(etag)

        async def whole() -> None:
            read_user((await api.get()).body)

        async def new() -> None:
            RuleSet.compile(read_user((await api.get()).body).rules)

        cases: dict[str, collections.abc.Callable[[], typing.Awaitable[None]]] = {
            "a 200 that changes nothing": whole,
            "a 200 with new rules": new,
        }
        if rules == FEW:
            cases = {"a 304": unmodified, **cases}
        for name, case in cases.items():
            spent = []
            for _ in range(ROUNDS):
                began = time.process_time()
                for _ in range(polls):
                    await case()
                spent.append((time.process_time() - began) / polls * 1e3)
            show(f"CPU of a poll: {name}, {rules} rules", spent, "ms")
        await api.close()
        await local.stop()
        plane.terminate()


async def follow() -> None:
    """The time from a change to the first request that follows it."""
    origin, gateway = FakeOrigin(reactor), FakeGateway(reactor)
    plane = FakeControlPlane(reactor, rules=["*"])
    plane.monitored = True
    client = AluviaClient(
        plane.token,
        api_base_url=plane.base_url,
        gateway_host="127.0.0.1",
        gateway_port=gateway.port,
        poll_interval=1,
        log_level="silent",
    )
    session = await client.start()
    connection = await dial(reactor, session.host, session.port)
    request = f"GET http://127.0.0.1:{origin.port}/ HTTP/1.1\r\nHost: a\r\n\r\n".encode()

    async def through() -> bool:
        await connection.send(request)
        return (await read_response(connection)).header(b"x-fake-gateway") is not None

    await plane.peer.when(lambda: plane.asked[-1].path.endswith("/monitor"))
    spent = []
    for number in range(CHANGES):
        wanted = bool(number % 2)
        began = time.monotonic()
        plane.change(rules=["*"] if wanted else [])
        while await through() is not wanted:
            pass
        spent.append((time.monotonic() - began) * 1e3)
        await plane.peer.when(lambda: _waits(plane))
    show("from a change to the first request that follows it", spent, "ms")
    connection.close()
    await client.stop()
    for each in (plane, gateway, origin):
        await each.stop()


def _waits(plane: FakeControlPlane) -> bool:
    """Whether the monitor is being asked about what is there now."""
    return plane.asked[-1].header(b"if-none-match") == plane.etag.encode()


def main(_: object) -> Deferred[None]:
    """Print the table."""

    async def all_of_it() -> None:
        await poll(FEW)
        await poll(MANY)
        await follow()

    return Deferred.fromCoroutine(all_of_it())


if __name__ == "__main__":
    react(main)
