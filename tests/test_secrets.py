"""
Secrets with every odd character, and where they must not be found: in the log at debug, text and
JSON, on a page of the admin port, in an error answer, in the port file, on the command line.
"""

from __future__ import annotations

import base64
import json
import signal
import urllib.parse
from pathlib import Path

from aluvia.testing.control_plane import FakeControlPlane, always
from aluvia.testing.gateway import FakeGateway
from aluvia.testing.http import Response
from tests.aluvia_process import AluviaProcess, reactor
from tests.following import UNAVAILABLE, FollowingCase

#: Each part between two odd characters is a canary of its own, so that half a secret is found too.
ODD_TOKEN = "tokenäry%/+\"'&<=tail51e8".replace("ä", "a")
ODD_NAME = "näme%/+ \"'&<@tail77c1"
ODD_PASSWORD = "pässwörd%41/+: \"'&<\\@tail9f2c"
NEW_PASSWORD = "nëw%2Fpäss+\"' tail30d4"

PAGES = (
    "/", "/healthz", "/readyz", "/metrics", "/connections", "/ledger", "/proxy.pac",
    "/explain?host=www.example.com", "/explain?host=a", "/explain", "/nothing",
)  # fmt: skip


def spellings(secret: str) -> set[str]:
    """The ways in which programs write a secret; written anew, not those of the redaction."""
    raw = secret.encode()
    quoted = {urllib.parse.quote(raw, safe=safe) for safe in ("", "/")}
    quoted.add(urllib.parse.quote_plus(raw))
    return {
        secret,
        raw.decode("latin-1"),
        secret.encode("unicode_escape").decode(),
        json.dumps(secret)[1:-1],
        repr(raw)[2:-1],
        *quoted,
        *(each.lower() for each in quoted),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
    }


def canaries() -> set[str]:
    """All that must not be found."""
    found = {"tail51e8", "tail77c1", "tail9f2c", "tail30d4"}
    for secret in (ODD_TOKEN, ODD_NAME, ODD_PASSWORD, NEW_PASSWORD):
        found |= spellings(secret)
    for password in (ODD_PASSWORD, NEW_PASSWORD):
        found |= spellings(f"{ODD_NAME}:{password}")
    return found


class SecretTests(FollowingCase):
    """A client that is shown its secrets by everybody."""

    control: FakeControlPlane
    parent: FakeGateway

    def setUp(self) -> None:
        """A control plane and a gateway with the odd account."""
        super().setUp()
        self.canaries = canaries()
        self.control = self.plane(
            ODD_TOKEN, username=ODD_NAME, password=ODD_PASSWORD, rules=["*.example.com"]
        )
        self.parent = FakeGateway(reactor, ODD_NAME, ODD_PASSWORD)
        self.addCleanup(self.parent.stop)

    def assert_no_canary(self, text: str | bytes, where: str) -> None:
        """No secret, in any spelling, is in *text*."""
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        for canary in self.canaries:
            self.assertNotIn(canary, text, where)

    def assert_clean(self, answer: Response, where: str) -> None:
        """Neither its fields nor its body have a secret."""
        self.assert_no_canary(answer.body, where)
        for name, value in answer.headers:
            self.assert_no_canary(name + b": " + value, where)

    async def pages(self, process: AluviaProcess) -> None:
        """All pages of the admin port, in both of their forms."""
        for path in PAGES:
            for accept in (b"application/json", b"text/plain", b"text/html"):
                answer = await process.admin(path, b"Accept: " + accept + b"\r\n")
                self.assert_clean(answer, path)

    async def ask_all(self, process: AluviaProcess, port: int) -> None:
        """Requests and tunnels, good and bad, both ways; what comes back is clean."""
        for url in (
            f"http://www.example.com:{port}/",
            f"http://127.0.0.1:{port}/",
            "http://www.example.com:1/",
            "http://127.0.0.1:1/",
            "http://nothing.invalid/",
            "ftp://www.example.com/",
        ):
            self.assert_clean(await self.get(process, url), url)
        for authority in (f"www.example.com:{port}", "www.example.com:1", "127.0.0.1:1"):
            connection, answer = await self.tunnel(process, authority)
            self.assert_clean(answer, authority)
            connection.close()
        self.assert_clean(await self.ask(process, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "/")

    async def test_must_not_happen_9_a_secret_anywhere(self) -> None:
        """Through a start, requests, rotations, refusals and an API that quotes what it knows."""
        origin = self.origin()
        for style in ("text", "json"):
            self.parent.password = ODD_PASSWORD
            self.control.change(proxy_password=ODD_PASSWORD)
            state = self.path(f"state-{style}")
            process = await self.following(
                self.control, "--log-level", "debug", "--log-format", style, "--state-file", state,
                "--poll-interval", "3600",
                gateway=self.parent, environment={"ALUVIA_TOKEN": ODD_TOKEN},
            )  # fmt: skip
            await self.ask_all(process, origin.port)
            # A password that the gateway does not know; then both have the new one.
            self.parent.password = NEW_PASSWORD
            await self.ask_all(process, origin.port)
            self.control.change(proxy_password=NEW_PASSWORD)
            await self.ask_all(process, origin.port)
            # What it is asked with, quoted back.
            quoted = f"no {ODD_TOKEN} for {ODD_NAME}:{NEW_PASSWORD}"
            error = {"code": quoted, "message": quoted, "details": [quoted]}
            for status, body, outcome in (
                (500, {"success": False, "error": error}, "api_error"),
                (404, {"title": quoted, "detail": quoted}, "api_error"),
                (401, {"error": error}, "token_refused"),
                (200, {"proxy_username": quoted, "proxy_password": quoted}, "bad_answer"),
                (200, {**self.control.user, "session_id": [quoted]}, "bad_answer"),
            ):
                self.control.lie = always(
                    status, [(b"ETag", b'"tail51e8"')], json.dumps(body).encode()
                )
                before = await self.polls(process, outcome)
                process.send_signal(signal.SIGHUP)
                await self.came_to(process, outcome, int(before) + 1)
                await self.pages(process)
            self.control.lie = None
            await self.pages(process)
            self.assert_no_canary(process.port_file.read_bytes(), "port file")
            command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            self.assert_no_canary(command, "command line")
            self.assertIn(b"--api-base-url", command)
            kept = json.loads(Path(state).read_bytes())
            self.assertEqual(kept["user"]["proxy_password"], NEW_PASSWORD)
            for spelling in spellings(ODD_TOKEN) | {"tail51e8"}:
                self.assertNotIn(spelling, json.dumps(kept))
            process.send_signal(signal.SIGTERM)
            await process.wait()
            process.assert_quiet()
            self.assert_no_canary(process.output, f"log as {style}")
        for visit in origin.visits:
            for name, value in visit.headers:
                self.assert_no_canary(name + b": " + value, "a request to an origin")

    async def test_failed_start(self) -> None:
        """An API that quotes the token in its error: the line about it does not."""
        error = {"message": f"the token {ODD_TOKEN} of {ODD_NAME} and {ODD_PASSWORD}"}
        for style in ("text", "json"):
            for body in ({"error": {"message": f"no account has {ODD_TOKEN}"}}, {"error": error}):
                self.control.lie = always(500, [], json.dumps(body).encode())
                process = self.follow(
                    self.control, "--log-level", "debug", "--log-format", style,
                    environment={"ALUVIA_TOKEN": ODD_TOKEN},
                )  # fmt: skip
                await self.refuses(process, UNAVAILABLE, "500")
                for spelling in spellings(ODD_TOKEN) | {"tail51e8"}:
                    self.assertNotIn(spelling, process.output)
