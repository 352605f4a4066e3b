"""``twistd -n aluvia`` with a control plane: how it starts, and what it makes of every answer."""

from __future__ import annotations

import os
import signal
import socket

from aluvia.testing.control_plane import FakeControlPlane, always
from aluvia.testing.faults import Accepting, Echo, FaultPeer, Stall
from aluvia.testing.origin import Visit
from tests.aluvia_process import AluviaProcess, reactor, until
from tests.following import (
    BAD_FILE,
    REFUSED,
    SECONDS,
    TAKEN,
    TOKEN,
    UNAVAILABLE,
    USAGE,
    FollowingCase,
    eventually,
)
from tests.support import Certificates

#: Asks when a SIGHUP says so, and not by itself: for tests that count answers.
BY_SIGNAL = ("--poll-interval", "3600")

CODED = [(b"Content-Encoding", b"gzip")]

HTML = always(200, [(b"Content-Type", b"text/html")], b"<html><body>Sign in</body></html>")


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class FailedStartTests(FollowingCase):
    """A start without a configuration ends the process, and nothing was bound."""

    async def test_statuses(self) -> None:
        """77 for a token that is refused; 69 for any other answer that is no configuration."""
        plane = self.plane()
        for lie, status, named in (
            (always(401), REFUSED, "401"),
            (always(403), REFUSED, "403"),
            (always(404), UNAVAILABLE, "404"),
            (always(429, [(b"Retry-After", b"1")]), UNAVAILABLE, "429"),
            (always(500), UNAVAILABLE, "500"),
            (always(302, [(b"Location", b"/v1/user")]), UNAVAILABLE, "302"),
            (always(304), UNAVAILABLE, "304"),
            (HTML, UNAVAILABLE, "JSON"),
            (always(200, [], b'{"data": {"proxy_username": "a"}}'), UNAVAILABLE, "proxy_password"),
            (always(200, [], b'{"proxy_username": "a:b", "proxy_password": "c"}'), UNAVAILABLE,
             "colon"),
            (always(200, [], b'{"success": false}'), UNAVAILABLE, "no success"),
            (always(401, CODED, b"?"), REFUSED, "401"),
            (always(403, [], b"x" * 1_048_577), REFUSED, "403"),
            (always(200, CODED, b"?"), UNAVAILABLE, "coding"),
            (always(200, [], b"x" * 1_048_577), UNAVAILABLE, "longer"),
        ):  # fmt: skip
            plane.lie = lie
            await self.refuses(self.follow(plane), status, named)
        plane.lie = None
        environment = {"ALUVIA_TOKEN": "another-token"}
        await self.refuses(self.follow(plane, environment=environment), REFUSED, "401")

    async def test_no_answer(self) -> None:
        """69 for an API that is down, resets, or says what is no HTTP."""
        plane = self.plane()
        plane.go_down()
        await self.refuses(self.follow(plane), UNAVAILABLE, "cannot be reached", "refused")
        for script in ([], [Stall(0)]):
            peer = FaultPeer(reactor, [*script, _Garbage()])
            self.addCleanup(peer.stop)
            process = self.follow(plane, "--api-base-url", f"http://127.0.0.1:{peer.port}/v1")
            await self.refuses(process, UNAVAILABLE, "The API cannot be reached")

    async def test_nothing_is_bound_before_the_answer(self) -> None:
        """While the API thinks, the port refuses; and no line says where a proxy would be."""
        plane = self.plane()
        port = free_port()
        tried: list[int] = []

        async def refuse(visit: Visit) -> None:
            with socket.socket() as sock:
                tried.append(sock.connect_ex(("127.0.0.1", port)))
            await visit.answer(401, [])

        plane.lie = refuse
        process = self.follow(plane, "--port", str(port))
        await self.refuses(process, REFUSED)
        self.assertNotEqual(tried, [])
        self.assertNotIn(0, tried)
        self.assertNotIn("The proxy is", process.output)

    async def test_port_taken(self) -> None:
        """73 for a port that is taken, the admin port too, once the API has answered."""
        plane = self.plane()
        peer = self.peer([Stall()])
        for option in ("--port", "--admin-port"):
            asked = len(plane.asked)
            process = self.follow(plane, option, str(peer.port))
            await self.refuses(process, TAKEN, f"127.0.0.1:{peer.port}")
            self.assertEqual(len(plane.asked), asked + 1)

    async def test_signal_while_the_api_is_silent(self) -> None:
        """
        SIGTERM ends a start that waits for its answer; also one that could go on without it, which
        binds nothing then.
        """
        plane = self.plane()
        state = self.path("state.json")
        kept = await self.follow(plane, "--state-file", state).ready()
        await kept.stop()
        for options in ((), ("--no-strict",), ("--state-file", state)):
            await self.ends_while_it_asks(plane, *options)

    async def ends_while_it_asks(self, plane: FakeControlPlane, *options: str) -> None:
        """SIGTERM, once it has asked an API that does not answer."""
        peer = self.peer([Stall()])
        base_url = f"http://127.0.0.1:{peer.port}/v1"
        process = self.follow(plane, "--api-base-url", base_url, *options)
        await until(lambda: peer.accepted, SECONDS, "it asks")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(await process.wait(), 128 + signal.SIGTERM, process.output)
        process.assert_quiet()
        for line in ("The proxy is", "state file", "cannot be reached"):
            self.assertNotIn(line, process.output)


