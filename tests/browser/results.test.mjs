// What the user list shows after a change: toasts with Undo, rows that are gone, and changes that take long.
import assert from 'node:assert/strict';
import { MAIL_COOLDOWN, roleOf, scenario, setUp } from './harness.mjs';

const env = setUp();

/** More than the time for which a toast is shown. */
const TOAST_MS = 11_000;

const toast = (tab) => tab.page.locator('.toast');

/** Waits until the toast has this text. */
async function waitsForToast(tab, text) {
  await toast(tab).filter({ hasText: text }).waitFor();
  // Screen readers read it out.
  assert.equal(await toast(tab).evaluate((element) => element.parentElement.role), 'status');
}

scenario(env, 'shows a role change in a toast, and undoes it', async ({ laptop, open }) => {
  const max = laptop.newPerson('max');
  const organization = await laptop.organization({ members: [max] });
  const tab = await open();
  await tab.embedsUsers(organization);
  await tab.makesOwner(max);
  await waitsForToast(tab, `${max.email} is now an owner.`);
  assert.equal(await roleOf(organization, max), 'owner');
  await tab.button('Undo').click();
  await waitsForToast(tab, `${max.email} is now a member.`);
  assert.equal(await roleOf(organization, max), 'member');
  await tab.waitsForFocus(tab.row(max.email).getByRole('combobox'));
  assert.equal((await tab.events()).filter(({ name }) => name === 'roster-role-edited').length, 2);
});

scenario(env, 'reaches the toast with the keyboard, and undoes with Ctrl+Z', async ({ laptop, open }) => {
  const max = laptop.newPerson('max');
  const organization = await laptop.organization({ members: [max] });
  const tab = await open();
  await tab.embedsUsers(organization);
  await tab.makesOwner(max);
  await waitsForToast(tab, `${max.email} is now an owner.`);
  await tab.waitsForFocus(tab.row(max.email).getByRole('combobox'));
  await tab.page.keyboard.press('Control+z');
  await waitsForToast(tab, `${max.email} is now a member.`);
  // In a text field, the shortcut undoes the text.
  await tab.page.getByRole('searchbox').fill('max');
  await tab.page.keyboard.press('Control+z');
  assert.equal(await roleOf(organization, max), 'member');
  await tab.page.getByRole('searchbox').fill('');
  const stops = [];
  while (stops.at(-1) !== 'button "Undo"') {
    await tab.page.keyboard.press('Tab');
    stops.push(await tab.focused());
    assert(stops.length < 25, stops.join(', '));
  }
  await tab.page.keyboard.press('Escape');
  await toast(tab).waitFor({ state: 'detached' });
  await tab.waitsForFocus(tab.row(max.email).getByRole('combobox'));
});

scenario(env, 'hides the toast after a while, but not while the pointer or the focus is on it', async ({ laptop, open }) => {
  const max = laptop.newPerson('max');
  const organization = await laptop.organization({ members: [max] });
  const tab = await open();
  await tab.page.clock.install();
  await tab.embedsUsers(organization);
  const passes = () => tab.page.clock.fastForward(TOAST_MS);
  await tab.makesOwner(max);
  await waitsForToast(tab, max.email);
  await toast(tab).hover();
  await passes();
  assert.equal(await toast(tab).count(), 1);
  await tab.button('Undo').focus();
  await tab.page.getByRole('searchbox').hover();
  await passes();
  assert.equal(await toast(tab).count(), 1);
  await tab.page.getByRole('searchbox').focus();
  await passes();
  await toast(tab).waitFor({ state: 'detached' });
});

scenario(env, 'offers no Undo for a resend, a revocation and a removal', async ({ laptop, open }) => {
  const [max, ben] = ['max', 'ben'].map((name) => laptop.newPerson(name));
  const pending = 'ann@partner.example';
  const organization = await laptop.organization({ members: [max, ben], pending: [pending] });
  await laptop.advance(MAIL_COOLDOWN);
  const tab = await open();
  await tab.embedsUsers(organization);
  const steps = [
    [`Resend to ${pending}`, undefined, `Invitation resent to ${pending}.`],
    [`Revoke the invitation to ${pending}`, 'Revoke invitation', `The invitation to ${pending} was revoked.`],
    [`Remove ${max.email}`, 'Remove member', `${max.email} was removed.`],
  ];
  for (const [action, confirm, text] of steps) {
    await tab.button(action).click();
    if (confirm) await tab.button(confirm).click();
    await waitsForToast(tab, text);
    assert.equal(await tab.button('Undo').count(), 0);
  }
});

