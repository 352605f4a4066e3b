"""Which route a request is for."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.routing import RouteTable, readings
from aluvia.wire.errors import ProtocolViolation


@attrs.frozen
class Vhost:
    """A route, as far as the table knows it."""

    v_host: str
    path_prefix: str | None = None


EXACT = Vhost("api.example.com")
WILD = Vhost("*.example.com")
DEEP = Vhost("*.deep.example.com")
ANY = Vhost("*")
ADMIN = Vhost("split.test", "/admin")
STATIC = Vhost("split.test", "/static/v1")
REST = Vhost("split.test")
ONLY = Vhost("part.example.com", "/only")


class RouteTableTests(SynchronousTestCase):
    """A table of a few."""

    table = RouteTable([ANY, WILD, ADMIN, REST, DEEP, EXACT, STATIC, ONLY])

    def test_hosts(self) -> None:
        """Exact beats the longest wildcard, which beats any."""
        for host, route in {
            "api.example.com": EXACT,
            "www.example.com": WILD,
            "a.b.example.com": WILD,
            "a.deep.example.com": DEEP,
            "deep.example.com": WILD,
            "example.com": ANY,
            "badexample.com": ANY,
            "127.0.0.1": ANY,
            "::1": ANY,
            "": ANY,
        }.items():
            self.assertIs(self.table.find(host, b"/"), route, host)
            # Remembered.
            self.assertIs(self.table.find(host, b"/x"), route, host)

    def test_no_route(self) -> None:
        """Without one for any host, a host may have none."""
        table = RouteTable([WILD, Vhost("*.0.0.1")])
        self.assertIsNone(table.find("example.com", b"/"))
        self.assertIsNone(table.find("127.0.0.1", b"/"))
        self.assertIsNone(table.find("", b"/"))

    def test_paths(self) -> None:
        """The longest prefix, by whole segments."""
        for path, route in {
            b"/": REST,
            b"/admin": ADMIN,
            b"/admin/": ADMIN,
            b"/admin?x": ADMIN,
            b"/admin/x/y": ADMIN,
            b"/administrator": REST,
            b"/static/v1/x": STATIC,
            b"/static/v10": REST,
            b"/static": REST,
            b"*": REST,
        }.items():
            self.assertIs(self.table.find("split.test", path), route, path)

    def test_a_prefix_cannot_be_spelled_past(self) -> None:
        """However a server might read it; what reads one way alone passes."""
        for path in (
            b"/%61dmin",
            b"//admin",
            b"/./admin",
            b"/x/../admin",
            b"/x/%2e%2E/admin",
            b"/x%2f..%2fadmin",
            b"/admin;a=b/c",
            b"/..;/admin",
            b"/..%3b/admin",
            b"/admin/..",
            b"/admin/..%2f",
            b"/admin/x/%2e%2e/%2e%2e/",
            b"/admin/../x",
            b"/admin%2F..",
            b"/x\\..\\admin",
            b"/%2561dmin",
            b"/admin%00",
            b"/admin%2500x",
        ):
            with self.assertRaises(ProtocolViolation, msg=path) as caught:
                self.table.find("split.test", path)
            self.assertEqual(caught.exception.status, 400)
        for path in (b"/a/../b", b"/a%20b", b"//b", b"/a;b/%2e%2e/c", b"/%", b"/x/."):
            self.assertIs(self.table.find("split.test", path), REST, path)
        for path in (b"/admin/a%20b", b"/admin/x/../y", b"/admin//x", b"/admin/x;y"):
            self.assertIs(self.table.find("split.test", path), ADMIN, path)

    def test_a_prefix_that_is_escaped(self) -> None:
        """It is found however it is spelled; where servers do not agree the path is refused."""
        cafe, rest = Vhost("a.test", "/caf%C3%A9"), Vhost("a.test")
        colon, slash = Vhost("b.test", "/a%3Ab"), Vhost("b.test", "/c%2Fd")
        table = RouteTable([cafe, rest, colon, slash, Vhost("b.test"), ADMIN, REST])
        for path in (b"/caf%C3%A9", b"/caf%c3%a9/x", b"/caf%C3%a9/%C3", b"/caf%C3%A9/a%20b"):
            self.assertIs(table.find("a.test", path), cafe, path)
        for path in (b"/cafe", b"/", b"/caf%C3%A8", b"/x%20y"):
            self.assertIs(table.find("a.test", path), rest, path)
        self.assertIs(table.find("b.test", b"/a%3ab"), colon)
        for host, path in (
            *(
                ("a.test", b"/caf\xc3\xa9"),
                ("a.test", b"/caf%25C3%25A9"),
                ("a.test", b"/x/../caf%c3%a9"),
            ),
            *(("b.test", b"/a:b"), ("b.test", b"/c%2Fd"), ("b.test", b"/c%2fd")),
            ("split.test", b"/%61dmin"),
        ):
            with self.assertRaises(ProtocolViolation, msg=path):
                table.find(host, path)

    def test_case(self) -> None:
        """It counts in a path: what is spelled otherwise is another one (RFC 3986)."""
        for path in (b"/ADMIN", b"/Admin/x", b"/x/../ADMIN"):
            self.assertIs(self.table.find("split.test", path), REST, path)

    def test_a_vhost_is_a_whole(self) -> None:
        """A path that none of its routes is for has none, though a wildcard is for the host."""
        self.assertIsNone(self.table.find("part.example.com", b"/"))
        self.assertIs(self.table.find("part.example.com", b"/only/x"), ONLY)

    def test_many_hosts(self) -> None:
        """What is remembered of hosts is bounded."""
        table = RouteTable([ANY])
        for number in range(10_000):
            table.find(f"h{number}.test", b"/")
        self.assertLessEqual(len(table._known), 4_096)

    def test_readings(self) -> None:
        """They are bounded, whatever is escaped how often."""
        path = b"/" + b"%25" * 1_000 + b"41"
        self.assertLessEqual(len([*readings(path)]), 13)
