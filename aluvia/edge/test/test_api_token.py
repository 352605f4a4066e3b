"""Tests for :mod:`aluvia.edge.api_token`."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge import api_token
from aluvia.edge.api_token import (
    LEAST_CHARACTERS,
    VARIABLE,
    ApiToken,
    find_token,
    have_token,
    place_beside,
)

GOOD = "canary-0123456789"


class TokenCase(SynchronousTestCase):
    """A directory of its own."""

    def setUp(self) -> None:
        """Make it."""
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.own = place_beside(self.directory / "edge.db")
        self.environ: dict[str, str] = {"A": "b"}

    def file(self, text: str, name: str = "given") -> Path:
        """A file with this in it."""
        path = self.directory / name
        path.write_text(text)
        return path

    def have(self, file: Path | None = None) -> ApiToken:
        """What the edge has."""
        return have_token(file, self.environ, self.own)

    def mode(self, path: Path) -> int:
        """Who may read it."""
        return stat.S_IMODE(path.stat().st_mode)


class FoundTests(TokenCase):
    """Where it comes from."""

    def test_a_file(self) -> None:
        """White space around it is nobody's; the file stays as it is, and wins."""
        path = self.file(f" \n{GOOD}\r\n\n")
        path.chmod(0o644)
        self.environ[VARIABLE] = "another-0123456789"
        self.own.write_text("another-0123456789")
        self.own.chmod(0o644)
        found = self.have(path)
        self.assertEqual((found.token, found.path, found.ours), (GOOD, path, False))
        self.assertEqual((self.mode(path), self.mode(self.own)), (0o644, 0o644))
        self.assertEqual(self.environ, {"A": "b"})

    def test_the_environment(self) -> None:
        """It is taken out of it: no child has it."""
        self.environ[VARIABLE] = f" {GOOD} "
        found = self.have()
        self.assertEqual((found.token, found.path), (GOOD, None))
        self.assertEqual(self.environ, {"A": "b"})
        self.assertFalse(self.own.exists())

    def test_a_blank_variable(self) -> None:
        """Is none."""
        self.environ[VARIABLE] = " "
        self.assertTrue(self.have().ours)

    def test_made(self) -> None:
        """Once, beside the store, for its owner alone; found again from then on."""
        self.assertIsNone(find_token(None, self.environ, self.own))
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        modes: list[int] = []
        self.patch(os, "fsync", lambda number: modes.append(stat.S_IMODE(os.fstat(number).st_mode)))
        found = self.have()
        self.assertEqual((found.path, found.ours), (self.own, True))
        self.assertEqual(self.own.name, "edge.db.api-token")
        self.assertGreaterEqual(len(found.token), 40)
        self.assertEqual(self.own.read_text(), f"{found.token}\n")
        # Nor while it was written.
        self.assertEqual([self.mode(self.own), *modes], [0o600, 0o600])
        self.assertEqual(self.have(), found)
        self.assertEqual(find_token(None, self.environ, self.own), found)

    def test_no_two_are_alike(self) -> None:
        """It is random."""
        other = place_beside(self.directory / "other.db")
        self.assertNotEqual(self.have().token, have_token(None, {}, other).token)

    def test_one_that_others_may_read(self) -> None:
        """A file of our own is closed to them."""
        self.own.write_text(GOOD)
        self.own.chmod(0o644)
        self.assertEqual(self.have().token, GOOD)
        self.assertEqual(self.mode(self.own), 0o600)

    def test_a_look(self) -> None:
        """Changes nothing: no file, no mode, no variable."""
        self.own.write_text(GOOD)
        self.own.chmod(0o644)
        self.environ[VARIABLE] = GOOD
        find_token(None, self.environ, self.own)
        self.assertEqual((self.mode(self.own), self.environ[VARIABLE]), (0o644, GOOD))

    def test_two_at_one_moment(self) -> None:
        """Who comes second has the token of who came first."""

        def first(count: int) -> str:
            self.own.write_text(GOOD)
            return "second-0123456789"

        self.patch(secrets, "token_urlsafe", first)
        self.assertEqual(self.have().token, GOOD)

    def test_without_a_store(self) -> None:
        """Beside a store in memory there is nothing: it is in the working directory."""
        self.assertEqual(place_beside(None), Path("aluvia-edge.api-token").absolute())


