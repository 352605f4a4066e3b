"""
Names to addresses, without letting a slow name hold up another.

The system's ``getaddrinfo`` blocks, knows ``/etc/hosts`` and whatever else the machine is set up
with, and cannot be interrupted. So it runs in threads of our own: Twisted's pool also serves
everybody else, and joins its threads at the end, where a name server that hangs would hold up
the stop. Ours are daemon threads and are never waited for.

.. code-block:: text

    lookup ── a literal, *.localhost, or cached ──────────────────────► found, at once
       └── a name ── somebody asks for it already ── wait with them ──► found or failed
               └── new ── a thread is free ── ask ─────────────────────┘
                      └── wait in line (bounded; over it: dns_error)

A thread that hangs on a name stays with it, and whoever asks for that name again waits for that
thread: a name takes one thread, however often it is asked for. Who waits gives up at a deadline
of their own; the answer that comes after it is cached all the same.
"""

from __future__ import annotations

import collections.abc
import queue
import socket
import threading
import typing

from twisted.logger import Logger

from aluvia.net.addresses import Address, Addresses, from_sockaddr, interleaved, literal
from aluvia.net.deadlines import Deadlines
from aluvia.net.errors import DialError, dial_error
from aluvia.wire.limits import DEFAULT_LIMITS, Limits

__all__ = ["Failed", "Found", "GetAddrInfo", "Lookup", "Resolver", "ResolverReactor"]

_log = Logger()

Found = typing.Callable[[Addresses], object]
Failed = typing.Callable[[DialError], object]

#: RFC 6761 §6.3. IPv4 first: most of what listens on loopback listens there alone.
_LOCALHOST = (Address(socket.AF_INET, "127.0.0.1"), Address(socket.AF_INET6, "::1"))


class GetAddrInfo(typing.Protocol):
    """What we need of :func:`socket.getaddrinfo`."""

    def __call__(
        self, host: bytes, port: None, /, *, type: int
    ) -> collections.abc.Iterable[tuple[int, int, int, str, tuple[typing.Any, ...]]]:
        """Return the addresses of a name, or raise :class:`OSError`."""


class ResolverReactor(typing.Protocol):
    """What we need of a reactor."""

    def seconds(self) -> float:
        """Return the time."""

    def callFromThread(self, callable: typing.Callable[..., object], *args: object) -> object:
        """Call it in the reactor's thread."""


class Lookup(typing.Protocol):
    """A look-up that was begun."""

    def cancel(self) -> None:
        """Neither ``found`` nor ``failed`` is called any more. Harmless when one was."""


class _Answered:
    """The handle of a look-up that was answered before it was returned."""

    def cancel(self) -> None:
        """Nothing is left to cancel."""


_ANSWERED = _Answered()


