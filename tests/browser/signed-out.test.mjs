// The session ends while the user works: after the next sign-in, the change is finished.
import assert from 'node:assert/strict';
import { MAIL_COOLDOWN, roleOf, scenario, setUp } from './harness.mjs';

const env = setUp();

/** More than the lifetime of a token, in seconds. */
const TOKEN_LIFETIME = 2 * 60 * 60;

/** Changes the token of the embedding page. `replace` also assigns a new `getToken` function. */
async function setsToken(tab, token, replace = false) {
  await tab.page.evaluate(
    ([token, replace]) => {
      globalThis.embedded.token = token;
      if (replace) document.querySelector('roster-users').getToken = () => globalThis.embedded.token;
    },
    [token, replace],
  );
}

const WAITING = /this goes through automatically/;

scenario(env, 'finishes a role change when a new `getToken` function has a token', async ({ laptop, open }) => {
  const max = laptop.newPerson('max');
  const organization = await laptop.organization({ members: [max] });
  const tab = await open();
  await tab.embedsUsers(organization);
  await setsToken(tab, null);
  await tab.makesOwner(max);
  await tab.waitsForText(WAITING, tab.row(max.email));
  assert.equal(await tab.row(max.email).getByRole('combobox').inputValue(), 'member');
  // Frameworks may assign a new function at each render. Without a token, it changes nothing.
  await setsToken(tab, null, true);
  await tab.waitsForText(WAITING, tab.row(max.email));
  await tab.button('Sign in', tab.row(max.email)).click();
  assert.equal((await tab.events()).filter(({ name }) => name === 'roster-sign-in').length, 2);
  await setsToken(tab, await laptop.token(organization.owner), true);
  await tab.waitsForAnnouncement(`${max.email} is now an owner.`);
  assert.equal(await tab.row(max.email).getByText(WAITING).count(), 0);
  assert.equal(await roleOf(organization, max), 'owner');
  assert.equal(tab.sent('PATCH', /members/).length, 1);
});

scenario(env, 'finishes a resend after `refresh()`, with the same idempotency key', async ({ laptop, open }) => {
  const pending = 'ann@partner.example';
  const organization = await laptop.organization({ pending: [pending] });
  await laptop.advance(MAIL_COOLDOWN);
  const tab = await open();
  tab.expectsErrors(401);
  await tab.embedsUsers(organization);
  await laptop.advance(TOKEN_LIFETIME);
  await tab.button(`Resend to ${pending}`).click();
  await tab.waitsForText(WAITING, tab.row(pending));
  await setsToken(tab, await laptop.token(organization.owner));
  await tab.page.locator('roster-users').evaluate((element) => element.refresh());
  await tab.waitsForAnnouncement(`Invitation resent to ${pending}.`);
  const keys = tab.sent('POST', /resend$/).map(({ headers }) => headers['idempotency-key']);
  assert(keys.length >= 2 && keys[0], keys);
  assert.equal(new Set(keys).size, 1);
  assert.equal((await laptop.mails(pending)).length, 2);
});

scenario(env, 'finishes a removal after a sign-in that leads to another page and back', async ({ laptop, open }) => {
  const max = laptop.newPerson('max');
  const organization = await laptop.organization({ members: [max] });
  const tab = await open();
  await tab.embedsUsers(organization);
  await setsToken(tab, null);
  await tab.button(`Remove ${max.email}`).click();
  await tab.button('Remove member').click();
  await tab.waitsForText(WAITING, tab.row(max.email));
  // Ids are stored, but no address.
  assert(!(await tab.storedData()).includes('partner.example'));
  await tab.page.goto(tab.site.put('/sign-in.html', '<!doctype html><title>Sign in</title>'));
  await tab.embeds('roster-users', organization.owner, { attributes: { organization: organization.id } });
  await tab.waitsForAnnouncement(`${max.email} was removed.`);
  assert.equal(await roleOf(organization, max), undefined);
  assert(!(await tab.storedData()).includes(organization.id));
});

scenario(env, 'does not finish a change that the user has dismissed', async ({ laptop, open }) => {
  const max = laptop.newPerson('max');
  const organization = await laptop.organization({ members: [max] });
  const tab = await open();
  await tab.embedsUsers(organization);
  await setsToken(tab, null);
  await tab.makesOwner(max);
  await tab.waitsForText(WAITING, tab.row(max.email));
  await tab.button('Dismiss', tab.row(max.email)).click();
  await setsToken(tab, await laptop.token(organization.owner), true);
  await tab.page.locator('roster-users').evaluate((element) => element.refresh());
  assert.equal(await roleOf(organization, max), 'member');
  assert.equal(tab.sent('PATCH', /members/).length, 0);
});

