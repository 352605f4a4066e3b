"""The client door: a local forward proxy that sends each request direct or through a gateway."""

from aluvia.client.session import AluviaClient, Session

__all__ = ["AluviaClient", "Session"]
