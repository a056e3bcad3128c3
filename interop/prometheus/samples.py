"""Three hours of made-up series, the same in each run: what real ones do, and what they seldom do."""

import math
import random

from remote_write import STALE, Histogram, Series

# 2026-01-01T00:00:00Z
START = 1_767_225_600_000
STEP = 15_000
STEPS = 720
END = START + (STEPS - 1) * STEP
MINUTE = 60_000

METADATA = {
    "http_requests": ("counter", "Requests by code.", ""),
    "http_requests_total": ("counter", "Requests by code.", ""),
    "temperature_celsius": ("gauge", 'Degrees, "quoted"\nand broken.', "celsius"),
    "latency_seconds": ("histogram", "How long requests take.", "seconds"),
    "rpc_seconds": ("histogram", "How long calls take.", "seconds"),
}


def times(first=0, last=STEPS, every=1):
    return [START + step * STEP for step in range(first, last, every)]


def series(name, samples, exemplars=(), **labels):
    return Series({"__name__": name} | {k: str(v) for k, v in labels.items()}, samples, list(exemplars))


def counters(chance):
    for job, instance, code, method in (
        (job, instance, code, method)
        for job in ("api", "web")
        for instance in ("a:1", "b:2")
        for code in ("200", "404", "500")
        for method in ("GET", "POST")
    ):
        value, samples = chance.random() * 1000, []
        jitter = 300 if instance == "b:2" else 0
        for time in times():
            value += chance.expovariate(1 / {"200": 40, "404": 3, "500": 0.4}[code])
            if chance.random() < 0.004:
                value = chance.random()
            # A scrape is lost now and then.
            if chance.random() > 0.01:
                samples.append((time + chance.randint(-jitter, jitter), value))
        yield series("http_requests_total", samples, job=job, instance=instance, code=code, method=method)
    whole = [(time, float(step * 3 % 1000)) for step, time in enumerate(times())]
    yield series("whole_total", whole, job="api")
    yield series("still_total", [(time, 17.0) for time in times()], job="api")
    yield series("late_total", [(time, step * 2.5) for step, time in enumerate(times(400))], job="api")


def gauges(chance):
    for zone in range(1, 13):
        value, samples = chance.uniform(-20, 30), []
        for time in times():
            value += chance.gauss(0, 0.4)
            samples.append((time, round(value, 3) if zone % 2 else value))
        yield series("temperature_celsius", samples, zone=f"z{zone}", kind="air" if zone % 3 else "water")
    odd = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e308, -1e308, 5e-324, 1.5, -2.25, 1e21, 1e-7, 0.1, 123456789.0]
    yield series("odd", [(time, odd[step % len(odd)]) for step, time in enumerate(times())], which="all")
    yield series("odd", [(time, chance.choice([math.nan, 1.0, 2.0])) for time in times()], which="nan")
    yield series("odd", [(time, chance.choice([math.inf, 1.0, 2.0])) for time in times()], which="inf")
    yield series("odd", [(time, 1e308 * chance.choice([1, -1])) for time in times()], which="huge")
    yield series("big", [(time, 1e15 + chance.random()) for time in times()], job="api")
    yield series("seconds_since", [(time, time / 1000) for time in times()], job="api")
    yield series("memory_bytes", [(time, chance.randint(1 << 28, 1 << 33) * 1.0) for time in times()], instance="a:1")
    yield series("memory_limit_bytes", [(time, 2.0**33) for time in times(every=4)], instance="a:1")
    yield series("up", [(time, float(chance.random() > 0.1)) for time in times()], job="api", instance="a:1")
    yield series("up", [(time, 1.0) for time in times()], job="api", instance="b:2")
    yield series("up", [(time, 0.0) for time in times()], job="web", instance="a:1")


