import assert from 'node:assert/strict';
import { test } from 'node:test';
import { viewerOf } from './api';

function token(claims: object): string {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;
}

test('reads the user from a token', () => {
  const viewer = viewerOf(token({ sub: 'ivy', email: 'Ivy@Partner.example', email_verified: true }));
  assert.deepEqual(viewer, { sub: 'ivy', email: 'ivy@partner.example', isVerified: true });
  assert.equal(viewerOf(null), undefined);
  assert.equal(viewerOf('opaque'), undefined);
  assert.equal(viewerOf(token({ email: 'ivy@partner.example' })), undefined);
});

test('reads whether the address is verified, also from a text', () => {
  const isVerified = (verified?: unknown) => viewerOf(token({ sub: 'ivy', email_verified: verified }))?.isVerified;
  assert.equal(isVerified('true'), true);
  assert.equal(isVerified(false), false);
  assert.equal(isVerified('false'), false);
  assert.equal(isVerified(), undefined);
});
