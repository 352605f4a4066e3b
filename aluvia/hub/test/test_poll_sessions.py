"""Sessions of agents that poll: how they begin again, end, and what they may hold."""

from __future__ import annotations

import base64
import json

from aluvia.hub.limits import HubLimits
from aluvia.hub.test.poll_case import PollCase, Visitor
from aluvia.wire.exchange import CHUNKED
from aluvia.wire.frames import Code


class TakeoverTests(PollCase):
    """The same agent coming back, and another one of its name."""

    def test_two_agents_of_one_name_flapping(self) -> None:
        """While a pull is open, or was called a moment ago, another one of the name is 409."""
        session_id = self.register()
        again = self.registration()
        self.assertEqual(self.post("register", again).status, 409)
        pull = self.pull(session_id)
        self.pass_time(20)
        self.assertEqual(self.post("register", again).status, 409)
        self.pass_time(10)
        self.assertEqual(pull.answer().status, 204)
        self.post("heartbeat", {"session_id": session_id})
        self.clock.advance(1.9)
        self.assertEqual(self.post("register", again).status, 409)

    def test_back_after_a_while(self) -> None:
        """Two seconds after its last call an agent that comes back has its ids at once."""
        old = self.register()
        self.clock.advance(2.0)
        new = self.register()
        self.assertNotEqual(old, new)
        self.assertEqual(self.post("heartbeat", {"session_id": old}).status, 404)
        self.assertEqual(self.post("heartbeat", {"session_id": new}).status, 202)
        self.assertEqual(len(self.hub.registry.sessions), 1)

    def test_back_after_a_lost_pull(self) -> None:
        """An agent whose pull was lost has its ids at once; unless another pull is open."""
        session_id = self.register()
        first, second = self.pull(session_id), self.pull(session_id)
        first.lose()
        self.assertEqual(self.post("register", self.registration()).status, 409)
        second.connection.readConnectionLost()
        self.register()

    def test_replaced(self) -> None:
        """What the old session had ends: visitors are told, connections close, pulls are 404."""
        old = self.register(instance="instance-1")
        idle = self.visitor().ask()
        self.respond(old, self.pulled(self.pull(old)), body=b"done")
        idle.connection.requester = None
        out = self.visitor().ask()
        self.pulled(self.pull(old))
        coming = self.visitor().ask(method=b"POST", body=b"x", length=2)
        pull = self.pull(old)
        self.register(instance="instance-1")
        self.turn()
        self.assertEqual(pull.answer().status, 404)
        self.assertEqual(out.error.error, "destination_unavailable")
        self.assertEqual(coming.error.error, "destination_unavailable")
        self.assertTrue(idle.stale)
        self.assertEqual(self.polls.held.count, 0)
        [session] = self.hub.registry.sessions
        self.assertEqual(session.streams_open, 0)

    def test_a_live_instance_comes_back(self) -> None:
        """An agent that names its instance takes over at once; another instance is 409."""
        session_id = self.register(instance="instance-1")
        self.pull(session_id)
        self.register(instance="instance-1")
        other = self.registration(instance="instance-2")
        self.assertEqual(self.post("register", other).status, 409)

    def test_group(self) -> None:
        """Agents of one group share an id, and are asked in turn."""
        one = self.register(agent_id="one", group="g")
        two = self.register(agent_id="two", group="g")
        self.visitor().ask()
        self.visitor().ask()
        self.pulled(self.pull(one))
        self.pulled(self.pull(two))


