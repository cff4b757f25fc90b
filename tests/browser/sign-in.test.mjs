// Signing in and out, at the laptop's issuer.
import assert from 'node:assert/strict';
import { DEMO, stage, story } from './world.mjs';
import { DEMO_ORGANIZATION } from './states.mjs';

const it = stage();

story(it, 'one button each for a demo owner, member and invitee', async ({ laptop, open }) => {
  const tab = await open();
  await tab.visits('/');
  await tab.button('Sign in').click();
  for (const email of Object.values(DEMO)) await tab.button(new RegExp(email)).waitFor();
  await tab.button(new RegExp(DEMO.owner)).click();
  await tab.shows('312 of 1,000 seats used');
  await tab.shows(DEMO.owner, tab.page.locator('header.bar'));
  assert.equal(tab.url.searchParams.get('organization'), DEMO_ORGANIZATION.id);
  assert.equal(tab.url.origin, laptop.url);
});

story(it, 'the code flow: PKCE, state and nonce; the token is in memory and nowhere else', async ({ laptop, open }) => {
  const organization = await laptop.organization();
  const tab = await open();
  const [answer] = await Promise.all([
    tab.page.waitForResponse((response) => response.request().method() === 'POST' && response.url().endsWith('/token')),
    tab.manages(organization),
  ]);
  const { access_token: token, id_token: identity } = await answer.json();
  assert(token && identity);
  const asked = tab.requests.map(({ url }) => new URL(url)).find(({ searchParams }) => searchParams.has('code_challenge'));
  const query = Object.fromEntries(asked.searchParams);
  assert.equal(query.response_type, 'code');
  assert.equal(query.code_challenge_method, 'S256');
  for (const name of ['code_challenge', 'state', 'nonce']) assert(query[name].length >= 43, name);
  assert(!asked.searchParams.has('code_verifier'));
  // The answer has left the address bar, and what was kept for it the storage.
  assert.deepEqual([...tab.url.searchParams.keys()], ['organization']);
  const stored = await tab.stored();
  for (const secret of [token, identity, query.state, query.nonce]) assert(!stored.includes(secret), stored);
  // It goes to the API, in a header, and nowhere else.
  for (const { url, headers, body } of tab.requests) {
    assert(!url.includes(token));
    assert(!body?.includes(token));
    if (JSON.stringify(headers).includes(token)) assert.match(new URL(url).pathname, /^\/v1\//);
  }
});

story(it, 'a reload stays signed in without asking, and signing out ends it', async ({ laptop, open }) => {
  const organization = await laptop.organization();
  const { owner } = organization;
  const tab = await open();
  await tab.manages(organization);
  tab.requests.length = 0;
  await tab.page.reload();
  await tab.row(owner.email).waitFor();
  assert(tab.requests.some(({ url }) => new URL(url).searchParams.get('prompt') === 'none'));
  await tab.button('Sign out').click();
  await tab.button('Sign in').waitFor();
  assert(!(await tab.stored()).includes(organization.id), 'whoever is next here is told');
  await tab.page.reload();
  await tab.button('Sign in').waitFor();
  assert.equal(await tab.page.locator('roster-users').count(), 0);
  // The issuer has forgotten them, too.
  await tab.button('Sign in').click();
  await tab.heading('Sign in').waitFor();
});

story(it, 'a reload after the issuer’s session has ended is signed out, without an error', async ({ laptop, open }) => {
  const organization = await laptop.organization();
  const tab = await open();
  await tab.manages(organization);
  await tab.page.context().clearCookies();
  await tab.page.reload();
  await tab.button('Sign in').waitFor();
  assert.equal(await tab.page.locator('.notice').count(), 0);
});

story(it, 'whoever cancels is told that they are not signed in, and may try again', async ({ laptop, open }) => {
  const organization = await laptop.organization();
  const tab = await open();
  await tab.visits(`/?organization=${organization.id}`);
  await tab.button('Sign in').click();
  await tab.button('Cancel').click();
  await tab.shows(/You were not signed in/);
  // Where they wanted to go is not forgotten.
  await tab.button('Sign in').click();
  await tab.chooses(organization.owner);
  await tab.row(organization.owner.email).waitFor();
  assert.equal(tab.url.searchParams.get('organization'), organization.id);
});

story(it, 'an answer that nobody asked for signs nobody in', async ({ open }) => {
  const tab = await open();
  await tab.visits('/?code=foreign&state=foreign&iss=http%3A%2F%2F127.0.0.1');
  await tab.shows(/was not started here/);
  assert.deepEqual(tab.sent('POST', /token/), []);
  assert.equal(tab.url.search, '');
  // What a foreign answer says is not shown.
  await tab.visits('/?error=access_denied&error_description=Call%20this%20number&state=foreign');
  await tab.shows(/was not started here/);
  assert.equal(await tab.page.getByText('Call this number').count(), 0);
});

story(it, 'going back after signing in uses no code twice', async ({ laptop, open }) => {
  const organization = await laptop.organization();
  const tab = await open();
  await tab.manages(organization);
  const exchanged = () => tab.sent('POST', /token$/).length;
  assert.equal(exchanged(), 1);
  await tab.page.reload();
  await tab.row(organization.owner.email).waitFor();
  assert.equal(exchanged(), 2);
  const codes = tab.sent('POST', /token$/).map(({ body }) => new URLSearchParams(body).get('code'));
  assert.equal(new Set(codes).size, 2);
});

story(it, 'a session that ends while one looks on is said, and signing in again leads back', async ({ laptop, open }) => {
  const organization = await laptop.organization({ members: [laptop.somebody('max')] });
  const tab = await open();
  tab.expects(401);
  await tab.manages(organization);
  // The token has an hour, the issuer's session days.
  await laptop.advance(2 * 60 * 60);
  await tab.page.locator('roster-users').evaluate((element) => element.refresh());
  await tab.shows('You are signed out');
  // In a window of its own, so that the page keeps what was typed into it.
  const window = await tab.opens(() => tab.button('Sign in again').click());
  const closed = window.page.waitForEvent('close');
  await window.chooses(organization.owner);
  await closed;
  await tab.row(organization.owner.email).waitFor();
});
