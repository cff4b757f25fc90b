// The keyboard alone does everything, and the focus goes where a person expects it. There is no mouse here.
import assert from 'node:assert/strict';
import { A_WHILE, stage, story } from './world.mjs';
import { DEMO_ORGANIZATION } from './states.mjs';

const it = stage();

/** Controls between two places on a page. */
const STEPS_MAX = 120;

/** Presses Tab (or Shift+Tab) until what has that name has the focus. */
async function reaches(tab, name, { back = false } = {}) {
  const passed = [];
  for (let step = 0; step < STEPS_MAX; step++) {
    const focused = await tab.focused();
    if (typeof name === 'string' ? focused.endsWith(`"${name}"`) : name.test(focused)) return;
    passed.push(focused);
    await tab.page.keyboard.press(back ? 'Shift+Tab' : 'Tab');
  }
  assert.fail(`Tab does not lead to ${name}, but to ${[...new Set(passed)].join(', ')}`);
}

/** Goes to what has that name, and presses a key there. */
async function presses(tab, name, key = 'Enter') {
  await reaches(tab, name);
  await tab.page.keyboard.press(key);
}

/** Signs in without the mouse. */
async function signsIn(tab, person) {
  await tab.heading('Sign in').waitFor();
  await reaches(tab, 'E-mail address');
  await tab.page.keyboard.press('Control+A');
  await tab.page.keyboard.type(person.email);
  await tab.page.keyboard.press('Enter');
}

/** The console of an organization, without the mouse. */
async function manages(tab, organization, person = organization.owner) {
  await tab.visits(`/?organization=${organization.id}`);
  await tab.button('Sign in').waitFor();
  await presses(tab, 'Sign in');
  await signsIn(tab, person);
  await tab.row(person.email).waitFor();
}

/** Waits until what has that name has the focus. */
async function focuses(tab, role, name) {
  await tab.focuses(tab.page.getByRole(role, { name, exact: typeof name === 'string' }));
}

story(it, 'from the first invitation to the seat', async ({ laptop, open }) => {
  const ivy = laptop.somebody('ivy');
  const organization = await laptop.organization({ name: 'Nordwind' });
  const tab = await open();
  await manages(tab, organization);
  await presses(tab, 'Invite people');
  await focuses(tab, 'textbox', /E-mail addresses/);
  await tab.page.keyboard.type(`${ivy.email} `);
  await tab.dialog().getByRole('listitem').waitFor();
  await presses(tab, 'Invite 1 person');
  await tab.dialog().waitFor({ state: 'detached' });
  await tab.row(ivy.email).waitFor();
  // Back to where the dialog was opened from.
  await focuses(tab, 'button', 'Invite people');

  const mailed = await open();
  await mailed.opensMail(ivy.email);
  await mailed.button('Sign in to accept').waitFor();
  await presses(mailed, 'Sign in to accept');
  await signsIn(mailed, ivy);
  await mailed.button('Accept invitation').waitFor();
  await presses(mailed, 'Accept invitation');
  await focuses(mailed, 'heading', 'You are a member of Nordwind');
  await presses(mailed, 'Open Nordwind');
  await mailed.row(ivy.email).waitFor();
});

story(it, 'removing asks back with Keep first, Escape keeps, and the next row has the focus afterwards', async ({ laptop, open }) => {
  const [ben, max] = ['ben', 'max'].map((name) => laptop.somebody(name));
  const organization = await laptop.organization({ members: [ben, max] });
  const tab = await open();
  await manages(tab, organization);
  await presses(tab, `Remove ${ben.email}`);
  await focuses(tab, 'button', 'Keep');
  await tab.page.keyboard.press('Escape');
  await tab.dialog().waitFor({ state: 'detached' });
  await focuses(tab, 'button', `Remove ${ben.email}`);
  await tab.page.keyboard.press('Enter');
  await focuses(tab, 'button', 'Keep');
  await tab.page.keyboard.press('Tab');
  await focuses(tab, 'button', 'Remove member');
  // Below a modal dialog nothing else can be reached.
  for (let step = 0; step < 4; step++) {
    await tab.page.keyboard.press('Tab');
    assert.match(await tab.focused(), /"(Keep|Remove member)"|^body$/);
  }
  await presses(tab, 'Remove member');
  await tab.row(ben.email).waitFor({ state: 'detached' });
  await focuses(tab, 'button', `Remove ${max.email}`);
  await tab.hears(`${ben.email} was removed.`);
  // The last one of all: its neighbour before it, since there is none behind.
  await tab.page.keyboard.press('Enter');
  await focuses(tab, 'button', 'Keep');
  await presses(tab, 'Remove member');
  await tab.row(max.email).waitFor({ state: 'detached' });
  assert.notEqual(await tab.focused(), 'body');
});

