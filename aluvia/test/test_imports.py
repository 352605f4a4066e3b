"""Who may import whom, read from the source; ``docs/architecture.rst`` has the picture."""

from __future__ import annotations

import ast
import pathlib
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

import aluvia

BELOW_SERVICES = {
    "__version__",
    "adapters",
    "arguments",
    "errors",
    "forwarding",
    "net",
    "process",
    "rules",
    "telemetry",
    "wire",
}
SERVICES = {"agent", "client", "edge", "gateway"}

# What brings Klein or SQLAlchemy, or a reactor with them: loaded by those who run it.
HEAVY = {"store", "edge", "gateway", "demo", "hub.stored_keys"}

# What each part may import of ours, besides itself. What is not here has no place yet.
OURS: dict[str, set[str]] = {
    "": {"integrations.launch"},
    "errors": set(),
    "adapters": set(),
    "arguments": set(),
    "wire": set(),
    "rules": {"wire.target"},
    "net": {"wire"},
    "telemetry": {"net", "wire"},
    "forwarding": {"net", "telemetry", "wire"},
    "process": {"__version__", "net", "telemetry", "wire"},
    "api": {"net", "telemetry", "wire"},
    "store": set(),
    "upstreams": {"net", "wire"},
    "hub": {"api", "net", "store", "telemetry", "wire"},
    # What a registration is, both ends know; the hub itself is not an agent's.
    "agent": BELOW_SERVICES | {"hub.registration"},
    "edge": BELOW_SERVICES | {"api", "hub", "store", "upstreams"},
    "client": BELOW_SERVICES | {"api"},
    "gateway": BELOW_SERVICES | {"api", "store"},
    **dict.fromkeys(("integrations", "testing"), BELOW_SERVICES | SERVICES | {"hub"}),
    "cli": BELOW_SERVICES | SERVICES | {"hub.keys", "hub.registration", "integrations", "store"},
    # The one place that puts services together.
    "demo": BELOW_SERVICES | SERVICES | {"hub", "store"},
}
# What one module may import besides, and its part may not.
EXCEPTIONS = {
    "agent.tap": {"demo.agent"},
    "client.tap": {"demo.service"},
    "edge.tap": {"demo.edge"},
}
# What of a service its own modules may import only from these.
TOPS = {"service": {"service", "session", "tap"}, "tap": {"tap"}}

# What the pure parts may import of others', and what of the standard library is not pure.
THEIRS = {"wire": {"attrs", "httptools", "idna"}, "rules": {"attrs", "publicsuffixlist"}}
IMPURE = {"asyncio", "logging", "os", "random", "select", "ssl", "subprocess", "threading", "time"}
PURE = set(sys.stdlib_module_names) - IMPURE

PROCESS_WIDE = {
    "twisted.internet.reactor",
    "twisted.internet.threads.deferToThread",
    "os.environ",
    "os.getenv",
}

DEFAULT = re.compile(r"\breactor\b[^,]*=\s*None")


