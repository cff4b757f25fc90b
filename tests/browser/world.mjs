// The world that stories play in: a laptop and a browser for each file, and for each story pages of its own.
//
// A story fails on whatever a page should not do: an error that nobody catches, an error on the console that was not
// announced, a breach of a policy, a request to anything but the loopback.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { Laptop } from './laptop.mjs';
import { Site } from './site.mjs';

export { A_WHILE, DEMO, TWO_DAYS } from './laptop.mjs';

const CHROMIUM = process.env.ROSTER_CHROMIUM ?? '/usr/bin/chromium';
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Nothing but the loopback has an address.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
];
/** For whatever a page is waited for, in milliseconds: two cores may be busy with much else. */
const PATIENCE_MS = 20_000;
/** For a whole story, in milliseconds; the longest takes a quarter of a minute on two idle cores. */
const STORY_MS_MAX = 180_000;

/** Where pictures go, or undefined. */
export const PICTURES = process.env.ROSTER_PICTURES && path.resolve(process.env.ROSTER_PICTURES);

/** A browser as all tests use it. */
export function startBrowser() {
  return chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
}

/**
 * To be called at the top of a file: its laptop (with `flags`, or what `flags` gives once it starts), its browser, a site of
 * another origin, and for whoever asks for it (`small()`) a second laptop whose organizations have few seats.
 */
export function stage({ flags = [], smallSeats } = {}) {
  const it = {};
  before(async () => {
    it.site = await Site.start();
    const origin = ['--allow-origin', it.site.url];
    [it.laptop, it.browser] = await Promise.all([
      Laptop.start([...(typeof flags === 'function' ? flags() : flags), ...origin]),
      startBrowser(),
    ]);
    let small;
    it.small = () => (small ??= Laptop.start(['--no-demo', '--seats', String(smallSeats), ...origin]));
    it.smallStops = async () => (await small)?.stop();
  });
  after(async () => {
    await it.browser?.close();
    await it.laptop?.stop();
    await it.smallStops?.();
    await it.site?.stop();
  });
  return it;
}

/** A story on that stage: `run({ laptop, site, open })`, where `open(options)` gives a tab of a browser of one's own. */
export function story(it, name, run) {
  test(name, { timeout: STORY_MS_MAX }, async () => {
    const tabs = [];
    const contexts = [];
    const open = async (options) => {
      const tab = await Tab.open(it, options);
      tabs.push(tab);
      contexts.push(tab.page.context());
      return tab;
    };
    const problems = () => tabs.flatMap((tab) => tab.problems);
    try {
      await run({ ...it, open });
    } catch (error) {
      await picturesOf(tabs, name);
      error.message = [error.message, ...problems()].join('\n');
      throw error;
    } finally {
      await Promise.all(contexts.map((context) => context.close()));
    }
    assert.deepEqual(problems(), []);
  });
}

/** What the pages of a story that has failed look like. */
async function picturesOf(tabs, name) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  for (const [number, tab] of tabs.entries()) {
    const file = `failed-${name.replace(/\W+/g, '-').slice(0, 60)}-${number}.png`;
    await tab.page.screenshot({ path: path.join(PICTURES, file) }).catch(() => {});
  }
}

/** In a page: what has the focus, whatever shadow it stands in; with a pattern, whether it is named so. */
function focusIn(pattern) {
  let active = document.activeElement;
  while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
  const label = active?.getAttribute('aria-label') ?? active?.labels?.[0]?.textContent ?? active?.textContent;
  const name = !active || active === document.body ? 'body' : `${active.localName} "${label.replace(/\s+/g, ' ').trim()}"`;
  return pattern === undefined ? name : new RegExp(pattern).test(name);
}

/** A tab in a browser of one's own: nobody is signed in, nothing is stored. */
export class Tab {
  /** What the pages should not have done. */
  problems = [];
  /** Every request: method, URL, headers, body. */
  requests = [];
  #announced = [];

