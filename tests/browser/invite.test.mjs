// The invite dialog: many addresses, lost responses, refusals.
import assert from 'node:assert/strict';
import { entersAddresses, pastesAddresses } from './states.mjs';
import { setUp, scenario } from './harness.mjs';

const env = setUp({ smallSeats: 6 });

const guests = (name, count) => Array.from({ length: count }, (_, number) => `${name}-${number}@partner.example`);

/** Creates an organization, and opens the invite dialog in its console. */
async function openDialog({ laptop, open }, options) {
  const organization = await laptop.organization(options);
  const tab = await open();
  await tab.opensConsole(organization);
  await tab.button('Invite people').first().click();
  await tab.dialog().getByRole('textbox').waitFor();
  return { tab, organization };
}

/** Returns the invite calls of the page, each with its idempotency key and body. */
const calls = (tab) =>
  tab.sent('POST', /\/invitations$/).map(({ headers, body }) => ({ key: headers['idempotency-key'], ...JSON.parse(body) }));

scenario(env, 'sends more than 50 addresses in calls of 50 with different idempotency keys', async (env) => {
  const { tab, organization } = await openDialog(env);
  const emails = guests('many', 120);
  await entersAddresses(tab, emails.join(', '));
  await tab.waitsForText('120 ready', tab.dialog());
  await tab.button('Invite 120 people').click();
  await tab.waitsForText('121 of 1,000 seats used');
  assert.deepEqual(calls(tab).map((call) => call.emails.length), [50, 50, 20]);
  assert.equal(new Set(calls(tab).map(({ key }) => key)).size, 3);
  assert(calls(tab).every(({ key }) => /^[\x21-\x7e]{16,255}$/.test(key)));
  assert.deepEqual(calls(tab).flatMap((call) => call.emails).sort(), [...emails].sort());
  assert.equal((await organization.owner.invitations(organization)).length, 120);
});

scenario(env, 'sends the mail in the selected language', async (env) => {
  const { tab } = await openDialog(env);
  await entersAddresses(tab, 'heidi@partner.example');
  await tab.dialog().getByRole('combobox', { name: 'Email language' }).selectOption('Deutsch');
  await tab.button('Invite 1 person').click();
  await tab.waitsForText('1 person was invited.');
  assert.deepEqual(calls(tab).map(({ language }) => language), ['de']);
  const [mail] = await env.laptop.mails('heidi@partner.example');
  assert.match(mail.text, /^olga.* lädt Sie ein/);
});

scenario(env, 'retries after a lost response with the same key and sends one mail per address', async (env) => {
  const { tab } = await openDialog(env);
  tab.expectsErrors(/net::ERR_FAILED/);
  const emails = guests('lost', 3);
  await entersAddresses(tab, emails.join(' '));
  // The API processes the call, but the response is lost.
  await tab.page.route('**/invitations', async (route) => {
    if (route.request().method() !== 'POST') return route.fallback();
    await route.fetch();
    await route.abort();
  });
  await tab.button('Invite 3 people').click();
  await tab.button('Try again').waitFor();
  await tab.page.unroute('**/invitations');
  await tab.button('Try again').click();
  await tab.dialog().waitFor({ state: 'detached' });
  await tab.waitsForText('3 people were invited.');
  const [first, second] = calls(tab);
  assert.equal(calls(tab).length, 2);
  assert.deepEqual(second, first);
  for (const email of emails) assert.equal((await env.laptop.mails(email)).length, 1);
});

scenario(env, 'keeps only the refused addresses in the list, with the reason', async (env) => {
  const otto = env.laptop.newPerson('otto');
  const { tab, organization } = await openDialog(env, { owners: [otto] });
  // Another owner invites one of them meanwhile.
  await otto.invites(organization, ['carl@partner.example']);
  await entersAddresses(tab, 'carl@partner.example dora@partner.example erik@partner.example');
  await tab.button('Invite 3 people').click();
  // The second click of a slow double click does not press the button that takes the place of `Invite`.
  await tab.button('Done').hover();
  await tab.page.mouse.down({ clickCount: 2 });
  await tab.page.mouse.up({ clickCount: 2 });
  const refused = tab.dialog().getByRole('listitem');
  assert.equal(await refused.count(), 1);
  await refused.getByText('carl@partner.example').waitFor();
  await tab.waitsForText(/2 people invited/, tab.dialog());
  await tab.button('Done').click();
  await tab.row('dora@partner.example').waitFor();
  await tab.row('carl@partner.example').waitFor();
});