story(it, 'a removal that fails gives the focus back', async ({ laptop, open }) => {
  const [ben, max] = ['ben', 'max'].map((name) => laptop.somebody(name));
  const organization = await laptop.organization({ members: [ben, max] });
  const tab = await open();
  tab.expects(/net::ERR_FAILED/);
  await manages(tab, organization);
  await tab.page.route('**/members/*', (route) => route.abort());
  await presses(tab, `Remove ${ben.email}`);
  await presses(tab, 'Remove member');
  await tab.shows(/connection was lost/, tab.row(ben.email));
  await focuses(tab, 'button', `Remove ${ben.email}`);
});

story(it, 'a role is edited where it stands', async ({ laptop, open }) => {
  const max = laptop.somebody('max');
  const organization = await laptop.organization({ members: [max] });
  const tab = await open();
  await manages(tab, organization);
  await reaches(tab, `Role of ${max.email}`);
  await tab.page.keyboard.press('ArrowDown');
  await tab.hears(`${max.email}: Owner.`);
  await focuses(tab, 'combobox', `Role of ${max.email}`);
  assert.equal((await organization.owner.members(organization)).filter(({ role }) => role === 'owner').length, 2);
});

story(it, 'resending keeps the focus on the button that has to wait; revoking moves it on', async ({ laptop, open }) => {
  const pending = ['ann@partner.example', 'bob@partner.example'];
  const organization = await laptop.organization({ pending });
  await laptop.advance(A_WHILE);
  const tab = await open();
  await manages(tab, organization);
  await presses(tab, `Resend to ${pending[0]}`);
  await tab.hears(`Sent again to ${pending[0]}`);
  await focuses(tab, 'button', `Resend to ${pending[0]}`);
  await tab.shows(/^Resend in \d/, tab.row(pending[0]));
  // There, it does nothing.
  const sent = tab.sent('POST', /resend$/).length;
  await tab.page.keyboard.press('Enter');
  await presses(tab, `Revoke the invitation to ${pending[0]}`);
  await focuses(tab, 'button', 'Keep');
  await presses(tab, 'Revoke invitation');
  await tab.row(pending[0]).waitFor({ state: 'detached' });
  await focuses(tab, 'button', `Revoke the invitation to ${pending[1]}`);
  assert.equal(tab.sent('POST', /resend$/).length, sent);
});

