"""A site of aiohttp's, at the port that it is given: files, uploads, and WebSockets that echo."""

from __future__ import annotations

import hashlib
import sys
import typing

from aiohttp import WSMsgType, web

MOST = 64 * 1_048_576


async def upload(request: web.Request) -> web.Response:
    """Say what came."""
    digest = hashlib.sha256()
    async for piece in request.content.iter_any():
        digest.update(piece)
    return web.json_response({"sha256": digest.hexdigest(), "fields": [*request.headers.items()]})


async def stream(request: web.Request) -> web.StreamResponse:
    """Say so many bytes, without their number."""
    response = web.StreamResponse()
    await response.prepare(request)
    left = int(request.query["bytes"])
    piece = b"x" * 65_536
    while left > 0:
        await response.write(piece[:left])
        left -= len(piece)
    return response


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Send back what comes."""
    socket = web.WebSocketResponse(max_msg_size=MOST, protocols=("one",))
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(typing.cast(str, message.data))
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(typing.cast(bytes, message.data))
    return socket


def main() -> None:
    """Serve."""
    app = web.Application(client_max_size=MOST)
    app.router.add_route("*", "/upload", upload)
    app.router.add_get("/stream", stream)
    app.router.add_get("/ws", echo)
    app.router.add_static("/files", sys.argv[2])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, handler_cancellation=True)


if __name__ == "__main__":
    main()
