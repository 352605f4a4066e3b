"""
Log lines: text for people, JSON for programs; without secrets, and without surprises.

Whoever reads a log line by line can trust that

* a line that does not begin with a tab is one event, whatever was in it: control characters and
  line ends in a message are escaped, and the lines of a traceback begin with a tab;
* in JSON every line is one object;
* no secret that the redactor knows is in it, in tracebacks and fields as little as in messages,
  and nothing that looks like credentials;
* it is there: an event that cannot be formatted leaves a line that says so.

The levels are the product's: ``silent`` shows errors only, ``info`` also warnings and information,
``debug`` everything.
"""

from __future__ import annotations

import json
import math
import typing
from datetime import UTC, datetime

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, formatTime
from twisted.python.failure import Failure
from twisted.python.reflect import safe_repr
from zope.interface import implementer

from aluvia.telemetry.redaction import Redactor, without_credentials

#: What is shown at each level: this and whatever is graver.
THRESHOLDS = {"silent": LogLevel.error, "info": LogLevel.info, "debug": LogLevel.debug}

FORMATS = ("text", "json")

#: Bounds, in characters, of what one event may put on a line. The cut is marked.
MESSAGE_CHARS = 16_384
TRACEBACK_CHARS = 65_536
FIELD_CHARS = 4_096

#: Bounds of a structured field in JSON: how deep, how many items at each level, and
#: how long an integer may be.
FIELD_DEPTH = 3
FIELD_ITEMS = 64
INTEGER_BITS = 256

CUT = "…[cut]"

_LEVELS = tuple(LogLevel.iterconstants())

# Line ends and controls (C0, DEL, C1) would forge lines or drive a terminal, bidirectional marks
# show something else than what is there, and lone surrogates cannot be encoded.
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_ESCAPES |= {
    code: f"\\u{code:04x}"
    for code in (*range(0x2028, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000))
}
_ESCAPES |= {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}

# Keys of an event that the line shows elsewhere, or that are Twisted's older log system.
_NOT_FIELDS = frozenset(
    ("message", "time", "system", "format", "isError", "failure", "why", "printed")
)


class Stream(typing.Protocol):
    """What lines are written to: a file, standard output, a rotating log file."""

    def write(self, text: str, /) -> object:
        """Take one line, with its line end."""

    def flush(self) -> object:
        """Let it be seen."""


def make_observer(level: str, format: str, stream: Stream, redactor: Redactor) -> LineObserver:
    """
    A log observer that writes one line per event.

    :param level: a key of :data:`THRESHOLDS`.
    :param format: one of :data:`FORMATS`.
    :param stream: where lines go; it is flushed after each.
    :param redactor: what takes the secrets out; it may learn more of them later.
    """
    render = {"text": text_line, "json": json_line}[format]
    return LineObserver(THRESHOLDS[level], render, stream, redactor)


#: What says, below a warning, whatever a server makes it say, as often as that likes: each 1xx.
TALKED_INTO = ("twisted.web._newclient",)


@implementer(ILogObserver)
class LineObserver:
    """
    Writes the events at or above a level.

    :param render: makes an event into one line without its line end.
    """

    def __init__(
        self,
        threshold: typing.Any,
        render: typing.Callable[[LogEvent, Redactor], str],
        stream: Stream,
        redactor: Redactor,
    ) -> None:
        self._threshold = threshold
        self._render = render
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._redactor = redactor

    def set_level(self, level: str) -> None:
        """Write the events at or above another level from now on; a key of :data:`THRESHOLDS`."""
        self._threshold = THRESHOLDS[level]

    def __call__(self, event: LogEvent) -> None:
        """Write one event, if its level is one to be shown."""
        level = _level(event)
        if level < self._threshold:
            return
        if level < LogLevel.warn and event.get("log_namespace") in TALKED_INTO:
            return
        try:
            line = without_credentials(self._render(event, self._redactor))
        except Exception as error:
            # Its keys and values are what broke it, so that only our own words are safe.
            line = f"- [aluvia.telemetry.logs#error] an event could not be shown: {type(error)!r}"
        # An encoding that is less than UTF-8 (a terminal in a C locale) must not lose the line.
        data = line.encode(self._encoding, "backslashreplace").decode(self._encoding)
        self._stream.write(data + "\n")
        self._stream.flush()