scenario(env, 'parses pasted names, lines, tables and duplicates', async (env) => {
  const member = env.laptop.newPerson('max');
  const { tab } = await openDialog(env, { members: [member] });
  const pasted = [
    'email,name',
    '"Doe, Jane" <JANE@partner.example>;',
    'jane@partner.example',
    'mailto:kim@partner.example',
    `${member.email}`,
    'not-an-address',
  ].join('\n');
  await pastesAddresses(tab, pasted);
  await tab.waitsForText(/2 ready, 2 with problems/, tab.dialog());
  await tab.waitsForText('is already a member', tab.dialog());
  await tab.button('Invite 2 people').click();
  await tab.button('Done').waitFor();
  assert.deepEqual(calls(tab)[0].emails.map((email) => email.toLowerCase()), ['jane@partner.example', 'kim@partner.example']);
});

scenario(env, 'finds the column of addresses in a pasted table, and removes only the addresses with problems', async (env) => {
  const { tab } = await openDialog(env);
  const rows = Array.from({ length: 12 }, (_, row) => `Person ${row}\tEngineering\t${row < 9 ? `p${row}@partner.example` : `p${row}@`}\tboss@partner.example`);
  await pastesAddresses(tab, ['Hi, please invite the following:', '', 'Name\tDepartment\tEmail\tManager email', ...rows].join('\n'));
  await tab.waitsForText(
    '9 ready, 3 with problems. 1 line without an address skipped. 1 address in other columns or headers skipped',
    tab.dialog(),
  );
  await tab.dialog().getByRole('listitem').filter({ hasText: 'p0@partner.example' }).getByText('Person 0').waitFor();
  await tab.button('Remove the 3 with problems').click();
  await tab.waitsForAnnouncement(/^9 ready$/);
  await tab.waitsForFocus(tab.dialog().getByRole('textbox'));
  assert.equal(await tab.dialog().getByRole('listitem').count(), 9);
  assert.equal(await tab.button(/^Remove the/).count(), 0);
  await tab.button('Invite 9 people').click();
  await tab.waitsForText('9 people were invited.');
  assert.deepEqual(calls(tab).flatMap(({ emails }) => emails), Array.from({ length: 9 }, (_, row) => `p${row}@partner.example`));
});

scenario(env, 'does not shorten an address with a space', async (env) => {
  const { tab } = await openDialog(env);
  await tab.dialog().getByRole('textbox').fill('ann lee@partner.example');
  assert.equal(await tab.button('Invite', tab.dialog()).count(), 1);
  await tab.page.keyboard.press('Enter');
  await tab.waitsForText('0 ready, 1 with a problem', tab.dialog());
  await tab.dialog().getByRole('listitem').getByRole('button', { name: /^ann lee@partner\.example/ }).click();
  const field = tab.dialog().getByRole('textbox');
  await tab.waitsForFocus(field);
  assert.equal(await field.inputValue(), 'ann lee@partner.example');
});

scenario(env, 'invites owners only after a confirmation that names them', async (env) => {
  const { tab, organization } = await openDialog(env);
  await entersAddresses(tab, 'boss@partner.example');
  // One key changes the role.
  await tab.dialog().getByRole('radio', { name: /^Member/ }).focus();
  await tab.page.keyboard.press('ArrowDown');
  await tab.waitsForText(/^Owners have full control/, tab.dialog());
  await tab.button('Invite 1 owner').click();
  const box = tab.dialog().getByRole('checkbox');
  await tab.waitsForFocus(box);
  await tab.waitsForAnnouncement('To invite owners, confirm this first.');
  assert.equal(await box.getAttribute('aria-invalid'), 'true');
  assert.deepEqual(calls(tab), []);
  await tab.dialog().getByRole('checkbox', { name: 'Yes, make boss@partner.example an owner of Example' }).check();
  // The confirmation does not include people who are added later.
  await entersAddresses(tab, 'ceo@partner.example');
  assert.equal(await tab.dialog().getByRole('checkbox', { name: 'Yes, make these 2 people owners of Example' }).isChecked(), false);
  await tab.page.keyboard.press('Control+Enter');
  await tab.waitsForFocus(box);
  assert.deepEqual(calls(tab), []);
  await tab.page.keyboard.press('Space');
  assert.equal(await box.isChecked(), true);
  await tab.button('Invite 2 owners').click();
  await tab.row('boss@partner.example').getByText('Owner').waitFor();
  const invitations = await organization.owner.invitations(organization);
  assert.deepEqual(invitations.map(({ role }) => role), ['owner', 'owner']);
});

