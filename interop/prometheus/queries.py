"""Queries of every kind over what `samples.py` makes."""

import json
import os
import textwrap
from pathlib import Path

RATES = ["rate", "increase", "irate", "delta", "idelta", "deriv", "changes", "resets"]
OVER_TIME = [
    "avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "count_over_time", "stddev_over_time",
    "stdvar_over_time", "last_over_time", "first_over_time", "present_over_time", "absent_over_time", "mad_over_time",
    "ts_of_first_over_time", "ts_of_last_over_time", "ts_of_max_over_time", "ts_of_min_over_time",
]
MATHS = """abs acos acosh asin asinh atan atanh ceil cos cosh deg exp floor ln log10 log2 rad sgn sin sinh sqrt tan tanh""".split()
DATES = ["day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"]
AGGREGATIONS = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]
HISTOGRAMS = ["histogram_avg", "histogram_count", "histogram_sum", "histogram_stddev", "histogram_stdvar"]
NATIVE = ["rpc_seconds", "queue_seconds", "custom_seconds", "mixed", "ended", "lost"]


def functions():
    for name in RATES:
        for selector in (
            "http_requests_total[5m]", 'http_requests_total{job="api"}[31s]', "temperature_celsius[10m]", "gappy[7m]",
            "flapping[2m]", "pod_cpu[3m]", "odd[4m]", "irregular[20m]", "late_total[1h]", "big[5m]", "seconds_since[5m]",
            "whole_total[5m]", "single[10m]", "http_requests_total[15s]",
        ):
            yield f"{name}({selector})"
        for metric in NATIVE:
            yield f"{name}({metric}[5m])"
    for name in OVER_TIME:
        for selector in (
            "temperature_celsius[10m]", "odd[3m]", "gappy[7m]", "flapping[2m]", "big[10m]", "pod_cpu[6m]", "mixed[12m]",
            "rpc_seconds[2m]", "custom_seconds[3m]", "ended[14m]", "lost[3m]", 'nothing{a="b",c=~"d"}[5m]',
        ):
            yield f"{name}({selector})"
    for quantile in ("0.5", "0.99", "-1", "2", "NaN", "scalar(still_total) / 20"):
        yield f"quantile_over_time({quantile}, temperature_celsius[10m])"
    yield "quantile_over_time(0.3, odd[10m])"
    yield "quantile_over_time(0.3, mixed[12m])"
    for seconds in ("600", "-600", "0", "NaN"):
        yield f"predict_linear(temperature_celsius[10m], {seconds})"
    yield "predict_linear(gappy[20m] offset 5m, 3600)"
    yield "predict_linear(big[10m], 60)"
    yield "predict_linear(mixed[12m], 60)"
    yield "double_exponential_smoothing(temperature_celsius[10m], 0.5, 0.1)"
    yield "double_exponential_smoothing(gappy[20m], 0.3, 0.7)"
    yield "double_exponential_smoothing(mixed[12m], 0.3, 0.7)"
    yield "double_exponential_smoothing(gappy[20m], 0, 0.7)"
    yield "double_exponential_smoothing(gappy[20m], 0.5, 1.7)"
    for name in MATHS:
        for argument in ("temperature_celsius", "odd", "-odd / 1e300", "queue_seconds"):
            yield f"{name}({argument})"
    for name in DATES:
        yield f"{name}()"
        yield f"{name}(seconds_since)"
        yield f"{name}(vector(-62135596800))"
        yield f"{name}(odd)"
        yield f"{name}(seconds_since * 1.7)"
    for argument in ("temperature_celsius, -1, 1", "odd, 0, 1", "odd, 1, 0", "odd, NaN, 0", "odd, 0, NaN", "mixed, 0, 1"):
        yield f"clamp({argument})"
    for argument in ("odd, 0", "temperature_celsius, -Inf", "odd, NaN", "mixed, 3"):
        yield f"clamp_max({argument})"
        yield f"clamp_min({argument})"
    for argument in ("temperature_celsius", "temperature_celsius, 5", "temperature_celsius, 0.1", "odd, 0.3", "odd, 0", "odd, -2", "mixed"):
        yield f"round({argument})"
    yield from ("time()", "pi()", "vector(time())", "vector(1) + time()", "scalar(still_total)", "scalar(odd)", "scalar(nothing)", "scalar(mixed)")
    yield from ("timestamp(http_requests_total)", "timestamp(timestamp(gappy))", "timestamp(gappy * 1)", "timestamp(mixed)", "timestamp(vector(1))")
    yield from ("timestamp(gappy offset 3m)", "timestamp(gappy @ 1767228300)", "start_timestamp(http_requests_total)")
    yield from ("absent(nothing)", 'absent(nothing{a="b",c=~"d",e!="f"})', "absent(up)", "absent(sum(nothing))", "absent(mixed)", 'absent({a="b",a="c"})')
    yield from ("max_of(1, time())", "min_of(NaN, 1)", "vector(start())", "vector(end())", "vector(step())", "vector(range())", "end() - start()")
    yield 'label_replace(up, "host", "$1", "instance", "(.*):.*")'
    yield 'label_replace(up, "host", "${port}-$2", "instance", "(?P<port>.*):(.*)")'
    yield 'label_replace(up, "instance", "", "instance", ".*")'
    yield 'label_replace(up, "__name__", "down", "instance", "a:.*")'
    yield 'label_replace(up, "job", "same", "", "")'
    yield 'label_replace(up, "a", "(", "job", "(")'
    yield 'label_replace(up, "not valid \\xff", "x", "job", ".*")'
    yield 'label_replace(up, "a", "\\xff$1\\xe6\\x97", "job", "(.*)")'
    yield 'label_replace(up, "a", "x", "\\xff", "")'
    yield 'label_replace(up, "a", "x", "job", "\\xff")'
    yield 'label_join(up, "a", "\\377", "job", "instance")'
    yield 'label_join(up, "a", "-", "job", "\\377")'
    yield 'count_values("a\\xc5z", up)'
    yield '"a\\xc5z"'
    yield 'sum by ("\\xff") (up)'
    yield 'up{job="\\xff"}'
    yield 'label_replace(rate(up[5m]), "with.dot", "$0$$1", "job", "a(p)i")'
    yield 'label_join(up, "both", "-", "job", "instance", "nothing")'
    yield 'label_join(up, "job", "", "nothing")'
    yield 'label_join(up, "job", "-", "job", "job")'
    yield 'label_join(up, "", "-", "job")'
    yield 'info(http_requests_total{code="500"})'
    yield 'info(up, {version=~".+"})'
    yield 'info(up, {__name__=~".+_info", revision=~".*"})'
    yield 'info(rate(http_requests_total{code="500"}[5m]), {version="2.1"})'
    yield 'info(up, {nothing=""})'


