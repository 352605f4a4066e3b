"""What the agent's demo prints."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.agent.tunnels import Published
from aluvia.demo.agent_lines import Place, agent_lines

APP = Published("app", "http", False, "127.0.0.1", 3000)
PRIVATE = Published("private", "http", False, "127.0.0.1", 3000, "canary-visitor")
API = "http://127.0.0.1:8901"
PLACE = Place(http=8080, api_url=API, api_token="canary-api")


class LinesTests(SynchronousTestCase):
    """All of them."""

    def test_typed(self) -> None:
        """By the path, by the host, with a token, events, and what there is: in this order."""
        lines = agent_lines(PLACE, APP, PRIVATE)
        self.assertEqual(
            [line for line in lines if line.startswith("curl ")],
            [
                "curl http://127.0.0.1:8080/t/app/",
                "curl -4 http://app.tunnels.localhost:8080/",
                "curl -H 'X-Proxer-Tunnel-Token: canary-visitor' http://127.0.0.1:8080/t/private/",
                "curl -N http://127.0.0.1:8080/t/app/events",
                f"curl -H 'Authorization: Bearer canary-api' {API}/api/v1/tunnels",
            ],
        )

    def test_said(self) -> None:
        """It says where the site itself is, and what a browser can be shown."""
        said = "\n".join(agent_lines(PLACE, APP, PRIVATE))
        self.assertIn("A site at 127.0.0.1:3000 ", said)
        self.assertIn(f" {API}/tunnels and asks for that token, canary-api", said)
        self.assertIn(" http://127.0.0.1:8080/t/private/?access_token=canary-visitor", said)

    def test_repr(self) -> None:
        """The tokens are in the lines, and in nothing that a log shows."""
        self.assertNotIn("canary", repr(PLACE) + repr(PRIVATE))
