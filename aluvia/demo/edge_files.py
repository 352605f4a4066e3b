"""What the edge's demo keeps in its directory: its configuration, as anybody would write one."""

from __future__ import annotations

import secrets
import typing
from pathlib import Path

import attrs

from aluvia.demo.certificate import self_signed
from aluvia.demo.quiet_site import ADDRESS

__all__ = ["API_HOST", "APP_HOST", "ONE", "PASSWORD", "TWO", "USER", "EdgeFiles"]

#: The vhost of both backends.
APP_HOST = "app.localhost"

#: The vhost of one of them, which wants a password.
API_HOST = "api.localhost"

#: The backends.
ONE = "one"
TWO = "two"

#: Nobody's secret.
USER = "demo"
PASSWORD = "demo"

ROUTES = """\
# What this demo is configured with. It is read again after a SIGHUP.

[[routes]]
id = "app"
vHost = "{app_host}"

[[routes.backends]]
id = "{one}"
hostname = "{address}"
port = {port_of_one}

[[routes.backends]]
id = "{two}"
hostname = "{address}"
port = {port_of_two}

[[routes]]
id = "api"
vHost = "{api_host}"
authProvider = "staff"

[[routes.backends]]
id = "{two}"
hostname = "{address}"
port = {port_of_two}

[[authProviders]]
id = "staff"
type = "basic"
users = [{{ name = "{user}", password = "{password}" }}]

[[certificates]]
domain = "{app_host}"
certFile = "certificate.pem"
keyFile = "key.pem"

[[certificates]]
domain = "{api_host}"
certFile = "certificate.pem"
keyFile = "key.pem"
"""


@attrs.frozen
class EdgeFiles:
    """
    The files.

    :param directory: nobody else can read it.
    :ivar token: the API's.
    """

    directory: Path
    token: str = attrs.field(factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def routes(self) -> Path:
        """For ``--routes``."""
        return self.directory / "routes.toml"

    @property
    def api_token(self) -> Path:
        """For ``--api-token-file``."""
        return self.directory / "api-token"

    @property
    def certificate(self) -> Path:
        """For clients to trust."""
        return self.directory / "certificate.pem"

    def write(self, ports: typing.Mapping[str, int], now: float) -> None:
        """
        Write them.

        :param ports: of the backends, by name.
        :param now: seconds since 1970.
        :raises OSError: the directory cannot be written to.
        """
        pair = self_signed([APP_HOST, API_HOST], now)
        routes = ROUTES.format(
            app_host=APP_HOST,
            api_host=API_HOST,
            address=ADDRESS,
            one=ONE,
            two=TWO,
            port_of_one=ports[ONE],
            port_of_two=ports[TWO],
            user=USER,
            password=PASSWORD,
        )
        for path, text in (
            (self.certificate, pair.cert),
            (self.directory / "key.pem", pair.key),
            (self.api_token, f"{self.token}\n"),
            (self.routes, routes),
        ):
            path.write_text(text, encoding="utf-8")
