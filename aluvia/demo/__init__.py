"""Everything in one process, to be tried: a gateway, its control plane, a site, and a client."""
