"""``aluvia agent-key`` for tests: the keys that it gives are seen nowhere else."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.edge_case import EdgeCase
from tests.support import Curled

AGENT_KEY = (
    *(sys.executable, "-c", "from aluvia.cli.main import main; raise SystemExit(main())"),
    "agent-key",
)


class AgentKeyCase(EdgeCase):
    """Gives keys; none of them is seen anywhere else."""

    async def call(self, db: Path, *words: str) -> Curled:
        """Call the command."""
        return await self.run_command(*AGENT_KEY, *words, "--db", str(db))

    async def add(self, db: Path, name: str, *words: str) -> str:
        """Add a key, which every process of this test is to keep to itself."""
        ran = await self.call(db, "add", name, "--json", *words)
        self.assertEqual((ran.status, ran.stderr), (0, ""))
        added = json.loads(ran.stdout)
        self.assertEqual(added["name"], name)
        self.secrets.append(added["key"])
        return str(added["key"])

    async def names(self, db: Path) -> list[str]:
        """The names in a list, in which no key is."""
        ran = await self.call(db, "list", "--json")
        self.assert_no_secret(ran.stdout)
        return [each["name"] for each in json.loads(ran.stdout)]
