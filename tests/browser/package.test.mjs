// The elements as a product gets them: packed, unpacked somewhere else, embedded from another origin, type-checked.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Site } from './site.mjs';
import { DEMO_ORGANIZATION } from './states.mjs';
import { stage, story } from './world.mjs';

const web = fileURLToPath(new URL('../../functions/console/web', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'roster-package-'));
const unpacked = path.join(folder, 'package');
let site;

after(async () => {
  await site?.stop();
  rmSync(folder, { recursive: true, force: true });
});

before(async () => {
  // What `prepack` does has been done, by the script that runs the tests.
  const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], { cwd: web, encoding: 'utf8' });
  const [{ filename }] = JSON.parse(packed);
  execFileSync('tar', ['xzf', filename], { cwd: folder });
  site = await Site.start(unpacked);
});

const it = stage({ flags: () => ['--allow-origin', site.url] });

test('the package holds the elements, their types, the guide and the example, and nothing else', () => {
  const files = readdirSync(unpacked, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(unpacked, path.join(entry.parentPath ?? entry.path, entry.name)))
    .map((file) => file.replace(/chunk-\w+/, 'chunk'));
  assert.deepEqual([...new Set(files)].sort(), [
    'README.md',
    'dist/npm/LICENCES.txt',
    'dist/npm/accept.js',
    'dist/npm/chunk.js',
    'dist/npm/types/elements.d.ts',
    'dist/npm/types/openapi.d.ts',
    'dist/npm/users.js',
    'example/index.html',
    'package.json',
  ]);
});

test('its entries are what its package.json says', () => {
  const { exports: entries } = JSON.parse(readFileSync(path.join(unpacked, 'package.json'), 'utf8'));
  for (const { types, default: script } of Object.values(entries)) {
    for (const file of [types, script]) assert(readFileSync(path.join(unpacked, file)).length > 0, file);
  }
});

test('no bundle has an import of what the package does not bring along', () => {
  for (const file of readdirSync(path.join(unpacked, 'dist/npm')).filter((name) => name.endsWith('.js'))) {
    const script = readFileSync(path.join(unpacked, 'dist/npm', file), 'utf8');
    for (const [, from] of script.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g)) assert.match(from, /^\.\//, `${file} imports ${from}`);
  }
});

const RIGHT = `
import 'roster-elements/users';
import 'roster-elements/accept';
import type { GetToken, Invitation, Role } from 'roster-elements/users';

const getToken: GetToken = async ({ refresh }) => (refresh ? null : 'token');
const users = document.createElement('roster-users');
users.apiBase = 'https://users.example.com';
users.organization = 'org_e9qq6x35e8pp8sbddwpp2rvdcm';
users.switch = true;
users.getToken = getToken;
users.addEventListener('roster-invited', ({ detail }) => {
  for (const result of detail.results) {
    if (result.outcome === 'invited') console.log(result.invitation.expires_at);
  }
});
users.addEventListener('roster-role-edited', ({ detail }) => {
  const role: Role = detail.member.role;
  console.log(role);
});
const accept = document.querySelector('roster-accept');
if (accept) accept.token = location.hash.slice(1);
accept?.addEventListener('roster-sign-in', ({ detail }) => console.log(detail.email, detail.change));
export const email = (invitation: Invitation): string => invitation.email;
void users.refresh();
`;
const WRONG = `import 'roster-elements/users';
const users = document.createElement('roster-users');
users.getToken = () => 42;
users.addEventListener('roster-invited', ({ detail }) => detail.nobody);
export {};
`;

test('a product that is written in TypeScript knows elements, properties and events', () => {
  const consumer = path.join(folder, 'consumer');
  mkdirSync(path.join(consumer, 'node_modules'), { recursive: true });
  symlinkSync(unpacked, path.join(consumer, 'node_modules/roster-elements'), 'dir');
  writeFileSync(path.join(consumer, 'right.ts'), RIGHT);
  writeFileSync(path.join(consumer, 'wrong.ts'), WRONG);
  const options = ['--noEmit', '--skipDefaultLibCheck', '--strict', '--exactOptionalPropertyTypes', '--target', 'ES2022', '--module', 'ESNext', '--moduleResolution', 'bundler'];
  const tsc = path.join(web, 'node_modules/typescript/bin/tsc');
  const { stdout } = spawnSync(process.execPath, [tsc, ...options, 'right.ts', 'wrong.ts'], { cwd: consumer, encoding: 'utf8' });
  const told = stdout.split('\n').filter((line) => /^\S/.test(line));
  // What is wrong does not get through, and nothing else is found.
  assert.equal(told.length, 2, stdout);
  assert.match(told[0], /^wrong\.ts\(3,.*number/);
  assert.match(told[1], /^wrong\.ts\(4,.*nobody/);
});

const POLICY = (api) =>
  `default-src 'none'; script-src 'self' 'nonce-example'; style-src 'self' 'nonce-example'; connect-src ${api}; base-uri 'none'; require-trusted-types-for 'script'; trusted-types lit-html`;

/** The example, as somebody adapts it to their laptop and organization. */
async function example(open, laptop, change = (html) => html) {
  const html = readFileSync(path.join(unpacked, 'example/index.html'), 'utf8')
    .replaceAll('http://127.0.0.1:4000', laptop.url)
    .replace('ORGANIZATION', DEMO_ORGANIZATION.id)
    .replace('<style>', '<style nonce="example">')
    .replace('<script type="module">', '<script type="module" nonce="example">');
  const tab = await open();
  const at = site.put('/example/adapted.html', change(html), { 'content-security-policy': POLICY(laptop.url) });
  await tab.page.goto(at);
  await tab.shows('312 of 1,000 seats used');
  return tab;
}

story(it, 'the example runs from another origin, below a strict policy', async ({ laptop, open }) => {
  const tab = await example(open, laptop);
  const users = tab.page.locator('roster-users');
  assert.equal(await users.getByRole('row').count(), 51);
  const api = new Set(tab.requests.map(({ url }) => new URL(url).origin));
  assert.deepEqual(api, new Set([site.url, laptop.url]));
});

story(it, 'custom properties dress it', async ({ laptop, open }) => {
  const tab = await example(open, laptop);
  const look = await tab.page.locator('roster-users').evaluate((element) => {
    const style = (selector) => getComputedStyle(element.shadowRoot.querySelector(selector));
    const { backgroundColor: accent } = style('button.primary');
    const { backgroundColor: paper, fontFamily: font } = style('.card');
    return { accent, paper, font };
  });
  const html = readFileSync(path.join(unpacked, 'example/index.html'), 'utf8');
  const [, accent] = /--roster-accent: light-dark\((#\w+)/.exec(html);
  const [, paper] = /--roster-paper: light-dark\((#\w+)/.exec(html);
  const rgb = (hex) => `rgb(${[1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join(', ')})`;
  assert.deepEqual(look, { accent: rgb(accent), paper: rgb(paper), font: 'Georgia, serif' });
});

story(it, 'its events reach the page', async ({ laptop, open }) => {
  const tab = await example(open, laptop);
  const email = laptop.somebody('packed').email;
  await tab.button('Invite people').click();
  await tab.dialog().getByRole('textbox').fill(email);
  await tab.button('Invite 1 person').click();
  await tab.page.getByRole('log').getByText('roster-invited').waitFor();
  assert.equal((await laptop.mails(email)).length, 1);
});
