"""A hook as it should be: over loopback, by twisted.web."""

from __future__ import annotations

import typing

from twisted.web.server import Request

from aluvia.edge.hook_answers import BODY_BYTES
from aluvia.edge.test.auth_case import UPGRADE, asked, sent_on, value_of
from aluvia.edge.test.hook_case import HookCase
from aluvia.edge.verdicts import Admitted

Answer = typing.Callable[[Request], bytes]

#: What a client might say to pass for somebody else, or from elsewhere.
FORGED = [
    (b"CDN-Loop", b"edge-one"),
    (b"X-Forwarded-For", b"10.0.0.1"),
    (b"X-Forwarded-Method", b"GET"),
    (b"X-Forwarded-Uri", b"/public"),
    (b"X-Forwarded-Host", b"public.example"),
    (b"X_Forwarded_Proto", b"ftp"),
    (b"X-Real-IP", b"10.0.0.1"),
    (b"Forwarded", b"for=10.0.0.1"),
]


class GoodTests(HookCase):
    """What is asked, and what its answers mean."""

    async def test_lets_through(self) -> None:
        """2xx lets through, with the fields that are to be copied and no others."""
        hook = self.hook()

        def answer(request: Request) -> bytes:
            request.setResponseCode(int(request.getHeader("X-Status") or "200"))
            request.setHeader("X-User", "alice")
            request.responseHeaders.addRawHeader("X-Role", "a")
            request.responseHeaders.addRawHeader("X-Role", "b")
            request.setHeader("X-Other", "c")
            return b"" if request.code == 204 else b"body"

        hook.answer = answer
        authenticator = self.asking(hook, copy_headers=("x-user", "X-ROLE", "X-Missing"))
        for status in (b"200", b"204", b"299"):
            verdict = await self.begin(authenticator, asked((b"X-Status", status)))
            assert isinstance(verdict, Admitted), verdict
            fields = [(name.lower(), value) for name, value in verdict.fields]
            self.assertEqual(
                sorted(fields), [(b"x-role", b"a"), (b"x-role", b"b"), (b"x-user", b"alice")]
            )

    async def test_client_sent_copies_are_deleted(self) -> None:
        """A client's field of a copied name goes nowhere, also if the hook does not send it."""
        authenticator = self.asking(self.hook(), copy_headers=("X-User", "Cookie"))
        request = asked((b"x-user", b"root"), (b"X_User", b"root"), (b"Cookie", b"a"))
        verdict = await self.begin(authenticator, request)
        assert isinstance(verdict, Admitted)
        self.assertEqual(sent_on(request, authenticator), [])
        self.assertEqual([*verdict.fields], [])

    async def test_asked(self) -> None:
        """It is asked with GET about method, target, host, scheme and client."""
        hook = self.hook()
        request = asked(method=b"DELETE", target=b"/a%2Fb?c=%20")
        await self.begin(self.asking(hook), request)
        method, target, fields = hook.asked[0]
        self.assertEqual((method, target), (b"GET", b"/auth?key=canary"))
        self.assertEqual(
            fields,
            {
                b"host": [hook.authority.encode()],
                b"x-forwarded-method": [b"DELETE"],
                b"x-forwarded-uri": [b"/a%2Fb?c=%20"],
                b"x-forwarded-host": [b"app.example:8443"],
                b"x-forwarded-proto": [b"https"],
                b"x-forwarded-for": [b"192.0.2.1"],
            },
        )

    async def test_host(self) -> None:
        """The host is the one that was found, with the client's port if that was for it."""
        hook = self.hook()
        authenticator = self.asking(hook)
        for host, told in (
            (b"app.example", b"app.example"),
            (b"APP.example.:80", b"app.example:80"),
            (b"other.example:80", b"app.example"),
        ):
            await self.begin(authenticator, asked(host=host))
            self.assertEqual(hook.asked[-1][2][b"x-forwarded-host"], [told])

    async def test_forged(self) -> None:
        """Nothing that a client says of itself by our names reaches the hook."""
        hook = self.hook()
        named = tuple(name.decode() for name, _ in FORGED)
        for request_headers in ((), named):
            authenticator = self.asking(hook, request_headers=request_headers)
            await self.begin(authenticator, asked())
            await self.begin(authenticator, asked(*FORGED))
            self.assertEqual(hook.asked[-1], hook.asked[-2])

    async def test_all_fields(self) -> None:
        """It is shown all end-to-end fields but those of the body and of what is asked for."""
        hook = self.hook()
        await self.begin(
            self.asking(hook),
            asked(
                (b"Authorization", b"Bearer t"),
                (b"Cookie", b"a=b"),
                (b"Cookie", b"c=d"),
                (b"X-Own", "ä".encode()),
                (b"Accept-Encoding", b"gzip"),
                (b"Connection", b"X-Hop"),
                (b"X-Hop", b"1"),
                (b"Content-Type", b"text/plain"),
                (b"Content-Encoding", b"gzip"),
                (b"Content-Length", b"10"),
                (b"Expect", b"100-continue"),
                (b"Proxy-Authorization", b"Basic x"),
                (b"If-None-Match", b"*"),
                (b"Range", b"bytes=0-0"),
                (b"TE", b"trailers"),
                method=b"POST",
            ),
        )
        shown = hook.asked[0][2]
        self.assertEqual(shown[b"cookie"], [b"a=b", b"c=d"])
        self.assertEqual(shown[b"x-own"], ["ä".encode()])
        self.assertEqual(
            {name for name in shown if not name.startswith(b"x-forwarded")},
            {b"host", b"authorization", b"cookie", b"x-own", b"accept-encoding"},
        )

    async def test_named_fields(self) -> None:
        """Of the client's fields it is shown those that are named, if some are."""
        hook = self.hook()
        authenticator = self.asking(
            hook, request_headers=("cookie", "Content-Type", "Host", "Upgrade")
        )
        request = asked(
            *((b"Cookie", b"a"), (b"X-Own", b"b"), (b"Content-Type", b"text/plain")), *UPGRADE
        )
        await self.begin(authenticator, request)
        shown = hook.asked[0][2]
        self.assertEqual(
            {name for name in shown if not name.startswith(b"x-forwarded")},
            {b"host", b"cookie", b"content-type"},
        )
        self.assertEqual(shown[b"host"], [hook.authority.encode()])

    async def test_upgrades(self) -> None:
        """About a WebSocket it is asked like about any other request, and with a plain GET."""
        hook = self.hook()
        hook.answer = _status(403)
        verdict = await self.denied(self.asking(hook), asked(*UPGRADE))
        self.assertEqual(verdict.status, 403)
        self.assertNotIn(b"upgrade", hook.asked[0][2])
        self.assertNotIn(b"connection", hook.asked[0][2])

    async def test_denied(self) -> None:
        """Anything else is handed on as it is: status, reason, fields, and body."""
        hook = self.hook()

        def answer(request: Request) -> bytes:
            request.setResponseCode(401, b"Who are you")
            request.setHeader("WWW-Authenticate", 'Negotiate, Bearer realm="r"')
            request.setHeader("Content-Type", "text/html")
            request.setHeader("Content-Encoding", "gzip")
            request.addCookie("a", "b")
            request.addCookie("c", "d")
            request.setHeader("Proxy-Authenticate", "Basic")
            request.setHeader("Keep-Alive", "1")
            return b"\x1f\x8bno"

        hook.answer = answer
        verdict = await self.denied(self.asking(hook))
        self.assertEqual((verdict.status, verdict.reason), (401, b"Who are you"))
        self.assertEqual((verdict.body, verdict.detail), (b"\x1f\x8bno", ""))
        self.assertEqual(verdict.cause, "http_request_denied")
        names = sorted(name.lower() for name, _ in verdict.fields)
        for name in (b"content-length", b"transfer-encoding", b"proxy-authenticate", b"keep-alive"):
            self.assertNotIn(name, names)
        self.assertEqual(names.count(b"set-cookie"), 2)
        self.assertEqual(value_of(verdict.fields, b"content-encoding"), b"gzip")
        self.assertEqual(
            value_of(verdict.fields, b"www-authenticate"), b'Negotiate, Bearer realm="r"'
        )

    async def test_redirects_are_not_followed(self) -> None:
        """A redirect is for the client."""
        hook = self.hook()

        def answer(request: Request) -> bytes:
            request.redirect(b"/elsewhere")
            return b""

        hook.answer = answer
        verdict = await self.denied(self.asking(hook))
        self.assertEqual(verdict.status, 302)
        self.assertEqual(value_of(verdict.fields, b"location"), b"/elsewhere")
        self.assertEqual(len(hook.asked), 1)

    async def test_statuses(self) -> None:
        """Of the others each denies, also those that the registry does not know."""
        hook = self.hook()
        authenticator = self.asking(hook)
        for status in (300, 304, 400, 403, 404, 407, 429, 500, 503, 599, 999):
            hook.answer = _status(status)
            self.assertEqual((await self.denied(authenticator)).status, status)

    async def test_connections_are_kept(self) -> None:
        """Many questions are one connection, whatever the answers are."""
        hook = self.hook()
        authenticator = self.asking(hook)
        for status in (200, 401, 204, 302, 200):
            hook.answer = _status(status)
            await self.begin(authenticator)
        self.assertEqual(hook.connections, 1)

    async def test_longest_body(self) -> None:
        """A body may have 64 KiB, of either answer."""
        hook = self.hook()
        authenticator = self.asking(hook)
        hook.answer = lambda request: b"a" * BODY_BYTES
        self.assertIsInstance(await self.begin(authenticator), Admitted)
        hook.answer = _status(403, b"a" * BODY_BYTES)
        self.assertEqual(len((await self.denied(authenticator)).body), BODY_BYTES)
        for answer in (_status(200, b"a" * (BODY_BYTES + 1)), _status(403, b"a" * 10 * BODY_BYTES)):
            hook.answer = answer
            verdict = await self.denied(authenticator)
            self.assertEqual((verdict.status, verdict.cause), (503, "http_response_body_size"))
            self.assertEqual(verdict.body, b"")

    async def test_bad_configuration(self) -> None:
        """A URL that cannot be asked is told, and not quoted."""
        hook = self.hook()
        place = hook.authority
        for authority in (
            "user:canary@h",
            "",
            "h:0",
            "h:99999",
            "h/canary x",
            "h/canary\r\n",
            "ä",
            "h h",
            "h#",
            "[::1",
            "canary:a:b",
        ):
            hook.authority = authority
            if authority == "h#":
                self.asking(hook)
                continue
            with self.assertRaises(ValueError) as caught:
                self.asking(hook)
            self.assertNotIn("canary", str(caught.exception))
        hook.authority = place
        for scheme in ("ftp", "ws", "file"):
            self.assertRaises(ValueError, self.asking, hook, scheme)
        self.assertRaises(ValueError, self.asking, hook, copy_headers=("Content-Length",))
        self.asking(hook, "HTTPS")


def _status(status: int, body: bytes = b"") -> Answer:
    def answer(request: Request) -> bytes:
        request.setResponseCode(status)
        return body

    return answer