class EndTests(PollCase):
    """How a session ends."""

    def test_not_heard_of(self) -> None:
        """After 90 s without a call it is gone, and its requests with it."""
        session_id = self.register()
        self.pass_time(80)
        self.assertEqual(self.post("heartbeat", {"session_id": session_id}).status, 202)
        self.pass_time(80)
        visitor = self.visitor().ask()
        self.pass_time(11)
        self.assertEqual(visitor.error.error, "destination_unavailable")
        self.assertEqual(self.post("heartbeat", {"session_id": session_id}).status, 404)
        self.assertFalse(self.hub.registry.tunnels["app"].online)
        offline = self.visitor()
        self.assertEqual(offline.error.error, "destination_unavailable")

    def test_a_pull_counts(self) -> None:
        """While a pull is open the agent is there."""
        session_id = self.register()
        for _ in range(3):
            self.pull(session_id, 60)
            self.pass_time(62)
        (session,) = self.hub.registry.sessions
        self.assertEqual(self.post("heartbeat", {"session_id": session_id}).status, 202)
        self.pull(session_id, 60)
        self.pass_time(5)
        self.assertEqual(session.last_seen, self.hub.now())

    def test_revoked(self) -> None:
        """One that is ended answers its pulls with 404, and lets an answer come to its end."""
        session_id = self.register()
        reading = self.visitor().ask()
        self.respond(session_id, self.pulled(self.pull(session_id)), body=b"")
        reading.again().connection.pause()
        reading.ask()
        self.respond(session_id, self.pulled(self.pull(session_id)), body=b"whole")
        pull = self.pull(session_id)
        (session,) = self.hub.registry.sessions
        session.end(Code.REVOKED, "The key was revoked.")
        session.end(Code.REVOKED, "The key was revoked.")
        self.turn()
        self.assertEqual(pull.answer().status, 404)
        reading.connection.resume()
        self.turn()
        self.assertEqual((reading.body, reading.done), (b"whole", True))
        self.turn()
        self.assertTrue(reading.connection.closed)

    def test_drained(self) -> None:
        """
        It takes no more requests, and ends when the last one has its answer. Connections between
        two requests close: who asks on one just then asks again elsewhere.
        """
        session_id = self.register()
        kept = self.visitor().ask()
        self.respond(session_id, self.pulled(self.pull(session_id)))
        waits = self.visitor().ask()
        (session,) = self.hub.registry.sessions
        session.drain()
        self.assertEqual(self.visitor().error.error, "destination_unavailable")
        kept.again().ask()
        self.turn()
        self.assertEqual(kept.error.error, "connection_terminated")
        self.respond(session_id, self.pulled(self.pull(session_id)), body=b"last")
        self.assertEqual(waits.body, b"last")
        self.assertEqual(self.post("heartbeat", {"session_id": session_id}).status, 404)

    def test_an_agent_that_leaves(self) -> None:
        """It says so: it answers what it was asked, and what is coming in, and nothing more."""
        session_id = self.register()
        coming = self.visitor().ask(method=b"POST", body=b"x", length=2)
        waits = self.visitor().ask()
        leaving = {"session_id": session_id, "leaving": True}
        self.assertEqual(self.post("heartbeat", leaving).status, 202)
        self.assertEqual(self.visitor().error.error, "destination_unavailable")
        self.respond(session_id, self.pulled(self.pull(session_id)), body=b"one")
        pull = self.pull(session_id)
        coming.connection.transport.write(coming.connection.exchange.data(b"y"))
        idle = self.pull(session_id)
        self.respond(session_id, self.pulled(pull), body=b"two")
        self.assertEqual((waits.body, coming.body), (b"one", b"two"))
        self.assertEqual((waits.stale, coming.stale), (False, False))
        self.assertEqual(idle.answer().status, 404)
        self.assertEqual(self.hub.registry.sessions, {})

    def test_drained_at_once(self) -> None:
        """With nothing to do it ends."""
        self.register()
        (session,) = self.hub.registry.sessions
        session.drain()
        self.assertEqual(self.hub.registry.sessions, {})


