"""Whether two answers of Prometheus' HTTP API say the same."""

import json
import math
import re
from dataclasses import dataclass

import requests

RELATIVE = 1e-12
# A remark that says how many samples it is about, and where in the query.
COUNTED = re.compile(r"(?P<text>.*), from buckets (?P<what>.*), over (?P<count>-?\d+) samples (?P<when>.*) (?P<place>\(\d+:\d+\))")


@dataclass
class Answer:
    status: int
    body: dict

    @property
    def data(self):
        return self.body.get("data")


def ask(url: str, path: str, parameters: dict, post: bool = False, headers: dict | None = None) -> Answer:
    how = {"data": parameters} if post else {"params": parameters}
    response = requests.request("POST" if post else "GET", f"{url}{path}", timeout=120, headers=headers, **how)
    try:
        body = response.json()
    except requests.JSONDecodeError:
        body = {"text": response.text}
    return Answer(response.status_code, body)


def close(one: str, other: str) -> bool:
    if one == other:
        return True
    one, other = float(one), float(other)
    return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=0)


def is_number(text) -> bool:
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return isinstance(text, str)


def differences(one, other, where: str = "", numbers: bool = False):
    """In words. Texts are taken for numbers below `value`, `values`, `histogram` and `histograms`."""
    if type(one) is not type(other):
        yield f"{where}: {short(one)} and {short(other)}"
    elif isinstance(one, dict):
        for key in sorted(one.keys() | other.keys()):
            if key not in one or key not in other:
                yield f"{where}.{key} only {'here' if key in other else 'there'}: {short(one.get(key, other.get(key)))}"
            else:
                yield from differences(
                    one[key], other[key], f"{where}.{key}",
                    numbers or key in ("value", "values", "histogram", "histograms", "result"),
                )
    elif isinstance(one, list):
        if len(one) != len(other):
            yield f"{where}: {len(one)} and {len(other)} of them: {short(one)} and {short(other)}"
        for place, (a, b) in enumerate(zip(one, other)):
            yield from differences(a, b, f"{where}[{place}]", numbers)
    elif isinstance(one, str) and numbers and ".metric" not in where and is_number(one) and is_number(other):
        if not close(one, other):
            yield f"{where}: {one} and {other}"
    elif one != other:
        yield f"{where}: {short(one)} and {short(other)}"


def short(value) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 300 else text[:300] + "…"


def counted(answer: Answer) -> dict:
    """How many samples remarks are about, by their text and place."""
    remarks = map(COUNTED.fullmatch, answer.body.get("infos", []) + answer.body.get("warnings", []))
    return {(remark["text"], remark["place"]): int(remark["count"]) for remark in remarks if remark}


def compare(theirs: Answer, ours: Answer, ordered: bool = False) -> list[str]:
    """What is different: first Prometheus', then Tripod's."""
    def normal(body):
        body = dict(body)
        for remarks in ("warnings", "infos"):
            told = body.get(remarks, [])
            if is_range:
                # There each step doubles the count of those before, past 2^63 too; what it should be, `counted` tells.
                told = [COUNTED.sub(r"\g<text> \g<what> \g<when> \g<place>", remark) for remark in told]
            # In no order there.
            body[remarks] = sorted(told)
        data = body.get("data")
        if isinstance(data, dict) and isinstance(data.get("result"), list) and data.get("resultType") in ("vector", "matrix"):
            if not ordered:
                by_labels = lambda each: json.dumps(each["metric"], sort_keys=True)
                body["data"] = data | {"result": sorted(data["result"], key=by_labels)}
        return body

    data = theirs.body.get("data")
    is_range = isinstance(data, dict) and data.get("resultType") == "matrix"
    found = [] if theirs.status == ours.status else [f"status: {theirs.status} and {ours.status}"]
    return found + list(differences(normal(theirs.body), normal(ours.body)))
