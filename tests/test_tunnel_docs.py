"""The pages about tunnels: each of their commands as it stands, but for the ports."""

from __future__ import annotations

import os
import pathlib
import sys
import typing

from aluvia.testing.faults import Close, FaultPeer, Read, Send
from tests.aluvia_process import Child, reactor, until
from tests.checkout import CHECKOUT
from tests.newcomer import SECONDS_TO_START, NewcomerCase, free_port, listens, with_ports
from tests.readme import commands

HOWTO = CHECKOUT / "docs" / "howto"

#: What stands in for a client of a database that is not installed here.
PSQL = """\
#!/bin/sh
[ "$1 $2 $3" = "-h 127.0.0.1 -p" ] || exit 1
exec {python} -c 'import socket, sys
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
client.sendall(b"startup")
print(client.recv(99).decode())' "$4"
"""

#: An app with a WebSocket and a stream of events, which is short.
APP = """\
import asyncio
import websockets

async def answer(browser):
    async for text in browser:
        await browser.send(text)

def events(connection, request):
    if request.path == "/events":
        return connection.respond(200, "data: one")

async def main():
    async with websockets.serve(answer, "127.0.0.1", {port}, process_request=events):
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
"""


class HowToCase(NewcomerCase):
    """Types the lines of a page where aluvia is installed already, in a folder of its own."""

    timeout = 120.0

    def setUp(self) -> None:
        """The folder, with a place for programs that are found before others."""
        self.checkout = pathlib.Path(self.mktemp()).resolve()
        self.programs = self.checkout / "programs"
        self.programs.mkdir(parents=True)
        installed = str(pathlib.Path(sys.executable).parent)
        path = os.pathsep.join([str(self.programs), installed, os.environ["PATH"]])
        self.patch(os, "environ", {**os.environ, "PATH": path})

    def lines(self, page: str) -> typing.Iterator[str]:
        """The commands of a page, in their order."""
        return iter(commands(HOWTO / f"{page}.rst"))

    async def start_edge(self, line: str) -> dict[str, int]:
        """Start the edge of a page on free ports; those."""
        _, ports = await self.edge(with_ports(line, {8080: 0, 8910: 0}))
        return ports

    async def types(self, line: str, ports: dict[int, int]) -> str:
        """What a line prints."""
        return await self.finish(with_ports(line, ports))


class TCPTests(HowToCase):
    """``tunnel-tcp``."""

    async def test_page(self) -> None:
        """A client of the database reaches it by the edge's port."""
        lines = self.lines("tunnel-tcp")
        database = FaultPeer(reactor, [Read(count=7), Send(b"authenticate"), Close()])
        self.addCleanup(database.stop)
        psql = self.programs / "psql"
        psql.write_text(PSQL.format(python=sys.executable), encoding="utf-8")
        psql.chmod(0o700)

        await self.finish(next(lines))
        ports = await self.start_edge(with_ports(next(lines), {15432: 0}))
        await self.agent(with_ports(next(lines), {5432: database.port, 8910: ports["hub"]}))
        said = await self.types(next(lines), {15432: ports["tunnel db"]})
        self.assertEqual(said, "authenticate\n")
        self.assertEqual(database.connections[-1].received, b"startup")
        self.assertEqual(list(lines), [])


class WebSocketTests(HowToCase):
    """``tunnel-websocket``."""

    async def test_page(self) -> None:
        """Events by the path and by the host, and a WebSocket."""
        lines = self.lines("tunnel-websocket")
        port = free_port()
        (self.checkout / "app.py").write_text(APP.format(port=port), encoding="utf-8")
        self.start("exec python app.py")
        await until(lambda: listens(port), SECONDS_TO_START, "the app listens")
        await self.finish(next(lines))
        ports = await self.start_edge(next(lines))
        await self.agent(with_ports(next(lines), {5173: port, 8910: ports["hub"]}))
        http = {8080: ports["http"]}
        for _way in ("path", "host"):
            self.assertEqual(await self.types(next(lines), http), "data: one")
        self.assertEqual(await self.types(next(lines), http), "Hello\n")
        self.assertEqual(list(lines), [])


class GroupTests(HowToCase):
    """``agents-in-a-group``."""

    async def test_page(self) -> None:
        """Both are asked; and the other one alone, when one has gone."""
        lines = self.lines("agents-in-a-group")
        for _line in range(3):
            await self.finish(next(lines))
        self.assertRegex((self.checkout / "agents.toml").read_text(), r'^group = "[\w+/]{24}"\n$')
        ports = await self.start_edge(next(lines))
        agents: list[Child] = []
        for name, port in (("one", 3001), ("two", 3002)):
            folder = self.checkout / f"site-{name}"
            folder.mkdir()
            (folder / "index.html").write_text(f"{name}\n")
            serve = f"python -m http.server --bind 127.0.0.1 --directory {folder.name} 8000"
            place = {port: await self.site(serve), 8910: ports["hub"]}
            agents.append(await self.agent(with_ports(next(lines), place)))
        line = next(lines)
        said = await self.types(line, {8080: ports["http"]})
        self.assertEqual(sorted(said.split()), ["one"] * 4 + ["two"] * 4)
        await self.interrupt(agents[0])
        said = await self.types(line, {8080: ports["http"]})
        self.assertEqual(said, "two\n" * 8)
        self.assertEqual(list(lines), [])
