"""Secrets of the edge: what is to be seen of it, anywhere, has none of them."""

from __future__ import annotations

import json
from pathlib import Path

from aluvia.testing.faults import Accepting
from aluvia.testing.origin import Visit
from tests.aluvia_process import TWISTD, until
from tests.edge_case import SECONDS, EdgeCase, Pair, backend
from tests.edge_process import TOKEN, Api, EdgeProcess
from tests.test_edge_must_not_happen import basic

PASSWORD = "canary-password-4e:1f"
BEARER = "canary-bearer-77aa"
HOOK = "canary-hook-key-90cd"
COOKIE = "canary-cookie-5521"
QUERY = "canary-query-1b2c"
WRONG = "canary-wrong-password"

#: In any spelling that they have on the way.
SPELLINGS = (
    *(PASSWORD, BEARER, HOOK, COOKIE, QUERY, WRONG),
    *(basic(f"alice:{PASSWORD}").split()[-1], basic(f"alice:{WRONG}").split()[-1]),
    "canary-password-4e%3A1f",
)


class SecretTests(EdgeCase):
    """Canaries of every kind, on an edge that talks as much as it can."""

    timeout = 180

    async def test_in_no_log_error_page_or_process_list(self) -> None:
        """
        The API's token, keys, passwords, tokens, a hook's URL and what clients bring: nothing of
        that is in what the edge logs, answers, tells or is started with; by text and by JSON.
        """
        for log_format in ("text", "json"):
            await self.look(log_format)

    async def look(self, log_format: str) -> None:
        """Let an edge do all that it can, well and not, and collect what is to be seen of it."""
        log = Path(self.mktemp()).absolute()
        edge = await self.edge(
            *("--https", "127.0.0.1:0", "--access-log", str(log)),
            *("--log-format", log_format, "--trusted-proxy", "10.0.0.0/8"),
        )
        api = self.api(edge)
        self.secrets += SPELLINGS
        seen = [Path(f"/proc/{edge.pid}/cmdline").read_text()]
        events = await self.listen(edge)
        pair = await self.configure(api)

        seen += await self.ask_the_api(edge, api, pair)
        seen += await self.ask_the_edge(edge)
        for path in (
            *("/config", "/routes", "/certificates", "/certificates/a.example", "/stats"),
            *("/stats/a", "/auth-providers/staff", "/auth-providers/robots", "/openapi.json"),
            *("//metrics", "//readyz", "//healthz", "/log-level"),
        ):
            text = (await api("GET", path)).text
            # Where a hook is is no secret to whoever may say so.
            seen.append(text.replace(HOOK, "") if path == "/config" else text)
        await until(lambda: log.exists() and log.read_text(), SECONDS, "it is logged")
        await api.done("DELETE", "/routes/a")
        await until(lambda: b'"removed"' in events.received, SECONDS, "it is told")
        seen.append(events.received.decode())
        for connection in self._connections:
            connection.close()
        await edge.stop()
        seen += [edge.output, log.read_text()]
        for text in seen:
            self.assert_no_secret(text)
        # It was written down, and what was asked as well.
        self.assertIn('"route":"a"', log.read_text())
        self.assertGreater(len(edge.output), 1000)
        self.assertEqual(edge.db.stat().st_mode & 0o077, 0)

    async def configure(self, api: Api) -> Pair:
        """Give it all kinds of secrets."""
        origin, hook, refusing = self.origin(), self.origin(), self.peer([])
        refusing.set_accepting(Accepting.REFUSE)

        async def judge(visit: Visit) -> None:
            right = visit.header(b"x-key") == b"yes"
            await visit.answer(200 if right else 403, [], b"" if right else b"The hook says no.")

        hook.fallback = judge
        pair = self.pair("a.example")
        users = [{"name": "alice", "password": PASSWORD}]
        url = f"http://127.0.0.1:{hook.port}/ask?key={HOOK}"
        dead = f"http://127.0.0.1:{refusing.port}/ask?key={HOOK}"
        for provider in (
            {"id": "staff", "type": "basic", "users": users},
            {"id": "robots", "type": "bearer", "tokens": [{"name": "one", "token": BEARER}]},
            {"id": "hook", "type": "hook", "url": url, "timeout": 2},
            {"id": "dead-hook", "type": "hook", "url": dead, "timeout": 2},
        ):
            await api.done("POST", "/auth-providers", provider)
        await api.done("PUT", "/certificates/a.example", {"cert": pair.cert, "key": pair.key})
        for id, provider_id, target in (
            ("a", "staff", origin),
            ("b", "robots", origin),
            ("c", "hook", origin),
            ("d", "dead-hook", origin),
            ("e", None, refusing),
        ):
            await self.route(api, f"{id}.example", backend(target, "one"), authProvider=provider_id)
        return pair

    async def ask_the_api(self, edge: EdgeProcess, api: Api, pair: Pair) -> list[str]:
        """What it says to what is right, and to what is not."""
        seen = []
        users = [{"name": "alice", "password": PASSWORD}, {"name": "", "password": PASSWORD}]
        for method, path, document in (
            ("POST", "/auth-providers", {"id": "x", "type": "basic", "users": users}),
            (
                "POST",
                "/auth-providers",
                {"id": "x", "type": "bearer", "tokens": [{"token": BEARER}]},
            ),
            ("POST", "/auth-providers", {"id": "x", "type": "hook", "url": f"ftp://u:{HOOK}@h/"}),
            ("POST", "/auth-providers", {"id": "staff", "type": "basic", "users": users[:1]}),
            ("PUT", "/certificates/b.example", {"cert": pair.cert, "key": pair.key}),
            ("PUT", "/certificates/a.example", {"cert": pair.key, "key": pair.cert + pair.key}),
            ("PUT", "/certificates/a.example", {"cert": pair.cert, "key": pair.key}),
            (
                "POST",
                "/routes",
                {"vHost": "z.example", "ssl": {"cert": pair.cert, "key": pair.key}},
            ),
            ("PATCH", "/routes/a", {"ssl": {"cert": pair.cert, "key": pair.key}}),
            ("PUT", "/config", {"routes": [], "certificates": [{"key": pair.key}]}),
            (
                "PATCH",
                "/routes/a/backends/one",
                {"tls": {"clientCert": pair.cert, "clientKey": pair.key}},
            ),
            ("PATCH", "/routes/a/backends/one", {"tls": None}),
        ):
            seen.append((await api(method, path, document)).text)
            seen.append((await api(method, f"{path}?dry_run=1", document)).text)
        seen.append((await api("GET", f"/routes?token={QUERY}")).text)
        broken = json.dumps({"key": pair.key, "password": PASSWORD})[:-1].encode()
        seen.append((await api("POST", "/certificates", body=broken)).text)
        stranger = self.api(edge, f"{WRONG}")
        seen.append((await stranger("GET", "/routes")).text)
        seen.append(
            (await stranger("POST", "/routes", Authorization=basic(f"a:{WRONG}")[15:])).text
        )
        return seen

    async def ask_the_edge(self, edge: EdgeProcess) -> list[str]:
        """What it answers by itself, to whom it lets through and to whom it does not."""
        seen = []
        cookie = f"Cookie: session={COOKIE}"
        for host in ("a.example", "b.example", "c.example", "d.example", "e.example", "f.example"):
            for field in (
                basic(f"alice:{PASSWORD}"),
                basic(f"alice:{WRONG}"),
                f"Authorization: Bearer {BEARER}",
                f"Authorization: Bearer {WRONG}",
                f"X-Nothing: {WRONG}",
            ):
                for accept in ("text/html", "application/json"):
                    answer = await self.visit(
                        edge, host, f"/?secret={QUERY}", field, cookie, f"Accept: {accept}"
                    )
                    if answer.status != 200:
                        seen.append(repr(answer))
        answer = await self.visit(edge, "c.example", "/", "X-Key: yes")
        self.assertEqual(answer.status, 200)
        bad = await self.connect(edge)
        await bad.send(f"GET /?{QUERY} HTTP/1.1\r\nCookie: {COOKIE}\r\nHost\r\n\r\n".encode())
        seen.append((await bad.read_to_end()).decode("latin-1"))
        secure = await self.secure(edge, "a.example")
        seen.append(repr(await self.say(secure, "b.example", f"/?{QUERY}", cookie)))
        return seen

    async def test_in_what_check_says(self) -> None:
        """``--check`` says what is used, and where from, and no secret of that."""
        self.secrets += SPELLINGS
        pair = self.pair("a.example")
        routes = self.file(
            "routes.json",
            json.dumps(
                {
                    "routes": [
                        {"vHost": "a.example", "ssl": {"cert": pair.cert, "key": pair.key}},
                        {"vHost": "b b", "ssl": {"cert": pair.key, "key": PASSWORD}},
                    ],
                    "authProviders": [
                        {
                            "id": "x",
                            "type": "basic",
                            "users": [{"name": "a:b", "password": PASSWORD, "x": 1}],
                        }
                    ],
                }
            ),
        )
        token = self.file("token", BEARER)
        for options in (("--routes", str(routes)), ()):
            said = await self.run_command(
                *(*TWISTD, "-n", "--pidfile=", "aluvia-edge", "--check", "--db", ":memory:"),
                *("--api-token-file", str(token), *options),
                ALUVIA_API_TOKEN=TOKEN,
            )
            self.assertEqual(said.status, 78 if options else 0, said)
            self.assert_no_secret(said.stdout + said.stderr)