class RefusedTests(TokenCase):
    """What is no token."""

    def refused(self, file: Path | None = None) -> str:
        """The sentence; nothing is left in the environment in any case."""
        error = self.assertRaises(ValueError, self.have, file)
        self.assertNotIn(VARIABLE, self.environ)
        self.assertNotIn("canary", str(error))
        return str(error)

    def test_no_good(self) -> None:
        """Each says what is wrong and where, and never quotes it."""
        for text, said in (
            ("", "there is no API token in it"),
            (" \n", "there is no API token in it"),
            ("canary-" + "x" * (LEAST_CHARACTERS - 8), "has 16 characters or more"),
            ("canary" + "x" * 1024, "has 1024 characters or less"),
            ("canary" * 10_000, "has 1024 characters or less"),
            ("canary with blanks in it", "a character that cannot be sent"),
            ("canary\ncanary\ncanary\n", "a character that cannot be sent"),
            ("canary-0123456789é", "a character that cannot be sent"),
            ("canary=0123456789", "a character that cannot be sent"),
        ):
            path = self.file(text)
            self.assertEqual(self.refused(path).partition(": ")[0], str(path))
            self.assertIn(said, self.refused(path))
            self.own.write_text(text)
            self.assertEqual(self.refused().partition(": ")[0], str(self.own))
            self.own.unlink()
            if text.strip():
                self.environ[VARIABLE] = text
                self.assertEqual(
                    self.refused(), f"${VARIABLE}: {self.refused(path)[len(str(path)) + 2 :]}"
                )

    def test_just_long_enough(self) -> None:
        """The least is exact."""
        self.assertEqual(len(self.have(self.file("x" * LEAST_CHARACTERS)).token), 16)

    def test_no_file(self) -> None:
        """One that was named and is not there, or cannot be read, is not made."""
        path = self.directory / "nowhere"
        self.assertEqual(self.refused(path), f"{path}: No such file or directory")
        self.assertEqual(self.refused(self.directory), f"{self.directory}: Is a directory")
        self.assertFalse(path.exists())

    def test_a_link_to_nothing(self) -> None:
        """Is no reason to make one where it leads."""
        self.own.symlink_to(self.directory / "elsewhere")
        self.assertIn("No such file", self.refused())
        self.assertFalse((self.directory / "elsewhere").exists())


class NotMadeTests(TokenCase):
    """A file that cannot be made."""

    def test_no_directory(self) -> None:
        """The sentence says which file, and why."""
        own = place_beside(self.directory / "nowhere" / "edge.db")
        error = self.assertRaises(OSError, have_token, None, {}, own)
        self.assertEqual(
            str(error),
            f"cannot make the file {own} for the API's token: No such file or directory",
        )

    def test_a_full_disk(self) -> None:
        """Leaves no half of one behind."""

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        self.patch(os, "fsync", full)
        error = self.assertRaises(OSError, self.have)
        self.assertIn("No space left on device", str(error))
        self.assertFalse(self.own.exists())

    def test_comes_and_goes(self) -> None:
        """Somebody who makes it and takes it away is not waited for."""
        self.patch(api_token, "_made", lambda own: None)
        self.assertIn("comes and goes", str(self.assertRaises(OSError, self.have)))

    def test_it_cannot_be_closed(self) -> None:
        """A file of our own that others may read, and go on to, is refused."""
        self.own.write_text(GOOD)
        self.own.chmod(0o644)

        def owned(path: Path, mode: int) -> None:
            raise PermissionError(1, "Operation not permitted")

        self.patch(Path, "chmod", owned)
        error = self.assertRaises(OSError, self.have)
        self.assertEqual(str(error), f"{self.own}: others may read it, and Operation not permitted")


class ShownTests(SynchronousTestCase):
    """What is shown of it."""

    def test_repr(self) -> None:
        """Its place, and not the token."""
        self.assertNotIn("canary", repr(ApiToken(GOOD, Path("/x"), ours=True)))