def histograms():
    for quantile in ("0.5", "0.95", "0", "1", "-0.1", "1.1", "NaN"):
        for argument in (
            "latency_seconds_bucket", "rate(latency_seconds_bucket[5m])", "sum by (le) (rate(latency_seconds_bucket[5m]))",
            "crooked_bucket", "endless_bucket", "boundless_bucket", "rpc_seconds", "rate(rpc_seconds[5m])",
            "sum(rate(rpc_seconds[5m]))", "custom_seconds", "sum(rate(custom_seconds[5m]))", "queue_seconds", "lost",
            "mixed", "up",
        ):
            yield f"histogram_quantile({quantile}, {argument})"
    for bounds in ("0, 0.1", "-Inf, +Inf", "0.1, 0.05", "-1, 1", "NaN, 1", "0.07, 0.3", "0.5, +Inf"):
        for argument in ("latency_seconds_bucket", "rpc_seconds", "rate(custom_seconds[5m])", "queue_seconds", "lost", "up"):
            yield f"histogram_fraction({bounds}, {argument})"
    for name in HISTOGRAMS:
        for argument in (*NATIVE, "rate(rpc_seconds[5m])", "sum(rpc_seconds)", "up"):
            yield f"{name}({argument})"
    yield 'histogram_quantiles(rpc_seconds, "q", 0.5, 0.9)'
    yield 'histogram_quantiles(rate(latency_seconds_bucket[5m]), "q", 0.5, 0.9, 0.99)'
    yield 'histogram_quantiles(rpc_seconds, "method", 0.5, 2)'
    for aggregation in AGGREGATIONS:
        for argument in (*NATIVE, '{__name__=~"rpc_seconds|queue_seconds"}', '{__name__=~"custom_seconds|queue_seconds"}'):
            yield f"{aggregation}({argument})"
    for sign in ("+", "-", "*", "/", "==", "!=", "<", "and", "or", "unless"):
        yield f'rpc_seconds{{method="get"}} {sign} on (job) rpc_seconds{{method="put"}}'
        yield f"rpc_seconds {sign} on (job) group_left () custom_seconds"
        yield f"custom_seconds {sign} custom_seconds offset 20m"
        yield f"mixed {sign} mixed offset 10m"
    yield from ("rpc_seconds * 2", "rpc_seconds / 0", "2 * rpc_seconds", "rpc_seconds + 1", "1 / rpc_seconds", "-rpc_seconds", "rpc_seconds > 1", "rpc_seconds == bool rpc_seconds", "rpc_seconds % 2", "rpc_seconds ^ 2", "rpc_seconds atan2 2")
    yield from ("custom_seconds </ 1", "custom_seconds >/ 1", "rpc_seconds >/ 0.5", "rpc_seconds </ 2", "queue_seconds </ 3", "up </ 2")
    yield "avg_over_time(rate(rpc_seconds[2m])[10m:1m])"
    yield "sum_over_time(custom_seconds[1h:10m])"
    yield "rpc_seconds and histogram_count(rpc_seconds) > 10"
    yield "histogram_count(increase(rpc_seconds[10m]))"
    yield "histogram_quantile(0.9, sum by (le, handler) (rate(latency_seconds_bucket[5m])) or rate(rpc_seconds[5m]))"
    yield "sum(mixed)"
    yield "limitk(2, rpc_seconds)"
    yield "topk(1, mixed)"
    yield "quantile(0.5, mixed)"
    yield 'count_values("v", queue_seconds)'
    yield "sort(mixed)"


