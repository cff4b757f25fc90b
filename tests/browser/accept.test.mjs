// The accept page, which the link in the mail opens.
import assert from 'node:assert/strict';
import { setUp, scenario } from './harness.mjs';

const env = setUp();

/** Creates an organization that has invited a person. */
async function invite(laptop, options = {}) {
  const ivy = laptop.newPerson('ivy');
  const organization = await laptop.organization({ name: 'Nordwind', pending: [ivy.email], ...options });
  const { link, token } = await laptop.mail(ivy.email);
  return { ivy, organization, link, token };
}

const ANSWER_PATHS = /\/v1\/invitations\/(accept|decline)$/;

scenario(env, 'does not accept or decline when a page load or a mail scanner opens the link', async ({ laptop, open }) => {
  const { ivy, organization, link } = await invite(laptop);
  for (const method of ['GET', 'HEAD']) await fetch(link, { method });
  const tab = await open();
  await tab.page.goto(link);
  await tab.button('Sign in to accept').waitFor();
  const posts = tab.requests.filter(({ method }) => method !== 'GET').map(({ url }) => new URL(url).pathname);
  assert.deepEqual(posts, ['/v1/invitations/preview']);
  // The same holds after the sign-in.
  await tab.button('Sign in to accept').click();
  await tab.signsInAtIssuer(ivy);
  await tab.button('Accept invitation').waitFor();
  assert.deepEqual(tab.requests.filter(({ url }) => ANSWER_PATHS.test(new URL(url).pathname)), []);
  const [invitation] = await organization.owner.invitations(organization);
  assert.equal(invitation.status, 'pending');
});

scenario(env, 'removes the token from the address bar, and stores it for this tab only and until the answer', async ({ laptop, open }) => {
  const { ivy, link, token } = await invite(laptop);
  const tab = await open();
  const secret = token.split('.').at(-1);
  await tab.page.goto(link);
  await tab.button('Sign in to accept').waitFor();
  assert.equal(tab.url.href, `${laptop.url}/accept`);
  await tab.button('Sign in to accept').click();
  await tab.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await tab.signsInAtIssuer(ivy);
  await tab.button('Accept invitation').waitFor();
  assert.equal(tab.url.href, `${laptop.url}/accept`);
  const [local, session, cookies] = JSON.parse(await tab.storedData());
  assert.equal(session['roster.invitation'], token);
  delete session['roster.invitation'];
  assert(!JSON.stringify([local, session, cookies]).includes(secret), 'the token is in another storage');
  await tab.button('Accept invitation').click();
  await tab.heading('You are a member of Nordwind').waitFor();
  assert(!(await tab.storedData()).includes(secret), 'the token is still in a storage');
  // Only the bodies of the three invitation calls contain the token. Browsers do not send fragments.
  for (const { url, headers, body } of tab.requests) {
    const { pathname, search } = new URL(url);
    assert(!(pathname + search).includes(secret), url);
    assert(!JSON.stringify(headers).includes(secret), url);
    if (body?.includes(secret)) assert.match(pathname, /^\/v1\/invitations\/(preview|accept|decline)$/);
  }
  // The history has no URL with the token.
  const entries = await tab.page.evaluate(() => [history.state, ...navigation.entries().map((entry) => [entry.url, entry.getState()])]);
  assert(!JSON.stringify(entries).includes(secret), entries);
});

scenario(env, 'keeps the invitation across reloads and a cancelled sign-in, until it is answered', async ({ laptop, open }) => {
  const { ivy, link } = await invite(laptop);
  const tab = await open();
  await tab.page.goto(link);
  await tab.button('Sign in to accept').waitFor();
  await tab.page.reload();
  await tab.button('Sign in to accept').click();
  await tab.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await tab.page.goBack();
  await tab.button('Sign in to accept').click();
  await tab.signsInAtIssuer(ivy);
  await tab.button('Accept invitation').waitFor();
  // A reload loses the access token, but the identity provider still has its session.
  await tab.page.reload();
  await tab.button('Accept invitation').waitFor();
  await tab.button('Decline').click();
  await tab.dialog().getByRole('button', { name: 'Decline', exact: true }).click();
  await tab.heading('You declined').waitFor();
  await tab.page.reload();
  await tab.heading('No invitation to show').waitFor();
});