class _Garbage:
    """A step: say what is no HTTP, and go."""

    async def play(self, connection: object) -> None:
        """Say it."""
        await connection.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")  # type: ignore[attr-defined]
        connection.close()  # type: ignore[attr-defined]


class TokenTests(FollowingCase):
    """Where a token may come from."""

    async def serves(self, process: AluviaProcess) -> None:
        """It starts."""
        await process.ready()
        self.assertEqual((await self.readiness(process))["revision"], 1)
        await process.at_rest()
        await process.stop()

    async def test_sources(self) -> None:
        """A file, white space around the token or not; the environment; systemd's credential."""
        plane = self.plane()
        name = self.file("token", f"\n  {TOKEN}\r\n\n")
        directory = self.path("credentials")
        os.mkdir(directory)
        os.link(name, f"{directory}/aluvia-token")
        for options, environment in (
            (("--token-file", name), {}),
            ((), {"ALUVIA_TOKEN": TOKEN}),
            ((), {"ALUVIA_TOKEN_FILE": name}),
            ((), {"CREDENTIALS_DIRECTORY": directory}),
            (("--token-file", name), {"ALUVIA_TOKEN": "another"}),
        ):
            process = self.follow(plane, *options, environment=environment)
            await self.serves(process)
            self.assertNotIn("command line", process.output)
        for visit in plane.asked:
            self.assertEqual(visit.header(b"authorization"), f"Bearer {TOKEN}".encode())
            self.assertEqual(visit.header(b"accept"), b"application/json")
            self.assertRegex(visit.header(b"user-agent") or b"", rb"^aluvia/\S+$")

    async def test_command_line(self) -> None:
        """``--token`` works, and logs one line of advice without it."""
        plane = self.plane()
        for style in ("text", "json"):
            process = self.follow(
                plane, "--token", TOKEN, "--log-level", "debug", "--log-format", style,
                environment={},
            )  # fmt: skip
            await self.serves(process)
            advice = "The token is on the command line"
            lines = [line for line in process.output.splitlines() if advice in line]
            self.assertEqual(len(lines), 1, process.output)
            self.assertNotIn(TOKEN, process.output)

    async def test_none(self) -> None:
        """64 without a token, with an empty file, and with a gateway's URL beside one."""
        plane = self.plane()
        empty = self.file("empty", " \n\t\n")
        for options, environment, named in (
            ((), {}, "--token-file"),
            ((), {"ALUVIA_TOKEN": ""}, "--token-file"),
            (("--token-file", empty), {}, "is empty"),
            (("--token", " "), {}, "--token-file"),
            (("--gateway-url", "http://127.0.0.1:9"), {"ALUVIA_TOKEN": TOKEN}, "--gateway-url"),
            (("--token-file", empty, "--token", TOKEN), {}, "--token"),
        ):
            process = self.follow(plane, *options, environment=environment)
            await self.refuses(process, USAGE, named)
        missing = self.path("missing")
        await self.refuses(
            self.follow(plane, "--token-file", missing, environment={}), BAD_FILE, missing
        )
        self.assertEqual(len(plane.asked), 0)


