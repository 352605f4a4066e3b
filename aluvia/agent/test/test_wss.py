"""Tests for :mod:`aluvia.agent.wss`, with a real hub at the other end of a cable."""

from __future__ import annotations

import typing

import attrs
from twisted.logger import capturedLogs

from aluvia.agent.carrier import Carrier, Ending, Place
from aluvia.agent.health import Health, TargetStatus
from aluvia.agent.hub_url import HubURL
from aluvia.agent.journal import Journal
from aluvia.agent.streams import Streams
from aluvia.agent.targets import Targets
from aluvia.agent.test.test_streams import ANSWER, APP, REQUEST
from aluvia.agent.wss import REGISTER_SECONDS, WSSCarrier
from aluvia.hub.test.agents import KEY, HubCase, Upgrades
from aluvia.hub.wss import WebSocketSession
from aluvia.net.errors import DialError
from aluvia.net.http_server import ServerConnection
from aluvia.net.test.cables import Cable
from aluvia.net.test.dialling import FakeConnect, FakeDialer, FakeWire, NamedAddresses
from aluvia.wire.head import RequestHead
from aluvia.wire.limits import DEFAULT_LIMITS

HUB = HubURL(False, "hub.test", 8910)


class Owner:
    """Notes what carriers tell it."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.left: list[str] = []
        self.endings: list[Ending] = []

    def registered(self, carrier: Carrier, places: typing.Sequence[Place]) -> None:
        """Note it."""
        self.places += places

    def leaving(self, carrier: Carrier, why: str) -> None:
        """Note it."""
        self.left.append(why)

    def ended(self, carrier: Carrier, ending: Ending) -> None:
        """Note it."""
        self.endings.append(ending)


class Door(Upgrades):
    """What stands before the hub, and knows keys."""

    def request(self, connection: ServerConnection, head: RequestHead) -> typing.Any:
        """Look at the key as the hub's own door does."""
        fields = {name.lower(): value for name, value in head.fields}
        key = fields.get(b"authorization", b"").decode().removeprefix("Bearer ")
        self._permit = self._hub.keys.permit(key)
        self.target = head.target
        return super().request(connection, head)


class WSSCase(HubCase):
    """A hub, and carriers to it."""

    def setUp(self) -> None:
        """Make what a carrier needs."""
        super().setUp()
        self.url = HUB
        self.owner = Owner()
        self.dialer = FakeDialer()
        self.connect = FakeConnect()
        targets = Targets(
            [APP],
            self.clock,
            NamedAddresses(),
            self.sweep,
            connect_timeout=10.0,
            connect=self.connect,
        )
        self.streams = Streams(
            targets,
            Health(targets, self.clock.seconds, self.sweep),
            Journal(self.clock),
            self.clock,
            self.sweep,
            idle_timeout=600.0,
            most=4,
        )

    def carrier(self, key: str = KEY, **fields: object) -> WSSCarrier:
        """One that dials."""
        registration = {
            "agent_id": "box",
            "instance": "instance-1",
            "tunnels": [{"id": "app", "target": APP.target}],
            **fields,
        }
        carrier = WSSCarrier(
            self.owner,
            self.url,
            key,
            registration,
            self.dialer,
            self.streams,
            self.clock,
            self.sweep,
            most_streams=4,
        )
        carrier.start()
        return carrier

    def meet(self) -> Cable:
        """Let the last dial reach the hub."""
        self.door = Door(self.hub, None)
        server = ServerConnection(self.door, self.sweep, DEFAULT_LIMITS, 300)
        cable = Cable(server, self.dialer.dials[-1].protocol)
        self.cables.append(cable)
        with capturedLogs():
            self.carry()
        return cable

    def serving(self, **fields: object) -> WSSCarrier:
        """One that the hub has registered."""
        carrier = self.carrier(KEY, **fields)
        self.meet()
        self.assertEqual(self.owner.endings, [])
        return carrier

    def answer(self, data: bytes) -> FakeWire:
        """Let the last dial reach something that says this."""
        wire = self.dialer.dials[-1].connect()
        wire.deliver(data)
        self.assertTrue(wire.closing)
        wire.lose()
        return wire


