import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Invitation, Member, Organization } from '../elements';
import { changed, counts, grantable, matching, pageOf, rowsOf, type Change, type MemberRow, type Row, type Users } from './rows';

const NOW = Date.parse('2026-11-24T14:05:00Z');
const organization: Organization = {
  id: 'org_0',
  name: 'Acme',
  role: 'owner',
  owners: 2,
  seats: { total: 1000, taken: 3, free: 997 },
  created_at: '2026-01-01T00:00:00Z',
};

function member(user_id: string, role: Member['role'] = 'member'): Member {
  return { user_id, email: `${user_id}@acme.example`, role, joined_at: '2026-09-03T10:00:00Z' };
}

function invitation(name: string, rest: Partial<Invitation> = {}): Invitation {
  return {
    id: `inv_${name}`,
    email: `${name}@partner.example`,
    role: 'member',
    status: 'pending',
    generation: 1,
    sender: { user_id: 'ada', email: 'ada@acme.example' },
    created_at: '2026-11-24T12:00:00Z',
    sent_at: null,
    expires_at: '2026-11-26T12:00:00Z',
    delivery: 'sent',
    ...rest,
  };
}

const users = (members: Member[], invitations: Invitation[] = [], owners = 2): Users => ({
  organization: { ...organization, owners },
  members,
  invitations,
});

const emails = (rows: readonly Row[]) => rows.map((row) => row.email.split('@')[0]);

test('invitations come first, the youngest at the top, then members by address', () => {
  const rows = rowsOf(
    users(
      [member('zoe'), member('ada', 'owner')],
      [invitation('old', { created_at: '2026-11-20T12:00:00Z' }), invitation('b'), invitation('a')],
    ),
    'ada',
    NOW,
  );
  assert.deepEqual(emails(rows), ['a', 'b', 'old', 'ada', 'zoe']);
});

test("one's own row and the last owner's are locked, and nobody else's", () => {
  const locks = (owners: number) =>
    rowsOf(users([member('ada', 'owner'), member('bo', 'owner'), member('cy')], [], owners), 'cy', NOW).map(
      (row) => (row as MemberRow).lock,
    );
  assert.deepEqual(locks(2), [undefined, undefined, 'own']);
  const alone = rowsOf(users([member('ada', 'owner'), member('cy')], [], 1), 'ada', NOW);
  assert.deepEqual(alone.map((row) => (row as MemberRow).lock), ['last_owner', undefined]);
});

test('an invitation is expired from its instant on, whatever its status said', () => {
  const at = (expires_at: string, status: Invitation['status'] = 'pending') => {
    const [row] = rowsOf(users([], [invitation('a', { expires_at, status })]), undefined, NOW);
    return row?.kind === 'invitation' && row.expired;
  };
  assert.equal(at('2026-11-24T14:05:01Z'), false);
  assert.equal(at('2026-11-24T14:05:00Z'), true);
  assert.equal(at('2026-11-26T14:05:00Z', 'expired'), true);
});

test('filters and their counts agree', () => {
  const invitations = [
    invitation('fresh'),
    invitation('bounced', { delivery: 'bounced' }),
    invitation('spam', { delivery: 'complained' }),
    invitation('failed', { delivery: 'failed', status: 'expired' }),
    invitation('late', { status: 'expired' }),
  ];
  const rows = rowsOf(users([member('ada', 'owner'), member('bo')], invitations), 'ada', NOW);
  const expected = { everyone: 7, members: 2, pending: 3, expired: 2, bounced: 3 };
  assert.deepEqual(counts(rows), expected);
  for (const [filter, count] of Object.entries(expected)) {
    assert.equal(matching(rows, filter as keyof typeof expected, '').length, count);
  }
});

test('a search asks for every word of it, in any case', () => {
  const rows = rowsOf(users([member('anna.berg'), member('anna.cruz')]), undefined, NOW);
  assert.deepEqual(emails(matching(rows, 'everyone', ' ANNA  cruz ')), ['anna.cruz']);
  assert.deepEqual(emails(matching(rows, 'everyone', '')), ['anna.berg', 'anna.cruz']);
  assert.deepEqual(emails(matching(rows, 'pending', 'anna')), []);
});

test('every row is on one page, and a page beyond the last is the last', () => {
  const rows = rowsOf(users(Array.from({ length: 101 }, (_, n) => member(`m${n + 1000}`))), undefined, NOW);
  const pages = [0, 1, 2].map((page) => pageOf(rows, page));
  assert.deepEqual(pages.map(({ rows, last }) => [rows.length, last]), [[50, false], [50, false], [1, true]]);
  assert.deepEqual(pages.flatMap(({ rows }) => rows), rows);
  assert.equal(pageOf(rows, 9).page, 2);
  assert.deepEqual(pageOf([], 3), { page: 0, first: 0, rows: [], last: true });
});

test('a member grants member only', () => {
  assert.deepEqual(grantable('member'), ['member']);
  assert.deepEqual(grantable('owner'), ['member', 'owner']);
});

test('what is on its way shows already, and counts', () => {
  const before = users([member('ada', 'owner'), member('bo', 'owner'), member('cy')], [invitation('a'), invitation('b')]);
  const after = (...changes: [string, Change][]) => {
    const { organization, members, invitations } = changed(before, new Map(changes));
    const { owners, seats } = organization;
    return [members.map(({ user_id, role }) => `${user_id} ${role}`), invitations.length, owners, seats.taken, seats.free];
  };
  const all = ['ada owner', 'bo owner', 'cy member'];
  assert.deepEqual(after(), [all, 2, 2, 3, 997]);
  assert.deepEqual(after(['user cy', { role: 'owner' }]), [['ada owner', 'bo owner', 'cy owner'], 2, 3, 3, 997]);
  assert.deepEqual(after(['user bo', { role: 'member' }]), [['ada owner', 'bo member', 'cy member'], 2, 1, 3, 997]);
  assert.deepEqual(after(['user bo', 'gone'], ['inv_a', 'gone']), [['ada owner', 'cy member'], 1, 1, 1, 999]);
  // Answers may have overtaken them: then there is nothing left to change.
  assert.deepEqual(after(['user bo', { role: 'owner' }], ['user dan', 'gone'], ['inv_c', 'gone']), [all, 2, 2, 3, 997]);
});