story(it, 'searching, filtering and turning pages keep the focus', async ({ laptop, open }) => {
  const tab = await open();
  await manages(tab, DEMO_ORGANIZATION, laptop.person('ada@acme.example')).catch((error) => {
    // The demo's owner is on another page of the list.
    if (!/Timeout/.test(error.message)) throw error;
  });
  await tab.shows('1–50 of 316');
  await reaches(tab, 'Next');
  for (const range of ['51–100', '101–150', '151–200', '201–250', '251–300', '301–316']) {
    await tab.page.keyboard.press('Enter');
    await tab.shows(`${range} of 316`);
    await focuses(tab, 'button', 'Next');
  }
  // At the end, it is there still, and does nothing.
  await tab.page.keyboard.press('Enter');
  await focuses(tab, 'button', 'Next');
  await reaches(tab, /^button "Expired/, { back: true });
  await tab.page.keyboard.press('Space');
  await tab.shows('1–4 of 4');
  assert.match(await tab.focused(), /^button "Expired 4"$/);
  await reaches(tab, 'Search by address', { back: true });
  await tab.page.keyboard.type('viktor');
  await tab.hears('1 person');
  await tab.page.keyboard.type(' nobody');
  await tab.shows('Nobody matches');
  await presses(tab, 'Show everyone');
  await focuses(tab, 'searchbox', 'Search by address');
});

story(it, 'leaving and founding lead to the heading of what is there then', async ({ laptop, open }) => {
  const max = laptop.somebody('max');
  const organization = await laptop.organization({ name: 'Nordwind', members: [max] });
  const tab = await open();
  tab.expects(422);
  await manages(tab, organization, max);
  await presses(tab, 'Leave Nordwind');
  await focuses(tab, 'button', 'Stay');
  await presses(tab, 'Leave organization');
  await tab.shows('You left Nordwind.');
  await tab.focusesOn(/^h2 "Organization users"/);
  await presses(tab, 'Create organization');
  await focuses(tab, 'textbox', 'Name');
  await tab.page.keyboard.type('a@b');
  await tab.page.keyboard.press('Enter');
  await tab.dialog().getByRole('alert').locator('svg').waitFor();
  await focuses(tab, 'textbox', 'Name');
  await tab.page.keyboard.press('Control+A');
  await tab.page.keyboard.type('Südwind');
  await tab.page.keyboard.press('Enter');
  await tab.heading('Südwind').waitFor();
  await focuses(tab, 'heading', 'Südwind');
});

story(it, 'renaming: Enter saves, Escape keeps the name, and the button has the focus afterwards', async ({ laptop, open }) => {
  const organization = await laptop.organization({ name: 'Nordwind' });
  const tab = await open();
  await manages(tab, organization);
  await presses(tab, 'Rename');
  await focuses(tab, 'textbox', 'Name');
  // The old name is selected: typing replaces it.
  await tab.page.keyboard.type('Südwind');
  await tab.page.keyboard.press('Enter');
  await tab.heading('Südwind').waitFor();
  await focuses(tab, 'button', 'Rename');
  await tab.page.keyboard.press('Enter');
  await focuses(tab, 'textbox', 'Name');
  await tab.page.keyboard.type('Westwind');
  await tab.page.keyboard.press('Escape');
  await tab.dialog().waitFor({ state: 'detached' });
  await focuses(tab, 'button', 'Rename');
  await tab.heading('Südwind').waitFor();
  assert.equal((await organization.owner.looksAt(organization)).name, 'Südwind');
});

story(it, 'addresses in the dialog: among them by arrows, edited by Enter, removed by Delete', async ({ laptop, open }) => {
  const organization = await laptop.organization({ name: 'Nordwind' });
  const tab = await open();
  await manages(tab, organization);
  await presses(tab, 'Invite people');
  const field = tab.dialog().getByRole('textbox');
  await tab.focuses(field);
  await tab.page.keyboard.type('one@partner.example, two@partner.example, three@partner.exampel,');
  const chips = tab.dialog().getByRole('listitem');
  await chips.nth(2).waitFor();
  await tab.page.keyboard.press('Backspace');
  await tab.focusesOn(/^button "three@partner\.exampel/);
  await tab.page.keyboard.press('ArrowLeft');
  await tab.focusesOn(/^button "two@partner\.example/);
  await tab.page.keyboard.press('Delete');
  await chips.nth(2).waitFor({ state: 'detached' });
  await tab.focusesOn(/^button "(one|three)@/);
  await tab.page.keyboard.press('End');
  await tab.focusesOn(/^button "three@/);
  await tab.page.keyboard.press('Enter');
  await tab.focuses(field);
  assert.equal(await field.inputValue(), 'three@partner.exampel');
  for (let key = 0; key < 2; key++) await tab.page.keyboard.press('Backspace');
  await tab.page.keyboard.type('le');
  await tab.page.keyboard.press('Control+Enter');
  await tab.dialog().waitFor({ state: 'detached' });
  await focuses(tab, 'button', 'Invite people');
  const invited = (await organization.owner.invitations(organization)).map(({ email }) => email).sort();
  assert.deepEqual(invited, ['one@partner.example', 'three@partner.example']);
});

story(it, 'declining: Keep first, and the heading afterwards', async ({ laptop, open }) => {
  const ivy = laptop.somebody('ivy');
  await laptop.organization({ pending: [ivy.email] });
  const tab = await open();
  await tab.opensMail(ivy.email);
  await tab.button('Sign in to accept').waitFor();
  await presses(tab, 'Sign in to accept');
  await signsIn(tab, ivy);
  await tab.button('Decline').waitFor();
  await presses(tab, 'Decline');
  await focuses(tab, 'button', 'Keep');
  await tab.page.keyboard.press('Escape');
  await tab.dialog().waitFor({ state: 'detached' });
  await focuses(tab, 'button', 'Decline');
  await tab.page.keyboard.press('Enter');
  await focuses(tab, 'button', 'Keep');
  await tab.page.keyboard.press('Tab');
  await tab.page.keyboard.press('Enter');
  await focuses(tab, 'heading', 'You declined');
});

story(it, 'whoever wants no motion sees none', async ({ laptop, open }) => {
  const organization = await laptop.organization();
  const tab = await open({ reducedMotion: 'reduce' });
  await tab.holds('**/v1/organizations/**');
  await tab.embeds('roster-users', organization.owner, { attributes: { organization: organization.id } });
  await tab.shows('Loading…');
  const moving = () => document.getAnimations().filter((one) => one.playState === 'running').length;
  await tab.until(() => document.getAnimations().every((one) => one.playState !== 'running'));
  assert.equal(await tab.page.evaluate(moving), 0);
});

story(it, 'forced colours show what is chosen, what has the focus, and where a button is', async ({ laptop, open }) => {
  const organization = await laptop.organization({ members: [laptop.somebody('max')] });
  const tab = await open({ forcedColors: 'active' });
  await tab.lists(organization);
  const look = (selector) =>
    tab.page.locator(selector).first().evaluate((element) => {
      const { backgroundColor, borderColor, borderStyle } = getComputedStyle(element);
      return { backgroundColor, border: `${borderStyle} ${borderColor}` };
    });
  const chosen = await look('.filters [aria-pressed=true]');
  const other = await look('.filters [aria-pressed=false]');
  assert.notDeepEqual(chosen, other);
  assert.match((await look('button.invite')).border, /^solid/);
  await tab.page.keyboard.press('Tab');
  const outline = await tab.page.evaluate(() => {
    let active = document.activeElement;
    while (active.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
    return getComputedStyle(active).outlineStyle;
  });
  assert.notEqual(outline, 'none');
});