def aggregations():
    for name in AGGREGATIONS:
        for grouping in ("", "by (job)", "without (instance)", "by (nothing)", "by ()", "without ()", "by (job, code)"):
            yield f"{name} {grouping} (http_requests_total)"
        for argument in ("odd", "temperature_celsius", "big", 'odd{which!="nan"}', "pod_cpu", "nothing", "-odd", "rate(http_requests_total[5m])"):
            yield f"{name}({argument})"
    for count in ("1", "3", "100", "0", "-1", "NaN", "1e30", "2.7", "scalar(nothing)"):
        yield f"topk({count}, temperature_celsius)"
    yield from ("bottomk(2, temperature_celsius)", "topk by (job) (1, http_requests_total)", "bottomk without (code, method) (2, http_requests_total)")
    yield from ("topk(5, odd)", "bottomk(5, odd)", "topk(2, pod_cpu)", "topk by (node) (1, pod_cpu)")
    yield from ("limitk(2, temperature_celsius)", "limitk by (job) (1, http_requests_total)", "limit_ratio(0.5, http_requests_total)", "limit_ratio(-0.5, http_requests_total)", "limit_ratio(1.5, up)", "limit_ratio(NaN, up)")
    for quantile in ("0.5", "0.95", "-1", "2", "NaN", "0", "1"):
        yield f"quantile({quantile}, temperature_celsius)"
        yield f"quantile by (job) ({quantile}, http_requests_total)"
    yield from ('count_values("value", up)', 'count_values by (job) ("code", up)', 'count_values("v", odd)', 'count_values("bad name", up)', 'count_values("", up)', 'count_values("v", round(temperature_celsius))')
    yield "sum by (le) (rate(latency_seconds_bucket[5m]))"
    yield "sum(sum by (job) (http_requests_total)) / count(http_requests_total)"
    yield 'sum by ("http.route") ({"http.server.duration"})'
    yield "sum without (le, handler) (latency_seconds_bucket)"


