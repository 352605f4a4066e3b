"""Tests for documents of backends: :mod:`aluvia.edge.backend_fields`."""

from __future__ import annotations

import attrs

from aluvia.edge import bounds
from aluvia.edge.backend_fields import MEASURED
from aluvia.edge.fields import backend_document, read_backend, read_route, route_document
from aluvia.edge.model import AdminState, Backend, BackendTLS, Route
from aluvia.edge.test.fields_case import (
    AUTHORITY_PEM,
    CANARY,
    FIRST,
    SECOND,
    FieldsCase,
    ids,
)


class BackendCase(FieldsCase):
    """A test of backends."""

    def read(self, before: Backend | None = None, **members: object) -> Backend:
        """Read a document."""
        return read_backend(members, ids(), before).value

    def refuse(self, *expected: tuple[str, str], **members: object) -> None:
        """A document has these faults."""
        self.assert_told(self.told(self.read, **members), *expected)


class PlaceTests(BackendCase):
    """Where a backend is."""

    def test_host_and_port(self) -> None:
        """A host in its canonical spelling, and a port; the rest has defaults."""
        backend = self.read(hostname="Node-1.Example.", port=3000)
        self.assertEqual(backend, Backend(id="id-1", hostname="node-1.example", port=3000))
        self.assertEqual(
            backend_document(backend),
            {
                "id": "id-1",
                "hostname": "node-1.example",
                "port": 3000,
                "endpoint": None,
                "weight": 1,
                "admin": "ready",
                "tls": None,
            },
        )
        self.assertEqual(self.read(hostname="[::1]", port=65_535).hostname, "::1")
        self.assertEqual(self.read(**backend_document(backend)), backend)

    def test_endpoint(self) -> None:
        """A dialer and what it dials; a host in it is spelled canonically."""
        for text, endpoint in {
            "tcp:Node-1.:80": "tcp:node-1:80",
            "tls:[::1]:443": "tls:[::1]:443",
            "tls:127.1:443": "tls:127.0.0.1:443",
        }.items():
            backend = self.read(endpoint=text)
            self.assertEqual(backend, Backend(id="id-1", endpoint=endpoint))
            document = backend_document(backend)
            self.assertEqual((document["hostname"], document["port"]), (None, None))
            self.assertEqual(self.read(**document), backend)

    def test_no_endpoint(self) -> None:
        """What dials nothing is refused."""
        for text, words in {
            "tcp": "a dialer's name",
            "tcp:": "a dialer's name",
            ":a:1": "a dialer's name",
            "TCP:a:1": "a dialer's name",
            "a b:c": "a dialer's name",
            "x" * 33 + ":a": "a dialer's name",
            "tcp:a": "must end in a port",
            "tls:::1": "must end in a port",
            "tcp:a:0": "no port",
            "tls:a:443:1": "no IPv6 address",
            "tcp:a b:1": "no host name",
            "": "1 to 512 characters",
            "tcp:" + "a" * 509: "1 to 512 characters",
        }.items():
            self.refuse(("/endpoint", words), endpoint=text)
        self.refuse(("/endpoint", "must be a string"), endpoint=443)

    def test_dialers(self) -> None:
        """Others than the usual ones are known where they are; what is wrong is not repeated."""
        document = {"endpoint": f"{CANARY}:key"}
        told = self.told(read_backend, document, ids())
        self.assert_told(told, ("/endpoint", "tcp, tls, tunnel are"))
        for endpoint in ("exit:home", "exit:a/b?c="):
            read = read_backend({"endpoint": endpoint}, ids(), dialers=["tcp", "exit"])
            self.assertEqual(read.value.endpoint, endpoint)
        for text in ("exit:a b", "exit:ä", "exit:\n"):
            told = self.told(read_backend, {"endpoint": text}, ids(), dialers=["exit"])
            self.assert_told(told, ("/endpoint", "visible ASCII"))
        route = {"vHost": "a", "backends": [{"endpoint": "exit:home"}]}
        self.assert_told(
            self.told(read_route, route, ids()), ("/backends/0/endpoint", "tcp, tls, tunnel are")
        )
        read_route(route, ids(), dialers=["exit"])

    def test_one_place(self) -> None:
        """It is at one place, and at one at all."""
        self.refuse(("", "a hostname and a port, or an endpoint"))
        self.refuse(("", "a hostname and a port"), hostname=None, port=None, endpoint=None)
        self.refuse(("/port", "is missing"), hostname="a")
        self.refuse(("/hostname", "is missing"), port=1)
        both = ("/hostname", "beside an endpoint"), ("/port", "beside an endpoint")
        self.refuse(*both, hostname="a", port=1, endpoint="tcp:a:1")
        self.refuse(both[1], hostname=None, port=1, endpoint="tcp:a:1")

    def test_wrong(self) -> None:
        """Names, ports and all else are what they must be."""
        self.refuse(
            ("/hostname", "colon"),
            ("/port", "from 1 to 65535"),
            ("/weight", "from 1 to 1000"),
            ("/admin", "one of ready, drain, maint"),
            ("/id", "letters, digits"),
            ("/Weight", 'is "weight" meant?'),
            hostname="10.0.0.1:3000",
            port=65_536,
            weight=0,
            admin="dead",
            id="a/b",
            Weight=1,
        )
        for port in (0, True, "80", 80.0):
            self.refuse(("/port", "from 1 to 65535"), hostname="a", port=port)
        self.refuse(("/weight", "whole number"), hostname="a", port=1, weight=bounds.WEIGHT + 1)
        self.assertEqual(self.read(hostname="a", port=1, weight=1000).weight, 1000)
        self.assertEqual(self.read(hostname="a", port=1, admin="maint").admin, AdminState.MAINT)

    def test_measured(self) -> None:
        """What is measured is ignored, whatever it is, and said once."""
        document = {"hostname": "a", "port": 1} | {name: [name] for name in MEASURED}
        read = read_backend(document, ids())
        self.assertEqual(read.value, Backend(id="id-1", hostname="a", port=1))
        self.assertEqual([note.split()[0] for note in read.notes], list(MEASURED))
        whole = read_route({"vHost": "a", "backends": [document, document]}, ids())
        self.assertEqual(whole.notes, read.notes)