class RegistrationTests(WSSCase):
    """Until it serves."""

    def test_registered(self) -> None:
        """The hub is dialled, the key is in a field, and the tunnels have places."""
        self.serving()
        dial = self.dialer.dials[0]
        self.assertEqual((dial.host, dial.port), ("hub.test", 8910))
        self.assertEqual(self.door.target, b"/agent")
        self.assertEqual(self.owner.places, [Place("app", "/t/app/")])
        [session] = self.hub.registry.sessions
        self.assertEqual((session.agent_id, session.instance), ("box", "instance-1"))

    def test_refused(self) -> None:
        """What the hub says is told in its words, with what it means."""
        self.online("app", instance="instance-2")
        refusals: list[tuple[str, dict[str, typing.Any], str, str]] = [
            ("alv_guess", {}, "unauthorized", "the key is not known"),
            ("alv_narrow", {"tunnels": [{"id": "x"}]}, "forbidden", "the key may not publish x"),
            (KEY, {}, "taken", "the id app is another agent's"),
            (KEY, {"tunnels": []}, "bad_registration", "tunnels: there is none"),
        ]
        for key, fields, refusal, said in refusals:
            self.carrier(key, **fields)
            self.meet()
            ending = self.owner.endings.pop()
            self.assertEqual(ending.refusal, refusal)
            self.assertTrue(ending.why.startswith(f"The hub refuses us: {said}"), ending.why)
            self.assertFalse(ending.no_websocket)
        self.assertEqual(self.owner.places, [])

    def test_no_hub(self) -> None:
        """Nobody is there, or not one that speaks WebSocket; some answers say what to do."""
        self.carrier()
        self.dialer.dials[-1].failed(DialError("connection_refused", 502, "It refused."))
        self.assertEqual(self.owner.endings.pop(), Ending("It refused."))
        no_hub = "That is no hub, or what stands before it lets no WebSocket pass."
        for head, refusal, said in (
            (b"401 Unauthorized", "unauthorized", "The hub does not know the key (401)."),
            (b"409 Conflict", "taken", "The server answered 409, and not 101."),
            (b"502 Bad Gateway", None, "The server answered 502, and not 101."),
            (b"404 Not Found", None, f"The server answered 404, and not 101. {no_hub}"),
            (b"200 OK", None, f"The server answered 200, and not 101. {no_hub}"),
        ):
            self.carrier()
            self.answer(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % head)
            ending = self.owner.endings.pop()
            self.assertEqual((ending.refusal, ending.no_websocket), (refusal, refusal is None))
            self.assertEqual(ending.why, said)
        self.carrier()
        self.answer(b"SSH-2.0-x\r\n\r\n")
        self.assertTrue(self.owner.endings.pop().no_websocket)

    def test_tls_or_not(self) -> None:
        """Where it may be TLS that one has and the other has not, it is said; and whom to trust."""
        for tls, error, said in (
            (False, "tls_protocol_error", "It is no TLS."),
            (True, "tls_protocol_error", "If the hub has no TLS its URL begins with ws://."),
            (True, "tls_certificate_error", "(--cafile FILE says what to trust besides.)"),
        ):
            self.url = attrs.evolve(HUB, tls=tls)
            self.carrier()
            self.dialer.dials[-1].failed(DialError(error, 502, "It is no TLS."))
            self.assertTrue(self.owner.endings.pop().why.endswith(said))
        for tls, said in ((False, "If the hub has TLS its URL begins with wss://."), (True, "")):
            self.url = attrs.evolve(HUB, tls=tls)
            self.carrier()
            self.dialer.dials[-1].connect().lose()
            self.assertIn(said, self.owner.endings.pop().why)

    def test_silent(self) -> None:
        """A hub that never answers the registration is left."""
        self.patch(WebSocketSession, "text_received", lambda *_: None)
        self.patch(WebSocketSession, "deadline_passed", lambda *_: None)
        self.carrier()
        self.meet()
        self.pass_seconds(int(REGISTER_SECONDS) + 1)
        self.assertEqual(
            [each.why for each in self.owner.endings],
            ["The hub did not answer the registration in time."],
        )
        self.assertTrue(self.owner.endings[0].no_websocket)

    def test_a_handshake_and_nothing_behind_it(self) -> None:
        """What lets no message through is no WebSocket."""
        self.patch(WebSocketSession, "text_received", lambda *_: None)
        self.carrier()
        self.meet()
        self.cables[-1].near.abortConnection()
        self.carry()
        [ending] = self.owner.endings
        self.assertTrue(ending.no_websocket)

    def test_nonsense(self) -> None:
        """A hub that breaks the rules is left; messages of another version's are not minded."""
        self.serving()
        [session] = self.hub.registry.sessions
        session = typing.cast(WebSocketSession, session)
        session.websocket.send_text('{"type": "tomorrow"}')
        self.carry()
        self.assertEqual(self.owner.endings, [])
        for text in ("no JSON", "[" * 20_000, "[]"):
            session.websocket.send_text(text)
            self.carry()
            self.assertIn("no JSON object", self.owner.endings.pop().why)
            self.serving()
            [session] = typing.cast(list[WebSocketSession], [*self.hub.registry.sessions])
        session.websocket.send([b"\x63" * 8])
        self.carry()
        self.assertIn("given up: There is no such kind", self.owner.endings.pop().why)

    def test_ended_early(self) -> None:
        """At any time before it serves: nothing is left, and that is told once."""
        carrier = self.carrier()
        carrier.end()
        carrier.end()
        self.assertTrue(self.dialer.dials[-1].cancelled)
        self.clock.advance(0)
        self.assertEqual(len(self.owner.endings), 1)
        carrier = self.carrier()
        wire = self.dialer.dials[-1].connect()
        carrier.drain()
        self.assertTrue(wire.aborted)
        wire.lose()
        self.assertEqual(len(self.owner.endings), 2)