def operators():
    for sign in ("+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<="):
        yield f"odd {sign} 2"
        yield f"2 {sign} odd"
        yield f"temperature_celsius {sign} on (zone, kind) temperature_celsius offset 1m"
        yield f"odd {sign} odd offset 1m"
        yield f"http_requests_total {sign} ignoring (code, method) group_left () up"
        if sign in ("==", "!=", ">", "<", ">=", "<="):
            yield f"odd {sign} bool 1"
            yield f"odd {sign} bool odd offset 2m"
            yield f"1 {sign} bool 2"
            yield f"1 {sign} 2"
            yield f"up {sign} on (job, instance) group_right () http_requests_total"
        else:
            yield f"3 {sign} -2.5"
            yield f"-3 {sign} 0"
    for sign in ("and", "or", "unless"):
        yield f"up {sign} up == 1"
        yield f'http_requests_total{{code="500"}} {sign} on (instance) up{{job="web"}}'
        yield f"up {sign} ignoring (instance) up"
        yield f"pod_cpu {sign} on (pod) pod_info"
        yield f"1 {sign} up"
    yield from (
        "left * on (a) group_right () right", "right * on (a) group_left (b) left", "left * on (b) right", "left + right",
        "left + on (a) group_left (c) right", "right + ignoring (b, c) group_left () left", "left - on () right", "left / on (a) right",
        "pod_cpu * on (pod) group_left (version) pod_info", "sum by (version) (pod_cpu * on (pod) group_left (version) pod_info)",
        "left + fill (0) right", "left + on (a) fill (1) right", "left * on (a) fill_left (2) sum by (a) (right)",
        "sum by (a) (left) - fill_right (100) sum by (a) (right)", "sum by (a) (left) > bool fill (0) sum by (a) (right)",
        "up == 0 or up == 1", "-up", "--up", "+up", "-(1)", "-2 ^ 2", "2 ^ 3 ^ 2", "1 - 2 - 3", "-up ^ 2", "1 + 2 * 3 == bool 7", "up and up or up unless up",
        "memory_bytes / memory_limit_bytes * 100", "memory_bytes / on (instance) group_left () memory_limit_bytes",
        '"a string"', "'it''s'", '"escaped \\n \\" \\x41 \\u00e9"', "`raw \\n`", "1e3", "0x1F", "1_000", "Inf", "-inf", "NaN", ".5", "5.", "1h30m", "-5m", "0b1", "0o17", "017",
    )


def selectors():
    yield from (
        "up", '{__name__="up"}', '{__name__=~"up|left"}', 'up{job=""}', 'up{job!=""}', 'up{nothing=""}', 'up{nothing!=""}',
        'up{job=~"a.*"}', 'up{job!~"a.*"}', 'up{job=~""}', 'up{job=~"api|web",instance="a:1"}', 'up{job=~"(?i)API"}', 'up{job="api" or job="web"}',
        '{"http.server.duration"}', '{"http.server.duration", "http.route"="/ü"}', '{"http.server.duration", "日本"=~".+"}', "escapes", 'escapes{path=~".*\\n.*"}',
        'up{instance=~"a.1"}', 'up{instance=~"[ab]:\\\\d"}', 'temperature_celsius{zone=~"z(1|2|3)$"}', 'temperature_celsius{zone=~"^z1.*"}',
        "single", "gappy", "flapping", "late_total", "pod_cpu", "irregular", "ended", "mixed", "rpc_seconds", "lost", "custom_seconds",
        "single[10m]", "gappy[3m]", "flapping[2m]", "mixed[12m]", "pod_cpu[20m]", "ended[14m]", "rpc_seconds[1m]", "up[15s]", "odd[2m]", "size_bytes[5m]",
        "up offset 5m", "up offset -5m", "gappy offset 1h", "up @ 1767230000", "up @ 1767230000.5 offset 1m", "up offset 1m @ 1767230000",
        "up @ start()", "up @ end()", "rate(http_requests_total[5m] @ end())", "rate(http_requests_total[5m] offset 30m)", "sum(rate(http_requests_total[5m] @ 1767228000 offset -3m))",
        "topk(2, rate(http_requests_total[5m] @ end())) and rate(http_requests_total[5m])", "up offset 1h30m", "up offset 30", "up offset (5m * 2)", "rate(http_requests_total[2m + 30s])",
        "rate(http_requests_total[step() + 1m])", "sum_over_time(up[max_of(5m, step())])", "rate(http_requests_total[5m] smoothed)", "increase(gappy[10m] anchored)", "delta(temperature_celsius[5m] anchored)",
        "rate(http_requests_total[5m] anchored)", "increase(flapping[4m] smoothed)", "gappy smoothed", "temperature_celsius smoothed", "changes(gappy[10m] anchored)", "resets(gappy[10m] anchored)",
        "late_total @ -100", "up @ 1e12", "vector(1) offset 1m", "up[5m] offset 1m", "irate(http_requests_total[31s] offset 7s)",
    )


