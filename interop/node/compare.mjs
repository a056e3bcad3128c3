// Comparing what a client sent with what the tables hold.

import assert from 'node:assert/strict';

/** A value as the tables' JSON holds it: what JSON lacks is an object with one `$` key. */
export function storedForm(value) {
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') };
  if (Array.isArray(value)) return value.map(storedForm);
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).map(([key, inner]) => [key.startsWith('$') ? `$${key}` : key, storedForm(inner)]);
    return Object.fromEntries(entries);
  }
  return value ?? null;
}

/** Attributes as an object against JSON text. At the top no key is special. */
export function sameJson(expected, text, what) {
  const stored = Object.fromEntries(Object.entries(expected ?? {}).map(([key, value]) => [key, storedForm(value)]));
  assert.deepEqual(JSON.parse(text ?? '{}'), stored, what);
}

/** Well-known attributes are in columns of their own, all others in the JSON column. */
export function sameAttributes(expected, row, column, what) {
  const found = JSON.parse(row[column] ?? '{}');
  for (const key of Object.keys(expected ?? {})) {
    const promoted = row[key.replaceAll('.', '_')];
    if (!(key in found) && promoted !== null && promoted !== undefined) found[key] = promoted;
  }
  sameJson(expected, JSON.stringify(found), what);
}

export function sameContext(scope, resource, row, what) {
  assert.equal(row.scope_name, scope.name, what);
  assert.equal(row.scope_version, scope.version || null, what);
  assert.equal(row.scope_schema_url, scope.schemaUrl || null, what);
  sameAttributes(resource.attributes, row, 'resource_attributes', what);
}

/** Seconds and nanoseconds, as the SDK counts, as bigint nanoseconds. */
export function hrNanos([seconds, nanoseconds]) {
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
}