class PollingTests(FollowingCase):
    """What a running client makes of what the control plane says."""

    async def test_change(self) -> None:
        """Changed rules hold within two polls; the others are answered 304 by their ETag."""
        plane, gateway, origin = self.plane(), self.gateway(), self.origin()
        process = await self.following(plane, gateway=gateway)
        await self.came_to(process, "unchanged", 2)
        self.assertIsNone(plane.asked[0].header(b"if-none-match"))
        for visit in list(plane.asked)[1:]:
            self.assertEqual(visit.header(b"if-none-match"), b'"1"')
        self.assertEqual(await self.way(process, origin, "127.0.0.1"), "direct")
        asked = len(plane.asked)
        plane.change(rules=["127.0.0.1"])
        await until(lambda: len(plane.asked) >= asked + 2, SECONDS, "two polls")
        # It begins a poll only when it has taken what the last one said.
        self.assertEqual(await self.way(process, origin, "127.0.0.1"), "gateway")
        await until(lambda: plane.asked[-1].header(b"if-none-match") == b'"2"', SECONDS, "ETag")
        ready = await self.readiness(process)
        self.assertEqual((ready["revision"], ready["rules"]), (2, 1))
        explained = await process.admin_json("/explain?host=127.0.0.1")
        self.assertEqual(explained["way"], "gateway")
        self.assertGreaterEqual((await process.metrics())["aluvia_poll_seconds_count"], 4)

    async def test_rules_that_never_match(self) -> None:
        """They are ignored, and the log names them, once for each change of the rules."""
        plane = self.plane(rules=["a.example", "https://b.example/", "AUTO"])
        process = await self.following(plane, *BY_SIGNAL)
        self.assertEqual((await self.readiness(process))["rules"], 1)
        process.send_signal(signal.SIGHUP)
        await self.came_to(process, "unchanged")
        plane.change(rules=["a.example", "c.example:443"])
        process.send_signal(signal.SIGHUP)
        await self.revision(process, 2)
        for rule in ("https://b.example/", "c.example:443"):
            self.assertEqual(process.output.count(f"Rule '{rule}' is ignored: "), 1, process.output)
        self.assertEqual(process.output.count("is ignored"), 2, process.output)

    async def test_monitor(self) -> None:
        """Where the API has a monitor, it is told at once, and does not tick besides."""
        plane, gateway, origin = self.plane(), self.gateway(), self.origin()
        plane.monitored = True
        process = await self.following(plane, gateway=gateway)
        await until(lambda: plane.asked[-1].path.endswith("/monitor"), SECONDS, "it watches")
        for revision, rules, way in (
            (2, ["*"], "gateway"),
            (3, [], "direct"),
            (4, ["*"], "gateway"),
        ):
            plane.change(rules=rules)
            await self.revision(process, revision)
            self.assertEqual(await self.way(process, origin), way)
        asked = [visit.path for visit in plane.asked]
        self.assertEqual(asked.count("/v1/user"), 1, asked)

    async def test_outage(self) -> None:
        """
        The API is down, broken, empty or lying: what was configured stays in use, and it is said
        in ``/readyz`` and ``/metrics``. It comes back, and is followed again.
        """
        plane, gateway, origin = self.plane(rules=["*"]), self.gateway(), self.origin()
        process = await self.following(plane, *BY_SIGNAL, gateway=gateway)
        for lie, outcome, named in (
            (None, "unreachable", "refused"),
            (always(500), "api_error", "500"),
            (HTML, "bad_answer", "JSON"),
            (always(200), "bad_answer", "JSON"),
            (always(200, [], b'{"proxy_username": "a"}'), "bad_answer", "proxy_password"),
            (always(200, [], b'{"proxy_username": 1, "proxy_password": "p"}'), "bad_answer",
             "proxy_username"),
            (always(204), "api_error", "204"),
            (always(302, [(b"Location", b"/v1/user")]), "api_error", "302"),
            (always(503), "api_error", "503"),
        ):  # fmt: skip
            before = await self.polls(process, outcome)
            if lie is None:
                plane.go_down()
            plane.lie = lie
            process.send_signal(signal.SIGHUP)
            await self.came_to(process, outcome, int(before) + 1)
            ready = await self.readiness(process)
            self.assertTrue(ready["ready"])
            self.assertIn(named, ready["last_error"])
            self.assertFalse(ready["token_refused"])
            self.assertGreater(ready["age"], 0)
            self.assertEqual(ready["revision"], 1)
            self.assertEqual(await self.way(process, origin), "gateway")
            if lie is None:
                plane.come_back()
        plane.lie = None
        plane.change(rules=[])
        process.send_signal(signal.SIGHUP)
        await self.revision(process, 2)
        ready = await self.readiness(process)
        self.assertIsNone(ready["last_error"])
        self.assertEqual(await self.way(process, origin), "direct")
        self.assertIn("The API answers well again.", process.output)

    async def test_age(self) -> None:
        """The age in ``/readyz`` grows through an outage, and begins anew behind it."""
        plane = self.plane()
        process = await self.following(plane)
        plane.go_down()
        await self.came_to(process, "unreachable")

        async def old() -> bool:
            return bool((await self.readiness(process))["age"] > 2)

        await eventually(old, "it ages")
        plane.come_back()
        process.send_signal(signal.SIGHUP)
        await eventually(lambda: _not(old()), "it is new")

    async def test_comes_back_by_itself(self) -> None:
        """Nobody needs to tell it that the API is back."""
        plane, gateway, origin = self.plane(), self.gateway(), self.origin()
        process = await self.following(plane, gateway=gateway)
        plane.go_down()
        await self.came_to(process, "unreachable")
        plane.change(rules=["*"])
        plane.come_back()
        await self.revision(process, 2)
        self.assertEqual(await self.way(process, origin), "gateway")

    async def test_token_refused_later(self) -> None:
        """401 and 403 while it runs: an error in the log, ``token_refused``, and it serves."""
        plane, gateway, origin = self.plane(rules=["*"]), self.gateway(), self.origin()
        process = await self.following(plane, *BY_SIGNAL, gateway=gateway)
        for status in (401, 403):
            plane.lie = always(status)
            before = await self.polls(process, "token_refused")
            process.send_signal(signal.SIGHUP)
            await self.came_to(process, "token_refused", int(before) + 1)
            ready = await self.readiness(process)
            self.assertTrue(ready["ready"])
            self.assertTrue(ready["token_refused"])
            self.assertIn(str(status), ready["last_error"])
            self.assertEqual((await process.admin_json("/healthz"))["status"], "token_refused")
            self.assertEqual((await process.metrics())["aluvia_token_refused"], 1)
            self.assertEqual(await self.way(process, origin), "gateway")
            self.assertIn(f"The API refused the token ({status})", process.output)
        plane.lie = None
        process.send_signal(signal.SIGHUP)

        async def well() -> bool:
            return bool((await process.admin_json("/healthz"))["status"] == "ok")

        await eventually(well, "it is well again")
        self.assertFalse((await self.readiness(process))["token_refused"])

    async def test_retry_after(self) -> None:
        """429 with Retry-After: not asked before, not even by SIGHUP; then again."""
        plane = self.plane()
        process = await self.following(plane)
        seen: list[float] = []

        async def busy(visit: Visit) -> None:
            seen.append(reactor.seconds())
            if len(seen) == 1:
                await visit.answer(429, [(b"Retry-After", b"3")])
            else:
                await plane.give(visit)

        plane.lie = busy
        await self.came_to(process, "api_error")
        self.assertIn("429", (await self.readiness(process))["last_error"])
        process.send_signal(signal.SIGHUP)
        await until(lambda: len(seen) >= 2, SECONDS, "it asks again")
        # A lower bound holds on a busy machine too, but for the time that the answer took.
        self.assertGreater(seen[1] - seen[0], 2.5)

    async def test_log_says_it_once(self) -> None:
        """One line for each change of cause, however often it is asked meanwhile."""
        plane = self.plane()
        process = await self.following(plane, *BY_SIGNAL)
        for lie, outcome in ((always(500), "api_error"), (HTML, "bad_answer")):
            plane.lie = lie
            for count in range(1, 4):
                process.send_signal(signal.SIGHUP)
                await self.came_to(process, outcome, count)
        self.assertEqual(process.output.count("The API answered 500"), 1, process.output)
        self.assertEqual(process.output.count("without a good configuration"), 1, process.output)

    async def test_hangup(self) -> None:
        """SIGHUP asks now, long before the next tick."""
        plane = self.plane()
        process = await self.following(plane, "--poll-interval", "3600")
        for revision in (2, 3):
            plane.change(rules=[f"{revision}.example.com"])
            process.send_signal(signal.SIGHUP)
            await self.revision(process, revision)
        self.assertEqual(len(plane.asked), 3)
        self.assertEqual(process.output.count("SIGHUP: the configuration is fetched now."), 2)

    async def test_connection(self) -> None:
        """``--connection ID`` asks for a connection of an account, with the same fields."""
        plane, gateway, origin = self.plane(rules=["*"]), self.gateway(), self.origin()
        process = await self.following(plane, "--connection", "conn.01_a~b", gateway=gateway)
        self.assertEqual(await self.way(process, origin), "gateway")
        await self.came_to(process, "unchanged")
        paths = {visit.path for visit in plane.asked}
        self.assertEqual(paths, {"/v1/account/connections/conn.01_a~b"})

    async def test_must_not_happen_8_slower_than_the_interval(self) -> None:
        """An API that takes longer than the interval is asked one question at a time."""
        plane = self.plane()
        under_way: list[int] = []
        most: list[int] = []

        async def slow(visit: Visit) -> None:
            under_way.append(1)
            most.append(len(under_way))
            await plane.peer.connections[-1].sleep(1.5)
            under_way.pop()
            await plane.give(visit)

        process = await self.following(plane)
        plane.lie = slow
        plane.change(rules=["*"])
        await until(lambda: len(most) >= 3, SECONDS, "three questions")
        self.assertEqual(set(most), {1})
        await self.revision(process, 2)