def patterns():
    """Regular expressions as Go reads them."""
    for pattern in (
        "", ".", ".*", ".+", "a", "a|b", "(a|b)c?", "a.*", ".*b", ".*o.*", "foo.*|.*foo", "[a-c]+", "[^a-z]*", "[[:alpha:]]+", "[[:^alpha:]]+", r"\d+", r"\D+", r"\w+", r"\W+", r"\s", r"\S+", r"\bfoo\b", r"foo\B.*",
        "(?i)foo", "(?i:a)b", "(?i)ü", "(?i)ß", "(?i)s", "(?i)k", "(?s)a.b", "(?-s)a.b", "(?m)^a$.*", "(?U)a+", "(?U)a+?", r"\pL+", r"\p{Greek}", r"\p{Han}+", r"\PL", r"\p{Lu}", r"\x41", r"\x{65e5}.*", r"\101", r"\Qa.b\E", r"\Q(\E", r"\Aa\z",
        "a{2}", "a{2,}", "a{1,2}", "a{,2}", "a{", "a{x}", "{", "a{2}{3}", "a**", "a*?", "a+*", "a??", "(?:a)", "(?P<n>a)", "(?<n>a)", "(?P=n)", "(?=a)", "(?!a)", "(?<!a)", "(?#x)a", "(?x) a", "a(?i)b", "[a&&b]", "[a--b]", "[a~~b]", "[]a]", "[^]a]", "[a-]", "[-a]",
        "[a-\\d]", "[z-a]", "[[a]", "[[a]]", "[a", "a)", "(a", "(", ")", "*", "+a", "?", "a|*", r"\\", "\\", r"\q", r"\8", r"\_", r"\-", r"\ ", r"\é", r"\<a", r"\z", r"\Z", r"\C", r"\R", r"\K", r"\G", r"\h", r"\e", r"\a", r"\f\t\n\r\v", r"\u0041", "^a$", "^", "$", "a$|^b", "日本|ü", "x y", "[[:word:]]+", "[[:foo:]]", r"[\w-]+", r"[\pL\d]+", "(|a)", "()", "(a|)", "a||b", "a{1001}", "(a{30}){40}", "((((a))))", "[٣]", r"\d", "~", "&", "--", "#", "_", "(?:)", "(?i-s:A.B)", "(?z)a", "(?i", "(?P<n", "(?P<1>a)", "(?P<n>a)(?P<n>b)", "5..", "2..|4..", "[^\\n]+", "a\n.*", r"\pZ", r"\p{Foo}", r"[[:alpha:]\d_]+", "[\\]]", "[#]", "a #b", "(?i)[a-b]+", "(?i)[k]", "(?i)\u017f",
    ):
        yield f'text{{text=~{json.dumps(pattern, ensure_ascii=False)}}}'
    yield 'count(text{text!~"a.*|[0-9]+"})'
    for pattern in ("(.*)b(.*)", "(?P<x>a)(?P<y>.?)", "(?i)(F)oo(.*)", "a|(b)", "(a)|b", "()", "(.)(.)?(.)?"):
        for replacement in ("$1-$2", "${x}$y", "$1x", "${1}x", "$$", "$", "${", "$0", "$3", "<$x>", "${x", "$-"):
            yield f'label_replace(text, "text", "{replacement}", "text", "{pattern}")'


