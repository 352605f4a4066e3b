"""Tests for the commands that ask an admin port: :mod:`aluvia.cli.ask`, ``explain``, ``status``."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import typing

from aluvia.cli.test.test_main import ConsoleCase

#: What a proxy says; as the admin port's own tests have it.
PAGES: dict[str, tuple[int, object]] = {
    "/healthz": (200, {"status": "ok", "uptime": 4000.0, "version": "1.2.3"}),
    "/readyz": (
        200,
        {
            "ready": True,
            "reason": None,
            "url": "http://127.0.0.1:18787",
            "last_error": None,
            "revision": 3,
            "rules": 2,
            "age": 90.0,
        },
    ),
    "/metrics": (
        200,
        "# TYPE aluvia_requests_total counter\n"
        'aluvia_requests_total{outcome="ok",way="direct"} 5.0\n'
        'aluvia_requests_total{outcome="dns_error",way="direct"} 1.0\n'
        'aluvia_requests_total{outcome="ok",way="gateway"} 7.0\n'
        "# TYPE aluvia_bytes_total counter\n"
        'aluvia_bytes_total{direction="up",way="gateway"} 1200.0\n'
        'aluvia_bytes_total{direction="down",way="gateway"} 3.4e+06\n'
        "# TYPE aluvia_connections_open gauge\n"
        "aluvia_connections_open 4.0\n"
        "# TYPE aluvia_tunnels_open gauge\n"
        "aluvia_tunnels_open 2.0\n",
    ),
    "/connections": (
        200,
        {
            "connections": [
                {
                    "host": "a.example",
                    "port": 443,
                    "way": "gateway",
                    "rule": "*.example\x1b",
                    "bytes_up": 1,
                    "bytes_down": 2000,
                    "age": 3.0,
                }
            ]
        },
    ),
}


class FakeAdmin(http.server.ThreadingHTTPServer):
    """An admin port that says what it is told to, in a thread of its own."""

    def __init__(self, pages: typing.Mapping[str, tuple[int, object]]) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.pages = dict(pages)
        self.asked: list[tuple[str, str | None, str | None]] = []
        threading.Thread(target=self.serve_forever, args=[0.01], daemon=True).start()

    def stop(self) -> None:
        """End."""
        self.shutdown()
        self.server_close()


class Answering(http.server.BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        """Give the page."""
        admin = typing.cast(FakeAdmin, self.server)
        admin.asked.append((self.path, self.headers["Host"], self.headers["Accept"]))
        status, page = admin.pages.get(self.path.partition("?")[0], (404, {"error": "No page."}))
        body = page if isinstance(page, str) else json.dumps(page)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


class AskCase(ConsoleCase):
    """With a proxy that runs."""

    def setUp(self) -> None:
        """Start it."""
        super().setUp()
        self.admin = FakeAdmin(PAGES)
        self.addCleanup(self.admin.stop)
        self.port = str(self.admin.server_port)


class WhereTests(AskCase):
    """Which admin port is asked."""

    def test_ways_to_say_it(self) -> None:
        """A port, a URL, or the variable that the service is started with."""
        self.admin.pages["/explain"] = (
            200,
            {"host": "a", "way": "direct", "rule": None, "lost": []},
        )
        self.environ["http_proxy"] = "http://127.0.0.1:9"
        for words in (
            ("--admin-port", self.port),
            ("--admin", f"http://127.0.0.1:{self.port}"),
            ("--admin", f"http://127.0.0.1:{self.port}/"),
        ):
            self.assertEqual(
                (0, "a: direct\nby: no rule matches\n", ""), self.call("explain", "a", *words)
            )
        self.environ["ALUVIA_ADMIN_PORT"] = self.port
        self.assertEqual(0, self.call("explain", "ä&b.example")[0])
        path, host, accept = self.admin.asked[-1]
        self.assertEqual("/explain?host=%C3%A4%26b.example", path)
        self.assertEqual((f"127.0.0.1:{self.port}", "application/json"), (host, accept))

    def test_nobody_there(self) -> None:
        """Status 69, with the address that was asked, in one line."""
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        for words in (["explain", "a"], ["status"]):
            status, stdout, stderr = self.call(*words, "--admin-port", str(port))
            self.assertEqual((69, ""), (status, stdout))
            self.assertIn(
                f"no proxy answers at http://127.0.0.1:{port}: Connection refused", stderr
            )
            self.assertEqual(1, stderr.count("\n"))
        self.environ["ALUVIA_ADMIN_PORT"] = "none"
        self.assertEqual(64, self.call("status")[0])

    def test_somebody_else(self) -> None:
        """What is no HTTP, and what is another program's page, is no proxy of ours."""
        for page in ("<html>", "{}", "[" * 100_000):
            for path in ("/healthz", "/readyz", "/connections", "/explain"):
                self.admin.pages[path] = (200, page)
            for words in (["status"], ["explain", "a.test"]):
                status, _, stderr = self.call(*words, "--admin-port", self.port)
                self.assertEqual(69, status)
                self.assertIn("no admin port of aluvia", stderr)
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def garbage() -> None:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1000)
                    connection.send(b"SSH-2.0\r\n")

            thread = threading.Thread(target=garbage)
            thread.start()
            status, _, stderr = self.call("status", "--admin-port", str(listener.getsockname()[1]))
            thread.join()
        self.assertEqual(69, status)
        self.assertIn("no proxy answers", stderr)


