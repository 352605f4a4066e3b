"""
Merge patches (RFC 7396): a document that says what is other in another one.

What is null in a patch is removed, what is an object is merged, and anything else, lists among it,
takes the place of what was there.
"""

from __future__ import annotations

import typing

__all__ = ["merge_patch"]


def merge_patch(target: object, patch: object) -> typing.Any:
    """
    Apply a patch.

    Neither argument is changed; the result may share parts with both. It is not recursive, so that
    no patch is too deep for it.

    :return: the patched document; members keep their order, and new ones come last.
    """
    if not isinstance(patch, dict):
        return patch
    result = _copied(target)
    todo = [(result, patch)]
    while todo:
        into, changes = todo.pop()
        for name, value in changes.items():
            if value is None:
                into.pop(name, None)
            elif isinstance(value, dict):
                into[name] = below = _copied(into.get(name))
                todo.append((below, value))
            else:
                into[name] = value
    return result


def _copied(value: object) -> dict[typing.Any, typing.Any]:
    return dict(value) if isinstance(value, dict) else {}
