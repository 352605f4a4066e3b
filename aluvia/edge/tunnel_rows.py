"""
The rows of the page of tunnels.

All text goes through :mod:`twisted.web.template`, which escapes it; what agents say of themselves
also through :func:`~aluvia.telemetry.logs.escape`, so that it cannot turn the line it stands in.
"""

from __future__ import annotations

import datetime
import typing

from twisted.web.template import Tag, tags

from aluvia.api.html import flat
from aluvia.telemetry.logs import escape
from aluvia.telemetry.written import duration, size

__all__ = ["head", "rows"]

#: What stands over the cells.
_COLUMNS = (
    "Tunnel",
    "State",
    "Agents",
    "Requests",
    "Errors",
    "In",
    "Out",
    "Latency",
    "Last answer",
    "Open",
)

_NUMBERS = frozenset(["Requests", "Errors", "In", "Out", "Open"])

_CARRIERS = {"wss": "WebSocket", "longpoll": "long-polling"}

Document: typing.TypeAlias = typing.Mapping[str, typing.Any]


def rows(documents: typing.Sequence[Document], now: float) -> bytes:
    """
    A row for each.

    :param documents: of :meth:`aluvia.edge.tunnel_view.TunnelView.documents`.
    :param now: seconds since 1970.
    """
    return flat([_row(each, now) for each in documents])


def _row(tunnel: Document, now: float) -> Tag:
    cells = (
        _state(tunnel, now),
        [_agent(each, now) for each in tunnel["agents"]] or _soft("none"),
        f"{tunnel['request_count']:,}",
        _errors(tunnel["error_count"]),
        size(tunnel["bytes_in"]),
        size(tunnel["bytes_out"]),
        _latency(tunnel),
        _last(tunnel, now),
        f"{tunnel['streams_open']:,}",
    )
    return tags.tr(
        tags.th(_name(tunnel), scope="row"),
        [_cell(name, cell) for name, cell in zip(_COLUMNS[1:], cells, strict=True)],
        id=f"tunnel-{tunnel['id']}",
        class_="online" if tunnel["online"] else "offline",
    )


def head() -> Tag:
    """The row over them."""
    return tags.tr([tags.th(name, scope="col", class_=_class(name)) for name in _COLUMNS])


def _class(name: str) -> str:
    return "number" if name in _NUMBERS else ""


def _cell(name: str, content: typing.Any) -> Tag:
    # On a narrow screen a row is a list, and a cell says itself what it is.
    return tags.td(content, class_=_class(name), **{"data-name": name})


def _name(tunnel: Document) -> list[Tag]:
    ways = [
        tags.a(way, href=way) if way.startswith(("http://", "https://")) else tags.code(way)
        for way in tunnel["reached_at"]
    ]
    return [
        tags.span(tunnel["id"], " ", tags.small(tunnel["kind"].upper()), class_="id"),
        *(tags.span(way, class_="line") for way in ways or [_soft("no way leads there")]),
    ]


def _state(tunnel: Document, now: float) -> list[Tag]:
    known = _line(_soft("known for ", _ago(tunnel["since"], now, "")))
    if not tunnel["online"]:
        return [tags.strong("Offline", class_="bad"), known]
    reasons = dict.fromkeys(each["why_down"] for each in tunnel["agents"] if each["why_down"])
    told = {
        "up": _line("app is up"),
        "down": _line("app is down", class_="line bad"),
        "unknown": _line(_soft("app not tried yet")),
    }
    why = [_line(escape(reason), class_="line bad") for reason in reasons]
    return [tags.strong("Online", class_="good"), told[tunnel["target"]], *why, known]


def _agent(agent: Document, now: float) -> Tag:
    carrier = _CARRIERS.get(agent["carrier"], agent["carrier"])
    return tags.div(
        tags.span(escape(agent["agent_id"]), class_="id"),
        _line(carrier, ", draining" if agent["draining"] else ""),
        _line(_soft("here for ", _ago(agent["since"], now, ""))),
        _line(_soft("heard of ", _ago(agent["last_seen"], now))),
        class_="agent",
    )


def _errors(number: int) -> Tag:
    return tags.span(f"{number:,}", class_="bad" if number else "")


def _latency(tunnel: Document) -> list[Tag] | Tag:
    if not tunnel["request_count"]:
        return _soft("–")
    shares = ((name, _ms(tunnel[f"{name}_latency_ms"])) for name in ("p50", "p90", "p99"))
    return [
        tags.span("avg ", _ms(tunnel["avg_latency_ms"]), " ms", class_="whole"),
        *(_line(_soft(f"{name} {share} ms"), class_="line whole") for name, share in shares),
    ]


def _last(tunnel: Document, now: float) -> list[Tag] | Tag:
    if not tunnel["last_seen"]:
        return _soft("–")
    status = tunnel["last_status"]
    bad = status >= 500 or not status
    return [
        tags.span(str(status or "none"), class_="bad" if bad else ""),
        _line(_soft(_ago(tunnel["last_seen"], now))),
    ]


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.1f}"


def _ago(then: float, now: float, behind: str = " ago") -> Tag:
    at = datetime.datetime.fromtimestamp(then, datetime.UTC)
    return tags.time(
        duration(max(0.0, now - then)) + behind,
        datetime=at.isoformat(timespec="seconds"),
        title=f"{at:%Y-%m-%d %H:%M:%S} UTC",
    )


def _line(*content: typing.Any, class_: str = "line") -> Tag:
    return tags.span(*content, class_=class_)


def _soft(*content: typing.Any) -> Tag:
    return tags.span(*content, class_="faint")
