import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallError, type Api } from '../api';
import type { Member, Organization, Role } from '../elements';
import { NOW, invitation, member } from './fixtures';
import { RowOperations, type Operation } from './row-operations';
import type { InvitationRow, MemberRow, Row } from './rows';
import { UsersController, type UsersView } from './users-controller';

/** A promise that the test resolves or rejects. */
function deferred<Value>() {
  let resolve!: (value: Value) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<Value>((onResolve, onReject) => ((resolve = onResolve), (reject = onReject)));
  return { promise, resolve, reject };
}

const signedOut = (): CallError => new CallError('signed_out', 401, '');

/** Stores values like `sessionStorage`. */
function fakeStorage(): Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> {
  const values = new Map<string, string>();
  return {
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
    removeItem: (key) => void values.delete(key),
  };
}

type FakeApi = Pick<
  Api,
  'base' | 'now' | 'viewer' | 'organizations' | 'organization' | 'members' | 'invitations' | 'editRole' | 'remove' | 'revoke' | 'resend'
> & { base: string };

/** A controller with an API of one organization, whose functions the test can replace. */
function setUp({ canSwitch = false, storage = fakeStorage() } = {}) {
  Object.assign(globalThis, { sessionStorage: storage, document: { hidden: false } });
  const events: string[] = [];
  const failures: unknown[] = [];
  const performed: Operation[] = [];
  const data = {
    members: [member('ada', 'owner'), member('bob')],
    invitations: [invitation('ivy')],
    organizations: [{ id: 'org_0', name: 'Acme', role: 'owner' as Role }],
  };
  const organization = (): Organization => ({
    id: 'org_0',
    name: 'Acme',
    role: 'owner',
    owners: data.members.filter(({ role }) => role === 'owner').length,
    seats: { total: 10, taken: data.members.length + data.invitations.length, free: 10 - data.members.length - data.invitations.length },
    created_at: '2026-01-01T00:00:00Z',
  });
  const api: FakeApi = {
    base: 'https://api.example',
    now: () => NOW,
    viewer: async () => ({ sub: 'ada', email: 'ada@acme.example', isVerified: true }),
    organizations: async () => data.organizations,
    organization: async () => organization(),
    members: async () => [...data.members],
    invitations: async (_, status) => data.invitations.filter((each) => each.status === status),
    editRole: async (_, user, role) => member(user, role),
    remove: async (_, user) => void (data.members = data.members.filter(({ user_id }) => user_id !== user)),
    revoke: async (_, id) => void (data.invitations = data.invitations.filter((each) => each.id !== id)),
    resend: async () => invitation('ivy', { sent_at: '2026-11-24T14:05:00Z' }),
  };
  const view: UsersView = {
    api: api as Api,
    canSwitch,
    emit: (name) => void events.push(name),
    onReset: () => {},
    onOrganization: () => {},
    onLoadFailed: (error) => void failures.push(error),
    onInaccessible: () => {},
    onLoaded: () => operations.performWaiting(),
  };
  const host = { addController: () => {}, removeController: () => {}, requestUpdate: () => {}, updateComplete: Promise.resolve(true) };
  const users = new UsersController(host, view);
  const operations = new RowOperations(users, {
    api: view.api,
    emit: view.emit,
    onSignedIn: (operation) => void performed.push(operation),
  });
  const row = (email: string): Row | undefined => users.rows.find((each) => each.email.startsWith(`${email}@`));
  return {
    users,
    operations,
    api,
    data,
    events,
    failures,
    performed,
    row,
    memberRow: (email: string) => row(email) as MemberRow,
    invitationRow: (email: string) => row(email) as InvitationRow,
    /** Loads the organization. */
    load: async () => {
      users.organizationId = 'org_0';
      await users.load();
    },
  };
}

test('loads the organization and its users', async () => {
  const { users, events, load } = setUp();
  await load();
  assert.equal(users.phase.is, 'ready');
  assert.deepEqual(
    users.rows.map(({ email }) => email),
    ['ivy@partner.example', 'ada@acme.example', 'bob@acme.example'],
  );
  assert.deepEqual(events, ['roster-loaded']);
  await users.load();
  assert.deepEqual(events, ['roster-loaded']);
});

test('shows the first organization of a viewer who can switch, or that there is none', async () => {
  const { users, data } = setUp({ canSwitch: true });
  await users.load();
  assert.equal(users.organizationId, 'org_0');
  const other = setUp({ canSwitch: true });
  other.data.organizations = [];
  await other.users.load();
  assert.equal(other.users.phase.is, 'none');
  assert.equal(data.organizations.length, 1);
});

test('ignores the result of an earlier load', async () => {
  const { users, api, data, load } = setUp();
  const slow = deferred<Member[]>();
  const { members } = api;
  api.members = () => slow.promise;
  const first = load();
  api.members = members;
  await users.load();
  data.members = [];
  slow.resolve([]);
  await first;
  assert.equal(users.rows.length, 3);
});

