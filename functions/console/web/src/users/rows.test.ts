import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Invitation, Member, Organization } from '../elements';
import messages from '../messages/en/users';
import { NOW, invitation, member } from './fixtures';
import {
  countsByFilter,
  deliveryText,
  grantableRoles,
  matchingRows,
  nextSort,
  pageOf,
  rowsOf,
  sortedRows,
  withChanges,
  type Change,
  type Column,
  type MemberRow,
  type Row,
  type Users,
} from './rows';

const organization: Organization = {
  id: 'org_0',
  name: 'Acme',
  role: 'owner',
  owners: 2,
  seats: { total: 1000, taken: 3, free: 997 },
  created_at: '2026-01-01T00:00:00Z',
};

const users = (members: Member[], invitations: Invitation[] = [], owners = 2): Users => ({
  organization: { ...organization, owners },
  members,
  invitations,
});

/** Shows every address as it is. */
const unchanged = (address: string): string => address;

const emails = (rows: readonly Row[]) => rows.map((row) => row.email.split('@')[0]);

test('sorts invitations first, the newest at the top, then members by address', () => {
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

test('sorts addresses in natural order', () => {
  const names = ['cool10', 'cool1', 'b.cool', 'cool2', 'Cool1', 'cool0'];
  const rows = rowsOf(users(names.map((name) => member(name))), undefined, NOW);
  assert.deepEqual(emails(rows), ['b.cool', 'cool0', 'cool1', 'Cool1', 'cool2', 'cool10']);
});

test('sorts by each column in both directions, and then by address', () => {
  const invitations = [
    invitation('pending'),
    invitation('owner', { role: 'owner' }),
    invitation('bounced', { delivery: 'bounced' }),
    invitation('late', { status: 'expired' }),
  ];
  const rows = rowsOf(users([member('zoe'), member('ada', 'owner')], invitations), undefined, NOW);
  const sorted = (column: Column, isDescending = false) => emails(sortedRows(rows, { column, isDescending }));
  assert.deepEqual(sorted('user'), ['ada', 'bounced', 'late', 'owner', 'pending', 'zoe']);
  assert.deepEqual(sorted('user', true), ['zoe', 'pending', 'owner', 'late', 'bounced', 'ada']);
  assert.deepEqual(sorted('role'), ['ada', 'owner', 'bounced', 'late', 'pending', 'zoe']);
  assert.deepEqual(sorted('role', true), ['bounced', 'late', 'pending', 'zoe', 'ada', 'owner']);
  assert.deepEqual(sorted('status'), ['bounced', 'owner', 'pending', 'late', 'ada', 'zoe']);
  assert.deepEqual(sorted('status', true), ['ada', 'zoe', 'late', 'owner', 'pending', 'bounced']);
  assert.equal(sortedRows(rows, undefined), rows);
});

test('changes the order with each click on a header: ascending, descending, default', () => {
  const user = { column: 'user', isDescending: false } as const;
  assert.deepEqual(nextSort(undefined, 'user'), user);
  assert.deepEqual(nextSort(user, 'user'), { column: 'user', isDescending: true });
  assert.equal(nextSort({ column: 'user', isDescending: true }, 'user'), undefined);
  assert.deepEqual(nextSort({ column: 'user', isDescending: true }, 'role'), { column: 'role', isDescending: false });
});

test("locks only the viewer's own row and the last owner's", () => {
  const locks = (owners: number) =>
    rowsOf(users([member('ada', 'owner'), member('bo', 'owner'), member('cy')], [], owners), 'cy', NOW).map(
      (row) => (row as MemberRow).lock,
    );
  assert.deepEqual(locks(2), [undefined, undefined, 'own']);
  const alone = rowsOf(users([member('ada', 'owner'), member('cy')], [], 1), 'ada', NOW);
  assert.deepEqual(
    alone.map((row) => (row as MemberRow).lock),
    ['last_owner', undefined],
  );
});

test('shows an invitation as expired from expires_at on, also if its status is pending', () => {
  const at = (expires_at: string, status: Invitation['status'] = 'pending') => {
    const [row] = rowsOf(users([], [invitation('a', { expires_at, status })]), undefined, NOW);
    return row?.kind === 'invitation' && row.expired;
  };
  assert.equal(at('2026-11-24T14:05:01Z'), false);
  assert.equal(at('2026-11-24T14:05:00Z'), true);
  assert.equal(at('2026-11-26T14:05:00Z', 'expired'), true);
});

test('counts as many rows for each filter as the filter returns', () => {
  const invitations = [
    invitation('fresh'),
    invitation('bounced', { delivery: 'bounced' }),
    invitation('spam', { delivery: 'complained' }),
    invitation('failed', { delivery: 'failed', status: 'expired' }),
    invitation('late', { status: 'expired' }),
  ];
  const rows = rowsOf(users([member('ada', 'owner'), member('bo')], invitations), 'ada', NOW);
  const expected = { everyone: 7, members: 2, owners: 1, pending: 3, expired: 2, bounced: 3 };
  assert.deepEqual(countsByFilter(rows), expected);
  for (const [filter, count] of Object.entries(expected)) {
    assert.equal(matchingRows(rows, filter as keyof typeof expected, '', unchanged).length, count);
  }
});

test('finds rows that contain every word of the search, ignoring case', () => {
  const rows = rowsOf(users([member('anna.berg'), member('anna.cruz')]), undefined, NOW);
  assert.deepEqual(emails(matchingRows(rows, 'everyone', ' ANNA  cruz ', unchanged)), ['anna.cruz']);
  assert.deepEqual(emails(matchingRows(rows, 'everyone', '', unchanged)), ['anna.berg', 'anna.cruz']);
  assert.deepEqual(emails(matchingRows(rows, 'pending', 'anna', unchanged)), []);
});

test('finds both spellings of an international domain', () => {
  const people = ['ada@xn--mnchen-3ya.example', 'bo@xn--pypal-4ve.example', 'cy@partner.example'];
  const rows = rowsOf(users(people.map((email, id) => ({ ...member(`${id}`), email }))), undefined, NOW);
  // The second domain looks like another one, so it is shown in punycode.
  const readable = (address: string): string => address.replace('xn--mnchen-3ya', 'münchen');
  const cases = [
    ['münch', ['ada']],
    ['MÜNCHEN.example ada', ['ada']],
    ['mu\u0308nchen', ['ada']],
    ['ada@xn--mnch', ['ada']],
    ['p\u0430ypal.example', ['bo']],
    ['bo@P\u0430ypal.example', ['bo']],
    ['xn--', ['ada', 'bo']],
    ['example', ['ada', 'bo', 'cy']],
    ['müller', []],
  ] as const;
  for (const [search, found] of cases) {
    assert.deepEqual(emails(matchingRows(rows, 'everyone', search, readable)), found, search);
  }
});

test('puts every row on exactly one page and limits the page number to the last page', () => {
  const rows = rowsOf(users(Array.from({ length: 101 }, (_, n) => member(`m${n + 1000}`))), undefined, NOW);
  const pages = [0, 1, 2].map((page) => pageOf(rows, page));
  assert.deepEqual(
    pages.map(({ rows, last }) => [rows.length, last]),
    [
      [50, false],
      [50, false],
      [1, true],
    ],
  );
  assert.deepEqual(
    pages.flatMap(({ rows }) => rows),
    rows,
  );
  assert.equal(pageOf(rows, 9).page, 2);
  assert.deepEqual(pageOf([], 3), { page: 0, first: 0, rows: [], last: true });
});

test('lets members grant only member, and owners both roles', () => {
  assert.deepEqual(grantableRoles('member'), ['member']);
  assert.deepEqual(grantableRoles('owner'), ['member', 'owner']);
});

test('shows a delivery status without a text as it is', () => {
  const texts = messages.delivery;
  assert.equal(deliveryText(texts, 'bounced'), texts.bounced);
  assert.equal(deliveryText(texts, 'delayed'), 'delayed');
});

test('applies unconfirmed changes to rows, owners and seats', () => {
  const before = users([member('ada', 'owner'), member('bo', 'owner'), member('cy')], [invitation('a'), invitation('b')]);
  const after = (...changes: [string, Change][]) => {
    const { organization, members, invitations } = withChanges(before, new Map(changes));
    const { owners, seats } = organization;
    return [members.map(({ user_id, role }) => `${user_id} ${role}`), invitations.length, owners, seats.taken, seats.free];
  };
  const all = ['ada owner', 'bo owner', 'cy member'];
  assert.deepEqual(after(), [all, 2, 2, 3, 997]);
  assert.deepEqual(after(['user cy', { role: 'owner' }]), [['ada owner', 'bo owner', 'cy owner'], 2, 3, 3, 997]);
  assert.deepEqual(after(['user bo', { role: 'member' }]), [['ada owner', 'bo member', 'cy member'], 2, 1, 3, 997]);
  assert.deepEqual(after(['user bo', 'removed'], ['inv_a', 'removed']), [['ada owner', 'cy member'], 1, 1, 1, 999]);
  // The loaded users may already contain the changes, or lack the rows: then nothing changes.
  assert.deepEqual(after(['user bo', { role: 'owner' }], ['user dan', 'removed'], ['inv_c', 'removed']), [all, 2, 2, 3, 997]);
});