async def _not(condition: object) -> bool:
    return not await condition  # type: ignore[misc]


class UnconfiguredTests(FollowingCase):
    """``--no-strict``: started, and no configuration yet."""

    async def test_direct(self) -> None:
        """Requests go direct, which is counted and logged; then the rules are followed."""
        plane, gateway, origin = self.plane(rules=["*"]), self.gateway(), self.origin()
        plane.go_down()
        process = await self.following(plane, "--no-strict", gateway=gateway)
        ready = await self.readiness(process)
        self.assertFalse(ready["ready"])
        self.assertEqual(ready["reason"], "There is no configuration yet.")
        self.assertIsNone(ready["revision"])
        for _ in range(3):
            self.assertEqual(await self.way(process, origin), "direct")
        metrics = await process.metrics()
        self.assertEqual(metrics["aluvia_fail_opens_total"], 3)
        self.assertEqual(metrics["aluvia_configured"], 0)
        self.assertEqual(process.output.count("requests go direct"), 1, process.output)
        self.assertEqual((await process.admin("/explain?host=a.example")).status, 503)
        plane.come_back()
        process.send_signal(signal.SIGHUP)
        await self.revision(process, 1)
        self.assertEqual(await self.way(process, origin), "gateway")
        metrics = await process.metrics()
        self.assertEqual(metrics["aluvia_fail_opens_total"], 3)
        self.assertEqual(metrics["aluvia_configured"], 1)

    async def test_refuse(self) -> None:
        """``--on-no-config refuse``: 503 for every request and tunnel, until there is one."""
        plane, gateway, origin = self.plane(rules=["*"]), self.gateway(), self.origin()
        plane.lie = always(500)
        process = await self.following(
            plane, "--no-strict", "--on-no-config", "refuse", gateway=gateway
        )
        answer = await self.get(process, f"http://127.0.0.1:{origin.port}/")
        self.assert_failed(answer, 503, "proxy_configuration_error")
        connection, answer = await self.tunnel(process, f"127.0.0.1:{origin.port}")
        self.assert_failed(answer, 503, "proxy_configuration_error")
        connection.close()
        self.assertEqual(len(origin.visits), 0)
        self.assertEqual((await process.metrics())["aluvia_fail_opens_total"], 0)
        plane.lie = None
        process.send_signal(signal.SIGHUP)
        await self.revision(process, 1)
        self.assertEqual(await self.way(process, origin), "gateway")

    async def test_token_refused(self) -> None:
        """A token that is refused ends the start, strict or not."""
        plane = self.plane()
        plane.lie = always(401)
        await self.refuses(self.follow(plane, "--no-strict"), REFUSED, "401")