  /** On `laptop` if another one than the stage's is named; with a browser's options. */
  static async open(it, { laptop = it.laptop, width = 1280, height = 900, scheme = 'light', locale = 'en-GB', ...more } = {}) {
    const context = await it.browser.newContext({
      viewport: { width, height },
      colorScheme: scheme,
      locale,
      timezoneId: 'Europe/Berlin',
      ...more,
    });
    context.setDefaultTimeout(PATIENCE_MS);
    const tab = new Tab();
    tab.laptop = laptop;
    tab.site = it.site;
    // Windows that a page opens are its own doing, too.
    context.on('page', (page) => tab.#watch(page));
    await tab.#listen(context);
    tab.page = await context.newPage();
    return tab;
  }

  /** The window that opens while `does` is done. */
  async opens(does) {
    const [page] = await Promise.all([this.page.waitForEvent('popup'), does()]);
    return Object.assign(new Tab(), { laptop: this.laptop, site: this.site, page });
  }

  #watch(page) {
    page.on('pageerror', (error) => this.#problem(`error: ${error.stack ?? error}`));
    page.on('console', (message) => {
      if (!['error', 'warning', 'assert'].includes(message.type())) return;
      this.#problem(`console: ${message.text()} (${message.location().url})`);
    });
    page.on('request', (request) => {
      const url = new URL(request.url());
      const local = ['127.0.0.1', 'localhost', ''].includes(url.hostname);
      if (!local) this.#problem(`request: ${request.url()}`);
      this.requests.push({ method: request.method(), url: request.url(), headers: request.headers(), body: request.postData() });
    });
  }

  async #listen(context) {
    // Also breaches that are only reported, and those inside of `try`.
    await context.exposeBinding('rosterBreach', (_, text) => this.#problem(`policy: ${text}`));
    await context.addInitScript(() => {
      addEventListener('securitypolicyviolation', (event) => {
        globalThis.rosterBreach(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`);
      });
    });
  }

  #problem(text) {
    if (!this.#announced.some((expected) => expected.test(text))) this.problems.push(text);
  }

  /** Announces an error on the console: a pattern, or the status of an answer that is a refusal. */
  expects(...expected) {
    for (const what of expected) this.#announced.push(typeof what === 'number' ? new RegExp(`the server responded with a status of ${what} `) : what);
  }

  get url() {
    return new URL(this.page.url());
  }

  // Getting there.

  /** Opens a page of the laptop. */
  async visits(at) {
    await this.page.goto(this.laptop.url + at);
  }

  /** Signs in on the issuer's page, which is there, by clicks. */
  async chooses({ email }) {
    const { page } = this;
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    const button = page.getByRole('button', { name: email });
    if (await button.count()) {
      await button.first().click();
    } else {
      await page.getByLabel('E-mail address').fill(email);
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    }
  }

  /** Opens the link that was mailed to somebody. */
  async opensMail(email) {
    await this.page.goto((await this.laptop.mail(email)).link);
  }

  /** Opens the console as that person: the real way, by the issuer's page. */
  async signsIn(person, organization) {
    const { page } = this;
    await this.visits(organization ? `/?organization=${organization.id}` : '/');
    await page.getByRole('button', { name: /^(Sign in|Anmelden)$/ }).click();
    await this.chooses(person);
    await page.locator('roster-users').waitFor();
  }

  /** Opens the console as that person, and waits for the list. */
  async manages(organization, person = organization.owner) {
    await this.signsIn(person, organization);
    await this.row(person.email).waitFor();
  }

  /**
   * Opens a product's page with an element in it: `roster-users` or `roster-accept`, with these attributes and
   * properties, for that person, or for nobody.
   */
  async embeds(element, person, { attributes = {}, properties = {}, lang, dir } = {}) {
    const token = person && (await this.laptop.token(person));
    const embedded = { element, attributes, properties, token: token ?? null, lang, dir, api: this.laptop.url };
    await this.page.addInitScript((told) => Object.assign(globalThis, { embedded: told, told: [] }), embedded);
    await this.page.goto(this.site.embedding(this.laptop.url));
  }

  /** The list of an organization, within a product's page, once it is there. */
  async lists(organization, person = organization.owner, { attributes, ...more } = {}) {
    await this.embeds('roster-users', person, { attributes: { organization: organization.id, ...attributes }, ...more });
    await this.row(person.email).waitFor();
  }

  /** The invitation behind that token, within a product's page; without a person, nobody is signed in. */
  async answers(token, person, more = {}) {
    await this.embeds('roster-accept', person, { properties: { token }, ...more });
  }

  /** Events that an embedded element has told, by name. */
  async told() {
    return this.page.evaluate(() => globalThis.told);
  }

  // What is there.

  /** The row of somebody in the list. */
  row(email) {
    return this.page.getByRole('row').filter({ has: this.page.getByRole('rowheader').filter({ hasText: email }) });
  }

  button(name, within = this.page) {
    return within.getByRole('button', { name, exact: typeof name === 'string' });
  }

  heading(name) {
    return this.page.getByRole('heading', { name });
  }

  dialog() {
    return this.page.locator('dialog[open]');
  }

  /** Waits until that text shows. */
  async shows(text, within = this.page) {
    await within.getByText(text).and(within.locator(':not([role=status])')).first().waitFor();
  }

  /** Waits until a screen reader has been told that. */
  async hears(text) {
    await this.page.locator('[role=status], [role=alert]').filter({ hasText: text }).first().waitFor({ state: 'attached' });
  }

  /** What the page's origin keeps in this browser: storages, and cookies that scripts can read. */
  async stored() {
    return this.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  }

  /** Requests of that method whose path matches. */
  sent(method, at) {
    return this.requests.filter((request) => request.method === method && at.test(new URL(request.url).pathname));
  }

  /** Waits until something is so, looking at each frame. */
  async until(condition, argument) {
    await this.page.waitForFunction(condition, argument);
  }

  /** What has the focus: its kind and name, as `button "Keep"`; `body` if nothing has. */
  async focused() {
    return this.page.evaluate(focusIn);
  }

  /** Waits until what has the focus is named so. */
  async focusesOn(pattern) {
    await this.page.waitForFunction(focusIn, pattern.source);
  }

  /** Waits until that has the focus. */
  async focuses(locator) {
    const element = await locator.elementHandle();
    await this.page.waitForFunction((element) => element.getRootNode().activeElement === element, element);
  }

  /**
   * Holds back what is asked for at `url`, until `release` is called; `asked()` resolves once something is. To be called while
   * the page goes nowhere: Chromium may let a request through that is made by a page which is on its way in meanwhile.
   */
  async holds(url) {
    let release;
    const released = new Promise((resolve) => (release = resolve));
    let arrived;
    const arrival = new Promise((resolve) => (arrived = resolve));
    await this.page.route(url, async (route) => {
      arrived();
      await released;
      await route.fallback().catch(() => {});
    });
    return { release, asked: () => within(PATIENCE_MS, arrival, `${url} is asked for`) };
  }
}

/** What `promise` resolves to, or a failure that says what did not come about in time. */
function within(milliseconds, promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${milliseconds} ms in vain: ${what}`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
