/** The story of an organization, with the TypeScript client of openapi-typescript and openapi-fetch. run.py runs this file. */
import assert from 'node:assert/strict';
import createClient, { type Client } from 'openapi-fetch';
import type { components, paths } from './roster-client.js';

type Schemas = components['schemas'];
type Fetched<Data> = { data?: Data; error?: Schemas['Problem'] | Schemas['GatewayMessage']; response: Response };

const baseUrl = process.env['ROSTER_URL']!;

/** Calls the laptop's own API, which the contract does not contain. */
async function development<Result>(path: string, body?: object): Promise<Result> {
  const request = body ? { method: 'POST', body: JSON.stringify(body) } : {};
  return (await fetch(baseUrl + path, request)).json() as Promise<Result>;
}

async function client(name: string): Promise<Client<paths>> {
  const claims = { sub: name, email: `${name}@example.com`, email_verified: true };
  const { access_token } = await development<{ access_token: string }>('/_dev/token', claims);
  return createClient<paths>({ baseUrl, headers: { authorization: `Bearer ${access_token}` } });
}

/** Returns the link token in the newest mail to the address. */
async function linkToken(email: string): Promise<Schemas['Token']> {
  await development('/_dev/idle');
  const { items } = await development<{ items: { token: string }[] }>(`/_dev/mail?to=${email}`);
  return { token: items[0]!.token };
}

function succeeded<Data>({ data, error }: Fetched<Data>): Data {
  assert(data !== undefined, JSON.stringify(error));
  return data;
}

function refused({ error }: Fetched<unknown>, code: Schemas['ProblemCode']): Schemas['Problem'] {
  assert(error && 'code' in error && error.code === code, JSON.stringify(error));
  return error;
}

/** Returns a text for each result. The type of a result follows from its `outcome`. */
function describe(result: Schemas['InviteResult']): string {
  switch (result.outcome) {
    case 'invited':
      return `${result.invitation.status} as ${result.invitation.role}`;
    case 'already_invited':
      return `already invited as ${result.role}`;
    case 'already_member':
      return result.detail;
  }
}

const [olga, bob, eve] = [await client('olga'), await client('bob'), await client('eve')];
const stranger = createClient<paths>({ baseUrl });

const named = { body: { name: 'Example' }, params: { header: { 'Idempotency-Key': 'story-1' } } };
const organization = succeeded(await olga.POST('/v1/organizations', named));
assert.deepEqual([organization.role, organization.seats.taken], ['owner', 1]);
assert.deepEqual(succeeded(await olga.POST('/v1/organizations', named)), organization);
const params = { path: { organization_id: organization.id } };

const body = { emails: ['bob@example.com'], role: 'member' as const };
const invite = async () => succeeded(await olga.POST('/v1/organizations/{organization_id}/invitations', { params, body }));
assert.deepEqual((await invite()).results.map(describe), ['pending as member']);
assert.deepEqual((await invite()).results.map(describe), ['already invited as member']);

const token = await linkToken('bob@example.com');
const preview = succeeded(await stranger.POST('/v1/invitations/preview', { body: token }));
assert.deepEqual([preview.organization.name, preview.role], ['Example', 'member']);
const joined = succeeded(await bob.POST('/v1/invitations/accept', { body: token }));
assert.deepEqual([joined.user_id, joined.organization], ['bob', { id: organization.id, name: 'Example' }]);

const members: string[] = [];
let cursor: string | null = null;
do {
  const query: { limit: number; cursor?: string } = { limit: 1, ...(cursor && { cursor }) };
  const page: Schemas['MemberPage'] = succeeded(
    await bob.GET('/v1/organizations/{organization_id}/members', { params: { ...params, query } }),
  );
  members.push(...page.items.map((member) => member.user_id));
  cursor = page.next_cursor;
} while (cursor !== null);
assert.deepEqual(members.sort(), ['bob', 'olga']);

const member = (user_id: string) => ({ path: { ...params.path, user_id } });
const edit = (user_id: string, role: Schemas['Role']) =>
  olga.PATCH('/v1/organizations/{organization_id}/members/{user_id}', { params: member(user_id), body: { role } });
refused(await bob.PATCH('/v1/organizations/{organization_id}', { params, body: { name: 'Bob' } }), 'owner_required');
refused(await edit('olga', 'member'), 'last_owner');
const problem = refused(await bob.POST('/v1/organizations', { body: { name: 'a/b' } }), 'invalid_name');
assert.equal(problem.errors?.[0]?.pointer, '/name');
refused(await eve.GET('/v1/organizations/{organization_id}', { params }), 'organization_not_found');
const { error, response } = await stranger.GET('/v1/organizations/{organization_id}', { params });
assert.equal(response.status, 401);
assert(error && 'message' in error);

assert.equal(succeeded(await edit('bob', 'owner')).role, 'owner');
const removed = await olga.DELETE('/v1/organizations/{organization_id}/members/{user_id}', { params: member('bob') });
assert.equal(removed.response.status, 204);
const left = succeeded(await olga.GET('/v1/organizations/{organization_id}/members', { params }));
assert.deepEqual(left.items.map(({ user_id }) => user_id), ['olga']);
