// The user list in the console.
import assert from 'node:assert/strict';
import { MAIL_COOLDOWN, INVITATION_LIFETIME, setUp, scenario } from './harness.mjs';

const env = setUp();

scenario(env, 'invites people, one of whom accepts', async ({ laptop, open }) => {
  const olga = laptop.newPerson();
  const ivy = laptop.newPerson('ivy');
  const organization = await laptop.organization({ owner: olga, name: 'Nordwind' });
  const ownerTab = await open();
  await ownerTab.opensConsole(organization);
  await ownerTab.waitsForText('You are the only one here');
  await ownerTab.button('Invite people').first().click();
  const [bob, eve] = [laptop.newPerson('bob'), laptop.newPerson('eve')];
  await ownerTab.dialog().getByRole('textbox').fill(`${ivy.email}, Bob <${bob.email}>; ${eve.email}`);
  await ownerTab.button('Invite 3 people').click();
  await ownerTab.waitsForText('3 people were invited.');
  await ownerTab.waitsForText('4 of 1,000 seats used');
  for (const person of [ivy, bob, eve]) await ownerTab.row(person.email).getByText('Expires in 48 h').waitFor();

  const inviteeTab = await open();
  await inviteeTab.opensMailLink(ivy.email);
  await inviteeTab.button('Sign in to accept').click();
  await inviteeTab.signsInAtIssuer(ivy);
  await inviteeTab.button('Accept invitation').click();
  await inviteeTab.heading('You are a member of Nordwind').waitFor();
  await inviteeTab.button('Open Nordwind').click();
  // A member sees the users but cannot change their roles.
  await inviteeTab.row(olga.email).getByText('Owner').waitFor();
  assert.equal(await inviteeTab.page.getByRole('combobox').count(), 0);

  await ownerTab.page.reload();
  await ownerTab.row(ivy.email).getByText('Active').waitFor();
  assert.equal((await olga.members(organization)).length, 2);
});

scenario(env, 'shows a role change at once, and undoes it with the reason if the API refuses', async ({ laptop, open }) => {
  const [otto, max] = [laptop.newPerson('otto'), laptop.newPerson('max')];
  const organization = await laptop.organization({ owners: [otto], members: [max] });
  const tab = await open();
  tab.expectsErrors(403);
  await tab.opensConsole(organization);
  const { requested, release } = await tab.delaysRequests('**/members/*');
  const role = tab.row(max.email).getByRole('combobox');
  await tab.makesOwner(max);
  await requested();
  // The response is pending, but the page already shows the new role.
  assert.equal(await role.inputValue(), 'owner');
  await otto.editsRole(organization, organization.owner, 'member');
  const refusal = (await organization.owner.calls('PATCH', `/organizations/${organization.id}/members/${max.sub}`, { role: 'owner' })).body;
  release();
  await tab.row(max.email).getByText(refusal.detail).waitFor();
  await tab.waitsForAnnouncement(`Change undone: ${refusal.detail}`);
  // The list is reloaded as well: the viewer is a member now, so there are no role selections.
  await tab.page.getByRole('combobox').first().waitFor({ state: 'detached' });
  assert.equal((await otto.members(organization)).find(({ email }) => email === max.email).role, 'member');
});

scenario(env, 'shows a removal at once, and restores the row in place if it fails', async ({ laptop, open }) => {
  const people = ['ben', 'max', 'zoe'].map((name) => laptop.newPerson(name));
  const organization = await laptop.organization({ members: people });
  const tab = await open();
  tab.expectsErrors(/net::ERR_FAILED/);
  await tab.opensConsole(organization);
  const emails = () => tab.page.locator('tbody .email').allTextContents();
  const before = await emails();
  let release;
  const released = new Promise((resolve) => (release = resolve));
  await tab.page.route('**/members/*', async (route) => {
    await released;
    await route.abort();
  });
  await tab.button(`Remove ${people[1].email}`).click();
  await tab.button('Remove member').click();
  await tab.row(people[1].email).waitFor({ state: 'detached' });
  await tab.waitsForText('3 of 1,000 seats used');
  release();
  await tab.row(people[1].email).getByText(/connection was lost/).waitFor();
  await tab.waitsForText('4 of 1,000 seats used');
  assert.deepEqual(await emails(), before);
});

