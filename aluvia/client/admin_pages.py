"""
The pages of the admin port that say one thing each; :mod:`aluvia.client.admin` lists them.

What is read off the client stands in functions, since :mod:`aluvia.client.overview` shows it too.
"""

from __future__ import annotations

import functools
import typing

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from aluvia import __version__
from aluvia.client.admin_forms import Page, PageAnswer, Written, refusal
from aluvia.client.admin_metrics import measure
from aluvia.client.config import Snapshot
from aluvia.client.explained import explanation_text
from aluvia.client.observed import LiveConnection, Observed
from aluvia.client.pac import CONTENT_TYPE, pac_script
from aluvia.rules import RuleSet, explain
from aluvia.telemetry.exposition import expose
from aluvia.telemetry.logs import escape
from aluvia.telemetry.written import table
from aluvia.wire.target import Authority, InvalidHost


class ClientPage(Page):
    """A page about a client."""

    def __init__(self, observed: Observed, clock: IReactorTime) -> None:
        super().__init__()
        self.observed = observed
        self.clock = clock


class Health(ClientPage):
    """Alive: whoever can answer is."""

    def answer(self, request: Request) -> PageAnswer:
        """Say so."""
        data = health(self.observed, self.clock.seconds())
        return PageAnswer(200, data, lambda: f"{data['status']}\n")


class Readiness(ClientPage):
    """Ready: new requests are taken, and go where they should."""

    def answer(self, request: Request) -> PageAnswer:
        """Say whether, why not, and how old the configuration is."""
        data = readiness(self.observed, self.clock.seconds())
        status = 200 if data["ready"] else 503
        return PageAnswer(status, data, functools.partial(readiness_text, data))


class Metrics(ClientPage):
    """The numbers."""

    def answer(self, request: Request) -> Written:
        """Whatever is counted, as it is now."""
        accept = (request.getHeader(b"accept") or b"").decode("latin-1")
        return Written(*expose(measure(self.observed, self.clock.seconds()), accept))


class Explain(ClientPage):
    """Why a host goes where it goes."""

    def answer(self, request: Request) -> PageAnswer:
        """Ask the rules of the moment."""
        return explained(self.observed.snapshot(), (request.args or {}).get(b"host", []))


class ConnectionsPage(ClientPage):
    """What is under way, the oldest first."""

    def answer(self, request: Request) -> PageAnswer:
        """List it."""
        live = oldest_first(self.observed.live())
        data = {"connections": [attrs.asdict(each, recurse=False) for each in live]}
        return PageAnswer(200, data, lambda: table(_COLUMNS, map(_row, live)))


class Pac(ClientPage):
    """The rules for a browser. A long list takes a while to be written, so that it is kept."""

    def __init__(self, observed: Observed, clock: IReactorTime) -> None:
        super().__init__(observed, clock)
        self._made_for: tuple[RuleSet | None, str] | None = None
        self._script = b""

    def answer(self, request: Request) -> Written:
        """The rules of the moment; without a configuration everything comes to the proxy."""
        snapshot = self.observed.snapshot()
        wanted = (None if snapshot is None else snapshot.rules, self.observed.url)
        if self._made_for != wanted:
            self._script = pac_script(*wanted).encode("ascii")
            self._made_for = wanted
        return Written(self._script, CONTENT_TYPE)


def health(observed: Observed, now: float) -> dict[str, typing.Any]:
    """Draining is healthy too, and so is a token that is refused: what is configured serves."""
    return {
        "status": "token_refused" if observed.token_refused else "ok",
        "uptime": round(max(0.0, now - observed.started_at), 3),
        "version": __version__,
    }


def readiness(observed: Observed, now: float) -> dict[str, typing.Any]:
    """Whether it is ready, why not, and how old the configuration is."""
    snapshot = observed.snapshot()
    reason = None
    if observed.draining:
        reason = "It is draining, and takes no new connections."
    elif snapshot is None:
        reason = "There is no configuration yet."
    data: dict[str, object] = {
        "ready": reason is None,
        "reason": reason,
        "url": observed.url,
        "last_error": observed.last_error,
        "token_refused": observed.token_refused,
        "revision": None,
        "rules": None,
        "age": None,
    }
    if snapshot is not None:
        data["revision"] = snapshot.revision
        data["rules"] = len(snapshot.rules.rules)
    if observed.renewed_at is not None:
        data["age"] = round(max(0.0, now - observed.renewed_at), 3)
    return data


def readiness_text(data: typing.Mapping[str, typing.Any]) -> str:
    """The same for people."""
    lines = ["ready" if data["ready"] else f"not ready: {data['reason']}"]
    lines += [
        f"{name.replace('_', ' ')}: {escape(str(data[name]))}"
        for name in ("url", "revision", "rules", "age", "last_error")
        if data[name] is not None
    ]
    return "\n".join(lines) + "\n"


def explained(snapshot: Snapshot | None, asked: typing.Sequence[bytes]) -> PageAnswer:
    """
    What there is to say of a host.

    :param asked: the hosts that were asked for, of which there should be one.
    """
    if len(asked) != 1:
        return refusal(400, "Ask for one host: /explain?host=www.example.com")
    if snapshot is None:
        return refusal(503, "There is no configuration yet.")
    try:
        explanation = explain(snapshot.rules, asked[0].decode("utf-8"))
    except UnicodeDecodeError:
        return refusal(400, "The host is not UTF-8.")
    except InvalidHost as error:
        return refusal(400, str(error))
    # A gateway shows neither its user name nor its password as text.
    gateway = str(snapshot.gateway) if explanation.way == "gateway" else None
    data = attrs.asdict(explanation) | {"gateway": gateway}
    return PageAnswer(200, data, functools.partial(explanation_text, data))


def oldest_first(live: typing.Iterable[LiveConnection]) -> list[LiveConnection]:
    """In the order in which they are shown."""
    return sorted(live, key=lambda each: each.age, reverse=True)


_COLUMNS: typing.Final = "WAY HOST #UP #DOWN #AGE RULE"


def _row(connection: LiveConnection) -> tuple[str, ...]:
    return (
        connection.way,
        str(Authority(connection.host, connection.port)),
        str(connection.bytes_up),
        str(connection.bytes_down),
        f"{connection.age:.1f}",
        "-" if connection.rule is None else escape(connection.rule),
    )
