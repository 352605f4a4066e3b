"""The site of ``edge_server.mjs`` behind an edge."""

from __future__ import annotations

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
