"""Agents over WebSockets: who is let in, what they carry, and when they are put out."""

from __future__ import annotations

import attrs
from twisted.python.failure import Failure

from aluvia.hub.limits import DEFAULT_HUB_LIMITS
from aluvia.hub.test.agents import KEY, NARROW_KEY, OTHER_KEY, AgentInMemory, HubCase
from aluvia.net.test.muxes import Ear
from aluvia.wire.frames import Capability, Code


class RegistrationTests(HubCase):
    """Who is let in."""

    def test_registered(self) -> None:
        """It is told where its tunnels are, and they are online."""
        agent = self.online("app", "db")
        self.assertEqual(
            agent.messages,
            [
                {
                    "type": "registered",
                    "tunnels": [{"id": "app", "path": "/t/app/"}, {"id": "db", "path": "/t/db/"}],
                }
            ],
        )
        self.assertEqual(sorted(self.hub.registry.tunnels), ["app", "db"])
        self.assertTrue(self.hub.registry.tunnels["app"].online)

    def test_the_key_in_the_first_message(self) -> None:
        """Where it did not come in a field."""
        agent = self.agent(None)
        agent.register("app", token=KEY)
        self.assertTrue(agent.registered)

    def test_no_key_or_a_wrong_one(self) -> None:
        """It is told so, and closed; nothing of it stays."""
        for fields in ({}, {"token": "alv_guess"}):
            agent = self.agent(None)
            agent.register("app", **fields)
            self.assertEqual((agent.refusals, len(agent.ends)), (["unauthorized"], 1))
        self.assertEqual((self.hub.registry.sessions, self.hub.registry.tunnels), ({}, {}))

    def test_an_id_that_the_key_may_not_publish(self) -> None:
        """Nothing of it is registered."""
        agent = self.agent(NARROW_KEY)
        agent.register("app", "other")
        self.assertEqual(agent.refusals, ["forbidden"])
        self.assertEqual(self.hub.registry.tunnels, {})

    def test_refusals_are_counted(self) -> None:
        """Each by its reason; who is registered is none."""
        self.online("app")
        self.agent(None).register("app")
        self.agent(NARROW_KEY).register("other")
        for _ in range(2):
            self.agent().register("app", instance="instance-2")
        counted = {code: count for code, count in self.hub.refusals.items() if count}
        self.assertEqual(counted, {"unauthorized": 1, "forbidden": 1, "taken": 2})

    def test_an_exit(self) -> None:
        """That capability is not here yet."""
        agent = self.agent()
        agent.register("app", exit=True)
        self.assertEqual(agent.refusals, ["forbidden"])

    def test_bad_messages(self) -> None:
        """Each is refused, and costs that agent alone."""
        well = self.online("well", instance="instance-2")
        for say in (
            lambda agent: agent.websocket.send_text("no JSON"),
            lambda agent: agent.websocket.send_text("[" * 20_000),
            lambda agent: agent.websocket.send_text("[]"),
            lambda agent: agent.say(type="target_status"),
            lambda agent: agent.register(),
            lambda agent: agent.register("-"),
            lambda agent: agent.register("app", instance="short"),
            lambda agent: agent.register("app", agent_id=7),
            lambda agent: agent.websocket.send([b"frames"]),
        ):
            agent = self.agent()
            say(agent)
            self.carry()
            self.assertEqual((agent.registered, len(agent.ends)), (False, 1))
        self.assertEqual(well.ends, [])
        self.assertEqual(len(self.hub.registry.sessions), 1)

    def test_it_does_not_register(self) -> None:
        """It is not waited for without end."""
        agent = self.agent()
        self.pass_seconds(6)
        self.assertEqual((agent.refusals, len(agent.ends)), (["bad_registration"], 1))

    def test_what_is_said_of_targets(self) -> None:
        """It shows, fit for a page and a log."""
        agent = self.online("app")
        agent.say(type="target_status", tunnel_id="app", up=False, reason="refused\n" + "x" * 500)
        [offer] = self.hub.registry.tunnels["app"].offers
        self.assertEqual(
            (offer.up, offer.why_down[:9], len(offer.why_down)), (False, "refusedxx", 199)
        )
        for bad in (
            {"tunnel_id": "app"},
            {"tunnel_id": [], "up": True},
            {"tunnel_id": "x", "up": 1},
        ):
            agent.say(type="target_status", **bad)
        agent.say(type="tomorrow")
        self.assertEqual((offer.up, agent.ends), (False, []))
        agent.say(type="target_status", tunnel_id="app", up=True)
        self.assertEqual((offer.up, offer.why_down), (True, ""))


