"""An agent that knows seed 003 alone, before a real edge."""

from __future__ import annotations

import signal
import sys

from aluvia.hub.limits import DEFAULT_HUB_LIMITS
from aluvia.testing.faults import Accepting, FaultPeer
from aluvia.testing.origin import FakeOrigin, Visit
from tests.aluvia_process import Child, clean_environment, until
from tests.checkout import CHECKOUT
from tests.edge_case import SECONDS
from tests.tunnel_case import HOST, TunnelCase

TOKEN = "canary-visitor-token-2e8c"


class SeedAgentTests(TunnelCase):
    """Whole requests, through the edge, the hub and the agent to an app, and back."""

    async def start_seed(self, app: FakeOrigin | FaultPeer, id: str = "app") -> None:
        """Have an agent publish this app."""
        self.secrets.append(TOKEN)
        self.line_to_hub = self.line()
        self.seed = Child(
            *(sys.executable, str(CHECKOUT / "tests" / "seed_agent.py")),
            environment=clean_environment(
                PROXER_GATEWAY_BASE_URL=f"http://127.0.0.1:{self.line_to_hub.port}",
                PROXER_AGENT_TOKEN=self.key,
                PROXER_AGENT_TUNNELS=f"{id}=http://127.0.0.1:{app.port}",
            ),
        )
        self.addCleanup(self.end_seed)
        await self.registered(1)

    async def end_seed(self) -> None:
        """Kill it."""
        self.seed.kill()
        await self.seed.wait()

    async def registered(self, times: int) -> None:
        """Wait until it has registered so often."""
        await until(
            lambda: self.seed.output.count("registered /t/app/\n") >= times,
            SECONDS,
            "it is registered",
        )

    async def test_requests(self) -> None:
        """Requests of all shapes, and the answers to them."""
        edge = await self.hub("--tunnel-domain", "tunnels.example")
        await self.start_seed(self.origin())
        for host, prefix in ((HOST, "/t/app"), ("app.tunnels.example", "")):
            body = b"x" * 100_000
            seen = await self.seen(
                edge, host, f"{prefix}/a%2Fb?q=%20", "X-Two: one", method="POST", body=body
            )
            self.assertEqual((seen.target, seen.body), ("/a%2Fb?q=%20", body.decode()))
            self.assertEqual((seen["x-two"], seen["x-forwarded-prefix"]), ("one", prefix or None))
        for _ in range(3):
            self.assertEqual((await self.ask_tunnel()).status, 200)
        answer = await self.ask_tunnel(method="HEAD")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(self.seed.stderr, b"")
        tunnel = (await self.tunnels())["app"]
        self.assertEqual(tunnel["agents"][0]["carrier"], "longpoll")

    async def test_what_an_app_answers(self) -> None:
        """Redirects, and several cookies, in path mode."""
        await self.hub()
        app = self.origin()

        async def answer(visit: Visit) -> None:
            cookies = [(b"Set-Cookie", b"a=1; Path=/"), (b"Set-Cookie", b"b=2; Path=/")]
            await visit.answer(302, [(b"Location", b"/next"), *cookies])

        app.routes["/away"] = answer
        await self.start_seed(app)
        came = await self.ask_tunnel("/away")
        self.assertEqual((came.status, came.header(b"location")), (302, b"/t/app/next"))
        self.assertEqual(came.header(b"set-cookie"), b"a=1; Path=/t/app/, b=2; Path=/t/app/")

    async def test_visitors_token(self) -> None:
        """Its visitors show the token, and the app sees none of it."""
        await self.hub()
        await self.start_seed(self.origin(), f"app@{TOKEN}")
        self.assertEqual((await self.ask_tunnel()).status, 403)
        for path, field in (
            ("/", f"X-Proxer-Tunnel-Token: {TOKEN}"),
            (f"/?access_token={TOKEN}", "X-No: thing"),
        ):
            answer = await self.ask_tunnel(path, field)
            self.assertEqual((answer.status, TOKEN.encode() in answer.body), (200, False))

    async def test_too_large(self) -> None:
        """A visitor's body that is too large is a 413 that says so, and hurts nobody."""
        await self.hub()
        await self.start_seed(self.origin())
        connection = await self.connect(self.edge_process)
        length = DEFAULT_HUB_LIMITS.poll_body_in_bytes + 1
        too_large = f"POST /t/app/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n"
        await connection.send(too_large.encode())
        head = (await connection.read_until(b"\r\n\r\n")).decode()
        self.assertIn(" 413 ", head)
        self.assertIn("http_request_error", head)
        self.assertEqual((await self.ask_tunnel()).status, 200)

    async def test_no_app(self) -> None:
        """A local port that refuses is a 502 that says so."""
        await self.hub()
        await self.start_seed(self.peer(accepting=Accepting.REFUSE))
        answer = await self.ask_tunnel()
        self.assert_cause(answer, 502, "connection_refused")
        self.assertNotIn(b"Errno", answer.body)

    async def test_registers_again(self) -> None:
        """When the edge was restarted, the agent's session is over: it registers again."""
        edge = await self.hub()
        await self.start_seed(self.origin())
        for times, end in enumerate((signal.SIGTERM, signal.SIGKILL), 2):
            edge.send_signal(end)
            await edge.wait()
            edge = self.edge_process = await self.edge("--hub", "127.0.0.1:0", db=edge.db)
            self.line_to_hub.to = self.hub_port
            await self.registered(times)
            seen = await self.seen(edge, HOST, "/t/app/again")
            self.assertEqual(seen.target, "/again")
