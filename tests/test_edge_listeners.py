"""Where the edge listens: sockets that systemd has bound, and the PROXY protocol before HTTP."""

from __future__ import annotations

import ipaddress
import json
import ssl
import struct
import sys
from pathlib import Path

import attrs

from aluvia.testing.connection import FaultConnection
from aluvia.testing.ended import ConnectionEnded
from aluvia.testing.http import read_response
from tests.aluvia_process import pause
from tests.edge_case import EdgeCase, Seen, backend, request

#: What systemd does with a socket unit: bind, say so in the environment, and execute.
ACTIVATE = """
import os, socket, sys
names = sys.argv[1].split(":")
for descriptor, name in enumerate(names, 3):
    bound = socket.create_server(("127.0.0.1", 0)).detach()
    os.dup2(bound, descriptor)
    os.set_inheritable(descriptor, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(names)))
os.environ.update(LISTEN_FDNAMES=sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])
"""

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def version_2(source: str, destination: str, ports: tuple[int, int] = (40_000, 80)) -> bytes:
    """A header of version 2, with an addition that says nothing."""
    addresses = [ipaddress.ip_address(each) for each in (source, destination)]
    body = b"".join(each.packed for each in addresses) + struct.pack("!HH", *ports)
    body += b"\x04\x00\x03abc"  # PP2_TYPE_NOOP
    family = 0x11 if addresses[0].version == 4 else 0x21
    return SIGNATURE + bytes([0x21, family]) + struct.pack("!H", len(body)) + body


@attrs.frozen
class Header:
    """A header, and whom a backend is to hear of behind it."""

    bytes: bytes
    client: str


