// The list of an organization's users, as people use it.
import assert from 'node:assert/strict';
import { A_WHILE, TWO_DAYS, stage, story } from './world.mjs';

const it = stage();

story(it, 'from the first invitation to the seat', async ({ laptop, open }) => {
  const olga = laptop.somebody();
  const ivy = laptop.somebody('ivy');
  const organization = await laptop.organization({ owner: olga, name: 'Nordwind' });
  const console = await open();
  await console.manages(organization);
  await console.shows('You are the only one here');
  await console.button('Invite people').first().click();
  const [bob, eve] = [laptop.somebody('bob'), laptop.somebody('eve')];
  await console.dialog().getByRole('textbox').fill(`${ivy.email}, Bob <${bob.email}>; ${eve.email}`);
  await console.button('Invite 3 people').click();
  await console.shows('3 people were invited.');
  await console.shows('4 of 1,000 seats used');
  for (const person of [ivy, bob, eve]) await console.row(person.email).getByText('Expires in 48 h').waitFor();

  const mailed = await open();
  await mailed.opensMail(ivy.email);
  await mailed.button('Sign in to accept').click();
  await mailed.chooses(ivy);
  await mailed.button('Accept invitation').click();
  await mailed.heading('You are a member of Nordwind').waitFor();
  await mailed.button('Open Nordwind').click();
  // A member sees who there is, and may not change it.
  await mailed.row(olga.email).getByText('Owner').waitFor();
  assert.equal(await mailed.page.getByRole('combobox').count(), 0);

  await console.page.reload();
  await console.row(ivy.email).getByText('Active').waitFor();
  assert.equal((await olga.members(organization)).length, 2);
});

story(it, 'a role changes at once, and goes back with the reason if the API refuses', async ({ laptop, open }) => {
  const [otto, max] = [laptop.somebody('otto'), laptop.somebody('max')];
  const organization = await laptop.organization({ owners: [otto], members: [max] });
  const tab = await open();
  tab.expects(403);
  await tab.manages(organization);
  const { asked, release } = await tab.holds('**/members/*');
  const role = tab.row(max.email).getByRole('combobox');
  await role.selectOption('owner');
  await asked();
  // The answer is on its way; the page shows what it will be.
  assert.equal(await role.inputValue(), 'owner');
  await otto.edits(organization, organization.owner, 'member');
  const refusal = (await organization.owner.calls('PATCH', `/organizations/${organization.id}/members/${max.sub}`, { role: 'owner' })).body;
  release();
  await tab.row(max.email).getByText(refusal.detail).waitFor();
  await tab.hears(`Undone: ${refusal.detail}`);
  // And what is there besides: the viewer is no owner any more.
  await tab.page.getByRole('combobox').first().waitFor({ state: 'detached' });
  assert.equal((await otto.members(organization)).find(({ email }) => email === max.email).role, 'member');
});

story(it, 'a removal shows at once, and the row is back where it was if it fails', async ({ laptop, open }) => {
  const people = ['ben', 'max', 'zoe'].map((name) => laptop.somebody(name));
  const organization = await laptop.organization({ members: people });
  const tab = await open();
  tab.expects(/net::ERR_FAILED/);
  await tab.manages(organization);
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
  await tab.shows('3 of 1,000 seats used');
  release();
  await tab.row(people[1].email).getByText(/connection was lost/).waitFor();
  await tab.shows('4 of 1,000 seats used');
  assert.deepEqual(await emails(), before);
});

