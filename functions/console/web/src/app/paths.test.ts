import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sanitizeText, safePath } from './paths';

const ORIGIN = 'https://users.example';

test('keeps a path of the same origin', () => {
  for (const path of ['/', '/accept', '/?organization=org_1', '/a/../accept']) {
    assert.equal(safePath(path, ORIGIN), path.replace('/a/..', ''));
  }
});

test('replaces anything else by /', () => {
  const elsewhere = [
    undefined,
    '',
    'accept',
    'https://evil.example/',
    'javascript:alert(1)',
    '//evil.example',
    '/\\evil.example',
    '/.//evil.example',
    '/a/..//evil.example',
    '/\t/evil.example',
    '\n//evil.example',
  ];
  for (const path of elsewhere) assert.equal(safePath(path, ORIGIN), '/', path);
});

test('returns a path that stays on the origin when it is resolved again', () => {
  for (const path of ['/.//evil.example', '/accept', '/%2f%2fevil.example', '/..//evil.example', '/?a=//evil.example']) {
    assert.equal(new URL(safePath(path, ORIGIN), ORIGIN).origin, ORIGIN, path);
  }
});

test('drops the fragment', () => {
  assert.equal(safePath('/accept#v1.secret', ORIGIN), '/accept');
});

test('reduces a text to one line of limited length without direction marks', () => {
  assert.equal(sanitizeText('  User\r\ncancelled\u202e\u0000 it '), 'User cancelled it');
  assert.equal(sanitizeText('<b>no</b>'), '<b>no</b>');
  assert.equal(sanitizeText('a'.repeat(300)), 'a'.repeat(300));
  assert.equal(sanitizeText('a'.repeat(301)), `${'a'.repeat(300)}…`);
});
