"""
The routes file (``--routes FILE``): a configuration in TOML or JSON, with the names of the API.

.. code-block:: toml

    [[routes]]
    vHost = "api.example.com"
    ssl = { certFile = "api.pem", keyFile = "api.key" }

    [[routes.backends]]
    hostname = "10.0.0.1"
    port = 3000

A section that is there replaces that whole section; what is missing stays as it is. Here, and
nowhere else, PEM may stand in files of its own, beside this one or anywhere:

.. code-block:: text

    ssl, and each of certificates    certFile, keyFile
    tls of a backend                 clientCertFile, clientKeyFile, caFile

Reading blocks, as reading a file does, and hashing the passwords that stand in it: it is for a
thread, or for a program that nobody waits for. What the file comes to depends on what is in force,
which may change meanwhile: so that is a second step, and may be taken again.
"""

from __future__ import annotations

import collections
import json
import tomllib
import typing
from pathlib import Path

import attrs

from aluvia.api.problems import Fault, Problem
from aluvia.edge.bounds import FAULTS, FILE_NAME_CHARS, PEM_CHARS, ROUTES_FILE_BYTES
from aluvia.edge.fields import DIALERS, NOBODY, Judges, MakeId, Read, read_snapshot
from aluvia.edge.model import AuthProvider, Snapshot
from aluvia.edge.passwords import hash_secrets_now
from aluvia.edge.plain_fields import limited
from aluvia.edge.reading import Wrong
from aluvia.process.sources import SettingsError, contents
from aluvia.process.statuses import CONFIG
from aluvia.telemetry.logs import escape

__all__ = ["RoutesFile", "RoutesFileError"]

_OF_PAIRS: typing.Final = {"certFile": "cert", "keyFile": "key"}
_OF_BACKENDS: typing.Final = {
    "clientCertFile": "clientCert",
    "clientKeyFile": "clientKey",
    "caFile": "ca",
}


class RoutesFileError(SettingsError):
    """
    A routes file cannot be used. The text has a line for each fault, without secrets.

    :ivar faults: what is wrong in it; none where it could not be read at all.
    """

    def __init__(self, text: str, faults: typing.Sequence[Fault] = ()) -> None:
        super().__init__(text, CONFIG)
        self.faults = tuple(faults)


class RoutesFile:
    """
    A routes file that has been read: itself, the files that it names, and hashes of its passwords.

    :param path: TOML if it ends in ``.toml``, and JSON otherwise.
    :param known: the providers that are in force, whose hashes stay where passwords fit them.
    :raises RoutesFileError: it cannot be read, or is no such file.
    """

    def __init__(self, path: Path, known: typing.Mapping[str, AuthProvider]) -> None:
        self._path = path
        self._files = _Files(path.parent)
        document = _parsed(path)
        self._files.put_into(document)
        try:
            self._document = hash_secrets_now(document, known)
        except Problem as problem:
            raise self._error(problem.faults) from None

    def over(
        self,
        before: Snapshot,
        make_id: MakeId,
        *,
        dialers: typing.Collection[str] = DIALERS,
        judges: Judges = NOBODY,
    ) -> Read[Snapshot]:
        """
        What it comes to.

        :param before: what is in force; the sections that the file has not stay those of it.
        :raises RoutesFileError: it has faults.
        """
        try:
            read = read_snapshot(
                self._document,
                make_id,
                before,
                partial=True,
                dialers=dialers,
                judges=judges,
            )
        except Problem as problem:
            raise self._error(problem.faults) from None
        if self._files.faults:
            raise self._error()
        return read

    def refused(self, problem: Problem) -> RoutesFileError:
        """What to raise where what it comes to cannot be put in force."""
        if problem.faults:
            return self._error(problem.faults)
        return RoutesFileError(escape(f"{self._path}: {problem.detail}"))

    def _error(self, faults: typing.Sequence[Fault] = ()) -> RoutesFileError:
        told = self._files.told(faults)[:FAULTS]
        lines = (escape(f"{self._path}: {fault.pointer or '/'}: {fault.detail}") for fault in told)
        return RoutesFileError("\n".join(lines), told)