scenario(env, 'leaves one owner if two owners demote each other', async ({ laptop, open }) => {
  const otto = laptop.newPerson('otto');
  const organization = await laptop.organization({ owners: [otto] });
  const { owner } = organization;
  const [ownerTab, ottoTab] = [await open(), await open()];
  ownerTab.expectsErrors(403, 409);
  ottoTab.expectsErrors(403, 409);
  await Promise.all([ownerTab.opensConsole(organization, owner), ottoTab.opensConsole(organization, otto)]);
  const delays = await Promise.all([ownerTab, ottoTab].map((tab) => tab.delaysRequests('**/members/*')));
  await ownerTab.row(otto.email).getByRole('combobox').selectOption('member');
  await ottoTab.row(owner.email).getByRole('combobox').selectOption('member');
  await Promise.all(delays.map(({ requested }) => requested()));
  for (const { release } of delays) release();
  // One change is refused: that viewer is a member now. The other viewer is the last owner.
  const lost = await Promise.any([ownerTab, ottoTab].map((tab) => tab.page.locator('.row-error').waitFor().then(() => tab)));
  const won = lost === ownerTab ? ottoTab : ownerTab;
  await lost.page.getByRole('combobox').first().waitFor({ state: 'detached' });
  await won.waitsForText('The last owner must stay an owner');
  await won.page.reload();
  await won.waitsForText('The last owner must stay an owner');
  const owners = (await owner.members(organization)).filter(({ role }) => role === 'owner');
  assert.equal(owners.length, 1);
});

scenario(env, 'allows a resend only after the cooldown that the API reports', async ({ laptop, open }) => {
  const pending = 'cool@partner.example';
  const organization = await laptop.organization({ pending: [pending] });
  const tab = await open();
  tab.expectsErrors(429);
  await tab.opensConsole(organization);
  // The page computes the cooldown from the time of the last mail, without a call.
  const wait = /^Resend in (\d+) (secs?|mins?)$/;
  await tab.waitsForText(wait, tab.row(pending));
  // The button looks disabled and does nothing.
  await tab.button(`Resend to ${pending}`).click({ force: true });
  assert.equal(tab.sent('POST', /resend$/).length, 0);
  await laptop.advance(MAIL_COOLDOWN);
  await tab.page.reload();
  await tab.row(pending).waitFor();
  // Another client resends it, which this page does not show yet.
  await organization.owner.resends(organization, pending);
  await laptop.idle();
  const [response] = await Promise.all([
    tab.page.waitForResponse((other) => other.url().endsWith('/resend')),
    tab.button(`Resend to ${pending}`).click(),
  ]);
  assert.equal(response.status(), 429);
  await tab.waitsForText(wait, tab.row(pending));
  const [, number, unit] = wait.exec(await tab.row(pending).getByText(wait).textContent());
  const left = Number(number) * (unit.startsWith('min') ? 60 : 1);
  const seconds = Number(response.headers()['retry-after']);
  assert(left <= seconds && left > seconds - 10, `${left} of ${seconds} s`);
  assert.equal((await laptop.mails(pending)).length, 2);
  // Advance the server's clock by the cooldown.
  await laptop.advance(MAIL_COOLDOWN);
  await tab.page.reload();
  await tab.button(`Resend to ${pending}`).click();
  await tab.waitsForText(wait, tab.row(pending));
  await laptop.idle();
  assert.equal((await laptop.mails(pending)).length, 3);
});

scenario(env, 'removes a revoked invitation from the list, and its link stops working', async ({ laptop, open }) => {
  const pending = 'late@partner.example';
  const organization = await laptop.organization({ pending: [pending] });
  const tab = await open();
  await tab.opensConsole(organization);
  await tab.button(`Revoke the invitation to ${pending}`).click();
  const question = tab.page.getByRole('alertdialog');
  await question.getByText(pending).waitFor();
  await question.getByText(/seat becomes free/).waitFor();
  await tab.button('Revoke invitation').click();
  await tab.row(pending).waitFor({ state: 'detached' });
  await tab.waitsForAnnouncement(`The invitation to ${pending} was revoked.`);
  const inviteeTab = await open();
  await inviteeTab.opensMailLink(pending);
  await inviteeTab.heading('This invitation was revoked').waitFor();
});

