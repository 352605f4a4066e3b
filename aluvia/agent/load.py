"""
Reading the agent's settings.

Three sources, as everywhere: the command line stands above the environment, and that above the
TOML file. The environment has several names for some options (:mod:`aluvia.agent.options`). The
key's place is one option in all of them: ``--key-file``, then the variables, then ``key-file`` in
the file.
"""

from __future__ import annotations

import socket
import typing
from pathlib import Path

import attrs
from cryptography import x509

from aluvia.agent.options import KEY_VARIABLES, OPTIONS, PREFIX
from aluvia.agent.settings import Settings
from aluvia.hub.registration import NAME_CHARS, SECRET_CHARS
from aluvia.process.sources import (
    FILE_BYTES,
    Found,
    SettingsError,
    contents,
    from_file,
    from_flags,
    from_variables,
    unknown_variables,
    values_of,
)
from aluvia.process.statuses import CONFIG, USAGE
from aluvia.process.takes import Token

__all__ = ["load_settings"]

#: More than this is no key.
KEY_BYTES = 8_192


def load_settings(
    flags: typing.Mapping[str, object],
    environ: typing.Mapping[str, str],
    host_name: typing.Callable[[], str] = socket.gethostname,
) -> Settings:
    """
    Read all sources, and judge them together.

    :param flags: by option name, as they stood on the command line; ``config`` for the file.
    :param host_name: what this machine is called.
    :raises SettingsError: with the place that is wrong.
    """
    found: dict[str, Found] = {}
    config = flags.get("config") or environ.get(f"{PREFIX}CONFIG")
    path = Path(str(config)).absolute() if config else None
    if path is not None:
        found |= from_file(path, OPTIONS)
    found = _under(found, from_variables(OPTIONS, environ), _key_in(environ))
    found = _under(found, from_flags(OPTIONS, flags))
    if "key_file" in found:
        found["key"] = _key_of(found["key_file"])
    if "cafile" in found:
        found["cafile"] = _authorities(found["cafile"])
    _judge(found)
    values = {"id": _called(host_name()), **values_of(found)}
    return Settings(
        **values,
        config=path,
        sources={field: each.source for field, each in found.items()},
        unknown={
            variable: meant
            for variable, meant in unknown_variables(environ, OPTIONS).items()
            if variable not in KEY_VARIABLES
        },
        passed_over=_passed_over(environ),
    )


def _under(found: dict[str, Found], *above: dict[str, Found]) -> dict[str, Found]:
    """
    Lay a source above what was found below it.

    :raises SettingsError: it gives the key twice.
    """
    layer: dict[str, Found] = {}
    for each in above:
        layer |= each
    if "key" in layer and "key_file" in layer:
        raise layer["key_file"].mistake(f"the key stands in {layer['key'].source} already")
    below = dict(found)
    if "key" in layer or "key_file" in layer:
        below.pop("key", None)
        below.pop("key_file", None)
    return below | layer


def _key_in(environ: typing.Mapping[str, str]) -> dict[str, Found]:
    for variable in KEY_VARIABLES:
        text = environ.get(variable, "").strip()
        if text:
            return {"key": _judged_key(text, Found(None, variable), variable)}
    return {}


def _key_of(file: Found) -> Found:
    path = file.value.absolute()
    data = contents(path, KEY_BYTES, file.source)
    # What is no text has no sendable character either.
    return _judged_key(data.decode("latin-1").strip(), file, f"{file.source}: {path}", CONFIG)


def _judged_key(text: str, found: Found, place: str, status: int = USAGE) -> Found:
    if not text:
        raise SettingsError(f"{place}: there is no key in it", status)
    if len(text) > SECRET_CHARS:
        raise SettingsError(f"{place}: a key has {SECRET_CHARS} characters at most", status)
    try:
        return attrs.evolve(found, value=Token().from_text(text))
    except ValueError as error:
        raise SettingsError(f"{place}: the key {error}", status) from None


def _authorities(file: Found) -> Found:
    path = file.value.absolute()
    data = contents(path, FILE_BYTES, file.source)
    try:
        x509.load_pem_x509_certificates(data)
    except ValueError:
        text = f"{file.source}: {path} has no good certificate in PEM"
        raise SettingsError(text, CONFIG) from None
    return attrs.evolve(file, value=data)


def _called(host_name: str) -> str:
    printable = "".join(filter(str.isprintable, host_name)).strip()
    return printable[:NAME_CHARS] or "agent"


def _passed_over(environ: typing.Mapping[str, str]) -> dict[str, str]:
    """Variables that say something else than the one that holds, each with that one."""
    passed: dict[str, str] = {}
    for names in (KEY_VARIABLES, *(option.variables for option in OPTIONS)):
        holds, *others = [name for name in names if environ.get(name, "").strip()] or [""]
        passed |= {name: holds for name in others if environ[name] != environ[holds]}
    return passed


def _judge(found: typing.Mapping[str, Found]) -> None:
    """What no option shows by itself."""
    if "exit" in found and found["exit"].value:
        raise found["exit"].mistake("is not available yet: an agent publishes, and is no exit")
    if "hub" not in found:
        raise SettingsError("no hub: give --hub wss://HOST/agent, or ALUVIA_HUB", USAGE)
    hub = found["hub"].value
    if hub.exposed and not ("insecure" in found and found["insecure"].value):
        raise found["hub"].mistake(
            f"{hub} is not on this machine and has no TLS, so that the key could be read on the "
            "way: use wss://, or allow it with --insecure"
        )
    if "key" not in found:
        raise SettingsError("no key: give --key-file FILE, or ALUVIA_AGENT_KEY", USAGE)
    sources = [found[field] for field in ("publish", "publish_tcp") if field in found]
    tunnels = [(each, source) for source in sources for each in source.value]
    if not tunnels:
        raise SettingsError(
            "nothing to publish: give --publish ID=http://HOST:PORT or --publish-tcp ID=HOST:PORT",
            USAGE,
        )
    longpoll = "carrier" in found and found["carrier"].value == "longpoll"
    if longpoll and all(tunnel.kind == "tcp" for tunnel, _ in tunnels):
        raise found["carrier"].mistake("longpoll carries web servers alone, and none is published")
    seen = set()
    for tunnel, source in tunnels:
        if tunnel.id in seen:
            raise source.mistake(f"{tunnel.id} is published already")
        seen.add(tunnel.id)