class TLSTests(BackendCase):
    """TLS to a backend."""

    def refuse_tls(self, *expected: tuple[str, str], **tls: object) -> None:
        """TLS with these members has these faults."""
        expected = tuple((f"/tls{pointer}", part) for pointer, part in expected)
        self.refuse(*expected, hostname="a", port=1, tls=tls)

    def test_everything(self) -> None:
        """Names and authorities, and a certificate of ours."""
        tls = {
            "sni": "B.example.",
            "ca": AUTHORITY_PEM,
            "clientCert": FIRST.cert,
            "clientKey": FIRST.key,
            "verify": False,
        }
        backend = self.read(hostname="a", port=1, tls=tls)
        self.assertEqual(
            backend.tls,
            BackendTLS(
                sni="b.example",
                ca=AUTHORITY_PEM,
                client_cert=FIRST.cert,
                client_key=FIRST.key,
                verify=False,
            ),
        )
        shown = backend_document(backend)["tls"]
        self.assertEqual(list(shown), ["sni", "ca", "clientCert", "verify"])
        shown = backend_document(backend, secrets=True)["tls"]
        self.assertEqual(list(shown), ["sni", "ca", "clientCert", "clientKey", "verify"])
        self.assertEqual(self.read(hostname="a", port=1, tls=shown), backend)
        self.assertEqual(self.read(hostname="a", port=1, tls={}).tls, BackendTLS())

    def test_wrong(self) -> None:
        """PEM is read, and a name is a name."""
        self.refuse_tls(
            ("/sni", "no address"),
            ("/ca", "cannot be read"),
            ("/clientCert", "a certificate in PEM"),
            ("/clientKey", "private key in PEM"),
            ("/verify", "true or false"),
            ("/cert", "is unknown"),
            sni="127.0.0.1",
            ca="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            clientCert=CANARY,
            clientKey=CANARY,
            verify=None,
            cert="a",
        )

    def test_pair(self) -> None:
        """The key is that of the certificate, and neither comes alone."""
        self.refuse_tls(
            ("/clientKey", "not the key of this"), clientCert=FIRST.cert, clientKey=SECOND.key
        )
        self.refuse_tls(("/clientKey", "is missing"), clientCert=FIRST.cert)
        self.refuse_tls(("/clientKey", "is missing"), clientCert=FIRST.cert, clientKey=None)
        self.refuse_tls(("/clientCert", "is missing"), clientKey=FIRST.key)
        self.refuse_tls(("/clientCert", "is missing"), clientCert=None, clientKey=FIRST.key)
        broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
        self.refuse_tls(("/clientKey", "cannot be read"), clientCert=FIRST.cert, clientKey=broken)

    def test_kept(self) -> None:
        """A key that is not sent is that of before, if its certificate is."""
        tls = BackendTLS(client_cert=FIRST.cert, client_key=FIRST.key)
        before = Backend(id="b", hostname="a", port=1, tls=tls)
        self.assertEqual(self.read(before, **backend_document(before)), before)
        told = self.told(self.read, before, hostname="a", port=1, tls={"clientCert": SECOND.cert})
        self.assert_told(told, ("/tls/clientKey", "is missing"))
        told = self.told(
            self.read,
            before,
            hostname="a",
            port=1,
            tls={"clientCert": FIRST.cert, "clientKey": None},
        )
        self.assert_told(told, ("/tls/clientKey", "is missing"))
        self.assertEqual(self.read(before, hostname="a", port=1, tls={}).tls, BackendTLS())