test('keeps the data if a later load fails', async () => {
  const { users, api, failures, load } = setUp();
  await load();
  const error = new CallError('unavailable', 503, '');
  api.members = async () => {
    throw error;
  };
  await users.load();
  assert.equal(users.phase.is, 'ready');
  assert.deepEqual(failures, [error]);
  assert.equal(users.rows.length, 3);
});

test('starts over if a different user has signed in', async () => {
  const { users, api, load } = setUp();
  await load();
  api.viewer = async () => ({ sub: 'eve', email: 'eve@acme.example', isVerified: true });
  api.organization = async () => {
    throw new CallError('organization_not_found', 404, '');
  };
  await users.load();
  assert.equal(users.users, undefined);
});

test('shows a change before the API has confirmed it, and applies the result', async () => {
  const { users, operations, api, memberRow, load, events } = setUp();
  await load();
  const answer = deferred<Member>();
  api.editRole = () => answer.promise;
  const outcome = operations.perform({ kind: 'role', row: memberRow('bob'), role: 'owner' });
  assert.equal(memberRow('bob').role, 'owner');
  assert.equal(users.users?.organization.owners, 2);
  assert(users.tasks.isRunning(memberRow('bob').key));
  answer.resolve(member('bob', 'owner'));
  assert.deepEqual(await outcome, { is: 'done' });
  assert.equal(memberRow('bob').role, 'owner');
  assert(!users.tasks.isBusy);
  assert.deepEqual(events, ['roster-loaded', 'roster-role-edited']);
});

test('undoes a change that the API refuses, keeps the error, and loads again', async () => {
  const { users, operations, api, memberRow, load } = setUp();
  await load();
  const error = new CallError('owner_required', 403, '');
  api.remove = async () => {
    throw error;
  };
  let loads = 0;
  const { organization } = api;
  api.organization = (id) => (loads++, organization(id));
  const running = operations.perform({ kind: 'remove', row: memberRow('bob') });
  assert.equal(memberRow('bob'), undefined);
  assert.deepEqual(await running, { is: 'failed', error });
  assert.equal(users.tasks.errors.get(memberRow('bob').key), error);
  assert.equal(loads, 1);
  operations.dismissError(memberRow('bob').key);
  assert.equal(users.tasks.errors.size, 0);
});

test('removes a row that another user has already removed', async () => {
  const { users, operations, api, data, invitationRow, row, load } = setUp();
  await load();
  const invited = invitationRow('ivy');
  data.invitations = [];
  api.revoke = async () => {
    throw new CallError('invitation_not_found', 404, '');
  };
  await operations.perform({ kind: 'revoke', row: invited });
  assert.equal(row('ivy'), undefined);
  assert.equal(users.tasks.errors.size, 0);
});

test('runs the operations of one row one after the other, and shows the newest change', async () => {
  const { operations, api, memberRow, load } = setUp();
  await load();
  const answers = [deferred<Member>(), deferred<Member>()];
  const roles: Role[] = [];
  api.editRole = (_, __, role) => answers[roles.push(role) - 1]!.promise;
  const row = memberRow('bob');
  const first = operations.perform({ kind: 'role', row, role: 'owner' });
  const second = operations.perform({ kind: 'role', row, role: 'member' });
  await Promise.resolve();
  assert.deepEqual(roles, ['owner']);
  answers[0]!.resolve(member('bob', 'owner'));
  await first;
  assert.equal(memberRow('bob').role, 'member');
  answers[1]!.resolve(member('bob', 'member'));
  await second;
  assert.deepEqual(roles, ['owner', 'member']);
  assert.equal(memberRow('bob').role, 'member');
});

test('emits the event of an operation that finishes after another organization is shown, and changes nothing else', async () => {
  const { users, operations, api, memberRow, events, load } = setUp();
  await load();
  const answer = deferred<void>();
  api.remove = () => answer.promise;
  const running = operations.perform({ kind: 'remove', row: memberRow('bob') });
  await Promise.resolve();
  users.show('org_0');
  answer.resolve();
  assert.deepEqual(await running, { is: 'superseded' });
  assert(events.includes('roster-removed'));
});

test('keeps the idempotency key of a resend after a lost response, and takes a new one after a refusal', async () => {
  const { users, operations, api, invitationRow, load } = setUp();
  await load();
  const errors = [new CallError('unreachable', 0, ''), signedOut(), new CallError('resend_too_soon', 429, '', {}, 90)];
  const keys: string[] = [];
  api.resend = async (_, __, key) => {
    keys.push(key);
    const error = errors.shift();
    if (error) throw error;
    return invitation('ivy', { sent_at: '2026-11-24T14:05:00Z' });
  };
  const resend = () => operations.perform({ kind: 'resend', row: invitationRow('ivy') });
  await resend();
  await resend();
  await resend();
  assert.equal(users.resendWait(invitationRow('ivy')), 90);
  await resend();
  assert.equal(new Set(keys.slice(0, 3)).size, 1);
  assert.notEqual(keys[3], keys[0]);
  assert.equal(users.resendWait(invitationRow('ivy')), 60);
});

