// Measures pages on a slow device: `npm run speed`. Simulates a processor that is four times slower.
//
// First, how soon a page is ready, on Lighthouse's slow 4G with an empty cache. The list shows the demo organization
// with 312 taken seats. Then a list of 1,000 people: the time until its first rows and until all people are loaded,
// and the time from a keystroke in the search or a click on a page button to the next paint. The processor time of the
// page's main thread, from one input to the next, depends less on other work of the machine.
//
// `node speed.mjs ready` or `large` measures one part. `--check` fails if a figure is above its limit. Figures depend on
// the machine and its load, so this is not a test.
import { gzipSync } from 'node:zlib';
import { DEMO, INVITATION_LIFETIME, startBrowser } from './harness.mjs';
import { Laptop } from './laptop.mjs';
import { Site } from './site.mjs';
import { DEMO_ORGANIZATION } from './states.mjs';

const RUNS = 7;
const LARGE_RUNS = 3;
const CPU_TIMES_SLOWER = 4;
const SLOW_4G = {
  offline: false,
  latency: 150,
  downloadThroughput: (1.6 * 1000 * 1000) / 8,
  uploadThroughput: (750 * 1000) / 8,
};
/** The rows of one page, and the header row. */
const ROWS = 51;
/** The required time from opening the URL to 50 rows, in milliseconds. */
const READY_MS_MAX = 2_500;
/**
 * The required times from an input to the next paint, in milliseconds. A response within 100 ms appears immediate
 * (RAIL). While a person types, the next keystroke follows sooner.
 */
const KEYSTROKE_MS_MAX = 50;
const PAGE_TURN_MS_MAX = 100;
/** The people of the large organization. With its owner they are 1,000. */
const LARGE = { members: 599, expired: 100, pending: 300 };
/** The texts that are typed into the search and deleted again, key by key. */
const SEARCHES = ['cool12', 'guest-7', 'late-3 partner'];
/** The number of pages that one run turns forward, and back again. */
const PAGE_TURNS = 5;
/** Event Timing does not report shorter events. */
const EVENT_MS_MIN = 16;

const parts = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const measures = (part) => !parts.length || parts.includes(part);
const site = await Site.start();
const laptop = await Laptop.start(['--allow-origin', site.url]);
const browser = await startBrowser();
const embedding = site.embedding(laptop.url);

const hasRows = (count) => {
  const users = (root) => root.querySelector('roster-users') ?? [...root.querySelectorAll('*')].map((node) => node.shadowRoot && users(node.shadowRoot)).find(Boolean);
  return users(document)?.shadowRoot?.querySelectorAll('tr').length === count;
};
const hasFirstRows = () => document.querySelector('roster-users')?.shadowRoot?.querySelectorAll('tr').length > 1;
const hasAllPeople = () => document.querySelector('roster-users')?.shadowRoot?.querySelector('.pages')?.textContent.includes('of 1,000');
const hasButton = () => {
  const accept = (root) => root.querySelector('roster-accept') ?? [...root.querySelectorAll('*')].map((node) => node.shadowRoot && accept(node.shadowRoot)).find(Boolean);
  return Boolean(accept(document)?.shadowRoot?.querySelector('button'));
};

/** Embeds the list of an organization in the site's page. */
const embedsUsers = (organization, token) => (page) =>
  page.addInitScript((embedded) => Object.assign(globalThis, { embedded, events: [] }), {
    element: 'roster-users',
    attributes: { organization: organization.id },
    properties: {},
    token,
    api: laptop.url,
  });

/**
 * Measures one cold visit: the times from opening `address` until each of the conditions `ready` holds with `argument`.
 * `prepare` is not slowed down or measured. `then` continues on the page, which is still slow.
 */
