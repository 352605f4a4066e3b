"""
A crawl with aluvia's extension and middleware, in a process of its own.

``python -m tests.peers.crawl SETTINGS REQUESTS``, both as JSON: settings of Scrapy; and the URL and
the ``meta`` of each request. Prints as JSON why the spider was closed, and of each request what
came, or the error's name.
"""

from __future__ import annotations

import json
import sys
import typing

import scrapy
from scrapy.crawler import AsyncCrawlerProcess, CrawlerProcess
from scrapy.http import Response
from twisted.python.failure import Failure

outcomes: dict[str, object] = {}
reasons: list[str] = []


class Crawl(scrapy.Spider):
    """Asks for what it was told, and follows nothing."""

    name = "crawl"

    async def start(self) -> typing.AsyncIterator[scrapy.Request]:
        """Ask for each."""
        for url, meta in json.loads(sys.argv[2]):
            yield scrapy.Request(url, self.came, meta=meta, errback=self.failed, dont_filter=True)

    def came(self, response: Response) -> None:
        """Keep what it was."""
        gateway = b"X-Fake-Gateway" in response.headers
        outcomes[response.url] = [response.status, json.loads(response.body)["target"], gateway]

    def failed(self, failure: Failure) -> None:
        """Keep what it was."""
        request = typing.cast(typing.Any, failure).request
        outcomes[request.url] = type(failure.value).__name__

    def closed(self, reason: str) -> None:
        """Keep the reason."""
        reasons.append(reason)


def main() -> None:
    """Crawl, and tell."""
    settings = {
        "EXTENSIONS": {"aluvia.integrations.scrapy.AluviaExtension": 500},
        "DOWNLOADER_MIDDLEWARES": {"aluvia.integrations.scrapy.AluviaMiddleware": 740},
        "RETRY_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        **json.loads(sys.argv[1]),
    }
    kind = AsyncCrawlerProcess if "TWISTED_REACTOR_ENABLED" in settings else CrawlerProcess
    process = kind(settings)
    process.crawl(Crawl)
    process.start()
    print(json.dumps({"reasons": reasons, "outcomes": outcomes}))


if __name__ == "__main__":
    main()
