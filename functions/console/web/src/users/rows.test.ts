import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Invitation, Member, Organization } from '../elements';
import { counts, grantable, matching, pageOf, rowsOf, type MemberRow, type Row } from './rows';

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

const emails = (rows: readonly Row[]) => rows.map((row) => row.email.split('@')[0]);

test('invitations come first, the youngest at the top, then members by address', () => {
  const rows = rowsOf(
    organization,
    [member('zoe'), member('ada', 'owner')],
    [invitation('old', { created_at: '2026-11-20T12:00:00Z' }), invitation('b'), invitation('a')],
    'ada',
    NOW,
  );
  assert.deepEqual(emails(rows), ['a', 'b', 'old', 'ada', 'zoe']);
});

test("one's own row and the last owner's are locked, and nobody else's", () => {
  const locks = (owners: number) =>
    rowsOf({ ...organization, owners }, [member('ada', 'owner'), member('bo', 'owner'), member('cy')], [], 'cy', NOW).map(
      (row) => (row as MemberRow).lock,
    );
  assert.deepEqual(locks(2), [undefined, undefined, 'own']);
  const alone = rowsOf({ ...organization, owners: 1 }, [member('ada', 'owner'), member('cy')], [], 'ada', NOW);
  assert.deepEqual(alone.map((row) => (row as MemberRow).lock), ['last_owner', undefined]);
});

test('an invitation is expired from its instant on, whatever its status said', () => {
  const at = (expires_at: string, status: Invitation['status'] = 'pending') => {
    const [row] = rowsOf(organization, [], [invitation('a', { expires_at, status })], undefined, NOW);
    return row?.kind === 'invitation' && row.expired;
  };
  assert.equal(at('2026-11-24T14:05:01Z'), false);
  assert.equal(at('2026-11-24T14:05:00Z'), true);
  assert.equal(at('2026-11-26T14:05:00Z', 'expired'), true);
});

test('filters and their counts agree', () => {
  const rows = rowsOf(
    organization,
    [member('ada', 'owner'), member('bo')],
    [
      invitation('fresh'),
      invitation('bounced', { delivery: 'bounced' }),
      invitation('spam', { delivery: 'complained' }),
      invitation('failed', { delivery: 'failed', status: 'expired' }),
      invitation('late', { status: 'expired' }),
    ],
    'ada',
    NOW,
  );
  const expected = { everyone: 7, members: 2, pending: 3, expired: 2, bounced: 3 };
  assert.deepEqual(counts(rows), expected);
  for (const [filter, count] of Object.entries(expected)) {
    assert.equal(matching(rows, filter as keyof typeof expected, '').length, count);
  }
});

test('a search asks for every word of it, in any case', () => {
  const rows = rowsOf(organization, [member('anna.berg'), member('anna.cruz')], [], undefined, NOW);
  assert.deepEqual(emails(matching(rows, 'everyone', ' ANNA  cruz ')), ['anna.cruz']);
  assert.deepEqual(emails(matching(rows, 'everyone', '')), ['anna.berg', 'anna.cruz']);
  assert.deepEqual(emails(matching(rows, 'pending', 'anna')), []);
});

test('every row is on one page, and a page beyond the last is the last', () => {
  const rows = rowsOf(organization, Array.from({ length: 101 }, (_, n) => member(`m${n + 1000}`)), [], undefined, NOW);
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
