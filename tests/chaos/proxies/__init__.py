"""Proxies between the services and their servers that know the protocol, and break it on purpose: seeded, and counted."""
