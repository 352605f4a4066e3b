"""
A local proxy as other libraries want to be told of it.

Nothing here imports any of them.
"""

from __future__ import annotations

import urllib.parse

__all__ = ["NO_PROXY", "ProxyAddress", "proxy_environment"]

#: What programs reach without the proxy, by the environment that they are given.
NO_PROXY = "localhost,127.0.0.1,::1"


def proxy_environment(url: str) -> dict[str, str]:
    """The variables by which programs find a proxy, in both spellings."""
    names = ("HTTP_PROXY", "HTTPS_PROXY")
    variables = {name: url for each in names for name in (each, each.lower())}
    return variables | {"NO_PROXY": NO_PROXY, "no_proxy": NO_PROXY}


class ProxyAddress:
    """
    Where a local proxy listens.

    :ivar url: such as ``http://127.0.0.1:18787``.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    @property
    def host(self) -> str:
        """The address; an IPv6 one without brackets."""
        return urllib.parse.urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port."""
        return urllib.parse.urlsplit(self.url).port or 0

    def get_url(self) -> str:
        """:attr:`url`."""
        return self.url

    def as_playwright(self) -> dict[str, str]:
        """The ``proxy`` argument of Playwright's ``launch`` and ``new_context``."""
        return {"server": self.url}

    def as_puppeteer(self) -> list[str]:
        """Among the ``args`` of Puppeteer's ``launch``."""
        return [f"--proxy-server={self.url}"]

    def as_selenium(self) -> list[str]:
        """For ``add_argument`` of Selenium's ``ChromeOptions``, one by one."""
        return [f"--proxy-server={self.url}"]

    def as_requests(self) -> dict[str, str]:
        """The ``proxies`` of requests."""
        return {"http": self.url, "https": self.url}

    def as_httpx(self) -> dict[str, str]:
        """Keyword arguments of ``httpx.Client`` and ``httpx.AsyncClient``."""
        return {"proxy": self.url}

    def as_aiohttp(self) -> dict[str, str]:
        """Keyword arguments of a request of ``aiohttp.ClientSession``."""
        return {"proxy": self.url}

    def as_env(self) -> dict[str, str]:
        """The environment variables by which most programs find a proxy."""
        return proxy_environment(self.url)
