"""
The edge's API: all its paths, who may ask, and the site that they are at.

Whoever asks shows the one token, but for what is public: whether the process is alive and ready,
and the page that describes the API. That is looked at before anything else is, and before a body is
taken, so that a path that is added later is not forgotten.

Importing this installs a reactor, since Klein does.
"""

from __future__ import annotations

import hashlib
import hmac
import typing

from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import Request

from aluvia.api.bearer import bearer_token, token_refused
from aluvia.api.refusals import answer_errors
from aluvia.api.rest import rest_site
from aluvia.api.site import BoundedSite, Bounds
from aluvia.edge.answering import Answering
from aluvia.edge.bounds import CONFIG_BYTES, SENT_BYTES
from aluvia.edge.configuration import Configuration
from aluvia.edge.events import EventBus
from aluvia.edge.model import Backend
from aluvia.edge.observed import Observed
from aluvia.edge.rest_backends import Backends, admin_paths
from aluvia.edge.rest_certificates import Certificates
from aluvia.edge.rest_collection import Collection, paths
from aluvia.edge.rest_config import WholeConfiguration
from aluvia.edge.rest_documents import Documents
from aluvia.edge.rest_events import EventStream
from aluvia.edge.rest_other import OtherResources
from aluvia.edge.rest_paths import BASE, Answer, Path
from aluvia.edge.rest_providers import Providers
from aluvia.edge.rest_routes import Routes
from aluvia.edge.rest_tunnels import TunnelResources
from aluvia.edge.tunnel_page import SIGN_IN, SIGN_IN_BYTES, TunnelPage

__all__ = ["BOUNDS", "EdgeAPI"]

BOUNDS = Bounds(
    connections=512,
    head_bytes=16_384,
    # Of whoever shows the token.
    body_bytes=SENT_BYTES,
    longer_bodies={f"{BASE}/config".encode("ascii"): CONFIG_BYTES},
    request_seconds=30.0,
    idle_seconds=30.0,
    bodies_of_anybody={SIGN_IN: SIGN_IN_BYTES},
)


class EdgeAPI:
    """
    The API.

    :param configuration: started.
    :param token: whoever shows it may do everything.
    :ivar listeners: who listens to events.
    :ivar paths: all there are.
    """

    def __init__(
        self,
        configuration: Configuration,
        documents: Documents,
        observed: Observed,
        bus: EventBus,
        token: str,
        clock: IReactorTime,
    ) -> None:
        self.listeners = EventStream(bus, clock)
        self._clock = clock
        # Digests are of one length: what is compared says nothing of how long the token is.
        self._token = _digest(token)
        answering = Answering(configuration, clock)
        routes = Collection(Routes(documents, observed), answering)
        certificates = Collection(Certificates(documents, observed), answering)
        providers = Collection(Providers(documents), answering)

        def backends(v_host: str) -> Collection[Backend]:
            return Collection(Backends(documents, observed, v_host), answering)

        within = f"{BASE}/routes/<vHost>/backends"
        self.paths: tuple[Path, ...] = (
            *paths(f"{BASE}/routes", "vHost", lambda: routes),
            *paths(within, "id", backends),
            *admin_paths(f"{within}/<id>", backends),
            *paths(f"{BASE}/certificates", "domain", lambda: certificates, patch=False),
            *paths(f"{BASE}/auth-providers", "id", lambda: providers),
            *WholeConfiguration(documents, answering).paths(),
            *self.listeners.paths(),
            *TunnelResources(observed.tunnels, clock).paths(),
            *TunnelPage(observed.tunnels, self.is_token, clock).paths(),
            *OtherResources(configuration, observed).paths(),
        )
        self._public = frozenset(path.rule.encode("ascii") for path in self.paths if path.public)

    def site(self) -> BoundedSite:
        """The factory for its listener."""
        app = Klein()
        answer_errors(app)
        for path in self.paths:
            endpoint = f"{path.method} {path.rule}"
            app.route(path.rule, methods=[path.method], endpoint=endpoint)(_named(path))
        return rest_site(app.resource(), self._clock, BOUNDS, encoded=True, admit=self._admit)

    def end(self) -> None:
        """Let everybody go who listens."""
        self.listeners.end()

    def is_token(self, given: str) -> bool:
        """Whether it is the one; in a time that tells nothing of it."""
        return hmac.compare_digest(_digest(given), self._token)

    def _admit(self, request: Request) -> None:
        # The path of one whose body is to be taken is not known yet; and of what is public only the
        # form of the page of tunnels has one (BOUNDS).
        if request.path not in self._public and not self.is_token(bearer_token(request)):
            raise token_refused()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _named(path: Path) -> typing.Callable[..., typing.Any]:
    """A function, with a name and attributes of its own, as Klein wants it."""

    def answer(request: Request, **variables: str) -> Answer:
        return path(request, **variables)

    return answer
