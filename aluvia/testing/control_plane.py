"""
A control plane with one user, for tests: what the client polls, on loopback.

::

    plane = FakeControlPlane(reactor, token="t")
    client = AluviaClient(token="t", api_base_url=plane.base_url, ...)
    ...
    plane.change(rules=["*.example.com"])              # the next poll brings it

It answers ``GET`` and ``PATCH`` of ``/v1/user`` and ``/v1/account/connections/ID`` with an ETag,
and 304 to whoever has the last one. For an answer that a good control plane does not give, put a
coroutine function in :attr:`FakeControlPlane.lie`: it answers in place of all that, until it is
``None`` again::

    plane.lie = always(503, [(b"Retry-After", b"30")])

For none at all there are :meth:`FakeControlPlane.go_down` and :meth:`FakeControlPlane.come_back`.
"""

from __future__ import annotations

import collections
import json
import ssl
import typing
import urllib.parse

from twisted.internet.defer import Deferred

from aluvia.testing.faults import Accepting
from aluvia.testing.http import Headers
from aluvia.testing.origin import FakeOrigin, Route, Visit
from aluvia.testing.reactors import DescriptorReactor

#: The longest that a monitor's question is held; seconds.
LONGEST_WAIT = 30.0

_OK = 200
_NOT_MODIFIED = 304


def always(status: int, headers: Headers | None = None, body: bytes = b"") -> Route:
    """Make what answers every request with the same, for :attr:`FakeControlPlane.lie`."""

    async def answer(visit: Visit) -> None:
        await visit.answer(status, headers or [], body)

    return answer


class FakeControlPlane:
    """
    One user, by one token.

    :ivar token: may be changed while it runs.
    :ivar user: its fields; change them with :meth:`change`.
    :ivar revision: counts the changes, and is in the ETag.
    :ivar enveloped: whether answers are ``{"success": true, "data": {...}}``.
    :ivar monitored: whether answers name a monitor, which can be long-polled.
    :ivar lie: answers every request, if it is there.
    :ivar asked: the latest 1024 requests.
    :ivar peer: the listening side, with its counts.
    :ivar port: where it listens.
    :ivar base_url: what a client is given.
    """

    def __init__(
        self,
        reactor: DescriptorReactor,
        token: str = "token",
        *,
        username: str = "user",
        password: str = "pass",
        rules: typing.Sequence[str] = (),
        context: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        """
        :param context: for https, with its certificate loaded.
        :param port: 0 for any free one.
        """
        self.token = token
        self.user: dict[str, object] = {
            "proxy_username": username,
            "proxy_password": password,
            "rules": list(rules),
            "session_id": None,
            "target_geo": None,
        }
        self.revision = 1
        self.enveloped = True
        self.monitored = False
        self.lie: Route | None = None
        self.asked: collections.deque[Visit] = collections.deque(maxlen=1024)
        self._reactor = reactor
        self._waiting: set[Deferred[None]] = set()
        self._origin = FakeOrigin(reactor, context=context, fallback=self._answer, port=port)
        self.peer = self._origin.peer
        self.port = self._origin.port
        scheme = "http" if context is None else "https"
        self.base_url = f"{scheme}://127.0.0.1:{self.port}/v1"

    @property
    def etag(self) -> str:
        """Of what is there now."""
        return f'"{self.revision}"'

    def change(self, **fields: object) -> None:
        """Change fields of the user; who watches is told."""
        self.user |= fields
        self.revision += 1
        waiting, self._waiting = self._waiting, set()
        for each in waiting:
            if not each.called:
                each.callback(None)

    def go_down(self) -> None:
        """Refuse connections, and end those that are open; the port stays ours."""
        self.peer.set_accepting(Accepting.REFUSE)
        for connection in tuple(self.peer.open):
            connection.close(close_notify=False)

    def come_back(self) -> None:
        """Answer again, at the same port."""
        self.peer.set_accepting(Accepting.ACCEPT)

    async def stop(self) -> None:
        """Close everything."""
        self.monitored = False
        self.change()
        await self._origin.stop()

    async def _answer(self, visit: Visit) -> None:
        self.asked.append(visit)
        if self.lie is not None:
            await self.lie(visit)
        elif visit.header(b"authorization") != f"Bearer {self.token}".encode():
            await self._refuse(visit, 401, "invalid_token", "The token is not valid.")
        elif visit.path.endswith("/monitor"):
            await self._hold(visit)
            await self.give(visit)
        elif visit.path != "/v1/user" and not visit.path.startswith("/v1/account/connections/"):
            await self._refuse(visit, 404, "not_found", "There is nothing here.")
        elif visit.method == b"PATCH":
            fields = json.loads(await visit.body())
            self.change(**fields)
            await self.give(visit)
        else:
            await self.give(visit)

    async def give(self, visit: Visit, status: int = _OK) -> None:
        """Answer with the user as it is now."""
        headers: Headers = [(b"ETag", self.etag.encode())]
        if self.monitored:
            headers.append((b"Link", b'</v1/monitor>; rel="monitor"'))
        if visit.method == b"GET" and visit.header(b"if-none-match") == self.etag.encode():
            await visit.answer(_NOT_MODIFIED, headers)
            return
        body: dict[str, object] = dict(self.user)
        if self.enveloped:
            body = {"success": True, "data": body}
        headers.append((b"Content-Type", b"application/json"))
        await visit.answer(status, headers, json.dumps(body).encode())

    async def _refuse(self, visit: Visit, status: int, code: str, message: str) -> None:
        body = {"success": False, "error": {"code": code, "message": message, "details": None}}
        headers = [(b"Content-Type", b"application/json")]
        await visit.answer(status, headers, json.dumps(body).encode())

    async def _hold(self, visit: Visit) -> None:
        """Until something changes, or for as long as was asked."""
        query = urllib.parse.parse_qs(visit.target.decode("ascii").partition("?")[2])
        wait = min(float(query.get("wait", ["0"])[0]), LONGEST_WAIT)
        if not self.monitored or visit.header(b"if-none-match") != self.etag.encode():
            return
        changed: Deferred[None] = Deferred()
        self._waiting.add(changed)
        timer = self._reactor.callLater(wait, changed.callback, None)
        try:
            await changed
        finally:
            if timer.active():
                timer.cancel()
            self._waiting.discard(changed)