scenario(env, 'asks to sign in again if the issuer’s session has ended at a reload', async ({ laptop, open }) => {
  const { ivy, link } = await invite(laptop);
  const tab = await open();
  await tab.page.goto(link);
  await tab.button('Sign in to accept').click();
  await tab.signsInAtIssuer(ivy);
  await tab.button('Accept invitation').waitFor();
  await tab.page.context().clearCookies();
  await tab.page.reload();
  await tab.button('Sign in to accept').waitFor();
  assert.equal(await tab.page.locator('.notice').count(), 0);
});

scenario(env, 'forgets an invitation that can no longer be answered, also in a copy of the tab', async ({ laptop, open }) => {
  const { ivy, link } = await invite(laptop);
  const tab = await open();
  await tab.page.goto(link);
  await tab.button('Sign in to accept').waitFor();
  // Like a duplicated tab, the new window gets a copy of the tab's storage.
  const copy = await tab.opensWindow(() => tab.page.evaluate(() => void globalThis.open(location.href)));
  await copy.button('Sign in to accept').click();
  await copy.signsInAtIssuer(ivy);
  await copy.button('Accept invitation').click();
  await copy.heading('You are a member of Nordwind').waitFor();
  await tab.page.reload();
  await tab.heading('This invitation was already accepted').waitFor();
  assert.equal(await tab.page.evaluate(() => sessionStorage.length), 0);
  await tab.page.reload();
  await tab.heading('No invitation to show').waitFor();
});

scenario(env, 'forgets the invitation when the user signs out', async ({ laptop, open }) => {
  const { ivy, link, token } = await invite(laptop);
  const tab = await open();
  await tab.page.goto(link);
  await tab.button('Sign in to accept').click();
  await tab.signsInAtIssuer(ivy);
  await tab.button('Accept invitation').waitFor();
  await tab.visits('/');
  await tab.button('Sign out').click();
  await tab.button('Sign in').waitFor();
  assert(!(await tab.storedData()).includes(token));
});

scenario(env, 'works if the browser blocks the storage, except for the sign-in', async ({ laptop, open }) => {
  const { link } = await invite(laptop);
  const tab = await open();
  await tab.page.addInitScript(() => {
    Object.defineProperty(globalThis, 'sessionStorage', {
      get: () => {
        throw new DOMException('blocked', 'SecurityError');
      },
    });
  });
  await tab.page.goto(link);
  await tab.button('Sign in to accept').click();
  await tab.waitsForText('Your browser blocks this site from storing data');
  // The button can be used again.
  assert.equal(await tab.button('Sign in to accept').getAttribute('aria-disabled'), 'false');
});

scenario(env, 'shows another invitation when its link is opened in the same tab', async ({ laptop, open }) => {
  const first = await invite(laptop);
  const second = await invite(laptop, { name: 'Südwind' });
  const tab = await open();
  await tab.page.goto(first.link);
  await tab.heading('Join Nordwind').waitFor();
  await tab.page.goto(second.link);
  await tab.heading('Join Südwind').waitFor();
  assert.equal(tab.url.hash, '');
  await tab.page.reload();
  await tab.heading('Join Südwind').waitFor();
});

