// Mistakes of developers who embed the elements: each one is explained to users, and to developers with the remedy.
import assert from 'node:assert/strict';
import { setUp, scenario } from './harness.mjs';
import { Laptop } from './laptop.mjs';
import { NETWORK_ERROR, SETUP_WAIT_MS, SMALL_SEATS } from './states.mjs';

const env = setUp({ smallSeats: SMALL_SEATS });

const SETUP_TEXT = /setup of this page is incomplete/;

/** Collects the errors in the browser's console that match the pattern, and allows them. */
function collectsErrors(tab, pattern) {
  tab.expectsErrors(pattern);
  const errors = [];
  tab.page.on('console', (message) => {
    if (message.type() === 'error' && pattern.test(message.text())) errors.push(message.text());
  });
  return errors;
}

/** Opens an element on a page that does not set `getToken`. The page's clock is under the scenario's control. */
async function forgetsToken(tab, element, options) {
  await tab.page.clock.install();
  await tab.embeds(element, undefined, { forgetsToken: true, ...options });
  await tab.page.locator(element).locator('article, section').waitFor();
}

for (const element of ['roster-users', 'roster-accept']) {
  scenario(env, `${element} explains a missing getToken, and works as soon as it is set`, async ({ laptop, open }) => {
    const organization = await laptop.organization({ pending: ['ivy@partner.example'] });
    const { token } = await laptop.mail('ivy@partner.example');
    const tab = await open();
    const errors = collectsErrors(tab, /has no getToken/);
    await forgetsToken(tab, element, { attributes: { organization: organization.id }, properties: { token } });
    await tab.page.clock.fastForward(SETUP_WAIT_MS);
    await tab.heading('This page is not set up yet').waitFor();
    await tab.waitsForText(SETUP_TEXT);
    await tab.waitsForAnnouncement('This page is not set up yet');
    assert.equal(errors.length, 1);
    assert.match(errors[0], new RegExp(`<${element}> has no getToken.*element\\.getToken = async`));
    const jwt = await laptop.token(organization.owner);
    await tab.page.locator(element).evaluate((node, jwt) => (node.getToken = () => jwt), jwt);
    await (element === 'roster-users' ? tab.row(organization.owner.email) : tab.heading(/another account/)).waitFor();
    assert.equal(await tab.heading('This page is not set up yet').count(), 0);
  });

  scenario(env, `${element} shows no error if getToken is set late`, async ({ laptop, open }) => {
    const organization = await laptop.organization({ pending: ['ivy@partner.example'] });
    const { token } = await laptop.mail('ivy@partner.example');
    const tab = await open();
    await forgetsToken(tab, element, { attributes: { organization: organization.id }, properties: { token } });
    await tab.page.clock.fastForward(SETUP_WAIT_MS / 2);
    const jwt = await laptop.token(organization.owner);
    await tab.page.locator(element).evaluate((node, jwt) => (node.getToken = () => jwt), jwt);
    await (element === 'roster-users' ? tab.row(organization.owner.email) : tab.heading(/another account/)).waitFor();
    await tab.page.clock.fastForward(SETUP_WAIT_MS);
    assert.equal(await tab.heading('This page is not set up yet').count(), 0);
  });
}

scenario(env, 'explains a missing organization', async ({ laptop, open }) => {
  const { owner } = await laptop.organization();
  const tab = await open();
  const errors = collectsErrors(tab, /has no organization/);
  await tab.page.clock.install();
  await tab.embeds('roster-users', owner);
  await tab.waitsForText('Loading…');
  await tab.page.clock.fastForward(SETUP_WAIT_MS);
  await tab.heading('This page is not set up yet').waitFor();
  assert.match(errors[0], /attribute "organization".*attribute "switch"/);
});

