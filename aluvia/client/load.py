"""
Reading the settings.

Three sources, the same options in each (:mod:`aluvia.client.options`): the command line, which
stands above the ``ALUVIA_*`` environment, which stands above the TOML file. All of them are read
whole before anything starts, files that they name included, so that a mistake anywhere is found
at once and said with its place. An empty variable counts as one that is not set.

The token has one more: systemd's credential ``aluvia-token``, below all the others. ``token`` and
``token-file`` are two spellings of one option: the one that stands in the higher source holds.
"""

from __future__ import annotations

import typing
from pathlib import Path

import attrs
from cryptography import x509

from aluvia.client.local_users import FILE_BYTES as USER_FILE_BYTES
from aluvia.client.local_users import parse_users
from aluvia.client.options import OPTIONS, PREFIX
from aluvia.client.settings import Settings
from aluvia.net.addresses import is_loopback
from aluvia.process.sources import (
    FILE_BYTES,
    Found,
    SettingsError,
    contents,
    from_file,
    from_flags,
    from_variables,
    unknown_variables,
)
from aluvia.process.statuses import CONFIG, USAGE
from aluvia.process.takes import Token

__all__ = ["CONFIG", "FILE_BYTES", "USAGE", "SettingsError", "load_settings"]

#: More than this is no token.
TOKEN_BYTES = 8_192

#: Where systemd puts what ``LoadCredential=aluvia-token:FILE`` names.
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
CREDENTIAL = "aluvia-token"


def load_settings(
    flags: typing.Mapping[str, object], environ: typing.Mapping[str, str]
) -> Settings:
    """
    Read all sources, and judge them together.

    :param flags: by option name; texts (for ``rule`` a sequence of them, for a switch True) as
        they stood on the command line, and ``config`` for the TOML file. What is None is not set.
    :param environ: of which ``ALUVIA_*`` is read, ``ALUVIA_CONFIG`` for the file among it.
    :raises SettingsError: with the place that is wrong.
    """
    found: dict[str, Found] = {}
    config = flags.get("config") or environ.get(f"{PREFIX}CONFIG")
    if config:
        _lay(found, from_file(Path(str(config)), OPTIONS))
    _lay(found, from_variables(OPTIONS, environ))
    _lay(found, from_flags(OPTIONS, flags))
    if "token" not in found and "token_file" not in found and "gateway" not in found:
        found |= _credential(environ)
    found = {field: _followed(field, each) for field, each in found.items()}
    if "token_file" in found:
        # Its path is absolute now, and its content takes the token's place.
        found["token"] = _token_in(found["token_file"])
    settings = Settings(
        **{field: each.value for field, each in found.items()},
        sources={field: each.source for field, each in found.items()},
        unknown=unknown_variables(environ, OPTIONS),
    )
    _judge(settings, found)
    return settings


def _lay(found: dict[str, Found], layer: dict[str, Found]) -> None:
    """
    :raises SettingsError: the layer gives the token twice.
    """
    layer = {
        field: each for field, each in layer.items() if each.value is not None or field != "token"
    }
    both = [layer[field] for field in ("token", "token_file") if field in layer]
    if len(both) > 1:
        raise both[1].mistake(f"the token stands in {both[0].source} already")
    if both:
        found.pop("token", None)
        found.pop("token_file", None)
    found |= layer


def _credential(environ: typing.Mapping[str, str]) -> dict[str, Found]:
    directory = environ.get(CREDENTIALS_VARIABLE)
    path = Path(directory or "/") / CREDENTIAL
    if not directory or not path.exists():
        return {}
    return {"token_file": Found(path, f"{CREDENTIALS_VARIABLE}/{CREDENTIAL}", CONFIG)}


def _token_in(file: Found) -> Found:
    try:
        text = contents(file.value, TOKEN_BYTES, file.source).decode("ascii")
        token = Token().from_text(text)
    except ValueError:
        raise SettingsError(f"{file.source}: {file.value} holds no token", CONFIG) from None
    if token is None:
        raise SettingsError(f"{file.source}: {file.value} is empty, so there is no token", USAGE)
    return attrs.evolve(file, value=token)


def _followed(field: str, found: Found) -> Found:
    """Read the file that an option names, or make its name absolute: daemons change directory."""
    if not isinstance(found.value, Path):
        return found
    path = found.value.absolute()
    value: typing.Any = path
    try:
        if field == "local_users":
            value = parse_users(contents(path, USER_FILE_BYTES, found.source))
        elif field == "gateway_ca":
            value = contents(path, FILE_BYTES, found.source)
            x509.load_pem_x509_certificates(value)
    except ValueError as error:
        why = str(error) if field == "local_users" else "has no good certificate in PEM"
        raise SettingsError(f"{found.source}: {path} {why}", CONFIG) from None
    return attrs.evolve(found, value=value)


def _judge(settings: Settings, found: typing.Mapping[str, Found]) -> None:
    """What no option shows by itself."""
    if settings.token is None and settings.gateway is None:
        raise SettingsError(
            "no token: give --token-file FILE or ALUVIA_TOKEN; or --gateway-url URL for a parent "
            "proxy without a control plane",
            USAGE,
        )
    if settings.token is not None and settings.gateway is not None:
        raise SettingsError(
            f"{found['token'].source} and {found['gateway'].source}: a token is for a control "
            "plane, and a gateway's URL for none; give one of them",
            USAGE,
        )
    if settings.rules and settings.gateway is None:
        raise found["rules"].mistake("the control plane has the rules; this is for --gateway-url")
    if not is_loopback(settings.listen) and settings.local_users is None:
        raise found["listen"].mistake(
            f"{settings.listen} can be reached from other machines, so that --local-auth-file "
            "is needed"
        )
    if settings.port and settings.port == settings.admin_port:
        # Even where their addresses differ: two services on one number are taken for each other.
        either = found.get("port") or found["admin_port"]
        raise either.mistake(f"the proxy and the admin port cannot both be {settings.port}")
