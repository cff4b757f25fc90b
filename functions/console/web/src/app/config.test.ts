import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig, type Config } from './config';

const config: Config = {
  issuer: 'https://id.example',
  client_id: 'roster-console',
  authorize_url: 'https://id.example/authorize',
  token_url: 'https://id.example/token',
  scope: 'openid email',
  token: 'access_token',
  product: 'Acme Cloud',
  language: 'en',
};

const parse = (change: Record<string, unknown>): Config => parseConfig(JSON.stringify({ ...config, ...change }));

test('reads a complete configuration', () => {
  const more = { sign_out_url: 'https://id.example/logout', mailbox: '/_dev/mail', token: 'id_token' };
  assert.deepEqual(parse({}), config);
  assert.deepEqual(parse(more), { ...config, ...more });
});

test('names a missing, empty or non-string field', () => {
  for (const name of ['issuer', 'client_id', 'authorize_url', 'token_url', 'scope', 'token', 'product', 'language']) {
    assert.throws(() => parse({ [name]: undefined }), new RegExp(`no ${name}$`));
    assert.throws(() => parse({ [name]: '' }), new RegExp(`no ${name}$`));
    assert.throws(() => parse({ [name]: 1 }), new RegExp(`no ${name}$`));
  }
});

test('rejects an empty or incomplete configuration', () => {
  assert.throws(() => parseConfig(''), /not served by the console function/);
  assert.throws(() => parseConfig('null'), /no issuer/);
  assert.throws(() => parseConfig('{'), SyntaxError);
});

test('rejects URLs that are not HTTP', () => {
  for (const name of ['authorize_url', 'token_url', 'sign_out_url']) {
    for (const url of ['javascript:alert(1)', 'data:text/html,a', '/authorize', 'id.example']) {
      assert.throws(() => parse({ [name]: url }), new RegExp(`${name} is not an HTTP URL`));
    }
  }
});

test('rejects an unknown kind of token', () => {
  assert.throws(() => parse({ token: 'refresh_token' }), /neither access_token nor id_token/);
});