scenario(env, 'computes the remaining time of an invitation with the server’s clock', async ({ laptop, open }) => {
  const pending = 'half@partner.example';
  const organization = await laptop.organization({ pending: [pending] });
  await laptop.advance(INVITATION_LIFETIME / 2);
  const tab = await open();
  await tab.opensConsole(organization);
  // By this machine's clock, 48 hours would remain.
  await tab.row(pending).getByText('Expires in 24 h').waitFor();
  await laptop.advance(INVITATION_LIFETIME / 2);
  await tab.page.reload();
  await tab.row(pending).getByText('Expired').waitFor();
});

scenario(env, 'formats dates and numbers for German', async ({ laptop, open }) => {
  const pending = 'gast@partner.example';
  const organization = await laptop.organization({ pending: [pending] });
  const [{ expires_at: expires }] = await organization.owner.invitations(organization);
  const tab = await open({ locale: 'de-DE' });
  await tab.signsIn(organization.owner, organization);
  const time = tab.row(pending).locator('time');
  assert.equal(await time.getAttribute('datetime'), expires);
  const exact = new Intl.DateTimeFormat('de-DE', { dateStyle: 'full', timeStyle: 'short', timeZone: 'Europe/Berlin' });
  assert.equal(await time.getAttribute('title'), exact.format(new Date(expires)));
  await tab.waitsForText('2 von 1.000 Plätzen belegt');
  assert.equal(await tab.page.locator('html').getAttribute('lang'), 'de-DE');
});

scenario(env, 'shows hostile names and bounce reasons as text', async ({ laptop, open }) => {
  const name = '<img src=x onerror=alert(1)>';
  const pending = 'bounce@partner.example';
  const organization = await laptop.organization({ name, owners: [laptop.newPerson('otto')], pending: [pending] });
  const reason = '<img src=x onerror=alert(2)> <b>no</b> such mailbox';
  await laptop.feedback(pending, 'bounce', { bounce: 'Permanent General', reason });
  const tab = await open();
  tab.page.on('dialog', () => assert.fail('a script ran'));
  await tab.opensConsole(organization);
  await tab.heading(name).waitFor();
  await tab.row(pending).getByText('Bounced').waitFor();
  await tab.button(`Leave ${name}`).click();
  await tab.dialog().getByRole('heading', { name: `Leave ${name}?` }).waitFor();
  await tab.button('Stay').click();
  await tab.button('Invite people').click();
  await tab.dialog().getByRole('heading', { name: `Invite people to ${name}` }).waitFor();
  assert.equal(await tab.page.locator('img').count(), 0);
  assert.match(await tab.page.title(), /^<img src=x/);
});

scenario(env, 'reopens the last organization, and has a URL that can be shared', async ({ laptop, open }) => {
  const olga = laptop.newPerson();
  const max = laptop.newPerson('max');
  await laptop.organization({ owner: olga, name: 'Alpha' });
  const beta = await laptop.organization({ owner: olga, name: 'Beta', members: [max] });
  const tab = await open();
  await tab.signsIn(olga);
  const select = tab.page.getByRole('combobox', { name: 'Organization' });
  await select.selectOption({ label: 'Beta' });
  await tab.row(max.email).waitFor();
  assert.equal(tab.url.searchParams.get('organization'), beta.id);
  await tab.visits('/');
  await tab.row(max.email).waitFor();
  const other = await open();
  await other.visits(tab.url.pathname + tab.url.search);
  await other.button('Sign in').click();
  await other.signsInAtIssuer(max);
  await other.row(olga.email).waitFor();
});

