"""Twisted mechanism without a policy of its own: transports, relays, dialling, deadlines."""
