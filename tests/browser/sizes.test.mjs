// The built pages: their sizes must stay below fixed limits, and their files must be complete.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

export const SITE = fileURLToPath(new URL('../../functions/console/web/dist/site', import.meta.url));

/** The limits for scripts and styles of one page together, in bytes after gzip. */
const PAGE_BYTES_MAX = { 'index.html': 18_000, 'accept.html': 22_000 };
/** The limit for the scripts and styles that show the list to a user who is signed in, in bytes after gzip. */
const LIST_BYTES_MAX = 32_000;
/** The limit for each script that is loaded later (a dialog, a language, the sign-in), in bytes after gzip. */
const LAZY_BYTES_MAX = 15_000;

const gzip = (file) => gzipSync(readFileSync(path.join(SITE, file)), { level: 9 }).length;

/** Returns the scripts and styles that a page references. */
export function partsOf(page) {
  const html = readFileSync(path.join(SITE, page), 'utf8');
  return [...html.matchAll(/<(?:script|link)\b[^>]*?(?:src|href)="\/(assets\/[^"]+\.(?:js|css))"/g)].map(([, file]) => file);
}

const bytesOf = (files) => files.reduce((sum, file) => sum + gzip(file), 0);

for (const [page, limit] of Object.entries(PAGE_BYTES_MAX)) {
  test(`keeps scripts and styles of ${page} below the limit`, (context) => {
    const files = partsOf(page);
    assert(files.some((file) => file.endsWith('.js')) && files.some((file) => file.endsWith('.css')), `${page} loads ${files}`);
    const bytes = bytesOf(files);
    context.diagnostic(`${bytes} bytes in ${files.length} files`);
    assert(bytes < limit, `${bytes} bytes`);
  });
}

test('keeps scripts and styles of the list below the limit', (context) => {
  const scripts = readdirSync(path.join(SITE, 'assets')).filter((file) => file.endsWith('.js')).map((file) => `assets/${file}`);
  const list = scripts.filter((file) => /define\(.roster-users./.test(readFileSync(path.join(SITE, file), 'utf8')));
  assert.equal(list.length, 1, `${list}`);
  const bytes = bytesOf([...new Set([...partsOf('index.html'), ...list])]);
  context.diagnostic(`${bytes} bytes`);
  assert(bytes < LIST_BYTES_MAX, `${bytes} bytes`);
});

// The entry of the accept page has the same name as the module that it loads.
for (const [page, script, count] of [['index.html', /^console-/, 1], ['accept.html', /^accept-/, 2]]) {
  test(`preloads all scripts that ${page} needs at its start`, () => {
    const preloaded = partsOf(page).filter((file) => file.endsWith('.js')).map((file) => path.basename(file));
    assert.equal(preloaded.filter((file) => script.test(file)).length, count, `${page} loads ${preloaded}`);
    for (const file of preloaded) {
      const code = readFileSync(path.join(SITE, 'assets', file), 'utf8');
      for (const [, imported] of code.matchAll(/\b(?:from|import)\s*"\.\/([^"]+)"/g)) assert(preloaded.includes(imported), `${file} imports ${imported}`);
    }
  });

  test(`${page} names the licences of the code in its scripts`, () => {
    const [, file] = /<!-- Third-party licences: \/(\S+) -->/.exec(readFileSync(path.join(SITE, page), 'utf8'));
    const text = readFileSync(path.join(SITE, file), 'utf8');
    const packages = JSON.parse(readFileSync(path.join(SITE, '.packages.json'), 'utf8'));
    assert(packages.some(({ name }) => name === 'lit'));
    for (const { name, version } of packages) assert.match(text, new RegExp(`^${name} ${version}\n\n.*licen[cs]e`, 'ims'));
  });
}

test('keeps each script that is loaded later below the limit', () => {
  const preloaded = ['index.html', 'accept.html'].flatMap(partsOf).map((file) => path.basename(file));
  const scripts = readdirSync(path.join(SITE, 'assets')).filter((file) => file.endsWith('.js') && !preloaded.includes(file));
  assert(scripts.length, 'no script is loaded later');
  const large = scripts.map((file) => [file, gzip(`assets/${file}`)]).filter(([, bytes]) => bytes > LAZY_BYTES_MAX);
  assert.deepEqual(large, []);
});

test('contains compressed versions of all scripts, and no source files', () => {
  const files = readdirSync(SITE, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map(({ name }) => name);
  for (const file of files.filter((name) => name.endsWith('.js'))) {
    // A very small file may become larger by compression.
    const isTiny = readFileSync(path.join(SITE, 'assets', file)).length < 200;
    assert(isTiny || (files.includes(`${file}.br`) && files.includes(`${file}.gz`)), file);
  }
  assert.deepEqual(files.filter((name) => /\.(ts|map)$/.test(name)), []);
});
