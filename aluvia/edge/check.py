"""
What ``--check`` does: it reads all that a start would read, changes nothing, and says what it saw.

=================  =================================================================================
the API's token    its file or its variable, if there is one; none is made
the store          if its file is there: whether it is ours and whole, and whether what is in it
                   can be put to work
certificates       the default pair, and every pair in the directory
the routes file    as it would be applied to what is in the store
=================  =================================================================================

What would keep the edge from starting is a :class:`~aluvia.process.sources.SettingsError` with its
place; what would only be logged is a line of advice. Ports are not bound, and the store is read
without its lock: an edge may run with it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
import stat
import typing
from pathlib import Path
from urllib.parse import quote

import attrs
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, formatEvent
from zope.interface import implementer

from aluvia.api.problems import Problem
from aluvia.edge.api_token import find_token
from aluvia.edge.applied import Applied
from aluvia.edge.certificate_files import CertificateFiles
from aluvia.edge.fields import DIALERS
from aluvia.edge.ingress import Ingress
from aluvia.edge.key_pairs import judge_pair
from aluvia.edge.listeners import Listener
from aluvia.edge.load import advice, no_provider
from aluvia.edge.model import KeyPair, Snapshot
from aluvia.edge.options import OF_THE_HUB, OPTIONS
from aluvia.edge.routes_file import RoutesFile
from aluvia.edge.settings import IN_MEMORY, Settings
from aluvia.edge.stored import load, why_unusable
from aluvia.edge.takes import ListenerOrNone
from aluvia.hub.fixed_keys import FixedKeys
from aluvia.process.sources import SettingsError
from aluvia.process.statuses import CONFIG
from aluvia.process.takes import NumberOrNone
from aluvia.store.database import see_that_it_can_be_one, told
from aluvia.store.errors import StoreError
from aluvia.store.schema import is_ours
from aluvia.telemetry.logs import escape
from aluvia.wire.target import Authority

__all__ = ["examine", "report"]


def examine(settings: Settings, environ: typing.Mapping[str, str], now: float) -> list[str]:
    """
    Read everything, and change nothing.

    :param environ: of which the token's variable is looked at.
    :param now: seconds since 1970, by which certificates are judged.
    :return: what its operator should know, a line each.
    :raises SettingsError: something would keep the edge from starting; with its place.
    """
    try:
        notes = [*_token(settings, environ), *_certificates(settings, now)]
        snapshot = Snapshot() if settings.db == IN_MEMORY else _stored(settings.db)
        applied = _data_path(settings, now)
        _put_to_work(applied, snapshot, settings.db)
    except (ValueError, StoreError) as error:
        raise SettingsError(str(error), CONFIG) from None
    if settings.routes is not None:
        # It says by itself what is wrong with it.
        snapshot, more = _routes(settings.routes, snapshot, now, applied)
        notes += more
    return [*notes, *no_provider(settings, snapshot)]


def report(settings: Settings, notes: typing.Iterable[str] = ()) -> str:
    """
    A TOML file of what would be used, with where each came from; then advice, and OK.

    :param notes: more advice.
    """
    lines = []
    for option in OPTIONS:
        if settings.hub is None and option.field in OF_THE_HUB:
            continue
        value = _shown(getattr(settings, option.field))
        if value is None and isinstance(option.takes, ListenerOrNone | NumberOrNone):
            value = "none"
        if value is not None:
            source = settings.sources.get(option.field, "default")
            shown = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
            lines.append(f"{option.name} = {shown}  # {escape(source)}")
    lines.append("")
    lines += [f"# {escape(line)}" for line in (*advice(settings), *notes)]
    lines.append("OK")
    return "\n".join(lines) + "\n"


def _shown(value: typing.Any) -> object:
    match value:
        case Path() | Listener():
            return str(value)
        case (str(address), int(port)):
            return str(Authority(address, port))
        case bool():
            return value
        case tuple():
            return [each if isinstance(each, str) else str(each) for each in value]
    return value


def _token(settings: Settings, environ: typing.Mapping[str, str]) -> typing.Iterator[str]:
    found = find_token(settings.api_token_file, environ, settings.own_token_file)
    if found is None:
        yield f"The API's token will be made at the first start, in {settings.own_token_file}."
    elif found.path is not None and stat.S_IMODE(found.path.stat().st_mode) & 0o077:
        close = "; the start closes it to them" if found.ours else ""
        yield f"Others can read the API's token in {found.path}{close}."


@attrs.define(eq=False)
class _Moment:
    """A sweep that never looks."""

    now: float

    def watch(self, item: object) -> None:
        """Watch nothing."""

    def forget(self, item: object) -> None:
        """Forget nothing."""


@implementer(ILogObserver)
@attrs.define(eq=False)
class _Notes:
    """What would be in the log of a start, and should be known before."""

    lines: list[str] = attrs.field(factory=list)

    def __call__(self, event: LogEvent) -> None:
        if event["log_level"] >= LogLevel.warn:
            self.lines.append(str(formatEvent(event)))


def _certificates(settings: Settings, now: float) -> list[str]:
    """
    :raises ValueError: the default pair cannot be used, or the directory cannot be read.
    """
    notes = _Notes()
    default = None
    if settings.default_certificate is not None and settings.default_key is not None:
        default = settings.default_certificate, settings.default_key
    CertificateFiles(
        _Moment(now),
        lambda *seen: None,
        directory=settings.certificates,
        default=default,
        log=Logger(observer=notes),
    ).start()
    return notes.lines


def _stored(path: Path) -> Snapshot:
    """
    What is in the store; nothing if its file is not there.

    :raises StoreError: it cannot be read, or is not ours.
    """
    if not path.exists():
        if not path.parent.is_dir():
            raise StoreError(f"{path}: there is no directory {path.parent}")
        return Snapshot()
    # Only what was written ahead needs another file beside it, and a lock.
    ahead = path.with_name(f"{path.name}-wal")
    settled = not ahead.exists() or not ahead.stat().st_size
    url = f"file:{quote(str(path))}?mode=ro{'&immutable=1' if settled else ''}"
    engine = create_engine(
        "sqlite+pysqlite://",
        creator=lambda: sqlite3.connect(url, uri=True),
        poolclass=NullPool,
        hide_parameters=True,
    )
    try:
        see_that_it_can_be_one(path)
        with contextlib.closing(engine.connect()) as connection:
            if not is_ours(connection):
                return Snapshot()
            return load(connection, DIALERS).snapshot
    except DBAPIError as error:
        raise told(path, error) from None
    except StoreError as error:
        raise StoreError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None


class _Still(Clock):
    """What a data path wants of a reactor, for one that never runs."""

    def callFromThread(self, call: object, *arguments: object) -> None:
        """Nobody hears what a thread has to say."""


def _data_path(settings: Settings, now: float) -> Applied:
    """What would run, made, and not begun."""
    clock = _Still()
    clock.advance(now)
    ingress = Ingress(settings, clock, keys=None if settings.hub is None else FixedKeys())
    ingress.own.append(settings.api)
    return ingress.applied


def _put_to_work(applied: Applied, snapshot: Snapshot, path: Path) -> None:
    """
    :raises StoreError: it cannot be.
    """
    try:
        applied.prepare(Snapshot(), snapshot)
    except Problem as problem:
        raise StoreError(f"{path}: {why_unusable(problem)}") from None


def _routes(
    path: Path, before: Snapshot, now: float, applied: Applied
) -> tuple[Snapshot, list[str]]:
    numbers = itertools.count(1)

    def judge(pair: KeyPair, domain: str) -> list[str]:
        return judge_pair(pair, domain, now)

    file = RoutesFile(path, before.providers)
    judges = attrs.evolve(applied.judges, pair=judge)
    read = file.over(before, lambda: f"new-{next(numbers)}", judges=judges)
    try:
        applied.prepare(before, read.value)
    except Problem as problem:
        raise file.refused(problem) from None
    return read.value, [f"{path}: {note}" for note in read.notes]
