// The npm package of the elements: its content and types, and its example on a page of another origin.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Site } from './site.mjs';
import { setUp, scenario } from './harness.mjs';

const web = fileURLToPath(new URL('../../functions/console/web', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'roster-package-'));
const unpacked = path.join(folder, 'package');
let site;

after(async () => {
  await site?.stop();
  rmSync(folder, { recursive: true, force: true });
});

// Packs a copy of the folder, without built files and outside of the repository.
before(async () => {
  const copy = path.join(folder, 'copy');
  const modules = path.join(web, 'node_modules');
  cpSync(web, copy, { recursive: true, filter: (source) => source !== modules && source !== path.join(web, 'dist') });
  symlinkSync(modules, path.join(copy, 'node_modules'), 'dir');
  execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: copy });
  execFileSync('tar', ['xzf', 'roster-elements-0.1.0.tgz'], { cwd: folder });
  site = await Site.start(unpacked);
});

const env = setUp({ flags: () => ['--allow-origin', site.url] });

test('contains only the elements, their types, the guide and the example', () => {
  const files = readdirSync(unpacked, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(unpacked, path.join(entry.parentPath ?? entry.path, entry.name)))
    .map((file) => file.replace(/chunk-\w+/, 'chunk'));
  assert.deepEqual([...new Set(files)].sort(), [
    'LICENSE-APACHE',
    'LICENSE-MIT',
    'README.md',
    'dist/npm/LICENCES.txt',
    'dist/npm/accept.js',
    'dist/npm/chunk.js',
    'dist/npm/types/elements.d.ts',
    'dist/npm/types/openapi.d.ts',
    'dist/npm/users.js',
    'example/index.html',
    'package.json',
    'types/react.d.ts',
    'types/svelte.d.ts',
    'types/vue.d.ts',
  ]);
});

test('contains the licences of the repository', () => {
  for (const licence of ['LICENSE-APACHE', 'LICENSE-MIT']) {
    assert(readFileSync(path.join(unpacked, licence)).equals(readFileSync(path.join(web, '../../..', licence))), licence);
  }
});

test('contains the files that package.json exports', () => {
  const { exports: entries } = JSON.parse(readFileSync(path.join(unpacked, 'package.json'), 'utf8'));
  for (const { types, default: script = types } of Object.values(entries)) {
    for (const file of [types, script]) assert(readFileSync(path.join(unpacked, file)).length > 0, file);
  }
});

