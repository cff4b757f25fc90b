import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallError, type Code, type Preview } from '../api';
import { masked, sameAddress, stateAfter, stateOf, stateWithout, type State } from './state';

const EXPIRY = Date.parse('2026-11-26T14:05:00Z');
const IVY = { email: 'ivy@partner.example' };
const GRACE = { email: 'grace@acme.example' };

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

test('a pending invitation waits for whoever it was sent to', () => {
  assert.equal(stateOf(preview(), undefined, EXPIRY - 1), 'sign_in');
  assert.equal(stateOf(preview(), IVY, EXPIRY - 1), 'open');
  assert.equal(stateOf(preview(), GRACE, EXPIRY - 1), 'other_account');
});

test('a viewer whose token names no address may try', () => {
  assert.equal(stateOf(preview(), { email: '' }, EXPIRY - 1), 'open');
});

test('it expires at its instant, whoever looks', () => {
  for (const viewer of [undefined, IVY, GRACE]) {
    assert.notEqual(stateOf(preview(), viewer, EXPIRY - 1), 'expired');
    assert.equal(stateOf(preview(), viewer, EXPIRY), 'expired');
  }
});

test('what is over is over for everybody, and before its expiry', () => {
  for (const status of ['accepted', 'revoked', 'expired', 'declined', 'removed'] as const) {
    for (const viewer of [undefined, IVY, GRACE]) assert.equal(stateOf(preview(status), viewer, 0), status);
  }
});

test('every refusal of accept and decline has its state', () => {
  const states: [Code, State][] = [
    ['invalid_token', 'invalid_token'],
    ['malformed_request', 'invalid_token'],
    ['invitation_superseded', 'superseded'],
    ['email_not_verified', 'email_not_verified'],
    ['email_mismatch', 'other_account'],
    ['invitation_expired', 'expired'],
    ['invitation_revoked', 'revoked'],
    ['invitation_declined', 'declined'],
    ['invitation_accepted', 'accepted'],
    ['already_member', 'already_member'],
    ['sender_lost_authority', 'sender_lost_authority'],
    ['signed_out', 'sign_in'],
  ];
  for (const [code, state] of states) assert.equal(stateAfter(new CallError(code, 400, '')), state, code);
});

test('what says nothing about the invitation leaves it where it is', () => {
  for (const code of ['unreachable', 'unavailable', 'conflict', 'gateway'] as const) {
    assert.equal(stateAfter(new CallError(code, 503, '')), undefined, code);
  }
  assert.equal(stateAfter(new TypeError('a bug')), undefined);
});

test('without a preview it says whether the connection or the service is to blame', () => {
  assert.equal(stateWithout(new CallError('unreachable', 0, '')), 'unreachable');
  assert.equal(stateWithout(new CallError('unavailable', 503, '')), 'problem');
  assert.equal(stateWithout(new CallError('invitation_superseded', 410, '')), 'superseded');
});

test('addresses compare as the API compares them', () => {
  assert.ok(sameAddress('Ivy@Partner.Example', 'ivy@partner.example'));
  assert.ok(sameAddress('ivy@bücher.example', 'ivy@xn--bcher-kva.example'));
  assert.ok(!sameAddress('ivy+a@partner.example', 'ivy@partner.example'));
  assert.ok(!sameAddress('ivy', 'ivy@partner.example'));
});

test('a masked address shows one character and the domain', () => {
  assert.equal(masked('ivy@partner.example'), 'i…@partner.example');
  assert.equal(masked('i@partner.example'), 'i…@partner.example');
});
