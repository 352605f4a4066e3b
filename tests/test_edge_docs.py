"""What the edge's pages say, compared with the code; the manner is that of ``test_docs``."""

from __future__ import annotations

import itertools
import json
import re
import typing
from pathlib import Path

from aluvia.edge import bounds
from aluvia.edge.access_log import AccessLog, FileSink
from aluvia.edge.events import EventName, completed_event
from aluvia.edge.measured import measure
from aluvia.edge.openapi import describe
from aluvia.edge.openapi_schemas import SCHEMAS, Schema
from aluvia.edge.options import OPTIONS
from aluvia.edge.rest_paths import BASE
from aluvia.edge.stats_document import stats
from aluvia.edge.test.completed_request import Completed
from aluvia.edge.test.test_measured import FakeEdge
from aluvia.edge.test.tracker_case import TrackerCase
from tests.test_docs import (
    BESIDES,
    causes_in,
    causes_of,
    documented,
    page,
    scraped,
    source_of,
)

#: Under which heading of the model's page each schema of the API stands.
SECTIONS = {
    "Route": "Route",
    "``timeouts``": "Route.timeouts",
    "``healthCheck``": "HealthCheck",
    "``rateLimit``": "RateLimit",
    "``ssl``": "KeyPair",
    "Backend": "Backend",
    "``tls``": "BackendTLS",
    "Certificate": "Certificate",
    "``basic``": "BasicProvider",
    "``bearer``": "BearerProvider",
    "``hook``": "HookProvider",
    "``entryPoint``": "EntryPointProvider",
}

#: What all providers have, and is said once for all.
OF_ALL_PROVIDERS = {"id", "type"}

#: Defaults that the description leaves out: they are empty, or null.
_EMPTY = {"array": "[]", "object": "{}"}


class EdgePagesTests(TrackerCase):
    """Every name that is in two places is the same in both."""

    def test_options(self) -> None:
        """The reference names exactly the options that there are."""
        there = {option.flag for option in OPTIONS} | BESIDES
        shown = set(re.findall(r"^``(--[a-z-]+)", page("reference/edge"), re.MULTILINE))
        self.assertEqual(shown, there)

    def test_model(self) -> None:
        """Each field of each kind of thing has its row, with its bounds and its default."""
        tables = _tables(page("reference/edge-model"))
        for heading, name in SECTIONS.items():
            fields = _fields(name)
            table = tables[heading]
            self.assertEqual(list(table), [*fields], heading)
            for field, schema in fields.items():
                what, default = table[field]
                self.assertIn(_bound(schema), what.replace(" ", "").replace(",", ""), field)
                known = _default(schema)
                if known is not None and default not in ("made", "needed", "absent", "see below"):
                    self.assertEqual(default.strip("`"), known, f"{heading} {field}")
                if default == "needed":
                    self.assertNotIn("default", schema)

    def test_runtime(self) -> None:
        """So it is with what is shown of a backend, and of a certificate, besides."""
        text = page("reference/edge-model")
        shown = re.findall(r"^``(\w+)``", text.split("Shown, and not set")[1], re.MULTILINE)
        measured = [name for name, each in _properties("Backend").items() if "readOnly" in each]
        measured.remove("notes")
        self.assertEqual(shown[: len(measured)], measured)

    def test_paths(self) -> None:
        """The table of the API has exactly its paths, with their methods."""
        shown = re.findall(r"^``([A-Z]+) (\S+?)``", page("reference/edge-api"), re.MULTILINE)
        # Lists: below the base, and at the root, there is a path of one name.
        there = [
            (method.upper(), path.removeprefix(BASE))
            for path, methods in describe()["paths"].items()
            for method in methods
            # Parts of pages, which their rows name.
            if not path.endswith((".css", ".js"))
        ]
        spelled = [(method, re.sub(r":(\w+)", r"{\1}", path)) for method, path in shown]
        self.assertEqual(sorted(spelled), sorted(there))

    def test_errors_of_the_api(self) -> None:
        """Each error that the API answers with has its row."""
        shown = re.findall(r"^(\d{3}) +``(\w+)`` ", page("reference/edge-api"), re.MULTILINE)
        source = source_of("api", "edge")
        told = set(re.findall(r'Problem\(\s*(\d{3}),\s*"(\w+)"', source))
        told |= {("401", code) for code in re.findall(r'_unauthorized\("(\w+)"', source)}
        self.assertEqual(set(shown), told)

    def test_failures(self) -> None:
        """The reference names exactly the causes that an answer of the edge can have."""
        told = causes_in("wire", "net", "forwarding", "upstreams", "edge")
        self.assertEqual(causes_of("reference/edge-failures"), told)

    def test_metrics(self) -> None:
        """The reference names exactly the metrics that a scrape shows, in their order."""
        parts = measure(self.tracker, FakeEdge(), 1_700_000_042.0)
        names = dict.fromkeys(name for families in parts for name in scraped(families))
        self.assertEqual(documented("edge-metrics"), [*names])

    def test_access_log(self) -> None:
        """The reference has every field of a line, in their order; an event has the same."""
        place = self.mktemp()
        log = AccessLog(lambda: FileSink(place), self.sweep)
        log.record(Completed())
        log.close()
        line = json.loads(Path(place).read_text(encoding="ascii"))
        text = page("reference/edge-access-log")
        shown = re.findall(r"^``(\w+)``  ", text, re.MULTILINE)
        self.assertEqual(shown, [*line])
        self.assertEqual(shown[1:], [*completed_event(Completed()).data])

    def test_events(self) -> None:
        """Every event has its row."""
        shown = re.findall(r"^``([a-z.]+)``  ", page("reference/edge-events"), re.MULTILINE)
        self.assertEqual(shown, [*EventName, "dropped"])

    def test_statistics(self) -> None:
        """Every name in the documents of the statistics is on the page."""
        self.tracker.track("api", "one").record(Completed())
        text = page("reference/edge-events")
        for route in (None, "api"):
            document = stats(self.tracker, FakeEdge(), 1_700_000_042.0, route)
            for name in _names(document):
                self.assertRegex(text, rf'"{name}"|``{name}``', name)

    def test_limits(self) -> None:
        """Every bound has its row, with its number."""
        rows = dict(
            re.findall(r"^``([\w.]+)`` +([\d^.− ]+?)  +\S", page("reference/limits"), re.MULTILINE)
        )
        told = {name: _number(text) for name, text in rows.items()}
        there = {name: value for name, value in vars(bounds).items() if name.isupper()}
        self.assertEqual({name: told[name] for name in told if "." not in name}, there)
        for name in (name for name in told if "." in name):
            module, _, constant = name.rpartition(".")
            value = getattr(__import__(module, fromlist=[constant]), constant)
            self.assertEqual(told[name], value, name)


