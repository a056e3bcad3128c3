"""Prometheus' own tool says the same of both."""

import os
import subprocess

import pytest

from samples import END, START

MOMENT, FIRST, LAST = END // 1000 - 600, START // 1000, END // 1000


def promtool(*arguments, text=None):
    ran = subprocess.run([os.environ["TRIPOD_PROMTOOL"], *map(str, arguments)], capture_output=True, text=True, input=text, timeout=60)
    return ran.returncode, ran.stdout, ran.stderr


@pytest.mark.parametrize("arguments", [
    ("instant", f"--time={MOMENT}", "{url}", "sum by (job, code) (rate(http_requests_total[5m]))"),
    ("instant", f"--time={MOMENT}", "-o", "json", "{url}", "rpc_seconds"),
    ("instant", f"--time={MOMENT}", "{url}", "sum(rate(up[5m])"),
    ("range", f"--start={FIRST}", f"--end={LAST}", "--step=5m", "{url}", "temperature_celsius"),
    ("range", f"--start={FIRST}", f"--end={LAST}", "--step=5m", "{url}", "sum(rate(custom_seconds[10m]))"),
    ("series", "--match=up", "--match=pod_cpu", f"--start={FIRST}", f"--end={LAST}", "{url}"),
    ("labels", f"--start={FIRST}", f"--end={LAST}", "{url}", "job"),
    ("labels", f"--start={FIRST}", f"--end={LAST}", "{url}", "__name__"),
], ids=lambda arguments: " ".join(arguments[::len(arguments) - 1]))
def test_queries(written, arguments):
    answers = []
    for server in written:
        code, out, error = promtool("query", *(each.format(url=server.url) if each == "{url}" else each for each in arguments))
        answers.append((code, sorted(out.splitlines()), error.replace(server.url, "")))
    assert answers[0] == answers[1]
    assert answers[0][1] or answers[0][0], "nothing was found"


def test_the_own_metrics_of_the_server_are_well_formed(written):
    import requests

    text = requests.get(f"{written.tripod.front_door}/metrics", timeout=10).text
    code, _, error = promtool("check", "metrics", text=text)
    assert code in (0, 3), error
    assert "error while linting" not in error, error


def test_promtool_finds_both_healthy(written):
    for server in written:
        for what in ("healthy", "ready"):
            code, out, error = promtool("check", what, f"--url={server.url}")
            assert code == 0, out + error
