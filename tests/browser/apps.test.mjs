// Small apps with React, Vue and SvelteKit, which use the packed package: types, rendering on a server, hydration, events.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import vue from '@vitejs/plugin-vue';
import { build } from 'vite';
import { api } from './apps/api.js';
import { scenario, setUp } from './harness.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const web = path.join(here, '../../functions/console/web');
const apps = path.join(here, 'apps');
const folder = mkdtempSync(path.join(tmpdir(), 'roster-apps-'));
/** The plugins that compile each app's files. Vite itself compiles TSX. */
const PLUGINS = { react: [], vue: [vue({ template: { compilerOptions: { isCustomElement: (tag) => tag.startsWith('roster-') } } })] };

const env = setUp();

after(() => rmSync(folder, { recursive: true, force: true }));

// Installs the package. The `pretest` script has already built it.
before(() => {
  const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], { cwd: web, encoding: 'utf8' });
  const [{ filename }] = JSON.parse(packed);
  rmSync(path.join(apps, 'node_modules'), { recursive: true, force: true });
  const options = ['--offline', '--no-save', '--no-package-lock', '--ignore-scripts', '--silent'];
  execFileSync('npm', ['install', ...options, path.join(folder, filename)], { cwd: apps });
});

/** The options of Vite. */
const options = (name) => ({
  root: path.join(apps, name),
  base: `/${name}/`,
  configFile: false,
  logLevel: 'warn',
  plugins: [api(env.laptop.url), ...PLUGINS[name]],
});

/** Builds the app for the browser, and opens its page, in which the server has rendered `markup`. */
async function opensApp(open, name, entry, markup = '') {
  const { output } = await build({ ...options(name), build: { write: false, rolldownOptions: { input: entry } } });
  for (const { fileName, code } of output) env.site.put(`/${name}/${fileName}`, code);
  const script = output.find(({ isEntry }) => isEntry).fileName;
  const page = `<!doctype html><title>App</title><div id="app">${markup}</div><script type="module" src="/${name}/${script}"></script>`;
  const tab = await open();
  await tab.page.goto(env.site.put(`/${name}/${entry}.html`, page));
  return tab;
}

/** Builds the app for a server, and returns the HTML that it renders there. */
async function rendersOnServer(name, entry) {
  const outDir = path.join(apps, name, 'dist');
  await build({ ...options(name), build: { ssr: entry, outDir } });
  // The build does not contain the packages: Node.js imports them.
  const { render } = await import(pathToFileURL(path.join(outDir, 'server.js')));
  return render();
}

/** Runs a command of an installed package in the folder of an app. Fails if the command fails. */
function runs(name, command, ...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(here, 'node_modules', command), ...args], {
    cwd: path.join(apps, name),
    env: { ...process.env, ROSTER_API: env.laptop.url },
    encoding: 'utf8',
  });
  assert.equal(status, 0, stdout + stderr);
}

/** The element shows the list with the token of `getToken`, and the app has handled the event `roster-loaded`. */
async function showsList(tab) {
  await tab.waitsForText('312 of 1,000 seats used');
  await tab.heading('Acme').and(tab.page.locator('h1')).waitFor();
}

test('gives React the types of elements, properties and events', () => runs('react', 'typescript/bin/tsc'));

test('gives Vue the types of elements, properties and events', () => runs('vue', 'vue-tsc/bin/vue-tsc.js'));

test('gives Svelte the types of elements, properties and events', () => {
  runs('svelte', '@sveltejs/kit/svelte-kit.js', 'sync');
  runs('svelte', 'svelte-check/bin/svelte-check', '--tsconfig', './tsconfig.json');
});

test('the guide shows the code of the apps', () => {
  const guide = readFileSync(path.join(web, 'README.md'), 'utf8');
  for (const file of ['react/People.tsx', 'react/ClientOnly.tsx', 'vue/People.vue']) {
    const code = readFileSync(path.join(apps, file), 'utf8');
    assert(guide.includes(`\n\`\`\`${path.extname(file).slice(1)}\n${code}\`\`\``), file);
  }
});

scenario(env, 'runs in React', async ({ open }) => showsList(await opensApp(open, 'react', 'client.tsx')));

scenario(env, 'is rendered on a server and hydrated by React', async ({ open }) => {
  const markup = await rendersOnServer('react', 'server.tsx');
  await showsList(await opensApp(open, 'react', 'hydrate.tsx', markup));
});

scenario(env, 'runs in Vue', async ({ open }) => showsList(await opensApp(open, 'vue', 'client.ts')));

scenario(env, 'is rendered on a server and hydrated by Vue', async ({ open }) => {
  const markup = await rendersOnServer('vue', 'server.js');
  assert.match(markup, /<roster-users api-base="http[^>]*><\/roster-users>/);
  await showsList(await opensApp(open, 'vue', 'hydrate.ts', markup));
});

scenario(env, 'is rendered on a server and hydrated by SvelteKit', async ({ open }) => {
  // Also renders the page, in another process.
  runs('svelte', 'vite/bin/vite.js', 'build', '--logLevel', 'warn');
  const output = path.join(apps, 'svelte/.svelte-kit/output');
  for (const file of readdirSync(path.join(output, 'client'), { recursive: true }).filter((name) => name.endsWith('.js'))) {
    env.site.put(`/svelte/${file}`, readFileSync(path.join(output, 'client', file)));
  }
  const page = readFileSync(path.join(output, 'prerendered/pages/index.html'), 'utf8');
  assert.match(page, /<roster-users api-base="http/);
  const tab = await open();
  await tab.page.goto(env.site.put('/svelte/', page, { 'content-type': 'text/html' }));
  await showsList(tab);
});
