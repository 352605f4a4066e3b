"""The site of ``edge_server.mjs`` behind an edge."""

from __future__ import annotations

import hashlib
import json
import typing

import attrs

from tests.peers.edge import EdgeCase
from tests.peers.support import HERE, free_port, missing, need_program
from tests.support import Curled


@attrs.frozen
class Seen:
    """
    What ``/seen`` says that it was asked.

    :ivar fields: by name, as the name came.
    """

    method: str
    url: str
    version: str
    fields: typing.Mapping[str, str]


def seen(curled: Curled) -> Seen:
    """Read it; no field came twice."""
    assert curled.status == 0, curled
    said = json.loads(curled.stdout)
    names, values = said["headers"][::2], said["headers"][1::2]
    assert len({name.lower() for name in names}) == len(names), names
    fields = dict(zip(names, values, strict=True))
    return Seen(said["method"], said["url"], said["version"], fields)


def chunked_text() -> bytes:
    """What ``/chunked`` says."""
    return b"".join(b"%d " % number * (number % 50 + 1) for number in range(1000))


class NodeCase(EdgeCase):
    """Has Node, and ``ws``."""

    async def start_node(self) -> int:
        """Start the site; its port."""
        self.node = need_program("node", "nodejs")
        for package in ("undici", "ws"):
            if not (HERE / "node_modules" / package).is_dir():
                missing(package, f"npm install --prefix {HERE}")
        port = free_port()
        await self.daemon(port, self.node, str(HERE / "edge_server.mjs"), str(port))
        return port

    async def ask_by_node(self, *bases: str) -> None:
        """Have Node, undici and ``ws`` ask the site at these URLs; all is as it should be."""
        ran = await self.run_command(
            *(self.node, "--no-warnings", str(HERE / "edge_client.mjs"), *bases),
            AUTHORITY=self.certificates.authority.cert_pem.bytes().decode(),
        )
        self.assertEqual(ran.status, 0, ran)
        said = json.loads(ran.stdout)
        for base in bases:
            self._assert_streamed(said[base])
            self._assert_spoken(said[base]["spoken"])

    def _assert_streamed(self, said: typing.Any) -> None:
        text = chunked_text()
        self.assertEqual(
            said["chunked"],
            {"text": text.decode(), "trailers": {"x-sum": hashlib.sha256(text).hexdigest()}},
        )
        self.assertEqual(
            said["echoed"],
            {"text": "some body " + "x" * 100_000, "trailers": {"x-echo": "sum of it"}},
        )
        self.assertTrue(said["duplex"])
        self.assertEqual(said["many"], [f"/seen?{number}" for number in range(40)])
        # Each was heard before the next was said.
        self.assertEqual(said["events"], [str(number) for number in range(1, 11)])

    def _assert_spoken(self, said: typing.Any) -> None:
        self.assertEqual(said["protocol"], "two")
        self.assertIn("permessage-deflate", said["extensions"])
        self.assertEqual(said["sizes"], [0, 1, 125, 126, 65535, 65536, 5000000])
        self.assertEqual(said["pong"], "are you there")
        self.assertEqual((said["code"], said["reason"]), (4321, "as you wish"))
        self.assertEqual(said["cut"], 1006)
        self.assertIn("401", said["refused"])
