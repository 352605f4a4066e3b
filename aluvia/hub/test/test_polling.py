"""The long-poll contract: requests go out whole, and answers come back."""

from __future__ import annotations

import base64
import typing

from aluvia.hub.test.poll_case import PollCase


class RegisterTests(PollCase):
    """Who may begin a session."""

    def test_registered(self) -> None:
        """An agent gets a session, and learns where its tunnels are."""
        answered = self.post("register", self.registration("app", "API"))
        self.assertEqual(answered.status, 200)
        document = answered.document
        self.assertEqual(
            document["tunnels"],
            [{"id": "app", "path": "/t/app/"}, {"id": "api", "path": "/t/api/"}],
        )
        self.assertGreaterEqual(len(document["session_id"]), 32)
        self.assertEqual(sorted(self.hub.registry.tunnels), ["api", "app"])

    def test_bad_token(self) -> None:
        """A key that is none is 401, whatever else is wrong."""
        for token in ("no-key", "", None, 7, ["x"]):
            document = self.registration() | {"token": token, "tunnels": []}
            answered = self.post("register", document)
            self.assertEqual(answered.status, 401)
            self.assertIn(b"Bearer", answered.fields[b"www-authenticate"])

    def test_key_in_the_head(self) -> None:
        """The key may come in an Authorization field, out of the body."""
        caller = self.caller()
        body = b'{"agent_id": "a", "tunnels": [{"id": "app", "target": "http://127.0.0.1:1"}]}'
        fields = [(b"Authorization", b"Bearer a-key-of-an-agent")]
        caller.send("POST", "/api/agent/register", body, fields)
        self.assertEqual(caller.answer().status, 200)

    def test_no_valid_tunnel(self) -> None:
        """No tunnel, or one that is none, is 400."""
        for tunnels in (
            [],
            None,
            [{"id": "-bad-", "target": "http://x"}],
            [{"id": "a", "token": 1}],
        ):
            document = self.registration() | {"tunnels": tunnels}
            self.assertEqual(self.post("register", document).status, 400)

    def test_tcp(self) -> None:
        """TCP is no request and answer: 400."""
        document = self.registration() | {"tunnels": [{"id": "db", "target": "tcp://127.0.0.1:5"}]}
        answered = self.post("register", document)
        self.assertEqual(answered.status, 400)
        self.assertIn("TCP", answered.document["detail"])

    def test_forbidden(self) -> None:
        """A key for other ids is 403."""
        document = self.registration("app") | {"token": "key-for-one"}
        self.assertEqual(self.post("register", document).status, 403)

    def test_an_id_stolen(self) -> None:
        """An id that another agent has is 409."""
        session_id = self.register("app")
        stolen = self.registration("app", agent_id="thief")
        self.assertEqual(self.post("register", stolen).status, 409)
        stolen = self.registration("app") | {"token": "another-key"}
        self.assertEqual(self.post("register", stolen).status, 409)
        self.assertEqual(self.post("heartbeat", {"session_id": session_id}).status, 202)

    def test_refusals_are_counted(self) -> None:
        """Each by its reason; who is registered is none, and nor is another call that failed."""
        self.register("app")
        for document in (
            self.registration("app") | {"token": "no-key"},
            self.registration("app") | {"tunnels": []},
            self.registration("app") | {"token": "key-for-one"},
            self.registration("app", agent_id="thief"),
        ):
            self.post("register", document)
        self.post("heartbeat", {"session_id": "none"})
        counted = {"unauthorized": 1, "bad_registration": 1, "forbidden": 1, "taken": 1, "full": 0}
        self.assertEqual(self.hub.refusals, counted)

    def test_no_json(self) -> None:
        """What is no object in JSON is 400."""
        for body in (b"{", b"[]", b'"x"', b"\xff", b'{"a": 1, "a": 2}', b"[" * 50_000):
            for path in ("register", "respond", "heartbeat"):
                caller = self.caller()
                caller.send("POST", f"/api/agent/{path}", body)
                self.assertEqual(caller.answer().status, 400)


