"""Exposes one metric of each kind on the port that is given."""

import sys
import threading

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Summary, start_http_server

registry = CollectorRegistry()
jobs = Counter("jobs", 'Jobs, "quoted" \\ and\nbroken.', ["kind"], registry=registry)
jobs.labels('a"b\\c\nd').inc(3, exemplar={"trace_id": "abc"})
Gauge("temperature", "Degrees.", registry=registry).set(-1.5)
latency = Histogram("latency_seconds", "Latency.", buckets=[0.5, 1, 5], registry=registry)
for value in (0.25, 0.75, 100):
    latency.observe(value)
Summary("size", "Sizes.", registry=registry).observe(7)
Info("build", "The build.", registry=registry).info({"version": "1.2"})
start_http_server(int(sys.argv[1]), addr="127.0.0.1", registry=registry)
threading.Event().wait()
