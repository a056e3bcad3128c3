"""Ports and patience."""

import socket
import time


def port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def reachable(number):
    socket.create_connection(("127.0.0.1", number), 1).close()
    return True


def until(what, question, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        try:
            if answer := question():
                return answer
        except OSError:
            pass
        assert time.monotonic() < deadline, f"{what} does not come"
        time.sleep(0.05)