story(it, 'two owners who demote each other leave one', async ({ laptop, open }) => {
  const otto = laptop.somebody('otto');
  const organization = await laptop.organization({ owners: [otto] });
  const { owner } = organization;
  const [hers, his] = [await open(), await open()];
  hers.expects(403, 409);
  his.expects(403, 409);
  await Promise.all([hers.manages(organization, owner), his.manages(organization, otto)]);
  const holds = await Promise.all([hers, his].map((tab) => tab.holds('**/members/*')));
  await hers.row(otto.email).getByRole('combobox').selectOption('member');
  await his.row(owner.email).getByRole('combobox').selectOption('member');
  await Promise.all(holds.map(({ asked }) => asked()));
  for (const { release } of holds) release();
  // Whoever lost is told, and sees themselves as a member; whoever won is the last owner.
  const lost = await Promise.any([hers, his].map((tab) => tab.page.locator('.trouble').waitFor().then(() => tab)));
  const won = lost === hers ? his : hers;
  await lost.page.getByRole('combobox').first().waitFor({ state: 'detached' });
  await won.shows('The last owner stays owner');
  await won.page.reload();
  await won.shows('The last owner stays owner');
  const owners = (await owner.members(organization)).filter(({ role }) => role === 'owner');
  assert.equal(owners.length, 1);
});

story(it, 'an address that was mailed a moment ago waits as long as the API says', async ({ laptop, open }) => {
  const pending = 'cool@partner.example';
  const organization = await laptop.organization({ pending: [pending] });
  const tab = await open();
  tab.expects(429);
  await tab.manages(organization);
  // Known from when its mail went out, without a call.
  const wait = /^Resend in (\d+) (secs?|mins?)$/;
  await tab.shows(wait, tab.row(pending));
  // It looks unavailable, and does nothing.
  await tab.button(`Resend to ${pending}`).click({ force: true });
  assert.equal(tab.sent('POST', /resend$/).length, 0);
  await laptop.advance(A_WHILE);
  await tab.page.reload();
  await tab.row(pending).waitFor();
  // Somebody else does, which this page does not know.
  await organization.owner.resends(organization, pending);
  await laptop.idle();
  const [answer] = await Promise.all([
    tab.page.waitForResponse((response) => response.url().endsWith('/resend')),
    tab.button(`Resend to ${pending}`).click(),
  ]);
  assert.equal(answer.status(), 429);
  await tab.shows(wait, tab.row(pending));
  const [, number, unit] = wait.exec(await tab.row(pending).getByText(wait).textContent());
  const left = Number(number) * (unit.startsWith('min') ? 60 : 1);
  const seconds = Number(answer.headers()['retry-after']);
  assert(left <= seconds && left > seconds - 10, `${left} of ${seconds} s`);
  assert.equal((await laptop.mails(pending)).length, 2);
  // A minute later, as the server has it.
  await laptop.advance(A_WHILE);
  await tab.page.reload();
  await tab.button(`Resend to ${pending}`).click();
  await tab.shows(wait, tab.row(pending));
  await laptop.idle();
  assert.equal((await laptop.mails(pending)).length, 3);
});

story(it, 'a revoked invitation leaves the list, and its link is dead', async ({ laptop, open }) => {
  const pending = 'late@partner.example';
  const organization = await laptop.organization({ pending: [pending] });
  const tab = await open();
  await tab.manages(organization);
  await tab.button(`Revoke the invitation to ${pending}`).click();
  const question = tab.page.getByRole('alertdialog');
  await question.getByText(pending).waitFor();
  await question.getByText(/seat is free again/).waitFor();
  await tab.button('Revoke invitation').click();
  await tab.row(pending).waitFor({ state: 'detached' });
  await tab.hears(`The invitation to ${pending} was revoked.`);
  const mailed = await open();
  await mailed.opensMail(pending);
  await mailed.heading('This invitation was withdrawn').waitFor();
});

story(it, 'what is left of an invitation is reckoned by the server’s clock', async ({ laptop, open }) => {
  const pending = 'half@partner.example';
  const organization = await laptop.organization({ pending: [pending] });
  await laptop.advance(TWO_DAYS / 2);
  const tab = await open();
  await tab.manages(organization);
  // This machine's clock would say 48 hours.
  await tab.row(pending).getByText('Expires in 24 h').waitFor();
  await laptop.advance(TWO_DAYS / 2);
  await tab.page.reload();
  await tab.row(pending).getByText('Expired').waitFor();
});

