"""
The pages of the admin port: is it alive, is it ready, what does it count, why does a host go where
it goes, and what is under way. They read, and change nothing.

============================  ======================================================================
``/healthz``                  200 while the process answers
``/readyz``                   200 with a configuration and not draining, otherwise 503
``/metrics``                  Prometheus text, or OpenMetrics for whoever asks for it
``/explain?host=``            which way a host goes, by which rule, and which rules lost
``/connections``              tunnels and requests that are under way
============================  ======================================================================

All but ``/metrics`` are plain text, or JSON by ``Accept``. Who may ask is
:mod:`aluvia.client.admin_site`'s.
"""

from __future__ import annotations

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from aluvia import __version__
from aluvia.client.admin_site import Answer, LocalSite, Page, Pages, refusal
from aluvia.client.explained import explanation_text
from aluvia.client.observed import LiveConnection, Observed, measure
from aluvia.rules import explain
from aluvia.telemetry.exposition import expose
from aluvia.telemetry.logs import escape
from aluvia.wire.target import Authority, InvalidHost

#: The admin port is for this machine alone.
ADMIN_ADDRESS = "127.0.0.1"


def admin_site(observed: Observed, clock: IReactorTime) -> LocalSite:
    """
    The factory for the admin port's listener.

    :param observed: the client that is shown.
    :param clock: what its times are measured by: the reactor.
    """
    pages = {
        "healthz": Health(observed, clock),
        "readyz": Readiness(observed, clock),
        "metrics": Metrics(observed, clock),
        "explain": Explain(observed, clock),
        "connections": Connections(observed, clock),
    }
    return LocalSite(Pages(pages), clock)


class ClientPage(Page):
    """A page about a client."""

    def __init__(self, observed: Observed, clock: IReactorTime) -> None:
        super().__init__()
        self.observed = observed
        self.clock = clock


class Health(ClientPage):
    """Alive: whoever can answer is."""

    def answer(self, request: Request) -> Answer:
        """Draining is healthy too."""
        uptime = max(0.0, self.clock.seconds() - self.observed.started_at)
        data = {"status": "ok", "uptime": round(uptime, 3), "version": __version__}
        return Answer(200, data, "ok\n")


class Readiness(ClientPage):
    """Ready: new requests are taken, and go where they should."""

    def answer(self, request: Request) -> Answer:
        """Say whether, why not, and how old the configuration is."""
        observed = self.observed
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
            "revision": None,
            "rules": None,
            "age": None,
        }
        if snapshot is not None:
            data["revision"] = snapshot.revision
            data["rules"] = len(snapshot.rules.rules)
            data["age"] = round(max(0.0, self.clock.seconds() - snapshot.fetched_at), 3)
        lines = ["ready" if reason is None else f"not ready: {reason}"]
        lines += [
            f"{name.replace('_', ' ')}: {escape(str(data[name]))}"
            for name in ("url", "revision", "rules", "age", "last_error")
            if data[name] is not None
        ]
        return Answer(200 if reason is None else 503, data, "\n".join(lines) + "\n")


class Metrics(ClientPage):
    """The numbers."""

    def answer(self, request: Request) -> Answer:
        """Whatever is counted, as it is now."""
        accept = (request.getHeader(b"accept") or b"").decode("latin-1")
        return Answer(200, body=expose(measure(self.observed, self.clock.seconds()), accept))


class Explain(ClientPage):
    """Why a host goes where it goes."""

    def answer(self, request: Request) -> Answer:
        """Ask the rules of the moment."""
        asked = (request.args or {}).get(b"host", [])
        if len(asked) != 1:
            return refusal(400, "Ask for one host: /explain?host=www.example.com")
        snapshot = self.observed.snapshot()
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
        return Answer(200, data, explanation_text(data))


class Connections(ClientPage):
    """What is under way, the oldest first."""

    def answer(self, request: Request) -> Answer:
        """List it."""
        live = sorted(self.observed.live(), key=lambda each: each.age, reverse=True)
        data = {"connections": [attrs.asdict(each) for each in live]}
        rows = [("WAY", "HOST", "UP", "DOWN", "AGE", "RULE"), *map(_row, live)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return Answer(200, data, "\n".join(lines) + "\n")


def _row(connection: LiveConnection) -> tuple[str, str, str, str, str, str]:
    return (
        connection.way,
        str(Authority(connection.host, connection.port)),
        str(connection.bytes_up),
        str(connection.bytes_down),
        f"{connection.age:.1f}",
        "-" if connection.rule is None else escape(connection.rule),
    )