class LimitTests(PollCase):
    """Each limit, overfilled."""

    limits = HubLimits(
        sessions=3,
        poll_body_in_bytes=100,
        poll_waiting_per_session=2,
        poll_waiting=3,
        poll_held_bytes=150,
        call_bytes=1_000,
        calls_held_bytes=120_000,
    )

    def test_request_seconds(self) -> None:
        """No answer in 30 s is a 504, whether a pull has it or not; a late one is 409."""
        session_id = self.register()
        out = self.visitor().ask()
        request = self.pulled(self.pull(session_id))
        waits = self.visitor().ask()
        self.pass_time(29)
        self.assertEqual(out.errors + waits.errors, [])
        self.pass_time(2)
        for visitor in (out, waits):
            self.assertEqual(
                (visitor.error.status, visitor.error.error), (504, "http_response_timeout")
            )
        self.assertEqual(self.respond(session_id, request), 409)
        self.assertEqual(self.polls.waiting, 0)

    def test_body_in(self) -> None:
        """A body of more than that is 413, by its length or as it comes; so much of it is not."""
        session_id = self.register()
        announced = self.visitor().ask(method=b"POST", length=101)
        chunked = self.visitor().ask(method=b"POST", body=b"x" * 101, length=CHUNKED)
        self.turn()
        for visitor in (announced, chunked):
            self.assertEqual(visitor.error.status, 413)
            self.assertEqual(visitor.error.error, "http_request_error")
        pull = self.pull(session_id)
        self.assertEqual(pull.answers(), [])
        self.visitor().ask(method=b"POST", body=b"x" * 100)
        self.pulled(pull)

    def test_waiting_per_session(self) -> None:
        """More that wait for one agent are 503: at the dial, and on a connection that stands."""
        session_id = self.register()
        stands = self.visitor()
        visitors = [self.visitor().ask() for _ in range(2)]
        self.assertEqual(self.visitor().error.status, 503)
        stands.ask()
        self.assertEqual(stands.errors, [])  # Not from inside a write.
        self.turn()
        self.assertEqual(stands.error.error, "connection_limit_reached")
        self.respond(session_id, self.pulled(self.pull(session_id)))
        self.assertTrue(visitors[0].done)
        self.assertEqual(self.visitor().errors, [])

    def test_waiting(self) -> None:
        """More that wait for any agent are 503."""
        self.register("one", agent_id="one")
        self.register("two", agent_id="two")
        self.visitor("one").ask()
        self.visitor("one").ask()
        self.visitor("two").ask()
        self.assertEqual(self.visitor("two").error.error, "connection_limit_reached")
        self.assertEqual(self.polls.waiting, 3)

    def test_held(self) -> None:
        """Bodies that are more together than may be held are 503, and the hub holds no more."""
        session_id = self.register()
        first = self.visitor().ask(method=b"POST", body=b"x" * 100)
        second = self.visitor().ask(method=b"POST", body=b"x" * 100)
        self.turn()
        self.assertEqual(second.error.error, "connection_limit_reached")
        self.assertEqual(self.polls.held.count, 100)
        request = self.pulled(self.pull(session_id))
        self.turn()
        self.assertEqual(self.polls.held.count, 0)
        self.respond(session_id, request, body=b"x" * 151)
        self.assertEqual(first.error.error, "connection_limit_reached")
        self.assertEqual(self.polls.held.count, 0)

    def test_calls(self) -> None:
        """A call other than a response is 413 over its bound, before it is whole."""
        caller = self.caller()
        caller.send("POST", "/api/agent/register", b"", [(b"Content-Length", b"1001")])
        self.assertEqual(caller.answer().status, 413)

    def test_calls_held(self) -> None:
        """Responses that come slowly are bounded together: 503, and the small ones still pass."""
        session_id = self.register()
        callers = [self.caller() for _ in range(2)]
        for each in callers:
            each.send("POST", "/api/agent/respond", b"", [(b"Content-Length", b"70000")])
            each.connection.dataReceived(b"x" * 69_999)
        self.assertEqual(callers[0].answers(), [])
        self.assertEqual(callers[1].answer().status, 503)
        self.assertEqual(self.post("heartbeat", {"session_id": session_id}).status, 202)
        callers[0].lose()
        third = self.caller()
        third.send("POST", "/api/agent/respond", b"", [(b"Content-Length", b"70000")])
        third.connection.dataReceived(b"x" * 69_999)
        self.assertEqual(third.answers(), [])

    def test_sessions(self) -> None:
        """More agents than there may be are 503, and may come again."""
        for each in range(3):
            self.register(f"id{each}", agent_id=f"agent{each}")
        answered = self.post("register", self.registration("id3", agent_id="agent3"))
        self.assertEqual(answered.status, 503)
        self.assertIn(b"retry-after", answered.fields)


