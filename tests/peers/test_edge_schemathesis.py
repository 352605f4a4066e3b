"""Schemathesis against the running API, with the description that it gives of itself."""

from __future__ import annotations

import subprocess
import sys

from tests.aluvia_process import clean_environment
from tests.edge_process import BASE, TOKEN
from tests.peers.edge import HOST, Edge, EdgeCase
from tests.peers.support import in_thread, need_module

SCHEMATHESIS = (sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()")

SEED = "20261121"

#: How long a run may take, on a machine that is busy.
SECONDS = 200

#: All that there are, but for two: that valid data is taken (a description cannot say that a
#: key fits its certificate, or what ``If-Match`` has to be), and that one user does not see what is
#: another's (there is one).
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
)

#: An answer is not to be held, and a condition that does not hold is looked at before a body is.
_CONFIGURATION = """
[parameters]
"query.wait" = 0
{parameters}

[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 411, 412, 413, 415, 422]
"""


class EdgeSchemathesisTests(EdgeCase):
    """The whole API, but for the stream of events, which has no end."""

    async def run_schemathesis(self, edge: Edge, *options: str, **parameters: str) -> None:
        """
        Run it; nothing must be found.

        :param parameters: of paths, each with the one value that is used for it.
        """
        need_module("schemathesis")
        configuration = self.folder() / "schemathesis.toml"
        lines = [f'"path.{name}" = "{value}"' for name, value in parameters.items()]
        configuration.write_text(_CONFIGURATION.format(parameters="\n".join(lines)))
        command = [
            *(*SCHEMATHESIS, "--config-file", str(configuration), "run"),
            *("--header", f"Authorization: Bearer {TOKEN}", "--seed", SEED, "--no-color"),
            *("--checks", ",".join(CHECKS), "--generation-database", "none", "--warnings", "off"),
            *("--request-timeout", "20", "--exclude-path", f"{BASE}/events"),
            *(*options, f"{edge.api_url}/openapi.json"),
        ]
        ran = await in_thread(
            lambda: subprocess.run(
                command,
                cwd=configuration.parent,
                env=clean_environment(),
                capture_output=True,
                text=True,
                check=False,
                timeout=SECONDS,
            )
        )
        self.assertEqual(ran.returncode, 0, ran.stdout[-8000:] + ran.stderr)

    async def assert_sound(self, edge: Edge) -> None:
        """What is configured by now can be put in its own place, and is there after a restart."""
        whole = await edge.api.get("/config?secrets=1")
        await edge.change("PUT", "/config?secrets=1", whole)
        self.assertEqual(await edge.api.get("/config?secrets=1"), whole)
        self.assertEqual((await edge.api("GET", "//healthz")).status, 200)
        await edge.stop()
        again = await self.edge(db=edge.db)
        self.assertEqual(await again.api.get("/config?secrets=1"), whole)

    async def test_all_of_it(self) -> None:
        """Each operation with data that is right and that is wrong, alone and one after another."""
        edge = await self.edge()
        phases = ("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "8")
        await self.run_schemathesis(edge, *phases)
        await self.assert_sound(edge)

    async def test_what_there_is(self) -> None:
        """What can be done with a route, a backend and a certificate that are there."""
        edge = await self.edge()
        backend: dict[str, object] = {"id": "one", "hostname": "127.0.0.1", "port": 9}
        await edge.route(HOST, backend, id="known")
        await self.certify(edge, HOST)
        await self.run_schemathesis(
            edge,
            *("--phases", "fuzzing", "--max-examples", "20", "--exclude-method", "DELETE"),
            *("--include-path-regex", "/(backends|certificates)/|/[{]vHost[}](/backends)?$"),
            **{"vHost": "known", "id": "one", "domain": HOST},
        )
        self.assertTrue(any(each["id"] == "one" for each in await edge.members("known")))
        await self.assert_sound(edge)
