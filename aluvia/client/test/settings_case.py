"""Sources of settings, and what they give."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.load import SettingsError, load_settings
from aluvia.client.settings import Settings

GATEWAY = "http://canary-user:canary-pass@127.0.0.1:3128"


class SettingsCase(SynchronousTestCase):
    """Sources, and what they give."""

    def toml(self, text: str) -> str:
        """A TOML file of this text."""
        path = Path(self.mktemp())
        path.write_text(text, encoding="utf-8")
        return str(path)

    def file(self, data: bytes) -> str:
        """A file of these bytes."""
        path = Path(self.mktemp()).absolute()
        path.write_bytes(data)
        return str(path)

    def load(
        self,
        flags: dict[str, object] | None = None,
        environ: dict[str, str] | None = None,
        toml: str = "",
    ) -> Settings:
        """Settings from these, with a gateway unless they name one."""
        file = {"config": self.toml(toml)} if toml else {}
        return load_settings(
            {**file, **(flags or {})}, {"ALUVIA_GATEWAY_URL": GATEWAY, **(environ or {})}
        )

    def refused(
        self,
        status: int,
        flags: dict[str, object] | None = None,
        environ: dict[str, str] | None = None,
        toml: str = "",
    ) -> str:
        """The line that says what is wrong."""
        error = self.assertRaises(SettingsError, self.load, flags, environ, toml)
        self.assertEqual(status, error.status)
        self.assertEqual(1, len(str(error).splitlines()))
        self.assertNotIn("canary-pass", str(error))
        return str(error)