scenario(env, 'lets a member leave and create a new organization', async ({ laptop, open }) => {
  const max = laptop.newPerson('max');
  const organization = await laptop.organization({ name: 'Nordwind', members: [max] });
  const tab = await open();
  await tab.opensConsole(organization, max);
  await tab.button('Leave Nordwind').click();
  await tab.button('Leave organization').click();
  await tab.waitsForText('You left Nordwind.');
  await tab.heading('You are not in an organization').waitFor();
  assert.equal(await tab.page.getByText(/not in an organization yet/).count(), 0);
  await tab.button('Create organization').click();
  await tab.page.getByLabel('Name', { exact: true }).fill('Südwind');
  await tab.dialog().getByRole('button', { name: 'Create organization' }).click();
  await tab.heading('Südwind').waitFor();
  await tab.waitsForText('1 of 1,000 seats used');
  assert.equal((await organization.owner.members(organization)).length, 1);
});

scenario(env, 'lets owners rename the organization, but not members', async ({ laptop, open }) => {
  const max = laptop.newPerson('max');
  const organization = await laptop.organization({ name: 'Nordwind', members: [max] });
  const tab = await open();
  await tab.opensConsole(organization);
  const name = tab.page.getByLabel('Name', { exact: true });
  await tab.button('Rename').click();
  assert.equal(await name.inputValue(), 'Nordwind');
  // Saving an unchanged name makes no call.
  await tab.button('Save').click();
  await tab.dialog().waitFor({ state: 'detached' });
  assert.equal(tab.sent('PATCH', /./).length, 0);
  await tab.button('Rename').click();
  await name.fill('Südwind');
  await tab.button('Save').click();
  await tab.heading('Südwind').waitFor();
  await tab.waitsForAnnouncement('The organization was renamed to Südwind.');
  assert.match(await tab.page.title(), /^Südwind /);
  await tab.page.reload();
  await tab.heading('Südwind').waitFor();
  const other = await open();
  await other.opensConsole(organization, max);
  await other.heading('Südwind').waitFor();
  assert.equal(await other.button('Rename').count(), 0);
});

scenario(env, 'shows a new name in the organization select at once', async ({ laptop, open }) => {
  const owner = laptop.newPerson();
  const alpha = await laptop.organization({ owner, name: 'Alpha' });
  await laptop.organization({ owner, name: 'Beta' });
  const tab = await open();
  await tab.embedsUsers(alpha, owner, { attributes: { switch: '' } });
  const select = tab.page.getByRole('combobox', { name: 'Organization' });
  const names = async () => (await select.getByRole('option').allTextContents()).sort();
  assert.deepEqual(await names(), ['Alpha', 'Beta']);
  const { requested, release } = await tab.delaysRequests(`**/v1/organizations/${alpha.id}`);
  await tab.button('Rename').click();
  await tab.page.getByLabel('Name', { exact: true }).fill('Gamma');
  await tab.button('Save').click();
  await requested();
  assert.equal(await tab.button('Save').getAttribute('aria-disabled'), 'true');
  release();
  await tab.dialog().waitFor({ state: 'detached' });
  assert.deepEqual(await names(), ['Beta', 'Gamma']);
  const renamed = (await tab.events()).filter((event) => event.name === 'roster-renamed');
  assert.deepEqual(renamed.map(({ detail }) => detail.organization.name), ['Gamma']);
});

scenario(env, 'shows the reason for an invalid name at the field', async ({ laptop, open }) => {
  const organization = await laptop.organization({ name: 'Nordwind' });
  const tab = await open();
  tab.expectsErrors(422);
  await tab.opensConsole(organization);
  await tab.button('Rename').click();
  const name = tab.page.getByLabel('Name', { exact: true });
  await name.fill('a@b');
  await tab.button('Save').click();
  await tab.dialog().getByRole('alert').locator('svg').waitFor();
  assert.equal(await name.getAttribute('aria-invalid'), 'true');
  await tab.waitsForFocus(name);
  await tab.button('Cancel').click();
  await tab.heading('Nordwind').waitFor();
  assert.equal((await organization.owner.loadsOrganization(organization)).name, 'Nordwind');
});

