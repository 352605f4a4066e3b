"""Asking the admin port of a proxy that runs."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import typing
from urllib.parse import urlsplit

from aluvia.cli.command import CommandError, Parser
from aluvia.process.statuses import UNAVAILABLE, USAGE

DEFAULT_PORT = 18788

SECONDS = 10.0

#: More than this no page of ours has.
ANSWER_BYTES = 64 * 1024 * 1024


class Admin:
    """
    An admin port.

    Proxies that the environment names are not used: one of them may be the very one that is asked.

    :param url: ``http://HOST:PORT``.
    :param hint: for people, where another one would be said.
    """

    def __init__(self, url: str, hint: str = "--admin-port says where another one is") -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if host is None or parts.scheme != "http" or parts.path.strip("/"):
            raise CommandError(f"{url!r} is no http://HOST:PORT", USAGE)
        self.url = f"http://{parts.netloc}"
        self._hint = hint
        self._host = host
        self._port = DEFAULT_PORT if port is None else port

    def get(self, path: str, accept: str = "application/json") -> tuple[int, bytes]:
        """
        The status and the body of a page.

        :raises CommandError: if nobody answers, or not in HTTP.
        """
        connection = http.client.HTTPConnection(self._host, self._port, timeout=SECONDS)
        try:
            connection.request("GET", path, headers={"Accept": accept})
            response = connection.getresponse()
            return response.status, response.read(ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else repr(error)
            raise CommandError(
                f"no proxy answers at {self.url}: {why} ({self._hint})", UNAVAILABLE
            ) from None
        finally:
            connection.close()

    def stranger(self) -> CommandError:
        """What to raise when something else has answered."""
        return CommandError(f"{self.url} is no admin port of aluvia", UNAVAILABLE)

    def get_json(self, path: str, good: tuple[int, ...] = (200,)) -> typing.Any:
        """
        A page's data.

        :param good: the statuses at which there are some.
        :raises CommandError: at any other; 400 is a wrong call.
        """
        status, body = self.get(path)
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            data = None
        if status in good and isinstance(data, dict):
            return data
        why = data.get("error") if isinstance(data, dict) else None
        if why is None:
            raise self.stranger()
        raise CommandError(str(why), USAGE if status == 400 else UNAVAILABLE)


def add_admin(parser: Parser) -> None:
    """Add ``--admin-port`` and ``--admin``."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--admin-port",
        metavar="PORT",
        help=f"the proxy's admin port on this machine [default: ALUVIA_ADMIN_PORT, {DEFAULT_PORT}]",
    )
    where.add_argument("--admin", metavar="URL", help="the same as http://HOST:PORT")


def admin_of(arguments: argparse.Namespace) -> Admin:
    """
    The admin port that is meant.

    :raises CommandError: if what was said is none.
    """
    if arguments.admin is not None:
        return Admin(arguments.admin)
    port = arguments.admin_port or os.environ.get("ALUVIA_ADMIN_PORT") or str(DEFAULT_PORT)
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise CommandError(f"{port!r} is no port", USAGE)
    return Admin(f"http://127.0.0.1:{port}")