test('imports only files of the package', () => {
  for (const file of readdirSync(path.join(unpacked, 'dist/npm')).filter((name) => name.endsWith('.js'))) {
    const script = readFileSync(path.join(unpacked, 'dist/npm', file), 'utf8');
    for (const [, from] of script.matchAll(/\b(?:from|import)\s*\(?\s*["`]([^"`]+)["`]/g)) assert.match(from, /^\.\//, `${file} imports ${from}`);
  }
});

const VALID_CODE = `
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
const INVALID_CODE = `import 'roster-elements/users';
const users = document.createElement('roster-users');
users.getToken = () => 42;
users.addEventListener('roster-invited', ({ detail }) => detail.unknown);
export {};
`;

/** A folder in which the package is installed, without a framework. */
function installed() {
  const consumer = mkdtempSync(path.join(folder, 'consumer-'));
  mkdirSync(path.join(consumer, 'node_modules'), { recursive: true });
  symlinkSync(unpacked, path.join(consumer, 'node_modules/roster-elements'), 'dir');
  writeFileSync(path.join(consumer, 'package.json'), '{ "type": "module" }');
  return consumer;
}

for (const module of ['bundler', 'nodenext']) {
  test(`gives a TypeScript product the types of elements, properties and events: ${module}`, () => checkTypes(module));
}

function checkTypes(module) {
  const consumer = installed();
  writeFileSync(path.join(consumer, 'valid.ts'), VALID_CODE);
  writeFileSync(path.join(consumer, 'invalid.ts'), INVALID_CODE);
  const options = ['--noEmit', '--skipDefaultLibCheck', '--strict', '--exactOptionalPropertyTypes', '--target', 'ES2022', '--module', module === 'bundler' ? 'ESNext' : module, '--moduleResolution', module];
  const tsc = path.join(web, 'node_modules/typescript/bin/tsc');
  const { stdout } = spawnSync(process.execPath, [tsc, ...options, 'valid.ts', 'invalid.ts'], { cwd: consumer, encoding: 'utf8' });
  const errors = stdout.split('\n').filter((line) => /^\S/.test(line));
  // Only the two errors in the invalid code are reported.
  assert.equal(errors.length, 2, stdout);
  assert.match(errors[0], /^invalid\.ts\(3,.*number/);
  assert.match(errors[1], /^invalid\.ts\(4,.*unknown/);
}

test('can be imported on a server, and defines nothing there', () => {
  const consumer = installed();
  const script = `
    import { createRequire } from 'node:module';
    await import('roster-elements/users');
    createRequire(import.meta.url)('roster-elements/accept');
    console.log(globalThis.customElements, globalThis.document);
  `;
  writeFileSync(path.join(consumer, 'server.js'), script);
  assert.equal(execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', 'server.js'], { cwd: consumer, encoding: 'utf8' }), 'undefined undefined\n');
});

const POLICY = (api) =>
  `default-src 'none'; script-src 'self' 'nonce-example'; style-src 'self' 'nonce-example'; connect-src ${api}; base-uri 'none'; require-trusted-types-for 'script'; trusted-types lit-html`;

/** Opens the example, adapted to the laptop of this test. */
async function openExample(open, laptop) {
  const html = readFileSync(path.join(unpacked, 'example/index.html'), 'utf8')
    .replaceAll('http://127.0.0.1:4000', laptop.url)
    .replace('<style>', '<style nonce="example">')
    .replace('<script type="module">', '<script type="module" nonce="example">');
  const tab = await open();
  const url = site.put('/example/adapted.html', html, { 'content-security-policy': POLICY(laptop.url) });
  await tab.page.goto(url);
  await tab.waitsForText('312 of 1,000 seats used');
  return tab;
}

scenario(env, 'runs the example on another origin under a strict policy', async ({ laptop, open }) => {
  const tab = await openExample(open, laptop);
  const users = tab.page.locator('roster-users');
  assert.equal(await users.getByRole('row').count(), 51);
  const origins = new Set(tab.requests.map(({ url }) => new URL(url).origin));
  assert.deepEqual(origins, new Set([site.url, laptop.url]));
});

scenario(env, 'takes over the properties that the page has set before the elements are defined', async ({ laptop, open }) => {
  const invitee = laptop.newPerson('invitee');
  const organization = await laptop.organization({ name: 'Upgraded', pending: [invitee.email] });
  const { token } = await laptop.mail(invitee.email);
  const tab = await open();
  await tab.page.goto(site.put('/upgrade.html', '<!doctype html><title>App</title><roster-users></roster-users><roster-accept></roster-accept>'));
  await tab.page.evaluate(
    async ([users, accept]) => {
      const set = (name, { signIn, ...properties }) =>
        Object.assign(document.querySelector(name), properties, { getToken: () => signIn });
      set('roster-users', users);
      set('roster-accept', accept);
      await import('/dist/npm/users.js');
      await import('/dist/npm/accept.js');
    },
    [
      { apiBase: laptop.url, organization: organization.id, signIn: await laptop.token(organization.owner) },
      { apiBase: laptop.url, token, signIn: await laptop.token(invitee) },
    ],
  );
  await tab.row(invitee.email).waitFor();
  await tab.button('Accept invitation', tab.page.locator('roster-accept')).waitFor();
});

scenario(env, 'applies custom properties', async ({ laptop, open }) => {
  const tab = await openExample(open, laptop);
  const styles = await tab.page.locator('roster-users').evaluate((element) => {
    const style = (selector) => getComputedStyle(element.shadowRoot.querySelector(selector));
    const { backgroundColor: accent } = style('button.primary');
    const { backgroundColor: paper, fontFamily: font } = style('.card');
    return { accent, paper, font };
  });
  const html = readFileSync(path.join(unpacked, 'example/index.html'), 'utf8');
  const [, accent] = /--roster-accent: light-dark\((#\w+)/.exec(html);
  const [, paper] = /--roster-paper: light-dark\((#\w+)/.exec(html);
  const rgb = (hex) => `rgb(${[1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16)).join(', ')})`;
  assert.deepEqual(styles, { accent: rgb(accent), paper: rgb(paper), font: 'Georgia, serif' });
});

scenario(env, 'emits events that reach the page', async ({ laptop, open }) => {
  const tab = await openExample(open, laptop);
  const email = laptop.newPerson('packed').email;
  await tab.button('Invite people').click();
  await tab.dialog().getByRole('textbox').fill(email);
  await tab.button('Invite 1 person').click();
  await tab.page.getByRole('log').getByText('roster-invited').waitFor();
  assert.equal((await laptop.mails(email)).length, 1);
});
