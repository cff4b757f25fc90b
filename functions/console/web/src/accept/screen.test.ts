import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallError, type Code, type Preview } from '../api';
import { mask, screenAfterError, screenOf, screenWithoutPreview, type ScreenName } from './screen';

const EXPIRY = Date.parse('2026-11-26T14:05:00Z');
const IVY = { sub: 'ivy', email: 'ivy@partner.example', isVerified: true };
const GRACE = { sub: 'grace', email: 'grace@acme.example', isVerified: true };

function preview(status: Preview['status'] = 'pending'): Preview {
  return {
    organization: { id: 'org_e4974cnk1m39xhv156ve0p9prc', name: 'Acme' },
    email: 'ivy@partner.example',
    role: 'member',
    sender_email: 'ada@acme.example',
    expires_at: '2026-11-26T14:05:00Z',
    status,
  };
}

test('opens a pending invitation only for the invited address', () => {
  assert.equal(screenOf(preview(), undefined, EXPIRY - 1), 'sign_in');
  assert.equal(screenOf(preview(), IVY, EXPIRY - 1), 'open');
  assert.equal(screenOf(preview(), GRACE, EXPIRY - 1), 'other_account');
});

test('opens a pending invitation for a viewer without an address in the sign-in token', () => {
  assert.equal(screenOf(preview(), { ...IVY, email: '' }, EXPIRY - 1), 'open');
});

test('asks for the verification only if the token says that the invited address is not verified', () => {
  assert.equal(screenOf(preview(), { ...IVY, isVerified: false }, EXPIRY - 1), 'email_not_verified');
  assert.equal(screenOf(preview(), { ...IVY, email: '', isVerified: false }, EXPIRY - 1), 'email_not_verified');
  assert.equal(screenOf(preview(), { ...IVY, isVerified: undefined }, EXPIRY - 1), 'open');
  assert.equal(screenOf(preview(), { ...GRACE, isVerified: false }, EXPIRY - 1), 'other_account');
  assert.equal(screenOf(preview('revoked'), { ...IVY, isVerified: false }, EXPIRY - 1), 'revoked');
});

test('expires exactly at expires_at for every viewer', () => {
  for (const viewer of [undefined, IVY, GRACE]) {
    assert.notEqual(screenOf(preview(), viewer, EXPIRY - 1), 'expired');
    assert.equal(screenOf(preview(), viewer, EXPIRY), 'expired');
  }
});

test('shows the status of a closed invitation to every viewer, also before its expiry', () => {
  for (const status of ['accepted', 'revoked', 'expired', 'declined', 'removed'] as const) {
    for (const viewer of [undefined, IVY, GRACE]) assert.equal(screenOf(preview(status), viewer, 0), status);
  }
});

test('maps every error about the invitation to a screen', () => {
  const screens: [Code, ScreenName][] = [
    ['invalid_token', 'invalid_token'],
    ['malformed_request', 'invalid_token'],
    ['too_large', 'invalid_token'],
    ['invitation_superseded', 'superseded'],
    ['email_not_verified', 'email_not_verified'],
    ['email_mismatch', 'other_account'],
    ['invitation_expired', 'expired'],
    ['invitation_revoked', 'revoked'],
    ['invitation_declined', 'declined'],
    ['invitation_accepted', 'accepted'],
    ['sender_lost_authority', 'sender_lost_authority'],
    ['signed_out', 'sign_in'],
  ];
  for (const [code, screen] of screens) assert.equal(screenAfterError(new CallError(code, 400, '')), screen, code);
});

test('keeps the screen after an error that is not about the invitation', () => {
  for (const code of ['unreachable', 'unavailable', 'conflict', 'gateway'] as const) {
    assert.equal(screenAfterError(new CallError(code, 503, '')), undefined, code);
  }
  assert.equal(screenAfterError(new TypeError('a bug')), undefined);
});

test('distinguishes a lost connection from a failed service if there is no preview', () => {
  assert.equal(screenWithoutPreview(new CallError('unreachable', 0, '')), 'unreachable');
  assert.equal(screenWithoutPreview(new CallError('unavailable', 503, '')), 'problem');
  assert.equal(screenWithoutPreview(new CallError('invitation_superseded', 410, '')), 'superseded');
});

test('masks all of the local part except its first character', () => {
  assert.equal(mask('ivy@partner.example'), 'i…@partner.example');
  assert.equal(mask('i@partner.example'), 'i…@partner.example');
});
