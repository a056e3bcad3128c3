"""Serves recorded expositions with times of their own, so that whoever scrapes gets the same samples at the same times."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STEP = 15_000


def stamped(exposition: str, time: int, openmetrics: bool) -> str:
    """Each sample with a time: milliseconds in text, seconds in OpenMetrics."""
    lines = []
    for line in exposition.splitlines():
        if line and not line.startswith("#"):
            sample, mark, exemplar = line.partition(" # ")
            line = f"{sample} {time / 1000 if openmetrics else time}{mark}{exemplar}"
        lines.append(line)
    return "\n".join(lines) + "\n"


class Relay:
    """Answers each request of `/<what>` with the recording of `what` whose turn it is.

    Whoever scrapes may give up on a slow machine and come again, so it is up to the test to say when the next one is due."""

    def __init__(self, recordings: dict[str, list[str]], types: dict[str, str]):
        self.turn = 0
        relay = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                what = self.path.strip("/")
                body = recordings[what][relay.turn].encode()
                self.send_response(200)
                self.send_header("Content-Type", types[what])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except ConnectionError:
                    self.close_connection = True

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