scenario(env, 'lets a viewer with another address change the account and accept', async ({ laptop, open }) => {
  const { ivy, organization, link } = await invite(laptop);
  const eve = laptop.newPerson('eve');
  const tab = await open();
  await tab.page.goto(link);
  await tab.button('Sign in to accept').click();
  await tab.signsInAtIssuer(eve);
  await tab.heading('You are signed in with another account').waitFor();
  // The masked address: the invitee recognizes it, but others cannot read it.
  await tab.waitsForText('i…@acme.example', tab.page.locator('roster-accept'));
  assert(!(await tab.page.locator('roster-accept').innerText()).includes(ivy.email));
  await tab.button('Use another account').click();
  await tab.signsInAtIssuer(ivy);
  await tab.button('Accept invitation').click();
  await tab.heading('You are a member of Nordwind').waitFor();
  const emails = (await organization.owner.members(organization)).map(({ email }) => email);
  assert.deepEqual(emails.sort(), [ivy.email, organization.owner.email].sort());
});

scenario(env, 'declines only after confirmation', async ({ laptop, open }) => {
  const { ivy, organization, link } = await invite(laptop);
  const tab = await open();
  await tab.page.goto(link);
  await tab.button('Sign in to accept').click();
  await tab.signsInAtIssuer(ivy);
  await tab.button('Decline').click();
  await tab.page.getByRole('alertdialog').waitFor();
  await tab.button('Keep invitation').click();
  await tab.dialog().waitFor({ state: 'detached' });
  assert.equal((await organization.owner.invitations(organization)).length, 1);
  await tab.button('Decline').click();
  await tab.dialog().getByRole('button', { name: 'Decline', exact: true }).click();
  await tab.heading('You declined').waitFor();
  assert.equal((await organization.owner.invitations(organization)).length, 0);
  assert.equal((await organization.owner.loadsOrganization(organization)).seats.taken, 1);
});

scenario(env, 'sends one accept for two clicks', async ({ laptop, open }) => {
  const { ivy, link } = await invite(laptop);
  const tab = await open();
  const { release, requested } = await tab.delaysRequests('**/v1/invitations/accept');
  await tab.page.goto(link);
  await tab.button('Sign in to accept').click();
  await tab.signsInAtIssuer(ivy);
  await tab.button('Accept invitation').click();
  await requested();
  await tab.button('Accept invitation').click({ force: true });
  release();
  await tab.heading('You are a member of Nordwind').waitFor();
  assert.equal(tab.sent('POST', ANSWER_PATHS).length, 1);
});

scenario(env, 'accepts again after a lost response', async ({ laptop, open }) => {
  const { ivy, link } = await invite(laptop);
  const tab = await open();
  tab.expectsErrors(/net::ERR_FAILED/);
  await tab.page.route('**/v1/invitations/accept', async (route) => {
    await route.fetch();
    await route.abort();
  }, { times: 1 });
  await tab.page.goto(link);
  await tab.button('Sign in to accept').click();
  await tab.signsInAtIssuer(ivy);
  await tab.button('Accept invitation').click();
  await tab.waitsForText(/connection was lost/);
  await tab.button('Accept invitation').click();
  await tab.heading('You are a member of Nordwind').waitFor();
});

scenario(env, 'shows a hostile organization name as text', async ({ laptop, open }) => {
  const name = '<img src=x onerror=alert(1)>';
  const { link } = await invite(laptop, { name });
  const tab = await open();
  tab.page.on('dialog', () => assert.fail('a script ran'));
  await tab.page.goto(link);
  await tab.heading(`Join ${name}`).waitFor();
  assert.equal(await tab.page.locator('img').count(), 0);
});

scenario(env, 'cannot be shown in a frame', async ({ laptop, site, open }) => {
  const framing = site.put('/framing.html', `<!doctype html><html lang="en"><title>Framing</title><iframe title="x" src="${laptop.url}/accept"></iframe>`);
  const tab = await open();
  tab.expectsErrors(/frame-ancestors|Refused to (display|frame)|ERR_BLOCKED_BY_RESPONSE/i);
  await tab.page.goto(framing);
  const frame = tab.page.frames().find((other) => other !== tab.page.mainFrame());
  assert.equal(await frame.locator('roster-accept-page').count(), 0);
});
