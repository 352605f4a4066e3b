"""The server name in a ClientHello: read from whatever pieces, and never guessed."""

from __future__ import annotations

import contextlib
import functools
import typing

import trustme
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from aluvia.testing.properties import settings_for_tests
from aluvia.wire.client_hello import UNREADABLE, ClientHello, ClientHelloReader
from aluvia.wire.test.pieces import splits
from aluvia.wire.test.test_properties import cut

NAME = b"www.example.com"


@functools.cache
def openssl_hello(name: bytes | None = NAME, newest: int = SSL.TLS1_3_VERSION) -> bytes:
    """What OpenSSL sends first."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(newest)
    context.set_alpn_protos([b"h2", b"http/1.1"])
    client = SSL.Connection(context, None)
    client.set_connect_state()
    if name is not None:
        client.set_tlsext_host_name(name)
    with contextlib.suppress(SSL.WantReadError):
        client.do_handshake()
    return client.bio_read(65_536)


def vector(size: int, content: bytes) -> bytes:
    """Content behind its length, in so many bytes."""
    return len(content).to_bytes(size, "big") + content


def extension(kind: int, content: bytes) -> bytes:
    """An extension."""
    return kind.to_bytes(2, "big") + vector(2, content)


def server_name(name: bytes, kind: int = 0) -> bytes:
    """The extension with a name."""
    return extension(0, vector(2, bytes([kind]) + vector(2, name)))


def body(*extensions: bytes) -> bytes:
    """The message without its header."""
    fixed = b"\x03\x03" + bytes(32) + vector(1, b"id") + vector(2, b"\x13\x01") + vector(1, b"\0")
    return fixed + vector(2, b"".join(extensions))


def message(content: bytes, kind: int = 1) -> bytes:
    """A handshake message."""
    return bytes([kind]) + vector(3, content)


def records(data: bytes, size: int = 16_384) -> bytes:
    """It in records of this size."""
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"\x16\x03\x01" + vector(2, part) for part in parts)


def fed(pieces: typing.Iterable[bytes], most: int = 65_536) -> ClientHello | None:
    """What a reader makes of pieces; it is asked no more once it knows."""
    reader = ClientHelloReader(most)
    for piece in pieces:
        hello = reader.feed(piece)
        if hello is not None:
            return hello
    return None


@functools.cache
def answering() -> SSL.Context:
    """A server's context, which takes any name."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    trustme.CA().issue_cert("a.example").configure_cert(context)
    return context


def openssl_reads(data: bytes) -> tuple[bytes | None] | None:
    """The name that OpenSSL finds; None if it refuses, or wants more."""
    server = SSL.Connection(answering(), None)
    server.set_accept_state()
    server.bio_write(data)
    with contextlib.suppress(SSL.Error):
        server.do_handshake()
    try:
        answer = server.bio_read(65_536)
    except SSL.WantReadError:
        return None
    # An alert, or a ServerHello.
    return (server.get_servername(),) if answer[0] == 22 else None


class ReadTests(SynchronousTestCase):
    """What is found."""

    def test_openssl(self) -> None:
        """The name, in whatever pieces it comes; and that there is none."""
        for newest in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            for name in (NAME, None):
                for pieces in splits(openssl_hello(name, newest)):
                    self.assertEqual(fed(pieces), ClientHello(name))

    def test_not_too_early(self) -> None:
        """Nothing is known before the last byte of the message."""
        hello = openssl_hello()
        self.assertIsNone(fed([hello[:-1]]))

    def test_held(self) -> None:
        """All that was fed is kept, what is behind the message too."""
        reader = ClientHelloReader()
        behind = b"\x14\x03\x03\x00\x01\x01"
        self.assertEqual(reader.feed(openssl_hello() + behind), ClientHello(NAME))
        self.assertEqual(reader.held, openssl_hello() + behind)

    def test_no_extensions(self) -> None:
        """A message that ends without any asks for no name."""
        for content in (body()[:-2], body(), body(extension(16, b""))):
            self.assertEqual(fed([records(message(content))]), ClientHello(None))

    def test_two(self) -> None:
        """The first one counts; that there is another is for OpenSSL to refuse."""
        wire = records(message(body(server_name(NAME), server_name(b"b.example"))))
        self.assertEqual(fed([wire]), ClientHello(NAME))
        self.assertIsNone(openssl_reads(wire))

    def test_among_others(self) -> None:
        """It may stand anywhere."""
        content = body(extension(10, b"x"), server_name(NAME), extension(16, b""))
        self.assertEqual(fed([records(message(content), 1)]), ClientHello(NAME))