class ReadyTests(FollowingCase):
    """When a supervisor is told that it is ready."""

    def supervisor(self) -> tuple[socket.socket, dict[str, str]]:
        """A supervisor's socket, and the environment that names it."""
        name = f"aluvia-ready-{self._testMethodName}-{os.getpid()}"
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(notify.close)
        notify.bind(f"\0{name}")
        notify.setblocking(False)
        return notify, {"ALUVIA_TOKEN": TOKEN, "NOTIFY_SOCKET": f"@{name}"}

    @staticmethod
    def is_ready(notify: socket.socket) -> bool:
        """Whether it has heard so since it was asked last."""
        heard = b""
        while True:
            try:
                heard += notify.recv(4096) + b"\n"
            except BlockingIOError:
                return b"READY=1" in heard.splitlines()

    async def test_strict(self) -> None:
        """Not before the first configuration is in; never, if it ends without one."""
        plane = self.plane()
        notify, environment = self.supervisor()
        early: list[bool] = []

        async def look(visit: Visit) -> None:
            early.append(self.is_ready(notify))
            await plane.give(visit)

        plane.lie = always(500)
        await self.refuses(self.follow(plane, environment=environment), UNAVAILABLE, "500")
        self.assertFalse(self.is_ready(notify))
        plane.lie = look
        await self.following(plane, *BY_SIGNAL, environment=environment)
        self.assertEqual(early, [False])
        await until(lambda: self.is_ready(notify), SECONDS, "READY=1")

    async def test_not_strict(self) -> None:
        """
        With ``--no-strict`` as soon as the ports are bound, configuration or not: a supervisor
        would end what is not ready in time, and an outage may last longer.
        """
        plane = self.plane()
        plane.go_down()
        notify, environment = self.supervisor()
        options = ("--no-strict", "--on-no-config", "refuse")
        process = await self.following(plane, *options, environment=environment)
        await until(lambda: self.is_ready(notify), SECONDS, "READY=1")
        ready = await self.readiness(process)
        self.assertEqual((ready["ready"], ready["revision"]), (False, None))
        answer = await self.get(process, "http://127.0.0.1:9/")
        self.assert_failed(answer, 503, "proxy_configuration_error")