story(it, 'German says dates and numbers as Germans do', async ({ laptop, open }) => {
  const pending = 'gast@partner.example';
  const organization = await laptop.organization({ pending: [pending] });
  const [{ expires_at: expires }] = await organization.owner.invitations(organization);
  const tab = await open({ locale: 'de-DE' });
  await tab.signsIn(organization.owner, organization);
  const time = tab.row(pending).locator('time');
  assert.equal(await time.getAttribute('datetime'), expires);
  const exact = new Intl.DateTimeFormat('de-DE', { dateStyle: 'full', timeStyle: 'short', timeZone: 'Europe/Berlin' });
  assert.equal(await time.getAttribute('title'), exact.format(new Date(expires)));
  await tab.shows('2 von 1.000 Plätzen belegt');
  assert.equal(await tab.page.locator('html').getAttribute('lang'), 'de-DE');
});

story(it, 'hostile names and reasons are text', async ({ laptop, open }) => {
  const name = '<img src=x onerror=alert(1)>';
  const pending = 'bounce@partner.example';
  const organization = await laptop.organization({ name, owners: [laptop.somebody('otto')], pending: [pending] });
  const reason = '<img src=x onerror=alert(2)> <b>no</b> such mailbox';
  await laptop.feedback(pending, 'bounce', { bounce: 'Permanent General', reason });
  const tab = await open();
  tab.page.on('dialog', () => assert.fail('a script ran'));
  await tab.manages(organization);
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

story(it, 'the page remembers which organization one was in, and its address can be shared', async ({ laptop, open }) => {
  const olga = laptop.somebody();
  const max = laptop.somebody('max');
  await laptop.organization({ owner: olga, name: 'Alpha' });
  const beta = await laptop.organization({ owner: olga, name: 'Beta', members: [max] });
  const tab = await open();
  await tab.signsIn(olga);
  const choice = tab.page.getByRole('combobox', { name: 'Organization' });
  await choice.selectOption({ label: 'Beta' });
  await tab.row(max.email).waitFor();
  assert.equal(tab.url.searchParams.get('organization'), beta.id);
  await tab.visits('/');
  await tab.row(max.email).waitFor();
  const other = await open();
  await other.visits(tab.url.pathname + tab.url.search);
  await other.button('Sign in').click();
  await other.chooses(max);
  await other.row(olga.email).waitFor();
});

story(it, 'a member leaves, and founds something new', async ({ laptop, open }) => {
  const max = laptop.somebody('max');
  const organization = await laptop.organization({ name: 'Nordwind', members: [max] });
  const tab = await open();
  await tab.manages(organization, max);
  await tab.button('Leave Nordwind').click();
  await tab.button('Leave organization').click();
  await tab.shows('You left Nordwind.');
  await tab.button('Create organization').click();
  await tab.page.getByLabel('Name', { exact: true }).fill('Südwind');
  await tab.dialog().getByRole('button', { name: 'Create organization' }).click();
  await tab.heading('Südwind').waitFor();
  await tab.shows('1 of 1,000 seats used');
  assert.equal((await organization.owner.members(organization)).length, 1);
});

story(it, 'an owner renames the organization, and a member cannot', async ({ laptop, open }) => {
  const max = laptop.somebody('max');
  const organization = await laptop.organization({ name: 'Nordwind', members: [max] });
  const tab = await open();
  await tab.manages(organization);
  const name = tab.page.getByLabel('Name', { exact: true });
  await tab.button('Rename').click();
  assert.equal(await name.inputValue(), 'Nordwind');
  // The same name needs no call.
  await tab.button('Save').click();
  await tab.dialog().waitFor({ state: 'detached' });
  assert.equal(tab.sent('PATCH', /./).length, 0);
  await tab.button('Rename').click();
  await name.fill('Südwind');
  await tab.button('Save').click();
  await tab.heading('Südwind').waitFor();
  await tab.hears('The organization was renamed to Südwind.');
  assert.match(await tab.page.title(), /^Südwind /);
  await tab.page.reload();
  await tab.heading('Südwind').waitFor();
  const other = await open();
  await other.manages(organization, max);
  await other.heading('Südwind').waitFor();
  assert.equal(await other.button('Rename').count(), 0);
});

story(it, 'the choice of organizations shows a new name at once', async ({ laptop, open }) => {
  const owner = laptop.somebody();
  const alpha = await laptop.organization({ owner, name: 'Alpha' });
  await laptop.organization({ owner, name: 'Beta' });
  const tab = await open();
  await tab.lists(alpha, owner, { attributes: { switch: '' } });
  const choice = tab.page.getByRole('combobox', { name: 'Organization' });
  const names = async () => (await choice.getByRole('option').allTextContents()).sort();
  assert.deepEqual(await names(), ['Alpha', 'Beta']);
  const { asked, release } = await tab.holds(`**/v1/organizations/${alpha.id}`);
  await tab.button('Rename').click();
  await tab.page.getByLabel('Name', { exact: true }).fill('Gamma');
  await tab.button('Save').click();
  await asked();
  assert.equal(await tab.button('Save').getAttribute('aria-disabled'), 'true');
  release();
  await tab.dialog().waitFor({ state: 'detached' });
  assert.deepEqual(await names(), ['Beta', 'Gamma']);
  const renamed = (await tab.told()).filter((event) => event.name === 'roster-renamed');
  assert.deepEqual(renamed.map(({ detail }) => detail.organization.name), ['Gamma']);
});

story(it, 'an invalid name shows the reason at the field', async ({ laptop, open }) => {
  const organization = await laptop.organization({ name: 'Nordwind' });
  const tab = await open();
  tab.expects(422);
  await tab.manages(organization);
  await tab.button('Rename').click();
  const name = tab.page.getByLabel('Name', { exact: true });
  await name.fill('a@b');
  await tab.button('Save').click();
  await tab.dialog().getByRole('alert').locator('svg').waitFor();
  assert.equal(await name.getAttribute('aria-invalid'), 'true');
  await tab.focuses(name);
  await tab.button('Cancel').click();
  await tab.heading('Nordwind').waitFor();
  assert.equal((await organization.owner.looksAt(organization)).name, 'Nordwind');
});

story(it, 'an owner who was demoted meanwhile cannot rename', async ({ laptop, open }) => {
  const otto = laptop.somebody('otto');
  const organization = await laptop.organization({ name: 'Nordwind', owners: [otto] });
  const tab = await open();
  tab.expects(403);
  await tab.manages(organization);
  await otto.edits(organization, organization.owner, 'member');
  await tab.button('Rename').click();
  await tab.page.getByLabel('Name', { exact: true }).fill('Südwind');
  await tab.button('Save').click();
  await tab.page.locator('.notice.bad').getByText(/owner/i).waitFor();
  await tab.button('Rename').waitFor({ state: 'detached' });
  await tab.focusesOn(/^h2 "Nordwind"/);
});

story(it, 'all 1,000 are reached page by page, and then it is full', async ({ laptop, open }) => {
  const pending = Array.from({ length: 999 }, (_, number) => `guest-${number}@partner.example`);
  const organization = await laptop.organization();
  await organization.owner.invites(organization, pending);
  const tab = await open();
  await tab.signsIn(organization.owner, organization);
  await tab.shows('1,000 of 1,000 seats used');
  await tab.shows(/All 1,000 seats are taken/);
  const seen = [];
  for (let first = 1; first <= 1000; first += 50) {
    const last = Math.min(first + 49, 1000);
    await tab.shows(`${new Intl.NumberFormat('en-GB').format(first)}–${new Intl.NumberFormat('en-GB').format(last)} of 1,000`);
    seen.push(...(await tab.page.locator('tbody .email').allTextContents()));
    if (last < 1000) await tab.button('Next').click();
  }
  assert.deepEqual(seen.sort(), [organization.owner.email, ...pending].sort());
  assert.equal(await tab.button('Invite people').getAttribute('aria-disabled'), 'true');
});
