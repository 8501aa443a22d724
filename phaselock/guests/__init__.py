"""The page that a host serves to guests: people who ask for songs, vote and listen with a phone's browser.

Only app/guests.py imports this package, and only when the page is switched on. h11 reads and writes HTTP, and wsproto
the WebSocket; both do no input or output of their own, so that all limits of size, rate and time are in this package,
and uploads are streams. Their import adds 1.7 MB to a program with asyncio and ssl (Python 3.11); microdot adds 1.0 MB,
websockets 5.3 MB, tornado 7.7 MB, uvicorn with starlette 9.1 MB and aiohttp 17.1 MB.
"""
