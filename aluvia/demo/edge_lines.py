"""The lines that the edge's demo prints. Each one can be typed as it stands, in their order."""

from __future__ import annotations

import shlex
import typing

import attrs

from aluvia.demo.edge_files import API_HOST, APP_HOST, ONE, PASSWORD, TWO, USER, EdgeFiles
from aluvia.wire.target import Authority

__all__ = ["Way", "edge_lines"]


@attrs.frozen(kw_only=True)
class Way:
    """
    One of the places that the edge listens at, and how curl comes there.

    :ivar options: for curl.
    """

    scheme: str
    address: str
    port: int
    options: tuple[str, ...] = ()

    def curl(self, host: str, *options: str, times: int = 1) -> str:
        """Ask a host for ``/``, so many times."""
        url = f"{self.scheme}://{host}:{self.port}/"
        return shlex.join(["curl", *self._to(host), *self.options, *options, *[url] * times])

    def _to(self, host: str) -> tuple[str, ...]:
        # That *.localhost is loopback, curl knows by itself; but in the family that is not ours,
        # somebody else may listen at this port.
        if self.address in ("127.0.0.1", "0.0.0.0"):
            return ("-4",)
        if self.address in ("::1", "::"):
            return ("-6",)
        return "--resolve", f"{host}:{self.port}:{Authority(self.address)}"


def edge_lines(ways: typing.Sequence[Way], api_url: str, files: EdgeFiles) -> list[str]:
    """
    What to type, and what it is for.

    :param ways: in the clear before TLS; at least one of them.
    :param api_url: without a path.
    """
    first, *others = ways
    base = f"{api_url}/api/v1"
    bearer = ("-H", f"Authorization: Bearer {files.token}")
    state = f"{base}/routes/{APP_HOST}/backends/{ONE}"
    dead = shlex.join(["curl", "-sSf", "-X", "POST", *bearer, f"{state}/dead"])
    lines = [
        f"Two backends answer for {APP_HOST}, in turns:",
        first.curl(APP_HOST, times=2),
    ]
    for way in others:
        lines += [
            f"The same by {way.scheme}, with a certificate that was made for it just now:",
            way.curl(APP_HOST),
        ]
    return [
        *lines,
        f"Backend {TWO} answers for {API_HOST} as well, to whoever has the password:",
        first.curl(API_HOST, "-u", f"{USER}:{PASSWORD}"),
        f"This marks backend {ONE} dead, while everything runs; .../ready brings it back:",
        f"{dead} > /dev/null && {first.curl(APP_HOST, times=2)}",
        "This is what has been counted:",
        shlex.join(["curl", *bearer, f"{base}/stats"]),
        f"What it is configured with is in {files.routes}",
        f"What else can be changed while it runs is at {base}/docs",
    ]
