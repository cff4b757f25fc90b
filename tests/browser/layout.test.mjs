// The layout of the list at every width: no address breaks, all rows of one kind have one height, nothing overflows, and
// nothing moves when a cooldown ends.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { auditLayout } from './audit.mjs';
import { MAIL_COOLDOWN, PICTURES, scenario, setUp } from './harness.mjs';
import { USERS } from './states.mjs';

const WIDTHS = [320, 480, 600, 768, 900, 1024, 1280];
const HEIGHT = 800;

const env = setUp();

/** Returns the problems of the rows: lines that break, and rows of one kind that differ in height. */
function rowProblems() {
  const root = document.querySelector('roster-users').shadowRoot;
  const problems = [];
  const heights = {};
  for (const row of root.querySelectorAll('tbody tr')) {
    const email = row.querySelector('.email');
    const range = document.createRange();
    range.selectNodeContents(email);
    const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)));
    if (lines.size !== 1) problems.push(`${email.textContent} has ${lines.size} lines`);
    // An error may have any length.
    if (!row.querySelector('.row-error')) (heights[row.className] ??= new Set()).add(Math.round(10 * row.getBoundingClientRect().height) / 10);
  }
  for (const [kind, different] of Object.entries(heights)) {
    if (different.size !== 1) problems.push(`rows of ${kind}s have the heights ${[...different]}`);
  }
  if (!heights.member || !heights.invitation) problems.push(`there are only rows of ${Object.keys(heights)}`);
  return problems;
}

/** Returns the boxes of everything in the row of an address. */
function boxesOf(email) {
  const root = document.querySelector('roster-users').shadowRoot;
  const row = [...root.querySelectorAll('tbody tr')].find((row) => row.querySelector('.email').textContent === email);
  const below = row.nextElementSibling;
  return [row, ...row.querySelectorAll('th, td, button, .badge, .note, .email'), below].map((element) => {
    const { x, y, width, height } = element.getBoundingClientRect();
    return { element: `${element.localName}.${element.className}`, x, y, width, height };
  });
}

for (const state of ['users-owner', 'users-member', 'users-german', 'users-right-to-left', 'users-last-owner']) {
  scenario(env, `${state}: rows hold at every width`, async (context) => {
    const tab = await USERS[state](context);
    const problems = [];
    for (const scheme of ['light', 'dark']) {
      await tab.page.emulateMedia({ colorScheme: scheme });
      for (const width of WIDTHS) {
        await tab.page.setViewportSize({ width, height: HEIGHT });
        const found = [...(await tab.page.evaluate(rowProblems)), ...(await auditLayout(tab.page))];
        problems.push(...found.map((problem) => `${scheme}, ${width} px: ${problem}`));
        if (!PICTURES) continue;
        mkdirSync(PICTURES, { recursive: true });
        await tab.page.screenshot({ path: path.join(PICTURES, `${state}-${scheme}-${width}.png`), fullPage: true });
      }
    }
    assert.deepEqual(problems, []);
  });
}

scenario(env, 'nothing moves when a cooldown ends', async ({ laptop, open }) => {
  const pending = ['ann@partner.example', 'bob@partner.example'];
  const organization = await laptop.organization({ owners: [laptop.newPerson('otto')], pending });
  const tab = await open();
  await tab.page.clock.install();
  await tab.embedsUsers(organization);
  const waits = tab.page.getByText(/^Resend in/);
  const boxes = {};
  for (const width of WIDTHS) {
    await tab.page.setViewportSize({ width, height: HEIGHT });
    boxes[width] = await tab.page.evaluate(boxesOf, pending[0]);
  }
  assert.equal(await waits.count(), pending.length);
  await tab.page.clock.runFor(MAIL_COOLDOWN * 1000);
  await waits.first().waitFor({ state: 'detached' });
  assert.equal(await tab.button(`Resend to ${pending[0]}`).getAttribute('aria-disabled'), 'false');
  for (const width of WIDTHS) {
    await tab.page.setViewportSize({ width, height: HEIGHT });
    // The note has another text.
    const withoutNotes = (all) => all.filter(({ element }) => !element.includes('note'));
    const ended = await tab.page.evaluate(boxesOf, pending[0]);
    assert.deepEqual(withoutNotes(ended), withoutNotes(boxes[width]), `${width} px`);
  }
});

scenario(env, 'shows a whole address under the pointer and in the row with the focus', async ({ laptop, open }) => {
  const long = laptop.person(`${'maximiliane.'.repeat(4)}von-hohenstein@acme.example`);
  const organization = await laptop.organization({ members: [long] });
  const { owner } = organization;
  for (const width of [320, 1280]) {
    const tab = await open({ width });
    await tab.embedsUsers(organization);
    const tip = tab.page.locator('roster-users .tip');
    const text = () => tip.evaluate((element) => (element.hidden ? '' : element.textContent));
    const email = tab.row(long.email).locator('.email');
    assert(await email.evaluate((element) => element.scrollWidth > element.clientWidth), 'the address is not cut off');
    await email.hover();
    await tip.filter({ visible: true }).waitFor();
    assert.equal(await text(), long.email);
    // It is inside of the window, and does not cover the row.
    const [box, row] = [await tip.boundingBox(), await tab.row(long.email).boundingBox()];
    assert(box.x >= 0 && box.x + box.width <= width, JSON.stringify(box));
    assert(box.y + box.height <= row.y + 16, JSON.stringify([box, row]));
    // A text that is not cut off has no tip.
    await tab.row(owner.email).locator('.email').hover();
    await tip.waitFor({ state: 'hidden' });
    await tab.row(long.email).getByRole('combobox').focus();
    await tip.waitFor();
    assert.match(await text(), new RegExp(`^${long.email}`));
    await tab.page.keyboard.press('Escape');
    await tip.waitFor({ state: 'hidden' });
    await tab.button(`Remove ${long.email}`).focus();
    await tip.waitFor();
    await tab.page.getByRole('searchbox').focus();
    await tip.waitFor({ state: 'hidden' });
  }
});
