"""nginx around an edge: behind it as a backend of many manners, and in front as a proxy."""

from __future__ import annotations

import os
import typing
from pathlib import Path

import attrs

from tests.peers.support import PeerCase, free_port, need_program

_AROUND = """
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
    keepalive_requests 100000;
    {servers}
}}
"""

_SITE = """
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        ssl_certificate {folder}/certificate.pem;
        ssl_certificate_key {folder}/key.pem;
        ssl_client_certificate {folder}/authority.pem;
        ssl_verify_client optional;
        ssl_protocols TLSv1.2 TLSv1.3;
        root {folder}/root;
        location = /connection {{ return 200 "$connection $connection_requests\\n"; }}
        location = /who {{
            return 200 "$ssl_server_name $ssl_client_verify $ssl_protocol $http_host\\n";
        }}
        # Compressed on the fly, so of unknown length.
        location /gzip/ {{
            alias {folder}/root/; gzip on; gzip_min_length 1; gzip_types text/plain; gzip_vary on;
        }}
        # Without a length, and without chunks: the body ends with the connection.
        location /until-close/ {{
            alias {folder}/root/; gzip on; gzip_min_length 1; gzip_types text/plain;
            chunked_transfer_encoding off;
        }}
        # It answers before it has read the body.
        location /small/ {{
            alias {folder}/root/small/; client_max_body_size 1k;
            dav_methods PUT; create_full_put_path on;
        }}
        location /stored/ {{
            alias {folder}/root/stored/; dav_methods PUT DELETE; create_full_put_path on;
        }}
        location = /old {{ return 301 /text.txt; }}
        location = /nothing {{ return 204; }}
        location = /gone {{ return 410 "gone\\n"; }}
    }}
"""

#: When a site's files were changed last.
WRITTEN_AT = 1_000_000_000
WRITTEN = "Sun, 09 Sep 2001 01:46:40 GMT"


@attrs.frozen
class Site:
    """
    An nginx as a backend.

    :ivar folder: its files are in ``root`` of that.
    """

    port: int
    tls_port: int
    folder: Path


async def start_site(case: PeerCase, files: typing.Mapping[str, bytes | int]) -> Site:
    """Start one. *files* are its site: contents, or the size of a file with a hole."""
    folder = case.folder()
    case.certificate_files(folder, "backend.example.com")
    case.certificates.authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    (folder / "root").mkdir()
    for name, content in files.items():
        with (folder / "root" / name).open("wb") as file:
            if isinstance(content, int):
                file.truncate(content)
            else:
                file.write(content)
        os.utime(folder / "root" / name, (WRITTEN_AT, WRITTEN_AT))
    site = Site(free_port(), free_port(), folder)
    servers = _SITE.format(folder=folder, port=site.port, tls_port=site.tls_port)
    await start_nginx_of(case, folder, servers, site.port)
    return site


async def start_nginx_of(case: PeerCase, folder: Path, servers: str, port: int) -> None:
    """Start one with these server blocks, one of which listens at *port*."""
    program = need_program("nginx", "nginx-light")
    configuration = folder / "nginx.conf"
    configuration.write_text(_AROUND.format(folder=folder, servers=servers))
    # -e is needed too: the compiled-in error log may not be writable.
    await case.daemon(
        port, program, "-e", f"{folder}/error.log", "-p", str(folder), "-c", str(configuration)
    )
