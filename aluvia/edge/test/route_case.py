"""What the tests of routes share."""

from __future__ import annotations

import typing

from aluvia.edge.fields import read_route
from aluvia.edge.model import (
    Route,
)
from aluvia.edge.test.fields_case import FieldsCase, ids


class RouteCase(FieldsCase):
    """A test of routes."""

    def read(
        self, document: object = None, before: Route | None = None, **members: object
    ) -> Route:
        """Read a document, or one with these members for a vhost."""
        if document is None:
            document = {"vHost": "a.example"} | members
        return read_route(document, ids(), before).value

    def refuse(self, *expected: tuple[str, str], **members: object) -> None:
        """A document with these members has these faults."""
        self.assert_told(self.told(self.read, **members), *expected)

    def refuse_each(self, name: str, values: typing.Iterable[object], detail: str) -> None:
        """Each value of a member is a fault there."""
        for value in values:
            told = self.told(self.read, **{name: value})
            self.assertEqual([f"/{name}"], [pointer for pointer, _ in told], repr(value))
            self.assertIn(detail, told[0][1])