def _tables(text: str) -> dict[str, dict[str, tuple[str, str]]]:
    """Return the tables of fields by heading: what each is, and its default, by its name."""
    tables: dict[str, dict[str, tuple[str, str]]] = {}
    heading = field = ""
    lines = text.split("\n")
    for line, below in itertools.pairwise(lines):
        if line and not line.startswith(" ") and set(below) in ({"="}, {"-"}):
            heading = line
        elif found := re.match(r"``(\w+)`` +", line):
            field = found[1]
            if line[47:49] == "  ":
                tables.setdefault(heading, {})[field] = line[21:47].strip(), line[49:67].strip()
        elif line.startswith(" " * 21) and field in tables.get(heading, {}):
            what, default = tables[heading][field]
            tables[heading][field] = f"{what} {line[21:47].strip()}", default
    return tables


def _properties(name: str) -> dict[str, Schema]:
    name, _, member = name.partition(".")
    properties = SCHEMAS[name]["properties"]
    return dict(properties[member]["properties"] if member else properties)


def _fields(name: str) -> dict[str, Schema]:
    """Return what may be set of a thing."""
    hidden = OF_ALL_PROVIDERS if name.endswith("Provider") else set()
    return {
        field: schema
        for field, schema in _properties(name).items()
        if "readOnly" not in schema and field not in hidden
    }


def _bound(schema: Schema) -> str:
    """Return how the bounds of a number, a list or an object are written; empty for others."""
    if "exclusiveMinimum" in schema and "minimum" not in schema:
        return f"above0upto{schema['maximum']}"
    if "minimum" in schema and schema.get("maximum") != bounds.BODY_BYTES:
        return f"{schema['minimum']:g}–{schema['maximum']}"
    for most in ("maxItems", "maxProperties"):
        if most in schema:
            return f"0–{schema[most]}"
    return ""


def _default(schema: Schema) -> str | None:
    """Return how a default is written; None if the description does not say it."""
    if "default" in schema:
        default = schema["default"]
        return default if isinstance(default, str) else json.dumps(default)
    if "null" in schema.get("type", ()) or {"type": "null"} in schema.get("anyOf", ()):
        return "null"
    if schema.get("maxItems") == bounds.EXPECTED:
        return '["200-399"]'
    return _EMPTY.get(str(schema.get("type")))


def _names(document: typing.Mapping[str, typing.Any]) -> typing.Iterator[str]:
    """Return the names in a document, but for those that somebody has chosen."""
    for name, value in document.items():
        yield name
        if name in ("backends", "certificates"):
            for each in value.values() if isinstance(value, dict) else value:
                yield from _names(each)
        elif isinstance(value, dict) and name != "byCause":
            yield from _names(value)


def _number(text: str) -> float:
    if text == "2^53 − 1":
        return 2**53 - 1
    return float(text.replace(" ", ""))
