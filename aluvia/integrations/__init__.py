"""
aluvia in programs that are not Twisted's, or that have a shape of their own.

:mod:`~aluvia.integrations.launch` is for synchronous programs and for any event loop: the proxy is
a child process (:mod:`~aluvia.integrations.child`). :mod:`~aluvia.integrations.scrapy` is an
extension and a downloader middleware; it needs the extra ``scrapy``.
"""
