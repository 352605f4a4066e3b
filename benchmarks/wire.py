"""What reading and writing a message costs, in microseconds: ``python benchmarks/wire.py``.

No sockets, one process, best of several rounds, so that what is measured is ``aluvia/wire`` and
not the machine's mood. The messages are what a browser sends (12 fields) and what a small server
answers (6 fields). h11 reads the same for comparison, where it is installed.
"""

from __future__ import annotations

import functools
import timeit
import typing

from aluvia.wire.exchange import CHUNKED, END, ClientExchange, ServerExchange, State
from aluvia.wire.head import parse_request_head, parse_response_head
from aluvia.wire.headers import without_hop_by_hop
from aluvia.wire.limits import DEFAULT_LIMITS

GET = b"""GET http://www.example.com/some/path/file.html?x=1&y=2 HTTP/1.1
Host: www.example.com
Connection: keep-alive
sec-ch-ua: "Chromium";v="124", "Not-A.Brand";v="99"
sec-ch-ua-mobile: ?0
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8
Sec-Fetch-Site: none
Sec-Fetch-Mode: navigate
Accept-Encoding: gzip, deflate, br
Accept-Language: en-US,en;q=0.9
Cookie: session=0123456789abcdef; theme=dark
Upgrade-Insecure-Requests: 1

""".replace(b"\n", b"\r\n")

BODY = b"<!doctype html><title>Hello</title><p>Hello."
ANSWER_HEAD = b"""HTTP/1.1 200 OK
Server: nginx/1.22.1
Date: Tue, 14 May 2024 12:00:00 GMT
Content-Type: text/html; charset=utf-8
Content-Length: 44
Connection: keep-alive
ETag: "66434d00-2c"

""".replace(b"\n", b"\r\n")
ANSWER = ANSWER_HEAD + BODY

CONNECT = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"
CHUNK = b"x" * 16_384
CHUNKS = b"4000\r\n" + CHUNK + b"\r\n"

PATH = b"/some/path/file.html?x=1&y=2"
_request = parse_request_head(GET, DEFAULT_LIMITS)
_response = parse_response_head(ANSWER_HEAD, b"GET", DEFAULT_LIMITS)
REQUEST_FIELDS = without_hop_by_hop(_request.fields, _request.connection)
RESPONSE_FIELDS = without_hop_by_hop(_response.fields, _response.connection)

Case = tuple[str, typing.Callable[[], object]]


def best(case: typing.Callable[[], object], number: int = 5_000, rounds: int = 15) -> float:
    """Return the microseconds of one call, in the best of several rounds."""
    return min(timeit.repeat(case, number=number, repeat=rounds)) / number * 1e6


def parts() -> typing.Iterator[Case]:
    """Yield the functions that the exchanges are made of."""
    request = parse_request_head(GET, DEFAULT_LIMITS)
    response = parse_response_head(ANSWER_HEAD, b"GET", DEFAULT_LIMITS)
    yield "parse_request_head, 12 fields", lambda: parse_request_head(GET, DEFAULT_LIMITS)
    yield (
        "parse_response_head, 6 fields",
        lambda: parse_response_head(ANSWER_HEAD, b"GET", DEFAULT_LIMITS),
    )
    yield (
        "without_hop_by_hop, 12 fields",
        lambda: without_hop_by_hop(request.fields, request.connection),
    )
    yield (
        "without_hop_by_hop, 6 fields",
        lambda: without_hop_by_hop(response.fields, response.connection),
    )


def serving() -> typing.Iterator[Case]:
    """Yield what a server's exchange does; each case leaves it ready for the next call."""
    yield "server: a new exchange", lambda: ServerExchange(DEFAULT_LIMITS)
    yield "server: the same, and receive(GET)", lambda: ServerExchange(DEFAULT_LIMITS).receive(GET)
    yield (
        "server: the same, and receive(CONNECT)",
        lambda: ServerExchange(DEFAULT_LIMITS).receive(CONNECT),
    )
    server = ServerExchange(DEFAULT_LIMITS)
    server.receive(GET)

    def write() -> None:
        server.writing = State.IDLE
        server.respond(200, b"OK", RESPONSE_FIELDS, len(BODY))
        server.data(BODY)
        server.end()

    yield "server: respond, data, end", write
    keeping = ServerExchange(DEFAULT_LIMITS)

    def cycle() -> None:
        keeping.receive(GET)
        keeping.respond(200, b"OK", RESPONSE_FIELDS, len(BODY))
        keeping.data(BODY)
        keeping.end()
        keeping.next_cycle()

    yield "server: receive(GET), respond, next_cycle", cycle
    sending = ServerExchange(DEFAULT_LIMITS)
    sending.receive(GET)
    sending.respond(200, b"OK", RESPONSE_FIELDS, CHUNKED)
    yield "server: data(16 KiB), chunked", lambda: sending.data(CHUNK)


def asking() -> typing.Iterator[Case]:
    """Yield what a client's exchange does; each case leaves it ready for the next call."""
    client = ClientExchange(DEFAULT_LIMITS)

    def write() -> None:
        client.writing = State.IDLE
        client.request(b"GET", PATH, REQUEST_FIELDS, 0)
        client.end()

    def read() -> None:
        client.reading = State.IDLE
        client.receive(ANSWER)

    yield "client: request, end", write
    yield "client: receive(200, head and body)", read
    keeping = ClientExchange(DEFAULT_LIMITS)

    def cycle() -> None:
        keeping.request(b"GET", PATH, REQUEST_FIELDS, 0)
        keeping.end()
        keeping.receive(ANSWER)
        keeping.next_cycle()

    yield "client: request, receive(200), next_cycle", cycle
    for name, framing, data in (
        ("client: receive(16 KiB in one chunk)", b"Transfer-Encoding: chunked", CHUNKS),
        ("client: receive(16 KiB of a known length)", b"Content-Length: " + b"9" * 18, CHUNK),
    ):
        receiving = ClientExchange(DEFAULT_LIMITS)
        receiving.request(b"GET", PATH, REQUEST_FIELDS, 0)
        receiving.receive(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        yield name, functools.partial(receiving.receive, data)


def h11_cases() -> typing.Iterator[Case]:
    """Yield the same for h11, if it is installed."""
    try:
        import h11  # noqa: PLC0415 -- it is here for comparison, if it is here
    except ImportError:
        return

    def receive_get() -> None:
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(GET)
        connection.next_event()
        connection.next_event()

    yield "h11: a new connection, and receive(GET)", receive_get


def main() -> None:
    """Print the table."""
    assert ServerExchange().receive(GET)[-1] is END
    for name, case in (*parts(), *serving(), *asking(), *h11_cases()):
        print(f"{name:<46}{best(case):8.2f} µs")


if __name__ == "__main__":
    main()
