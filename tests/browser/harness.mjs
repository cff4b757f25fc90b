// The harness of the browser scenarios. Each test file has its own local server ("the laptop") and browser. Each
// scenario has its own tabs.
//
// A scenario also fails if a page throws an uncaught error, logs an unexpected error, violates its
// Content-Security-Policy, or sends a request to another host than the loopback.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { Laptop } from './laptop.mjs';
import { Site } from './site.mjs';

export { DEMO, INVITATION_LIFETIME, MAIL_COOLDOWN } from './laptop.mjs';

const CHROMIUM = process.env.ROSTER_CHROMIUM ?? '/usr/bin/chromium';
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // No host except the loopback can be resolved.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
];
/** The timeout of each wait, in milliseconds. It is long because the tests may share two cores with other work. */
const TIMEOUT_MS = 20_000;
/** The timeout of a scenario, in milliseconds. The longest scenario takes 15 s on two idle cores. */
const SCENARIO_MS_MAX = 180_000;

/** The folder for screenshots, or undefined. */
export const PICTURES = process.env.ROSTER_PICTURES && path.resolve(process.env.ROSTER_PICTURES);

/** Starts a browser with the options that all tests use, and others. */
export function startBrowser(args = []) {
  return chromium.launch({ executablePath: CHROMIUM, args: [...ARGUMENTS, ...args] });
}

/**
 * Sets up the environment of a test file. Call it at the top of the file.
 *
 * The environment contains a laptop, a browser, and a site of another origin. `flags` are the laptop's flags, or a
 * function that returns them when the laptop starts. `small()` starts a second laptop, with `smallSeats` seats per
 * organization.
 */
export function setUp({ flags = [], smallSeats } = {}) {
  const env = {};
  before(async () => {
    env.site = await Site.start();
    const origin = ['--allow-origin', env.site.url];
    [env.laptop, env.browser] = await Promise.all([
      Laptop.start([...(typeof flags === 'function' ? flags() : flags), ...origin]),
      startBrowser(),
    ]);
    let small;
    env.small = () => (small ??= Laptop.start(['--no-demo', '--seats', String(smallSeats), ...origin]));
    env.stopSmall = async () => (await small)?.stop();
  });
  after(async () => {
    await env.browser?.close();
    await env.laptop?.stop();
    await env.stopSmall?.();
    await env.site?.stop();
  });
  return env;
}

/**
 * Defines a scenario. It calls `run({ ...env, open })`, where `open(options)` opens a tab with its own browser context.
 */
export function scenario(env, name, run) {
  test(name, { timeout: SCENARIO_MS_MAX }, async () => {
    const tabs = [];
    const contexts = [];
    const open = async (options) => {
      const tab = await Tab.open(env, options);
      tabs.push(tab);
      contexts.push(tab.page.context());
      return tab;
    };
    const problems = () => tabs.flatMap((tab) => tab.problems);
    try {
      await run({ ...env, open });
    } catch (error) {
      await takeFailureScreenshots(tabs, name);
      error.message = [error.message, ...problems()].join('\n');
      throw error;
    } finally {
      await Promise.all(contexts.map((context) => context.close()));
    }
    assert.deepEqual(problems(), []);
  });
}

/** Takes screenshots of the pages of a failed scenario, if `PICTURES` is set. */
async function takeFailureScreenshots(tabs, name) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  for (const [number, tab] of tabs.entries()) {
    const file = `failed-${name.replace(/\W+/g, '-').slice(0, 60)}-${number}.png`;
    await tab.page.screenshot({ path: path.join(PICTURES, file) }).catch(() => {});
  }
}

/** Runs in the page. Returns the kind and name of the focused element. With a pattern, returns whether it matches. */
function describeFocus(pattern) {
  let active = document.activeElement;
  while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
  const label = active?.getAttribute('aria-label') ?? active?.labels?.[0]?.textContent ?? active?.textContent;
  const name = !active || active === document.body ? 'body' : `${active.localName} "${label.replace(/\s+/g, ' ').trim()}"`;
  return pattern === undefined ? name : new RegExp(pattern).test(name);
}

