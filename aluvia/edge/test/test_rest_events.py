"""Tests for :mod:`aluvia.edge.rest_events`: listeners over connections in memory."""

from __future__ import annotations

import collections
import json
import typing

from aluvia.api.test.site_case import MemoryTransport, Reply
from aluvia.edge import rest_events
from aluvia.edge.events import Event, EventName
from aluvia.edge.rest_events import KEEP_ALIVE_SECONDS, MOST_KEPT, STALLED_SECONDS
from aluvia.edge.test.rest_case import RestCase


def told(transport: MemoryTransport) -> list[tuple[str, typing.Any]]:
    """The events that were sent, by name, with their data."""
    found = []
    for block in body(transport).split(b"\n\n"):
        fields = dict(
            line.split(b": ", 1)
            for line in block.split(b"\n")
            if not line.startswith(b":") and line
        )
        if b"event" in fields:
            found.append((fields[b"event"].decode(), json.loads(fields[b"data"])))
    return found


def body(transport: MemoryTransport) -> bytes:
    """What was sent behind the head, without the marks of its chunks."""
    rest = transport.value().partition(b"\r\n\r\n")[2]
    whole = b""
    while rest:
        length, _, rest = rest.partition(b"\r\n")
        whole, rest = whole + rest[: int(length, 16)], rest[int(length, 16) + 2 :]
    return whole


class _Read(collections.UserDict[str, object]):
    """Counts how often all of it is read."""

    times = 0

    def __iter__(self) -> typing.Iterator[str]:
        """Begin to read it."""
        self.times += 1
        return super().__iter__()


