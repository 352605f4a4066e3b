"""nginx in front of a hub and its visitors, as the page about running both says it."""

from __future__ import annotations

import re
import sys
import textwrap

from tests.agent_process import AgentProcess, agent_environment
from tests.aluvia_process import until
from tests.checkout import CHECKOUT
from tests.peers.edge import EdgeCase
from tests.peers.edge_nginx import start_nginx_of
from tests.peers.support import free_port

PAGE = CHECKOUT / "docs/howto/tunnels-deploy.rst"

ALUVIA = (sys.executable, "-c", "from aluvia.cli.main import main; raise SystemExit(main())")

SERVER = """
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/certificate.pem;
        ssl_certificate_key {folder}/key.pem;
        {hub}
        location / {{
            proxy_pass http://127.0.0.1:{http};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
"""


def options() -> list[str]:
    """What the page has the edge started with, behind the places that it listens at."""
    (line,) = re.findall(r"^   \$ twistd .* aluvia-edge (.*)$", PAGE.read_text("utf-8"), re.M)
    words: list[str] = line.split()
    return words[words.index("--trusted-proxy") :]


def locations(hub: int) -> str:
    """What the page has for the hub."""
    (block,) = re.findall(r"code-block:: nginx\n\n((?:   .*\n|\n)+)", PAGE.read_text("utf-8"))
    return textwrap.dedent(block).replace("127.0.0.1:8910", f"127.0.0.1:{hub}")


class BehindNginxTests(EdgeCase):
    """Visitors and agents come by one port, inside TLS."""

    async def test_one_name_for_both(self) -> None:
        """An agent comes online over wss, a page is there, and operators' paths are not."""
        edge = await self.edge("--hub", "127.0.0.1:0", *options())
        folder, port = self.folder(), free_port()
        self.certificate_files(folder, "localhost")
        hub = locations(int(edge.ports["hub"]))
        servers = SERVER.format(folder=folder, port=port, http=edge.port, hub=hub)
        await start_nginx_of(self, folder, servers, port)
        key = folder / "agent.key"
        words = ("agent-key", "add", "laptop", "--db", str(edge.db), "--key-file", str(key))
        made = await self.run_command(*ALUVIA, *words)
        self.assertEqual(made.status, 0, made.stderr)
        origin = self.origin()
        agent = AgentProcess(
            *("--hub", f"wss://localhost:{port}/agent", "--key-file", str(key)),
            *("--cafile", self.certificates.file()),
            *("--publish", f"app=http://127.0.0.1:{origin.port}"),
            environment=agent_environment(ALUVIA_AGENT_KEY=""),
        )
        self._processes.append(agent)
        await until(lambda: agent.port_file.exists() and agent.online, 20, "it is online")
        register = ("--json", '{"agent_id": "a", "token": "wrong", "tunnels": []}')
        for path, status, *more in (
            ("/t/app/hello", "200"),
            ("/api/agent/register", "401", *register),
            ("/api/tunnels", "404"),
            ("/api/health", "404"),
        ):
            got = await self.curl(
                *("--cacert", self.certificates.file(), "--write-out", "%{http_code}", *more),
                f"https://localhost:{port}{path}",
            )
            self.assertTrue(got.stdout.endswith(status), (path, got))
