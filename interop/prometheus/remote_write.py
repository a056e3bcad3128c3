"""Remote write 1.0 as a sender: `prometheus.WriteRequest` on the wire, by the field numbers of Prometheus' `types.proto`."""

import struct
from dataclasses import dataclass, field

import cramjam
import requests

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
# Python keeps the bits of a NaN as they are, but not through arithmetic.
STALE_BITS = struct.pack("<Q", 0x7FF0000000000002)

TYPES = ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"]


@dataclass
class Histogram:
    """A native histogram. Spans are pairs of offset and length; buckets are counts, whatever their form on the wire."""

    count: float
    sum: float
    schema: int = 0
    zero_threshold: float = 0.0
    zero_count: float = 0.0
    negative_spans: list = field(default_factory=list)
    negative: list = field(default_factory=list)
    positive_spans: list = field(default_factory=list)
    positive: list = field(default_factory=list)
    reset_hint: int = 0
    custom: list = field(default_factory=list)
    integers: bool = False


@dataclass
class Series:
    """Labels and what is sent of them: pairs of milliseconds and value, and of exemplars."""

    labels: dict
    samples: list = field(default_factory=list)
    exemplars: list = field(default_factory=list)


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def zigzag(number: int) -> bytes:
    return varint(number << 1 if number >= 0 else ((-number) << 1) - 1)


def number(place: int, value: int) -> bytes:
    return varint(place << 3) + varint(value)


def double(place: int, value: float) -> bytes:
    bits = STALE_BITS if value is STALE else struct.pack("<d", value)
    return varint(place << 3 | 1) + bits


def nested(place: int, body: bytes) -> bytes:
    return varint(place << 3 | 2) + varint(len(body)) + body


def doubles(place: int, values: list) -> bytes:
    return nested(place, struct.pack(f"<{len(values)}d", *values)) if values else b""


def text(place: int, value: str) -> bytes:
    return nested(place, value.encode())


def spans(place: int, all_spans: list) -> bytes:
    one = lambda offset, length: varint(1 << 3) + zigzag(offset) + number(2, length)
    return b"".join(nested(place, one(*span)) for span in all_spans)


def labels(all_labels: dict) -> bytes:
    return b"".join(nested(1, text(1, name) + text(2, value)) for name, value in sorted(all_labels.items()))


def deltas(place: int, counts: list) -> bytes:
    differences = [int(count - before) for before, count in zip([0, *counts], counts)]
    return nested(place, b"".join(map(zigzag, differences))) if counts else b""


def histogram(value: Histogram, time: int) -> bytes:
    whole = value.integers
    return b"".join([
        number(1, int(value.count)) if whole else double(2, value.count),
        double(3, value.sum),
        varint(4 << 3) + zigzag(value.schema),
        double(5, value.zero_threshold),
        number(6, int(value.zero_count)) if whole else double(7, value.zero_count),
        spans(8, value.negative_spans),
        deltas(9, value.negative) if whole else doubles(10, value.negative),
        spans(11, value.positive_spans),
        deltas(12, value.positive) if whole else doubles(13, value.positive),
        number(14, value.reset_hint),
        number(15, time),
        doubles(16, value.custom),
    ])


def encode(all_series: list, metadata: dict | None = None) -> bytes:
    """A request, not compressed. `metadata`: by family its type, help and unit."""
    request = []
    for series in all_series:
        body = [labels(series.labels)]
        for time, value in series.samples:
            if isinstance(value, Histogram):
                body.append(nested(4, histogram(value, time)))
            else:
                body.append(nested(2, double(1, value) + number(2, time)))
        for time, value, of in series.exemplars:
            body.append(nested(3, labels(of) + double(2, value) + number(3, time)))
        request.append(nested(1, b"".join(body)))
    for name, (kind, about, unit) in (metadata or {}).items():
        request.append(nested(3, number(1, TYPES.index(kind)) + text(2, name) + text(4, about) + text(5, unit)))
    return b"".join(request)


def send(url: str, request: bytes) -> requests.Response:
    headers = {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    body = bytes(cramjam.snappy.compress_raw(request))
    return requests.post(f"{url}/api/v1/write", data=body, headers=headers, timeout=120)
