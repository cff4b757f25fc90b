import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foreign, safePath } from './paths';

const ORIGIN = 'https://users.example';

test('a path of this origin is gone back to', () => {
  for (const path of ['/', '/accept', '/?organization=org_1', '/a/../accept']) {
    assert.equal(safePath(path, ORIGIN), path.replace('/a/..', ''));
  }
});

test('nothing else is', () => {
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

test('where it leads to stays on this origin when it is resolved again', () => {
  for (const path of ['/.//evil.example', '/accept', '/%2f%2fevil.example', '/..//evil.example', '/?a=//evil.example']) {
    assert.equal(new URL(safePath(path, ORIGIN), ORIGIN).origin, ORIGIN, path);
  }
});

test('a fragment is not kept', () => {
  assert.equal(safePath('/accept#v1.secret', ORIGIN), '/accept');
});

test('a foreign text is one line without directions, and has an end', () => {
  assert.equal(foreign('  User\r\ncancelled\u202e\u0000 it '), 'User cancelled it');
  assert.equal(foreign('<b>no</b>'), '<b>no</b>');
  assert.equal(foreign('a'.repeat(300)), 'a'.repeat(300));
  assert.equal(foreign('a'.repeat(301)), `${'a'.repeat(300)}…`);
});