class ListTests(BackendCase):
    """The backends of a route."""

    def setUp(self) -> None:
        """A route with some."""
        tls = BackendTLS(client_cert=FIRST.cert, client_key=FIRST.key)
        self.backends = (
            Backend(id="one", hostname="a", port=1),
            Backend(id="two", hostname="a", port=1, weight=2),
            Backend(id="three", endpoint="tls:b:443"),
            Backend(id="four", hostname="c", port=1, tls=tls),
        )
        self.before = Route(id="r", v_host="a", backends=self.backends)

    def list_ids(self, *documents: object) -> list[str]:
        """The ids of what is read."""
        document = {"vHost": "a", "backends": list(documents)}
        route = read_route(document, ids(), self.before).value
        return [backend.id for backend in route.backends]

    def test_duplicates(self) -> None:
        """An id is there once, whatever else is wrong."""
        document = {
            "vHost": "a",
            "backends": [
                {"id": "b", "hostname": "a", "port": 1},
                {"id": "B", "hostname": "a", "port": 1},
                {"id": "b", "hostname": "a", "port": 0},
                {"id": "b", "hostname": "a", "port": 1},
            ],
        }
        self.assert_told(
            self.told(read_route, document, ids()),
            ("/backends/2/id", "that of item 0"),
            ("/backends/2/port", "from 1"),
            ("/backends/3/id", "that of item 0"),
        )

    def test_known_again(self) -> None:
        """One without an id is the one that was there; each is so for one of them."""
        self.assertEqual(
            self.list_ids(
                {"hostname": "A.", "port": 1},
                {"endpoint": "tls:B.:443"},
                {"hostname": "a", "port": 1},
                {"hostname": "a", "port": 1},
                {"hostname": "a", "port": 2},
            ),
            ["one", "three", "two", "id-1", "id-2"],
        )
        self.assertEqual(
            self.list_ids({"hostname": "a", "port": 1}, {"id": "one", "hostname": "x", "port": 1}),
            ["two", "one"],
        )

    def test_keys(self) -> None:
        """Each keeps the key of the one that it was, and no other."""
        shown = route_document(self.before)
        self.assertEqual(read_route(shown, ids(), self.before).value, self.before)
        del shown["backends"][3]["id"]
        self.assertEqual(read_route(shown, ids(), self.before).value, self.before)
        shown["backends"][3]["id"] = "five"
        self.assert_told(
            self.told(read_route, shown, ids(), self.before),
            ("/backends/3/tls/clientKey", "is missing"),
        )

    def test_bound(self) -> None:
        """There may be many."""
        backend = {"hostname": "a", "port": 1}
        self.assertEqual(len(self.list_ids(*[backend] * bounds.BACKENDS)), bounds.BACKENDS)

    def test_values(self) -> None:
        """Two that differ in a revision alone are equal, so nothing is lost by reading."""
        newer = attrs.evolve(self.backends[0], revision=7)
        self.assertEqual(self.read(**backend_document(newer)), newer)
