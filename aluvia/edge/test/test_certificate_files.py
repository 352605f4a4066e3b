"""Certificates in a directory: what is found there, and what becomes of it when it changes."""

from __future__ import annotations

import os
import typing
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, Logger
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge import certificate_files, watched_pair
from aluvia.edge.certificate_files import CertificateFiles
from aluvia.edge.certificates import Certificates, Presented
from aluvia.edge.model import KeyPair
from aluvia.edge.test.issuing import DAY, NOW, issue
from aluvia.net.accept import Sweep


class FilesCase(SynchronousTestCase):
    """A directory that is watched."""

    def setUp(self) -> None:
        """It is empty."""
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.clock = Clock()
        self.clock.advance(NOW)
        self.sweep = Sweep(self.clock)
        self.told: list[tuple[typing.Sequence[Presented], Presented | None]] = []
        self.lines: list[str] = []
        self.log = Logger("certificates", observer=typing.cast(ILogObserver, self.hear))

    def hear(self, event: typing.Mapping[str, typing.Any]) -> None:
        """Keep a line."""
        self.lines.append(event["log_format"].format(**event))

    def start(self, *, default: tuple[Path, Path] | None = None) -> CertificateFiles:
        """Watch it."""
        files = CertificateFiles(
            self.sweep,
            lambda found, given: self.told.append((found, given)),
            directory=self.directory,
            default=default,
            log=self.log,
        )
        files.start()
        self.addCleanup(files.stop)
        return files

    def pass_seconds(self, seconds: float = certificate_files.LOOK_SECONDS) -> None:
        """Let time pass."""
        self.clock.pump([1.0] * int(seconds))

    def write(self, pair: KeyPair, *names: str) -> Path:
        """Put a pair where certbot would, or nearly."""
        place = self.directory.joinpath(*names)
        place.mkdir(parents=True, exist_ok=True)
        (place / "privkey.pem").write_text(pair.key)
        (place / "fullchain.pem").write_text(pair.cert)
        return place

    def used(self) -> dict[str, tuple[str, ...]]:
        """The names of what is used, by what it is called."""
        found, _ = self.told[-1]
        return {each.domain: each.names for each in found}

    def assert_said(self, *lines: str) -> None:
        """Assert that lines with these in them, and no others, were written since the last time."""
        self.assertEqual(len(self.lines), len(lines), self.lines)
        for line, part in zip(self.lines, lines, strict=True):
            self.assertIn(part, line)
            self.assertNotIn("PRIVATE", line)
        self.lines.clear()


class LayoutTests(FilesCase):
    """Where pairs are looked for."""

    def test_places(self) -> None:
        """In the directory and in its ``live``; what else there is does not matter."""
        self.write(issue("a.example"), "a")
        self.write(issue("b.example"), "live", "b-0001")
        self.write(issue("c.example"), "archive", "c", "d")
        (self.directory / "live" / "README").write_text("x")
        (self.directory / "renewal").mkdir()
        self.start()
        self.assertEqual(self.used(), {"a": ("a.example",), "b-0001": ("b.example",)})
        self.assert_said()

    def test_links(self) -> None:
        """Links are followed, those of directories too; turning one round is a change."""
        self.write(issue("a.example"), "archive", "a", "1")
        self.write(issue("a.example", "new.example"), "archive", "a", "2")
        live = self.directory / "live" / "a"
        live.mkdir(parents=True)
        for version in ("1", "2"):
            for name in ("privkey.pem", "fullchain.pem"):
                (live / "new").symlink_to(self.directory / "archive" / "a" / version / name)
                (live / "new").replace(live / name)
            if version == "1":
                self.start()
                self.assertEqual(self.used(), {"a": ("a.example",)})
        self.pass_seconds()
        self.assertEqual(self.used(), {"a": ("a.example", "new.example")})
        self.assert_said("was renewed")
        (self.directory / "b").symlink_to(live)
        self.pass_seconds()
        self.assertEqual(set(self.used()), {"a", "b"})

    def test_no_directory(self) -> None:
        """At the start it is an error; a file in its place, too."""
        self.directory.rmdir()
        self.assertIn("No such file", str(self.assertRaises(ValueError, self.start)))
        self.directory.write_text("x")
        self.assertIn("Not a directory", str(self.assertRaises(ValueError, self.start)))

    def test_empty(self) -> None:
        """Nothing is told of an empty one but that."""
        self.start()
        self.assertEqual(self.told, [([], None)])
        self.assert_said()

    def test_holder(self) -> None:
        """It fits what holds the map."""
        certificates = Certificates(self.clock)
        self.write(issue("a.example"), "a")
        files = CertificateFiles(self.sweep, certificates.use_files, directory=self.directory)
        files.start()
        self.assertIsNotNone(certificates.map.own("a.example"))