def subqueries():
    for name in ("max_over_time", "avg_over_time", "rate", "deriv", "count_over_time", "last_over_time", "stddev_over_time"):
        for inner in (
            "up[10m:1m]", "rate(http_requests_total[5m])[30m:5m]", "gappy[20m:]", "temperature_celsius[1h:7m]", "temperature_celsius[10m:1m] offset 3m",
            "sum(pod_cpu)[15m:30s]", "temperature_celsius[10m:1m] @ 1767230000", "(time() - seconds_since)[5m:10s]", "flapping[3m:15s]",
        ):
            yield f"{name}({inner})"
    yield from (
        "max_over_time(rate(http_requests_total[5m])[1h:1m])[2h:30m]", "max_over_time(avg_over_time(temperature_celsius[5m:1m])[30m:5m])", "sum_over_time(vector(1)[10m:1m])",
        "sum_over_time(1[10m:1m])", "min_over_time(time()[5m:13s])", "avg_over_time(rate(http_requests_total[1m])[5m:1m] offset 10m)", "max_over_time((up == 0)[30m:15s])",
        "rate(sum(http_requests_total)[10m:1m])", "present_over_time(nothing[10m:1m])", "absent_over_time(nothing[10m:1m])", "absent_over_time(up[10m:1m])", "up[5m:1m]", "timestamp(up)[5m:1m]",
        "avg_over_time(irregular[1h:3m17s])", "quantile_over_time(0.9, rate(http_requests_total[1m])[20m:30s])", "predict_linear(avg_over_time(temperature_celsius[1m])[20m:1m], 600)",
        "last_over_time(mixed[12m:1m])", "rate(rpc_seconds[10m:1m])", "up[1m:0s]",
    )


def sorted_ones():
    """Whose order is defined."""
    yield from (
        "sort(temperature_celsius)", "sort_desc(temperature_celsius)", "sort(odd)", "sort_desc(odd)", 'sort_by_label(up, "instance", "job")', 'sort_by_label_desc(temperature_celsius, "zone")',
        'sort_by_label(pod_cpu, "pod")', "topk(5, temperature_celsius)", "bottomk(3, temperature_celsius)", 'sort_by_label(up, "nothing")',
    )


def dashboards():
    """What panels, rules and alerts ask."""
    yield from (
        "sum by (code) (rate(http_requests_total[5m]))", "sum(rate(http_requests_total{code=~\"5..\"}[5m])) / sum(rate(http_requests_total[5m]))",
        "histogram_quantile(0.95, sum by (le, handler) (rate(latency_seconds_bucket[5m])))", "sum(rate(latency_seconds_sum[5m])) / sum(rate(latency_seconds_count[5m]))",
        "sum(rate(latency_seconds_bucket{le=\"0.1\"}[5m])) by (handler) / sum(rate(latency_seconds_count[5m])) by (handler)", "100 * (1 - avg(up))", "avg_over_time(up[1h]) * 100",
        "(sum(rate(latency_seconds_bucket{le=\"0.1\"}[5m])) + sum(rate(latency_seconds_bucket{le=\"0.5\"}[5m]))) / 2 / sum(rate(latency_seconds_count[5m]))",
        "changes(up[30m]) > 2", "max by (pod) (pod_cpu) > 5", "count by (version) (pod_info)", "absent(up{job=\"api\"})", "up == 0", "increase(http_requests_total{code=\"500\"}[1h]) > 10",
        "predict_linear(memory_bytes[1h], 4 * 3600) < 0", "deriv(memory_bytes[30m])", "memory_bytes / memory_limit_bytes > 0.9", "rate(http_requests_total[5m]) > on (job) group_left () avg by (job) (rate(http_requests_total[5m]))",
        "sum(increase(http_requests_total[1h])) by (job, code)", "topk(3, sum by (instance, method) (rate(http_requests_total[5m])))", "avg without (zone) (temperature_celsius)", "max(temperature_celsius) - min(temperature_celsius)",
        "(temperature_celsius - avg_over_time(temperature_celsius[1h])) / stddev_over_time(temperature_celsius[1h])", "temperature_celsius - temperature_celsius offset 1h", "day_of_week() > 0 and hour() < 6", "time() - timestamp(up) < 60",
        "label_replace(sum by (instance) (up), \"host\", \"$1\", \"instance\", \"(.+):.*\")", "sum(rate(http_requests_total[1m])) or vector(0)", "clamp_max(sum(rate(http_requests_total[5m])) / 100, 1)", "sum by (job) (up) / count by (job) (up)", "count(count by (pod) (pod_cpu))", "histogram_quantile(0.9, sum(rate(rpc_seconds[5m])))",
    )