test('finishes the operations after a sign-in, a resend with the same idempotency key', async () => {
  const { users, operations, api, memberRow, invitationRow, performed, events, load } = setUp();
  await load();
  const keys: string[] = [];
  let isSignedOut = true;
  const { resend, editRole } = api;
  api.resend = async (organization, id, key) => {
    keys.push(key);
    if (isSignedOut) throw signedOut();
    return resend(organization, id, key);
  };
  api.editRole = async (organization, user, role) => {
    if (isSignedOut) throw signedOut();
    return editRole(organization, user, role);
  };
  await operations.perform({ kind: 'role', row: memberRow('bob'), role: 'owner' });
  await operations.perform({ kind: 'resend', row: invitationRow('ivy') });
  assert.equal(memberRow('bob').role, 'member');
  assert(operations.isWaiting(memberRow('bob').key) && operations.isWaiting(invitationRow('ivy').key));
  assert.equal(users.waitingCount, 2);
  assert.equal(events.filter((name) => name === 'roster-sign-in').length, 2);
  isSignedOut = false;
  await users.load();
  assert.deepEqual(performed.map(({ kind }) => kind).sort(), ['resend', 'role']);
  for (const operation of performed) await operations.perform(operation);
  assert.equal(memberRow('bob').role, 'owner');
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
  assert.equal(users.waitingCount, 0);
  assert.equal(users.tasks.errors.size, 0);
});

test('finishes an operation after a reload of the page, but only for the same user, and within 15 minutes', async (context) => {
  context.mock.timers.enable({ apis: ['Date'], now: NOW });
  const storage = fakeStorage();
  const before = setUp({ storage });
  await before.load();
  before.api.remove = async () => {
    throw signedOut();
  };
  await before.operations.perform({ kind: 'remove', row: before.memberRow('bob') });
  const stored = storage.getItem('roster.waiting')!;
  assert(stored.includes('bob') && !stored.includes('@'));

  const other = setUp({ storage });
  other.api.viewer = async () => ({ sub: 'eve', email: 'eve@acme.example', isVerified: true });
  await other.load();
  assert.deepEqual(other.performed, []);

  const after = setUp({ storage });
  await after.load();
  assert.deepEqual(
    after.performed.map(({ kind, row }) => [kind, row.email]),
    [['remove', 'bob@acme.example']],
  );
  assert.equal(storage.getItem('roster.waiting'), null);

  storage.setItem('roster.waiting', stored);
  context.mock.timers.tick(15 * 60_000);
  const late = setUp({ storage });
  await late.load();
  assert.deepEqual(late.performed, []);
});

test('drops a waiting operation if its error is dismissed', async () => {
  const { users, operations, api, memberRow, performed, load } = setUp();
  await load();
  api.remove = async () => {
    throw signedOut();
  };
  await operations.perform({ kind: 'remove', row: memberRow('bob') });
  operations.dismissError(memberRow('bob').key);
  await users.load();
  assert.deepEqual(performed, []);
  assert.equal(sessionStorage.getItem('roster.waiting'), null);
});

test('keeps showing the list for a new `getToken` function if the user is still signed out', async () => {
  const { users, operations, api, memberRow, load } = setUp();
  await load();
  api.remove = async () => {
    throw signedOut();
  };
  await operations.perform({ kind: 'remove', row: memberRow('bob') });
  api.viewer = async () => {
    throw signedOut();
  };
  users.onNewToken('org_acme');
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(users.phase.is, 'ready');
  assert.equal(users.waitingCount, 1);
});

test('shows another organization after leaving, in the same step as the event', async () => {
  const { users, operations, data, memberRow, events } = setUp({ canSwitch: true });
  data.organizations.push({ id: 'org_1', name: 'Beta', role: 'member' });
  await users.load();
  await operations.perform({ kind: 'leave', row: memberRow('ada') });
  assert.equal(users.organizationId, 'org_1');
  assert.deepEqual(events.slice(0, 3), ['roster-loaded', 'roster-left', 'roster-organization-change']);
});

test('checks queued mails with growing delays, at most five times', async (context) => {
  context.mock.timers.enable({ apis: ['Date'], now: NOW });
  const { users, data, api, load } = setUp();
  data.invitations = [invitation('ivy', { delivery: 'queued' })];
  await load();
  let loads = 0;
  const { organization } = api;
  api.organization = (id) => (loads++, organization(id));
  const delays: number[] = [];
  for (let second = 1, last = 0; second <= 200; second++) {
    context.mock.timers.tick(1000);
    const before = loads;
    users.tick();
    await new Promise((resolve) => setImmediate(resolve));
    if (loads > before) delays.push(second - last);
    if (loads > before) last = second;
  }
  assert.deepEqual(delays, [3, 5, 9, 17, 33]);
});