class ExplainTests(AskCase):
    """``aluvia explain`` without rules."""

    def test_answers(self) -> None:
        """What the proxy says, as text and as it came."""
        told = {
            "host": "a.example",
            "way": "gateway",
            "rule": "*",
            "lost": ["a.*"],
            "revision": 3,
            "gateway": "http://g.example:1",
        }
        self.admin.pages["/explain"] = (200, told)
        words = ("explain", "a.example", "--admin-port", self.port)
        self.assertEqual(
            (0, "a.example: gateway (http://g.example:1)\nby: *\nmatching too: a.*\n", ""),
            self.call(*words),
        )
        self.assertEqual(told, json.loads(self.call(*words, "--json")[1]))

    def test_refusals(self) -> None:
        """A host that is none is a wrong call; a proxy without rules is one that cannot say."""
        for refused, status in ((400, 64), (503, 69), (421, 69)):
            self.admin.pages["/explain"] = (refused, {"error": "Not so.\n"})
            self.assertEqual(
                (status, "", "aluvia: Not so.\\n\n"),
                self.call("explain", "a", "--admin-port", self.port),
            )


class StatusTests(AskCase):
    """``aluvia status``."""

    def test_text(self) -> None:
        """Where, how long, which rules, what went which way, and what is open."""
        status, stdout, _ = self.call("status", "--admin-port", self.port)
        self.assertEqual(0, status)
        self.assertEqual(
            [
                "aluvia 1.2.3 at http://127.0.0.1:18787, ready",
                f"admin port  http://127.0.0.1:{self.port}",
                "running     1 h 6 min",
                "rules       2, revision 3, 1 min 30 s old",
                "direct      1 dns_error, 5 ok",
                "gateway     7 ok; 3.4 MB down, 1.2 kB up",
                "open        4 connections, 2 tunnels",
                "  a.example port 443, gateway by *.example\\x1b, 1 B up, 2.0 kB down, 3.0 s",
            ],
            stdout.splitlines(),
        )

    def test_not_ready(self) -> None:
        """Status 1, and why."""
        page = typing.cast(dict[str, object], PAGES["/readyz"][1])
        reason = {"ready": False, "reason": "It is draining.", "last_error": "e"}
        self.admin.pages["/readyz"] = (503, page | reason | {"rules": None})
        status, stdout, _ = self.call("status", "--admin-port", self.port)
        self.assertEqual(1, status)
        self.assertIn("not ready: It is draining.", stdout)
        self.assertIn("last error  e\n", stdout)
        self.assertNotIn("rules  ", stdout)

    def test_never_confirmed(self) -> None:
        """Rules from a state file have no age yet."""
        page = typing.cast(dict[str, object], PAGES["/readyz"][1])
        self.admin.pages["/readyz"] = (200, page | {"age": None})
        status, stdout, _ = self.call("status", "--admin-port", self.port)
        self.assertEqual(0, status)
        self.assertIn("rules       2, revision 3, never confirmed\n", stdout)
        status, stdout, _ = self.call("status", "--json", "--admin-port", self.port)
        self.assertEqual((0, None), (status, json.loads(stdout)["age"]))

    def test_many_connections(self) -> None:
        """Twenty are shown, and how many more there are."""
        (one,) = typing.cast(typing.Any, PAGES["/connections"][1])["connections"]
        self.admin.pages["/connections"] = (200, {"connections": [one] * 25})
        stdout = self.call("status", "--admin-port", self.port)[1]
        self.assertEqual(20, stdout.count("a.example"))
        self.assertTrue(stdout.endswith("  and 5 more\n"))

    def test_json(self) -> None:
        """All of it as one object."""
        told = json.loads(self.call("status", "--json", "--admin-port", self.port)[1])
        self.assertEqual(
            {"direct": {"ok": 5, "dns_error": 1}, "gateway": {"ok": 7}}, told["requests"]
        )
        self.assertEqual({"connections": 4, "tunnels": 2}, told["open"])
        self.assertEqual(1, len(told["connections"]))
        self.assertTrue(told["ready"])