class ServingTests(WSSCase):
    """While it serves, and its end."""

    def test_a_request(self) -> None:
        """From the hub's dialer to the target, and back."""
        self.serving()
        ear = self.dial("app")
        wire = self.connect.attempts[0].connect()
        self.carry()
        ear.stream.write(REQUEST)
        self.carry()
        self.assertEqual(wire.value(), REQUEST)
        with capturedLogs():
            wire.deliver(ANSWER)
        self.carry()
        self.assertEqual(ear.received, ANSWER)

    def test_target_status(self) -> None:
        """The hub is told; and not before it knows us."""
        carrier = self.carrier()
        carrier.tell("app", TargetStatus(True))
        self.meet()
        [offer] = self.hub.registry.tunnels["app"].offers
        self.assertIsNone(offer.up)
        carrier.tell("app", TargetStatus(False, "nothing listens"))
        self.carry()
        self.assertEqual((offer.up, offer.why_down), (False, "nothing listens"))
        carrier.tell("app", TargetStatus(True))
        self.carry()
        self.assertEqual((offer.up, offer.why_down), (True, ""))

    def test_the_hub_goes_away(self) -> None:
        """It says so; streams go on, and the end comes with the last of them."""
        self.serving()
        ear = self.dial("app")
        wire = self.connect.attempts[0].connect()
        self.carry()
        self.hub.drain()
        self.carry()
        self.assertEqual(self.owner.left, ["The hub goes away."])
        self.assertEqual(self.owner.endings, [])
        wire.deliver(b"still here")
        self.carry()
        self.assertEqual(ear.received, b"still here")
        with capturedLogs():
            ear.stream.abortConnection()
            self.carry()
            wire.lose()
        self.pass_seconds(1)
        self.assertEqual(len(self.owner.endings), 1)

    def test_drain(self) -> None:
        """We go away: no new streams, the old ones finish, and then it ends."""
        carrier = self.serving()
        ear = self.dial("app")
        wire = self.connect.attempts[0].connect()
        self.carry()
        carrier.drain()
        self.carry()
        self.dial("app")
        self.assertEqual([each.error for each in self.errors], ["destination_unavailable"])
        self.assertEqual(self.owner.endings, [])
        with capturedLogs():
            ear.stream.abortConnection()
            self.carry()
            wire.lose()
        self.pass_seconds(1)
        self.assertEqual(self.owner.endings, [Ending("It was drained.")])
        self.assertEqual(self.hub.registry.sessions, {})

    def test_a_revoked_key(self) -> None:
        """It ends at once, with its streams, and says why."""
        self.serving()
        ear = self.dial("app")
        wire = self.connect.attempts[0].connect()
        self.carry()
        with capturedLogs():
            self.keys.revoke(KEY)
            self.carry()
        [ending] = self.owner.endings
        self.assertEqual(ending.refusal, "revoked")
        self.assertIn("The key was revoked", ending.why)
        self.assertTrue(wire.aborted)
        self.assertEqual(len(ear.lost), 1)

    def test_a_half_open_connection_is_noticed_within_25_seconds(self) -> None:
        """Packets are dropped, and no FIN comes: it is given up."""
        self.serving()
        self.cables[-1].cut = True
        self.pass_seconds(25)
        self.assertEqual(
            [each.why for each in self.owner.endings],
            ["The connection was given up: Nothing was heard for too long."],
        )

    def test_lost(self) -> None:
        """The connection breaks: every stream is lost with it, and that is told once."""
        carrier = self.serving()
        self.dial("app")
        wire = self.connect.attempts[0].connect()
        self.carry()
        with capturedLogs():
            self.cables[-1].near.abortConnection()
            self.carry()
            carrier.end()
            self.carry()
        self.assertTrue(wire.aborted)
        self.assertEqual(len(self.owner.endings), 1)

    def test_end(self) -> None:
        """At once."""
        carrier = self.serving()
        self.dial("app")
        wire = self.connect.attempts[0].connect()
        self.carry()
        carrier.end()
        self.assertEqual(self.owner.endings, [])
        self.carry()
        self.assertTrue(wire.aborted)
        self.assertEqual(len(self.owner.endings), 1)
        self.assertEqual(self.hub.registry.sessions, {})

    def test_nothing_secret_is_shown(self) -> None:
        """Neither the key nor a visitors' token stands in a repr or in what is told."""
        carrier = self.serving(tunnels=[{"id": "app", "token": "canary"}])
        carrier.end()
        self.carry()
        shown = repr([carrier, carrier._websocket, self.owner.endings, self.owner.places])
        for secret in (KEY, "canary"):
            self.assertNotIn(secret, shown)