class ExchangeTests(PollCase):
    """One request, and its answer."""

    def test_whole(self) -> None:
        """A request goes out with all that belongs to it, and its answer comes back."""
        session_id = self.register()
        pull = self.pull(session_id)
        self.assertEqual(pull.answers(), [])
        fields = [
            (b"X-Forwarded-For", b"192.0.2.7, 10.0.0.1"),
            (b"X-Real-IP", b"192.0.2.7"),
            (b"Cookie", b"a=1"),
            (b"X-Two", b"one"),
            (b"x-two", b"tw\xc3\xb6"),
            (b"X-Latin", b"\xe4"),
            (b"Expect", b"100-continue"),
        ]
        visitor = self.visitor().ask(b"/a%2Fb?q=1&q=%20", b"POST", fields, b"\x00body")
        request = self.pulled(pull)
        request_id = request.pop("request_id")
        self.assertGreaterEqual(len(request_id), 20)
        self.assertEqual(
            request,
            {
                "tunnel_id": "app",
                "method": "POST",
                "path": "/a%2Fb",
                "query": "q=1&q=%20",
                "headers": {
                    "Host": ["app.test"],
                    "X-Forwarded-For": ["192.0.2.7, 10.0.0.1"],
                    "X-Real-IP": ["192.0.2.7"],
                    "Cookie": ["a=1"],
                    "X-Two": ["one", "twö"],
                    "X-Latin": ["ä"],
                },
                "body": base64.b64encode(b"\x00body").decode(),
                "remote_addr": "192.0.2.7",
            },
        )
        headers = {
            "Content-Type": ["text/plain"],
            "Set-Cookie": ["a=1", "b=2"],
            "Connection": ["X-Hop"],
            "X-Hop": ["gone"],
            "Content-Length": ["999"],
            "Transfer-Encoding": ["chunked"],
        }
        request |= {"request_id": request_id}
        done = self.respond(session_id, request, status=201, headers=headers, body=b"made")
        self.assertEqual(done, 202)
        self.assertEqual((visitor.status, visitor.body, visitor.done), (201, b"made", True))
        assert visitor.head is not None
        self.assertEqual(
            [(name.lower(), value) for name, value in visitor.head.fields],
            [
                (b"content-type", b"text/plain"),
                (b"set-cookie", b"a=1"),
                (b"set-cookie", b"b=2"),
                (b"content-length", b"4"),
            ],
        )
        self.assertEqual(self.polls.held.count, 0)

    def test_byte_by_byte(self) -> None:
        """However a request is cut, it is one request."""
        session_id = self.register()
        visitor = self.visitor()
        exchange = visitor.connection.exchange
        data = exchange.request(b"PUT", b"/x?y", [(b"Host", b"app.test")], -1)
        data += exchange.data(b"one") + exchange.data(b"two") + exchange.end([(b"X-T", b"gone")])
        for at in range(len(data)):
            self.assertEqual(self.polls.waiting, 0)
            visitor.connection.transport.write(data[at : at + 1])
        request = self.pulled(self.pull(session_id))
        self.assertEqual(base64.b64decode(request["body"]), b"onetwo")
        self.assertEqual(request["headers"], {"Host": ["app.test"]})

    def test_client_waits_for_100(self) -> None:
        """Who waits to be asked for the body is asked."""
        session_id = self.register()
        visitor = self.visitor()
        visitor.ask(b"/", b"POST", [(b"Expect", b"100-continue")], length=4)
        self.turn()
        self.assertEqual(visitor.continued, 1)
        exchange = visitor.connection.exchange
        visitor.connection.transport.write(exchange.data(b"body") + exchange.end())
        request = self.pulled(self.pull(session_id))
        self.assertEqual(base64.b64decode(request["body"]), b"body")

    def test_answers_without_a_body(self) -> None:
        """To a HEAD, with a 204, a 205 or a 304 no body goes out; the length says what is so."""
        session_id = self.register()
        length = {"content-length": ["1234"]}
        for method, status, headers, declared in (
            (b"HEAD", 200, length, 1234),
            (b"HEAD", 200, {}, -2),
            (b"GET", 304, length, 1234),
            (b"GET", 204, length, -2),
            (b"GET", 205, {}, 0),
            (b"GET", 200, {}, 0),
        ):
            visitor = self.visitor().ask(method=method)
            request = self.pulled(self.pull(session_id))
            body = b"" if (status, declared) == (200, 0) else b"stray"
            if method == b"HEAD" and not headers:
                body = b""
            self.respond(session_id, request, status=status, headers=headers, body=body)
            assert visitor.head is not None
            self.assertEqual((visitor.body, visitor.done), (b"", True))
            self.assertEqual(visitor.head.declared_length, declared)
            self.assertTrue(visitor.connection.exchange.reusable)

    def test_kept_connection(self) -> None:
        """A connection serves one request after another."""
        session_id = self.register()
        visitor = self.visitor()
        for body in (b"one", b"two"):
            visitor.ask()
            request = self.pulled(self.pull(session_id))
            self.respond(session_id, request, body=body)
            self.assertEqual((visitor.body, visitor.errors), (body, []))
            visitor.again()
        [session] = self.hub.registry.sessions
        self.assertEqual(session.streams_open, 1)
        visitor.leave()
        self.turn()
        self.assertEqual(session.streams_open, 0)

    def test_many_at_a_time(self) -> None:
        """One slow request does not block the agent's others."""
        session_id = self.register()
        visitors = [self.visitor().ask(b"/%d" % each) for each in range(3)]
        first, second, third = (self.pulled(self.pull(session_id)) for _ in visitors)
        self.respond(session_id, third, body=b"third")
        self.respond(session_id, second, body=b"second")
        self.assertEqual([each.body for each in visitors], [b"", b"second", b"third"])
        self.respond(session_id, first, body=b"first")
        self.assertEqual(visitors[0].body, b"first")

    def test_many_pulls(self) -> None:
        """Several pulls may be open; requests go to the one that has waited longest."""
        session_id = self.register()
        pulls = [self.pull(session_id) for _ in range(3)]
        for each in range(2):
            self.visitor().ask(b"/%d" % each)
        self.assertEqual([self.pulled(each)["path"] for each in pulls[:2]], ["/0", "/1"])
        self.assertEqual(pulls[2].answers(), [])

    def test_upgrade(self) -> None:
        """No WebSocket goes through: 501, in words, and nothing for the agent."""
        session_id = self.register()
        visitor = self.visitor().ask(fields=[(b"Upgrade", b"websocket")])
        self.assertIsNone(visitor.head)  # Not from inside a write.
        self.turn()
        self.assertEqual(visitor.status, 501)
        self.assertIn(b"WebSocket", visitor.body)
        pull = self.pull(session_id)
        self.assertEqual(pull.answers(), [])

    def test_too_many_fields(self) -> None:
        """A request that is no good is told so."""
        self.register()
        visitor = self.visitor().ask(fields=[(b"X-%d" % each, b"") for each in range(300)])
        self.turn()
        self.assertEqual(visitor.status, 431)

    def test_errors_of_the_agent(self) -> None:
        """What an agent could not do is a 502, and its words stay in the log, in one line."""
        session_id = self.register()
        told = self.listen()
        for words, name in (
            ("dial tcp 127.0.0.1:3000: connect: connection refused", "connection_refused"),
            (
                'Get "http://x/?access_token=secret": EOF\r\nFake: line',
                "destination_unavailable",
            ),
            ({"odd": 1}, "destination_unavailable"),
        ):
            visitor = self.visitor().ask()
            request = self.pulled(self.pull(session_id))
            self.assertEqual(self.respond(session_id, request, status=0, error=words), 202)
            self.assertEqual((visitor.error.status, visitor.error.error), (502, name))
            self.assertNotIn("Fake", visitor.error.detail)
        line = told[1]
        self.assertIn('Get "http://x/?…": EOF  Fake: line', line)

    def test_bad_answers(self) -> None:
        """An answer that cannot be sent is 400 for the agent, and 502 for the visitor."""
        session_id = self.register()
        bad: list[dict[str, typing.Any]] = [
            {"status": 99},
            {"status": "200"},
            {"status": True},
            {"status": 101},
            {"headers": {"X": ["a\r\nY: b"]}},
            {"headers": {"X": ["\ud800"]}},
            {"headers": {"X Y": ["a"]}},
            {"headers": {"X": [1]}},
            {"headers": {"X": {"a": "b"}}},
            {"headers": []},
            {"body": "§"},
            {"body": 7},
        ]
        for more in bad:
            visitor = self.visitor().ask()
            request = self.pulled(self.pull(session_id))
            self.assertEqual(self.respond(session_id, request, **more), 400, more)
            self.assertEqual(visitor.error.status, 502)
            self.assertEqual(self.respond(session_id, request), 409)

    def test_slow_visitor(self) -> None:
        """A visitor who reads slowly gets the answer in pieces, and is not run over."""
        session_id = self.register()
        visitor = self.visitor().ask()
        visitor.connection.pause()
        request = self.pulled(self.pull(session_id))
        self.respond(session_id, request, body=b"x" * 300_000)
        self.pass_time(3)
        self.assertIsNone(visitor.head)
        self.assertEqual(self.polls.held.count, 300_000)
        visitor.connection.resume()
        self.assertIsNone(visitor.head)  # Not from inside resume.
        self.turn()
        self.assertEqual(visitor.body, b"x" * 300_000)
        self.assertLessEqual(max(visitor.pieces), 65_536)
        self.assertEqual(self.polls.held.count, 0)


