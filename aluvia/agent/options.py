"""
Every option of the agent, in one table: its name, what it takes, and what it is for.

The command line, the ``ALUVIA_AGENT_*`` environment and the TOML file are three spellings of it.
Some have other variables besides, of agents that this one stands in for; of several that are set
the first holds, in the order of :attr:`~aluvia.process.options.Option.variables`.

The key itself is no option: it stands in a file (``--key-file``) or in one of
:data:`KEY_VARIABLES`, and never on a command line, which others can read.
"""

from __future__ import annotations

import typing

import attrs

from aluvia.agent.hub_url import TakesHubURL
from aluvia.agent.tunnels import TakesTunnels
from aluvia.hub.registration import NAME_CHARS
from aluvia.process.options import Option
from aluvia.process.takes import FilePath, Number, Switch, Word, string
from aluvia.telemetry.logs import FORMATS, THRESHOLDS

__all__ = ["KEY_VARIABLES", "OPTIONS", "PREFIX", "SECRET_VARIABLES"]

PREFIX = "ALUVIA_AGENT_"

#: Where the key may stand, besides in a file; the first that is set holds.
KEY_VARIABLES = ("ALUVIA_AGENT_KEY", "AGENT_KEY", "PROXER_AGENT_TOKEN")


@attrs.frozen
class AgentOption(Option):
    """One option, with the agent's own variables."""

    prefix: typing.ClassVar[str] = PREFIX


@attrs.frozen
class Name:
    """A name for people, or one that agents share."""

    def from_text(self, text: str) -> object:
        """Read it."""
        name = text.strip()
        if not (name.isprintable() and 1 <= len(name) <= NAME_CHARS):
            raise ValueError(f"must be 1 to {NAME_CHARS} printable characters")
        return name

    def from_toml(self, value: object) -> object:
        """Take a string."""
        return self.from_text(string(value))


_SECONDS = Number(0.001, 86_400, unit=" of seconds")

#: All of them, in the order in which help shows them.
OPTIONS: tuple[Option, ...] = (
    AgentOption(
        "hub",
        "hub",
        TakesHubURL(),
        "URL",
        "the hub to connect to, such as wss://hub.example.com/agent; without a path it is /agent",
        ("ALUVIA_HUB", "ORCH_WS", "PROXER_GATEWAY_BASE_URL"),
    ),
    AgentOption(
        "key-file",
        "key_file",
        FilePath(),
        "FILE",
        "a file with the agent's key; or the key itself in the variable ALUVIA_AGENT_KEY",
    ),
    AgentOption(
        "id",
        "id",
        Name(),
        "NAME",
        "what the agent is called where people see it [default: this machine's name]",
    ),
    AgentOption(
        "group",
        "group",
        Name(),
        "SECRET",
        "agents that name the same group share their tunnels' ids; who knows it gets their "
        "visitors, so ALUVIA_AGENT_GROUP or a file (--config) is a better place for it",
    ),
    AgentOption(
        "publish",
        "publish",
        TakesTunnels("http"),
        "ID=URL",
        "publish a web server under an id (repeatable), such as 'app=http://127.0.0.1:3000', or "
        "'app@TOKEN=...' if its visitors must show a token, which others can read here, and not "
        "in ALUVIA_PUBLISH or a file (--config)",
        ("ALUVIA_PUBLISH", "PROXER_AGENT_TUNNELS"),
    ),
    AgentOption(
        "publish-tcp",
        "publish_tcp",
        TakesTunnels("tcp"),
        "ID=HOST:PORT",
        "publish a port that speaks anything else (repeatable), such as 'db=127.0.0.1:5432'",
        ("ALUVIA_PUBLISH_TCP",),
    ),
    AgentOption(
        "exit",
        "exit",
        Switch(),
        "",
        "lend this machine's line to others; not available yet",
    ),
    AgentOption(
        "carrier",
        "carrier",
        Word(("auto", "wss", "longpoll")),
        "KIND",
        "how the hub is spoken to: wss, a WebSocket; longpoll, whole requests, for networks that "
        "break WebSockets; auto, the one that works [default: auto]",
    ),
    AgentOption(
        "insecure",
        "insecure",
        Switch(),
        "",
        "allow a hub on another machine without TLS (ws://): the key and all that visitors send "
        "can then be read on the way",
    ),
    AgentOption(
        "cafile",
        "cafile",
        FilePath(),
        "FILE",
        "certificates (PEM) to trust for the hub and for targets on other machines, besides the "
        "system's",
    ),
    AgentOption(
        "port-file",
        "port_file",
        FilePath(),
        "FILE",
        "write the hub, the tunnels' ids and the process id there, as JSON, when started",
    ),
    AgentOption(
        "connect-timeout",
        "connect_timeout",
        _SECONDS,
        "SECONDS",
        "for a connection to be made, to the hub or to a target [default: 10]",
    ),
    AgentOption(
        "idle-timeout",
        "idle_timeout",
        _SECONDS,
        "SECONDS",
        "after which a stream in which nothing moves ends [default: 3600]",
    ),
    AgentOption(
        "drain-timeout",
        "drain_timeout",
        Number(0, 86_400, unit=" of seconds"),
        "SECONDS",
        "for live streams to end after a SIGTERM [default: 10]",
    ),
    AgentOption(
        "max-streams",
        "max_streams",
        Number(1, 100_000, whole=True),
        "N",
        "streams at once, each a connection to a target; more are refused [default: 1024]",
    ),
    AgentOption(
        "log-level",
        "log_level",
        Word(tuple(THRESHOLDS)),
        "LEVEL",
        "silent (errors only), info or debug [default: info]",
    ),
    AgentOption(
        "log-format",
        "log_format",
        Word(FORMATS),
        "FORMAT",
        "text or json [default: text]",
    ),
)

#: What may hold a secret, and is taken out of the environment once it was read.
SECRET_VARIABLES = (
    *KEY_VARIABLES,
    *(
        variable
        for option in OPTIONS
        if option.field in ("group", "publish")
        for variable in option.variables
    ),
)
