"""The edge as its operator has it: its start, its restart, and why it does not start."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import sqlite3
import stat
import typing
from pathlib import Path

from tests.aluvia_process import TWISTD, clean_environment
from tests.edge_case import EdgeCase, backend
from tests.edge_process import TOKEN
from tests.support import Curled

USAGE, TAKEN, BAD_FILE = 64, 73, 78

PASSWORD = "canary:colon:password"


class DoorCase(EdgeCase):
    """Ends edges in order."""

    async def _stopped(self, edge: typing.Any) -> None:
        for connection in self._connections:
            connection.close()
        await edge.stop()
        self.assertFalse(edge.port_file.exists())
        # All is in the one file, which may be copied.
        self.assertEqual([*edge.db.parent.glob("edge.db-*")], [])


class StartTests(DoorCase):
    """A first start, and those after it."""

    async def test_port_file_readiness_and_who_may_ask(self) -> None:
        """The port file says where it is; without a token there is health, and nothing else."""
        edge = await self.edge("--https", "127.0.0.1:0")
        self.assertEqual(
            sorted(edge.ports), ["api", "api_url", "http", "http_url", "https", "https_url", "pid"]
        )
        self.assertEqual(edge.ports["pid"], edge.pid)
        self.assertEqual(edge.ports["https_url"], f"https://127.0.0.1:{edge.https}")
        nobody, stranger, operator = self.api(edge, ""), self.api(edge, "x" * 20), self.api(edge)
        for path in ("//healthz", "//readyz"):
            self.assertEqual((await nobody("GET", path, Authorization="")).status, 200)
        self.assertEqual((await nobody.get("//readyz"))["ready"], True)
        for path in (
            *("//metrics", "/routes", "/routes/a", "/config", "/events", "/stats", "/nothing"),
            *("/log-level", "/openapi.json", "/certificates", "/auth-providers", "//"),
        ):
            for reply in (
                await nobody("GET", path, Authorization=""),
                await stranger("GET", path),
            ):
                self.assertEqual(reply.status, 401, path)
                self.assertTrue(reply.field("www-authenticate").startswith("Bearer "), path)
        self.assertEqual((await operator("GET", "//metrics")).status, 200)
        for put in ("/config", "/routes/a", "/log-level"):
            self.assertEqual((await stranger("PUT", put, {})).status, 401)

    async def test_token_that_it_made(self) -> None:
        """It is in a file for its owner alone, whose place is told, and stays what it is."""
        edge = await self.edge(environment=clean_environment())
        token = edge.token_file.read_text().strip()
        self.secrets.append(token)
        self.assertGreater(len(token), 30)
        self.assertEqual(stat.S_IMODE(edge.token_file.stat().st_mode), 0o600)
        self.assertIn(str(edge.token_file), edge.output)
        await self.api(edge, token).done("PUT", "/routes/a.example", {})
        self.assertEqual((await self.api(edge)("GET", "/routes")).status, 401)
        await self._stopped(edge)
        again = await self.edge(db=edge.db, environment=clean_environment())
        self.assertEqual(len(await self.api(again, token).get("/routes")), 1)
        for beside in edge.db.parent.glob("edge.db*"):
            self.assertEqual(stat.S_IMODE(beside.stat().st_mode), 0o600, beside)

    async def test_token_file_of_the_operators(self) -> None:
        """It is read, with white space around the token, and wins over the variable."""
        own = self.file("token", "  canary-own-token-19\n")
        self.secrets.append("canary-own-token-19")
        edge = await self.edge("--api-token-file", str(own))
        self.assertEqual((await self.api(edge)("GET", "/routes")).status, 401)
        self.assertEqual(await self.api(edge, "canary-own-token-19").get("/routes"), [])
        self.assertFalse(edge.token_file.exists())

    async def test_restart_keeps_everything(self) -> None:
        """Routes, backends, certificates and users are there, with the tags that they had."""
        edge = await self.edge("--https", "127.0.0.1:0")
        api, origin = self.api(edge), self.origin()
        self.secrets.append(PASSWORD)
        user = {"name": "alice", "password": PASSWORD}
        await api.done("POST", "/auth-providers", {"id": "staff", "type": "basic", "users": [user]})
        certificate, own = self.pair("*.wild.example"), self.pair("b.example")
        await api.done(
            "POST",
            "/certificates",
            {"domain": "*.wild.example", "cert": certificate.cert, "key": certificate.key},
        )
        await self.route(
            api, "a.wild.example", backend(origin, "one"), backend(origin, "two", weight=3)
        )
        await self.route(
            api,
            "b.example",
            backend(origin, "one"),
            authProvider="staff",
            headers={"X-Injected": "yes"},
            ssl={"cert": own.cert, "key": own.key},
        )
        await api.done("POST", "/routes/a/backends/two/drain")
        before, paths = [], ("/config?secrets=1", "/routes", "/routes/b", "/routes/a/backends/two")
        for path in paths:
            before.append(await api("GET", path))
        await self._stopped(edge)

        again = await self.edge("--https", "127.0.0.1:0", db=edge.db)
        api = self.api(again)
        for path, earlier in zip(paths, before, strict=True):
            reply = await api("GET", path)
            self.assertEqual(reply.etag, earlier.etag, path)
            self.assertEqual(reply.json(), earlier.json(), path)
        known = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
        for name, fields in (
            ("a.wild.example", ()),
            ("b.example", (f"Authorization: Basic {known}",)),
        ):
            connection = await self.secure(again, name)
            answer = await self.say(connection, name, "/", *fields)
            self.assertEqual(answer.status, 200, answer)
        self.assertEqual((await self.visit(again, "b.example")).status, 401)
        self.assertIn(b"X-Injected", answer.body)

    async def test_routes_file(self) -> None:
        """What stands in it is in force at once, the same way as by the API, every time."""
        origin = self.origin()
        pair = self.pair("c.example")
        self.file("key.pem", pair.key)
        certificate = self.file("cert.pem", pair.cert)
        routes = self.file(
            "routes.toml",
            f"""
            [[routes]]
            vHost = "a.example"
            headers = {{ X-From = "file" }}
            [[routes.backends]]
            hostname = "127.0.0.1"
            port = {origin.port}
            [[certificates]]
            domain = "c.example"
            certFile = "{certificate.name}"
            keyFile = "{certificate.name.replace("cert", "key")}"
            """,
        )
        edge = await self.edge("--routes", str(routes), "--https", "127.0.0.1:0")
        self.assertEqual((await self.seen(edge, "a.example"))["x-from"], "file")
        await self.secure(edge, "c.example")
        first = await self.api(edge)("GET", "/config")
        await self._stopped(edge)
        again = await self.edge("--routes", str(routes), "--https", "127.0.0.1:0", db=edge.db)
        self.assertEqual((await self.api(again)("GET", "/config")).etag, first.etag)


class NoStartTests(DoorCase):
    """One line says why, and the status what kind of thing it is."""

    async def test_statuses(self) -> None:
        """64 for what was typed, 73 for what cannot be made, 78 for a file."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        taken = f"127.0.0.1:{listening.getsockname()[1]}"
        in_use = f"{taken} cannot be bound: Address already in use"
        short = self.file("short", "canary-short")
        self.secrets.append("canary-short")
        wrong = self.file("wrong.json", '{"routes": [{"vHost": "a b", "retries": -1, "x": 1}]}')
        broken = self.file("broken.toml", "[[routes]")
        cases: tuple[tuple[tuple[str, ...], int, tuple[str, ...]], ...] = (
            (("--http", taken), TAKEN, (in_use,)),
            (("--api", taken), TAKEN, (in_use,)),
            (("--port-file", "/nowhere/x"), TAKEN, ("the port file /nowhere/x",)),
            (("--access-log", "/nowhere/x"), TAKEN, ("/nowhere/x",)),
            (("--http", "none"), USAGE, ("no way in",)),
            (("--api-token", "canary-typed-token"), USAGE, ("--api-token-file",)),
            (("--db", "postgresql://me:canary-db-password@db/x"), USAGE, ("PostgreSQL",)),
            (("--default-certificate", "/x"), USAGE, ("--default-key",)),
            (("--api-token-file", str(short)), BAD_FILE, (str(short), "16 characters")),
            (("--api-token-file", "/nowhere/x"), BAD_FILE, ("/nowhere/x",)),
            (("--db", "/nowhere/x.db"), BAD_FILE, ("/nowhere/x.db",)),
            (("--routes", str(broken)), BAD_FILE, (str(broken), "line 1")),
            (
                ("--routes", str(wrong)),
                BAD_FILE,
                ("/routes/0/vHost: ", "/routes/0/retries: ", "/routes/0/x: "),
            ),
        )
        self.secrets += ["canary-typed-token", "canary-db-password"]
        edges = [self.spawn_edge(*options) for options, _, _ in cases]
        for edge, (_, status, said) in zip(edges, cases, strict=True):
            await self.refuses(edge, status, *said)

    async def test_must_not_happen_two_edges_with_one_store(self) -> None:
        """The second does not start, and can be checked; it does when the first was killed."""
        edge, _, _ = await self.start()
        said = f"{edge.db}: another process works with it"
        await self.refuses(self.spawn_edge(db=edge.db), TAKEN, said)
        checked = await self.run_command(
            *(*TWISTD, "-n", "--pidfile=", "aluvia-edge", "--check", "--db", str(edge.db)),
            ALUVIA_API_TOKEN=TOKEN,
        )
        self.assertEqual((checked.status, checked.stderr), (0, ""))
        edge.kill()
        await edge.wait()
        again = await self.edge(db=edge.db)
        self.assertEqual((await self.visit(again, "a.example")).status, 200)

    async def test_must_not_happen_a_corrupt_store_starting_silently_empty(self) -> None:
        """
        Whatever is wrong with the file, it refuses, changes nothing of it, and says how to go on;
        each of the two ways then works.
        """
        edge, api, _ = await self.start()
        for number in range(60):
            await self.route(api, f"filler{number}.example", headers={"X-Fill": "x" * 500})
        await self._stopped(edge)
        backup = edge.db.with_name("backup")
        shutil.copy(edge.db, backup)
        good = backup.read_bytes()
        page = 4096
        damaged = {
            "no database": b"nothing of the kind " * 1000,
            "cut short": good[: len(good) // 2],
            "a page of it overwritten": good[:page] + b"\xa5" * page + good[2 * page :],
            "half of it overwritten": good[: len(good) // 2] + b"\0" * (len(good) // 2),
            "emptied": b"",
            "emptied beside what is written ahead": b"",
            "a document that is none": self._edited(backup, "UPDATE {} SET body = '{{'"),
            "a document of nonsense": self._edited(
                backup, 'UPDATE {} SET body = \'{{"document": {{"id": "a", "vHost": "a b"}}}}\''
            ),
            "a kind that is not known": self._edited(backup, "UPDATE {} SET kind = 'rout'"),
        }
        starts = []
        for name, data in damaged.items():
            db = edge.db.with_name(name.replace(" ", "-"))
            db.write_bytes(data)
            if name.endswith("ahead"):
                db.with_name(f"{db.name}-wal").write_bytes(good)
            starts.append((name, data, db, self.spawn_edge(db=db)))
        for name, data, db, started in starts:
            with self.subTest(name):
                said = await self.refuses(started, BAD_FILE, str(db))
                self.assertRegex(said, "put a backup|move it away", name)
                self.assertEqual(db.read_bytes(), data, name)
        db = starts[1][2]
        db.rename(db.with_name("away"))
        empty = await self.edge(db=db)
        self.assertEqual(await self.api(empty).get("/routes"), [])
        shutil.copy(backup, starts[2][2])
        whole = await self.edge(db=starts[2][2])
        self.assertEqual(len(await self.api(whole).get("/routes")), 61)

    def _edited(self, backup: Path, statement: str) -> bytes:
        """The store with a statement done to its documents."""
        copy = backup.with_name("edited")
        shutil.copy(backup, copy)
        connection = sqlite3.connect(copy)
        (table,) = (
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if "body" in {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
        )
        connection.execute(statement.format(table) + " WHERE key = 'a'")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return copy.read_bytes()


class CheckTests(EdgeCase):
    """``--check``."""

    async def check(self, *options: str) -> Curled:
        """What it says."""
        return await self.run_command(
            *(*TWISTD, "-n", "--pidfile=", "aluvia-edge", "--check", *options),
            ALUVIA_API_TOKEN=TOKEN,
        )

    async def test_good(self) -> None:
        """It says what would be used and where that comes from, makes nothing, and has status 0."""
        routes = self.file("routes.json", json.dumps({"routes": [{"vHost": "a.example"}]}))
        db = self.file("none", "").with_name("not-there.db")
        said = await self.check("--db", str(db), "--routes", str(routes), "--idle-timeout", "9")
        self.assertEqual((said.status, said.stderr), (0, ""))
        self.assertTrue(said.stdout.endswith("\nOK\n"), said.stdout)
        self.assertRegex(said.stdout, r"(?m)^idle-timeout = 9\.0  # --idle-timeout$")
        self.assertRegex(said.stdout, r"(?m)^api = \"127\.0\.0\.1:8901\"  # default$")
        self.assertFalse(db.exists())
        self.assertEqual([*db.parent.glob("not-there*")], [])
        self.assert_no_secret(said.stdout)

    async def test_bad(self) -> None:
        """What would keep it from starting has the status that the start would have."""
        db = self.file("bad.db", "no database at all, and more than a header of it" * 50)
        routes = self.file("routes.json", json.dumps({"routes": [{"vHost": "", "backends": 1}]}))
        for options, said in (
            (("--db", str(db)), (str(db), "put a backup")),
            (("--routes", str(routes)), ("/routes/0/vHost", "/routes/0/backends")),
        ):
            told = await self.check(*options)
            self.assertEqual((told.status, told.stdout), (BAD_FILE, ""))
            for part in said:
                self.assertIn(part, told.stderr)