def text_line(event: LogEvent, redactor: Redactor) -> str:
    """``TIME [NAMESPACE#LEVEL] MESSAGE``, and a traceback's lines behind it, each after a tab."""
    time = _time(event)
    shown = "-" if time is None else formatTime(time)
    system = event.get("log_system")
    if system is None:
        system = f"{event.get('log_namespace', '-')}#{_level(event).name}"
    else:
        system = redactor(_text(system))
    line = f"{shown} [{escape(system)}] {escape(_message(event, redactor))}"
    trace = _traceback(event, redactor)
    if trace:
        line += "".join(f"\n\t{escape(part)}" for part in trace.split("\n"))
    return line


def json_line(event: LogEvent, redactor: Redactor) -> str:
    """
    One object: ``time`` (RFC 3339, UTC, null if unknown), ``level``, ``logger``, ``message``,
    and where there are any ``fields`` and ``traceback``.
    """
    time = _time(event)
    record: dict[str, object] = {
        "time": None
        if time is None
        else datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds"),
        "level": _level(event).name,
        "logger": _text(event.get("log_namespace", "-")),
        "message": _message(event, redactor),
    }
    fields = {
        redactor(key): _plain(value, redactor, FIELD_DEPTH)
        for key, value in event.items()
        if isinstance(key, str) and not key.startswith("log_") and key not in _NOT_FIELDS
    }
    if fields:
        record["fields"] = fields
    trace = _traceback(event, redactor)
    if trace:
        record["traceback"] = trace
    return json.dumps(record)


def escape(text: str) -> str:
    """The text on one line, with nothing in it that a terminal would act on."""
    return text.translate(_ESCAPES)


def _level(event: LogEvent) -> typing.Any:
    level = event.get("log_level")
    # By identity: the comparison of a stranger may raise.
    return next((known for known in _LEVELS if known is level), LogLevel.info)


def _time(event: LogEvent) -> float | None:
    time = event.get("log_time")
    # A year that no calendar has is no time.
    if isinstance(time, int | float) and 0 <= time < 32_503_680_000:
        return float(time)
    return None


def _message(event: LogEvent, redactor: Redactor) -> str:
    return _short(redactor(formatEvent(event)), MESSAGE_CHARS)


def _traceback(event: LogEvent, redactor: Redactor) -> str:
    failure = event.get("log_failure")
    if not isinstance(failure, Failure):
        return ""
    try:
        trace = failure.getTraceback()
    except Exception as error:
        # Formatting one calls the repr and str of strangers.
        trace = f"(a traceback that cannot be shown: {type(error).__name__})"
    return _short(redactor(trace).rstrip("\n"), TRACEBACK_CHARS)


def _plain(value: object, redactor: Redactor, depth: int) -> object:
    """A field's value in terms that JSON has, bounded."""
    if isinstance(value, bool | None) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, int):
        # Python itself refuses to write the longest ones out.
        short = value.bit_length() <= INTEGER_BITS
        shown = str(value) if short else f"({value.bit_length()} bits)"
        return value if short and redactor(shown) == shown else redactor(shown)
    if depth and isinstance(value, dict):
        pairs = list(value.items())[:FIELD_ITEMS]
        return {_shown(key, redactor): _plain(item, redactor, depth - 1) for key, item in pairs}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, redactor, depth - 1) for item in list(value)[:FIELD_ITEMS]]
    return _shown(value, redactor)


def _shown(value: object, redactor: Redactor) -> str:
    return _short(redactor(_text(value)), FIELD_CHARS)


def _text(value: object) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    shown: str = safe_repr(value)
    return shown


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit] + CUT
