"""A Prometheus and a `tripod serve` that are asked the same."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import requests

from tripod_server import Server

START_SECONDS = 60
FEATURES = "exemplar-storage,promql-experimental-functions,promql-extended-range-selectors,promql-binop-fill-modifiers,promql-per-step-stats"
# What of the language is switched on in Prometheus by FEATURES or for good.
LANGUAGE = ("experimental_functions", "duration_expressions", "extended_range_selectors", "fill_modifiers")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def until(what: str, question, seconds: float = 60):
    """Waits for what another program does."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if answer := question():
                return answer
        except requests.ConnectionError:
            pass
        assert time.monotonic() < deadline, f"{what} does not come"
        time.sleep(0.05)


class Process:
    """A program that ends with the test; what it says is kept in a file."""

    def __init__(self, folder: Path, *command, **environment):
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{Path(command[0]).name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(each) for each in command], stdout=log, stderr=log, env=os.environ | environment
            )

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Prometheus(Process):
    def __init__(self, folder: Path, config: str, *flags: str):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prometheus.yml").write_text(config)
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        super().__init__(
            folder,
            os.environ["TRIPOD_PROMETHEUS"],
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={address}",
            "--web.enable-remote-write-receiver",
            "--web.enable-admin-api",
            "--web.enable-lifecycle",
            "--storage.tsdb.retention.time=10y",
            f"--enable-feature={FEATURES}",
            *flags,
        )
        until("Prometheus", self.is_ready, START_SECONDS)

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        return requests.get(f"{self.url}/-/ready", timeout=5).ok


class Tripod(Server):
    def __init__(self, folder: Path, config: str, **settings):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prometheus.yml").write_text(config)
        language = {f"api__prometheus__{each}": "true" for each in LANGUAGE}
        super().__init__(
            folder / "data",
            prometheus__config_file=folder / "prometheus.yml",
            api__prometheus__enable_admin_api="true",
            **language,
            **settings,
        )

    @property
    def url(self) -> str:
        return self.prometheus


class Pair:
    """Both, with the same configuration."""

    def __init__(self, folder: Path, config: str = "", tripod_config: str | None = None, flags=(), settings=None):
        self.tripod = Tripod(folder / "tripod", config if tripod_config is None else tripod_config, **(settings or {}))
        self.prometheus = Prometheus(folder / "prometheus", config, *flags)

    def __iter__(self):
        return iter((self.prometheus, self.tripod))

    def stop(self):
        self.prometheus.stop()
        self.tripod.stop()
