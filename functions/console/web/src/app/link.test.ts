import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

const KEY = 'roster.invitation';
let storage: Map<string, string>;
let at: URL;

function given(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

beforeEach(() => {
  storage = new Map();
  at = new URL('https://users.example/accept');
  given('sessionStorage', {
    getItem: (key: string) => storage.get(key) ?? null,
    setItem: (key: string, value: string) => void storage.set(key, value),
    removeItem: (key: string) => void storage.delete(key),
  });
  given('location', {
    get hash() {
      return at.hash;
    },
    get pathname() {
      return at.pathname;
    },
    get search() {
      return at.search;
    },
  });
  given('history', { replaceState: (_: unknown, __: string, path: string) => (at = new URL(path, at)) });
});

/** The module reads the address bar when it is imported, so the first import needs the globals. */
async function link(): Promise<typeof import('./link')> {
  return import('./link');
}

test('moves the token from the address bar to the storage of the tab', async () => {
  const { takeToken } = await link();
  at = new URL('https://users.example/accept?a=1#v1.one');
  assert.equal(takeToken(), 'v1.one');
  assert.equal(at.href, 'https://users.example/accept?a=1');
  assert.deepEqual([...storage], [[KEY, 'v1.one']]);
  // Another link replaces it. Without a link it stays.
  at = new URL('https://users.example/accept#v1.two');
  assert.equal(takeToken(), 'v1.two');
  assert.equal(takeToken(), '');
  assert.deepEqual([...storage], [[KEY, 'v1.two']]);
});

test('forgets a closed invitation, but not a newer one', async () => {
  const { forgetToken } = await link();
  storage.set(KEY, 'v1.two');
  forgetToken('v1.one');
  assert.deepEqual([...storage], [[KEY, 'v1.two']]);
  forgetToken('v1.two');
  assert.equal(storage.size, 0);
});

test('works without a storage', async () => {
  const { forgetToken, takeToken } = await link();
  given('sessionStorage', undefined);
  at = new URL('https://users.example/accept#v1.one');
  assert.equal(takeToken(), 'v1.one');
  assert.equal(at.hash, '');
  assert.doesNotThrow(() => forgetToken('v1.one'));
});
