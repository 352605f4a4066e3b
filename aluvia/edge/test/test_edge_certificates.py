"""What an edge tells of its certificates, wherever they are from."""

from __future__ import annotations

import json
import re
from pathlib import Path

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

    async def test_certificates_that_end_unseen(self) -> None:
        """Wherever one is from, the statistics and the metrics tell when it ends."""
        directory = Path(self.mktemp())
        files = directory / "shop"
        files.mkdir(parents=True)
        pair = new_pair()
        (files / "fullchain.pem").write_text(pair.cert)
        (files / "privkey.pem").write_text(pair.key)
        settings = self.settings(
            http=None,
            certificates=directory,
            default_certificate=files / "fullchain.pem",
            default_key=files / "privkey.pem",
        )
        edge = await self.start(settings)
        await edge.router.put_certificate(Certificate(domain=HOST, pair=new_pair()))
        await edge.router.add_route(self.route(ssl=new_pair()))
        stats = json.loads((await self.ask_api(edge, "/api/v1/stats")).body)
        told = [(each["source"], each["domain"]) for each in stats["certificates"]]
        expected = [("route", HOST), ("upload", HOST), ("file", "shop"), ("default", "")]
        self.assertEqual(told, expected)
        self.assertEqual([each["names"] for each in stats["certificates"]], [[HOST]] * 4)
        metrics = (await self.ask_api(edge, "/metrics")).body.decode()
        ends = dict.fromkeys(
            re.findall(r'certificate_not_after_seconds\{domain="(.*)",source="(.*)"\}', metrics)
        )
        self.assertEqual([(source, domain) for domain, source in ends], expected)
