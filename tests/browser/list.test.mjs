// A long list: its first rows, pages, order, filters, and the work for one input.
import assert from 'node:assert/strict';
import { DEMO, setUp, scenario } from './harness.mjs';
import { DEMO_ORGANIZATION } from './states.mjs';

const env = setUp();

/** Opens the demo's list, which has 316 rows. */
async function openDemo({ laptop, open }, tabOptions, { isComplete = true } = {}) {
  const tab = await open(tabOptions);
  await tab.embeds('roster-users', laptop.person(DEMO.owner), { attributes: { organization: DEMO_ORGANIZATION.id } });
  if (isComplete) await tab.waitsForText('1–50 of 316');
  return tab;
}

/** Waits until all rows of the page are shown, and returns their addresses. */
async function emails(tab) {
  await tab.page.locator('tbody[aria-busy=false]').waitFor();
  return tab.page.locator('tbody .email').allTextContents();
}

scenario(env, 'shows the first users while the others are being loaded', async ({ laptop, open }) => {
  const tab = await open();
  // The first page of each list is small. The next one has a cursor.
  const { requested, release } = await tab.delaysRequests(/[?&]cursor=/);
  await tab.embeds('roster-users', laptop.person(DEMO.owner), { attributes: { organization: DEMO_ORGANIZATION.id } });
  await tab.page.locator('tbody tr').first().waitFor();
  await requested();
  await tab.waitsForText('312 of 1,000 seats used');
  assert((await emails(tab)).length >= 50);
  // The numbers of rows are not known yet.
  assert.equal(await tab.button('Members').count(), 1);
  assert.equal(await tab.page.getByText(/of 316/).count(), 0);
  assert.equal((await tab.events()).length, 0);
  // A search may find more.
  await tab.page.getByRole('searchbox').fill('no such address');
  await tab.waitsForText('Loading…');
  assert.equal(await tab.page.getByText('No matches').count(), 0);
  release();
  await tab.waitsForText('No matches');
  await tab.page.getByRole('searchbox').fill('');
  await tab.waitsForText('1–50 of 316');
  assert.deepEqual((await tab.events()).map(({ name }) => name), ['roster-loaded']);
  assert.deepEqual(
    tab.sent('GET', /./).filter(({ url }) => /[?&]limit=50\b/.test(url)).length,
    3,
  );
});

scenario(env, 'asks to try again if only a part of the users could be loaded', async ({ laptop, open }) => {
  const tab = await open();
  tab.expectsErrors(/net::ERR_FAILED/);
  let isBroken = true;
  await tab.page.route(/[?&]cursor=/, (route) => (isBroken ? route.abort() : route.fallback()));
  await tab.embeds('roster-users', laptop.person(DEMO.owner), { attributes: { organization: DEMO_ORGANIZATION.id } });
  await tab.waitsForText('The users could not be loaded');
  isBroken = false;
  await tab.button('Try again').click();
  await tab.waitsForText('1–50 of 316');
});

scenario(env, 'shows the next page from its top, and a double click does not reach a row', async (context) => {
  for (const width of [1280, 320]) {
    const tab = await openDemo(context, { width, height: 700 });
    const { page } = tab;
    await page.clock.install();
    await page.clock.pauseAt(Date.now() + 1000);
    const next = tab.button('Next').last();
    await next.scrollIntoViewIfNeeded();
    const { x, y, width: buttonWidth, height } = await next.boundingBox();
    const [pointerX, pointerY] = [x + buttonWidth / 2, y + height / 2];
    await page.mouse.move(pointerX, pointerY);
    await page.mouse.down({ clickCount: 1 });
    await page.mouse.up({ clickCount: 1 });
    await tab.waitsForText('51–100 of 316');
    const pager = page.getByRole('navigation', { name: 'Pages' });
    const top = (await pager.boundingBox()).y;
    assert(top >= 0 && top < 700, `${top} px`);
    await tab.waitsForFocus(pager.getByRole('button', { name: 'Next' }));
    // The second click of a double click, on an action of a row.
    const action = page.locator('tbody .actions button').first();
    const box = await action.boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.down({ clickCount: 2 });
    await page.mouse.up({ clickCount: 2 });
    assert.equal(await tab.dialog().count(), 0);
    await page.clock.runFor(1000);
    await action.click();
    await tab.dialog().waitFor();
    await page.keyboard.press('Escape');
  }
});