scenario(env, 'explains that the API does not allow the origin of the page', async ({ site, open }) => {
  const closed = await Laptop.start(['--no-demo']);
  try {
    const organization = await closed.organization({ pending: ['ivy@partner.example'] });
    const { token } = await closed.mail('ivy@partner.example');
    for (const [element, options] of [
      ['roster-users', { attributes: { organization: organization.id } }],
      ['roster-accept', { properties: { token } }],
    ]) {
      const tab = await open({ laptop: closed });
      tab.expectsErrors(/blocked by CORS policy/, NETWORK_ERROR, 401);
      const errors = collectsErrors(tab, /does not allow calls/);
      await tab.embeds(element, organization.owner, options);
      await tab.waitsForText(SETUP_TEXT);
      assert.equal(errors.length, 1);
      assert.match(errors[0], new RegExp(`API at ${closed.url}.*add ${site.url} to the parameter AllowedOrigins.*--allow-origin ${site.url}`, 'i'));
    }
  } finally {
    await closed.stop();
  }
});

scenario(env, 'explains that the Content-Security-Policy of the page forbids the calls', async ({ laptop, open, ...env }) => {
  const small = await env.small();
  const tab = await open();
  tab.expectsErrors(/connect-src|violates the document's Content Security Policy/);
  const errors = collectsErrors(tab, /forbids calls/);
  const attributes = { 'api-base': small.url, organization: 'org_e9qq6x35e8pp8sbddwpp2rvdcm' };
  await tab.embeds('roster-users', laptop.newPerson(), { attributes });
  await tab.waitsForText(SETUP_TEXT);
  assert.equal(errors.length, 1);
  assert.match(errors[0], new RegExp(`Add ${small.url} to connect-src`));
});

for (const [kind, put] of [
  ['is not found', () => {}],
  ['is a page', (site) => site.put('/v1/organizations/org_1', '<!doctype html><title>A product</title>', { 'content-type': 'text/html' })],
]) {
  scenario(env, `explains a wrong api-base, where the organization ${kind}`, async ({ site, laptop, open }) => {
    put(site);
    const tab = await open({ laptop: { url: site.url, token: () => laptop.token(laptop.newPerson()) } });
    tab.expectsErrors(404);
    const errors = collectsErrors(tab, /is not Roster's API/);
    await tab.embeds('roster-users', laptop.newPerson(), { attributes: { organization: 'org_1' } });
    await tab.waitsForText(SETUP_TEXT);
    assert.equal(errors.length, 1);
    assert.match(errors[0], /Set the attribute "api-base" to the URL of the API/);
  });
}

scenario(env, 'reports a lost connection as such', async ({ laptop, open }) => {
  const organization = await laptop.organization();
  const tab = await open();
  tab.expectsErrors(NETWORK_ERROR, 401);
  let isLost = true;
  // The first call fails. Then the connection is back, so that the page's setup cannot be the reason.
  await tab.page.route(`${laptop.url}/v1/organizations/**`, (route) => (isLost ? route.abort() : route.fallback()));
  await tab.embeds('roster-users', organization.owner, { attributes: { organization: organization.id } });
  await tab.waitsForText(/The connection was lost/);
  isLost = false;
  await tab.button('Try again').click();
  await tab.row(organization.owner.email).waitFor();
  // The API has responded, so a later failure starts no probes.
  tab.requests.length = 0;
  isLost = true;
  await tab.page.locator('roster-users').evaluate((element) => element.refresh());
  await tab.waitsForText(/The connection was lost/);
  assert.deepEqual(tab.sent('GET', /\/organizations$/), []);
});

scenario(env, 'reports an API that cannot be reached as a lost connection', async ({ laptop, open }) => {
  const organization = await laptop.organization();
  const tab = await open();
  tab.expectsErrors(NETWORK_ERROR);
  await tab.page.route(`${laptop.url}/**`, (route) => route.abort());
  await tab.embeds('roster-users', organization.owner, { attributes: { organization: organization.id } });
  await tab.waitsForText(/The connection was lost/);
});
