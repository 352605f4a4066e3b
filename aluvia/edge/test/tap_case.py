"""A command line of the edge, in memory, for tests of it."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import trustme
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.settings import Settings
from aluvia.edge.tap import Options


class TapCase(SynchronousTestCase):
    """A command line, in a directory of its own."""

    def setUp(self) -> None:
        """An environment of our own, and streams to look at."""
        self.environ: dict[str, str] = {}
        self.stdout, self.stderr = io.StringIO(), io.StringIO()
        self.patch(os, "environ", self.environ)
        self.patch(sys, "stdout", self.stdout)
        self.patch(sys, "stderr", self.stderr)
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def options(self, *words: str) -> Options:
        """The options for these words."""
        options = Options()
        options.parseOptions(words)
        return options

    def parse(self, *words: str) -> Settings:
        """The settings for these words."""
        return self.options(*words).settings

    def exits(self, status: int, *words: str) -> str:
        """What is said when these words end the process."""
        error = self.assertRaises(SystemExit, self.parse, *words)
        said = self.stdout.getvalue() + self.stderr.getvalue()
        self.assertEqual(error.code, status, said)
        for stream in (self.stdout, self.stderr):
            stream.seek(0)
            stream.truncate()
        return said

    def file(self, text: str, name: str = "") -> str:
        """A file with this in it."""
        path = self.directory / name if name else Path(self.mktemp()).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def certificate(self, name: str = "a.example") -> tuple[str, str]:
        """A certificate and its key, in files."""
        issued = trustme.CA().issue_cert(name)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems).decode()
        return self.file(chain), self.file(issued.private_key_pem.bytes().decode())
