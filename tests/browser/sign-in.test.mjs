// Signing in and out at the laptop's issuer.
import assert from 'node:assert/strict';
import { DEMO, setUp, scenario } from './harness.mjs';
import { DEMO_ORGANIZATION, NETWORK_ERROR } from './states.mjs';

const env = setUp();

scenario(env, 'offers one button each for the demo owner, member and invitee', async ({ laptop, open }) => {
  const tab = await open();
  await tab.visits('/');
  await tab.button('Sign in').click();
  for (const email of Object.values(DEMO)) await tab.button(new RegExp(email)).waitFor();
  await tab.button(new RegExp(DEMO.owner)).click();
  await tab.waitsForText('312 of 1,000 seats used');
  await tab.waitsForText(DEMO.owner, tab.page.locator('header.bar'));
  // The list names the organization when all users are loaded.
  await tab.page.waitForURL((url) => url.searchParams.get('organization') === DEMO_ORGANIZATION.id);
  assert.equal(tab.url.origin, laptop.url);
});

scenario(env, 'uses the code flow with PKCE, state and nonce, and keeps the token in memory only', async ({ laptop, open }) => {
  const organization = await laptop.organization();
  const tab = await open();
  const [response] = await Promise.all([
    tab.page.waitForResponse((other) => other.request().method() === 'POST' && other.url().endsWith('/token')),
    tab.opensConsole(organization),
  ]);
  const { access_token: token, id_token: idToken } = await response.json();
  assert(token && idToken);
  const authorization = tab.requests.map(({ url }) => new URL(url)).find(({ searchParams }) => searchParams.has('code_challenge'));
  const query = Object.fromEntries(authorization.searchParams);
  assert.equal(query.response_type, 'code');
  assert.equal(query.code_challenge_method, 'S256');
  for (const name of ['code_challenge', 'state', 'nonce']) assert(query[name].length >= 43, name);
  assert(!authorization.searchParams.has('code_verifier'));
  // The response is removed from the address bar, and the pending sign-in from the storage.
  assert.deepEqual([...tab.url.searchParams.keys()], ['organization']);
  const storedData = await tab.storedData();
  for (const secret of [token, idToken, query.state, query.nonce]) assert(!storedData.includes(secret), storedData);
  // The token is sent only in headers, and only to the API.
  for (const { url, headers, body } of tab.requests) {
    assert(!url.includes(token));
    assert(!body?.includes(token));
    if (JSON.stringify(headers).includes(token)) assert.match(new URL(url).pathname, /^\/v1\//);
  }
});

scenario(env, 'stays signed in after a reload, and signs out completely', async ({ laptop, open }) => {
  const organization = await laptop.organization();
  const { owner } = organization;
  const tab = await open();
  await tab.opensConsole(organization);
  tab.requests.length = 0;
  await tab.page.reload();
  await tab.row(owner.email).waitFor();
  assert(tab.requests.some(({ url }) => new URL(url).searchParams.get('prompt') === 'none'));
  await tab.button('Sign out').click();
  await tab.button('Sign in').waitFor();
  assert(!(await tab.storedData()).includes(organization.id), 'the last organization is still stored');
  await tab.page.reload();
  await tab.button('Sign in').waitFor();
  assert.equal(await tab.page.locator('roster-users').count(), 0);
  // The issuer's session has ended as well.
  await tab.button('Sign in').click();
  await tab.heading('Sign in').waitFor();
});

scenario(env, 'shows the sign-in page without an error if the issuer’s session has ended at a reload', async ({ laptop, open }) => {
  const organization = await laptop.organization();
  const tab = await open();
  await tab.opensConsole(organization);
  await tab.page.context().clearCookies();
  await tab.page.reload();
  await tab.button('Sign in').waitFor();
  assert.equal(await tab.page.locator('.notice').count(), 0);
});

scenario(env, 'shows that the sign-in was cancelled, and allows another attempt', async ({ laptop, open }) => {
  const organization = await laptop.organization();
  const tab = await open();
  await tab.visits(`/?organization=${organization.id}`);
  await tab.button('Sign in').click();
  await tab.button('Cancel').click();
  await tab.waitsForText(/You were not signed in/);
  // The next sign-in still leads to the organization of the URL.
  await tab.button('Sign in').click();
  await tab.signsInAtIssuer(organization.owner);
  await tab.row(organization.owner.email).waitFor();
  assert.equal(tab.url.searchParams.get('organization'), organization.id);
});

scenario(env, 'ignores an authorization response that belongs to no sign-in', async ({ open }) => {
  const tab = await open();
  await tab.visits('/?code=foreign&state=foreign&iss=http%3A%2F%2F127.0.0.1');
  await tab.waitsForText(/was not started here/);
  assert.deepEqual(tab.sent('POST', /token/), []);
  assert.equal(tab.url.search, '');
  // The error text of such a response is not shown.
  await tab.visits('/?error=access_denied&error_description=Call%20this%20number&state=foreign');
  await tab.waitsForText(/was not started here/);
  assert.equal(await tab.page.getByText('Call this number').count(), 0);
});

scenario(env, 'uses each code only once across reloads', async ({ laptop, open }) => {
  const organization = await laptop.organization();
  const tab = await open();
  await tab.opensConsole(organization);
  const tokenCalls = () => tab.sent('POST', /token$/).length;
  assert.equal(tokenCalls(), 1);
  await tab.page.reload();
  await tab.row(organization.owner.email).waitFor();
  assert.equal(tokenCalls(), 2);
  const codes = tab.sent('POST', /token$/).map(({ body }) => new URLSearchParams(body).get('code'));
  assert.equal(new Set(codes).size, 2);
});

scenario(env, 'shows that the session has ended, and returns to the list after a new sign-in', async ({ laptop, open }) => {
  const organization = await laptop.organization({ members: [laptop.newPerson('max')] });
  const tab = await open();
  tab.expectsErrors(401);
  await tab.opensConsole(organization);
  // The token is valid for one hour, the issuer's session for days.
  await laptop.advance(2 * 60 * 60);
  await tab.page.locator('roster-users').evaluate((element) => element.refresh());
  await tab.waitsForText('You are signed out');
  // The sign-in opens a new window, so that the page keeps the user's input.
  const window = await tab.opensWindow(() => tab.button('Sign in again').click());
  const closed = window.page.waitForEvent('close');
  await window.signsInAtIssuer(organization.owner);
  await closed;
  await tab.row(organization.owner.email).waitFor();
});

scenario(env, 'has one main heading, which differs from the others', async ({ laptop, open }) => {
  const organization = await laptop.organization({ name: 'Nordwind' });
  // With a second organization, the list shows a menu of organizations and its own title.
  await laptop.organization({ name: 'Südwind', owner: organization.owner });
  const tab = await open();
  await tab.opensConsole(organization);
  const headings = await tab.page.getByRole('heading').allInnerTexts();
  assert.equal(await tab.page.getByRole('heading', { level: 1 }).count(), 1);
  assert.equal(new Set(headings).size, headings.length, headings.join());
});

scenario(env, 'shows that it is busy until its scripts are loaded', async ({ laptop, open }) => {
  for (const [path, script, button] of [['/', '**/assets/console-*.js', 'Sign in'], ['/accept#v1.token', '**/assets/accept-*.js', 'Try again']]) {
    const tab = await open();
    await tab.page.route('**/preview', (route) => route.abort());
    tab.expectsErrors(NETWORK_ERROR);
    const { release } = await tab.delaysRequests(script);
    await tab.page.goto(laptop.url + path, { waitUntil: 'commit' });
    await tab.page.getByRole('progressbar').waitFor();
    release();
    await tab.button(button).waitFor();
    assert.equal(await tab.page.getByRole('progressbar').count(), 0);
  }
});

scenario(env, 'says that its scripts cannot be loaded', async ({ open }) => {
  const tab = await open();
  tab.expectsErrors(NETWORK_ERROR, /Failed to fetch dynamically imported module/);
  await tab.page.route('**/assets/console-*.js', (route) => route.abort());
  await tab.visits('/');
  await tab.page.getByRole('alert').filter({ hasText: 'This page could not be loaded' }).waitFor();
  assert.equal(await tab.page.getByRole('progressbar').count(), 0);
});

scenario(env, 'shows that it is busy while the browser leaves for the issuer', async ({ laptop, open }) => {
  await laptop.organization({ pending: ['ivy@partner.example'] });
  const tab = await open();
  await tab.opensMailLink('ivy@partner.example');
  await tab.button('Sign in to accept').waitFor();
  // The requests of the sign-in are in a script that is loaded on demand.
  const { release, requested } = await tab.delaysRequests('**/assets/oauth-*.js');
  await tab.button('Sign in to accept').click();
  await requested();
  await tab.page.locator('button.primary[aria-disabled=true] .spin').waitFor();
  // A second click starts no second sign-in.
  await tab.button('Sign in to accept').click({ force: true });
  release();
  await tab.signsInAtIssuer({ email: 'ivy@partner.example' });
  await tab.button('Accept invitation').waitFor();
  assert.equal(tab.requests.filter(({ url }) => new URL(url).searchParams.has('code_challenge')).length, 1);
});

scenario(env, 'shows that it signs out', async ({ laptop, open }) => {
  const organization = await laptop.organization();
  const tab = await open();
  await tab.opensConsole(organization);
  // The page cannot be examined while the browser leaves it, so it collects its texts itself.
  await tab.page.locator('roster-console-page').evaluate(({ shadowRoot }) => {
    localStorage.setItem('texts', '');
    const collect = () => localStorage.setItem('texts', localStorage.getItem('texts') + shadowRoot.textContent);
    new MutationObserver(collect).observe(shadowRoot, { childList: true, subtree: true });
  });
  await tab.button('Sign out').click();
  await tab.button('Sign in').waitFor();
  const texts = await tab.page.evaluate(() => localStorage.getItem('texts'));
  assert.match(texts, /Signing you out…/);
  assert.doesNotMatch(texts, /Sign in/);
});
