// Inviting people: many addresses, lost answers, what is refused.
import assert from 'node:assert/strict';
import { enters } from './states.mjs';
import { stage, story } from './world.mjs';

const it = stage({ smallSeats: 6 });

const guests = (name, count) => Array.from({ length: count }, (_, number) => `${name}-${number}@partner.example`);

/** The console of a new organization, with its dialog open. */
async function inviting({ laptop, open }, more) {
  const organization = await laptop.organization(more);
  const tab = await open();
  await tab.manages(organization);
  await tab.button('Invite people').first().click();
  await tab.dialog().getByRole('textbox').waitFor();
  return { tab, organization };
}

/** The calls that have invited, as the page made them. */
const calls = (tab) =>
  tab.sent('POST', /\/invitations$/).map(({ headers, body }) => ({ key: headers['idempotency-key'], ...JSON.parse(body) }));

story(it, 'more than 50 go in calls of 50, each with a key of its own', async (world) => {
  const { tab, organization } = await inviting(world);
  const emails = guests('many', 120);
  await enters(tab, emails.join(', '));
  await tab.shows('120 ready', tab.dialog());
  await tab.button('Invite 120 people').click();
  await tab.shows('121 of 1,000 seats used');
  assert.deepEqual(calls(tab).map((call) => call.emails.length), [50, 50, 20]);
  assert.equal(new Set(calls(tab).map(({ key }) => key)).size, 3);
  assert(calls(tab).every(({ key }) => /^[\x21-\x7e]{16,255}$/.test(key)));
  assert.deepEqual(calls(tab).flatMap((call) => call.emails).sort(), [...emails].sort());
  assert.equal((await organization.owner.invitations(organization)).length, 120);
});

story(it, 'a mail is written in the language that was chosen for it', async (world) => {
  const { tab } = await inviting(world);
  await enters(tab, 'heidi@partner.example');
  await tab.dialog().getByRole('combobox', { name: 'Language of the mail' }).selectOption('Deutsch');
  await tab.button('Invite 1 person').click();
  await tab.shows('1 person was invited.');
  assert.deepEqual(calls(tab).map(({ language }) => language), ['de']);
  const [mail] = await world.laptop.mails('heidi@partner.example');
  assert.match(mail.text, /^olga.* lädt Sie ein/);
});

story(it, 'an answer that was lost is asked for again under the same key, and mails once', async (world) => {
  const { tab } = await inviting(world);
  tab.expects(/net::ERR_FAILED/);
  const emails = guests('lost', 3);
  await enters(tab, emails.join(' '));
  // The call arrives and is done; its answer does not come back.
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
  await tab.shows('3 people were invited.');
  const [first, again] = calls(tab);
  assert.equal(calls(tab).length, 2);
  assert.deepEqual(again, first);
  for (const email of emails) assert.equal((await world.laptop.mails(email)).length, 1);
});

story(it, 'what is refused stays, with the reasons, and nothing else', async (world) => {
  const otto = world.laptop.somebody('otto');
  const { tab, organization } = await inviting(world, { owners: [otto] });
  // Somebody else has invited one of them meanwhile.
  await otto.invites(organization, ['carl@partner.example']);
  await enters(tab, 'carl@partner.example dora@partner.example erik@partner.example');
  await tab.button('Invite 3 people').click();
  await tab.button('Done').waitFor();
  const left = tab.dialog().getByRole('listitem');
  assert.equal(await left.count(), 1);
  await left.getByText('carl@partner.example').waitFor();
  await tab.shows(/2 people invited/, tab.dialog());
  await tab.button('Done').click();
  await tab.row('dora@partner.example').waitFor();
  await tab.row('carl@partner.example').waitFor();
});

