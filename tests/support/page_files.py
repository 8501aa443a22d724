"""A small web server for tests of the page's modules: the files of the guests' page, and answers of the test's own."""

from __future__ import annotations

import contextlib
import http.server
import pathlib
import threading
from collections.abc import Iterator, Mapping

import phaselock

PAGE = pathlib.Path(phaselock.__file__).parent / "guests" / "page"
_KINDS = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}


@contextlib.contextmanager
def served(more: Mapping[str, bytes] | None = None) -> Iterator[str]:
    """Serve the page's files, `more` by their paths, and an empty document at /. Yields the address, without a slash at
    its end."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            body = (more or {}).get(self.path)
            if body is None and self.path == "/":
                body = b"<!doctype html><title>test</title>"
            if body is None and name in {file.name for file in PAGE.iterdir()}:
                body = (PAGE / name).read_bytes()
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Type", _KINDS.get(pathlib.PurePath(name).suffix, "text/html"))
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
