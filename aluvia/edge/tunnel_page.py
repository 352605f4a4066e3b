"""
``/tunnels``: the tunnels for people, as a page that needs no script.

.. code-block:: text

    GET, no token               the form that asks for it; nothing of any tunnel
    GET, Authorization: Bearer  the page with its table: what its script asks for, every few seconds
    POST, the form              the same, for a browser without scripts; 401, with the form, where
                                the token is not the one

The token is in no URL, no cookie and no answer. ``find`` is a part of an id, or of an agent's.
"""

from __future__ import annotations

import typing

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import Request
from twisted.web.template import Comment, Tag, tags

from aluvia import __version__
from aluvia.api.bearer import bearer_token, token_refused
from aluvia.api.html import flat
from aluvia.api.problems import Problem
from aluvia.api.queries import Query, parameters_in
from aluvia.edge.page_files import FORM, file_path, send_page
from aluvia.edge.rest_paths import BASE, Path
from aluvia.edge.slices import batches, in_slices
from aluvia.edge.tunnel_rows import head, rows
from aluvia.edge.tunnel_view import TunnelView
from aluvia.hub.registry import Tunnel

__all__ = ["MOST_ROWS", "SIGN_IN", "SIGN_IN_BYTES", "TunnelPage"]

#: Where the form is sent, and how long that may be: a token and a few words.
SIGN_IN = b"/tunnels"
SIGN_IN_BYTES = 4_096

#: Tunnels that are shown at once. Who has more looks for them.
MOST_ROWS = 100

FIND_CHARS = 128

_ROWS = Comment("rows")
_MARK = b"<!--rows-->"


class TunnelPage:
    """
    The page.

    :param is_token: whether this is the API's token.
    """

    def __init__(
        self, view: TunnelView, is_token: typing.Callable[[str], bool], clock: IReactorTime
    ) -> None:
        self._view = view
        self._is_token = is_token
        self._clock = clock
        self._one_at_a_time = DeferredLock()

    def paths(self) -> list[Path]:
        """Where it is."""
        rule = SIGN_IN.decode("ascii")
        return [
            Path("GET", rule, self.show, frozenset({"find"}), public=True),
            Path("POST", rule, self.sign_in, public=True),
            *(file_path(f"{rule}/{name}", name) for name in ("tunnels.css", "tunnels.js")),
        ]

    async def show(self, request: Request, query: Query) -> bytes:
        """
        The form; with the token the table as well.

        :raises Problem: 401, for another token.
        """
        found = _find(query)
        if not request.requestHeaders.hasHeader(b"authorization"):
            return send_page(request, 200, _page(found, "", _HINT), form=True)
        if not self._is_token(bearer_token(request)):
            raise token_refused()
        return await self._whole(request, found)

    async def sign_in(self, request: Request, query: Query) -> bytes:
        """
        What the form asks for.

        :raises Problem: 400 or 415, for what is no form.
        """
        given = (request.getHeader(b"content-type") or b"").decode("latin-1")
        if given.partition(";")[0].strip().lower() != FORM:
            fields = [(b"Accept", FORM.encode("ascii"))]
            raise Problem(415, "unsupported_media_type", f"A form is {FORM}.", fields=fields)
        assert request.content is not None
        form = parameters_in(request.content.read())
        found = _find(form)
        if not self._is_token(form.get("token", [""])[0].strip()):
            for name, value in token_refused().fields:
                request.setHeader(name, value)
            page = _page(found, "That is not the token.", _HINT)
            return send_page(request, 401, page, form=True)
        return await self._whole(request, found)

    async def _whole(self, request: Request, text: str) -> bytes:
        """The page with its table, made beside other requests."""
        parts: list[bytes] = []
        async with self._one_at_a_time:
            now = self._clock.seconds()
            found = self._view.find(text)
            documents = self._view.documents(found[:MOST_ROWS])
            if found:
                made = (rows(batch, now) for batch in batches(documents))
                await in_slices(made, parts.append, self._clock)
        before, _, after = _page(text, "", self._table(found, text)).partition(_MARK)
        return send_page(request, 200, b"".join([before, *parts, after]), form=True)

    def _table(self, found: list[Tunnel], text: str) -> Tag:
        if not self._view.is_open:
            return tags.p(
                "No agent can connect: this edge was started without ", tags.code("--hub"), "."
            )
        if not found:
            return tags.p(f"Nothing has “{text}” in it." if text else _NONE)
        online = sum(each.online for each in found)
        more = len(found) - MOST_ROWS
        return tags.transparent(
            tags.p(f"{_count(len(found))}, {online:,} online", class_="summary", id="summary"),
            tags.table(
                tags.caption("Tunnels, by their ids"),
                tags.thead(head()),
                tags.tbody(_ROWS),
            ),
            tags.p(f"{more:,} more: find them by a part of their ids.") if more > 0 else "",
        )


_NONE = "No agent has opened a tunnel since the edge was started."

_HINT = tags.p(
    "The edge says at its start where its API's token is.", " It is kept in this tab alone."
)


def _count(number: int) -> str:
    return "1 tunnel" if number == 1 else f"{number:,} tunnels"


def _find(given: Query) -> str:
    return given.get("find", [""])[0].strip()[:FIND_CHARS]


def _page(find: str, told: str, shown: Tag) -> bytes:
    """
    The whole page.

    :param find: what was looked for.
    :param told: what there is to say to the form; nothing for nothing.
    """
    docs = BASE[1:] + "/docs"
    about = tags.head(
        tags.meta(charset="utf-8"),
        tags.meta(name="viewport", content="width=device-width, initial-scale=1"),
        tags.title("Tunnels · aluvia-edge"),
        tags.link(rel="stylesheet", href=f"{docs}/viewer.css"),
        tags.link(rel="stylesheet", href="tunnels/tunnels.css"),
        tags.script(src=f"{docs}/token.js", defer="defer"),
        tags.script(src="tunnels/tunnels.js", defer="defer"),
    )
    body = tags.body(
        tags.header(
            tags.nav(
                tags.a("Tunnels", href="tunnels", **{"aria-current": "page"}),
                tags.a("API", href=docs),
                **{"aria-label": "Pages"},
            ),
            tags.h1("Tunnels ", tags.small(f"aluvia-edge {__version__}")),
            _form(find, told),
        ),
        Tag("main")(shown, id="shown"),
    )
    return b"<!DOCTYPE html>\n" + flat(tags.html(about, body, lang="en")) + b"\n"


def _form(find: str, told: str) -> Tag:
    return tags.form(
        tags.label(
            "Token ",
            tags.input(
                id="token",
                name="token",
                type="password",
                autocomplete="off",
                spellcheck="false",
                required="required",
            ),
        ),
        tags.label(
            "Find ",
            tags.input(
                id="find",
                name="find",
                type="search",
                value=find,
                maxlength=str(FIND_CHARS),
                placeholder="part of an id, or an agent",
                spellcheck="false",
            ),
        ),
        tags.button("Show", id="show"),
        # What the script can do besides, which shows them.
        tags.label(
            tags.input(id="live", type="checkbox", checked="checked"), " Live", hidden="hidden"
        ),
        tags.button("Forget the token", id="forget", type="button", hidden="hidden"),
        tags.span(told, id="state", role="status"),
        id="asking",
        method="post",
        action="tunnels",
    )