def wrong_ones():
    """What must be refused, in the same words."""
    yield from (
        "", "(", "up{", "up{job=}", "up{job=\"}", "rate(up)", "rate(up[5m]", "up[5m", "up[]", "up[5x]", "sum(", "sum by job (up)", "1 +", "up up", "up and 1", "\"a\" + 1", "{}", "{job=~\".*\"}", "{__name__=\"a\",__name__=\"b\"}", "nofunction(up)", "sum(up[5m])", "up[5m][5m]", "-\"a\"", "up + \"a\"", "topk(up)", "topk(\"a\", up)", "histogram_quantile(up, up)", "label_replace(up)", "label_replace(up, 1, 2, 3, 4)", "up offset", "up offset x", "up @", "up @ up", "up @ start", "up[5m:]:", "rate(up[5m:1m)", "1 > 2 > 3", "1 == 2", "left + on (a) group_left () group_right () right", "up and on (a) group_left () up", "up == bool", "bool", "up bool up", "1 and 2", "!up", "up{job=\"a\",,}", "up{,}", "up{job=~\"(\"}", "up{job=~\"*\"}", "abs()", "abs(up, up)", "time(1)", "vector(up)", "scalar(1)", "sort(1)", "round(up, up)", "absent_over_time(up)", "count_values(1, up)", "quantile(\"x\", up)", "up{1=\"a\"}", "1up", "up-", "up--up", "up; up", "# only a comment", "up # comment", "up{job=\"a\" job=\"b\"}", "rate(up[5m]) by (job)", "sum(up) by job", "sum by (1) (up)", "sum by (job) without (job) (up)", "foo bar", "1 2", "\"unterminated", "'\\q'", "\"\\400\"", "up[1d1d]", "up[0s]", "up[-5m]", "up offset 5m offset 5m", "up @ 1 @ 2", "rate(up offset 5m[5m])", "sum(up", "up)", "{\"a\", \"b\"}", "up{\"b\"}", "min_of(up, 1)", "info(1)", "sum(1)", "1[5m]", "predict_linear(up[5m])", "holt_winters(up[5m], 1, 1)", "up fill (1) up", "up smoothed[5m]", "1 </ 2", "999999999999999999999999999y", "up[292277025y]", "0x", "1e", "1e+", "0xg", "$a", "up{job='a'}", "up\x00", "日本", "{\"日本\"}", "up{日本=\"x\"}", "sum by (日本) (up)", "a.b",
    )


def seeds():
    """Panels, alerts and rules of the systems that Tripod is made for, when they are there."""
    folder = Path(os.environ.get("TRIPOD_SEEDS", Path(__file__).parents[3] / "shared" / "seeds"))
    for file in sorted(folder.glob("*.txt")):
        lines = iter(file.read_text().splitlines())
        for line in lines:
            trimmed = line.strip()
            if trimmed == "```promql":
                block = []
                for line in lines:
                    if line.strip() == "```":
                        break
                    block.append(line.strip())
                yield from "\n".join(block).split("\n\n")
            elif trimmed.startswith('"expr":'):
                yield json.loads(trimmed.removeprefix('"expr":').strip().rstrip(","))
            elif trimmed.startswith("expr:") and (value := trimmed.removeprefix("expr:").strip()) not in ("|", ""):
                yield value


def all_queries() -> list[str]:
    kinds = (functions, histograms, aggregations, operators, selectors, patterns, subqueries, dashboards, wrong_ones, seeds)
    return list(dict.fromkeys(textwrap.dedent(query) for kind in kinds for query in kind()))