scenario(env, 'starts each invitation as a member, in the default language', async (env) => {
  const { tab } = await openDialog(env);
  const member = tab.dialog().getByRole('radio', { name: /^Member/ });
  const language = tab.dialog().getByRole('combobox', { name: 'Email language' });
  const choosesOwnerAndGerman = async () => {
    await tab.dialog().getByRole('radio', { name: /^Owner/ }).check();
    await language.selectOption('Deutsch');
  };
  const reopens = async () => {
    await tab.dialog().waitFor({ state: 'detached' });
    await tab.button('Invite people').first().click();
    await tab.waitsForFocus(tab.dialog().getByRole('textbox'));
    assert.equal(await member.isChecked(), true);
    assert.equal(await language.inputValue(), '');
  };
  await entersAddresses(tab, 'first@partner.example');
  await choosesOwnerAndGerman();
  await tab.dialog().getByRole('checkbox').check();
  await tab.button('Invite 1 owner').click();
  await reopens();
  await entersAddresses(tab, 'second@partner.example');
  await choosesOwnerAndGerman();
  await tab.dialog().getByRole('checkbox').check();
  await tab.page.keyboard.press('Escape');
  await reopens();
  await tab.button('Invite 1 person').click();
  await tab.row('second@partner.example').getByText('Member').waitFor();
  assert.deepEqual(calls(tab).map(({ role, language }) => [role, language]), [['owner', 'de'], ['member', undefined]]);
});

scenario(env, 'follows a change of the language, with the reasons of refusals', async (env) => {
  const organization = await env.laptop.organization({ pending: ['ivy@partner.example'] });
  const tab = await env.open();
  await tab.embedsUsers(organization);
  await tab.page.locator('button.invite').click();
  await entersAddresses(tab, 'ivy@partner.example new@partner.example');
  await tab.waitsForText('Has already been invited', tab.dialog());
  await tab.page.evaluate(() => (document.querySelector('roster-users').lang = 'de'));
  await tab.waitsForText('E-Mail-Adressen', tab.dialog());
  await tab.waitsForText('wurde bereits eingeladen', tab.dialog());
  await tab.dialog().getByRole('radio', { name: /^Mitglied/ }).waitFor();
  await tab.button('1 Person einladen').waitFor();
});

scenario(env, 'shows the only role of a member as text', async (env) => {
  const member = env.laptop.newPerson('max');
  const organization = await env.laptop.organization({ members: [member] });
  const tab = await env.open();
  await tab.opensConsole(organization, member);
  await tab.button('Invite people').first().click();
  await tab.waitsForText('Member', tab.dialog());
  assert.equal(await tab.dialog().getByRole('radio').count(), 0);
});

scenario(env, 'invites no one if seats are missing, and shows how many addresses to remove', async (env) => {
  const pending = guests('seat', 4);
  const laptop = await env.small();
  const organization = await laptop.organization({ pending });
  const tab = await env.open({ laptop });
  await tab.opensConsole(organization);
  await tab.button('Invite people').click();
  await entersAddresses(tab, 'one@partner.example two@partner.example');
  await tab.waitsForText(/There are not enough seats. Remove 1 address/, tab.dialog());
  const button = tab.button('Invite 2 people');
  assert.equal(await button.getAttribute('aria-disabled'), 'true');
  await button.click({ force: true });
  assert.deepEqual(calls(tab), []);
});

scenario(env, 'keeps the addresses after Escape', async (env) => {
  const { tab } = await openDialog(env);
  await entersAddresses(tab, 'kept@partner.example');
  await tab.page.keyboard.press('Escape');
  await tab.dialog().waitFor({ state: 'detached' });
  await tab.button('Invite people').first().click();
  await tab.dialog().getByRole('listitem').getByText('kept@partner.example').waitFor();
});

scenario(env, 'continues the sending after the user has signed in again', async (env) => {
  const { tab, organization } = await openDialog(env);
  tab.expectsErrors(401);
  await entersAddresses(tab, guests('typed', 3).join(' '));
  // A token is valid for one hour.
  await env.laptop.advance(2 * 60 * 60);
  await tab.button('Invite 3 people').click();
  await tab.button('Sign in again').waitFor();
  assert.equal(await tab.dialog().getByRole('listitem').count(), 3);
  assert.equal((await organization.owner.invitations(organization)).length, 0);
  const window = await tab.opensWindow(() => tab.button('Sign in again').click());
  const closed = window.page.waitForEvent('close');
  await window.signsInAtIssuer(organization.owner);
  await closed;
  await tab.waitsForText('3 people were invited.');
  assert.equal((await organization.owner.invitations(organization)).length, 3);
  assert.equal(new Set(calls(tab).map(({ key }) => key)).size, 1);
});