scenario(env, 'asks for a name in the language of the page, without a call', async ({ laptop, open }) => {
  const organization = await laptop.organization({ name: 'Nordwind' });
  const tab = await open({ locale: 'de-DE' });
  await tab.opensConsole(organization);
  await tab.button('Umbenennen').click();
  const name = tab.page.getByLabel('Name', { exact: true });
  await name.fill('  ');
  await tab.button('Speichern').click();
  await tab.dialog().getByRole('alert').getByText('Bitte geben Sie einen Namen ein.').waitFor();
  await tab.waitsForFocus(name);
  assert.equal(tab.sent('PATCH', /./).length, 0);
});

scenario(env, 'gives the heading of the list another text than the page’s, and a smaller size', async ({ laptop, open }) => {
  const olga = laptop.newPerson();
  const organization = await laptop.organization({ owner: olga, name: 'Nordwind' });
  await laptop.organization({ owner: olga, name: 'Südwind' });
  const tab = await open();
  await tab.opensConsole(organization);
  const headings = (level) => tab.page.getByRole('heading', { level }).allTextContents();
  assert.deepEqual([await headings(1), await headings(2)], [['Roster'], ['Nordwind']]);
  const embedded = await open();
  await embedded.embedsUsers(organization);
  const size = (level) => embedded.page.getByRole('heading', { level }).evaluate((element) => parseFloat(getComputedStyle(element).fontSize));
  // Both steps of the scale: 1.5rem in the product, and 1.125rem in the list.
  assert((await size(1)) / (await size(2)) > 1.3);
});

scenario(env, 'says that the viewer has left, if they cannot switch to another organization', async ({ laptop, open }) => {
  const max = laptop.newPerson('max');
  const organization = await laptop.organization({ name: 'Nordwind', members: [max] });
  const tab = await open();
  await tab.embedsUsers(organization, max);
  await tab.button('Leave Nordwind').click();
  await tab.button('Leave organization').click();
  await tab.heading('You left Nordwind.').waitFor();
  await tab.waitsForText('To come back, you need a new invitation.');
  assert.equal(await tab.page.getByText(/does not exist|not found/).count(), 0);
  assert.deepEqual((await tab.events()).map(({ name }) => name), ['roster-loaded', 'roster-left']);
});

scenario(env, 'refuses a rename by an owner who was demoted meanwhile', async ({ laptop, open }) => {
  const otto = laptop.newPerson('otto');
  const organization = await laptop.organization({ name: 'Nordwind', owners: [otto] });
  const tab = await open();
  tab.expectsErrors(403);
  await tab.opensConsole(organization);
  await otto.editsRole(organization, organization.owner, 'member');
  await tab.button('Rename').click();
  await tab.page.getByLabel('Name', { exact: true }).fill('Südwind');
  await tab.button('Save').click();
  await tab.page.locator('.notice.bad').getByText(/owner/i).waitFor();
  await tab.button('Rename').waitFor({ state: 'detached' });
  await tab.waitsForFocusOn(/^h2 "Nordwind"/);
});

scenario(env, 'shows 1,000 users page by page, and disables invitations when all seats are taken', async ({ laptop, open }) => {
  const pending = Array.from({ length: 999 }, (_, number) => `guest-${number}@partner.example`);
  const organization = await laptop.organization();
  await organization.owner.invites(organization, pending);
  const tab = await open();
  await tab.signsIn(organization.owner, organization);
  await tab.waitsForText('1,000 of 1,000 seats used');
  await tab.waitsForText(/All 1,000 seats are taken/);
  const seen = [];
  for (let first = 1; first <= 1000; first += 50) {
    const last = Math.min(first + 49, 1000);
    await tab.waitsForText(`${new Intl.NumberFormat('en-GB').format(first)}–${new Intl.NumberFormat('en-GB').format(last)} of 1,000`);
    await tab.page.locator('tbody[aria-busy=false]').waitFor();
    seen.push(...(await tab.page.locator('tbody .email').allTextContents()));
    if (last < 1000) await tab.button('Next').last().click();
  }
  assert.deepEqual(seen.sort(), [organization.owner.email, ...pending].sort());
  assert.equal(await tab.button('Invite people').getAttribute('aria-disabled'), 'true');
});