class EventTests(RestCase):
    """Listening."""

    def publish(self, name: EventName = EventName.BACKEND_DEAD, **data: object) -> None:
        """Something happens."""
        self.bus.publish(Event(name, data, 123.5))

    async def listen(self, query: str = "") -> MemoryTransport:
        """Begin to listen."""
        transport = self.begin("GET", f"events{query}")
        await self.answered(transport)
        return transport

    async def test_told(self) -> None:
        """What happens is told at once, in the form that browsers read."""
        transport = await self.listen()
        head = Reply(transport.value())
        self.assertEqual(head.status, 200)
        self.assertEqual(head.fields["content-type"], "text/event-stream")
        self.assertEqual(head.fields["cache-control"], "no-store")
        self.assertEqual(body(transport), b"retry: 5000\n\n")
        self.publish(backend="a\nb", cause="é")
        self.assertEqual(
            body(transport).partition(b"\n\n")[2],
            b"event: backend.dead\n"
            b'data: {"name": "backend.dead", "at": 123.5, '
            b'"data": {"backend": "a\\nb", "cause": "\\u00e9"}}\n\n',
        )
        await self.add_route("a.example")
        name, event = told(transport)[1]
        self.assertEqual((name, event["data"]["change"]), ("route.changed", "added"))

    async def test_encoded_once(self) -> None:
        """However many listen, what each event costs is made once."""
        listening = [await self.listen() for _ in range(3)]
        for number in range(2):
            data = _Read(number=number)
            self.bus.publish(Event(EventName.BACKEND_DEAD, data, 123.5))
            self.assertEqual(data.times, 1)
        for transport in listening:
            self.assertEqual([event["data"]["number"] for _, event in told(transport)], [0, 1])

    async def test_names(self) -> None:
        """Who asks for some events hears those, and the edge makes no others for it."""
        transport = await self.listen("?name=backend.alive&name=backend.dead&name=backend.dead")
        self.assertFalse(self.bus.wanted(EventName.REQUEST_COMPLETED))
        for name in EventName:
            self.publish(name)
        self.assertEqual([name for name, _ in told(transport)], ["backend.dead", "backend.alive"])
        await self.listen()
        self.assertTrue(self.bus.wanted(EventName.REQUEST_COMPLETED))
        for query in ("?name=", "?name=backend", "?name=backend.dead&name=x"):
            self.assert_problem(await self.get(f"events{query}"), 400, "no_such_event")

    async def test_keep_alive(self) -> None:
        """Every so often there is a comment."""
        transport = await self.listen()
        before = len(body(transport))
        self.clock.advance(KEEP_ALIVE_SECONDS - 0.1)
        self.assertEqual(len(body(transport)), before)
        for count in (1, 2, 3):
            self.clock.advance(KEEP_ALIVE_SECONDS)
            self.assertEqual(body(transport)[before:], b":\n\n" * count)

    async def test_gone(self) -> None:
        """Who leaves hears no more, and leaves nothing."""
        timers = len(self.clock.getDelayedCalls())
        transport = await self.listen()
        self.assertEqual(len(self.api.listeners), 1)
        transport.leave()
        self.assertEqual(len(self.api.listeners), 0)
        self.assertFalse(self.bus.wanted(EventName.BACKEND_DEAD))
        self.assertEqual(len(self.clock.getDelayedCalls()), timers)
        self.publish()

    async def test_bound(self) -> None:
        """So many may listen; one more is told to come back."""
        self.patch(rest_events, "MOST_LISTENERS", 2)
        transports = [await self.listen() for _ in range(2)]
        reply = await self.get("events")
        self.assert_problem(reply, 503, "busy")
        transports[0].leave()
        await self.listen()

    async def test_behind(self) -> None:
        """Who does not read is written nothing, and told all when it has read."""
        transport = await self.listen()
        transport.protocol.pauseProducing()
        before = transport.value()
        for number in range(3):
            self.publish(number=number)
        self.clock.advance(KEEP_ALIVE_SECONDS)
        self.assertEqual(transport.value(), before)
        transport.protocol.resumeProducing()
        self.assertEqual([event["data"]["number"] for _, event in told(transport)], [0, 1, 2])

    async def test_far_behind(self) -> None:
        """What is too much for it is not kept; it is told how much that was, in its place."""
        transport = await self.listen()
        transport.protocol.pauseProducing()
        for number in range(MOST_KEPT + 5):
            self.publish(number=number)
        transport.protocol.resumeProducing()
        self.publish(number=-1)
        *kept, dropped, last = told(transport)
        self.assertEqual([event["data"]["number"] for _, event in kept], [*range(MOST_KEPT)])
        self.assertEqual((dropped[0], dropped[1]["data"]), ("dropped", {"count": 5}))
        self.assertEqual(last[1]["data"]["number"], -1)

    async def test_behind_again(self) -> None:
        """What is written may be too much again: the rest waits, in its order."""
        transport = await self.listen()
        transport.protocol.pauseProducing()
        for number in range(4):
            self.publish(number=number)
        write = transport.writeSequence

        def write_and_be_full(parts: list[bytes]) -> None:
            write(parts)
            if any(b'"number": 1}' in part for part in parts):
                transport.protocol.pauseProducing()

        self.patch(transport, "writeSequence", write_and_be_full)
        transport.protocol.resumeProducing()
        self.assertEqual([event["data"]["number"] for _, event in told(transport)], [0, 1])
        self.publish(number=4)
        transport.protocol.resumeProducing()
        self.assertEqual([event["data"]["number"] for _, event in told(transport)], [*range(5)])

    async def test_stalled(self) -> None:
        """Who has not read for so long is cut: it holds a place that others want."""
        transport = await self.listen()
        transport.protocol.pauseProducing()
        self.clock.advance(STALLED_SECONDS - 1)
        transport.protocol.resumeProducing()
        transport.protocol.pauseProducing()
        self.clock.advance(STALLED_SECONDS - 1)
        self.assertFalse(transport.cut)
        self.clock.advance(1)
        self.assertTrue(transport.cut)
        transport.settle()
        self.assertEqual(len(self.api.listeners), 0)

    async def test_end(self) -> None:
        """At the end all are let go, whether they read or not."""
        reading, behind = await self.listen(), await self.listen()
        behind.protocol.pauseProducing()
        self.api.end()
        self.assertTrue(reading.value().endswith(b"0\r\n\r\n"))
        self.assertEqual(len(self.api.listeners), 0)
        self.assertFalse(self.bus.wanted(EventName.BACKEND_DEAD))

    async def test_head(self) -> None:
        """A HEAD is answered, and listens to nothing."""
        reply = await self.ask("HEAD", "events")
        self.assertEqual((reply.status, reply.body), (200, b""))
        self.assertEqual(len(self.api.listeners), 0)