class ChangeTests(FilesCase):
    """What becomes of a pair when its files change."""

    def setUp(self) -> None:
        """There is one."""
        super().setUp()
        self.place = self.write(issue("a.example"), "a")
        self.files = self.start()
        self.first = self.used()
        self.told.clear()

    def test_quiet(self) -> None:
        """Nothing is told, and nothing read, while nothing changes; nor for the same once more."""
        before = (self.place / "fullchain.pem").read_text()
        self.patch(watched_pair, "_bytes", lambda path: self.fail("read"))
        self.pass_seconds(100)
        self.patch(watched_pair, "_bytes", lambda path: Path(path).read_bytes())
        (self.place / "fullchain.pem").write_text(before)
        self.pass_seconds()
        self.assertEqual(self.told, [])
        self.assert_said()

    def test_renewal(self) -> None:
        """A new pair is used from the next look on, or at once if somebody says so."""
        self.write(issue("b.example"), "a")
        self.assertEqual(self.told, [])
        self.pass_seconds()
        self.assertEqual(self.used(), {"a": ("b.example",)})
        self.write(issue("c.example"), "a")
        self.files.look_now()
        self.assertEqual(self.used(), {"a": ("c.example",)})
        self.assert_said("was renewed", "was renewed")

    def test_half_written(self) -> None:
        """The last good one stays until the new one is whole; it is said once."""
        new = issue("b.example")
        for cert, key, said in (
            (new.cert, None, "The key is not the certificate's."),
            (new.cert, "", "The key is none in PEM"),
            (new.cert[:300], new.key, "The certificate is none in PEM"),
            (None, new.key, "The key is not the certificate's."),
            ("\udcff", new.key, "fullchain.pem is no text"),
        ):
            self.write(self.last_good(), "a")
            self.pass_seconds()
            self.lines.clear()
            self.told.clear()
            if cert is not None:
                (self.place / "fullchain.pem").write_bytes(cert.encode(errors="surrogateescape"))
            if key is not None:
                (self.place / "privkey.pem").write_text(key)
            self.pass_seconds(60)
            self.assertEqual(self.told, [])
            self.assert_said(said)
        self.write(new, "a")
        self.pass_seconds()
        self.assertEqual(self.used(), {"a": ("b.example",)})

    def last_good(self) -> KeyPair:
        """What is used."""
        presented = next(iter(self.files._pairs.values())).presented
        assert presented is not None
        return presented.pair

    def test_said_again(self) -> None:
        """Who asks for a look is told again what is wrong; what is well is not read."""
        (self.place / "fullchain.pem").write_text("x")
        self.pass_seconds()
        self.lines.clear()
        self.files.look_now()
        self.assert_said("is not used: The certificate is none in PEM")

    def test_no_file(self) -> None:
        """One that is missing, or both, are half a pair."""
        for name in ("privkey.pem", "fullchain.pem"):
            (self.place / name).unlink()
            self.pass_seconds()
            self.assertEqual(self.told, [])
            self.assert_said("cannot be read (No such file or directory)")

    def test_removed(self) -> None:
        """A directory that is gone takes its certificate with it; ``live`` all of its own."""
        self.write(issue("b.example"), "live", "b")
        self.pass_seconds()
        self.assertEqual(set(self.used()), {"a", "b"})
        (self.directory / "live").rename(self.directory / "dead")
        self.pass_seconds()
        self.assertEqual(self.used(), self.first)
        self.place.rename(self.directory / "live")
        self.pass_seconds()
        self.assertEqual(self.used(), {"live": ("a.example",)})
        self.assert_said()

    def test_all_gone(self) -> None:
        """Without the directory itself what was in it stays; it is said once, and again later."""
        away = self.directory.with_name("away")
        for _ in range(2):
            self.directory.rename(away)
            self.pass_seconds(60)
            self.assertEqual(self.told, [])
            line = "cannot be read (No such file or directory); the certificates in it stay"
            self.assertEqual([line in each for each in self.lines].count(True), 1)
            self.lines.clear()
            away.rename(self.directory)
            self.pass_seconds()

    def test_odd_files(self) -> None:
        """A pipe does not hold us up; neither does a directory, or a file without an end."""
        self.patch(watched_pair, "MOST_BYTES", 1_000)
        path = self.place / "fullchain.pem"
        for make, said in (
            (lambda: os.mkfifo(path), "is no regular file"),
            (path.mkdir, "is no regular file"),
            (lambda: path.symlink_to("/dev/zero"), "is no regular file"),
            (lambda: path.write_bytes(b"x" * 1_001), "has more than 1000 bytes"),
            (lambda: path.symlink_to(path), "cannot be read (Too many levels"),
        ):
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
            self.pass_seconds()
            self.lines.clear()
            make()
            self.pass_seconds()
            self.assert_said(said)
        self.assertEqual(self.told, [])

    def test_time(self) -> None:
        """What is not valid now does not replace what is; it does when its time has come."""
        self.write(issue("b.example", ends=NOW - DAY / 2), "a")
        self.pass_seconds()
        self.assert_said("expired on")
        self.write(issue("c.example", begins=NOW + 100), "a")
        self.pass_seconds()
        self.assert_said("is not valid before")
        self.assertEqual(self.told, [])
        self.pass_seconds(100)
        self.assertEqual(self.used(), {"a": ("c.example",)})
        self.assert_said("was renewed")

    def test_old_from_the_start(self) -> None:
        """One that has expired is used where there is none that has not, and that is said."""
        self.write(issue("b.example", ends=NOW - DAY / 2), "b")
        self.pass_seconds()
        self.assertEqual(set(self.used()), {"a", "b"})
        self.assert_said("clients will refuse it: The certificate expired on")

    def test_stopped(self) -> None:
        """Then nothing is looked at."""
        self.files.stop()
        self.write(issue("b.example"), "a")
        self.pass_seconds(60)
        self.assertEqual((self.told, len(self.sweep)), ([], 0))


