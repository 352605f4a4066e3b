"""``silent_app.py PORT``: answers everything but ``/silent``, which waits without end."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class App(BaseHTTPRequestHandler):
    """Says that it is there."""

    def do_GET(self) -> None:
        """Answer, or wait."""
        if self.path == "/silent":
            threading.Event().wait()
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"there\n")

    def log_message(self, *given: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), App).serve_forever()
