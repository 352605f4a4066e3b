"""
The page for browsers: what :mod:`aluvia.client.overview` has gathered, as HTML.

No script, nothing from elsewhere, nothing that changes anything. All text goes through
twisted.web.template, which escapes it, and whatever others have chosen (rules, errors) also
through :func:`~aluvia.telemetry.logs.escape`, so that it cannot turn the line that it stands in.
"""

from __future__ import annotations

import datetime
import typing

from twisted.web.template import Tag, tags

from aluvia.api.html import flat
from aluvia.forwarding.route import DIRECT, GATEWAY
from aluvia.telemetry.logs import escape
from aluvia.telemetry.written import duration, size
from aluvia.wire.target import SPELLING_LENGTH, Authority

#: How often a browser that is asked to comes again; seconds.
REFRESH_SECONDS = 5

Data: typing.TypeAlias = typing.Mapping[str, typing.Any]


def page(
    data: Data, now: float, *, asked: str = "", told: str = "", refresh: bool = False
) -> bytes:
    """
    The page.

    :param data: see :func:`aluvia.client.overview.overview`.
    :param now: the reactor's seconds, which are the system's.
    :param asked: the host that was asked for.
    :param told: what there is to say of it; some lines.
    :param refresh: whether a browser is to come again by itself.
    """
    state = "Ready" if data["ready"] else "Not ready"
    again = {"http-equiv": "refresh", "content": str(REFRESH_SECONDS)}
    head = tags.head(
        tags.meta(charset="utf-8"),
        tags.meta(name="viewport", content="width=device-width, initial-scale=1"),
        tags.meta(**again) if refresh else "",
        tags.title(f"{state} · aluvia"),
        tags.link(rel="stylesheet", href="/style.css"),
        tags.link(rel="icon", href="/icon.svg", type="image/svg+xml"),
    )
    body = tags.body(
        _header(data, state, now, refresh),
        Tag("main")(
            _configuration(data),
            _traffic(data),
            _hosts(data["ledger"]),
            _under_way(data),
            _question(asked, told),
            _rules(data),
        ),
        _footer(),
    )
    return b"<!DOCTYPE html>\n" + flat(tags.html(head, body, lang="en")) + b"\n"


def _header(data: Data, state: str, now: float, refresh: bool) -> Tag:
    time = datetime.datetime.fromtimestamp(now, datetime.UTC)
    name, target = ("stop updating", "/") if refresh else ("keep up to date", "/?refresh=on")
    return tags.header(
        tags.p(
            tags.span(tags.strong("aluvia"), f" {data['version']}"),
            tags.span(f"As of {time:%H:%M:%S} UTC · ", tags.a(name, href=target)),
            class_="name",
        ),
        tags.h1(state, class_="ready" if data["ready"] else "not-ready"),
        [tags.p(escape(line), class_="notice") for line in _notices(data)],
        tags.p(
            "Programs on this machine use ", tags.code(data["url"]), " as their proxy. Try it:",
            class_="lede",
        ),
        tags.p(f"curl -x {data['url']} http://example.com/", class_="try code"),
    )  # fmt: skip


def _notices(data: Data) -> typing.Iterator[str]:
    if data["reason"]:
        yield data["reason"]
    elif not data["accepting"]:
        yield "No new connections are taken: it is at a limit."
    if data["token_refused"]:
        yield "The control plane refuses the token. What is configured goes on."
    if data["last_error"]:
        yield f"The configuration could not be renewed: {data['last_error']}"
    if data["fail_opens"]:
        yield (
            f"{data['fail_opens']:,} requests went direct, showing this machine's own address, "
            "because there was no configuration."
        )


def _configuration(data: Data) -> Tag:
    missing = "none yet" if data["revision"] is None else "none"
    facts = [
        ("Gateway", tags.code(data["gateway"]) if data["gateway"] else missing),
        ("Rules", missing if data["rules"] is None else f"{data['rules']:,}"),
        ("Revision", missing if data["revision"] is None else str(data["revision"])),
        ("Last confirmed", "never" if data["age"] is None else f"{duration(data['age'])} ago"),
        ("Running for", duration(data["uptime"])),
        ("Connections open", f"{data['connections_open']:,}"),
        ("Tunnels open", f"{data['tunnels_open']:,}"),
    ]
    return _section(
        "configuration",
        "Configuration",
        tags.dl([tags.div(tags.dt(name), tags.dd(value)) for name, value in facts]),
    )


def _traffic(data: Data) -> Tag:
    rows = [
        [
            tags.th(name, scope="row"),
            _number(f"{way['requests']:,}"),
            _number(f"{way['failed']:,}"),
            *_sizes(way),
        ]
        for name, way in (
            ("Direct", data["ways"][DIRECT]),
            ("Gateway", data["ways"][GATEWAY]),
        )
    ]
    refused = data["refused"]
    return _section(
        "traffic",
        "Traffic",
        _table("traffic", ("Way", "Ended", "Failed", "Up", "Down"), rows),
        tags.p(f"Refused before a way was decided: {refused:,}", class_="soft") if refused else "",
    )