class _Question:
    """A name that a thread asks for, or will, and those who wait for its answer."""

    __slots__ = ("name", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting: dict[_Waiting, None] = {}


class _Waiting:
    """One who waits for a question's answer, up to a deadline."""

    __slots__ = ("_failed", "_found", "_question", "_resolver", "deadline")

    def __init__(
        self,
        resolver: Resolver,
        question: _Question,
        found: Found,
        failed: Failed,
        deadline: float,
    ) -> None:
        self._resolver = resolver
        self._question: _Question | None = question
        self._found = found
        self._failed = failed
        self.deadline = deadline

    def answer(self, answer: Addresses | DialError) -> None:
        """Pass the answer on, unless it came too late or is not wanted any more."""
        if self._question is None:
            return
        self._question = None
        if isinstance(answer, DialError):
            self._failed(answer)
        else:
            self._found(answer)

    def cancel(self) -> None:
        """Leave the others waiting."""
        question = self._question
        if question is not None:
            self._question = None
            self._resolver._leave(question, self)

    def deadline_passed(self, now: float) -> None:
        """Give up."""
        if self._question is None:
            return
        self.cancel()
        self._failed(DialError("dns_timeout", 504, "The name was not resolved in time."))


class Resolver:
    """
    Resolves names, with a bounded number of threads, a line and a short memory.

    :param deadlines: ends the waiting.
    :param getaddrinfo: called in threads.
    :param timeout: how long one look-up may take, the time in line included; seconds.
    :param keep: how long an answer is kept; seconds.
    :param keep_failure: how long a failure is kept; seconds.
    """

    def __init__(
        self,
        reactor: ResolverReactor,
        deadlines: Deadlines,
        *,
        getaddrinfo: GetAddrInfo = socket.getaddrinfo,
        timeout: float = 10.0,
        keep: float = 10.0,
        keep_failure: float = 1.0,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._reactor = reactor
        self._deadlines = deadlines
        self._getaddrinfo = getaddrinfo
        self._timeout = timeout
        self._keep = keep
        self._keep_failure = keep_failure
        self._limits = limits
        self._answers: dict[str, tuple[float, Addresses | DialError]] = {}
        self._questions: dict[str, _Question] = {}
        self._in_line: dict[str, _Question] = {}
        self._work: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._threads = 0
        self._busy = 0
        self._stopped = False

    def lookup(self, host: str, found: Found, failed: Failed) -> Lookup:
        """
        Find the addresses of a host.

        :param host: canonical (see :mod:`aluvia.wire.target`): a name of A-labels, or a literal.
        :param found: called with the addresses in the order in which to try them, at least one.
            A literal, a localhost name and a cached one are answered before this returns.
        :param failed: called with ``dns_error`` or ``dns_timeout``, perhaps before this returns.
        """
        if ":" in host or host[-1:].isdigit():
            addresses = literal(host)
            if addresses is not None:
                found(addresses)
                return _ANSWERED
        elif host == "localhost" or host.endswith(".localhost"):
            found(_LOCALHOST)
            return _ANSWERED
        cached = self._answers.get(host)
        if cached is not None and cached[0] > self._reactor.seconds():
            answer = cached[1]
            if isinstance(answer, DialError):
                failed(answer)
            else:
                found(answer)
            return _ANSWERED
        return self._wait(host, found, failed)

    def stop(self) -> None:
        """
        Fail those who wait, and let the threads end.

        A thread that hangs in ``getaddrinfo`` ends when that returns; nobody waits for it.
        """
        self._stopped = True
        for _ in range(self._threads):
            self._work.put(None)
        self._threads = 0
        self._answers.clear()
        self._in_line.clear()
        questions, self._questions = self._questions, {}
        for question in questions.values():
            self._tell(question, _error("The resolver has been stopped."))

    def _wait(self, host: str, found: Found, failed: Failed) -> Lookup:
        question = self._questions.get(host)
        if question is None:
            refusal = self._refusal()
            if refusal is not None:
                failed(_error(refusal))
                return _ANSWERED
            question = self._questions[host] = _Question(host)
            if self._busy < self._limits.resolver_threads:
                self._ask(question)
            else:
                self._in_line[host] = question
        deadline = self._reactor.seconds() + self._timeout
        waiting = _Waiting(self, question, found, failed, deadline)
        question.waiting[waiting] = None
        self._deadlines.watch(waiting)
        return waiting

    def _refusal(self) -> str | None:
        """Say why no new name can be taken on."""
        if self._stopped:
            return "The resolver has been stopped."
        if len(self._in_line) >= self._limits.resolver_line:
            return "Too many names are being resolved."
        if self._busy == self._threads < self._limits.resolver_threads:
            thread = threading.Thread(
                target=self._serve, name=f"aluvia-resolve-{self._threads}", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:
                # The system gives no more threads. Those that there are will do.
                if self._threads == 0:
                    return "No thread could be started to resolve the name."
            else:
                self._threads += 1
        return None

    def _ask(self, question: _Question) -> None:
        self._busy += 1
        self._work.put(question)

    def _leave(self, question: _Question, waiting: _Waiting) -> None:
        self._deadlines.forget(waiting)
        question.waiting.pop(waiting, None)
        if not question.waiting and self._in_line.pop(question.name, None) is not None:
            del self._questions[question.name]

    def _serve(self) -> None:
        """Answer questions; runs in a thread, and touches nothing but what it is given."""
        while (question := self._work.get()) is not None:
            answer = self._resolve(question.name)
            self._reactor.callFromThread(self._answered, question, answer)

    def _resolve(self, name: str) -> Addresses | DialError:
        try:
            # Bytes keep it away from Python's IDNA 2003: the name is made of A-labels.
            results = self._getaddrinfo(name.encode("ascii"), None, type=socket.SOCK_STREAM)
            addresses = interleaved(from_sockaddr(family, at) for family, _, _, _, at in results)
        except OSError as error:
            return dial_error(error)
        except Exception:
            # Whatever it is, those who wait are told, and the thread lives on.
            _log.failure("Resolving a name failed in an unexpected way")
            return _error("The name could not be resolved.")
        if not addresses:
            return _error("The name has no address.")
        return tuple(addresses[: self._limits.addresses_per_name])

    def _answered(self, question: _Question, answer: Addresses | DialError) -> None:
        if self._stopped:
            return
        self._busy -= 1
        del self._questions[question.name]
        self._remember(question.name, answer)
        if self._in_line:
            self._ask(self._in_line.pop(next(iter(self._in_line))))
        self._tell(question, answer)

    def _remember(self, name: str, answer: Addresses | DialError) -> None:
        answers = self._answers
        answers.pop(name, None)
        if len(answers) >= self._limits.resolver_answers:
            del answers[next(iter(answers))]
        keep = self._keep_failure if isinstance(answer, DialError) else self._keep
        answers[name] = (self._reactor.seconds() + keep, answer)

    def _tell(self, question: _Question, answer: Addresses | DialError) -> None:
        waiting, question.waiting = question.waiting, {}
        for each in waiting:
            self._deadlines.forget(each)
        for each in waiting:
            try:
                each.answer(answer)
            except Exception:
                # They have nothing to do with each other: one's error is not another's.
                _log.failure("Failed to use the answer of a name server")


def _error(detail: str) -> DialError:
    return DialError("dns_error", 502, detail)
