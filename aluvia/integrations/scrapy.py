"""
For Scrapy: an extension that runs the client in the crawler's own reactor, and a downloader
middleware that sends requests through it.

::

    EXTENSIONS = {"aluvia.integrations.scrapy.AluviaExtension": 500}
    DOWNLOADER_MIDDLEWARES = {"aluvia.integrations.scrapy.AluviaMiddleware": 740}
    ALUVIA_TOKEN = os.environ["ALUVIA_TOKEN"]

The middleware stands in front of Scrapy's own ``HttpProxyMiddleware`` (750), which does the rest.

.. code-block:: text

    signal                 what happens
    ---------------------  ----------------------------------------------------------------------
    spider_opened          the client is started; no request goes out before it is ready. If that
                           fails, the spider is closed with the reason ``aluvia_failed``
    engine_stopped, or     the client is stopped
    spider_closed where
    no engine ever ran

No request goes out unless the client runs: one that comes nevertheless is dropped, and never sent
past the proxy.
"""

from __future__ import annotations

import logging
import typing

from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider, IgnoreRequest, NotConfigured
from scrapy.http import Request
from scrapy.settings import BaseSettings
from scrapy.utils.defer import maybe_deferred_to_future
from twisted.internet.defer import Deferred

from aluvia.arguments import ARGUMENTS, variable_of
from aluvia.client.session import AluviaClient, Session
from aluvia.errors import AluviaError

logger = logging.getLogger(__name__)

#: The reason that a spider is closed for, if there is no proxy for it.
FAILED = "aluvia_failed"

#: Settings with the names that the client's own environment variables have, and the arguments of
#: :class:`~aluvia.client.session.AluviaClient` that they are. Beside them there is
#: ``ALUVIA_NO_STRICT``, and ``ALUVIA_ENABLED``, which is on unless it is said to be off.
SETTINGS = {
    variable_of(argument): argument
    for argument in ARGUMENTS
    if argument not in ("strict", "gateway_url", "rules")
}

#: In a request's ``meta``: False for a request that is not to be touched.
WANTED = "aluvia"

#: In a request's ``meta``: the proxy that we gave it. A request that is tried again, or read from a
#: crawl that was interrupted, may bring that of a client that is no more.
GIVEN = "aluvia_proxy"


class AluviaExtension:
    """
    Starts and stops the client.

    :ivar session: while the client runs.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.session: Session | None = None
        self._crawler = crawler
        self._client: AluviaClient | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> typing.Self:
        """As Scrapy makes one."""
        _need_enabled(crawler.settings)
        extension = cls(crawler)
        crawler.signals.connect(extension.spider_opened, signal=signals.spider_opened)
        crawler.signals.connect(extension.spider_closed, signal=signals.spider_closed)
        crawler.signals.connect(extension.engine_stopped, signal=signals.engine_stopped)
        return extension

    async def spider_opened(self) -> None:
        """Start. :raises CloseSpider: it could not be started."""
        try:
            if self._crawler.get_downloader_middleware(AluviaMiddleware) is None:
                raise AluviaError("AluviaMiddleware is not among the DOWNLOADER_MIDDLEWARES.")
            if not self._crawler.settings.getbool("TWISTED_REACTOR_ENABLED", True):
                raise AluviaError("TWISTED_REACTOR_ENABLED is off: use aluvia.launch.")
            self._client = AluviaClient(**_arguments(self._crawler.settings))
            starting = Deferred.fromCoroutine(self._client.start())
            # Where Scrapy's coroutines are asyncio's, they cannot await a Deferred as it is.
            self.session = await maybe_deferred_to_future(starting)
        except (AluviaError, ValueError) as error:
            logger.error("aluvia did not start, so the spider is closed: %s", error)
            # Since Scrapy 2.18 this is heard; any other error would be logged, and no more.
            raise CloseSpider(FAILED) from None

    async def spider_closed(self) -> None:
        """Stop, if no engine will."""
        if not self._crawler.engine.running:
            await self.engine_stopped()

    async def engine_stopped(self) -> None:
        """Stop; again is safe."""
        self.session = None
        if self._client is not None:
            await maybe_deferred_to_future(Deferred.fromCoroutine(self._client.stop()))


class AluviaMiddleware:
    """
    Gives each request the proxy, unless it has one, or ``aluvia: False`` in its ``meta``.

    ``proxy: None`` is one: such a request goes out without any.
    """

    def __init__(self, extension: AluviaExtension) -> None:
        self._extension = extension

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> typing.Self:
        """As Scrapy makes one. :raises ValueError: the extension is not there."""
        _need_enabled(crawler.settings)
        extension = crawler.get_extension(AluviaExtension)
        if extension is None:
            raise ValueError("AluviaMiddleware needs AluviaExtension, among the EXTENSIONS.")
        return cls(extension)

    def process_request(self, request: Request) -> None:
        """Set it. :raises IgnoreRequest: the client does not run."""
        meta = request.meta
        if meta.get(WANTED) is False:
            return
        if "proxy" in meta and (GIVEN not in meta or meta["proxy"] != meta[GIVEN]):
            return
        session = self._extension.session
        if session is None:
            raise IgnoreRequest("aluvia does not run")
        meta["proxy"] = meta[GIVEN] = session.url


def _need_enabled(settings: BaseSettings) -> None:
    if not settings.getbool("ALUVIA_ENABLED", True):
        raise NotConfigured("ALUVIA_ENABLED is off")


def _arguments(settings: BaseSettings) -> dict[str, typing.Any]:
    given = {argument: settings.get(name) for name, argument in SETTINGS.items()}
    arguments = {argument: value for argument, value in given.items() if value not in (None, "")}
    return arguments | {"strict": not settings.getbool("ALUVIA_NO_STRICT")}