/** A tab in its own browser context, without a session and without stored data. */
export class Tab {
  /** Everything that the pages did wrong. */
  problems = [];
  /** Every request: method, URL, headers, body. */
  requests = [];
  /** Patterns of errors that the scenario expects. */
  #expectedErrors = [];

  /** Opens a tab. The pages come from `laptop`, by default the environment's. `contextOptions` are Playwright's. */
  static async open(env, options = {}) {
    const { laptop = env.laptop, width = 1280, height = 900, scheme = 'light', locale = 'en-GB', ...contextOptions } = options;
    const context = await env.browser.newContext({
      viewport: { width, height },
      colorScheme: scheme,
      locale,
      timezoneId: 'Europe/Berlin',
      ...contextOptions,
    });
    context.setDefaultTimeout(TIMEOUT_MS);
    const tab = new Tab();
    tab.laptop = laptop;
    tab.site = env.site;
    // Watch windows that the page opens as well.
    context.on('page', (page) => tab.#watch(page));
    await tab.#listen(context);
    tab.page = await context.newPage();
    return tab;
  }

  /** Returns the window that opens during `action`. */
  async opensWindow(action) {
    const [page] = await Promise.all([this.page.waitForEvent('popup'), action()]);
    return Object.assign(new Tab(), { laptop: this.laptop, site: this.site, page });
  }

  #watch(page) {
    page.on('pageerror', (error) => this.#problem(`error: ${error.stack || error}`));
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
    // The event also reports violations of a report-only policy, and violations inside of `try`.
    await context.exposeBinding('reportViolation', (_, text) => this.#problem(`policy: ${text}`));
    await context.addInitScript(() => {
      addEventListener('securitypolicyviolation', (event) => {
        globalThis.reportViolation(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`);
      });
    });
  }

  #problem(text) {
    if (!this.#expectedErrors.some((expected) => expected.test(text))) this.problems.push(text);
  }

  /** Allows errors in the browser's console: patterns of the text, or status codes of responses. */
  expectsErrors(...expected) {
    for (const error of expected) {
      const pattern = typeof error === 'number' ? new RegExp(`the server responded with a status of ${error} `) : error;
      this.#expectedErrors.push(pattern);
    }
  }

  get url() {
    return new URL(this.page.url());
  }

  // Navigation.

  /** Opens a page of the laptop. */
  async visits(path) {
    await this.page.goto(this.laptop.url + path);
  }

  /** Signs in on the issuer's page, which must be open. Uses the mouse. */
  async signsInAtIssuer({ email }) {
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

  /** Opens the link in the newest mail to `email`. */
  async opensMailLink(email) {
    await this.page.goto((await this.laptop.mail(email)).link);
  }

  /** Opens the console and signs in as `person` on the issuer's page. */
  async signsIn(person, organization) {
    const { page } = this;
    await this.visits(organization ? `/?organization=${organization.id}` : '/');
    await page.getByRole('button', { name: /^(Sign in|Anmelden)$/ }).click();
    await this.signsInAtIssuer(person);
    await page.locator('roster-users').waitFor();
  }

  /** Opens the console, signs in as `person`, and waits for the list. */
  async opensConsole(organization, person = organization.owner) {
    await this.signsIn(person, organization);
    await this.#waitsForList(person);
  }

  /**
   * Opens a page of another origin with an embedded element: `roster-users` or `roster-accept`. Without `person`, the
   * user is not signed in. With `forgetsToken`, the page does not set `getToken`.
   */
  async embeds(element, person, { attributes = {}, properties = {}, lang, dir, forgetsToken = false } = {}) {
    const token = person && (await this.laptop.token(person));
    const embedded = { element, attributes, properties, token: token ?? null, lang, dir, forgetsToken, api: this.laptop.url };
    await this.page.addInitScript((embedded) => Object.assign(globalThis, { embedded, events: [] }), embedded);
    await this.page.goto(this.site.embedding(this.laptop.url));
  }

  /** Opens a page with an embedded `roster-users` element, and waits for the list. */
  async embedsUsers(organization, person = organization.owner, { attributes, ...options } = {}) {
    await this.embeds('roster-users', person, { attributes: { organization: organization.id, ...attributes }, ...options });
    await this.#waitsForList(person);
  }

  /** Waits until the list has all rows. It shows the first ones earlier. */
  async #waitsForList(person) {
    await this.row(person.email).waitFor();
    await this.page.locator('roster-users section[aria-busy=false]').waitFor();
  }

  /** Opens a page with an embedded `roster-accept` element. Without `person`, the user is not signed in. */
  async embedsAccept(token, person, options = {}) {
    await this.embeds('roster-accept', person, { properties: { token }, ...options });
  }

  /** Returns the events of the embedded element, each with `name` and `detail`. */
  async events() {
    return this.page.evaluate(() => globalThis.events);
  }

  /** Selects the role "Owner" for a member in the list, and confirms it. */
  async makesOwner({ email }) {
    const role = this.row(email).getByRole('combobox');
    await role.focus();
    await role.selectOption('owner');
    await this.button('Make owner').click();
  }

  // Content.

  /** The row of an address in the list. */
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

  /** Waits until the text is visible. Ignores the live region. */
  async waitsForText(text, within = this.page) {
    await within.getByText(text).and(within.locator(':not([role=status])')).first().waitFor();
  }

  /** Waits until the text is in a live region, which screen readers read out. */
  async waitsForAnnouncement(text) {
    await this.page.locator('[role=status], [role=alert]').filter({ hasText: text }).first().waitFor({ state: 'attached' });
  }

  /**
   * Returns, as JSON, what the page's origin stores in the browser: both storages, and cookies that scripts can read.
   */
  async storedData() {
    return this.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  }

  /** Returns the requests with this method and a matching path. */
  sent(method, pattern) {
    return this.requests.filter((request) => request.method === method && pattern.test(new URL(request.url).pathname));
  }

  /** Waits until the condition holds in the page. */
  async waitsUntil(condition, argument) {
    await this.page.waitForFunction(condition, argument);
  }

  /** Returns the kind and name of the focused element, like `button "Keep"`, or `body` if there is none. */
  async focused() {
    return this.page.evaluate(describeFocus);
  }

  /** Waits until the kind and name of the focused element match the pattern. */
  async waitsForFocusOn(pattern) {
    await this.page.waitForFunction(describeFocus, pattern.source);
  }

  /** Waits until the element has the focus. */
  async waitsForFocus(locator) {
    const element = await locator.elementHandle();
    await this.page.waitForFunction((element) => element.getRootNode().activeElement === element, element);
  }

  /**
   * Delays requests to `url` until `release` is called. `requested()` resolves at the first request.
   *
   * Do not call this during a navigation: Chromium may let a request of the new page through.
   */
  async delaysRequests(url) {
    let release;
    const released = new Promise((resolve) => (release = resolve));
    let onRequest;
    const firstRequest = new Promise((resolve) => (onRequest = resolve));
    await this.page.route(url, async (route) => {
      onRequest();
      await released;
      await route.fallback().catch(() => {});
    });
    return { release, requested: () => withTimeout(TIMEOUT_MS, firstRequest, `a request to ${url}`) };
  }
}

/** Returns the result of `promise`. Fails after the timeout. */
function withTimeout(milliseconds, promise, expected) {
  let timer;
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timeout after ${milliseconds} ms: ${expected}`)), milliseconds);
  });
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}

/** Returns the role of a person in the organization; undefined if the person is not a member. */
export async function roleOf(organization, person) {
  return (await organization.owner.members(organization)).find(({ email }) => email === person.email)?.role;
}
