"""
What a server says that must not be believed: answers with two readings, or with none.

:data:`LIES` has them by name, for a ``Send`` after the request's head was read. Each is one that a
strict reader of HTTP/1.1 has to refuse (RFC 9110 and RFC 9112; the section is beside it),
whatever a lenient one makes of it. A forward proxy answers ``502`` to each, and closes the
connection to who said it.

:data:`REQUEST_LIES` has the same for the other side: heads that a server has to refuse. The
``%s`` of each stands for the authority of an origin, ``host:port``.
"""

from __future__ import annotations

import types
import typing

_MIB = 1_048_576


def _response(*lines: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join((b"HTTP/1.1 200 OK", *lines, b"", body))


#: Answers by name. All of them end where they stand: nothing has to follow.
LIES: typing.Final[typing.Mapping[str, bytes]] = types.MappingProxyType(
    {
        "garbage": b"\x16\x03\x01 this is not HTTP \r\n\r\n\r\n",
        "ssh_banner": b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
        "http_0_9": b"<html>hello</html>\r\n\r\n",
        "other_protocol": b"RTSP/1.0 200 OK\r\n\r\n",
        "version_2_in_text": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "status_099": b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
        "status_of_two_digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        "status_of_four_digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        "status_is_a_word": b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
        "empty_head": b"\r\n\r\n",
        # RFC 9112 section 6.3
        "length_and_chunked": _response(
            b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"
        ),
        "two_lengths": _response(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"),
        "length_list": _response(b"Content-Length: 5, 6", body=b"hello!"),
        "length_negative": _response(b"Content-Length: -1"),
        "length_signed": _response(b"Content-Length: +5", body=b"hello"),
        "length_hexadecimal": _response(b"Content-Length: 0x5", body=b"hello"),
        "length_overflows": _response(b"Content-Length: 18446744073709551621", body=b"hello"),
        "length_empty": _response(b"Content-Length:"),
        # RFC 9112 section 6.1
        "gzip_then_chunked": _response(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
        "chunked_twice": _response(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
        "chunked_misspelt": _response(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
        "chunked_in_1_0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        # RFC 9112 sections 2.2, 5.1 and 5.2
        "bare_lf": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "bare_cr": b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
        "nul": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        "folded": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        "space_before_colon": b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
        "field_without_colon": b"HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n",
        "field_without_name": b"HTTP/1.1 200 OK\r\n: value\r\nContent-Length: 0\r\n\r\n",
        # Bounds
        "mebibyte_head": b"HTTP/1.1 200 OK\r\nX: " + b"a" * _MIB + b"\r\nContent-Length: 0\r\n\r\n",
        "mebibyte_line": b"HTTP/1.1 200 " + b"a" * _MIB + b"\r\nContent-Length: 0\r\n\r\n",
        "ten_thousand_fields": _response(*(b"X-%d: 1" % n for n in range(10_000))),
        "hundred_continues": b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
    }
)

_LINES = b"Host: %s\r\n"

#: Requests by name; a server answers ``400`` (``431`` and ``501`` where the name says so).
REQUEST_LIES: typing.Final[typing.Mapping[str, bytes]] = types.MappingProxyType(
    {
        "length_and_chunked": b"POST http://%s/ HTTP/1.1\r\n"
        + _LINES
        + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "two_lengths": b"POST http://%s/ HTTP/1.1\r\n"
        + _LINES
        + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "length_signed": b"POST http://%s/ HTTP/1.1\r\n"
        + _LINES
        + b"Content-Length: +5\r\n\r\nhello",
        "length_overflows": b"POST http://%s/ HTTP/1.1\r\n"
        + _LINES
        + b"Content-Length: 18446744073709551621\r\n\r\nhello",
        "chunked_in_1_0": b"POST http://%s/ HTTP/1.0\r\n"
        + _LINES
        + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "no_host": b"GET http://%s/ HTTP/1.1\r\n\r\n",
        "two_hosts": b"GET http://%s/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "host_with_user": b"GET http://%s/ HTTP/1.1\r\nHost: user@a\r\n\r\n",
        "host_with_space": b"GET http://%s/ HTTP/1.1\r\nHost: a b\r\n\r\n",
        "folded": b"GET http://%s/ HTTP/1.1\r\n" + _LINES + b"X: a\r\n b\r\n\r\n",
        "bare_cr": b"GET http://%s/ HTTP/1.1\r\n" + _LINES + b"X: a\rb\r\n\r\n",
        "bare_lf": b"GET http://%s/ HTTP/1.1\nHost: a\n\n",
        "nul": b"GET http://%s/ HTTP/1.1\r\n" + _LINES + b"X: a\0b\r\n\r\n",
        "space_before_colon": b"GET http://%s/ HTTP/1.1\r\n" + _LINES + b"X : a\r\n\r\n",
        "two_spaces": b"GET  http://%s/ HTTP/1.1\r\n" + _LINES + b"\r\n",
        "http_0_9": b"GET http://%s/\r\n\r\n",
        "other_protocol": b"GET http://%s/ RTSP/1.0\r\n" + _LINES + b"\r\n",
        "tls_hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03%s\r\n\r\n",
    }
)
