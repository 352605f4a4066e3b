"""``aluvia hash-password``."""

from __future__ import annotations

import getpass
import io
import sys
import typing

from aluvia.cli.test.test_main import ConsoleCase
from aluvia.edge.password_hashes import PASSWORD_BYTES, verify


class Terminal(io.StringIO):
    """Standard input of a terminal; nobody reads it."""

    def isatty(self) -> bool:
        """It is one."""
        return True


class HashPasswordTests(ConsoleCase):
    """A password is read, and its hash printed."""

    def piped(self, text: str) -> tuple[int, str, str]:
        """What comes of a password in a pipe."""
        self.patch(sys, "stdin", io.StringIO(text))
        return self.call("hash-password")

    def typed(self, *passwords: str | type[BaseException]) -> tuple[int, str, str]:
        """What comes of what is typed."""
        left = list(passwords)

        def ask(prompt: str) -> str:
            answer = left.pop(0)
            if isinstance(answer, str):
                return answer
            raise answer

        self.patch(sys, "stdin", Terminal())
        self.patch(getpass, "getpass", ask)
        return self.call("hash-password")

    def assert_hashed(self, outcome: tuple[int, str, str], password: str) -> None:
        """Its hash was printed, and nothing else."""
        status, printed, errors = outcome
        self.assertEqual((status, errors), (0, ""))
        self.assertTrue(verify(password, printed.removesuffix("\n")))

    def assert_refused(self, outcome: tuple[int, str, str]) -> None:
        """It is a wrong call, which is told in a line, without the password."""
        status, printed, errors = outcome
        self.assertEqual((status, printed), (64, ""))
        self.assertEqual(errors.count("\n"), 1)
        self.assertNotIn("canary", errors)

    def test_piped(self) -> None:
        """One line of a pipe is a password, with its end or without."""
        for text in ("a: b ", "a: b \n", "a: b \r\n"):
            self.assert_hashed(self.piped(text), "a: b ")

    def test_typed(self) -> None:
        """At a terminal it is asked for twice."""
        self.assert_hashed(self.typed("a:b", "a:b"), "a:b")

    def test_no_password(self) -> None:
        """What is none, or not the same twice, is refused."""
        for text in ("", "\n", "canary\ncanary\n", "canary\0", "canary" * PASSWORD_BYTES):
            self.assert_refused(self.piped(text))
        self.assert_refused(self.piped("canary\udcff"))
        self.assert_refused(self.typed("canary", "canary2"))
        self.assert_refused(self.typed("", ""))
        self.assert_refused(self.typed(EOFError))

    def test_not_in_the_encoding(self) -> None:
        """Bytes that are no text are refused."""
        raw = typing.cast(typing.Any, io.BytesIO(b"canary\xff"))
        self.patch(sys, "stdin", io.TextIOWrapper(raw, "utf-8"))
        self.assert_refused(self.call("hash-password"))

    def test_arguments(self) -> None:
        """A password is no argument, where everybody on the machine would see it."""
        status, printed, _ = self.call("hash-password", "canary")
        self.assertEqual((status, printed), (64, ""))