scenario(env, 'sorts by the columns, and keeps the order when another organization is shown', async ({ laptop, open }) => {
  const owner = laptop.newPerson('zoe');
  const members = ['cool10', 'cool2', 'anna'].map((name) => laptop.person(name));
  const organization = await laptop.organization({ owner, members, pending: ['bob@partner.example'], name: 'Nordwind' });
  const other = await laptop.organization({ owner, members: [laptop.person('bert')], name: 'Südwind' });
  const tab = await open();
  await tab.embedsUsers(organization, owner, { attributes: { switch: '' } });
  const header = (name) => tab.page.getByRole('columnheader', { name });
  const names = async () => (await emails(tab)).map((email) => email.split(/[@-]/)[0]);
  const sorts = async () => Promise.all(['User', 'Role', 'Status'].map((name) => header(name).getAttribute('aria-sort')));
  assert.deepEqual(await names(), ['bob', 'anna', 'cool2', 'cool10', 'zoe']);
  assert.deepEqual(await sorts(), ['none', 'none', 'none']);
  await tab.button('User', header('User')).focus();
  await tab.page.keyboard.press('Enter');
  await tab.waitsForAnnouncement('Sorted by User, ascending.');
  assert.deepEqual(await names(), ['anna', 'bob', 'cool2', 'cool10', 'zoe']);
  assert.deepEqual(await sorts(), ['ascending', 'none', 'none']);
  await tab.page.keyboard.press('Enter');
  await tab.waitsForAnnouncement('Sorted by User, descending.');
  assert.deepEqual(await names(), ['zoe', 'cool10', 'cool2', 'bob', 'anna']);
  await tab.waitsForFocusOn(/^button "User/);
  await tab.button('Role', header('Role')).click();
  assert.deepEqual(await names(), ['zoe', 'anna', 'bob', 'cool2', 'cool10']);
  assert.deepEqual(await sorts(), ['none', 'ascending', 'none']);
  await tab.page.getByRole('combobox', { name: 'Organization' }).selectOption({ label: 'Südwind' });
  await tab.row('bert@acme.example').waitFor();
  assert.deepEqual(await names(), ['zoe', 'bert']);
  assert.deepEqual(await sorts(), ['none', 'ascending', 'none']);
  await tab.page.getByRole('combobox', { name: 'Organization' }).selectOption({ label: organization.name });
  await tab.row('anna@acme.example').waitFor();
  // The third click on a header restores the default order.
  await tab.button('Role', header('Role')).click();
  await tab.button('Role', header('Role')).click();
  await tab.waitsForAnnouncement('Newest invitations first.');
  assert.deepEqual(await names(), ['bob', 'anna', 'cool2', 'cool10', 'zoe']);
  assert.notEqual(other.id, organization.id);
});

scenario(env, 'sorts by the columns also where the table has no columns', async ({ laptop, open }) => {
  const organization = await laptop.organization({ members: [laptop.person('anna')], pending: ['bob@partner.example'] });
  const tab = await open({ width: 320 });
  await tab.embedsUsers(organization);
  await tab.button('User').click();
  await tab.page.locator('[aria-sort=ascending]').waitFor();
  assert.match((await emails(tab))[0], /^anna/);
});

scenario(env, 'lists only owners with the filter', async ({ laptop, open }) => {
  const otto = laptop.newPerson('otto');
  const organization = await laptop.organization({ owners: [otto], members: [laptop.newPerson('max')], pending: ['ann@partner.example'] });
  const tab = await open();
  await tab.embedsUsers(organization);
  await tab.button('Owners 2').click();
  await tab.row('ann@partner.example').waitFor({ state: 'detached' });
  assert.deepEqual((await emails(tab)).sort(), [organization.owner.email, otto.email].sort());
});

scenario(env, 'does no work again for rows that a keystroke leaves unchanged', async (context) => {
  const tab = await openDemo(context);
  await emails(tab);
  // Each row of a member formats a date. Only the last invitations are on the first page.
  await tab.page.evaluate(() => {
    globalThis.calls = 0;
    const { format } = Object.getOwnPropertyDescriptors(Intl.DateTimeFormat.prototype);
    Object.defineProperty(Intl.DateTimeFormat.prototype, 'format', {
      ...format,
      get() {
        globalThis.calls++;
        return format.get.call(this);
      },
    });
  });
  const calls = () => tab.page.evaluate(() => globalThis.calls);
  await tab.button('Next').first().click();
  await tab.waitsForText('51–100 of 316');
  await emails(tab);
  assert.equal(await calls(), 50);
  await tab.page.getByRole('searchbox').fill('viktor');
  await tab.waitsForAnnouncement('1 person');
  await emails(tab);
  const before = await calls();
  // An invitation has two dates.
  assert(before <= 52, `${before} dates`);
  // The same row matches.
  await tab.page.keyboard.type('@');
  await tab.waitsUntil(() => document.querySelector('roster-users').shadowRoot.querySelector('input').value === 'viktor@');
  await emails(tab);
  assert.equal(await calls(), before);
});

scenario(env, 'renders a page in slices: the first paint after an input changes few rows', async (context) => {
  const tab = await openDemo(context);
  await emails(tab);
  await tab.page.evaluate(() => {
    const tbody = document.querySelector('roster-users').shadowRoot.querySelector('tbody');
    globalThis.added = [];
    let count = 0;
    new MutationObserver((records) => {
      for (const { addedNodes } of records) count += [...addedNodes].filter((node) => node.localName === 'tr').length;
    }).observe(tbody, { childList: true });
    const frame = () => {
      if (count) globalThis.added.push(count);
      count = 0;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  await tab.button('Next').first().click();
  await tab.waitsForText('51–100 of 316');
  await emails(tab);
  await tab.waitsUntil(() => globalThis.added.reduce((sum, count) => sum + count, 0) === 50);
  const added = await tab.page.evaluate(() => globalThis.added);
  assert(added[0] <= 10 && Math.max(...added) <= 20, `rows per frame: ${added}`);
});
