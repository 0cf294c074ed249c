"""A host on localhost, for tests of what is downloaded."""

import contextlib
import http.server
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers, and logs nothing."""

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serve(handler):
    """Serves by a handler as long as the context lasts: the server."""
    server = http.server.ThreadingHTTPServer(("localhost", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # clients that hang up
    threading.Thread(
        target=server.serve_forever, args=[0.01], daemon=True
    ).start()
    yield server
    server.shutdown()
    server.server_close()