class UnreadableTests(SynchronousTestCase):
    """What is left to OpenSSL."""

    def test_at_once(self) -> None:
        """Who speaks no TLS is told at the first byte that shows it."""
        for pieces in ([b"GET / HTTP/1.1"], [b"G"], [b"\x16", b"\x02"], [b"\x80"], [b"\x15\x03"]):
            self.assertIs(fed(pieces), UNREADABLE, pieces)
        self.assertIsNone(fed([b"\x16", b"\x03"]))

    def test_records(self) -> None:
        """An empty record, one that is too long, and one of something else in between."""
        for data in (
            b"\x16\x03\x01\x00\x00",
            b"\x16\x03\x01\x40\x01",
            records(message(body())[:9]) + b"\x14\x03\x03\x00\x01\x01",
            records(message(body(), kind=2)),
        ):
            self.assertIs(fed([data]), UNREADABLE, data)

    def test_vectors(self) -> None:
        """A length that does not fit what it is for, wherever it stands."""
        good = body(server_name(NAME))
        for content in (
            b"",
            good[:34],
            good[:-1],
            good + b"\0",
            body() + server_name(NAME),
            body(b"\0"),
            body(extension(10, b"x")[:-1]),
            body(server_name(NAME)[:-1]),
            body(extension(0, b"")),
            body(extension(0, vector(2, b""))),
            body(extension(0, vector(2, b"\0" + vector(2, NAME)) + b"\0")),
            body(extension(0, b"\0\1\0" + vector(2, NAME))),
            body(extension(0, vector(2, b"\0" + vector(2, NAME) + b"\0"))),
            body(extension(0, vector(2, b"\0" + vector(2, NAME)[:-1]))),
        ):
            self.assertIs(fed([records(message(content))]), UNREADABLE, content)

    def test_names(self) -> None:
        """An empty one, one that is too long, with a NUL, of another kind."""
        for extensions in (
            [server_name(b"")],
            [server_name(b"a" * 256)],
            [server_name(b"a\0b")],
            [server_name(NAME, kind=1)],
        ):
            self.assertIs(fed([records(message(body(*extensions)))]), UNREADABLE, extensions)
        self.assertEqual(
            fed([records(message(body(server_name(b"a" * 255))))]), ClientHello(b"a" * 255)
        )

    def test_bound(self) -> None:
        """A message that is announced longer than the bound, or brought in too many records."""
        long = message(body(extension(21, bytes(3_000))))
        self.assertIs(fed([records(long, 20)[:25]], 2_000), UNREADABLE)
        # It would fit, but for what each record takes besides.
        drip = records(message(body(extension(21, bytes(1_000)))), 1)
        reader = ClientHelloReader(2_000)
        at = 0
        while (hello := reader.feed(drip[at : at + 1])) is None:
            at += 1
        self.assertIs(hello, UNREADABLE)
        self.assertEqual(len(reader.held), 2_000)


class PropertyTests(SynchronousTestCase):
    """What holds of all bytes."""

    @settings_for_tests
    @given(st.data(), st.sampled_from([NAME, None]), st.integers(1, 700))
    def test_pieces(self, data: st.DataObject, name: bytes | None, size: int) -> None:
        """However it is cut into records, and these into pieces, it is the same message."""
        wire = records(openssl_hello(name)[5:], size)
        self.assertEqual(fed(cut(data, wire)), ClientHello(name))

    @settings_for_tests
    @given(st.lists(st.binary(max_size=40)), st.booleans())
    def test_anything(self, pieces: list[bytes], in_record: bool) -> None:
        """Nothing is raised, and the pieces make no difference."""
        if in_record:
            pieces = [records(b"\x01" + b"".join(pieces)), b"\x16\x03\x01"]
        self.assertEqual(fed(pieces), fed([b"".join(pieces)]))

    @settings_for_tests
    @given(st.data(), st.sampled_from([NAME, None]))
    def test_as_openssl(self, data: st.DataObject, name: bytes | None) -> None:
        """Where OpenSSL goes on with a message, it has found in it what we have."""
        wire = bytearray(openssl_hello(name))
        at = wire.find(NAME)
        places = st.integers(0, 120) | st.integers(max(0, at - 12), at + 20)
        for _ in range(data.draw(st.integers(1, 3))):
            wire[data.draw(places)] = data.draw(st.integers(0, 255))
        found = openssl_reads(bytes(wire))
        if found is not None:
            self.assertEqual(fed([bytes(wire)]), ClientHello(found[0]))
