"""Sockets: the asyncio runner that owns the session, and bulk transfer."""