class WhoseTests(HubCase):
    """Whose an id is."""

    def test_an_id_is_not_stolen(self) -> None:
        """Another instance, with the same key or another, gets 409; the first one goes on."""
        first = self.online("app")
        for key, instance in ((KEY, "instance-2"), (OTHER_KEY, "instance-1")):
            thief = self.agent(key)
            thief.register("app", instance=instance)
            self.assertEqual(thief.refusals, ["taken"])
        self.assertEqual(first.ends, [])
        self.dial("app")
        self.assertEqual(len(first.asked), 1)

    def test_two_agents_of_one_name_do_not_flap(self) -> None:
        """Cloned machines have one name and one key: who came first stays, however often."""
        first = self.online("app")
        for _ in range(20):
            self.agent().register("app", instance="instance-2")
            self.pass_seconds(1)
        self.assertEqual(first.ends, [])

    def test_the_same_instance_comes_back(self) -> None:
        """It takes its ids over at once, though its old connection is not known to be dead."""
        old = self.online("app")
        near = Ear()
        old.accepts = lambda incoming: incoming.accept(Ear())
        self.hub.dialer.dial("app", 0, near, self.errors.append)
        self.carry()
        old.cable.cut = True
        new = self.online("app")
        self.dial("app")
        self.assertEqual(len(new.asked), 1)
        self.assertEqual((len(self.hub.registry.sessions), len(near.lost)), (1, 1))

    def test_a_stream_that_is_asked_for_when_another_is_taken_over(self) -> None:
        """Who loses one with the old connection has another one of the new at once."""
        dial = self.hub.dialer.dial
        again = Ear()

        class Retries(Ear):
            def connectionLost(self, reason: Failure) -> None:
                dial("app", 0, again, errors.append)

        errors = self.errors
        old = self.online("app")
        old.accepts = lambda incoming: incoming.accept(Ear())
        dial("app", 0, Retries(), errors.append)
        self.carry()
        new = self.agent()
        new.accepts = old.accepts
        new.register("app")
        self.assertTrue(new.registered)
        self.assertEqual(errors, [])
        self.assertTrue(again.stream.connected)

    def test_another_instance_after_a_power_loss(self) -> None:
        """The old one cannot be there any more: its id is free seconds after the first try."""
        old = self.online("app")
        old.cable.cut = True
        new = self.agent()
        new.register("app", instance="instance-2")
        self.assertEqual(new.refusals, ["taken"])
        self.pass_seconds(6)
        self.online("app", instance="instance-2")

    def test_a_group_is_a_pool(self) -> None:
        """In turn; and another one is asked where one refuses."""
        one = self.online("app", group="g")
        two = self.online("app", group="g", instance="instance-2")
        for _ in range(4):
            self.dial("app")
        self.assertEqual((len(one.asked), len(two.asked)), (2, 2))
        one.accepts = lambda incoming: incoming.refuse(Code.TARGET_REFUSED)
        for _ in range(4):
            self.dial("app")
        self.assertEqual((len(two.asked), self.errors), (6, []))
        stranger = self.agent()
        stranger.register("app", group="h", instance="instance-3")
        self.assertEqual(stranger.refusals, ["taken"])

    def test_a_group_of_which_none_has_a_target(self) -> None:
        """The answer is the last one's."""
        for instance in ("instance-1", "instance-2"):
            agent = self.online("app", group="g", instance=instance)
            agent.accepts = lambda incoming: incoming.refuse(Code.TARGET_REFUSED)
        self.dial("app")
        self.assertEqual([each.error for each in self.errors], ["connection_refused"])


