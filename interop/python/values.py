"""Comparing what a client sent with what the tables hold, with types."""

import base64
import json
import math
from collections.abc import Mapping


def stored_form(value):
    """A value as the tables' JSON holds it: what JSON lacks is an object with one `$` key."""
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$double": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    if isinstance(value, Mapping):
        return {("$" + key if key.startswith("$") else key): stored_form(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [stored_form(inner) for inner in value]
    return value


def typed(value):
    """Makes 1, 1.0 and True differ, which Python holds to be equal."""
    if isinstance(value, Mapping):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    return (type(value).__name__, value)


def same(expected, found, what: str):
    """Values outside of attributes, such as bodies."""
    assert typed(stored_form(expected)) == typed(found), f"{what}: sent {expected!r}, found {found!r}"


def same_object(expected: Mapping | None, found: Mapping, what: str):
    """Attributes as an object. At its top no key is special."""
    stored = {key: stored_form(value) for key, value in (expected or {}).items()}
    assert typed(stored) == typed(found), f"{what}: sent {expected!r}, found {found!r}"


def same_json(expected: Mapping | None, text: str | None, what: str):
    """Attributes as JSON text, where none of them is promoted to a column."""
    same_object(expected, json.loads(text) if text is not None else {}, what)


def same_attributes(expected: Mapping | None, row: dict, column: str, what: str):
    """Well-known attributes are in columns of their own, all others in the JSON column, none in both."""
    expected = dict(expected or {})
    found = json.loads(row[column]) if row[column] is not None else {}
    for key, value in expected.items():
        promoted = key.replace(".", "_")
        if key not in found and row.get(promoted) is not None:
            found[key] = row[promoted]
    same_object(expected, found, what)


def same_id(expected: int | None, found: str | None, digits: int, what: str):
    """Ids are integers in the Python SDK and hexadecimal text in the tables; 0 is none."""
    assert found == (format(expected, f"0{digits}x") if expected else None), f"{what}: sent {expected!r}, found {found!r}"


def same_context(scope, resource, row: dict, what: str):
    """The scope's and the resource's columns."""
    assert row["scope_name"] == (scope.name or None), what
    assert row["scope_version"] == (scope.version or None), what
    assert row["scope_schema_url"] == (scope.schema_url or None), what
    same_attributes(scope.attributes, row, "scope_attributes", f"{what}: scope attributes")
    assert row["resource_schema_url"] == (resource.schema_url or None), what
    same_attributes(resource.attributes, row, "resource_attributes", f"{what}: resource attributes")