class RespondTests(PollCase):
    """Answers that nobody waits for."""

    def test_a_late_answer_reaching_the_wrong_visitor(self) -> None:
        """
        An answer belongs to one request of one tunnel of one session: it never gets to another
        one, not even on the same connection.
        """
        session_id = self.register("app", "api")
        other = self.register("more", agent_id="other")
        visitor = self.visitor().ask(b"/first")
        first = self.pulled(self.pull(session_id))
        self.assertEqual(self.respond(other, first), 409)
        self.assertEqual(self.respond(session_id, first | {"tunnel_id": "api"}), 409)
        self.assertEqual(self.respond(session_id, first | {"request_id": "x"}), 409)
        self.assertEqual(self.respond(session_id, first | {"request_id": None}), 409)
        self.assertEqual(self.respond(session_id, first, body=b"first"), 202)
        self.assertEqual(visitor.body, b"first")
        visitor.again().ask(b"/second")
        self.pulled(self.pull(session_id))
        self.assertEqual(self.respond(session_id, first, body=b"late"), 409)
        self.assertIsNone(visitor.head)

    def test_a_caller_who_left(self) -> None:
        """A request whose visitor left is not handed out; one that was is answered with 409."""
        session_id = self.register()
        out = self.visitor().ask(b"/out")
        request = self.pulled(self.pull(session_id))
        waits = self.visitor().ask(b"/waits")
        out.leave()
        waits.leave()
        pull = self.pull(session_id)
        self.turn()
        self.assertEqual(pull.answers(), [])
        self.assertEqual(self.respond(session_id, request), 409)
        self.assertEqual((self.polls.waiting, self.polls.held.count), (0, 0))
        self.assertEqual((out.errors, waits.errors), ([], []))

    def test_unknown_session(self) -> None:
        """An unknown session is 404 at each call: register again."""
        self.assertEqual(self.pull("nobody").answer().status, 404)
        self.assertEqual(self.post("heartbeat", {"session_id": "nobody"}).status, 404)
        for id in ("nobody", None, ["x"]):
            answered = self.post("respond", {"session_id": id, "response": {}})
            self.assertEqual(answered.status, 404)

    def test_no_response(self) -> None:
        """A call without a response is 400."""
        session_id = self.register()
        self.assertEqual(self.post("respond", {"session_id": session_id}).status, 400)