scenario(env, 'says what happened if no other row matches the search or the filter after a removal', async ({ laptop, open }) => {
  const [max, ben] = ['max', 'ben'].map((name) => laptop.newPerson(name));
  const pending = ['ann@partner.example', 'bob@partner.example'];
  const organization = await laptop.organization({ members: [max, ben], pending });
  const tab = await open();
  await tab.embedsUsers(organization);
  await tab.page.getByRole('searchbox').fill('ann');
  const { requested, release } = await tab.delaysRequests('**/invitations/*');
  await tab.button(`Revoke the invitation to ${pending[0]}`).click();
  await tab.button('Revoke invitation').click();
  await requested();
  await tab.heading(`Revoking the invitation to ${pending[0]}…`).waitFor();
  release();
  await tab.heading(`The invitation to ${pending[0]} was revoked.`).waitFor();
  assert.equal(await tab.page.getByText('No matches').count(), 0);
  await tab.button('Show everyone').click();
  await tab.row(pending[1]).waitFor();
  // A new search has nothing to do with the removal.
  await tab.page.getByRole('searchbox').fill('ann');
  await tab.heading('No matches').waitFor();
  await tab.button('Show everyone').click();

  await tab.button(/^Pending/).click();
  await tab.button(`Revoke the invitation to ${pending[1]}`).click();
  await tab.button('Revoke invitation').click();
  await tab.heading(`The invitation to ${pending[1]} was revoked.`).waitFor();
  assert.equal(await tab.page.getByText('No pending invitations').count(), 0);
});

scenario(env, 'keeps the toast inside a narrow window, and the focused control visible', async ({ laptop, open }) => {
  // Long addresses: the toast then has several lines.
  const members = Array.from({ length: 6 }, () => laptop.newPerson('m'.repeat(60)));
  const organization = await laptop.organization({ members });
  const tab = await open({ width: 320, height: 568, reducedMotion: 'reduce' });
  await tab.embedsUsers(organization);
  await tab.makesOwner(members[2]);
  await waitsForToast(tab, members[2].email);
  const box = await toast(tab).boundingBox();
  assert(box.x >= 0 && box.x + box.width <= 320 && box.y + box.height <= 568, JSON.stringify(box));
  assert(box.height < 568 / 4, `${box.height} px`);
  assert.equal(await tab.page.evaluate(() => document.documentElement.scrollWidth), 320);
  assert.equal(await tab.page.evaluate(() => document.getAnimations().filter(({ playState }) => playState === 'running').length), 0);
  // Each control that gets the focus is visible in full.
  for (let step = 0; step < 16; step++) {
    await tab.page.keyboard.press('Tab');
    const covered = await tab.page.evaluate(() => {
      const { shadowRoot } = document.querySelector('roster-users');
      const focused = shadowRoot.activeElement;
      const toast = shadowRoot.querySelector('.toast');
      if (!focused || toast.contains(focused)) return '';
      const [control, over] = [focused, toast].map((element) => element.getBoundingClientRect());
      return control.bottom > over.top && control.top < over.bottom ? focused.outerHTML : '';
    });
    assert.equal(covered, '');
  }
  // At its end, the list is not covered either.
  await tab.page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  const [card, last] = await Promise.all([tab.page.locator('.card').boundingBox(), toast(tab).boundingBox()]);
  assert(card.y + card.height <= last.y, `${JSON.stringify(card)} ${JSON.stringify(last)}`);
});

scenario(env, 'shows that a change or a dialog takes long', async ({ laptop, open }) => {
  const max = laptop.newPerson('max');
  const organization = await laptop.organization({ members: [max] });
  const tab = await open();
  await tab.embedsUsers(organization);
  const change = await tab.delaysRequests('**/members/*');
  await tab.makesOwner(max);
  await change.requested();
  const row = tab.row(max.email);
  await row.locator('.spin').waitFor();
  assert.equal(await row.getAttribute('aria-busy'), 'true');
  change.release();
  await row.locator('.spin').waitFor({ state: 'detached' });
  assert.equal(await row.getAttribute('aria-busy'), 'false');

  const other = await open();
  await other.opensConsole(organization);
  const script = await other.delaysRequests('**/assets/roster-invite-dialog-*.js');
  const invite = other.button('Invite people');
  await invite.click();
  await script.requested();
  assert.equal(await invite.getAttribute('aria-busy'), 'true');
  script.release();
  await other.dialog().waitFor();
  assert.equal(await invite.getAttribute('aria-busy'), 'false');
});