class StreamTests(HubCase):
    """What is carried, and what is said where nothing is."""

    def test_bytes(self) -> None:
        """Both ways, and by the id of the tunnel alone."""
        agent = self.online("app")
        far = Ear()
        near = self.dial("app")
        agent.asked[0].accept(far)
        self.carry()
        near.stream.write(b"ping")
        far.stream.write(b"pong")
        self.carry()
        self.assertEqual((far.received, near.received), (b"ping", b"pong"))
        [asked] = agent.asked
        self.assertEqual((asked.capability, asked.name), (Capability.PUBLISH, "app"))

    def test_causes(self) -> None:
        """No such tunnel, its agent offline, its target refusing: three answers."""
        self.dial("nothing")
        agent = self.online("app")
        agent.accepts = lambda incoming: incoming.refuse(Code.TARGET_REFUSED)
        self.dial("app")
        agent.websocket.abort()
        self.carry()
        self.dial("app")
        self.assertEqual(
            [(each.error, each.status) for each in self.errors],
            [
                ("destination_not_found", 502),
                ("connection_refused", 502),
                ("destination_unavailable", 502),
            ],
        )

    def test_a_bad_frame_costs_one_session(self) -> None:
        """Its own."""
        well = self.online("well", instance="instance-2")
        bad = self.online("bad")
        bad.websocket.send([b"\xff" * 40])
        self.carry()
        self.assertEqual((len(bad.ends), bad.goodbyes[0][0]), (1, Code.PROTOCOL_ERROR))
        self.assertEqual((well.ends, len(self.hub.registry.sessions)), ([], 1))

    def test_a_half_open_connection(self) -> None:
        """Packets are dropped and no FIN comes: offline within 25 seconds."""
        agent = self.online("app")
        agent.cable.cut = True
        self.pass_seconds(25)
        self.assertFalse(self.hub.registry.tunnels["app"].online)
        self.assertEqual(self.hub.registry.sessions, {})


class EndTests(HubCase):
    """When agents are put out."""

    def test_a_revoked_key_closes_live_sessions(self) -> None:
        """At once, and only its own."""
        stays = self.agent(OTHER_KEY)
        stays.register("stays")
        agent = self.online("app")
        near = self.dial("app")
        agent.asked[0].accept(Ear())
        self.carry()
        self.keys.revoke(KEY)
        self.carry()
        self.assertEqual((agent.goodbyes[0][0], len(agent.ends)), (Code.REVOKED, 1))
        self.assertEqual((len(near.lost), stays.ends), (1, []))

    def test_a_key_that_is_revoked_before_it_registers(self) -> None:
        """It was shown in time, and is of no use."""
        agent = self.agent()
        self.keys.revoke(KEY)
        agent.register("app")
        self.assertEqual(agent.refusals, ["unauthorized"])

    def test_drained(self) -> None:
        """What is under way ends as it would; then the agent is let go."""
        agent = self.online("app")
        far = Ear()
        agent.accepts = lambda incoming: incoming.accept(far)
        near = self.dial("app")
        waits = self.agent()
        self.hub.drain()
        self.carry()
        self.assertEqual((agent.goodbyes, agent.ends), ([(0, "The hub goes away.")], []))
        self.assertEqual(len(waits.ends), 1)
        self.dial("app")
        self.assertEqual([each.error for each in self.errors], ["destination_unavailable"])
        near.stream.write(b"still")
        self.carry()
        self.assertEqual(far.received, b"still")
        near.stream.loseConnection()
        self.carry()
        self.assertEqual(len(agent.ends), 1)
        late = AgentInMemory(self, self.keys.permit(KEY))
        self.assertEqual(len(late.ends), 1)

    def test_stopped(self) -> None:
        """Nothing is left, and nothing is watched."""
        self.online("app")
        self.agent()
        self.hub.stop()
        self.carry()
        self.pass_seconds(6)
        self.assertEqual((len(self.sweep), self.hub.registry.sessions), (0, {}))


class ManyTests(HubCase):
    """Five hundred of them."""

    limits = attrs.evolve(DEFAULT_HUB_LIMITS, sessions=500)

    def test_five_hundred_agents_reconnect_at_once(self) -> None:
        """Each is registered, in place of itself; one more is told that the hub is full."""
        for _ in range(2):
            for number in range(500):
                self.cables.clear()
                self.online(f"app-{number}", instance=f"instance-{number}")
        self.assertEqual(len(self.hub.registry.sessions), 500)
        more = self.agent()
        more.register("more", instance="instance-more")
        self.assertEqual(more.refusals, ["full"])