class FlipTests(FollowingCase):
    """Open tunnels, and rules that change under them."""

    async def test_flip_grace(self) -> None:
        """
        With ``--flip-grace`` a tunnel whose host goes the other way now is ended, the others stay;
        without it all stay.
        """
        plane = self.plane(rules=["*.example.com"])
        gateway, peer = self.gateway(), self.peer([Echo()])
        proxies = [
            await self.following(plane, *options, gateway=gateway)
            for options in (("--flip-grace", "1"), ())
        ]
        flipped, same, direct = "www.example.com", "api.example.com", "127.0.0.1"
        tunnels = {}
        for number, proxy in enumerate(proxies):
            for host in (flipped, same, direct):
                connection, answer = await self.tunnel(proxy, f"{host}:{peer.port}")
                self.assertEqual(answer.status, 200, answer)
                tunnels[number, host] = connection
        plane.change(rules=["*.example.com", "-www.example.com"])
        ended = tunnels.pop((0, flipped))
        await until(lambda: ended.ended is not None, SECONDS, "the tunnel that flipped ends")
        await self.revision(proxies[1], 2)
        for tunnel in tunnels.values():
            await tunnel.send(b"still here")
            self.assertEqual(await tunnel.read_exactly(10), b"still here")
        self.assertEqual(len(tunnels), 5)