HEADERS = (
    Header(b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 80\r\n", "192.0.2.7"),
    Header(b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 80\r\n", "2001:db8::7"),
    Header(b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    Header(version_2("192.0.2.8", "198.51.100.1"), "192.0.2.8"),
    Header(version_2("2001:db8::8", "2001:db8::1"), "2001:db8::8"),
    Header(SIGNATURE + b"\x20\x00\x00\x00", "127.0.0.1"),
)


class SystemdTests(EdgeCase):
    """Sockets of ``LISTEN_FDS``."""

    async def test_sockets_that_were_bound_before(self) -> None:
        """By number and by name: both are served."""
        edge = await self.edge(
            *("--http", "systemd:domain=INET:index=0"),
            *("--https", "systemd:domain=INET:name=secure"),
            before=(sys.executable, "-c", ACTIVATE, "plain:secure"),
        )
        api, origin, pair = self.api(edge), self.origin(), self.pair("a.example")
        await self.route(
            api, "a.example", backend(origin), ssl={"cert": pair.cert, "key": pair.key}
        )
        self.assertEqual((await self.seen(edge, "a.example"))["x-forwarded-proto"], "http")
        connection = await self.secure(edge, "a.example")
        seen = Seen(json.loads((await self.say(connection, "a.example")).body))
        self.assertEqual(seen["x-forwarded-proto"], "https")
        self.assertEqual(seen["x-forwarded-port"], str(edge.https))

    async def test_socket_that_is_not_there(self) -> None:
        """The start fails, and says which."""
        none = self.spawn_edge("--http", "systemd:domain=INET:index=0")
        other = self.spawn_edge(
            *("--http", "systemd:domain=INET:name=other"),
            before=(sys.executable, "-c", ACTIVATE, "plain"),
        )
        await self.refuses(none, 78, "--http: systemd:domain=INET:index=0", "no such socket")
        await self.refuses(other, 78, "systemd:domain=INET:name=other", "no such socket")


def is_unread(port: int, client_port: int) -> bool:
    """Whether the one who listens at a port has yet to read something that a client has sent."""
    ends = f":{port:04X}", f":{client_port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if local.endswith(ends[0]) and remote.endswith(ends[1]):
            return not queues.endswith(":00000000")
    return False


class ProxyProtocolTests(EdgeCase):
    """A header before the first byte."""

    async def send_alone(self, connection: FaultConnection, port: int, data: bytes) -> None:
        """Send a piece, and wait until it was read: what follows is read apart from it."""
        await connection.send(data)
        while is_unread(port, connection.local_port):
            await pause(0)

    async def heard(self, connection: FaultConnection, header: Header) -> None:
        """The answer to a request comes, and the backend has heard of the client."""
        answer = await read_response(connection)
        self.assertEqual(answer.status, 200, (header, answer))
        seen = Seen(json.loads(answer.body))
        self.assertEqual(
            (seen["x-forwarded-for"], seen["x-real-ip"]), (header.client, header.client)
        )

    async def test_both_versions_whole_and_in_pieces(self) -> None:
        """Byte by byte, cut anywhere, or with the request behind it: it is understood."""
        edge, _, _ = await self.start("--http", "127.0.0.1:0,proxy_protocol")
        for header in HEADERS:
            asked = header.bytes + request("a.example")
            for cut in (len(header.bytes), 1, len(header.bytes) - 1, len(header.bytes) + 5):
                connection = await self.connect(edge)
                await self.send_alone(connection, edge.port, asked[:cut])
                await connection.send(asked[cut:])
                await self.heard(connection, header)
                # It is for the connection, not for the request.
                await connection.send(request("a.example"))
                await self.heard(connection, header)
            connection = await self.connect(edge)
            for at in range(len(asked)):
                await self.send_alone(connection, edge.port, asked[at : at + 1])
            await self.heard(connection, header)

    async def test_before_tls(self) -> None:
        """The header comes in the clear, and the handshake behind it, in pieces too."""
        edge = await self.edge("--https", "haproxy:tcp:0:interface=127.0.0.1", "--http", "none")
        api, origin, pair = self.api(edge), self.origin(), self.pair("a.example")
        await self.route(
            api, "a.example", backend(origin), ssl={"cert": pair.cert, "key": pair.key}
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.certificates.authority.configure_trust(context)
        for header in HEADERS:
            connection = await self.dial(edge.https)
            await self.send_alone(connection, edge.https, header.bytes[:9])
            await connection.send(header.bytes[9:])
            await connection.start_tls(context, server_side=False, server_hostname="a.example")
            await connection.send(request("a.example"))
            await self.heard(connection, header)

    async def test_what_is_none(self) -> None:
        """Whoever does not begin with a good one is reset, and no backend hears of it."""
        edge, _, origin = await self.start("--http", "127.0.0.1:0,proxy_protocol")
        for begin in (
            request("a.example"),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 40000\r\n" + request("a.example"),
            b"PROXY TCP4 192.0.2.07 198.51.100.1 1 2\r\n" + request("a.example"),
            b"PROXY  TCP4 192.0.2.7 198.51.100.1 1 2\r\n" + request("a.example"),
            b"PROXY TCP4 " + b"1" * 200,
            SIGNATURE + b"\x31\x11\x00\x0c" + b"\0" * 12,
            SIGNATURE + b"\x21\x11\x00\x05" + b"\0" * 5,
            SIGNATURE + b"\x21\x11\xff\xff",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ):
            connection = await self.connect(edge)
            with self.assertRaises(ConnectionEnded, msg=begin):
                await connection.send(begin)
                await connection.read_exactly(1)
        self.assertEqual(len(origin.visits), 0)
        connection = await self.connect(edge)
        await connection.send(HEADERS[0].bytes + request("a.example"))
        await self.heard(connection, HEADERS[0])

    async def test_plain_port_takes_none(self) -> None:
        """Where nobody has asked for it, a header is a bad request."""
        edge, _, origin = await self.start()
        for header in HEADERS[:1] + HEADERS[3:4]:
            connection = await self.connect(edge)
            await connection.send(header.bytes + request("a.example"))
            self.assertEqual((await read_response(connection)).status, 400)
        self.assertEqual(len(origin.visits), 0)
