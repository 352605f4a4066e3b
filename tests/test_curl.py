"""curl, as people use it, direct and through a gateway."""

from __future__ import annotations

import json
import typing

from aluvia.testing.origin import Visit
from tests.support import Certificates, ProxyCase

BODY = b"x" * 300_000


async def big(visit: Visit) -> None:
    """A body of known length, larger than any buffer on the way."""
    await visit.answer(200, [], BODY)


class CurlCase(ProxyCase):
    """A proxy, a site, and a gateway for ``*.example.com``."""

    async def start(self, *options: str, **more: typing.Any) -> None:
        """Start all three."""
        self.site = self.origin(**more)
        self.site.routes["/big"] = big
        self.parent = self.gateway()
        self.proxy = await self.aluvia(*options, gateway=self.parent)

    async def curl_json(self, *options: str) -> typing.Any:
        """What the site's echo says that curl asked."""
        curled = await self.curl("--proxy", self.proxy.url, *options)
        self.assertEqual(curled.status, 0, curled)
        return json.loads(curled.stdout)


class PlainTests(CurlCase):
    """http:// URLs."""

    async def test_direct(self) -> None:
        """A request goes out in origin-form, with curl's own fields and nothing added."""
        await self.start()
        seen = await self.curl_json(f"http://127.0.0.1:{self.site.port}/path?query=1")
        self.assertEqual((seen["method"], seen["target"]), ("GET", "/path?query=1"))
        fields = {name.lower(): value for name, value in seen["headers"]}
        self.assertEqual(fields.pop("host"), f"127.0.0.1:{self.site.port}")
        self.assertTrue(fields.pop("user-agent").startswith("curl/"))
        self.assertEqual(fields, {"accept": "*/*"})
        self.assertEqual(len(self.parent.asked), 0)

    async def test_localhost_names(self) -> None:
        """Any name below localhost is loopback, without DNS (RFC 6761 section 6.3)."""
        await self.start()
        seen = await self.curl_json(f"http://any.thing.localhost:{self.site.port}/")
        fields = dict(seen["headers"])
        self.assertEqual(fields["Host"], f"any.thing.localhost:{self.site.port}")

    async def test_gateway(self) -> None:
        """A name that the rules include goes to the gateway in absolute-form, with credentials."""
        await self.start()
        seen = await self.curl_json(f"http://www.example.com:{self.site.port}/path")
        self.assertEqual(seen["target"], "/path")
        asked = self.parent.asked[0]
        self.assertEqual(asked.method, b"GET")
        self.assertEqual(asked.target, b"http://www.example.com:%d/path" % self.site.port)
        self.assertTrue(asked.authorized)
        self.assertIsNone(asked.header(b"x-aluvia-request-id"))
        self.assertIsNone(asked.header(b"via"))

    async def test_upload_and_download(self) -> None:
        """Bodies of known length pass both ways, with and without Expect: 100-continue."""
        await self.start()
        for host in ("127.0.0.1", "www.example.com"):
            url = f"http://{host}:{self.site.port}"
            curled = await self.curl("--proxy", self.proxy.url, f"{url}/big")
            self.assertEqual(len(curled.stdout), len(BODY), curled.stderr)
            for expect in ("Expect:", "Expect: 100-continue"):
                seen = await self.curl_json(
                    "--header", expect, "--data-binary", "y" * 100_000, f"{url}/"
                )
                self.assertEqual(seen["body"], "y" * 100_000)

    async def test_http_1_0(self) -> None:
        """``curl -0`` is answered in what 1.0 can read, also where the site answers chunked."""
        await self.start()

        async def chunked(visit: Visit) -> None:
            await visit.answer(200, [(b"Transfer-Encoding", b"chunked")], b"in chunks")

        self.site.routes["/chunked"] = chunked
        for host in ("127.0.0.1", "www.example.com"):
            curled = await self.curl(
                *("--http1.0", "--include", "--proxy", self.proxy.url),
                f"http://{host}:{self.site.port}/chunked",
            )
            self.assertEqual(curled.status, 0, curled)
            head, _, body = curled.stdout.partition("\r\n\r\n")
            self.assertEqual(body, "in chunks")
            self.assertNotIn("transfer-encoding", head.lower())

    async def test_ipv6(self) -> None:
        """An IPv6 literal is reached in plain http and through CONNECT."""
        await self.start(address="::1")
        for way in ((), ("--proxytunnel",)):
            seen = await self.curl_json(*way, f"http://[::1]:{self.site.port}/")
            self.assertEqual(dict(seen["headers"])["Host"], f"[::1]:{self.site.port}")

    async def test_many_requests_on_one_connection(self) -> None:
        """Two hosts and both ways in turn, over one connection to the proxy."""
        await self.start()
        urls = [
            f"http://{host}:{self.site.port}/{number}"
            for number in range(4)
            for host in ("127.0.0.1", "www.example.com", "one.localhost")
        ]
        curled = await self.curl(
            *("--proxy", self.proxy.url, "--write-out", "%{num_connects}\n", *urls)
        )
        self.assertEqual(curled.status, 0, curled)
        lines = curled.stdout.splitlines()
        self.assertEqual([int(line) for line in lines[1::2]], [1] + [0] * 11)
        seen = [json.loads(line) for line in lines[::2]]
        self.assertEqual([one["target"] for one in seen], [f"/{n // 3}" for n in range(12)])
        self.assertEqual(len(self.parent.asked), 4)
        self.assertEqual(self.parent.peer.accepted, 1)

    async def test_no_credentials_to_an_origin(self) -> None:
        """Credentials that a client gives a proxy which wants none stop there."""
        await self.start()
        for host in ("127.0.0.1", "www.example.com"):
            seen = await self.curl_json(
                "--proxy-user", "me:mine", f"http://{host}:{self.site.port}/"
            )
            names = {name.lower() for name, _ in seen["headers"]}
            self.assertFalse(
                names & {"proxy-authorization", "proxy-connection", "via", "forwarded"}
            )
            self.assertFalse({name for name in names if name.startswith(("x-", "proxy"))})