def imported(tree: ast.AST) -> Iterator[str]:
    """Every dotted name that ``tree`` imports anywhere; a relative one begins with its dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            yield from (f"{source}.{alias.name}" for alias in node.names)


def process_wide(tree: ast.AST) -> set[str]:
    """What ``tree`` takes from the process, but for the default of a ``reactor=None``."""
    arguments = getattr(tree, "args", None)
    if isinstance(arguments, ast.arguments) and DEFAULT.search(ast.unparse(arguments)):
        return set()
    found = set()
    if isinstance(tree, ast.Import | ast.ImportFrom):
        found = PROCESS_WIDE.intersection(imported(tree))
    elif isinstance(tree, ast.Attribute):
        found = PROCESS_WIDE.intersection([ast.unparse(tree)])
    return found.union(*map(process_wide, ast.iter_child_nodes(tree)))


def is_logic(node: ast.stmt) -> bool:
    """Whether a statement of an ``__init__.py`` is more than a docstring, import or constant."""
    if isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign) and node.value is not None:
        return any(isinstance(part, ast.Call | ast.Lambda) for part in ast.walk(node.value))
    return not isinstance(node, ast.Import | ast.ImportFrom)


def under(name: str, parts: set[str]) -> bool:
    """Whether a dotted ``name`` is one of ``parts``, or in one."""
    return any(f"{name}.".startswith(f"{part}.") for part in parts)


def violations(module: str, source: str) -> Iterator[str]:
    """
    Tell what ``source`` does that the module of that name must not, a sentence for each.

    :param module: the dotted name below ``aluvia``; a package's ends in ``__init__``.
    """
    tree = ast.parse(source)
    part, _, rest = module.replace("__init__", ".__init__", module == "__init__").partition(".")
    if part not in OURS:
        yield f"{module} has no place in the picture"
        return
    for name in imported(tree):
        root, _, ours = name.partition(".")
        if root == "aluvia":
            if not under(ours, OURS[part] | EXCEPTIONS.get(module, set()) | {part} - {""}):
                yield f"{module} imports {name}"
            for top, above in TOPS.items():
                if part in SERVICES and under(ours, {f"{part}.{top}"}) and rest not in above:
                    yield f"{module} imports {name}, which stands above it"
        elif not root or (part in THEIRS and root not in THEIRS[part] | PURE):
            yield f"{module} imports {name}, which is relative or not pure"
    if part not in ("cli", "integrations") and rest != "tap":
        yield from (f"{module} takes {name} from the process" for name in process_wide(tree))
    if rest.endswith("__init__"):
        yield from (f"{module} has logic in line {n.lineno}" for n in tree.body if is_logic(n))


def modules() -> Iterator[tuple[str, str]]:
    """Name and source of each installed module of aluvia that is no test."""
    root = pathlib.Path(aluvia.__file__).parent
    for path in sorted(root.rglob("*.py")):
        names = path.relative_to(root).with_suffix("").parts
        if "test" not in names:
            yield ".".join(names), path.read_text(encoding="utf-8")


DEFAULT_REACTOR = "def f(*, reactor: object = None):\n  from twisted.internet import reactor"

KEPT = [
    ("wire.head", "import httptools, re\nfrom aluvia.wire.errors import ProtocolViolation"),
    ("wire.__init__", '"""Why."""\nfrom aluvia.wire.head import Head\nNAMES = ["a"]'),
    ("rules.match", "from aluvia.wire.target import canonical_host"),
    ("net.dial", "from twisted.internet import defer\nfrom aluvia.wire import limits"),
    ("client.service", DEFAULT_REACTOR),
    ("client.admin_site", "from aluvia.api.site import BoundedSite"),
    ("client.tap", "import os\nos.environ\nfrom aluvia.client.service import make"),
    ("cli.status", "from aluvia.client import options"),
    ("cli.account", "def execute():\n  from aluvia.store import accounts"),
    ("gateway.service", "from aluvia.api.watch import Watch\nfrom aluvia.store import engine"),
    ("gateway.tap", "from aluvia.process import collector"),
    ("cli.run", "from aluvia.integrations.child import ProxyProcess"),
    ("integrations.launch", "import os\nos.environ\nfrom aluvia.client.options import OPTIONS"),
]

BROKEN = [
    ("__init__", "import aluvia.wire"),
    ("wire.head", "from aluvia.net import relay"),
    ("wire.head", "from twisted.internet import defer"),
    ("wire.head", "import time"),
    ("wire.__init__", "import re\nTOKEN = re.compile('a')"),
    ("rules.match", "from aluvia.wire.head import RequestHead"),
    ("rules.match", "import attrs, twisted"),
    ("net.dial", "def late():\n  from aluvia.rules import decide"),
    ("net.dial", "from . import guard"),
    ("net.dial", DEFAULT_REACTOR.replace(" = None", "")),
    ("net.dial", "import twisted.internet\ntwisted.internet.reactor.run()"),
    ("net.dial", "from twisted.internet.threads import deferToThread"),
    ("client.proxy", "from aluvia.gateway import accounts"),
    ("client.proxy", "from aluvia.client.service import ClientService"),
    ("client.service", "import aluvia.client.tap"),
    ("client.service", "import os\nos.getenv('HOME')"),
    ("client.service", "from aluvia.testing import peers"),
    ("client.__init__", "def start(): ..."),
    ("client.config", "from aluvia.store import accounts"),
    ("gateway.policy", "from aluvia.client.policy import ClientPolicy"),
    ("gateway.policy", "from aluvia.gateway.service import GatewayService"),
    ("store.accounts", "from aluvia.net import dial"),
    ("store.agent_keys", "from aluvia.hub.registration import tunnel_id"),
    ("hub.registry", "from aluvia.edge import edge"),
    ("api.watch", "from aluvia.store import accounts"),
    ("process.supervise", "from aluvia.client import options"),
    ("integrations.launch", "from aluvia.cli.run import execute"),
    ("misc.things", "import re"),
]


class ImportTests(SynchronousTestCase):
    """The source keeps the rules, and the rules catch what they are for."""

    def test_source(self) -> None:
        """No module imports, takes from the process or runs at import what it must not."""
        told = [line for name, source in modules() for line in violations(name, source)]
        self.assertEqual(told, [])

    def test_planted(self) -> None:
        """Each rule tells of a violation of it, and of nothing where there is none."""
        self.assertEqual([case for case in KEPT if list(violations(*case))], [])
        self.assertEqual([case for case in BROKEN if not list(violations(*case))], [])

    def test_light(self) -> None:
        """Importing aluvia and its parts loads no Klein, no SQLAlchemy and installs no reactor."""
        names = [f"aluvia.{name}".removesuffix(".__init__") for name, _ in modules()]
        light = [
            name
            for name in names
            if not name.endswith((".tap", ".scrapy"))
            and not under(name.removeprefix("aluvia."), HEAVY)
        ]
        program = f"""
            import importlib, sys
            for name in {light}:
                importlib.import_module(name)
            heavy = {{"klein", "sqlalchemy", "twisted.internet.reactor"}}
            print(sorted(heavy & set(sys.modules)), end="")
        """
        command = [sys.executable, "-c", textwrap.dedent(program)]
        child = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual((child.stdout, child.stderr), ("[]", ""))
