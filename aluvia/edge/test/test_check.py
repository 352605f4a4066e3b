"""Tests for :mod:`aluvia.edge.check`, by way of the command line."""

from __future__ import annotations

import datetime
import os
import sqlite3
import tomllib
import typing
from pathlib import Path

import trustme

from aluvia.edge.api_token import VARIABLE
from aluvia.edge.model import Backend, BasicProvider, EntryPointProvider, Route, Snapshot
from aluvia.edge.stored import differences, keep
from aluvia.edge.test.tap_case import TapCase
from aluvia.store.database import RECOVERY, Database

ROUTES = """
[[routes]]
vHost = "a.example"

[[routes.backends]]
hostname = "10.0.0.1"
port = 3000
"""


def state(directory: Path) -> dict[str, tuple[int, int, bytes]]:
    """
    All that is in a directory: modes, times and contents; but for what SQLite's processes tell each
    other there, who reads among it.
    """
    return {
        each.name: (each.stat().st_mode, each.stat().st_mtime_ns, each.read_bytes())
        for each in sorted(directory.iterdir())
        if each.is_file() and not each.name.endswith("-shm")
    }


class ReportTests(TapCase):
    """What it prints where all is well."""

    def test_round(self) -> None:
        """A TOML file that means the same, with where each came from; advice, and OK."""
        certificate, key = self.certificate()
        words = (
            *("--http", "haproxy:tcp6:8080", "--https", "systemd:INET:name=https"),
            *("--api", "[::]:8901", "--db", str(self.directory / "edge.db")),
            *("--routes", self.file(ROUTES, "routes.toml")),
            *("--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "::1"),
            *("--certificates", str(self.directory)),
            *("--default-certificate", certificate, "--default-key", key),
            *("--access-log", "-", "--port-file", "x", "--max-connections-per-address", "none"),
        )
        said = self.exits(0, "--check", *words)
        self.assertTrue(said.endswith("\nOK\n"))
        self.assertIn("# The API at [::]:8901 takes its token without TLS", said)
        self.assertIn('http = "[::]:8080,proxy_protocol"  # --http\n', said)
        self.assertIn('max-connections-per-address = "none"  # --max-conn', said)
        self.assertIn("idle-timeout = 75.0  # default\n", said)
        body = said.removesuffix("OK\n")
        self.assertEqual(tomllib.loads(body)["trusted-proxy"], ["10.0.0.0/8", "::1/128"])
        self.assertEqual(self.parse("--config", self.file(body)), self.parse(*words))

    def test_defaults(self) -> None:
        """Without a word, and twice as it prints itself."""
        here = self.directory / "here"
        here.mkdir()
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(here)
        said = self.exits(0, "--check")
        self.assertIn(f'db = "{here}/edge.db"  # default\n', said)
        config = self.file(said.removesuffix("OK\n"), "config.toml")
        self.assertEqual(self.parse("--config", config), self.parse())
        self.assertEqual(os.listdir(here), [])

    def test_nowhere_and_in_memory(self) -> None:
        """The words for nothing can be read again."""
        words = ("--https", "none", "--db", ":memory:")
        said = self.exits(0, "--check", *words)
        self.assertIn('https = "none"', said)
        body = self.file(said.removesuffix("OK\n"))
        self.assertEqual(self.parse("--config", body), self.parse(*words))

    def test_a_demo(self) -> None:
        """Has nothing of the real one's to read."""
        self.environ[VARIABLE] = "short"
        said = self.exits(0, "--check", "--demo")
        self.assertIn('db = ":memory:"', said)
        self.assertNotIn("token", said.partition("\n\n")[2])


class CheckCase(TapCase):
    """A store's place in a directory of its own."""

    def check(self, *words: str) -> str:
        """What is said, and that all is well; nothing has changed meanwhile."""
        before = state(self.directory)
        said = self.exits(0, "--check", "--db", str(self.directory / "edge.db"), *words)
        self.assertEqual(state(self.directory), before)
        return said

    def refused(self, *words: str) -> str:
        """What is said, and that something is wrong; nothing has changed meanwhile."""
        before = state(self.directory)
        said = self.exits(78, "--check", "--db", str(self.directory / "edge.db"), *words)
        self.assertEqual(state(self.directory), before)
        self.assertTrue(said.startswith("aluvia: "))
        return said


class TokenTests(CheckCase):
    """The API's token."""

    def test_none_yet(self) -> None:
        """Where it will be is said, and it is not made."""
        said = self.check()
        self.assertIn(f"will be made at the first start, in {self.directory}/edge.db.api", said)

    def test_found(self) -> None:
        """A good one is nothing to speak of; one that others can read is."""
        own = self.file("canary-0123456789", "edge.db.api-token")
        self.assertIn(f"# Others can read the API's token in {own}; the start closes", self.check())
        given = self.file("canary-0123456789")
        said = self.check("--api-token-file", given)
        self.assertIn(f"# Others can read the API's token in {given}.\n", said)
        self.environ[VARIABLE] = "canary-0123456789"
        said += self.check()
        self.assertNotIn("will be made", said)
        self.assertNotIn("canary", said)
        Path(given).chmod(0o600)
        self.assertNotIn("Others can read", self.check("--api-token-file", given))

    def test_refused(self) -> None:
        """With its place, and nothing of it."""
        self.assertIn("/nowhere: No such file", self.refused("--api-token-file", "/nowhere"))
        own = self.file("canary", "edge.db.api-token")
        self.assertIn(f"aluvia: {own}: an API token has 16 characters or more\n", self.refused())
        self.environ[VARIABLE] = "canary"
        said = self.refused()
        self.assertIn(f"${VARIABLE}: an API token has 16 characters or more", said)
        self.assertNotIn("canary", said)


class StoreTests(CheckCase):
    """The store, if it is there."""

    def setUp(self) -> None:
        """Name it."""
        super().setUp()
        self.path = self.directory / "edge.db"

    def test_ours(self) -> None:
        """Closed in order, in use, or left behind by a process that was killed."""
        database = Database(self.path)
        with database.writing() as connection:
            connection.exec_driver_sql("UPDATE store SET revision = 7")
        self.assertTrue(self.path.with_name("edge.db-wal").exists())
        self.assertTrue(self.check().endswith("OK\n"))
        left = {each.name: each.read_bytes() for each in self.directory.iterdir()}
        database.close()
        self.assertEqual(os.listdir(self.directory), ["edge.db"])
        self.assertTrue(self.check().endswith("OK\n"))
        for name, content in left.items():
            if not name.endswith("-shm"):
                (self.directory / name).write_bytes(content)
        self.assertTrue(self.check().endswith("OK\n"))

    def test_somebody_elses(self) -> None:
        """Another program's, and what is no database at all."""
        self.path.write_text("a text, which is long enough to look like something\n" * 100)
        self.assertIn(f"aluvia: {self.path}: file is not a database; {RECOVERY}", self.refused())
        self.path.unlink()
        other = sqlite3.connect(self.path)
        other.execute("CREATE TABLE t (x)")
        other.commit()
        other.close()
        self.assertIn(f"aluvia: {self.path}: it is a database of another program", self.refused())

    def test_of_another_version(self) -> None:
        """Said as a start would say it."""
        Database(self.path).close()
        other = sqlite3.connect(self.path)
        other.execute("PRAGMA user_version = 99")
        # Written ahead, and nowhere else yet.
        self.addCleanup(other.close)
        self.assertIn(f"aluvia: {self.path}: it is of version 99", self.refused())

    def test_damaged(self) -> None:
        """A page of it that was overwritten is found, and it is said how to go on."""
        Database(self.path).close()
        data = bytearray(self.path.read_bytes())
        data[4096:8192] = bytes(range(256)) * 16
        self.path.write_bytes(data)
        said = self.refused()
        self.assertIn(f"aluvia: {self.path}: its pages do not fit together; ", said)
        self.assertIn(RECOVERY, said)

    def test_emptied(self) -> None:
        """One that was emptied is not taken for a new one."""
        self.path.touch()
        said = self.refused()
        self.assertIn(f"aluvia: {self.path}: it is empty, and a new one is not; {RECOVERY}", said)

    def test_a_directory(self) -> None:
        """Is no store."""
        self.path.mkdir()
        self.assertIn(f"aluvia: {self.path}: ", self.refused())

    def test_no_directory(self) -> None:
        """A store that could not be made is said."""
        said = self.exits(78, "--check", "--db", "/nowhere/edge.db")
        self.assertIn("aluvia: /nowhere/edge.db: there is no directory /nowhere\n", said)

    def keep(self, **parts: typing.Any) -> None:
        """Put something in it."""
        after = Snapshot(**parts)
        database = Database(self.path)
        with database.writing() as connection:
            keep(connection, Snapshot(), after, differences(Snapshot(), after))
        database.close()

    def test_what_cannot_be_put_to_work(self) -> None:
        """What would keep an edge with this store from starting, though each document is good."""
        gone = EntryPointProvider(id="gone", entry_point="nobody-has-this")
        self.keep(providers={"gone": gone})
        said = self.refused()
        self.assertIn(f"aluvia: {self.path}: what is kept cannot be used (/authProviders", said)
        self.assertIn("There is no entry point", said)

    def test_a_loop(self) -> None:
        """So is a backend that would be the edge itself, as it is to listen now."""
        backend = Backend(id="b", hostname="127.0.0.1", port=8443)
        self.keep(routes={"a": Route(id="a", v_host="a.example", backends=(backend,))})
        said = self.refused("--https", "127.0.0.1:8443")
        self.assertIn("/routes/0/backends/0 the backend is this edge itself", said)
        self.check("--https", "127.0.0.1:443")
        self.assertIn("is this edge itself", self.refused("--api", "127.0.0.1:8443"))

    def test_an_odd_name(self) -> None:
        """A name with what means something in a URL is that file's all the same."""
        path = self.directory / "a?mode=rwc&b#c%41.db"
        Database(path).close()
        self.assertTrue(self.exits(0, "--check", "--db", str(path)).endswith("OK\n"))
        path.write_text("no database" * 1000)
        self.assertIn("not a database", self.exits(78, "--check", "--db", str(path)))


class CertificateTests(CheckCase):
    """Certificates in files."""

    def issued(self, name: str, **more: object) -> Path:
        """A pair in the directory."""
        authority = trustme.CA()
        issued = authority.issue_cert(name, **more)  # type: ignore[arg-type]
        directory = self.directory / "live" / name
        directory.mkdir(parents=True)
        issued.private_key_pem.write_to_path(directory / "privkey.pem")
        for blob in issued.cert_chain_pems:
            blob.write_to_path(directory / "fullchain.pem", append=True)
        return directory

    def test_good(self) -> None:
        """Are nothing to speak of."""
        self.issued("a.example")
        certificate, key = self.certificate()
        said = self.check(
            *("--certificates", str(self.directory / "live")),
            *("--default-certificate", certificate, "--default-key", key),
        )
        self.assertNotIn(".pem", said.partition("\n\n")[2])

    def test_a_bad_one_of_many(self) -> None:
        """Is a line of advice, since the others are used; as is one that has expired."""
        self.issued("a.example")
        (self.issued("b.example") / "privkey.pem").write_text("canary")
        now = datetime.datetime.now(datetime.UTC)
        self.issued("c.example", not_after=now - datetime.timedelta(days=1))
        said = self.check("--certificates", str(self.directory / "live"))
        self.assertIn(f"# The certificate in {self.directory}/live/b.example/fullchain.pem", said)
        self.assertIn(f"# The certificate in {self.directory}/live/c.example/fullchain.pem", said)
        self.assertNotIn("a.example", said.partition("\n\n")[2])
        self.assertNotIn("canary", said)

    def test_no_directory(self) -> None:
        """Keeps it from starting, and so does a default pair that is no good."""
        self.assertIn("/nowhere cannot be read", self.refused("--certificates", "/nowhere"))
        certificate, _ = self.certificate()
        _, key = self.certificate()
        said = self.refused("--default-certificate", certificate, "--default-key", key)
        self.assertIn("The default certificate cannot be used", said)


class RoutesTests(CheckCase):
    """The routes file."""

    def test_good(self) -> None:
        """TOML and JSON; what is ignored in it is said."""
        self.check("--routes", self.file(ROUTES, "routes.toml"))
        path = self.file(
            '{"routes": [{"vHost": "a.example", "backends": [{"hostname": "h", "port": 1,'
            ' "isDead": false}]}]}',
            "routes.json",
        )
        self.assertIn(f"# {path}: ", self.check("--routes", path))

    def test_bad(self) -> None:
        """Every fault on a line of its own, with the file and the pointer."""
        path = self.file(ROUTES.replace("3000", "0").replace("a.example", "a b"), "routes.toml")
        said = self.refused("--routes", path)
        self.assertIn(f"{path}: /routes/0/vHost: ", said)
        self.assertIn(f"{path}: /routes/0/backends/0/port: ", said)
        self.assertIn("/nowhere.toml: No such file", self.refused("--routes", "/nowhere.toml"))

    def test_what_is_in_the_store(self) -> None:
        """What it names, and does not have itself, is looked for there."""
        text = ROUTES.replace("vHost", 'authProvider = "staff"\nvHost')
        path = self.file(text, "routes.toml")
        self.assertIn("/routes/0/authProvider", self.refused("--routes", path))
        after = Snapshot(providers={"staff": BasicProvider(id="staff")})
        database = Database(self.directory / "edge.db")
        with database.writing() as connection:
            keep(connection, Snapshot(), after, differences(Snapshot(), after))
        database.close()
        self.check("--routes", path)

    def test_what_cannot_be_put_to_work(self) -> None:
        """With the file and the place in it."""
        text = ROUTES.replace("10.0.0.1", "127.0.0.1")
        path = self.file(text, "routes.toml")
        said = self.refused("--routes", path, "--http", "127.0.0.1:3000")
        self.assertIn(
            f"{path}: /routes/0/backends/0: the backend is this edge itself\n",
            said,
        )
        self.check("--routes", path)

    def test_its_certificates(self) -> None:
        """Are judged for their names."""
        certificate, key = self.certificate("b.example")
        text = f'{ROUTES}\n[routes.ssl]\ncertFile = "{certificate}"\nkeyFile = "{key}"\n'
        self.assertIn(
            "The certificate is not for a.example; it is for b.example",
            self.refused("--routes", self.file(text, "routes.toml")),
        )
        self.check("--routes", self.file(text.replace("a.example", "b.example"), "routes.toml"))