def comings_and_goings(chance):
    """Pods that live ten minutes, gaps of all lengths, ends with and without a marker."""
    for pod in range(16):
        first = pod * 42
        samples = [(time, chance.random() * 10) for time in times(first, min(first + 60, STEPS))]
        if pod % 3 and samples[-1][0] < END:
            samples.append((samples[-1][0] + STEP, STALE))
        yield series("pod_cpu", samples, pod=f"pod-{pod}", node=f"n{pod % 4}")
        yield series("pod_info", [(time, 1.0) for time, _ in samples], pod=f"pod-{pod}", version=f"v{pod // 4}")
    for minutes in (2, 4, 5, 6, 15):
        gap = minutes * 4
        samples = [(time, float(step)) for step, time in enumerate(times()) if step // gap % 2 == 0]
        yield series("gappy", samples, minutes=minutes)
    # Comes again after each marker.
    flapping = [(time, STALE if step % 7 == 5 else float(step)) for step, time in enumerate(times())]
    yield series("flapping", flapping, job="api")
    yield series("single", [(START + 60 * MINUTE, 42.0)], job="api")
    yield series("irregular", sorted((START + chance.randint(0, 180 * MINUTE), chance.random()) for _ in range(300)), a="b")


def classic(chance):
    bounds = ["0.005", "0.01", "0.05", "0.1", "0.5", "1", "2.5", "+Inf"]
    for handler in ("/", "/api", "/slow"):
        counts, total, columns, sums = [0.0] * len(bounds), 0.0, [[] for _ in bounds], []
        exemplars = []
        for step, time in enumerate(times()):
            for _ in range(chance.randint(0, 6)):
                took = chance.lognormvariate({"/": -4, "/api": -2, "/slow": 0.5}[handler], 1)
                total += took
                for place, bound in enumerate(bounds):
                    counts[place] += took <= float(bound)
            if handler == "/api" and step == 333:
                counts, total = [0.0] * len(bounds), 0.0
            for column, count in zip(columns, counts):
                column.append((time, count))
            sums.append((time, total))
            if step % 60 == 7:
                exemplars.append((time - 5, chance.random(), {"trace_id": f"{step:032x}"}))
        for bound, column in zip(bounds, columns):
            shown = exemplars if bound == "0.5" else []
            yield series("latency_seconds_bucket", column, shown, handler=handler, le=bound)
        yield series("latency_seconds_sum", sums, handler=handler)
        yield series("latency_seconds_count", columns[-1], handler=handler)
    # Not monotonic, without +Inf, with bounds that are none.
    for bound, count in (("1", 5.0), ("2", 4.0), ("5", 4.000000000001), ("10", 9.0), ("+Inf", 8.0)):
        yield series("crooked_bucket", [(time, count * (step + 1)) for step, time in enumerate(times())], le=bound)
    for bound in ("1", "2"):
        yield series("endless_bucket", [(time, float(bound)) for time in times()], le=bound)
    for bound in ("1", "x", "+Inf", ""):
        yield series("boundless_bucket", [(time, 3.0) for time in times()], le=bound, job="a")
    for quantile in ("0.5", "0.9", "0.99"):
        samples = [(time, chance.random() if step % 9 else math.nan) for step, time in enumerate(times())]
        yield series("size_bytes", samples, quantile=quantile)


def native(chance):
    for method, integers in (("get", True), ("put", False)):
        samples, counts, negative, zero, total = [], [0] * 12, [0] * 3, 0, 0.0
        for step, time in enumerate(times()):
            for _ in range(chance.randint(1, 8)):
                counts[min(11, int(abs(chance.gauss(5, 2))))] += 1
                total += chance.expovariate(1)
            zero += chance.random() < 0.3
            negative[step % 3] += chance.random() < 0.2
            if step in (200, 500):
                counts, negative, zero, total = [0] * 12, [0] * 3, 0, 0.0
            # Finer at first, then coarser, with a hole in the buckets, a wider zero.
            schema = 3 if step < 300 else 1
            spans = [(-4, 12)] if step < 400 else [(-4, 5), (2, 7)]
            value = [*counts] if integers else [count * 1.25 for count in counts]
            count = sum(value) + sum(negative) + zero
            samples.append((time, Histogram(
                count, total, schema, 0.001 if step < 450 else 0.01, zero, [(0, 3)], [*negative], spans, value, integers=integers,
            )))
        yield series("rpc_seconds", samples, method=method, job="api")
    queue = []
    for time in times():
        counts = [chance.randint(0, 9) for _ in range(6)]
        queue.append((time, Histogram(sum(counts), chance.uniform(-5, 50), 0, 0.5, 0, [], [], [(0, 6)], counts, 3)))
    yield series("queue_seconds", queue, job="api")
    for job, moves in (("api", False), ("web", True)):
        samples, counts, total = [], [0.0] * 5, 0.0
        for step, time in enumerate(times()):
            bounds = [0.1, 0.5, 1.0, 5.0] if not moves or step % 240 < 120 else [0.1, 1.0, 5.0, 7.0]
            counts[chance.randint(0, 4)] += 1
            total += chance.random()
            if step == 350:
                counts, total = [0.0] * 5, 0.0
            samples.append((time, Histogram(sum(counts), total, -53, positive_spans=[(0, 5)], positive=[*counts], custom=bounds)))
        yield series("custom_seconds", samples, job=job)
    # Floats and histograms of one series take turns; one is stale now and then, one has observations that are no numbers.
    one = lambda step, total=3.5: Histogram(step + 3.0, total, 0, 0, 1, [], [], [(0, 2)], [step, 2.0])
    mixed = [(time, float(step) if step // 40 % 2 else one(step)) for step, time in enumerate(times())]
    yield series("mixed", mixed, job="api")
    ended = [(time, one(step, STALE) if step % 50 == 49 else one(step)) for step, time in enumerate(times())]
    yield series("ended", ended, job="api")
    # More observations than those in buckets: some were NaN.
    lost = [(time, Histogram(step + 4.0, math.nan, 0, 0, 1, [], [], [(0, 2)], [step, 2.0])) for step, time in enumerate(times())]
    yield series("lost", lost, job="api")


def names(_):
    yield series("target_info", [(time, 1.0) for time in times()], job="api", instance="a:1", version="1.0", **{"k8s.pod": "p"})
    yield series("target_info", [(time, 1.0) for time in times(0, 300)], job="api", instance="b:2", version="2.0")
    yield series("target_info", [(time, 1.0) for time in times(300)], job="api", instance="b:2", version="2.1")
    yield series("build_info", [(time, 1.0) for time in times()], job="api", instance="a:1", revision="abc")
    yield series("http.server.duration", [(time, 1.5 * step) for step, time in enumerate(times())], **{"http.route": "/ü", "日本": "語"})
    yield series("escapes", [(time, 1.0) for time in times()], path='C:\\new\n"x"\t<&>\u2028', empty="")
    yield series("left", [(time, 2.0) for time in times()], a="1", b="x")
    yield series("left", [(time, 3.0) for time in times()], a="2", b="x")
    yield series("left", [(time, 5.0) for time in times()], a="3", b="y")
    yield series("right", [(time, 7.0) for time in times()], a="1", c="p")
    yield series("right", [(time, 11.0) for time in times()], a="2", c="q")
    yield series("right", [(time, 13.0) for time in times()], a="2", c="r")


TEXTS = [
    "", "a", "A", "ab", "abc", "aXb", "a.b", "a-b", "a1", "1", "12", "foo", "foobar", "barfoo", "Foo", "a\nb", "ü", "Ü", "ß", "ſ", "K", "日本", "x y", "\t", "a|b",
    "(", "[", "\\", "^", "$", "ab\n", "\u200b", "_", "é", "e\u0301", "٣", "&", "~", "--", "]", "#", "aa", "aaa", "b", "c", "d", "q", "5xx", "200", "404",
]


def texts(_):
    """For regular expressions."""
    for place, text in enumerate(TEXTS):
        yield series("text", [(time, 1.0) for time in times(every=16)], place=place, text=text)


def all_series() -> list[Series]:
    chance = random.Random(67)
    kinds = (counters, gauges, comings_and_goings, classic, native, names, texts)
    return sorted((each for kind in kinds for each in kind(chance)), key=lambda each: sorted(each.labels.items()))


def shuffled_series() -> list[Series]:
    series = all_series()
    random.Random(67).shuffle(series)
    return series


def requests(all_of: list[Series], minutes: int = 10):
    """The series in requests of so many minutes, as they would have come; with the last a few that come late, or twice."""
    for first in range(START - STEP, END + STEP, minutes * MINUTE):
        until = first + minutes * MINUTE
        within = lambda pairs: [pair for pair in pairs if first <= pair[0] < until]
        cut = [Series(one.labels, within(one.samples), within(one.exemplars)) for one in all_of]
        yield [one for one in cut if one.samples]
    # Between samples, and once more the same.
    by_zone = [one for one in all_of if one.labels.get("zone") in ("z1", "z2", "z3")]
    yield [Series(one.labels, [(time + 5000, 1.25) for time, _ in one.samples[100:400:7]]) for one in by_zone]
    yield [Series(one.labels, one.samples[600:]) for one in by_zone]