def _parsed(path: Path) -> object:
    try:
        text = contents(path, ROUTES_FILE_BYTES, str(path), regular=True).decode("utf-8-sig")
        if path.suffix == ".toml":
            return tomllib.loads(text)
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except SettingsError as error:
        why = str(error)
    except UnicodeDecodeError:
        why = f"{path}: is not UTF-8"
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, _NoDocument) as error:
        # The first two say the line and the column, and no more than a character of it.
        why = f"{path}: {error}"
    except (ValueError, RecursionError):
        why = f"{path}: has a number that is too long, or lists that are too deep"
    raise RoutesFileError(escape(why))


class _NoDocument(Exception):
    """JSON that could be read, and means nothing certain."""


def _once(members: list[tuple[str, typing.Any]]) -> dict[str, typing.Any]:
    document = dict(members)
    if len(document) < len(members):
        ((twice, _),) = collections.Counter(name for name, _ in members).most_common(1)
        raise _NoDocument(f'"{twice}" stands twice in one object')
    return document


def _no_constant(name: str) -> typing.NoReturn:
    # Python reads NaN and Infinity, which JSON has not.
    raise _NoDocument(f"{name} is no number")


class _Files:
    """
    The files that a document names, put in their place.

    :ivar faults: of files.
    """

    def __init__(self, folder: Path) -> None:
        self.faults: list[Fault] = []
        self._folder = folder
        #: What stands in the document now, and by which member it came; both as pointers.
        self._came_by: dict[str, str] = {}
        self._failed: set[str] = set()

    def put_into(self, document: object) -> None:
        """Read the files, and replace the members that name them."""
        for index, route in _items(document, "routes"):
            pointer = f"/routes/{index}"
            self._replace(_member(route, "ssl"), _OF_PAIRS, f"{pointer}/ssl")
            for number, backend in _items(route, "backends"):
                tls = _member(backend, "tls")
                self._replace(tls, _OF_BACKENDS, f"{pointer}/backends/{number}/tls")
        for index, certificate in _items(document, "certificates"):
            self._replace(certificate, _OF_PAIRS, f"/certificates/{index}")

    def told(self, faults: typing.Iterable[Fault]) -> list[Fault]:
        """All faults, with the pointers of what stands in the file."""
        others = [
            attrs.evolve(fault, pointer=self._came_by.get(fault.pointer, fault.pointer))
            for fault in faults
            if fault.pointer not in self._failed
        ]
        return [*self.faults, *others]

    def _replace(self, document: object, names: typing.Mapping[str, str], pointer: str) -> None:
        if not isinstance(document, dict):
            return
        for by_file, name in names.items():
            if by_file not in document:
                continue
            given, came_by = document.pop(by_file), f"{pointer}/{by_file}"
            if name in document:
                self.faults.append(Fault(came_by, f'cannot stand beside "{name}"'))
                continue
            self._came_by[f"{pointer}/{name}"] = came_by
            try:
                document[name] = self._text(given)
            except Wrong as wrong:
                self.faults.append(Fault(came_by, str(wrong.detail)))
                self._failed.add(f"{pointer}/{name}")

    def _text(self, given: object) -> str:
        file = self._folder / limited(given, FILE_NAME_CHARS)
        try:
            # What is not ASCII stands between the blocks, and is dropped.
            return contents(file, PEM_CHARS, str(file), regular=True).decode("latin-1")
        except SettingsError as error:
            raise Wrong(str(error)) from None
        except ValueError:
            raise Wrong("is no name that a file can have") from None


def _member(document: object, name: str) -> object:
    return document.get(name) if isinstance(document, dict) else None


def _items(document: object, name: str) -> typing.Iterable[tuple[int, object]]:
    items = _member(document, name)
    return enumerate(items) if isinstance(items, list) else ()