class AnswerTests(PollCase):
    """How long an answer may be."""

    limits = HubLimits(poll_body_out_bytes=60_000, call_bytes=1_000)

    def test_body_out(self) -> None:
        """A response's body of more than that is 413 for the agent, and 502 for the visitor."""
        session_id = self.register()
        for size, status in ((60_000, 202), (60_001, 413), (200_000, 413)):
            visitor = self.visitor().ask()
            request = self.pulled(self.pull(session_id))
            self.assertEqual(self.respond(session_id, request, body=b"x" * size), status)
            if status == 202:
                self.assertEqual(len(visitor.body), size)
            else:
                self.assertEqual(visitor.error.status, 502)
                self.assertEqual(visitor.error.error, "http_response_body_size")

    def test_body_out_without_an_end(self) -> None:
        """What comes in chunks is cut at the bound as well; of whom it is shows its beginning."""
        session_id = self.register()
        visitor = self.visitor().ask()
        request = self.pulled(self.pull(session_id))
        response = {"request_id": request["request_id"], "tunnel_id": "app", "body": "x" * 96_000}
        body = json.dumps({"session_id": session_id, "response": response}).encode()
        caller = self.caller()
        caller.connection.dataReceived(
            b"POST /api/agent/respond HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"%x\r\n%b" % (10 * len(body), body)
        )
        self.assertEqual(caller.answer().status, 413)
        self.turn()
        self.assertEqual(visitor.error.status, 502)


class DefaultTests(PollCase):
    """The limits that the contract states."""

    def test_numbers(self) -> None:
        """As they are unless they are changed."""
        limits = HubLimits()
        mib = 1024 * 1024
        self.assertEqual(
            (
                limits.poll_session_seconds,
                limits.poll_wait_seconds,
                limits.poll_least_wait_seconds,
                limits.poll_most_wait_seconds,
                limits.poll_request_seconds,
                limits.poll_body_in_bytes,
                limits.poll_body_out_bytes,
                limits.poll_waiting_per_session,
                limits.poll_waiting,
            ),
            (90, 25, 1, 60, 30, 10 * mib, 20 * mib, 1_024, 10_000),
        )

    def test_a_body_of_20_mib(self) -> None:
        """The largest body that there may be fits into a call."""
        session_id = self.register()
        visitor = self.visitor().ask()
        request = self.pulled(self.pull(session_id))
        body = b"x" * self.limits.poll_body_out_bytes
        self.assertEqual(self.respond(session_id, request, body=body), 202)
        self.assertEqual(len(visitor.body), len(body))

    def test_a_body_of_10_mib(self) -> None:
        """The same of a visitor's."""
        session_id = self.register()
        body = b"x" * self.limits.poll_body_in_bytes
        visitor = self.visitor().ask(method=b"PUT", body=body)
        request = self.pulled(self.pull(session_id))
        self.assertEqual(base64.b64decode(request["body"]), body)
        self.respond(session_id, request)
        self.assertTrue(visitor.done)

    def test_unknown_tunnel(self) -> None:
        """There is nothing to be connected to."""
        self.assertEqual(Visitor(self.hub).dial("none").error.error, "destination_not_found")
