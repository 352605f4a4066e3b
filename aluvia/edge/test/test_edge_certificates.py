"""What an edge tells of its certificates, wherever they are from."""

from __future__ import annotations

import json

import trustme

from aluvia.edge import certificates, key_pairs
from aluvia.edge.model import Certificate, KeyPair
from aluvia.edge.test.edge_case import HOST
from aluvia.edge.test.whole_edge_case import WholeEdgeCase


def new_pair() -> KeyPair:
    """A certificate for the host, and its key."""
    issued = trustme.CA().issue_cert(HOST)
    return KeyPair(
        cert=issued.cert_chain_pems[0].bytes().decode(),
        key=issued.private_key_pem.bytes().decode(),
    )


class CertificatesTests(WholeEdgeCase):
    """Over its API."""

    async def test_certificates_are_read_for_each_answer(self) -> None:
        """They are read once, when they come, however often they are shown."""
        edge = await self.start()
        await edge.router.put_certificate(Certificate(domain=HOST, pair=new_pair()))
        for module in (certificates, key_pairs):
            self.patch(module, "read_pair", None)
        (shown,) = json.loads((await self.ask_api(edge, "/api/v1/certificates")).body)
        self.assertEqual(shown["names"], [HOST])
