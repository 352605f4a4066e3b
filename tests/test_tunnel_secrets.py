"""Secrets of tunnels: keys, visitors' tokens and ids of sessions are in nothing that is seen."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from aluvia.testing.faults import Accepting
from tests.aluvia_process import until
from tests.edge_case import SECONDS
from tests.tunnel_case import HOST, TunnelCase

TOKEN = "canary-visitor-token-7f20"
WRONG_TOKEN = "canary-wrong-token-03aa"
QUERY = "canary-query-of-a-visitor"
WRONG_KEY = "alv_agent_canary-wrong-key-of-an-agent-000000000000"
GROUP = "canary-group-81c4"


class SecretTests(TunnelCase):
    """Canaries of every kind, on an edge and agents that talk as much as they can."""

    async def test_in_no_log_error_page_url_or_process_list(self) -> None:
        """By WebSocket and by polls, where all is well and where it is not; as text and as JSON."""
        for log_format in ("text", "json"):
            await self.look(log_format)

    async def look(self, log_format: str) -> None:
        """Have them do all that they can, and collect what is to be seen of it."""
        self.secrets += [TOKEN, WRONG_TOKEN, QUERY, WRONG_KEY, GROUP]
        log = self.file(f"{log_format}.log", "")
        talk = ("--log-format", log_format)
        edge = await self.hub(*talk, "--access-log", str(log), "--tunnel-domain", "t.example")
        app, refusing = self.origin(), self.peer(accepting=Accepting.REFUSE)
        self.secrets.append(base64.b64encode(self.key.encode()).decode())
        agent = await self.agent(
            *(*talk, "--log-level", "debug"),
            ALUVIA_PUBLISH=f"app@{TOKEN}=http://127.0.0.1:{app.port},"
            f"down@{TOKEN}=http://127.0.0.1:{refusing.port}",
            ALUVIA_AGENT_GROUP=GROUP,
        )
        refused = self.spawn_agent(
            *("--publish", f"app=http://127.0.0.1:{app.port}", *talk), key=WRONG_KEY
        )
        await until(lambda: "Not connected" in refused.output, SECONDS, "it is refused")
        seen = [Path(f"/proc/{each.pid}/cmdline").read_text() for each in (edge, agent)]
        seen += await self.visit_all()
        seen += await self.poll()
        seen += [json.dumps(await self.tunnels()), agent.port_file.read_text()]
        api = self.api(edge)
        await self.route(api, "route.example", {"endpoint": "tunnel:app"})
        for path in ("/config", "/stats", "//metrics"):
            seen.append((await api("GET", path)).text)
        seen.append((await self.call_hub("GET", "/api/tunnels", token=WRONG_KEY)).body.decode())
        seen.append(repr(await self.call_hub("GET", f"/agent?key={QUERY}")))
        self.assertEqual((await self.call(edge.db, "revoke", "laptop")).status, 0)
        await until(lambda: not agent.online, SECONDS, "its key is good no more")
        await until(lambda: "/said" in log.read_text(), SECONDS, "it is logged")
        seen += [edge.output, agent.output, refused.output, log.read_text()]
        for text in seen:
            self.assert_no_secret(text)
        self.assertGreater(len(agent.output), 1000)
        for visit in app.visits:
            self.assert_no_secret(repr(visit.headers).replace(QUERY, ""))
        for ended in (agent, refused):
            ended.kill()
            await ended.wait()

    async def visit_all(self) -> list[str]:
        """What visitors are answered, but for what the app says."""
        seen = []
        for host, prefix in ((HOST, "/t/app"), (HOST, "/t/down"), ("app.t.example", "")):
            for path, field in (
                (f"/said?q={QUERY}", f"X-Proxer-Tunnel-Token: {TOKEN}"),
                (f"/said?q={QUERY}", f"X-Proxer-Tunnel-Token: {WRONG_TOKEN}"),
                (f"/said?access_token={TOKEN}&q={QUERY}", "Accept: text/html"),
                (f"/said?access_token={WRONG_TOKEN}&q={QUERY}", "Accept: text/html"),
                (f"/said?q={QUERY}", f"Cookie: aluvia_tunnel_app={WRONG_TOKEN}"),
            ):
                answer = await self.visit(self.edge_process, host, prefix + path, field)
                seen.append(repr(answer.headers))
                if answer.status != 200:
                    seen.append(answer.body.decode())
        slash = await self.visit(
            self.edge_process, HOST, "/t/app", f"X-Proxer-Tunnel-Token: {TOKEN}"
        )
        seen.append(repr(slash))
        return seen

    async def poll(self) -> list[str]:
        """What is said of those who poll, whose sessions' ids are in URLs."""
        seen = []
        tunnels = [{"id": "polled", "target": "http://127.0.0.1:1", "token": TOKEN}]
        document = {"agent_id": "poll", "token": self.key, "tunnels": tunnels}
        answer = await self.call_hub("POST", "/api/agent/register", document)
        session = str(json.loads(answer.body)["session_id"])
        self.secrets.append(session)
        seen.append(answer.body.decode().replace(session, ""))
        again = await self.call_hub("POST", "/api/agent/register", {**document, "agent_id": "two"})
        seen.append(repr(again))
        bad = {**document, "token": WRONG_KEY}
        seen.append(repr(await self.call_hub("POST", "/api/agent/register", bad)))
        for path in (
            f"/api/agent/pull?session_id={session}&wait=x",
            f"/api/agent/pull?session_id={session}x&wait=1",
            f"/api/agent/pull?session_id={session}&wait=1",
            f"/api/agent/nothing?session_id={session}",
        ):
            seen.append(repr(await self.call_hub("GET", path)))
        respond = {"session_id": session, "response": {"request_id": "none"}}
        seen.append(repr(await self.call_hub("POST", "/api/agent/respond", respond)))
        return seen