story(it, 'addresses come as they are pasted: names, lines, tables, twice', async (world) => {
  const member = world.laptop.somebody('max');
  const { tab } = await inviting(world, { members: [member] });
  const pasted = [
    'email,name',
    '"Doe, Jane" <JANE@partner.example>;',
    'jane@partner.example',
    'mailto:kim@partner.example',
    `${member.email}`,
    'nobody',
  ].join('\n');
  await tab.dialog().getByRole('textbox').focus();
  await tab.page.evaluate((text) => {
    let field = document.activeElement;
    while (field.shadowRoot) field = field.shadowRoot.activeElement;
    const clipboardData = new DataTransfer();
    clipboardData.setData('text/plain', text);
    field.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true, composed: true }));
  }, pasted);
  await tab.shows(/2 ready, 2 with a problem/, tab.dialog());
  await tab.shows('is a member already', tab.dialog());
  await tab.button('Invite 2 people').click();
  await tab.button('Done').waitFor();
  assert.deepEqual(calls(tab)[0].emails.map((email) => email.toLowerCase()), ['jane@partner.example', 'kim@partner.example']);
});

story(it, 'an owner invites an owner', async (world) => {
  const { tab, organization } = await inviting(world);
  await enters(tab, 'boss@partner.example');
  await tab.dialog().getByRole('radio', { name: /^Owner/ }).check();
  await tab.button('Invite 1 person').click();
  await tab.row('boss@partner.example').getByText('Owner').waitFor();
  const [invitation] = await organization.owner.invitations(organization);
  assert.equal(invitation.role, 'owner');
});

story(it, 'too few seats: nobody is invited, and the page says how many are too many', async (world) => {
  const pending = guests('seat', 4);
  const laptop = await world.small();
  const organization = await laptop.organization({ pending });
  const tab = await world.open({ laptop });
  await tab.manages(organization);
  await tab.button('Invite people').click();
  await enters(tab, 'one@partner.example two@partner.example');
  await tab.shows(/There are not enough seats: remove 1 address/, tab.dialog());
  const button = tab.button('Invite 2 people');
  assert.equal(await button.getAttribute('aria-disabled'), 'true');
  await button.click({ force: true });
  assert.deepEqual(calls(tab), []);
});

story(it, 'what was typed is there after Escape', async (world) => {
  const { tab } = await inviting(world);
  await enters(tab, 'kept@partner.example');
  await tab.page.keyboard.press('Escape');
  await tab.dialog().waitFor({ state: 'detached' });
  await tab.button('Invite people').first().click();
  await tab.dialog().getByRole('listitem').getByText('kept@partner.example').waitFor();
});

story(it, 'a session that ends keeps what was typed', async (world) => {
  const { tab, organization } = await inviting(world);
  tab.expects(401);
  await enters(tab, guests('typed', 3).join(' '));
  // Tokens are good for an hour.
  await world.laptop.advance(2 * 60 * 60);
  await tab.button('Invite 3 people').click();
  await tab.button('Sign in again').waitFor();
  assert.equal(await tab.dialog().getByRole('listitem').count(), 3);
  assert.equal((await organization.owner.invitations(organization)).length, 0);
  const window = await tab.opens(() => tab.button('Sign in again').click());
  const closed = window.page.waitForEvent('close');
  await window.chooses(organization.owner);
  await closed;
  await tab.dialog().locator('button.primary').click();
  await tab.shows('3 people were invited.');
  assert.equal((await organization.owner.invitations(organization)).length, 3);
});

story(it, 'stopping stops after the call that is under way, and says what is not sent', async (world) => {
  const { tab, organization } = await inviting(world);
  await enters(tab, guests('stop', 70).join(' '));
  const { asked, release } = await tab.holds('**/invitations');
  await tab.button('Invite 70 people').click();
  await asked();
  await tab.button('Cancel').click();
  await tab.shows('Stopping…', tab.dialog());
  release();
  await tab.shows('Stopped: 50 people invited, 20 not yet.', tab.dialog());
  await tab.shows('20 ready', tab.dialog());
  assert.equal((await organization.owner.invitations(organization)).length, 50);
});

story(it, 'names that were pasted are text', async (world) => {
  const { tab } = await inviting(world);
  tab.page.on('dialog', () => assert.fail('a script ran'));
  await enters(tab, '"<img src=x onerror=alert(1)>" <x@partner.example>');
  await tab.shows('<img src=x onerror=alert(1)>', tab.dialog());
  assert.equal(await tab.page.locator('img').count(), 0);
});
