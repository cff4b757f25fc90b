// Measures how soon a page is ready on a slow device: `npm run speed`. Simulates a processor that is four times slower
// and Lighthouse's slow 4G, with an empty cache. The page shows the demo organization with 312 taken seats.
import { gzipSync } from 'node:zlib';
import { DEMO, startBrowser } from './harness.mjs';
import { Laptop } from './laptop.mjs';
import { Site } from './site.mjs';
import { DEMO_ORGANIZATION } from './states.mjs';

const RUNS = 7;
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

const site = await Site.start();
const laptop = await Laptop.start(['--allow-origin', site.url]);
const browser = await startBrowser();

const hasRows = (count) => {
  const users = (root) => root.querySelector('roster-users') ?? [...root.querySelectorAll('*')].map((node) => node.shadowRoot && users(node.shadowRoot)).find(Boolean);
  return users(document)?.shadowRoot?.querySelectorAll('tr').length === count;
};
const hasButton = () => {
  const accept = (root) => root.querySelector('roster-accept') ?? [...root.querySelectorAll('*')].map((node) => node.shadowRoot && accept(node.shadowRoot)).find(Boolean);
  return Boolean(accept(document)?.shadowRoot?.querySelector('button'));
};

/**
 * Measures one cold visit, from opening `address` until `ready(argument)` holds. `prepare` is not slowed down or
 * measured.
 */
async function visit({ prepare, address, ready, argument }) {
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
    parts.set(response.url(), response.body().catch(() => Buffer.alloc(0)));
  });
  const started = performance.now();
  await page.goto(address, { waitUntil: 'commit' });
  await page.waitForFunction(ready, argument, { polling: 'raf' });
  const ms = performance.now() - started;
  const gzip = (await Promise.all(parts.values())).reduce((sum, body) => sum + gzipSync(body, { level: 9 }).length, 0);
  await context.close();
  return { ms, gzip, ...sizes };
}

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

const owner = laptop.person(DEMO.owner);
const token = await laptop.token(owner);
const embedding = site.embedding(laptop.url);
const { link } = await laptop.mail(DEMO.invitee);

const pages = {
  'element, with a token': {
    prepare: (page) =>
      page.addInitScript((embedded) => Object.assign(globalThis, { embedded, events: [] }), {
        element: 'roster-users',
        attributes: { organization: DEMO_ORGANIZATION.id },
        properties: {},
        token,
        api: laptop.url,
      }),
    address: embedding,
    ready: hasRows,
    argument: ROWS,
  },
  'console, with a session': {
    prepare: async (page) => {
      await page.goto(`${laptop.url}/`);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('button', { name: DEMO.owner }).click();
      await page.waitForFunction(hasRows, ROWS);
      await page.goto('about:blank');
    },
    address: `${laptop.url}/`,
    ready: hasRows,
    argument: ROWS,
  },
  'accept page': { address: link, ready: hasButton },
};

console.log(`medians of ${RUNS} cold visits, processor ${CPU_TIMES_SLOWER} times slower, slow 4G\n`);
console.log('| page | ready, ms | fastest | transferred, kB | script and style, kB gzip | requests |');
console.log('| --- | --- | --- | --- | --- | --- |');
for (const [name, page] of Object.entries(pages)) {
  const runs = [];
  for (let run = 0; run < RUNS; run++) runs.push(await visit(page));
  const of = (key) => median(runs.map((run) => run[key]));
  const kB = (bytes) => (bytes / 1000).toFixed(1);
  const note = of('ms') > READY_MS_MAX ? ` (over ${READY_MS_MAX})` : '';
  const fastest = Math.min(...runs.map(({ ms }) => ms));
  console.log(`| ${name} | ${Math.round(of('ms'))}${note} | ${Math.round(fastest)} | ${kB(of('bytes'))} | ${kB(of('gzip'))} | ${of('requests')} |`);
}

await browser.close();
await laptop.stop();
await site.stop();
