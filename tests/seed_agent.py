"""
An agent that was written from the contract of seed 003 and knows nothing of aluvia.

It uses the standard library alone, publishes what ``PROXER_AGENT_TUNNELS`` names, and goes on until
it is killed. One line on standard output for each registration.

    PROXER_GATEWAY_BASE_URL   the hub's port, such as http://127.0.0.1:8910
    PROXER_AGENT_TOKEN        the key
    PROXER_AGENT_TUNNELS      id@token=http://127.0.0.1:3000, comma-separated; @token as you like
    PROXER_AGENT_ID           a name; seed-agent if there is none
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
import typing
import urllib.error
import urllib.request

Document = dict[str, typing.Any]

PULLS = 2
WAIT = 25
HEARTBEAT_SECONDS = 20
RETRY_SECONDS = 0.5
MOST_BODY = 20 * 1024 * 1024


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """What an app answers is the visitor's to follow."""

    def redirect_request(self, *given: typing.Any) -> None:
        """Follow nothing."""


plain = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirects())


def ask(request: urllib.request.Request, timeout: float) -> tuple[int, typing.Any, bytes]:
    """Ask, and return status, headers and body of whatever is answered."""
    try:
        with plain.open(request, timeout=timeout) as answer:
            return answer.status, answer.headers, answer.read(MOST_BODY + 1)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read(MOST_BODY + 1)


class Agent:
    """One agent: a session, pulls that are always open, and a thread for each request."""

    def __init__(self, environ: typing.Mapping[str, str]) -> None:
        self.base = environ["PROXER_GATEWAY_BASE_URL"].rstrip("/")
        self.token = environ["PROXER_AGENT_TOKEN"]
        self.agent_id = environ.get("PROXER_AGENT_ID", "seed-agent")
        self.tunnels: list[Document] = []
        self.targets: dict[str, str] = {}
        for each in environ["PROXER_AGENT_TUNNELS"].split(","):
            name, _, target = each.partition("=")
            id, _, token = name.partition("@")
            self.tunnels.append({"id": id, "target": target} | ({"token": token} if token else {}))
            self.targets[id] = target.rstrip("/")
        self.session_id = ""
        self.registering = threading.Lock()

    def post(self, path: str, document: Document) -> tuple[int, Document]:
        """Call the gateway."""
        request = urllib.request.Request(
            f"{self.base}/api/agent/{path}",
            json.dumps(document).encode(),
            {"Content-Type": "application/json"},
        )
        status, _, body = ask(request, 60)
        return status, json.loads(body)

    def register(self, instead_of: str) -> None:
        """Register, unless another thread has done so already."""
        with self.registering:
            while self.session_id == instead_of:
                try:
                    status, document = self.post(
                        "register",
                        {"agent_id": self.agent_id, "token": self.token, "tunnels": self.tunnels},
                    )
                except OSError as error:
                    status, document = 0, {"error": str(error)}
                if status == 200:
                    self.session_id = document["session_id"]
                    print("registered", *(each["path"] for each in document["tunnels"]), flush=True)
                else:
                    print("not registered", status, flush=True)
                    time.sleep(RETRY_SECONDS)

    def pull(self) -> None:
        """Pull, for ever."""
        while True:
            session_id = self.session_id
            url = f"{self.base}/api/agent/pull?session_id={session_id}&wait={WAIT}"
            try:
                status, _, body = ask(urllib.request.Request(url), WAIT + 10)
            except OSError:
                time.sleep(RETRY_SECONDS)
                continue
            if status == 200:
                request = json.loads(body)["request"]
                threading.Thread(target=self.serve, args=(session_id, request)).start()
            elif status == 404:
                self.register(session_id)
            elif status != 204:
                time.sleep(RETRY_SECONDS)

    def serve(self, session_id: str, request: Document) -> None:
        """Ask the local app, and respond."""
        began = time.monotonic()
        response = {"request_id": request["request_id"], "tunnel_id": request["tunnel_id"]}
        try:
            response |= self.local(request)
        except OSError as error:
            response |= {"status": 502, "headers": {}, "body": "", "error": str(error)}
        response["latency_ms"] = int((time.monotonic() - began) * 1000)
        self.post("respond", {"session_id": session_id, "response": response})

    def local(self, request: Document) -> Document:
        """What the local app answers."""
        url = self.targets[request["tunnel_id"]] + request["path"]
        if request["query"]:
            url += "?" + request["query"]
        headers = {name: ", ".join(values) for name, values in request["headers"].items()}
        body = base64.b64decode(request["body"])
        method = request["method"]
        local = urllib.request.Request(url, body or None, headers, method=method)
        status, fields, content = ask(local, 30)
        named: dict[str, list[str]] = {}
        for name, value in fields.items():
            named.setdefault(name, []).append(value)
        return {
            "status": status,
            "headers": named,
            "body": base64.b64encode(content).decode("ascii"),
        }

    def heartbeat(self) -> None:
        """Say that we are here, for ever."""
        while True:
            time.sleep(HEARTBEAT_SECONDS)
            try:
                self.post("heartbeat", {"session_id": self.session_id})
            except OSError:
                continue

    def run(self) -> None:
        """Register, and go on until killed."""
        self.register("")
        for _ in range(PULLS):
            threading.Thread(target=self.pull, daemon=True).start()
        self.heartbeat()


if __name__ == "__main__":
    Agent(os.environ).run()
