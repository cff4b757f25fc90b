// Addresses with international domains: pages show them in Unicode where it is safe, and send the stored form.
import assert from 'node:assert/strict';
import { entersAddresses } from './states.mjs';
import { setUp, scenario } from './harness.mjs';

const env = setUp();

/** The stored form of a domain, and the form that pages show. */
const MUNICH = { stored: 'xn--mnchen-3ya.example', shown: 'münchen.example' };
const TOKYO = { stored: 'xn--1lqs71d.example', shown: '東京.example' };
/** A domain with a Cyrillic а, which looks like `paypal.example`. Its two forms are the stored one and the typed one. */
const LOOKALIKE = { stored: 'xn--pypal-4ve.example', typed: 'p\u0430ypal.example' };

scenario(env, 'shows, finds and edits users with international domains', async ({ laptop, open }) => {
  const zoe = laptop.person(`zoe@${MUNICH.stored}`);
  const organization = await laptop.organization({ members: [zoe], pending: [`kei@${TOKYO.stored}`, `eve@${LOOKALIKE.stored}`] });
  const { owner } = organization;
  const tab = await open();
  await tab.opensConsole(organization);
  const emails = () => tab.page.locator('tbody .email').allTextContents();
  const [shownZoe, shownKei, storedEve] = [`zoe@${MUNICH.shown}`, `kei@${TOKYO.shown}`, `eve@${LOOKALIKE.stored}`];
  await tab.row(shownZoe).waitFor();
  assert.deepEqual(new Set(await emails()), new Set([owner.email, shownZoe, shownKei, storedEve]));
  assert.equal(await tab.row(shownZoe).locator('.email').getAttribute('title'), zoe.email);
  assert.equal(await tab.row(owner.email).locator('.email').getAttribute('title'), null);

  const search = tab.page.getByRole('searchbox');
  for (const [text, found] of [
    ['münch', shownZoe],
    ['xn--mnch', shownZoe],
    ['MÜNCHEN.example', shownZoe],
    ['京', shownKei],
    [LOOKALIKE.typed, storedEve],
  ]) {
    await search.fill(text);
    await tab.page.locator('tbody tr').nth(1).waitFor({ state: 'detached' });
    assert.deepEqual(await emails(), [found], text);
    await search.fill('');
    await tab.row(owner.email).waitFor();
  }

  const role = tab.page.getByRole('combobox', { name: `Role of ${shownZoe}` });
  await role.selectOption('owner');
  await tab.button('Make owner').click();
  await tab.waitsForAnnouncement(`${shownZoe} is now an owner.`);
  assert.equal((await owner.members(organization)).find(({ email }) => email === zoe.email).role, 'owner');
  await tab.button(`Revoke the invitation to ${shownKei}`).click();
  await tab.dialog().getByRole('heading', { name: `Revoke the invitation to ${shownKei}?` }).waitFor();
  await tab.button('Revoke invitation').click();
  await tab.waitsForAnnouncement(`The invitation to ${shownKei} was revoked.`);
  await tab.button(`Remove ${shownZoe}`).click();
  await tab.dialog().getByRole('heading', { name: `Remove ${shownZoe} from` }).waitFor();
  await tab.button('Remove member').click();
  await tab.waitsForAnnouncement(`${shownZoe} was removed.`);
  assert.deepEqual((await owner.members(organization)).map(({ email }) => email), [owner.email]);
});

scenario(env, 'invites addresses that are typed in Unicode', async ({ laptop, open }) => {
  const zoe = laptop.person(`zoe@${MUNICH.stored}`);
  const organization = await laptop.organization({ members: [zoe] });
  const { owner } = organization;
  const tab = await open();
  await tab.opensConsole(organization);
  await tab.button('Invite people').first().click();
  await entersAddresses(tab, `Zoe@${MUNICH.shown}, kei@東京。example, kei@${TOKYO.stored}, eve@${LOOKALIKE.typed}`);
  await tab.waitsForText('2 ready, 1 with a problem. 1 duplicate skipped', tab.dialog());
  // The member is known in both forms. The address that looks like another one is shown in punycode.
  await tab.button(`zoe@${MUNICH.shown}, is already a member, edit`, tab.dialog()).waitFor();
  await tab.button(`kei@${TOKYO.shown}, ready, edit`, tab.dialog()).waitFor();
  await tab.button(`eve@${LOOKALIKE.stored}, ready, edit`, tab.dialog()).waitFor();
  // Someone else invites one of the addresses meanwhile. The API's result is for the stored form.
  await owner.invites(organization, [`kei@${TOKYO.stored}`]);
  await tab.button('Invite 2 people').click();
  await tab.waitsForText(/^1 person invited. 2 addresses could not be invited./, tab.dialog());
  await tab.dialog().getByRole('button', { name: new RegExp(`^kei@${TOKYO.shown}, .*pending.*, edit$`) }).waitFor();
  const invited = (await owner.invitations(organization)).map(({ email }) => email);
  assert.deepEqual(new Set(invited), new Set([`kei@${TOKYO.stored}`, `eve@${LOOKALIKE.stored}`]));
});

scenario(env, 'shows sender, invitee and viewer with international domains', async ({ laptop, open }) => {
  const zoe = laptop.person(`zoe@${MUNICH.stored}`);
  const kei = laptop.person(`kei@${TOKYO.stored}`);
  await laptop.organization({ owner: zoe, name: 'Nordwind', pending: [kei.email] });
  const tab = await open();
  await tab.opensMailLink(kei.email);
  const card = tab.page.locator('roster-accept');
  await tab.waitsForText(`zoe@${MUNICH.shown} invited you to this organization.`, card);
  await tab.waitsForText(`kei@${TOKYO.shown}`, card);
  await tab.button('Sign in to accept').click();
  await tab.signsInAtIssuer(laptop.person(`eve@${LOOKALIKE.stored}`));
  await tab.heading('You are signed in with another account').waitFor();
  await tab.waitsForText(`This invitation was sent to k…@${TOKYO.shown}, but you are signed in as eve@${LOOKALIKE.stored}.`, card);
  await tab.button('Use another account').click();
  // The sign-in gets the stored form.
  await tab.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  assert.equal(tab.url.searchParams.get('login_hint'), kei.email);
  await tab.signsInAtIssuer(kei);
  await tab.waitsForText(`Signed in as kei@${TOKYO.shown}`, card);
  await tab.button('Accept invitation').click();
  await tab.button('Open Nordwind').click();
  await tab.row(`zoe@${MUNICH.shown}`).waitFor();
  await tab.page.locator('.viewer').filter({ hasText: `kei@${TOKYO.shown}` }).waitFor();
});

scenario(env, 'shows the stored form if the script with the rule cannot be loaded', async ({ laptop, open }) => {
  const pending = `kei@${TOKYO.stored}`;
  const organization = await laptop.organization({ pending: [pending] });
  const tab = await open();
  tab.expectsErrors(/net::ERR_FAILED/);
  await tab.page.route('**/unicode-domain-*.js', (route) => route.abort());
  const failed = tab.page.waitForEvent('requestfailed', (request) => request.url().includes('/unicode-domain-'));
  await tab.opensConsole(organization);
  await failed;
  await tab.row(pending).getByText('Expires in 48 h').waitFor();
  // The list still works, and does not request the script again.
  await tab.button(`Revoke the invitation to ${pending}`).click();
  await tab.button('Revoke invitation').click();
  await tab.waitsForAnnouncement(`The invitation to ${pending} was revoked.`);
  assert.equal(tab.sent('GET', /\/unicode-domain-/).length, 1);
});