class SecureGatewayTests(FollowingCase):
    """``--gateway-protocol https``."""

    async def test_trusted(self) -> None:
        """With ``--gateway-ca`` its certificate is good: plain requests and tunnels pass."""
        certificates = Certificates()
        plane, origin = self.plane(rules=["*"]), self.origin()
        gateway = self.gateway(context=certificates.server("localhost"))
        options = ("--gateway-protocol", "https", "--gateway-host", "localhost")
        process = await self.following(
            plane, *options, "--gateway-ca", certificates.file(), gateway=gateway
        )
        self.assertEqual(await self.way(process, origin, "www.example.com"), "gateway")
        tunnel, answer = await self.tunnel(process, f"www.example.com:{origin.port}")
        self.assertEqual(answer.status, 200)
        tunnel.close()
        self.assertTrue(all(asked.authorized for asked in gateway.asked))
        self.assertEqual([asked.method for asked in gateway.asked], [b"GET", b"CONNECT"])

    async def test_not_trusted(self) -> None:
        """Without it, or under another name, the gateway is not spoken to."""
        certificates = Certificates()
        plane, origin = self.plane(rules=["*"]), self.origin()
        gateway = self.gateway(context=certificates.server("gateway.example"))
        options = ("--gateway-protocol", "https", "--gateway-host", "localhost")
        for more in ((), ("--gateway-ca", certificates.file())):
            process = await self.following(plane, *options, *more, gateway=gateway)
            answer = await self.get(process, f"http://www.example.com:{origin.port}/")
            self.assert_failed(answer, 502, "tls_certificate_error")
        self.assertEqual(len(gateway.asked), 0)

    async def test_secure_control_plane(self) -> None:
        """The control plane may be trusted by the same file; without it the start fails."""
        certificates = Certificates()
        plane = self.plane(context=certificates.server("127.0.0.1"))
        process = await self.following(plane, "--gateway-ca", certificates.file())
        self.assertEqual((await self.readiness(process))["revision"], 1)
        await self.refuses(self.follow(plane), UNAVAILABLE, "certificate")
        self.assertEqual({visit.header(b"authorization") for visit in plane.asked},
                         {f"Bearer {TOKEN}".encode()})  # fmt: skip


class TwoClientsTests(FollowingCase):
    """Two processes on one machine."""

    async def test_two_at_once(self) -> None:
        """Each follows its own control plane, and neither is disturbed by the other's end."""
        planes = [self.plane(rules=["*"]), self.plane()]
        gateway, origin = self.gateway(), self.origin()
        one, two = [await self.following(plane, gateway=gateway) for plane in planes]
        self.assertEqual(await self.way(one, origin), "gateway")
        self.assertEqual(await self.way(two, origin), "direct")
        await one.stop()
        planes[1].change(rules=["*"])
        await self.revision(two, 2)
        self.assertEqual(await self.way(two, origin), "gateway")


class UnusedTests(FollowingCase):
    """A control plane that does not even accept."""

    async def test_silent_api_while_running(self) -> None:
        """A connect that hangs does not keep it from serving, nor from ending."""
        plane, gateway, origin = self.plane(rules=["*"]), self.gateway(), self.origin()
        process = await self.following(plane, gateway=gateway)
        plane.go_down()
        plane.peer.set_accepting(Accepting.IGNORE)
        await self.came_to(process, "unreachable")
        process.send_signal(signal.SIGHUP)
        self.assertEqual(await self.way(process, origin), "gateway")
        await self.readiness(process)