async function visit({ prepare, address, ready, argument, then }) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'en-GB' });
  const page = await context.newPage();
  await prepare?.(page);
  const session = await context.newCDPSession(page);
  await session.send('Network.enable');
  await session.send('Network.clearBrowserCache');
  await session.send('Network.emulateNetworkConditions', SLOW_4G);
  await session.send('Emulation.setCPUThrottlingRate', { rate: CPU_TIMES_SLOWER });
  const sizes = { bytes: 0, requests: 0 };
  session.on('Network.requestWillBeSent', () => sizes.requests++);
  session.on('Network.loadingFinished', ({ encodedDataLength }) => (sizes.bytes += encodedDataLength));
  // Collect the files by URL: a sign-in loads the page twice, the second time from the cache.
  const parts = new Map();
  page.on('response', (response) => {
    if (!['script', 'stylesheet'].includes(response.request().resourceType()) || parts.has(response.url())) return;
    // The browser drops the body if a sign-in leaves the page before it is read.
    const again = async () => Buffer.from(await (await fetch(response.url())).arrayBuffer());
    parts.set(response.url(), response.body().catch(again));
  });
  const started = performance.now();
  await page.goto(address, { waitUntil: 'commit' });
  const ms = [];
  for (const condition of ready) {
    await page.waitForFunction(condition, argument, { polling: 'raf' });
    ms.push(performance.now() - started);
  }
  const gzip = (await Promise.all(parts.values())).reduce((sum, body) => sum + gzipSync(body, { level: 9 }).length, 0);
  const result = await then?.(page);
  await context.close();
  return { ms, gzip, ...sizes, ...result };
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
let isAbove = false;
/** Formats a time, and marks it if it is above the limit. */
function format(ms, limit = Infinity) {
  isAbove ||= ms > limit;
  return `${Math.round(ms)}${ms > limit ? ` (over ${limit})` : ''}`;
}

async function measureReady() {
  const token = await laptop.token(laptop.person(DEMO.owner));
  const { link } = await laptop.mail(DEMO.invitee);
  const pages = {
    'element, with a token': { prepare: embedsUsers(DEMO_ORGANIZATION, token), address: embedding, ready: [hasRows], argument: ROWS },
    'console, with a session': {
      prepare: async (page) => {
        await page.goto(`${laptop.url}/`);
        await page.getByRole('button', { name: 'Sign in' }).click();
        await page.getByRole('button', { name: DEMO.owner }).click();
        await page.waitForFunction(hasRows, ROWS);
        await page.goto('about:blank');
      },
      address: `${laptop.url}/`,
      ready: [hasRows],
      argument: ROWS,
    },
    'accept page': { address: link, ready: [hasButton] },
  };
  console.log(`medians of ${RUNS} cold visits, processor ${CPU_TIMES_SLOWER} times slower, slow 4G\n`);
  console.log('| page | ready, ms | fastest | transferred, kB | script and style, kB gzip | requests |');
  console.log('| --- | --- | --- | --- | --- | --- |');
  for (const [name, page] of Object.entries(pages)) {
    const runs = [];
    for (let run = 0; run < RUNS; run++) runs.push(await visit(page));
    const of = (key) => median(runs.map((run) => run[key]));
    const times = runs.map(({ ms: [ready] }) => ready);
    const kB = (bytes) => (bytes / 1000).toFixed(1);
    console.log(
      `| ${name} | ${format(median(times), READY_MS_MAX)} | ${format(Math.min(...times))} | ${kB(of('bytes'))} | ${kB(of('gzip'))} | ${of('requests')} |`,
    );
  }
}

/** Creates the large organization. */
async function createLarge() {
  const owner = laptop.newPerson();
  const addresses = (count, name, domain) => Array.from({ length: count }, (_, number) => `${name}${number}@${domain}`);
  const members = addresses(LARGE.members, 'cool', 'acme.example').map((email) => laptop.person(email));
  const organization = await laptop.organization({ name: 'Large', owner, members, pending: addresses(LARGE.expired, 'late-', 'partner.example') });
  await laptop.advance(INVITATION_LIFETIME);
  await owner.invites(organization, addresses(LARGE.pending, 'guest-', 'partner.example'));
  await laptop.idle();
  return { owner, organization };
}

