"""The page that a host serves to guests: people who ask for songs, vote and listen with a phone's browser.

Only app/guests.py imports this package, and only when the page is switched on. h11 reads and writes HTTP, and wsproto
the WebSocket; both do no input or output of their own. They were chosen by the memory that their import adds to a
program with asyncio and ssl (Python 3.11): h11 and wsproto 1.7 MB, microdot 1.0 MB (no limits on slow clients),
websockets 5.3 MB (no uploads), tornado 7.7 MB, uvicorn with starlette 9.1 MB, aiohttp 17.1 MB.
"""
