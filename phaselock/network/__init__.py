"""Sockets: the asyncio runners of host and peer, file transfer, and discovery."""
