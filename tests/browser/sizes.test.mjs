// What a page weighs before it can be used: the limit of the issue that asked for it.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

export const SITE = fileURLToPath(new URL('../../functions/console/web/dist/site', import.meta.url));

/** Script and style of a page together, in bytes, compressed by gzip. */
const PAGE_BYTES_MAX = 30_000;
/** Whatever else a page may load in its time: a dialog, a language, signing in. */
const REST_BYTES_MAX = 15_000;

const gzip = (file) => gzipSync(readFileSync(path.join(SITE, file)), { level: 9 }).length;

/** What a page asks for by itself. */
export function partsOf(page) {
  const html = readFileSync(path.join(SITE, page), 'utf8');
  return [...html.matchAll(/<(?:script|link)\b[^>]*?(?:src|href)="\/(assets\/[^"]+\.(?:js|css))"/g)].map(([, file]) => file);
}

for (const page of ['index.html', 'accept.html']) {
  test(`script and style of ${page}`, (context) => {
    const files = partsOf(page);
    assert(files.some((file) => file.endsWith('.js')) && files.some((file) => file.endsWith('.css')), `${page} loads ${files}`);
    const bytes = files.reduce((sum, file) => sum + gzip(file), 0);
    context.diagnostic(`${bytes} bytes in ${files.length} files`);
    assert(bytes < PAGE_BYTES_MAX, `${bytes} bytes`);
  });
}

test('whatever is loaded later is small, each by itself', () => {
  const scripts = readdirSync(path.join(SITE, 'assets')).filter((file) => file.endsWith('.js'));
  const large = scripts.map((file) => [file, gzip(`assets/${file}`)]).filter(([, bytes]) => bytes > REST_BYTES_MAX);
  assert.deepEqual(large, []);
});

test('every file stands there compressed, and nothing of the sources', () => {
  const files = readdirSync(SITE, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map(({ name }) => name);
  for (const file of files.filter((name) => name.endsWith('.js'))) {
    // A file of a few bytes may be larger when compressed.
    const small = readFileSync(path.join(SITE, 'assets', file)).length < 200;
    assert(small || (files.includes(`${file}.br`) && files.includes(`${file}.gz`)), file);
  }
  assert.deepEqual(files.filter((name) => /\.(ts|map)$/.test(name)), []);
});
