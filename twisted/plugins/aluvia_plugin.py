"""The commands that aluvia adds to ``twistd``: one line for each door that exists."""

from twisted.application.service import ServiceMaker

aluvia = ServiceMaker(
    "aluvia",
    "aluvia.client.tap",
    "A local forward proxy: each request direct or through a gateway, by hostname rules.",
    "aluvia",
)

aluvia_gateway = ServiceMaker(
    "aluvia-gateway",
    "aluvia.gateway.tap",
    "An authenticated forward proxy, and the control plane that its clients follow.",
    "aluvia-gateway",
)

aluvia_edge = ServiceMaker(
    "aluvia-edge",
    "aluvia.edge.tap",
    "A reverse proxy whose routes, backends and certificates change while it runs.",
    "aluvia-edge",
)

aluvia_agent = ServiceMaker(
    "aluvia-agent",
    "aluvia.agent.tap",
    "Publishes ports of this machine's network through a hub, from behind any NAT.",
    "aluvia-agent",
)