/** Opens the dialog in a page that embeds the list, with 70 addresses. The session ends during the second call. */
async function endSessionDuringSending({ laptop, open }) {
  const organization = await laptop.organization();
  const emails = guests(organization.id, 70);
  const tab = await open();
  tab.expectsErrors(401);
  await tab.embedsUsers(organization);
  await tab.page.locator('button.invite').click();
  await entersAddresses(tab, emails.join(' '));
  let count = 0;
  await tab.page.route('**/invitations', async (route) => {
    if (route.request().method() !== 'POST' || ++count !== 2) return route.fallback();
    // The API processes the call, but the response is lost: a proxy reports the end of the session instead.
    await route.fetch();
    await tab.page.evaluate(() => (globalThis.embedded.token = null));
    await route.fulfill({ status: 401, headers: { 'access-control-allow-origin': '*' } });
  });
  await tab.button('Invite 70 people').click();
  await tab.waitsForText('50 people invited. You are signed out.', tab.dialog());
  return { tab, organization, emails };
}

const SIGN_INS = {
  'a new `getToken` function': (token) => {
    globalThis.embedded.token = token;
    document.querySelector('roster-users').getToken = async () => token;
  },
  'a call of `refresh`': (token) => {
    globalThis.embedded.token = token;
    void document.querySelector('roster-users').refresh();
  },
};
for (const [name, signIn] of Object.entries(SIGN_INS)) {
  scenario(env, `repeats the lost call with the same key after ${name}`, async (env) => {
    const { tab, organization, emails } = await endSessionDuringSending(env);
    // The list has noticed the end of the session, too.
    await tab.page.evaluate(() => document.querySelector('roster-users').refresh());
    await tab.heading('You are signed out').waitFor();
    // Frameworks set a new function at each render. Without a token, nothing is sent.
    await tab.page.evaluate(() => (document.querySelector('roster-users').getToken = async () => globalThis.embedded.token));
    await tab.button('Sign in again', tab.dialog()).click();
    assert.equal((await tab.events()).at(-1).name, 'roster-sign-in');
    assert.equal(calls(tab).length, 2);
    await tab.page.evaluate(signIn, await env.laptop.token(organization.owner));
    await tab.dialog().waitFor({ state: 'detached' });
    await tab.waitsForText('70 people were invited.');
    assert.equal(calls(tab).length, 3);
    assert.deepEqual(calls(tab)[2], calls(tab)[1]);
    assert.equal((await organization.owner.invitations(organization)).length, 70);
    assert.equal((await env.laptop.mails(emails.at(-1))).length, 1);
  });
}

scenario(env, 'does not send as another user after the sign-in', async (env) => {
  const { tab } = await endSessionDuringSending(env);
  tab.expectsErrors(404);
  const other = env.laptop.newPerson('other');
  await tab.page.evaluate(SIGN_INS['a new `getToken` function'], await env.laptop.token(other));
  await tab.button('Sign in again', tab.dialog()).waitFor({ state: 'detached' });
  // The next load also removes the addresses. The list may have loaded on its own meanwhile.
  await tab.page.evaluate(() => void document.querySelector('roster-users').refresh());
  await tab.dialog().waitFor({ state: 'detached' });
  await tab.heading('Organization not found').waitFor();
  assert.equal(calls(tab).length, 2);
});

scenario(env, 'stops after the current call, and shows how many addresses were not sent', async (env) => {
  const { tab, organization } = await openDialog(env);
  await entersAddresses(tab, guests('stop', 70).join(' '));
  const { requested, release } = await tab.delaysRequests('**/invitations');
  await tab.button('Invite 70 people').click();
  await requested();
  await tab.button('Cancel').click();
  await tab.waitsForText('Stopping…', tab.dialog());
  release();
  await tab.waitsForText('Stopped: 50 people invited, 20 not invited yet.', tab.dialog());
  await tab.waitsForText('20 ready', tab.dialog());
  assert.equal((await organization.owner.invitations(organization)).length, 50);
});

scenario(env, 'shows a pasted hostile name as text', async (env) => {
  const { tab } = await openDialog(env);
  tab.page.on('dialog', () => assert.fail('a script ran'));
  await entersAddresses(tab, '"<img src=x onerror=alert(1)>" <x@partner.example>');
  await tab.waitsForText('<img src=x onerror=alert(1)>', tab.dialog());
  assert.equal(await tab.page.locator('img').count(), 0);
});
