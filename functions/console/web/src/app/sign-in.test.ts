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
/** Far from this machine's clock, which must not matter. */
const ISSUED = Math.floor(Date.now() / 1000) - 3 * 365 * 86_400;

let storage: Map<string, string>;
/** Where the page has gone, and how. */
let gone: { by: 'assign' | 'replace'; to: URL }[];
let reported: string[];
/** What the token endpoint was asked, and what it answers next. */
let asked: URLSearchParams[];
let answers: (() => Response)[];

function given(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

beforeEach(() => {
  storage = new Map();
  gone = [];
  reported = [];
  asked = [];
  answers = [];
  given('sessionStorage', {
    getItem: (key: string) => storage.get(key) ?? null,
    setItem: (key: string, value: string) => void storage.set(key, value),
    removeItem: (key: string) => void storage.delete(key),
  });
  given('document', { documentElement: { lang: 'de-AT' } });
  given('reportError', (error: Error) => reported.push(error.message));
  given('fetch', async (_: string, { body }: RequestInit) => {
    asked.push(new URLSearchParams(String(body)));
    const answer = answers.shift();
    if (!answer) throw new TypeError('Failed to fetch');
    return answer();
  });
});

/** The page is loaded at `url`. */
function load(url: string, config = CONFIG): Session {
  let at = new URL(url);
  const go = (by: 'assign' | 'replace') => (to: string | URL) => void gone.push({ by, to: new URL(to, at) });
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

/** Goes to the identity provider from `url`; what it was asked there. */
async function leave(url: string, departure: Parameters<Session['signIn']>[0] = {}, config = CONFIG) {
  await load(url, config).signIn(departure);
  return gone.at(-1)!.to.searchParams;
}

/** Comes back with a code. */
function come(asked: URLSearchParams, more: Record<string, string> = {}, config = CONFIG): Session {
  const answer = new URLSearchParams({ code: 'code', state: asked.get('state') ?? '', iss: ISSUER, ...more });
  return load(`${asked.get('redirect_uri')}?${answer}`, config);
}

test('one goes with a challenge, and with nothing of the page', async () => {
  const query = await leave('https://users.example/accept', { email: 'ivy@partner.example', invitation: 'v1.secret' });
  const { by, to } = gone[0]!;
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

test('one comes back to where one was, signed in, with nothing left behind', async () => {
  const query = await leave('https://users.example/accept', { invitation: 'v1.secret' });
  answers = [tokens(query.get('nonce'))];
  const session = come(query);
  assert.equal(location.href, 'https://users.example/accept');
  assert.equal(session.invitation, 'v1.secret');
  assert.equal(await session.getToken({ refresh: false }), 'access');
  assert.equal(session.failure, undefined);
  const challenge = createHash('sha256').update(asked[0]!.get('code_verifier')!).digest('base64url');
  assert.equal(challenge, query.get('code_challenge'));
  assert.deepEqual([...storage], [['roster.signed-in', '']]);
});

test('another way there begins with other secrets', async () => {
  const names = ['state', 'nonce', 'code_challenge'];
  const one = await leave('https://users.example/');
  const other = await leave('https://users.example/');
  for (const name of names) assert.notEqual(one.get(name), other.get(name), name);
});

test('an answer that was not asked for here is not even read', async () => {
  const query = await leave('https://users.example/?organization=org_1');
  const forged = { state: 'other', error: 'access_denied', error_description: 'Call this number' };
  const session = come(query, forged);
  assert.equal(await session.getToken({ refresh: false }), null);
  assert.deepEqual(session.failure, { trouble: 'stale', reason: '' });
  assert.equal(location.search, '?organization=org_1');
  assert.deepEqual(asked, []);
  // And the one that was asked for comes too late.
  answers = [tokens(query.get('nonce'))];
  const late = come(query);
  assert.equal(await late.getToken({ refresh: false }), null);
  assert.deepEqual(late.failure, { trouble: 'stale', reason: '' });
  assert.deepEqual(asked, []);
});

test('an answer of another issuer stops before the code is spent', async () => {
  const session = come(await leave('https://users.example/'), { iss: 'https://evil.example' });
  assert.equal(await session.getToken({ refresh: false }), null);
  assert.equal(session.failure?.trouble, 'broken');
  assert.deepEqual(asked, []);
});

test('a token of another sign-in is not taken, and not in the log', async () => {
  const query = await leave('https://users.example/');
  answers = [tokens('other', { access_token: 'SECRET' })];
  const session = come(query);
  assert.equal(await session.getToken({ refresh: false }), null);
  assert.equal(session.failure?.trouble, 'broken');
  assert.equal(reported.length, 1);
  assert.ok(!reported[0]!.includes('SECRET'));
  assert.equal(storage.size, 0);
});

test('what the identity provider says reaches the person as plain text', async () => {
  const query = await leave('https://users.example/');
  const session = come(query, { error: 'access_denied', error_description: 'No\u202e <b>entry</b>' });
  await session.arrived();
  assert.deepEqual(session.failure, { trouble: 'refused', reason: 'No <b>entry</b>' });
});

test('without a connection it is nobody else’s fault', async () => {
  const session = come(await leave('https://users.example/'));
  await session.arrived();
  assert.deepEqual(session.failure, { trouble: 'unreachable', reason: '' });
});

test('asking silently is tried once, and its refusal is no failure', async () => {
  storage.set('roster.signed-in', '');
  const query = await leave('https://users.example/', { silent: true });
  assert.equal(gone[0]!.by, 'replace');
  assert.equal(query.get('prompt'), 'none');
  const session = come(query, { error: 'login_required' });
  await session.arrived();
  assert.equal(session.failure, undefined);
  assert.equal(session.wasSignedIn, false);
});

test('what needs a person is a failure where a person was asked', async () => {
  const session = come(await leave('https://users.example/'), { error: 'login_required' });
  await session.arrived();
  assert.deepEqual(session.failure, { trouble: 'refused', reason: 'login_required' });
});

test('another account is asked for by signing in anew', async () => {
  const query = await leave('https://users.example/accept', { change: true });
  assert.equal(query.get('prompt'), 'login');
});

test('a token is not used in its last seconds', async (t) => {
  const query = await leave('https://users.example/');
  answers = [tokens(query.get('nonce'), { expires_in: 60 })];
  const session = come(query);
  await session.arrived();
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
  t.mock.timers.tick(39_000);
  assert.equal(await session.getToken({ refresh: false }), 'access');
  t.mock.timers.tick(1_100);
  assert.equal(await session.getToken({ refresh: false }), null);
});

test('the life of an id token is its own, whatever the clocks say', async (t) => {
  const config: Config = { ...CONFIG, token: 'id_token' };
  const query = await leave('https://users.example/', {}, config);
  answers = [tokens(query.get('nonce'))];
  const session = come(query, {}, config);
  await session.arrived();
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
  t.mock.timers.tick(579_000);
  assert.match((await session.getToken({ refresh: false }))!, /^ey/);
  t.mock.timers.tick(1_100);
  assert.equal(await session.getToken({ refresh: false }), null);
});

test('a refresh token gets another, once for all who ask', async () => {
  const query = await leave('https://users.example/');
  answers = [
    tokens(query.get('nonce'), { refresh_token: 'again' }),
    tokens(undefined, { access_token: 'second', refresh_token: undefined }),
  ];
  const session = come(query);
  await session.arrived();
  const both = await Promise.all([session.getToken({ refresh: true }), session.getToken({ refresh: true })]);
  assert.deepEqual(both, ['second', 'second']);
  assert.deepEqual(asked.map((body) => body.get('grant_type')), ['authorization_code', 'refresh_token']);
  assert.equal(asked[1]!.get('refresh_token'), 'again');
});

test('a refused token without another is gone', async () => {
  const query = await leave('https://users.example/');
  answers = [tokens(query.get('nonce'))];
  const session = come(query);
  assert.equal(await session.getToken({ refresh: false }), 'access');
  assert.equal(await session.getToken({ refresh: true }), null);
  assert.equal(await session.getToken({ refresh: false }), null);
});

test('plain HTTP is for laptops', async () => {
  const plain: Config = { ...CONFIG, token_url: 'http://id.example/token' };
  for (const [origin, token] of [
    ['http://127.0.0.1:4000', 'access'],
    ['http://localhost:4000', 'access'],
    ['https://users.example', null],
    ['http://users.example', null],
    ['http://127.0.0.1.evil.example', null],
  ] as const) {
    const query = await leave(`${origin}/`, {}, plain);
    answers = [tokens(query.get('nonce'))];
    assert.equal(await come(query, {}, plain).getToken({ refresh: false }), token, origin);
  }
});

test('signing out forgets, here and there', async () => {
  const query = await leave('https://users.example/');
  answers = [tokens(query.get('nonce'))];
  const session = come(query);
  await session.arrived();
  session.signOut();
  const { to } = gone.at(-1)!;
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

test('where the browser blocks storage, it says so and goes nowhere', async () => {
  given('sessionStorage', undefined);
  const session = load('https://users.example/');
  await session.signIn();
  assert.equal(session.failure?.trouble, 'storage');
  assert.deepEqual(gone, []);
});