class DefaultTests(FilesCase):
    """The pair that is given by its files."""

    def setUp(self) -> None:
        """They are there."""
        super().setUp()
        self.pair = issue("a.example")
        self.default = Path(self.mktemp()).absolute(), Path(self.mktemp()).absolute()
        self.write_default(self.pair)

    def write_default(self, pair: KeyPair) -> None:
        """Write them."""
        self.default[0].write_text(pair.cert)
        self.default[1].write_text(pair.key)

    def test_watched(self) -> None:
        """It is told besides the others, and watched as they are."""
        files = self.start(default=self.default)
        found, given = self.told[-1]
        assert given is not None
        self.assertEqual((found, given.domain, given.pair), ([], "", self.pair))
        self.default[0].write_text("x")
        self.pass_seconds()
        self.assertEqual(len(self.told), 1)
        self.write_default(issue("b.example"))
        files.look_now()
        given = self.told[-1][1]
        assert given is not None
        self.assertEqual(given.names, ("b.example",))

    def test_bad(self) -> None:
        """At the start it has to be good."""
        self.default[1].write_text("x")
        said = str(self.assertRaises(ValueError, self.start, default=self.default))
        self.assertEqual(
            said, "The default certificate cannot be used. The key is none in PEM, or a broken one."
        )
        self.default[1].unlink()
        said = str(self.assertRaises(ValueError, self.start, default=self.default))
        self.assertIn("cannot be read (No such file or directory)", said)
        self.assertEqual(self.told, [])


class BoundTests(FilesCase):
    """Many pairs."""

    def test_too_many(self) -> None:
        """The others are left out, and it is said once; those that are known stay."""
        self.patch(certificate_files, "MOST_PAIRS", 3)
        for name in "bcd":
            self.write(issue(f"{name}.example"), name)
        files = self.start()
        self.assert_said()
        self.write(issue("a.example"), "a")
        self.pass_seconds(60)
        files.look_now()
        self.assertEqual(set(self.used()), {"b", "c", "d"})
        self.assert_said(*["has more than 3 directories"] * 2)

    def test_in_turns(self) -> None:
        """No look takes more than so many; the next look of the sweep takes the next."""
        self.patch(certificate_files, "PAIRS_AT_ONCE", 2)
        names = "abcde"
        for name in names:
            self.write(issue(f"{name}.example"), name)
        self.start()
        for name in names:
            self.write(issue(f"{name}.example", "new.example"), name)
        renewed = []
        for _ in range(9):
            self.pass_seconds(1)
            renewed.append(sum("new.example" in each for each in self.used().values()))
        self.assertEqual(renewed, [0, 0, 0, 0, 2, 4, 5, 5, 5])
