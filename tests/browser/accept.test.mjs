// The page behind the mail's link.
import assert from 'node:assert/strict';
import { stage, story } from './world.mjs';

const it = stage();

/** An organization that has invited somebody. */
async function invited(laptop, more = {}) {
  const ivy = laptop.somebody('ivy');
  const organization = await laptop.organization({ name: 'Nordwind', pending: [ivy.email], ...more });
  const { link, token } = await laptop.mail(ivy.email);
  return { ivy, organization, link, token };
}

const answers = /\/v1\/invitations\/(accept|decline)$/;

story(it, 'nothing happens on load, and not by a mail scanner', async ({ laptop, open }) => {
  const { ivy, organization, link } = await invited(laptop);
  for (const method of ['GET', 'HEAD']) await fetch(link, { method });
  const tab = await open();
  await tab.page.goto(link);
  await tab.button('Sign in to accept').waitFor();
  const posts = tab.requests.filter(({ method }) => method !== 'GET').map(({ url }) => new URL(url).pathname);
  assert.deepEqual(posts, ['/v1/invitations/preview']);
  // Nor once it is known who it is.
  await tab.button('Sign in to accept').click();
  await tab.chooses(ivy);
  await tab.button('Accept invitation').waitFor();
  assert.deepEqual(tab.requests.filter(({ url }) => answers.test(new URL(url).pathname)), []);
  const [invitation] = await organization.owner.invitations(organization);
  assert.equal(invitation.status, 'pending');
});

story(it, 'the token leaves the address bar at once, and is nowhere else', async ({ laptop, open }) => {
  const { ivy, link, token } = await invited(laptop);
  const tab = await open();
  const secret = token.split('.').at(-1);
  await tab.page.goto(link);
  await tab.button('Sign in to accept').waitFor();
  assert.equal(tab.url.href, `${laptop.url}/accept`);
  await tab.button('Sign in to accept').click();
  await tab.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await tab.chooses(ivy);
  await tab.button('Accept invitation').waitFor();
  assert.equal(tab.url.href, `${laptop.url}/accept`);
  assert(!(await tab.stored()).includes(secret), 'it is in a storage');
  // Only bodies of calls that are about it hold it; a fragment is sent to nobody.
  for (const { url, headers, body } of tab.requests) {
    const { pathname, search } = new URL(url);
    assert(!(pathname + search).includes(secret), url);
    assert(!JSON.stringify(headers).includes(secret), url);
    if (body?.includes(secret)) assert.match(pathname, /^\/v1\/invitations\/(preview|accept|decline)$/);
  }
  // The button to go back leads to no address with it.
  const entries = await tab.page.evaluate(() => navigation.entries().map(({ url }) => url));
  assert(!JSON.stringify(entries).includes(secret), entries);
});

story(it, 'another link in the same tab is taken, too', async ({ laptop, open }) => {
  const first = await invited(laptop);
  const second = await invited(laptop, { name: 'Südwind' });
  const tab = await open();
  await tab.page.goto(first.link);
  await tab.heading('Join Nordwind').waitFor();
  await tab.page.goto(second.link);
  await tab.heading('Join Südwind').waitFor();
  assert.equal(tab.url.hash, '');
});

story(it, 'somebody else is asked to be who was invited, and can be', async ({ laptop, open }) => {
  const { ivy, organization, link } = await invited(laptop);
  const eve = laptop.somebody('eve');
  const tab = await open();
  await tab.page.goto(link);
  await tab.button('Sign in to accept').click();
  await tab.chooses(eve);
  await tab.heading('You are signed in with another account').waitFor();
  // Enough for whoever it is to know it, and no more for others.
  await tab.shows('i…@acme.example', tab.page.locator('roster-accept'));
  assert(!(await tab.page.locator('roster-accept').innerText()).includes(ivy.email));
  await tab.button('Use another account').click();
  await tab.chooses(ivy);
  await tab.button('Accept invitation').click();
  await tab.heading('You are a member of Nordwind').waitFor();
  const emails = (await organization.owner.members(organization)).map(({ email }) => email);
  assert.deepEqual(emails.sort(), [ivy.email, organization.owner.email].sort());
});

story(it, 'declining asks back, and keeping keeps', async ({ laptop, open }) => {
  const { ivy, organization, link } = await invited(laptop);
  const tab = await open();
  await tab.page.goto(link);
  await tab.button('Sign in to accept').click();
  await tab.chooses(ivy);
  await tab.button('Decline').click();
  await tab.page.getByRole('alertdialog').waitFor();
  await tab.button('Keep').click();
  await tab.dialog().waitFor({ state: 'detached' });
  assert.equal((await organization.owner.invitations(organization)).length, 1);
  await tab.button('Decline').click();
  await tab.dialog().getByRole('button', { name: 'Decline', exact: true }).click();
  await tab.heading('You declined').waitFor();
  assert.equal((await organization.owner.invitations(organization)).length, 0);
  assert.equal((await organization.owner.looksAt(organization)).seats.taken, 1);
});

story(it, 'two clicks accept once', async ({ laptop, open }) => {
  const { ivy, link } = await invited(laptop);
  const tab = await open();
  const { release, asked } = await tab.holds('**/v1/invitations/accept');
  await tab.page.goto(link);
  await tab.button('Sign in to accept').click();
  await tab.chooses(ivy);
  await tab.button('Accept invitation').click();
  await asked();
  await tab.button('Accept invitation').click({ force: true });
  release();
  await tab.heading('You are a member of Nordwind').waitFor();
  assert.equal(tab.sent('POST', answers).length, 1);
});

story(it, 'an answer that was lost can be given again', async ({ laptop, open }) => {
  const { ivy, link } = await invited(laptop);
  const tab = await open();
  tab.expects(/net::ERR_FAILED/);
  await tab.page.route('**/v1/invitations/accept', async (route) => {
    await route.fetch();
    await route.abort();
  }, { times: 1 });
  await tab.page.goto(link);
  await tab.button('Sign in to accept').click();
  await tab.chooses(ivy);
  await tab.button('Accept invitation').click();
  await tab.shows(/connection was lost/);
  await tab.button('Accept invitation').click();
  await tab.heading('You are a member of Nordwind').waitFor();
});

story(it, 'hostile names are text', async ({ laptop, open }) => {
  const name = '<img src=x onerror=alert(1)>';
  const { link } = await invited(laptop, { name });
  const tab = await open();
  tab.page.on('dialog', () => assert.fail('a script ran'));
  await tab.page.goto(link);
  await tab.heading(`Join ${name}`).waitFor();
  assert.equal(await tab.page.locator('img').count(), 0);
});

story(it, 'nobody may show the page in a frame', async ({ laptop, site, open }) => {
  const framing = site.put('/framing.html', `<!doctype html><html lang="en"><title>Framing</title><iframe title="x" src="${laptop.url}/accept"></iframe>`);
  const tab = await open();
  tab.expects(/frame-ancestors|Refused to (display|frame)|ERR_BLOCKED_BY_RESPONSE/i);
  await tab.page.goto(framing);
  const frame = tab.page.frames().find((it) => it !== tab.page.mainFrame());
  assert.equal(await frame.locator('roster-accept-page').count(), 0);
});