scenario(env, 'keeps the search, the filter and the page when the whole list was signed out', async ({ laptop, open }) => {
  const max = laptop.newPerson('max');
  const organization = await laptop.organization({ members: [max] });
  const tab = await open();
  await tab.embedsUsers(organization);
  await tab.page.getByRole('searchbox').fill('max');
  await setsToken(tab, null);
  await tab.page.locator('roster-users').evaluate((element) => element.refresh());
  await tab.waitsForText('You are signed out');
  await setsToken(tab, await laptop.token(organization.owner), true);
  await tab.row(max.email).waitFor();
  assert.equal(await tab.page.getByRole('searchbox').inputValue(), 'max');
});

scenario(env, 'saves the name of an organization after the sign-in', async ({ laptop, open }) => {
  const organization = await laptop.organization({ name: 'Nordwind' });
  const tab = await open();
  await tab.embedsUsers(organization);
  await setsToken(tab, null);
  await tab.button('Rename').click();
  await tab.page.getByLabel('Name', { exact: true }).fill('Südwind');
  await tab.button('Save').click();
  await tab.waitsForText(/You are signed out/, tab.dialog());
  await setsToken(tab, await laptop.token(organization.owner), true);
  await tab.dialog().waitFor({ state: 'detached' });
  await tab.heading('Südwind').waitFor();
  assert.equal((await organization.owner.loadsOrganization(organization)).name, 'Südwind');
});

scenario(env, 'finishes nothing for a different user, who sees the list from its start', async ({ laptop, open }) => {
  const [otto, max] = ['otto', 'max'].map((name) => laptop.newPerson(name));
  const organization = await laptop.organization({ name: 'Nordwind', owners: [otto], members: [max] });
  const tab = await open();
  await tab.embedsUsers(organization);
  await setsToken(tab, null);
  await tab.makesOwner(max);
  await tab.waitsForText(WAITING, tab.row(max.email));
  await tab.page.getByRole('searchbox').fill('max');
  await tab.button('Rename').click();
  await tab.page.getByLabel('Name', { exact: true }).fill('Südwind');
  await tab.button('Save').click();
  await tab.waitsForText(/You are signed out/, tab.dialog());
  await setsToken(tab, await laptop.token(otto), true);
  await tab.dialog().waitFor({ state: 'detached' });
  await tab.row(otto.email).getByText('You', { exact: true }).waitFor();
  assert.equal(await tab.page.getByRole('searchbox').inputValue(), '');
  await tab.page.locator('roster-users').evaluate((element) => element.refresh());
  assert.equal(tab.sent('PATCH', /./).length, 0);
  assert.equal(await roleOf(organization, max), 'member');
});

scenario(env, 'finishes a role change in the console after the sign-in in a new window', async ({ laptop, open }) => {
  const max = laptop.newPerson('max');
  const organization = await laptop.organization({ members: [max] });
  const tab = await open();
  tab.expectsErrors(401);
  await tab.opensConsole(organization);
  await laptop.advance(TOKEN_LIFETIME);
  const window = await tab.opensWindow(() => tab.makesOwner(max));
  await tab.waitsForText(WAITING, tab.row(max.email));
  await window.signsInAtIssuer(organization.owner);
  await tab.waitsForAnnouncement(`${max.email} is now an owner.`);
  assert.equal(await tab.row(max.email).getByText(WAITING).count(), 0);
  assert.equal(await roleOf(organization, max), 'owner');
});

scenario(env, 'finishes a role change in the console after a redirect, if the browser blocks new windows', async ({ laptop, open }) => {
  const max = laptop.newPerson('max');
  const organization = await laptop.organization({ members: [max] });
  const tab = await open();
  tab.expectsErrors(401);
  await tab.page.addInitScript(() => {
    globalThis.open = () => null;
  });
  await tab.opensConsole(organization);
  await laptop.advance(TOKEN_LIFETIME);
  await tab.makesOwner(max);
  await tab.signsInAtIssuer(organization.owner);
  await tab.waitsForAnnouncement(`${max.email} is now an owner.`);
  assert.equal(await roleOf(organization, max), 'owner');
});

scenario(env, 'drops a waiting change when the user signs out of the console', async ({ laptop, open }) => {
  const max = laptop.newPerson('max');
  const organization = await laptop.organization({ members: [max] });
  const tab = await open();
  tab.expectsErrors(401);
  await tab.opensConsole(organization);
  await laptop.advance(TOKEN_LIFETIME);
  const window = await tab.opensWindow(() => tab.makesOwner(max));
  await window.page.close();
  await tab.waitsForText(WAITING, tab.row(max.email));
  await tab.button('Sign out').click();
  await tab.button('Sign in').waitFor();
  assert(!(await tab.storedData()).includes(organization.id));
});
