"""A log in memory, with canaries in it."""

from __future__ import annotations

import base64
import io
import typing

from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from aluvia.telemetry.logs import (
    make_observer,
)
from aluvia.telemetry.redaction import Redactor

USER = "canary-user"
PASSWORD = "canary/päss word"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def a_failure(text: str = "boom") -> Failure:
    """A failure with a traceback."""
    try:
        raise ValueError(text)
    except ValueError:
        return Failure()


class Broken:
    """What cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError(PASSWORD)

    __str__ = __repr__


class LogCase(SynchronousTestCase):
    """A log in memory."""

    def setUp(self) -> None:
        """Know the canaries."""
        self.redactor = Redactor()
        self.redactor.add_credentials(USER, PASSWORD)

    def write(self, level: str, format: str, *events: dict[str, typing.Any]) -> str:
        """What these events leave in a log."""
        stream = io.StringIO()
        observer = make_observer(level, format, stream, self.redactor)
        for event in events:
            observer(event)
        return stream.getvalue()

    def logger(self, level: str, format: str) -> tuple[Logger, io.StringIO]:
        """A logger, and what it writes to."""
        stream = io.StringIO()
        observer = make_observer(level, format, stream, self.redactor)
        verifyObject(ILogObserver, observer)
        return Logger(namespace="aluvia.test", observer=observer), stream
