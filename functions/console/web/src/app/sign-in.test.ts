import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { beforeEach, test } from 'node:test';
import type { Config } from './config';
import { Session } from './sign-in';

const ISSUER = 'https://id.example';
const CONFIG: Config = {
  issuer: ISSUER,
  client_id: 'roster-console',
  authorize_url: `${ISSUER}/authorize`,
  token_url: `${ISSUER}/token`,
  sign_out_url: `${ISSUER}/logout?theme=dark`,
  scope: 'openid email',
  token: 'access_token',
  product: 'Acme Cloud',
  language: 'en',
};
/** Three years before this machine's time: the sign-in must not depend on the clock. */
const ISSUED = Math.floor(Date.now() / 1000) - 3 * 365 * 86_400;

let storage: Map<string, string>;
/** The navigations of the page. */
let navigations: { by: 'assign' | 'replace'; to: URL }[];
let reported: string[];
/** The bodies of the requests to the token endpoint, and its next responses. */
let requests: URLSearchParams[];
let responses: (() => Response)[];

function given(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

beforeEach(() => {
  storage = new Map();
  navigations = [];
  reported = [];
  requests = [];
  responses = [];
  given('sessionStorage', {
    getItem: (key: string) => storage.get(key) ?? null,
    setItem: (key: string, value: string) => void storage.set(key, value),
    removeItem: (key: string) => void storage.delete(key),
    clear: () => storage.clear(),
  });
  given('document', { documentElement: { lang: 'de-AT' } });
  given('reportError', (error: Error) => reported.push(error.message));
  given('fetch', async (_: string, { body }: RequestInit) => {
    requests.push(new URLSearchParams(String(body)));
    const response = responses.shift();
    if (!response) throw new TypeError('Failed to fetch');
    return response();
  });
});

/** Simulates a page load at `url`. */
function load(url: string, config = CONFIG): Session {
  let at = new URL(url);
  const go = (by: 'assign' | 'replace') => (to: string | URL) => void navigations.push({ by, to: new URL(to, at) });
  given('location', {
    get search() {
      return at.search;
    },
    get pathname() {
      return at.pathname;
    },
    get href() {
      return at.href;
    },
    origin: at.origin,
    protocol: at.protocol,
    hostname: at.hostname,
    assign: go('assign'),
    replace: go('replace'),
  });
  given('history', { replaceState: (_: unknown, __: string, path: string) => (at = new URL(path, at)) });
  return new Session(config);
}

function jwt(claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256' })}.${part(claims)}.c2ln`;
}

function tokens(nonce: string | null | undefined, more: object = {}): () => Response {
  const id_token = jwt({ iss: ISSUER, aud: 'roster-console', sub: 'ivy', iat: ISSUED, exp: ISSUED + 600, nonce });
  return () => Response.json({ access_token: 'access', token_type: 'Bearer', expires_in: 3600, id_token, ...more });
}

/** Starts a sign-in from `url`. Returns the query of the authorization request. */
async function startSignIn(url: string, options: Parameters<Session['signIn']>[0] = {}, config = CONFIG) {
  await load(url, config).signIn(options);
  return navigations.at(-1)!.to.searchParams;
}

/** Simulates the return from the identity provider with a code. */
function comeBack(request: URLSearchParams, more: Record<string, string> = {}, config = CONFIG): Session {
  const response = new URLSearchParams({ code: 'code', state: request.get('state') ?? '', iss: ISSUER, ...more });
  return load(`${request.get('redirect_uri')}?${response}`, config);
}

test('sends a PKCE challenge and nothing that the tab stores to the identity provider', async () => {
  storage.set('roster.invitation', 'v1.secret');
  const query = await startSignIn('https://users.example/accept', { email: 'ivy@partner.example' });
  const { by, to } = navigations[0]!;
  assert.equal(by, 'assign');
  assert.equal(to.origin + to.pathname, CONFIG.authorize_url);
  assert.equal(query.get('response_type'), 'code');
  assert.equal(query.get('redirect_uri'), 'https://users.example/');
  assert.equal(query.get('login_hint'), 'ivy@partner.example');
  assert.equal(query.get('ui_locales'), 'de-AT');
  assert.equal(query.get('code_challenge_method'), 'S256');
  assert.equal(query.has('prompt'), false);
  assert.ok(!to.href.includes('secret'));
});

test('returns to the same page signed in and clears the pending sign-in', async () => {
  const query = await startSignIn('https://users.example/accept');
  responses = [tokens(query.get('nonce'))];
  const session = comeBack(query);
  assert.equal(location.href, 'https://users.example/accept');
  assert.equal(await session.getToken({ refresh: false }), 'access');
  assert.equal(session.failure, undefined);
  const challenge = createHash('sha256').update(requests[0]!.get('code_verifier')!).digest('base64url');
  assert.equal(challenge, query.get('code_challenge'));
  assert.deepEqual([...storage], [['roster.signed-in', '']]);
});

test('uses new secrets for each sign-in', async () => {
  const names = ['state', 'nonce', 'code_challenge'];
  const one = await startSignIn('https://users.example/');
  const other = await startSignIn('https://users.example/');
  for (const name of names) assert.notEqual(one.get(name), other.get(name), name);
});

test('ignores a response with an unknown state', async () => {
  const query = await startSignIn('https://users.example/?organization=org_1');
  const forged = { state: 'other', error: 'access_denied', error_description: 'Call this number' };
  const session = comeBack(query, forged);
  assert.equal(await session.getToken({ refresh: false }), null);
  assert.deepEqual(session.failure, { kind: 'stale', reason: '' });
  assert.equal(location.search, '?organization=org_1');
  assert.deepEqual(requests, []);
  // The pending sign-in is used up, so the genuine response is rejected as well.
  responses = [tokens(query.get('nonce'))];
  const late = comeBack(query);
  assert.equal(await late.getToken({ refresh: false }), null);
  assert.deepEqual(late.failure, { kind: 'stale', reason: '' });
  assert.deepEqual(requests, []);
});

test('rejects a response of another issuer before it redeems the code', async () => {
  const session = comeBack(await startSignIn('https://users.example/'), { iss: 'https://evil.example' });
  assert.equal(await session.getToken({ refresh: false }), null);
  assert.equal(session.failure?.kind, 'broken');
  assert.deepEqual(requests, []);
});

test('rejects a token with a wrong nonce and does not log it', async () => {
  const query = await startSignIn('https://users.example/');
  responses = [tokens('other', { access_token: 'SECRET' })];
  const session = comeBack(query);
  assert.equal(await session.getToken({ refresh: false }), null);
  assert.equal(session.failure?.kind, 'broken');
  assert.equal(reported.length, 1);
  assert.ok(!reported[0]!.includes('SECRET'));
  assert.equal(storage.size, 0);
});

test('shows an error of the identity provider as plain text', async () => {
  const query = await startSignIn('https://users.example/');
  const session = comeBack(query, { error: 'access_denied', error_description: 'No\u202e <b>entry</b>' });
  await session.completed();
  assert.deepEqual(session.failure, { kind: 'refused', reason: 'No <b>entry</b>' });
});

test('reports a lost connection as unreachable', async () => {
  const session = comeBack(await startSignIn('https://users.example/'));
  await session.completed();
  assert.deepEqual(session.failure, { kind: 'unreachable', reason: '' });
});

test('tries a silent sign-in once and does not report its refusal', async () => {
  storage.set('roster.signed-in', '');
  const query = await startSignIn('https://users.example/', { silent: true });
  assert.equal(navigations[0]!.by, 'replace');
  assert.equal(query.get('prompt'), 'none');
  const session = comeBack(query, { error: 'login_required' });
  await session.completed();
  assert.equal(session.failure, undefined);
  assert.equal(session.wasSignedIn, false);
});

test('reports login_required as a failure of an interactive sign-in', async () => {
  const session = comeBack(await startSignIn('https://users.example/'), { error: 'login_required' });
  await session.completed();
  assert.deepEqual(session.failure, { kind: 'refused', reason: 'login_required' });
});

test('requests prompt=login to change the account', async () => {
  const query = await startSignIn('https://users.example/accept', { change: true });
  assert.equal(query.get('prompt'), 'login');
});

test('does not use a token shortly before it expires', async (t) => {
  const query = await startSignIn('https://users.example/');
  responses = [tokens(query.get('nonce'), { expires_in: 60 })];
  const session = comeBack(query);
  await session.completed();
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
  t.mock.timers.tick(39_000);
  assert.equal(await session.getToken({ refresh: false }), 'access');
  t.mock.timers.tick(1_100);
  assert.equal(await session.getToken({ refresh: false }), null);
});

test('takes the lifetime of an id token from its claims, independent of the clock', async (t) => {
  const config: Config = { ...CONFIG, token: 'id_token' };
  const query = await startSignIn('https://users.example/', {}, config);
  responses = [tokens(query.get('nonce'))];
  const session = comeBack(query, {}, config);
  await session.completed();
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
  t.mock.timers.tick(579_000);
  assert.match((await session.getToken({ refresh: false }))!, /^ey/);
  t.mock.timers.tick(1_100);
  assert.equal(await session.getToken({ refresh: false }), null);
});

test('refreshes the token once for concurrent callers', async () => {
  const query = await startSignIn('https://users.example/');
  responses = [
    tokens(query.get('nonce'), { refresh_token: 'again' }),
    tokens(undefined, { access_token: 'second', refresh_token: undefined }),
  ];
  const session = comeBack(query);
  await session.completed();
  const both = await Promise.all([session.getToken({ refresh: true }), session.getToken({ refresh: true })]);
  assert.deepEqual(both, ['second', 'second']);
  assert.deepEqual(
    requests.map((body) => body.get('grant_type')),
    ['authorization_code', 'refresh_token'],
  );
  assert.equal(requests[1]!.get('refresh_token'), 'again');
});

test('drops a refused token if there is no refresh token', async () => {
  const query = await startSignIn('https://users.example/');
  responses = [tokens(query.get('nonce'))];
  const session = comeBack(query);
  assert.equal(await session.getToken({ refresh: false }), 'access');
  assert.equal(await session.getToken({ refresh: true }), null);
  assert.equal(await session.getToken({ refresh: false }), null);
});

test('allows plain HTTP on the loopback only', async () => {
  const plain: Config = { ...CONFIG, token_url: 'http://id.example/token' };
  for (const [origin, token] of [
    ['http://127.0.0.1:4000', 'access'],
    ['http://localhost:4000', 'access'],
    ['https://users.example', null],
    ['http://users.example', null],
    ['http://127.0.0.1.evil.example', null],
  ] as const) {
    const query = await startSignIn(`${origin}/`, {}, plain);
    responses = [tokens(query.get('nonce'))];
    assert.equal(await comeBack(query, {}, plain).getToken({ refresh: false }), token, origin);
  }
});

test('signs out locally and at the identity provider', async () => {
  const query = await startSignIn('https://users.example/');
  responses = [tokens(query.get('nonce'))];
  const session = comeBack(query);
  await session.completed();
  storage.set('roster.invitation', 'v1.secret');
  session.signOut();
  const { to } = navigations.at(-1)!;
  assert.equal(to.origin + to.pathname, `${ISSUER}/logout`);
  const home = 'https://users.example/';
  assert.deepEqual(Object.fromEntries(to.searchParams), {
    theme: 'dark',
    client_id: 'roster-console',
    post_logout_redirect_uri: home,
    logout_uri: home,
  });
  assert.equal(await session.getToken({ refresh: false }), null);
  assert.equal(storage.size, 0);
});

test('reports blocked storage and does not navigate', async () => {
  given('sessionStorage', undefined);
  const session = load('https://users.example/');
  await session.signIn();
  assert.equal(session.failure?.kind, 'storage');
  assert.deepEqual(navigations, []);
});
