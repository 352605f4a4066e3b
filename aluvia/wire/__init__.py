"""Bytes and what they mean, without I/O, clock or logging: HTTP/1.1 read, judged and written."""
