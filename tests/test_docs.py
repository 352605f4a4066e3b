"""What the pages say, compared with the code: a list that is written twice stays one list."""

from __future__ import annotations

import ast
import configparser
import re
import sys
import types
import typing
import unittest

from twisted.trial.unittest import SynchronousTestCase

from aluvia.client import admin_metrics
from aluvia.client.config import Snapshot
from aluvia.client.options import OPTIONS
from aluvia.client.polls import Polls
from aluvia.client.test.fake_observed import FakeObserved
from aluvia.forwarding.counters import Counters
from aluvia.gateway import observed as gateway_observed
from aluvia.rules import RuleSet
from aluvia.telemetry.exposition import Families
from tests.checkout import CHECKOUT

DOCS = CHECKOUT / "docs"

#: Options that are no settings, and so are not in the table.
BESIDES = {"--config", "--check", "--demo"}

#: What is imported under another name than it is installed by.
DISTRIBUTIONS = {"OpenSSL": "pyopenssl", "zope": "zope.interface"}

#: RFC 9209 section 2.3.
PROXY_ERRORS = re.findall(
    r"\w+",
    """
    dns_timeout dns_error destination_not_found destination_unavailable destination_ip_prohibited
    destination_ip_unroutable connection_refused connection_terminated connection_timeout
    connection_read_timeout connection_write_timeout connection_limit_reached tls_protocol_error
    tls_certificate_error tls_alert_received http_request_error http_request_denied
    http_response_incomplete http_response_header_section_size http_response_header_size
    http_response_body_size http_response_trailer_section_size http_response_trailer_size
    http_response_transfer_coding http_response_content_coding http_response_timeout
    http_upgrade_failed http_protocol_error proxy_internal_response proxy_internal_error
    proxy_configuration_error proxy_loop_detected
    """,
)


def page(name: str) -> str:
    """Return the source of a page, by its path below ``docs/`` without the suffix."""
    return (DOCS / f"{name}.rst").read_text(encoding="utf-8")


def normal(name: str) -> str:
    """Return a distribution's name in the one spelling of PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(extra: str | None = None) -> set[str]:
    """Return the distributions that ``setup.cfg`` asks for, by their names without versions."""
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg", encoding="utf-8")
    text = setup["options.extras_require"][extra] if extra else setup["options"]["install_requires"]
    return {normal(re.split(r"[\[ <>=]", line)[0]) for line in text.split("\n") if line}


def imported(*, for_tests: bool) -> set[str]:
    """Return the distributions that the package imports: its tests and fakes, or all the rest."""
    roots = set()
    for path in (CHECKOUT / "aluvia").rglob("*.py"):
        if for_tests is not {"test", "testing"}.isdisjoint(path.parts):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    roots |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    roots.add(node.module.partition(".")[0])
    roots -= {*sys.stdlib_module_names, "aluvia"}
    return {normal(DISTRIBUTIONS.get(root, root)) for root in roots}


def source_of(*parts: str) -> str:
    """Return the source of these packages, without that of their tests."""
    files = (path for part in parts for path in (CHECKOUT / "aluvia" / part).glob("*.py"))
    return "".join(path.read_text(encoding="utf-8") for path in files)


def causes_in(*parts: str) -> set[str]:
    """Return the causes of RFC 9209 that the code of these packages names."""
    source = source_of(*parts)
    return {name for name in PROXY_ERRORS if f'"{name}"' in source}


def causes_of(name: str) -> set[str]:
    """Return those that a page names."""
    return set(re.findall(r"``([a-z_]+)``", page(name))).intersection(PROXY_ERRORS)


class DocumentationTests(SynchronousTestCase):
    """Every name that is in two places is the same in both."""

    def test_options(self) -> None:
        """The reference and the README name exactly the options that there are."""
        there = {option.flag for option in OPTIONS} | BESIDES
        reference = set(re.findall(r"^``(--[a-z-]+)", page("reference/options"), re.MULTILINE))
        self.assertEqual(reference, there)
        readme = (CHECKOUT / "README.rst").read_text(encoding="utf-8")
        self.assertEqual(set(re.findall(r"^``(--[a-z-]+)", readme, re.MULTILINE)), there)

    def test_failures(self) -> None:
        """The reference names exactly the causes that an answer of ours can have."""
        told = causes_in("wire", "net", "forwarding", "client")
        self.assertEqual(causes_of("reference/failures"), told)

    def test_metrics(self) -> None:
        """The reference names exactly the metrics that a scrape shows, in their order."""
        observed = FakeObserved()
        observed.polls = Polls()
        observed.now = Snapshot(gateway=None, rules=RuleSet.compile([]), fetched_at=0.0)
        self.assertEqual(documented("metrics"), scraped(admin_metrics.measure(observed, 1.0)))

    def test_metrics_of_the_gateway(self) -> None:
        """So it is with those of the gateway."""
        observed: typing.Any = types.SimpleNamespace(
            counters=Counters(),
            started_at=0.0,
            connections_open=0,
            accepting=True,
            draining=False,
            account_count=0,
            connections_refused=0,
            monitors_waiting=0,
            store_problem=None,
        )
        self.assertEqual(documented("gateway"), scraped(gateway_observed.measure(observed, 1.0)))

    def test_dependencies(self) -> None:
        """What is imported is declared, and what is declared is explained."""
        self.assertEqual(imported(for_tests=False) - declared() - declared("scrapy"), set())
        self.assertEqual(imported(for_tests=True) - declared() - declared("test"), set())
        table = re.findall(
            r"^([a-z][\w, -]*?)(?:\[.*\])?  +\S", page("reference/dependencies"), re.M
        )
        explained = {name for first in table for name in first.split(", ")}
        asked_for = declared().union(*map(declared, ("test", "scrapy", "docs", "dev")))
        self.assertEqual(explained, asked_for)

    def test_security(self) -> None:
        """Each row of the threat table names tests, and each of them is there."""
        pattern = r"``((?:aluvia|tests)\.[\w.]*test_\w+\.\w+\.\w+)``"
        told = page("security").split("\n   * - ")[1:]
        rows = [re.findall(pattern, row) for row in told if not row.startswith("threat\n")]
        self.assertGreater(len(rows), 20)
        self.assertNotIn([], rows)
        self.assertEqual([name for row in rows for name in row if not _is_test(name)], [])

    def test_api(self) -> None:
        """Every module of the package that is no test has its place in the reference, once."""
        pages = (
            path.read_text(encoding="utf-8") for path in (DOCS / "reference/api").glob("*.rst")
        )
        shown = re.findall(r"^\.\. automodule:: (\S+)", "".join(pages), re.MULTILINE)
        there = {
            ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")
            for path in (CHECKOUT / "aluvia").rglob("*.py")
            if "test" not in path.parts
        }
        self.assertEqual(sorted(shown), sorted(there))


def documented(name: str) -> list[str]:
    """Return the metrics that a page of the reference names, as a scrape calls their families."""
    shown = re.findall(
        r"^``(aluvia_\w+)(?:\{.*\})?``(?: |$)", page(f"reference/{name}"), re.MULTILINE
    )
    return [re.sub("_(total|info)$", "", each) for each in shown]


def scraped(families: Families) -> list[str]:
    """Return the names of our own families of a scrape."""
    return [each.name for each in families.collect() if each.name.startswith("aluvia_")]


def _is_test(name: str) -> bool:
    try:
        return unittest.defaultTestLoader.loadTestsFromName(name).countTestCases() == 1
    except (AttributeError, ImportError):
        return False
