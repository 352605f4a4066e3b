"""Heads, written by hand."""

from __future__ import annotations

HOST = b"Host: a.example\r\n"


def request(fields: bytes = b"", line: bytes = b"GET / HTTP/1.1", host: bytes = HOST) -> bytes:
    """Return a request head."""
    return line + b"\r\n" + host + fields + b"\r\n"


def post(fields: bytes) -> bytes:
    """Return the head of a POST."""
    return request(fields, b"POST / HTTP/1.1")


def response(fields: bytes = b"", line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """Return a response head."""
    return line + b"\r\n" + fields + b"\r\n"
