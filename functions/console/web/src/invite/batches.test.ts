import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallError } from '../api';
import { Batches, refusedAddresses, type Batch } from './batches';

const people = Array.from({ length: 120 }, (_, number) => `p${number}@x.example`);

test('makes batches of 50 addresses with different idempotency keys', () => {
  const batches = new Batches();
  const made: Batch[] = [];
  for (let ready = people; ready.length; ready = ready.slice(50)) {
    made.push(batches.next(ready, 'member', undefined));
    batches.answered();
  }
  assert.deepEqual(
    made.map(({ emails }) => emails.length),
    [50, 50, 20],
  );
  assert.deepEqual(
    made.flatMap(({ emails }) => emails),
    people,
  );
  assert.equal(new Set(made.map(({ key }) => key)).size, 3);
  // The contract's pattern for keys.
  for (const { key } of made) assert.match(key, /^[!-~]{1,255}$/);
});

test('repeats a batch without a response, also if there are new addresses', () => {
  const batches = new Batches();
  const first = batches.next(['a@x.example', 'b@x.example'], 'member', 'de');
  assert.equal(batches.next(['a@x.example', 'b@x.example'], 'member', 'de'), first);
  assert.equal(batches.next(['c@x.example', 'b@x.example', 'a@x.example'], 'member', 'de'), first);
});

test('uses a new key if the role, the language or the addresses change', () => {
  const ready = ['a@x.example', 'b@x.example'];
  const changes: [ready: string[], role: 'owner' | 'member', language: 'de' | undefined][] = [
    [['a@x.example'], 'member', undefined],
    [ready, 'owner', undefined],
    [ready, 'member', 'de'],
  ];
  for (const change of changes) {
    const batches = new Batches();
    const first = batches.next(ready, 'member', undefined);
    const second = batches.next(...change);
    assert.notEqual(second.key, first.key);
    assert.deepEqual([second.emails, second.role, second.language], change);
  }
});

test('returns the addresses that a refusal names', () => {
  const batch = new Batches().next(['a@x.example', 'b@x.example', 'c@x.example'], 'member', undefined);
  const errors = [
    { pointer: '/emails/0', detail: 'odd' },
    { pointer: '/emails/2', detail: 'odder' },
    { pointer: '/emails/3', detail: 'no such address' },
    { pointer: '/emails', detail: 'all of them' },
  ];
  const named = [
    ['a@x.example', 'odd'],
    ['c@x.example', 'odder'],
  ];
  assert.deepEqual([...refusedAddresses(batch, new CallError('invalid_email', 422, '', { errors }))], named);
  assert.deepEqual([...refusedAddresses(batch, new CallError('resend_too_soon', 429, '', { errors }, 60))], named);
  for (const other of [
    new CallError('invalid_email', 422, ''),
    new CallError('malformed_request', 400, '', { errors }),
    new CallError('too_many_invitations', 429, '', {}, 60),
    new CallError('unreachable', 0, ''),
    new TypeError('a bug'),
  ]) {
    assert.equal(refusedAddresses(batch, other).size, 0, String(other));
  }
});
