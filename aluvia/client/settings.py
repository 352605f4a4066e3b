"""
What the client is to do, as its user said it: checked, typed, and immutable.

Three sources, the same options in each (:mod:`aluvia.client.options`): the command line, which
stands above the ``ALUVIA_*`` environment, which stands above the TOML file. All of them are read
whole before anything starts, files that they name included, so that a mistake anywhere is found
at once and said with its place. An empty variable counts as one that is not set.
"""

from __future__ import annotations

import difflib
import ipaddress
import tomllib
import typing
from pathlib import Path
from urllib.parse import quote

import attrs
from cryptography import x509

from aluvia.client.local_users import FILE_BYTES as USER_FILE_BYTES
from aluvia.client.local_users import parse_users
from aluvia.client.options import OPTIONS, PREFIX, Option
from aluvia.client.takes import Rules
from aluvia.net.parent import ParentProxy
from aluvia.rules import lint

#: ``sysexits.h``: what the process exits with when its options, or a file of theirs, are no good.
USAGE = 64
CONFIG = 78

#: More than this is no configuration file, and no bundle of authorities.
FILE_BYTES = 1_048_576

#: What :meth:`Settings.redacted` shows in place of a password.
HIDDEN = "***"


class SettingsError(Exception):
    """
    The client cannot run with what it was told. The text is one line for its user, without secrets.

    :ivar status: what the process exits with.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


@attrs.frozen(kw_only=True)
class Settings:
    """
    Every option with its value; the defaults are the product's.

    :ivar gateway: the parent proxy; None where there is none, and then there are no rules.
    :ivar admin_port: None for no admin port.
    :ivar local_users: passwords by user name, one of which every client must give; None where no
        client needs any.
    :ivar gateway_ca: was read once, and was good then.
    :ivar sources: where the value of a field came from (``--port``, ``ALUVIA_PORT``, ``port in
        FILE``), for fields that are not at their default; not a part of the value.
    :ivar unknown: variables that look like options and are none, each with the one it may mean.
    """

    gateway: ParentProxy | None = None
    rules: tuple[str, ...] = ()
    listen: str = "127.0.0.1"
    port: int = 18787
    admin_port: int | None = 18788
    port_file: Path | None = None
    connect_timeout: float = 10.0
    idle_timeout: float = 600.0
    drain_timeout: float = 10.0
    max_connections: int = 4096
    allow_link_local: bool = False
    local_users: typing.Mapping[str, str] | None = attrs.field(default=None, repr=False)
    gateway_ca: Path | None = None
    log_level: str = "info"
    log_format: str = "text"
    sources: typing.Mapping[str, str] = attrs.field(factory=dict, repr=False, eq=False)
    unknown: typing.Mapping[str, str] = attrs.field(factory=dict, repr=False, eq=False)

    def credentials(self) -> list[tuple[str, str]]:
        """Each user name and password that must never be shown."""
        pairs = list((self.local_users or {}).items())
        if self.gateway is not None and self.gateway.username is not None:
            pairs.append((self.gateway.username, self.gateway.password))
        return pairs

    def redacted(self) -> dict[str, object]:
        """
        Every option by its name, as it would stand in a TOML file, without passwords. What is not
        set is not there. User names are shown: it is for whoever checks a configuration of theirs,
        not for a log or a page.
        """
        shown: dict[str, object] = {}
        for option in OPTIONS:
            value = getattr(self, option.field)
            if isinstance(value, ParentProxy):
                name = value.username
                userinfo = "" if name is None else f"{quote(name, safe='')}:{HIDDEN}@"
                value = str(value).replace("://", f"://{userinfo}", 1)
            elif option.field == "local_users" and value is not None:
                value = f"({len(value)} users)"
            elif option.field == "admin_port" and value is None:
                value = "none"
            elif isinstance(value, tuple):
                value = list(value)
            elif isinstance(value, Path):
                value = str(value)
            if value is not None:
                shown[option.name] = value
        return shown

    def advice(self) -> list[str]:
        """
        What its user should know, and what is no error: a line each, for the log at start.
        """
        lines = []
        gateway = self.gateway
        if gateway is not None and not gateway.tls and not _is_loopback(gateway.host):
            lines.append(
                f"The gateway {gateway} is reached without TLS: its password and all plain http "
                "can be read on the way. Use an https:// gateway where there is one."
            )
        source = self.sources.get("gateway", "")
        if gateway is not None and gateway.username is not None and source.startswith("--"):
            lines.append(
                "The gateway's password is on the command line, where other users of this machine "
                "can read it. ALUVIA_GATEWAY_URL or a file (--config) keep it to yourself."
            )
        lines += [
            f"Rule {finding.rule!r}: {finding.sentence}"
            for finding in lint(self.rules)
            if finding.severity == "warning"
        ]
        lines += [
            f"{variable} is no option. {PREFIX}* is read; is {meant} meant?"
            for variable, meant in self.unknown.items()
        ]
        return lines


@attrs.frozen
class _Found:
    """A value, where it came from, and what a mistake about it means to the process."""

    value: typing.Any
    source: str
    status: int = USAGE

    def mistake(self, text: str) -> SettingsError:
        """What to raise when the value turns out not to do."""
        return SettingsError(f"{self.source}: {text}", self.status)


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
    found: dict[str, _Found] = {}
    config = flags.get("config") or environ.get(f"{PREFIX}CONFIG")
    if config:
        found |= _from_file(Path(str(config)))
    for option in OPTIONS:
        text = environ.get(option.variable)
        if text:
            found[option.field] = _Found(_read(option, text, option.variable), option.variable)
        given = flags.get(option.name)
        if given is not None:
            found[option.field] = _Found(_read(option, given, option.flag), option.flag)
    found = {field: _followed(field, each) for field, each in found.items()}
    settings = Settings(
        **{field: each.value for field, each in found.items()},
        sources={field: each.source for field, each in found.items()},
        unknown=_unknown_variables(environ),
    )
    _judge(settings, found)
    return settings


def _read(option: Option, given: object, source: str) -> object:
    """A value from the command line or the environment."""
    if isinstance(given, str):
        try:
            return option.takes.from_text(given)
        except ValueError as error:
            raise SettingsError(f"{source}: {error}", USAGE) from None
    if isinstance(option.takes, Rules):
        return tuple(typing.cast(typing.Iterable[str], given))
    return bool(given)


def _from_file(path: Path) -> dict[str, _Found]:
    source = str(path)
    try:
        table = tomllib.loads(_contents(path, FILE_BYTES, source).decode("utf-8"))
    except UnicodeDecodeError:
        raise SettingsError(f"{source}: is not UTF-8", CONFIG) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{source}: {error}", CONFIG) from None
    found = {}
    options = {option.name: option for option in OPTIONS}
    for key, value in table.items():
        if key not in options:
            near = difflib.get_close_matches(key.lower().replace("_", "-"), options, 1)
            question = f"; is {near[0]!r} meant?" if near else ""
            raise SettingsError(f"{source}: unknown key {key!r}{question}", CONFIG)
        option = options[key]
        try:
            read = option.takes.from_toml(value)
        except ValueError as error:
            raise SettingsError(f"{key} in {source}: {error}", CONFIG) from None
        if isinstance(read, Path):
            read = path.parent / read
        found[option.field] = _Found(read, f"{key} in {source}", CONFIG)
    return found


def _followed(field: str, found: _Found) -> _Found:
    """Read the file that an option names, or make its name absolute: daemons change directory."""
    if not isinstance(found.value, Path):
        return found
    path = found.value.absolute()
    value: object = path
    try:
        if field == "local_users":
            value = parse_users(_contents(path, USER_FILE_BYTES, found.source))
        elif field == "gateway_ca":
            x509.load_pem_x509_certificates(_contents(path, FILE_BYTES, found.source))
    except ValueError as error:
        why = str(error) if field == "local_users" else "has no good certificate in PEM"
        raise SettingsError(f"{found.source}: {path} {why}", CONFIG) from None
    return attrs.evolve(found, value=value)


def _contents(path: Path, limit: int, source: str) -> bytes:
    place = source if source == str(path) else f"{source}: {path}"
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise SettingsError(f"{place}: {error.strerror}", CONFIG) from None
    if len(data) > limit:
        raise SettingsError(f"{place}: longer than {limit} bytes", CONFIG)
    return data


def _judge(settings: Settings, found: typing.Mapping[str, _Found]) -> None:
    """What no option shows by itself."""
    if settings.gateway is None:
        raise SettingsError(
            "no gateway: give --gateway-url, ALUVIA_GATEWAY_URL, or gateway-url in a --config file",
            USAGE,
        )
    if not _is_loopback(settings.listen) and settings.local_users is None:
        raise found["listen"].mistake(
            f"{settings.listen} can be reached from other machines, so that --local-auth-file "
            "is needed"
        )
    if settings.port and settings.port == settings.admin_port:
        # Even where their addresses differ: two services on one number are taken for each other.
        either = found.get("port") or found["admin_port"]
        raise either.mistake(f"the proxy and the admin port cannot both be {settings.port}")


def _unknown_variables(environ: typing.Mapping[str, str]) -> dict[str, str]:
    known = [option.variable for option in OPTIONS]
    return {
        variable: near[0]
        for variable in sorted(environ)
        if variable.startswith(PREFIX) and variable not in (*known, f"{PREFIX}CONFIG")
        for near in [difflib.get_close_matches(variable, known, 1, 0.85)]
        if near
    }


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
