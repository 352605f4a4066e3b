"""Tests for :mod:`aluvia.api.merge_patch`."""

from __future__ import annotations

import copy
import json
import typing

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from aluvia.api.merge_patch import merge_patch
from aluvia.testing.properties import settings_for_tests

#: RFC 7396 appendix A: a document, a patch, and what becomes of it.
EXAMPLES = [
    ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
    ('{"a":"b"}', '{"a":null}', "{}"),
    ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
    ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
    ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
    ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
    ('["a","b"]', '["c","d"]', '["c","d"]'),
    ('{"a":"b"}', '["c"]', '["c"]'),
    ('{"a":"foo"}', "null", "null"),
    ('{"a":"foo"}', '"bar"', '"bar"'),
    ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
    ("[1,2]", '{"a":"b","c":null}', '{"a":"b"}'),
    ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
]

SCALARS = some.none() | some.booleans() | some.integers() | some.text(max_size=3)
DOCUMENTS = some.recursive(
    SCALARS,
    lambda below: (
        some.lists(below, max_size=3)
        | some.dictionaries(some.sampled_from("abc"), below, max_size=3)
    ),
)


def by_the_book(target: typing.Any, patch: typing.Any) -> typing.Any:
    """The pseudo-code of section 2, as it stands there."""
    if isinstance(patch, dict):
        if not isinstance(target, dict):
            target = {}
        for name, value in patch.items():
            if value is None:
                if name in target:
                    del target[name]
            else:
                target[name] = by_the_book(target.get(name), value)
        return target
    return patch


class MergePatchTests(SynchronousTestCase):
    """What a patch makes of a document."""

    def test_examples(self) -> None:
        """Those of the RFC, and the order of what is there stays."""
        for target, patch, result in EXAMPLES:
            merged = merge_patch(json.loads(target), json.loads(patch))
            self.assertEqual(json.dumps(merged, separators=(",", ":")), result)

    @settings_for_tests
    @given(DOCUMENTS, DOCUMENTS)
    def test_book(self, target: object, patch: object) -> None:
        """It is what the RFC's own words come to, and neither argument is changed."""
        given_target, given_patch = copy.deepcopy(target), copy.deepcopy(patch)
        merged = merge_patch(target, patch)
        self.assertEqual(merged, by_the_book(copy.deepcopy(target), patch))
        self.assertEqual((target, patch), (given_target, given_patch))

    def test_deep(self) -> None:
        """No patch is too deep."""
        patch: dict[str, object] = {}
        for _ in range(100_000):
            patch = {"a": patch}
        merged = merge_patch({"b": 1}, patch)
        self.assertEqual(sorted(merged), ["a", "b"])
        # A deep thing is not left to be taken apart by recursion.
        depth = 0
        while "a" in merged:
            merged = merged["a"]
            depth += 1
        self.assertEqual(depth, 100_000)
