import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { Invitation, InviteResult, Member } from '../elements';
import { ADDRESSES_MAX, AddressList, isComplete } from './list';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const member = (email: string): Member => ({ email }) as Member;
const invitation = (email: string, status: Invitation['status'], expires_at = '2026-01-02T00:00:00Z'): Invitation =>
  ({ email, status, expires_at }) as Invitation;
const addresses = (chips: readonly { address: string }[]): string[] => chips.map(({ address }) => address);
const refusedAddresses = (list: AddressList): string[] => addresses(list.refused.map(({ chip }) => chip));

/** Creates a list that counts its updates. */
function createList(): { list: AddressList; updates: () => number } {
  const list = new AddressList();
  let count = 0;
  list.addHost({ requestUpdate: () => count++ });
  return { list, updates: () => count };
}

test('sorts addresses into ready and refused ones, by the users of the organization', () => {
  const { list, updates } = createList();
  assert.equal(list.add('ada@x.example, bo@x.example, ivy@x.example, late@x.example, eve@x.example, nobody'), true);
  assert.equal(updates(), 1);
  assert.deepEqual(refusedAddresses(list), ['nobody']);
  const invitations = [
    invitation('bo@x.example', 'accepted'),
    invitation('ivy@x.example', 'pending'),
    invitation('late@x.example', 'expired'),
    // The server's clock decides, also if the status does not show it yet.
    invitation('eve@x.example', 'pending', '2026-01-01T00:00:00Z'),
  ];
  list.setUsers([member('ada@x.example')], invitations, NOW);
  assert.deepEqual(addresses(list.ready), ['late@x.example', 'eve@x.example']);
  assert.deepEqual(
    list.refused.map(({ verdict }) => verdict),
    ['already_member', 'already_member', 'already_invited', 'no_at'],
  );
});

test('counts duplicates and addresses above the maximum', () => {
  const { list } = createList();
  list.add('A@x.example, a@x.example');
  assert.deepEqual(list.skipped, { duplicates: 1, tooMany: 0, lines: 0, unused: 0 });
  assert.deepEqual(addresses(list.chips), ['A@x.example']);
  list.add(Array.from({ length: ADDRESSES_MAX + 1 }, (_, number) => `p${number}@x.example`).join('\n'));
  assert.equal(list.chips.length, ADDRESSES_MAX);
  assert.deepEqual(list.skipped, { duplicates: 0, tooMany: 2, lines: 0, unused: 0 });
  list.remove(list.chips.slice(0, 1));
  assert.deepEqual(list.skipped, { duplicates: 0, tooMany: 0, lines: 0, unused: 0 });
  assert.equal(list.chips.length, ADDRESSES_MAX - 1);
});

test('keeps its counts if nothing was added, and clears the typed text', () => {
  const { list } = createList();
  list.add('a@x.example a@x.example');
  list.typed = '  ';
  assert.equal(list.add(list.typed), false);
  assert.equal(list.typed, '');
  assert.equal(list.skipped.duplicates, 1);
});

test('includes typed addresses that are not in the list yet', () => {
  const { list } = createList();
  list.add('a@x.example');
  list.typed = 'a@x.example b@x.example c@';
  assert.deepEqual(addresses(list.readyWithTyped), ['a@x.example', 'b@x.example']);
  assert.deepEqual(addresses(list.ready), ['a@x.example']);
});

test('counts missing seats, but none for expired invitations', () => {
  const { list } = createList();
  list.freeSeats = 1;
  list.setUsers([], [invitation('late@x.example', 'expired')], NOW);
  list.add('late@x.example a@x.example b@x.example');
  assert.equal(list.missingSeats(list.ready), 1);
  const results = ['late@x.example', 'a@x.example'].map((email) => ({ email, outcome: 'invited' }) as InviteResult);
  list.applyResults(['late@x.example', 'a@x.example'], results);
  assert.equal(list.freeSeats, 0);
});

test('removes invited addresses, and marks the others with the result', () => {
  const { list } = createList();
  list.add('A@x.example b@x.example c@münchen.example later@x.example');
  const results = [
    { email: 'a@x.example', outcome: 'invited' },
    { email: 'b@x.example', outcome: 'already_member', detail: 'b is a member' },
    { email: 'c@xn--mnchen-3ya.example', outcome: 'already_invited', detail: 'c is invited' },
  ] as InviteResult[];
  const invited = list.applyResults(['A@x.example', 'b@x.example', 'c@münchen.example'], results);
  assert.deepEqual(invited, [results[0]]);
  assert.deepEqual(addresses(list.ready), ['later@x.example']);
  assert.deepEqual(
    list.refused.map(({ chip }) => chip.refusal),
    [
      { reason: 'already_member', detail: 'b is a member' },
      { reason: 'already_invited', detail: 'c is invited' },
    ],
  );
});

test('marks a refused address as ready again after the wait', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const { list, updates } = createList();
    list.add('a@x.example b@x.example c@x.example');
    list.refuse(new Map([['a@x.example', 'mailed just now']]), 'resend_too_soon', 45);
    list.refuse(new Map([['b@x.example', 'not valid']]), 'invalid_email');
    assert.deepEqual(refusedAddresses(list), ['a@x.example', 'b@x.example']);
    mock.timers.tick(44_999);
    assert.equal(list.refused.length, 2);
    const before = updates();
    mock.timers.tick(1);
    assert.deepEqual(refusedAddresses(list), ['b@x.example']);
    assert.equal(updates(), before + 1);
  } finally {
    mock.timers.reset();
  }
});

test('recognizes complete texts', () => {
  for (const text of ['a@x.example,', 'a@x.example ', 'a@x.example;', 'Ada <a@x.example>,', 'bob\n', '"Doe, J" <a@x.example>,']) {
    assert.equal(isComplete(text), true, text);
  }
  for (const text of ['', 'a@x.example', 'bob,', 'Ada ', '"Doe, a@x.example,', 'Ada <a@x.example,', 'a@x ']) {
    assert.equal(isComplete(text), false, text);
  }
});

test('counts repeated addresses, but no repeated words', () => {
  const { list } = createList();
  list.add('a@x.example\nb@x.example\nb@x.example\nsales\nsales\nsales');
  assert.deepEqual(addresses(list.chips), ['a@x.example', 'b@x.example', 'sales']);
  assert.equal(list.skipped.duplicates, 1);
});

test('reports a text of which nothing was added', () => {
  const { list } = createList();
  assert.equal(list.add('Anna Lee\nBob Lee'), true);
  assert.deepEqual(list.skipped, { duplicates: 0, tooMany: 0, lines: 2, unused: 0 });
  assert.equal(list.chips.length, 0);
});
