// A real identity provider (the npm package oidc-provider) in front of a local server (the "laptop"): a person signs in
// there and accepts an invitation. No browser is needed: the provider's own pages work without scripts.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import Provider from 'oidc-provider';
import { Laptop } from './laptop.mjs';

const CLIENT = 'my-app';
const REDIRECT_URI = 'http://127.0.0.1/signed-in';

/** Starts the provider on a free port. `tls` has the key and the certificate for HTTPS. */
async function startProvider(tls) {
  let handle;
  const listener = (request, response) => handle(request, response);
  const server = tls ? https.createServer(tls, listener) : http.createServer(listener);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `${tls ? 'https' : 'http'}://127.0.0.1:${server.address().port}`;
  const claims = (sub) => ({ email: sub, email_verified: !sub.startsWith('unverified') });
  const provider = new Provider(issuer, {
    clients: [{ client_id: CLIENT, redirect_uris: [REDIRECT_URI], token_endpoint_auth_method: 'none' }],
    cookies: { keys: [randomBytes(16).toString('hex')] },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, ...claims(sub) }) }),
    // Roster needs the address in the access token. Providers have a setting or a hook for this.
    extraTokenClaims: (_, token) => claims(token.accountId),
    features: {
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({ scope: '', audience: resource.replace('urn:', ''), accessTokenFormat: 'jwt' }),
      },
    },
  });
  handle = provider.callback();
  const stop = () => new Promise((resolve) => server.close(resolve).closeAllConnections());
  return { issuer, stop };
}

/** Signs a person in at the provider's pages. Returns an access token for the API with this audience. */
async function signIn(issuer, email, audience) {
  const { authorization_endpoint, token_endpoint } = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
  const verifier = randomBytes(32).toString('base64url');
  const request = {
    client_id: CLIENT,
    redirect_uri: REDIRECT_URI,
    response_type: 'code',
    scope: 'openid email',
    resource: `urn:${audience}`,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  };
  const cookies = new Map();
  let location = `${authorization_endpoint}?${new URLSearchParams(request)}`;
  let form;
  while (!location.startsWith(REDIRECT_URI)) {
    const response = await fetch(location, {
      method: form ? 'POST' : 'GET',
      body: form && new URLSearchParams(form),
      headers: { cookie: [...cookies].map((pair) => pair.join('=')).join('; ') },
      redirect: 'manual',
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      cookies.set(name, value);
    }
    if (response.status === 303) {
      location = new URL(response.headers.get('location'), location).href;
      form = undefined;
    } else {
      const page = await response.text();
      const prompt = /name="prompt" value="(\w+)"/.exec(page)?.[1];
      assert.ok(response.status === 200 && prompt && !form, `${response.status} ${page}`);
      // The form of a page is sent to the page's own address.
      form = prompt === 'login' ? { prompt, login: email, password: 'any' } : { prompt };
    }
  }
  const code = new URL(location).searchParams.get('code');
  const { resource } = request;
  const grant = { grant_type: 'authorization_code', client_id: CLIENT, code, redirect_uri: REDIRECT_URI, code_verifier: verifier, resource };
  const body = new URLSearchParams(grant);
  const tokens = await (await fetch(token_endpoint, { method: 'POST', body })).json();
  assert.ok(tokens.access_token, JSON.stringify(tokens));
  return tokens.access_token;
}

/** Lets a person of the provider accept an invitation on a laptop. */
async function playStory(issuer) {
  const laptop = await Laptop.start(['--no-console', '--no-demo', '--issuer', issuer, '--audience', 'my-api']);
  try {
    const olga = laptop.newPerson();
    const invitees = ['bob@example.com', 'unverified@example.com'];
    await laptop.organization({ owner: olga, pending: invitees });
    const [bobs, unverifieds] = await Promise.all(invitees.map((email) => laptop.mail(email)));
    const accept = async (token, mail) => {
      const headers = { authorization: `Bearer ${token}` };
      return laptop.call('POST', '/v1/invitations/accept', { headers, body: { token: mail.token } });
    };
    const foreign = await accept(await signIn(issuer, 'bob@example.com', 'other-api'), bobs);
    assert.deepEqual([foreign.status, foreign.body], [401, { message: 'Unauthorized' }]);
    const unverified = await accept(await signIn(issuer, 'unverified@example.com', 'my-api'), unverifieds);
    assert.deepEqual([unverified.status, unverified.body.code], [403, 'email_not_verified']);
    const accepted = await accept(await signIn(issuer, 'bob@example.com', 'my-api'), bobs);
    assert.equal(accepted.status, 200, JSON.stringify(accepted.body));
    assert.equal(accepted.body.user_id, 'bob@example.com');
  } finally {
    await laptop.stop();
  }
}

test('a person signs in at another identity provider and accepts an invitation', async () => {
  const { issuer, stop } = await startProvider();
  try {
    await playStory(issuer);
  } finally {
    await stop();
  }
});

const openssl = spawnSync('openssl', ['version']).status === 0;
test('the same over HTTPS, with the certificates of SSL_CERT_FILE', { skip: !openssl && 'openssl is not installed' }, async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'roster-issuer-'));
  const files = { key: path.join(folder, 'key.pem'), cert: path.join(folder, 'cert.pem') };
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=roster test'],
    ...['-addext', 'subjectAltName=IP:127.0.0.1', '-addext', 'basicConstraints=critical,CA:FALSE'],
    ...['-keyout', files.key, '-out', files.cert],
  ]);
  assert.equal(made.status, 0, `${made.stderr}`);
  // For the laptop, and for this process, which plays the browser.
  const variables = { SSL_CERT_FILE: files.cert, NODE_TLS_REJECT_UNAUTHORIZED: '0' };
  Object.assign(process.env, variables);
  const { issuer, stop } = await startProvider({ key: readFileSync(files.key), cert: readFileSync(files.cert) });
  try {
    await playStory(issuer);
  } finally {
    await stop();
    for (const name of Object.keys(variables)) delete process.env[name];
    rmSync(folder, { recursive: true });
  }
});
