"""
The fields of an account that its owner may change by the API, and what may be in them.

====================  ============================================================================
``rules``             a list of up to :data:`MOST_RULES` strings, each of up to :data:`RULE_CHARS`
                      characters, together up to :data:`RULES_BYTES` as JSON
``session_id``        null, or a string of 1 to :data:`TEXT_CHARS` visible ASCII characters
``target_geo``        the same
====================  ============================================================================

What a rule means is the client's to say; one that matches nothing is not an error.
"""

from __future__ import annotations

import itertools
import json
import re
import typing

from aluvia.api.problems import Fault, Problem
from aluvia.store.accounts import Account

__all__ = ["read_changes", "shown"]

MOST_RULES = 10_000
RULE_CHARS = 512

#: A client takes answers of up to 1 MiB.
RULES_BYTES = 524_288

TEXT_CHARS = 64

#: What is wrong with a body is told up to here. It may have as many faults as it has bytes, nearly.
MOST_FAULTS = 100

_visible = re.compile(rf"[ -~]{{1,{TEXT_CHARS}}}").fullmatch


def shown(account: Account) -> dict[str, object]:
    """What the owner of an account is shown of it."""
    return {
        "proxy_username": account.proxy_username,
        "proxy_password": account.proxy_password,
        "rules": list(account.rules),
        "session_id": account.session_id,
        "target_geo": account.target_geo,
    }


def read_changes(body: typing.Mapping[str, typing.Any]) -> dict[str, object]:
    """
    The changes that a body asks for.

    :return: for :func:`aluvia.store.accounts.change`.
    :raises Problem: 422, with what is wrong, up to :data:`MOST_FAULTS`.
    """
    faults: list[Fault] = []
    changes: dict[str, object] = {}
    for name, value in body.items():
        if name == "rules":
            faults += _rule_faults(value)
            changes[name] = value
        elif name in ("session_id", "target_geo"):
            if value is not None and not (isinstance(value, str) and _visible(value)):
                text = f"must be null, or 1 to {TEXT_CHARS} visible ASCII characters"
                faults.append(Fault(f"/{name}", text))
            changes[name] = value
        else:
            faults.append(Fault(_pointer(name), "cannot be changed here"))
        if len(faults) >= MOST_FAULTS:
            break
    if faults:
        told = faults[:MOST_FAULTS]
        raise Problem(422, "invalid_fields", "Some fields cannot be changed like that.", told)
    if "rules" in changes:
        changes["rules"] = tuple(body["rules"])
    return changes


def _rule_faults(rules: object) -> list[Fault]:
    if not isinstance(rules, list):
        return [Fault("/rules", "must be a list of strings")]
    if len(rules) > MOST_RULES:
        return [Fault("/rules", f"must have at most {MOST_RULES} items")]
    wrong = (
        Fault(f"/rules/{index}", why)
        for index, rule in enumerate(rules)
        for why in [_rule_fault(rule)]
        if why is not None
    )
    faults = [*itertools.islice(wrong, MOST_FAULTS)]
    if not faults and len(json.dumps(rules)) > RULES_BYTES:
        faults = [Fault("/rules", f"must have at most {RULES_BYTES} bytes as JSON")]
    return faults


def _rule_fault(rule: object) -> str | None:
    if not isinstance(rule, str):
        return "must be a string"
    if len(rule) > RULE_CHARS:
        return f"must have at most {RULE_CHARS} characters"
    try:
        rule.encode("utf-8")
    except UnicodeEncodeError:
        return "must be text: it has half of a surrogate pair"
    return None


def _pointer(name: str) -> str:
    """A member's name in a pointer (RFC 6901 section 3), cut where it is long."""
    short = name if len(name) <= TEXT_CHARS else f"{name[:TEXT_CHARS]}..."
    return "/" + short.replace("~", "~0").replace("/", "~1")
