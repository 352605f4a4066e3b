"""What the edge's demo prints."""

from __future__ import annotations

import io
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from aluvia.demo.edge_files import EdgeFiles
from aluvia.demo.edge_lines import Way, edge_lines
from aluvia.demo.lines import say

HTTP = Way(scheme="http", address="127.0.0.1", port=8080)
HTTPS = Way(scheme="https", address="127.0.0.1", port=8443, options=("--cacert", "/d/c.pem"))
API = "http://127.0.0.1:8901"
FILES = EdgeFiles(Path("/d"), "canary-token")

#: What asks an edge's only way in, whichever it is.
APP_BY_HTTP = "curl -4 http://app.localhost:8080/ http://app.localhost:8080/"
APP_BY_HTTPS = "curl -4 --cacert /d/c.pem https://app.localhost:8443/ https://app.localhost:8443/"
DEAD = (
    "curl -sSf -X POST -H 'Authorization: Bearer canary-token' "
    f"{API}/api/v1/routes/app.localhost/backends/one/dead > /dev/null && "
)
STATS = f"curl -H 'Authorization: Bearer canary-token' {API}/api/v1/stats"


class WayTests(SynchronousTestCase):
    """How curl comes to an address."""

    def test_families(self) -> None:
        """The family is said: of the other one, somebody else may have the port."""
        for address, said in (
            ("127.0.0.1", "curl -4 http://a.localhost:1/"),
            ("0.0.0.0", "curl -4 http://a.localhost:1/"),
            ("::1", "curl -6 http://a.localhost:1/"),
            ("::", "curl -6 http://a.localhost:1/"),
            ("192.0.2.1", "curl --resolve a.localhost:1:192.0.2.1 http://a.localhost:1/"),
            ("2001:db8::1", "curl --resolve 'a.localhost:1:[2001:db8::1]' http://a.localhost:1/"),
        ):
            self.assertEqual(Way(scheme="http", address=address, port=1).curl("a.localhost"), said)

    def test_options(self) -> None:
        """Those of the way, then those of the request, as a shell wants them."""
        way = Way(scheme="https", address="::1", port=1, options=("--cacert", "/a dir/c.pem"))
        said = (
            "curl -6 --cacert '/a dir/c.pem' -u a:b https://a.localhost:1/ https://a.localhost:1/"
        )
        self.assertEqual(way.curl("a.localhost", "-u", "a:b", times=2), said)


class LinesTests(SynchronousTestCase):
    """All of them."""

    def typed(self, *ways: Way) -> list[str]:
        """What is to be typed."""
        return [line for line in edge_lines(ways, API, FILES) if line.startswith("curl ")]

    def test_both(self) -> None:
        """The two backends, TLS, the password, the API, the statistics: in this order."""
        expected = [
            APP_BY_HTTP,
            "curl -4 --cacert /d/c.pem https://app.localhost:8443/",
            "curl -4 -u demo:demo http://api.localhost:8080/",
            DEAD + APP_BY_HTTP,
            STATS,
        ]
        self.assertEqual(self.typed(HTTP, HTTPS), expected)

    def test_one_of_them(self) -> None:
        """Where there is only one way in, everything goes by it."""
        api = "https://api.localhost:8443/"
        for way, expected in (
            (HTTP, [APP_BY_HTTP, "curl -4 -u demo:demo http://api.localhost:8080/"]),
            (HTTPS, [APP_BY_HTTPS, f"curl -4 --cacert /d/c.pem -u demo:demo {api}"]),
        ):
            expected += [DEAD + expected[0], STATS]
            self.assertEqual(self.typed(way), expected)

    def test_places(self) -> None:
        """It says where the configuration is, and where the API describes itself."""
        said = "\n".join(edge_lines([HTTP], API, FILES))
        self.assertIn(" /d/routes.toml", said)
        self.assertIn(f" {API}/api/v1/docs", said)

    def test_repr(self) -> None:
        """The token is in the lines, and in nothing that a log shows."""
        self.assertNotIn("canary", repr(FILES))


class SayTests(SynchronousTestCase):
    """Printing."""

    def test_said(self) -> None:
        """The lines stand apart from what is around them."""
        out = io.StringIO()
        say(["a", "b"], out)
        self.assertEqual(out.getvalue(), "\na\nb\n\n")

    def test_nobody_reads(self) -> None:
        """A stream that is closed, or broken, harms nothing."""

        class Broken(io.StringIO):
            def write(self, text: str) -> int:
                raise BrokenPipeError

        closed = io.StringIO()
        closed.close()
        for out in (closed, Broken()):
            say(["a"], out)
