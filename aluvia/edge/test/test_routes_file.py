"""Tests for :mod:`aluvia.edge.routes_file`."""

from __future__ import annotations

import json
import os
import typing
from pathlib import Path

from aluvia.edge import bounds
from aluvia.edge.fields import Judges
from aluvia.edge.model import Backend, BackendTLS, Certificate, Route, Snapshot
from aluvia.edge.routes_file import RoutesFile, RoutesFileError
from aluvia.edge.test.fields_case import AUTHORITY_PEM, CANARY, FIRST, SECOND, FieldsCase, ids
from aluvia.process.sources import SettingsError
from aluvia.process.statuses import CONFIG

TOML = """
[[routes]]
vHost = "api.example.com"
strategy = "LEAST_LATENCY"
timeouts = { connect = 2, idle = 30.5 }
ssl = { certFile = "pem/first.pem", keyFile = "pem/first.key" }

[[routes.backends]]
id = "node-1"
hostname = "10.0.0.1"
port = 3000

[routes.backends.tls]
caFile = "ca.pem"
clientCertFile = "pem/first.pem"
clientKeyFile = "pem/first.key"

[[certificates]]
domain = "b.example"
certFile = "second.pem"
keyFile = "second.key"
"""


class RoutesFileCase(FieldsCase):
    """A test of files."""

    def setUp(self) -> None:
        """A folder with certificates."""
        self.folder = Path(self.mktemp())
        for name, text in {
            "pem/first.pem": FIRST.cert,
            "pem/first.key": FIRST.key,
            "second.pem": f"# ä\n{SECOND.cert}",
            "second.key": f"\n{SECOND.key}\n",
            "ca.pem": AUTHORITY_PEM,
        }.items():
            self.write(name, text)

    def write(self, name: str, content: object) -> Path:
        """A file in the folder: a text as it is, bytes as they are, anything else as JSON."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content)
            path.write_text(text, encoding="utf-8")
        return path

    def read(self, path: Path, before: Snapshot | None = None, **named: typing.Any) -> Snapshot:
        """Read a file."""
        state = before or Snapshot()
        return RoutesFile(path, state.providers).over(state, ids(), **named).value

    def lines(self, name: str, content: object, **named: typing.Any) -> list[str]:
        """What is said of a file that is no good, without its name."""
        path = self.write(name, content)
        error = self.assertRaises(RoutesFileError, self.read, path, **named)
        self.assertIsInstance(error, SettingsError)
        self.assertEqual(error.status, CONFIG)
        self.assertNotIn(CANARY, str(error))
        lines = str(error).split("\n")
        for line in lines:
            self.assertTrue(line.startswith(f"{path}: "), line)
        return [line.removeprefix(f"{path}: ") for line in lines]


class ReadTests(RoutesFileCase):
    """Files that are good."""

    def test_toml(self) -> None:
        """A file in TOML, with PEM in files beside it."""
        after = self.read(self.write("routes.toml", TOML))
        (route,) = after.routes.values()
        self.assertEqual((route.id, route.v_host, route.ssl), ("id-1", "api.example.com", FIRST))
        self.assertEqual((route.timeouts.connect, route.timeouts.idle), (2.0, 30.5))
        tls = BackendTLS(ca=AUTHORITY_PEM, client_cert=FIRST.cert, client_key=FIRST.key)
        backend = Backend(id="node-1", hostname="10.0.0.1", port=3000, tls=tls)
        self.assertEqual(route.backends, (backend,))
        certificate = Certificate(domain="b.example", pair=SECOND)
        self.assertEqual(after.certificates, {"b.example": certificate})

    def test_json(self) -> None:
        """Any other suffix is JSON; a mark of its encoding is no part of it."""
        pair = {"cert": FIRST.cert, "key": FIRST.key}
        content = json.dumps({"certificates": [{"domain": "a"} | pair]})
        for name, text in (
            ("routes.json", content),
            ("routes", content),
            ("routes.toml.json", f"\ufeff{content}"),
        ):
            after = self.read(self.write(name, text))
            self.assertEqual(after.certificates, {"a": Certificate(domain="a", pair=FIRST)})

    def test_again(self) -> None:
        """The same file a second time changes nothing, though it has no ids."""
        path = self.write("routes.toml", TOML)
        before = self.read(path)
        self.assertEqual(self.read(path, before), before)

    def test_sections(self) -> None:
        """A section that is missing stays as it is."""
        before = Snapshot(
            routes={"r": Route(id="r", v_host="a")},
            certificates={"a": Certificate(domain="a", pair=FIRST)},
        )
        self.assertEqual(self.read(self.write("routes.toml", ""), before), before)
        after = self.read(self.write("routes.json", {"certificates": []}), before)
        self.assertEqual(after, Snapshot(routes=before.routes))

    def test_notes(self) -> None:
        """What is ignored is told."""
        backend = {"hostname": "a", "port": 1, "isDead": False}
        path = self.write("routes.json", {"routes": [{"vHost": "a", "backends": [backend]}]})
        (note,) = RoutesFile(path, {}).over(Snapshot(), ids()).notes
        self.assertIn("isDead", note)


class FaultTests(RoutesFileCase):
    """Files that are no good."""

    def test_faults(self) -> None:
        """A line for each, with the file and the pointer."""
        lines = self.lines(
            "routes.json",
            {
                "routes": [
                    {"vHost": "a*", "v_host": "a", "backends": [{"hostname": "a", "port": CANARY}]}
                ],
                "providers": [],
            },
        )
        self.assertEqual(
            sorted(line.partition(": ")[0] for line in lines),
            ["/providers", "/routes/0/backends/0/port", "/routes/0/vHost", "/routes/0/v_host"],
        )
        self.assertEqual(self.lines("routes.json", []), ["/: must be an object"])
        error = self.assertRaises(RoutesFileError, self.read, self.folder / "routes.json")
        self.assertEqual([fault.pointer for fault in error.faults], [""])

    def test_parameters(self) -> None:
        """Dialers and certificates are judged as they are in the API."""
        lines = self.lines(
            "routes.toml", TOML, judges=Judges(pair=lambda pair, name: [f"It is not for {name}."])
        )
        # The pointers are to what stands in the file.
        self.assertEqual(
            lines,
            [
                "/routes/0/ssl/certFile: It is not for api.example.com.",
                "/certificates/0/certFile: It is not for b.example.",
            ],
        )
        document = {"routes": [{"vHost": "a", "backends": [{"endpoint": "exit:x"}]}]}
        (line,) = self.lines("routes.json", document)
        self.assertTrue(line.startswith("/routes/0/backends/0/endpoint: "))
        self.read(self.folder / "routes.json", dialers=["exit"])

    def test_syntax(self) -> None:
        """The line and the column are told, and nothing of what stands there."""
        for name, content, parts in (
            ("routes.toml", f"[[routes]]\nkey = {CANARY}", ["line 2", "column 7"]),
            ("routes.json", f'{{\n  "key": {CANARY}', ["line 2", "column 10"]),
            ("routes.json", "", ["line 1", "column 1"]),
        ):
            (line,) = self.lines(name, content)
            for part in parts:
                self.assertIn(part, line)

    def test_no_document(self) -> None:
        """What can be read in two ways, or by few, is refused."""
        for name, content, part in (
            ("routes.json", '{"routes": [{"vHost": "a", "vHost": "b"}]}', '"vHost" stands twice'),
            ("routes.json", '{"routes": NaN}', "NaN is no number"),
            ("routes.json", "9" * 5_000, "too long"),
            ("routes.toml", "a = " + "9" * 5_000, "too long"),
            ("routes.json", "[" * 100_000, "too deep"),
            ("routes.toml", "a = " + "[" * 100_000, "too deep"),
            ("routes.json", b"\xff", "is not UTF-8"),
            ("routes.toml", b"a = '\xff'", "is not UTF-8"),
            ("routes.json", b" " * (bounds.ROUTES_FILE_BYTES + 1), "longer than 8388608 bytes"),
        ):
            (line,) = self.lines(name, content)
            self.assertIn(part, line)
        self.read(self.write("routes.json", b" " * (bounds.ROUTES_FILE_BYTES - 2) + b"{}"))
        missing = self.folder / "missing.toml"
        error = self.assertRaises(RoutesFileError, self.read, missing)
        self.assertEqual(str(error), f"{missing}: No such file or directory")

    def test_a_pipe(self) -> None:
        """Its reading would wait for a writer, and with it whoever reads the file again."""
        pipe = self.folder / "pipe.json"
        os.mkfifo(pipe)
        error = self.assertRaises(RoutesFileError, self.read, pipe)
        self.assertEqual(str(error), f"{pipe}: is no regular file")

    def test_odd_names(self) -> None:
        """Nothing in a file starts a line of its own, or acts on a terminal."""
        (line,) = self.lines("routes.json", {"a\nb\x1b[0m": 1})
        self.assertNotIn("\x1b", line)
        (line,) = self.lines("routes.json", '{"a\\nb": 1, "a\\nb": 2}')
        self.assertIn("stands twice", line)

    def test_many_faults(self) -> None:
        """Some are told, of files as of everything."""
        certificate = {"domain": "a", "certFile": "missing", "keyFile": "missing"}
        lines = self.lines("routes.json", {"certificates": [certificate] * bounds.FAULTS})
        self.assertEqual(len(lines), bounds.FAULTS)


class FileTests(RoutesFileCase):
    """Files that the file names."""

    def test_missing(self) -> None:
        """It is told once, at the name of the file."""
        lines = self.lines(
            "routes.json",
            {
                "routes": [
                    {
                        "vHost": "a",
                        "ssl": {"certFile": "missing.pem", "keyFile": "pem/first.key"},
                        "backends": [
                            {
                                "hostname": "a",
                                "port": 1,
                                "tls": {
                                    "caFile": "pem",
                                    "clientCertFile": 5,
                                    "clientKeyFile": "pem/first.key",
                                },
                            }
                        ],
                    }
                ],
                "certificates": [{"domain": "b", "certFile": "a\0b", "keyFile": ""}],
            },
        )
        told = dict(line.split(": ", 1) for line in lines)
        tls = "/routes/0/backends/0/tls"
        self.assertEqual(
            told,
            {
                "/routes/0/ssl/certFile": f"{self.folder}/missing.pem: No such file or directory",
                f"{tls}/caFile": f"{self.folder}/pem: Is a directory",
                f"{tls}/clientCertFile": "must be a string",
                "/certificates/0/certFile": "is no name that a file can have",
                "/certificates/0/keyFile": "must have 1 to 4096 characters",
            },
        )

    def test_wrong(self) -> None:
        """What is wrong in it is told where it is named, and not repeated."""
        self.write("wrong.pem", CANARY)
        self.write("long.pem", FIRST.key + " " * bounds.PEM_CHARS)
        lines = self.lines(
            "routes.json",
            {
                "certificates": [
                    {"domain": "a", "certFile": "wrong.pem", "keyFile": "long.pem"},
                    {"domain": "b", "certFile": "pem/first.key", "keyFile": "wrong.pem"},
                    {"domain": "c", "certFile": "pem/first.pem"},
                ]
            },
        )
        told = dict(line.split(": ", 1) for line in lines)
        self.assertIn("longer than 65536 bytes", told["/certificates/0/keyFile"])
        self.assertIn("must be a certificate in PEM", told["/certificates/0/certFile"])
        self.assertIn("has a private key in it", told["/certificates/1/certFile"])
        self.assertIn("one private key in PEM", told["/certificates/1/keyFile"])
        self.assertIn("is missing", told["/certificates/2/key"])
        self.assertEqual(len(lines), 5)

    def test_both(self) -> None:
        """PEM stands in the file or beside it."""
        document = {"domain": "a", "cert": FIRST.cert, "key": FIRST.key, "certFile": "ca.pem"}
        (line,) = self.lines("routes.json", {"certificates": [document]})
        self.assertEqual(line, '/certificates/0/certFile: cannot stand beside "cert"')

    def test_elsewhere(self) -> None:
        """A path from the root is that; and where no PEM belongs, no file is named."""
        where = (self.folder / "pem").absolute()
        pair = {"certFile": f"{where}/first.pem", "keyFile": f"{where}/first.key"}
        after = self.read(self.write("routes.json", {"certificates": [{"domain": "a"} | pair]}))
        self.assertEqual(after.certificates["a"].pair, FIRST)
        lines = self.lines("routes.json", {"routes": [{"vHost": "a"} | pair], "caFile": "ca.pem"})
        self.assertEqual(
            sorted(line.partition(": ")[0] for line in lines),
            ["/caFile", "/routes/0/certFile", "/routes/0/keyFile"],
        )

    def test_odd_documents(self) -> None:
        """Files are looked for in any document, and found in none that is no configuration."""
        for document in (
            5,
            {"routes": {"ssl": 1}, "certificates": 5},
            {"routes": [5, {"ssl": 5, "backends": 5}, {"backends": [5, {"tls": 5}]}]},
            {"certificates": [5, None]},
        ):
            self.assertTrue(self.lines("routes.json", document))
