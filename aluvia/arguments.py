"""
The arguments of the Python API, and the options of ``twistd aluvia`` that they stand for.

:class:`~aluvia.client.session.AluviaClient`, :func:`aluvia.launch` and the settings of
:mod:`aluvia.integrations.scrapy` have the same arguments. What they share stands here: the names,
the options that a start from Python has besides, and how a mistake is said to somebody who knows
the arguments alone. What an argument takes is its option's business (:mod:`aluvia.client.options`).

Nothing of Twisted is imported here.
"""

from __future__ import annotations

import re
import typing

__all__ = ["ARGUMENTS", "BESIDES", "FOLLOWING", "flags_of", "in_python", "variable_of"]

#: Each argument's option. That of ``strict`` means the opposite. With ``gateway_url`` no control
#: plane is followed; that and ``rules`` are not everywhere.
ARGUMENTS = {
    "token": "token",
    "api_base_url": "api-base-url",
    "poll_interval": "poll-interval",
    "gateway_protocol": "gateway-protocol",
    "gateway_host": "gateway-host",
    "gateway_port": "gateway-port",
    "local_port": "port",
    "log_level": "log-level",
    "connection": "connection",
    "strict": "no-strict",
    "on_no_config": "on-no-config",
    "state_file": "state-file",
    "gateway_ca": "gateway-ca",
    "gateway_url": "gateway-url",
    "rules": "rule",
}

#: Arguments that mean nothing unless a control plane is followed.
FOLLOWING = frozenset(
    [
        "api_base_url",
        "poll_interval",
        "gateway_protocol",
        "gateway_host",
        "gateway_port",
        "connection",
        "strict",
        "on_no_config",
        "state_file",
    ]
)

#: Options that every start from Python has if no argument says otherwise: many may run at once, and
#: their end waits for nobody.
BESIDES: typing.Mapping[str, str] = {"port": "0", "admin-port": "none", "drain-timeout": "0"}


def flags_of(given: typing.Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """
    The options of a start, by name, as :func:`aluvia.client.load.load_settings` takes them.

    :param given: values by argument. What is None is not set, and names that are no arguments are
        passed over: a function may give all that it was called with, its ``locals()``.
    """
    static = given.get("gateway_url") is not None
    flags = {
        option: given[argument]
        for argument, option in ARGUMENTS.items()
        if given.get(argument) is not None and not (static and argument in FOLLOWING)
    }
    # A switch is on, or is not set.
    if not flags.pop("no-strict", True):
        flags["no-strict"] = True
    if "rule" in flags:
        rules = flags["rule"]
        flags["rule"] = [rules] if isinstance(rules, str) else list(rules)
    return {**BESIDES, **flags}


def variable_of(argument: str) -> str:
    """An argument's name in the environment of ``twistd aluvia``."""
    return "ALUVIA_" + ARGUMENTS[argument].upper().replace("-", "_")


def in_python(text: str) -> str:
    """What is said of options (``--port``) and variables (``ALUVIA_PORT``), said of arguments."""
    arguments = {option: argument for argument, option in ARGUMENTS.items()}

    def renamed(match: re.Match[str]) -> str:
        option = match[1].replace("_", "-").lower()
        return arguments.get(option, option.replace("-", "_"))

    return re.sub(r"(?<![\w-])(?:--|ALUVIA_)([A-Za-z_-]*[A-Za-z])", renamed, text)