class TunnelTests(CurlCase):
    """CONNECT."""

    async def test_https(self) -> None:
        """TLS passes through untouched, direct and through the gateway: the site's certificate."""
        certificates = Certificates()
        names = ("localhost", "www.example.com")
        await self.start(context=certificates.server(*names))
        for name in names:
            seen = await self.curl_json(
                *("--cacert", certificates.file(), f"https://{name}:{self.site.port}/secret")
            )
            self.assertEqual(seen["target"], "/secret")
        asked = self.parent.asked[0]
        self.assertEqual(
            (asked.method, asked.target), (b"CONNECT", b"www.example.com:%d" % self.site.port)
        )
        self.assertTrue(asked.header(b"x-aluvia-request-id"))
        self.assertIsNone(asked.header(b"user-agent"))
        self.assertEqual(len(self.parent.asked), 1)

    async def test_certificate_of_another_name(self) -> None:
        """The proxy takes no part in TLS: curl is who refuses a wrong certificate."""
        certificates = Certificates()
        await self.start(context=certificates.server("other.localhost"))
        curled = await self.curl(
            *("--proxy", self.proxy.url, "--cacert", certificates.file()),
            f"https://localhost:{self.site.port}/",
        )
        self.assertEqual(curled.status, 60, curled)

    async def test_proxytunnel(self) -> None:
        """``--proxytunnel`` carries plain http through CONNECT."""
        await self.start()
        for host in ("127.0.0.1", "www.example.com"):
            seen = await self.curl_json("--proxytunnel", f"http://{host}:{self.site.port}/a")
            self.assertEqual(seen["target"], "/a")
            curled = await self.curl(
                *("--proxy", self.proxy.url, "--proxytunnel"),
                f"http://{host}:{self.site.port}/big",
            )
            self.assertEqual(len(curled.stdout), len(BODY), curled.stderr)
        self.assertEqual([asked.method for asked in self.parent.asked], [b"CONNECT"] * 2)

    async def test_tunnel_from_http_1_0(self) -> None:
        """A CONNECT in HTTP/1.0 opens a tunnel too."""
        await self.start()
        seen = await self.curl_json(
            "--proxy1.0", f"127.0.0.1:{self.proxy.port}", "--proxytunnel",
            f"http://127.0.0.1:{self.site.port}/a",
        )  # fmt: skip
        self.assertEqual(seen["target"], "/a")

    async def test_gateway_connection_carries_one_connect(self) -> None:
        """A gateway connection that carried a CONNECT is never used again."""
        await self.start()
        for _ in range(3):
            await self.curl_json("--proxytunnel", f"http://www.example.com:{self.site.port}/")
        self.assertEqual([asked.connection for asked in self.parent.asked], [0, 1, 2])