/** Types into the search and turns pages. Returns the times from each input to the next paint. */
async function interact(page) {
  await page.evaluate((durationThreshold) => {
    globalThis.inputs = [];
    new PerformanceObserver((list) => {
      for (const { interactionId, startTime, duration } of list.getEntries()) {
        if (interactionId) globalThis.inputs.push({ at: startTime, ms: duration });
      }
    }).observe({ type: 'event', durationThreshold });
  }, EVENT_MS_MIN);
  const afterFrames = () =>
    page.evaluate(async () => {
      for (let frame = 0; frame < 2; frame++) await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
      return performance.now();
    });
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const processorMs = async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return 1000 * metrics.find(({ name }) => name === 'TaskDuration').value;
  };
  const starts = [];
  const act = async (kind, action) => {
    starts.push({ kind, from: await afterFrames(), work: await processorMs() });
    await action();
  };
  await page.getByRole('searchbox').focus();
  for (const text of SEARCHES) {
    for (const key of [...text, ...Array(text.length).fill('Backspace')]) await act('keystroke', () => page.keyboard.press(key));
  }
  for (const name of ['Next', 'Previous']) {
    for (let turn = 0; turn < PAGE_TURNS; turn++) {
      await act('pageTurn', () => page.getByRole('button', { name, exact: true }).last().click());
    }
  }
  await act('end', afterFrames);
  // Times may be reported much later than the paint. A keystroke or click has several events.
  const inputs = await page.evaluate(() => globalThis.inputs);
  const timesOf = (wanted) =>
    starts.flatMap(({ kind, from, work }, index) => {
      const next = starts[index + 1];
      const events = inputs.filter(({ at }) => at >= from && at < next?.from);
      return kind === wanted ? [{ paint: Math.max(EVENT_MS_MIN, ...events.map(({ ms }) => ms)), work: next.work - work }] : [];
    });
  return { keystrokes: timesOf('keystroke'), pageTurns: timesOf('pageTurn') };
}

async function measureLarge() {
  const { owner, organization } = await createLarge();
  const prepare = embedsUsers(organization, await laptop.token(owner));
  const runs = [];
  for (let run = 0; run < LARGE_RUNS; run++) {
    runs.push(await visit({ prepare, address: embedding, ready: [hasFirstRows, hasAllPeople], then: interact }));
  }
  const of = (kind, key) => runs.flatMap((run) => run[kind].map((input) => input[key]));
  const figures = [
    ['first rows', runs.map(({ ms }) => ms[0])],
    ['all people', runs.map(({ ms }) => ms[1])],
    ['keystroke in the search, to paint', of('keystrokes', 'paint'), KEYSTROKE_MS_MAX],
    ['keystroke in the search, processor', of('keystrokes', 'work')],
    ['page turn, to paint', of('pageTurns', 'paint'), PAGE_TURN_MS_MAX],
    ['page turn, processor', of('pageTurns', 'work')],
  ];
  console.log(`1,000 people, ${LARGE_RUNS} cold visits, processor ${CPU_TIMES_SLOWER} times slower, slow 4G\n`);
  console.log('| 1,000 people | median, ms | fastest | slowest | measurements |');
  console.log('| --- | --- | --- | --- | --- |');
  for (const [name, times, limit] of figures) {
    console.log(`| ${name} | ${format(median(times))} | ${format(Math.min(...times))} | ${format(Math.max(...times), limit)} | ${times.length} |`);
  }
}

if (measures('ready')) await measureReady();
if (measures('large')) await measureLarge();

await browser.close();
await laptop.stop();
await site.stop();
if (isAbove && process.argv.includes('--check')) process.exitCode = 1;
