"""A control plane in a process of its own: ``plane.py PORT TOKEN USERNAME PASSWORD RULE...``."""

from __future__ import annotations

import sys
import typing

from twisted.internet import reactor as global_reactor

from aluvia.testing.control_plane import FakeControlPlane

reactor: typing.Any = global_reactor

if __name__ == "__main__":
    port, token, username, password, *rules = sys.argv[1:]
    plane = FakeControlPlane(
        reactor, token, username=username, password=password, rules=rules, port=int(port)
    )
    print(plane.base_url, flush=True)
    reactor.run()
