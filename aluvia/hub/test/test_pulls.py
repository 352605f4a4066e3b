"""Pulls: how long they wait, and what becomes of a request whose pull is lost."""

from __future__ import annotations

from aluvia.hub.test.poll_case import PollCase


class PullTests(PollCase):
    """Waiting for a request."""

    def test_wait(self) -> None:
        """204 when the wait is over, within bounds; what is no number is 400."""
        session_id = self.register()
        for wait, seconds in ((None, 25), (2, 2), (0, 1), (600, 60), (1.5, 2)):
            pull = self.pull(session_id, wait)
            self.pass_time(seconds - 1)
            self.assertEqual(pull.answers(), [], wait)
            self.pass_time(2)
            self.assertEqual(pull.answer().status, 204)
            self.post("heartbeat", {"session_id": session_id})
        caller = self.caller()
        for odd in ("x", "-1", "", "nan", "1&wait=2", "25s", "%zz"):
            caller.send("GET", f"/api/agent/pull?session_id={session_id}&wait={odd}")
            self.assertEqual(caller.answer().status, 400, odd)

    def test_on_one_connection(self) -> None:
        """An agent pulls again and again on one connection, and its times are those it asks for."""
        session_id = self.register()
        caller = self.caller()
        self.pull_on(caller, session_id, 60)
        self.pass_time(50)
        self.assertEqual(caller.answers(), [])
        self.pass_time(12)
        self.assertEqual(caller.answer().status, 204)
        self.pull_on(caller, session_id, 1)
        self.pass_time(2)
        self.assertEqual(caller.answer().status, 204)
        self.visitor().ask()
        self.pull_on(caller, session_id)
        self.pulled(caller)

    def test_a_lost_request_after_a_lost_poll(self) -> None:
        """A pull whose agent went away takes no request with it."""
        session_id = self.register()
        for lost in range(2):
            pull = self.pull(session_id)
            if lost:
                pull.lose()
            else:
                pull.connection.readConnectionLost()
            visitor = self.visitor().ask()
            self.assertEqual(pull.answers(), [])
            request = self.pulled(self.pull(session_id))
            self.respond(session_id, request, body=b"kept")
            self.assertEqual(visitor.body, b"kept")

    def test_a_pull_that_was_never_written(self) -> None:
        """A request that did not get out to the agent is delivered again, first."""
        session_id = self.register()
        pull = self.pull(session_id)
        pull.transport.queued = True
        visitor = self.visitor().ask(b"/first", b"POST", body=b"body")
        self.visitor().ask(b"/second")
        self.clock.advance(0.5)
        pull.lose()
        request = self.pulled(self.pull(session_id))
        self.assertEqual((request["path"], request["body"]), ("/first", "Ym9keQ=="))
        self.assertEqual(self.pulled(self.pull(session_id))["path"], "/second")
        self.respond(session_id, request, body=b"once")
        self.assertEqual(visitor.body, b"once")
        self.assertEqual(self.polls.held.count, 0)

    def test_lost_before_it_was_sent(self) -> None:
        """Transports may hold back what is written until the turn is over: it is not out yet."""
        session_id = self.register()
        pull = self.pull(session_id)
        self.visitor().ask(b"/first")
        pull.lose()
        self.assertEqual(self.pulled(self.pull(session_id))["path"], "/first")

    def test_a_pull_that_was_written(self) -> None:
        """A request that got out is not delivered again, however the connection ends."""
        session_id = self.register()
        pull = self.pull(session_id)
        pull.transport.queued = True
        self.visitor().ask()
        self.pulled(pull)
        pull.transport.queued = False
        self.clock.advance(0.2)
        pull.lose()
        other = self.pull(session_id)
        self.turn()
        self.assertEqual(other.answers(), [])

    def test_an_agent_that_reads_slowly(self) -> None:
        """The next call on a connection waits until the request is out."""
        session_id = self.register()
        pull = self.pull(session_id)
        pull.transport.queued = True
        self.visitor().ask()
        pull.connection.pauseProducing()
        self.pulled(pull)
        self.pull_on(pull, session_id)
        self.visitor().ask()
        self.assertEqual(pull.answers(), [])
        pull.transport.queued = False
        pull.connection.resumeProducing()
        self.pulled(pull)

    def test_an_agent_that_does_not_read(self) -> None:
        """It is cut, and its request goes to another pull or is over."""
        session_id = self.register()
        pull = self.pull(session_id, 1)
        pull.transport.queued = True
        visitor = self.visitor().ask()
        self.pass_time(32)
        self.assertTrue(pull.transport.aborted)
        self.assertEqual(visitor.error.status, 504)

    def test_visitor_leaves_while_it_is_written(self) -> None:
        """Nothing is left of it."""
        session_id = self.register()
        pull = self.pull(session_id)
        pull.transport.queued = True
        visitor = self.visitor().ask(b"/", b"POST", body=b"body")
        visitor.leave()
        pull.lose()
        self.turn()
        self.assertEqual((self.polls.waiting, self.polls.held.count), (0, 0))
        other = self.pull(session_id)
        self.assertEqual(other.answers(), [])

    def test_body(self) -> None:
        """A pull has no body."""
        session_id = self.register()
        caller = self.caller()
        caller.send("GET", f"/api/agent/pull?session_id={session_id}", b"x")
        self.assertEqual(caller.answer().status, 413)
