"""An nginx of a test: TLS, HTTP/2, and answers in every framing."""

from __future__ import annotations

import attrs

from tests.peers.support import PeerCase, free_port, need_program

_CONFIGURATION = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    default_type text/plain;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl http2;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        root {folder}/root;
        location = /version {{ return 200 "$server_protocol $ssl_protocol $request_method\\n"; }}
        # Without a length, and without chunks: the body ends with the connection.
        location /until-close/ {{
            alias {folder}/root/; gzip on; gzip_min_length 1; gzip_types text/plain;
            chunked_transfer_encoding off;
        }}
        # Compressed on the fly, so of unknown length.
        location /chunked/ {{
            alias {folder}/root/; gzip on; gzip_min_length 1; gzip_types text/plain;
        }}
        location /slow/ {{ alias {folder}/root/; limit_rate 20k; }}
    }}
}}
"""


@attrs.frozen
class Nginx:
    """Where it listens."""

    port: int
    tls_port: int


async def start_nginx(case: PeerCase, files: dict[str, bytes | int]) -> Nginx:
    """Start one. *files* are its site: contents, or the size of a file with a hole."""
    program = need_program("nginx", "nginx-light")
    folder = case.folder()
    (folder / "root").mkdir()
    for name, content in files.items():
        with (folder / "root" / name).open("wb") as file:
            if isinstance(content, int):
                file.truncate(content)
            else:
                file.write(content)
    certificate, key = case.certificate_files(folder, "localhost", "www.example.com")
    nginx = Nginx(free_port(), free_port())
    (folder / "nginx.conf").write_text(
        _CONFIGURATION.format(
            folder=folder,
            port=nginx.port,
            tls_port=nginx.tls_port,
            certificate=certificate,
            key=key,
        )
    )
    # -e is needed too: the compiled-in error log may not be writable.
    await case.daemon(
        nginx.port, program, "-e", f"{folder}/error.log", "-p", str(folder), "-c",
        f"{folder}/nginx.conf",
    )  # fmt: skip
    return nginx
