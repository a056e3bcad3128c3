"""Serves recorded expositions with times of their own, so that whoever scrapes gets the same samples at the same times."""

import threading
from collections import Counter
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
    """Answers the n-th request of `/<who>/<what>` with the n-th recording of `what`, and from then on with the last."""

    def __init__(self, recordings: dict[str, list[str]], types: dict[str, str]):
        self.asked = Counter()
        lock = threading.Lock()
        relay = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                what = self.path.split("/")[2]
                with lock:
                    at = min(relay.asked[self.path], len(recordings[what]) - 1)
                    relay.asked[self.path] += 1
                body = recordings[what][at].encode()
                self.send_response(200)
                self.send_header("Content-Type", types[what])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