def _hosts(ledger: Data) -> Tag:
    if not ledger["total"]["requests"]:
        return _section("hosts", "Hosts", tags.p("Nothing was requested yet.", class_="soft"))
    rows = [
        [
            tags.th(row["host"], _by(row), scope="row"),
            *_sums(row),
        ]
        for row in ledger["rows"]
    ]
    left = [(f"{ledger['more']['rows']:,} more", ledger["more"]), ("Other hosts", ledger["other"])]
    rows += [
        [tags.th(name, scope="row", class_="soft"), *_sums(sums)]
        for name, sums in left
        if sums["requests"]
    ]
    total = [tags.th("Total", scope="row"), *_sums(ledger["total"])]
    return _section(
        "hosts",
        "Hosts",
        _table("hosts", ("Host", "Requests", "Up", "Down"), rows, total),
        tags.p("By bytes, with what is under way. All of it: ", tags.a("/ledger", href="/ledger"),
               class_="soft"),
    )  # fmt: skip


def _under_way(data: Data) -> Tag:
    rows = [
        [
            tags.th(str(Authority(each["host"], each["port"])), _by(each), scope="row"),
            _number(duration(each["age"])),
            *_sizes(each),
        ]
        for each in data["connections"]
    ]
    if not rows:
        return _section("under-way", "Under way", tags.p("Nothing.", class_="soft"))
    more = data["under_way"] - len(rows)
    return _section(
        "under-way",
        "Under way",
        _table("under-way", ("Host", "Age", "Up", "Down"), rows),
        _more(more, tags.a("/connections", href="/connections")) if more else "",
    )


def _question(asked: str, told: str) -> Tag:
    return _section(
        "way",
        "Which way does a host go?",
        tags.form(
            tags.label(
                "Host",
                tags.input(
                    name="host",
                    value=escape(asked[:SPELLING_LENGTH]),
                    maxlength=str(SPELLING_LENGTH),
                    placeholder="www.example.com",
                    required="required",
                    autocomplete="off",
                    autocapitalize="none",
                    spellcheck="false",
                ),
            ),
            tags.button("Explain"),
            action="/#way",
        ),
        tags.output(told) if told else "",
    )


def _rules(data: Data) -> Tag:
    shown = [
        tags.li(tags.code(escape(text)), class_="excludes" if text.startswith("-") else "includes")
        for text in data["first_rules"]
    ]
    if not shown:
        none = "None yet." if data["rules"] is None else "None: everything goes direct."
        return _section("rules", "Rules", tags.p(none, class_="soft"))
    more = data["rules"] - len(shown)
    return _section(
        "rules",
        "Rules",
        tags.ul(shown, class_="rules"),
        _more(more, tags.a("/proxy.pac", href="/proxy.pac")) if more else "",
    )


def _footer() -> Tag:
    return tags.footer(
        tags.ul(
            tags.li(tags.span(tags.a(path, href=path)), tags.span(what)) for path, what in _PAGES
        )
    )


_PAGES: typing.Final = (
    ("/healthz", "is it alive"),
    ("/readyz", "is it ready"),
    ("/metrics", "numbers for Prometheus"),
    ("/connections", "what is under way"),
    ("/ledger", "what each host has cost"),
    ("/proxy.pac", "the rules, for a browser"),
)


def _section(name: str, title: str, *content: typing.Any) -> Tag:
    heading = f"{name}-title"
    return tags.section(
        tags.h2(title, id=heading), *content, id=name, **{"aria-labelledby": heading}
    )


def _table(
    section: str,
    head: typing.Sequence[str],
    rows: typing.Iterable[typing.Sequence[Tag]],
    total: typing.Sequence[Tag] = (),
) -> Tag:
    names = [
        tags.th(name, scope="col", class_="up number" if name == "Up" else "number")
        for name in head[1:]
    ]
    return tags.table(
        tags.thead(tags.tr(tags.th(head[0], scope="col"), names)),
        tags.tbody([tags.tr(*cells) for cells in rows]),
        tags.tfoot(tags.tr(*total)) if total else "",
        **{"aria-labelledby": f"{section}-title"},
    )


def _sums(sums: Data) -> tuple[Tag, ...]:
    return (_number(f"{sums['requests']:,}"), *_sizes(sums))


def _sizes(sums: Data) -> tuple[Tag, ...]:
    # There is no room for both on a telephone.
    up = tags.td(size(sums["bytes_up"]), class_="up number")
    return (up, _number(size(sums["bytes_down"])))


def _number(text: str) -> Tag:
    return tags.td(text, class_="number")


def _by(row: Data) -> Tag:
    way = tags.span(row["way"], class_=row["way"])
    if row["rule"] is None:
        return tags.span(way, ", no rule", class_="by")
    return tags.span(way, " by ", tags.code(escape(row["rule"])), class_="by")


def _more(number: int, where: Tag) -> Tag:
    return tags.p(f"{number:,} more: ", where, class_="soft")
