// Builds the generated files, which are not committed:
//
//   node build.mjs          dist/site: the pages that the function serves; does nothing if they are up to date
//   node build.mjs types    src/openapi.d.ts: the contract's types, from infra/openapi.yaml
//   node build.mjs npm      dist/npm: the elements as a package, with their types
//   node build.mjs tests    dist/tests: the unit tests
//
// Missing npm packages are installed first, in exactly the versions of package-lock.json.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as zlib from 'node:zlib';

const here = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(here, 'dist');
const contract = path.join(here, '../../../infra/openapi.yaml');
const started = performance.now();

process.chdir(here);

function log(text) {
  console.log(`console: ${text}`);
}

function hash(...parts) {
  const digest = createHash('sha256');
  for (const part of parts) digest.update(part).update('\0');
  return digest.digest('hex').slice(0, 16);
}

function filesBelow(folder) {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** Returns a hash of all files that the site is built from. */
function sourceHash() {
  const files = [...filesBelow('src'), ...filesBelow('pages'), 'package-lock.json', 'tsconfig.json', 'build.mjs'];
  const isUnused = (file) => file.endsWith('.d.ts') || file.endsWith('.test.ts');
  return hash(...files.filter((file) => !isUnused(file)).flatMap((file) => [file, fs.readFileSync(file)]));
}

function npmInstall() {
  const lock = hash(fs.readFileSync('package-lock.json'));
  const mark = path.join('node_modules', '.roster-lock');
  if (fs.existsSync(mark) && fs.readFileSync(mark, 'utf8') === lock) return;
  log('installing the packages of package-lock.json');
  fs.rmSync(mark, { force: true });
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  // No package needs its install scripts. `--include=dev` installs the build tools even if NODE_ENV is `production`.
  execFileSync(npm, ['ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  fs.writeFileSync(mark, lock);
}

/** Upper bound for the duration of a build in milliseconds, including slow downloads. An older lock is stale. */
const BUILD_MS_MAX = 10 * 60 * 1000;

/** Runs `work` under a lock, so that only one build runs at a time. Takes over the lock of a build that was killed. */
async function withLock(work) {
  fs.mkdirSync(dist, { recursive: true });
  const lock = path.join(dist, '.lock');
  for (let isReported = false; ; ) {
    try {
      fs.writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (isStale(lock)) {
      fs.rmSync(lock, { force: true });
      continue;
    }
    if (!isReported) log('another build is running: waiting for it');
    isReported = true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const unlock = () => fs.rmSync(lock, { force: true });
  process.once('exit', unlock);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  await work();
}

/** Whether the lock is left over from a build that was killed. */
function isStale(lock) {
  try {
    const pid = Number(fs.readFileSync(lock, 'utf8'));
    const age = Date.now() - fs.statSync(lock).mtimeMs;
    // The file is empty for a moment, between its creation and the write of the process id.
    if (!pid) return age > 5_000;
    // After a reboot another process may have this id.
    if (age > BUILD_MS_MAX) return true;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

/** An esbuild plugin: imports a style sheet of `src` as minified text. */
function cssText(esbuild) {
  return {
    name: 'css-text',
    setup(build) {
      build.onLoad({ filter: /[\\/]src[\\/].*\.css$/ }, async ({ path: file }) => {
        const source = await fs.promises.readFile(file, 'utf8');
        const { code } = await esbuild.transform(source, { loader: 'css', minify: true, target: TARGET });
        return { contents: code.trim(), loader: 'text' };
      });
    },
  };
}

// The oldest supported browsers, from 2023 and 2024. All support `light-dark()`, container queries and `<dialog>`.
const TARGET = ['es2022', 'chrome123', 'firefox120', 'safari17.5'];

async function bundle(options) {
  const esbuild = await import('esbuild');
  return esbuild.build({
    bundle: true,
    format: 'esm',
    splitting: true,
    minify: true,
    target: TARGET,
    charset: 'utf8',
    legalComments: 'none',
    metafile: true,
    conditions: ['production'],
    logLevel: 'warning',
    plugins: [cssText(esbuild)],
    ...options,
  });
}

/** Returns the output files that `entries` load before they run. The file of the first entry comes first. */
function imports(metafile, entries, out) {
  const outputOf = (entry) => Object.keys(metafile.outputs).find((name) => metafile.outputs[name].entryPoint === entry);
  const seen = [];
  const visit = (name) => {
    if (seen.includes(name)) return;
    seen.push(name);
    for (const { path: next, kind } of metafile.outputs[name].imports) {
      if (kind === 'import-statement') visit(next);
    }
  };
  entries.map(outputOf).forEach(visit);
  return seen.map((name) => path.relative(out, name).split(path.sep).join('/'));
}

/** Returns the npm packages in a bundle, each with name, version, licence and the integrity hash from the lock file. */
function bundled(metafile) {
  const lock = JSON.parse(fs.readFileSync('package-lock.json', 'utf8')).packages;
  const folders = Object.keys(metafile.inputs).map((input) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0]);
  return [...new Set(folders.filter(Boolean))].sort().map((folder) => {
    const { name, version, license } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
    return { name, version, license, integrity: lock[folder].integrity };
  });
}

/** Returns the licence texts of `packages`. They must be distributed together with the code. */
function licences(packages) {
  return packages
    .map(({ name, version }) => {
      const folder = path.join('node_modules', name);
      const file = fs.readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
      return `${name} ${version}\n\n${fs.readFileSync(path.join(folder, file), 'utf8').trim()}\n`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}

/** Writes a file to `assets`. Its name contains a hash of its content. Returns its path. */
function asset(out, name, extension, content) {
  const file = `assets/${name}-${hash(content).slice(0, 8).toUpperCase()}.${extension}`;
  fs.writeFileSync(path.join(out, file), content);
  return file;
}

async function site() {
  const target = path.join(dist, 'site');
  const stamp = sourceHash();
  const currentStamp = () => {
    const file = path.join(target, '.stamp');
    return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined;
  };
  if (currentStamp() === stamp) return log('up to date');
  npmInstall();
  const out = path.join(dist, `site-${process.pid}`);
  fs.rmSync(out, { recursive: true, force: true });
  log('bundling the pages');
  // For each page: its entry module, and the module that the entry loads by `import()`.
  const pages = {
    index: ['src/app/entry-console.ts', 'src/app/console.ts'],
    accept: ['src/app/entry-accept.ts', 'src/app/accept.ts'],
  };
  const { metafile } = await bundle({
    entryPoints: [...Object.values(pages).map(([entry]) => entry), 'pages/page.css'],
    outdir: path.join(out, 'assets'),
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    publicPath: '/assets',
  });
  const style = imports(metafile, ['pages/page.css'], path.relative(here, out))[0];
  const packages = bundled(metafile);
  const icon = asset(out, 'icon', 'svg', fs.readFileSync('pages/icon.svg'));
  const notices = asset(out, 'licences', 'txt', licences(packages));
  for (const [page, entries] of Object.entries(pages)) {
    const [script, ...chunks] = imports(metafile, entries, path.relative(here, out));
    const preloads = chunks.map((chunk) => `<link rel="modulepreload" href="/${chunk}">`);
    const html = fs
      .readFileSync(`pages/${page}.html`, 'utf8')
      .replace('<!-- licences -->', `<!-- Third-party licences: /${notices} -->`)
      .replace('<!-- icon -->', `<link rel="icon" type="image/svg+xml" href="/${icon}">`)
      .replace('<!-- style -->', `<link rel="stylesheet" href="/${style}">`)
      .replace('<!-- script -->', [...preloads, `<script type="module" src="/${script}"></script>`].join('\n'));
    fs.writeFileSync(path.join(out, `${page}.html`), html);
    const files = [script, ...chunks, style].map((file) => fs.readFileSync(path.join(out, file)));
    const gzip = files.reduce((sum, file) => sum + zlib.gzipSync(file, { level: 9 }).length, 0);
    log(`${page}.html: script and style ${(gzip / 1000).toFixed(1)} kB gzip`);
  }
  // Pages are not compressed here: the server inserts the configuration into them.
  for (const file of filesBelow(path.join(out, 'assets'))) compress(file);
  // infra/sbom.py reads this file for the bill of materials.
  fs.writeFileSync(path.join(out, '.packages.json'), JSON.stringify(packages));
  fs.writeFileSync(path.join(out, '.stamp'), stamp);
  const old = path.join(dist, `old-${process.pid}`);
  if (fs.existsSync(target)) fs.renameSync(target, old);
  fs.renameSync(out, target);
  fs.rmSync(old, { recursive: true, force: true });
  for (const entry of fs.readdirSync(dist)) {
    // Builds that were killed leave such folders. The lock guarantees that no other build uses them.
    if (/^(site|old)-\d+$/.test(entry)) fs.rmSync(path.join(dist, entry), { recursive: true, force: true });
  }
  log(`built in ${Math.round(performance.now() - started)} ms`);
}

/** Writes a `.br` and a `.gz` file beside `file`, each only if it is smaller than the original. */
function compress(file) {
  const body = fs.readFileSync(file);
  const brotli = zlib.brotliCompressSync(body, {
    params: {
      [zlib.constants.BROTLI_PARAM_QUALITY]: zlib.constants.BROTLI_MAX_QUALITY,
      [zlib.constants.BROTLI_PARAM_SIZE_HINT]: body.length,
    },
  });
  const gzip = zlib.gzipSync(body, { level: 9 });
  if (brotli.length < body.length) fs.writeFileSync(`${file}.br`, brotli);
  if (gzip.length < body.length) fs.writeFileSync(`${file}.gz`, gzip);
}

async function types() {
  npmInstall();
  const { default: openapi, astToString } = await import('openapi-typescript');
  const ast = await openapi(new URL(`file://${contract}`), { silent: true });
  const text = `// Generated by build.mjs from infra/openapi.yaml.\n${astToString(ast)}`;
  const file = 'src/openapi.d.ts';
  if (!fs.existsSync(file) || fs.readFileSync(file, 'utf8') !== text) fs.writeFileSync(file, text);
}

async function npm() {
  await types();
  const out = path.join(dist, 'npm');
  fs.rmSync(out, { recursive: true, force: true });
  const { metafile } = await bundle({
    entryPoints: { users: 'src/users/index.ts', accept: 'src/accept/index.ts' },
    outdir: out,
    chunkNames: 'chunk-[hash]',
  });
  fs.writeFileSync(path.join(out, 'LICENCES.txt'), licences(bundled(metafile)));
  const tsc = path.join('node_modules', 'typescript', 'bin', 'tsc');
  const options = ['--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--outDir', path.join(out, 'types')];
  const strict = ['--target', 'ES2022', '--module', 'ESNext', '--moduleResolution', 'bundler', '--strict'];
  execFileSync(process.execPath, [tsc, ...options, ...strict, 'src/elements.ts'], { stdio: ['ignore', 'inherit', 'inherit'] });
  fs.copyFileSync('src/openapi.d.ts', path.join(out, 'types', 'openapi.d.ts'));
  log(`dist/npm: ${fs.readdirSync(out).join(' ')}`);
}

async function tests() {
  npmInstall();
  const out = path.join(dist, 'tests');
  fs.rmSync(out, { recursive: true, force: true });
  await bundle({
    entryPoints: filesBelow('src').filter((file) => file.endsWith('.test.ts')),
    outdir: out,
    platform: 'node',
    minify: false,
    target: 'node20',
    entryNames: '[name]',
    chunkNames: 'chunk-[hash]',
  });
}

const tasks = { site: () => withLock(site), types, npm: () => withLock(npm), tests };
const task = tasks[process.argv[2] ?? 'site'];
if (!task) {
  console.error(`console: unknown task ${process.argv[2]}; the tasks are ${Object.keys(tasks).join(', ')}`);
  process.exit(2);
}
try {
  await task();
} catch (error) {
  if (error.code === 'ENOENT' && error.syscall?.startsWith('spawn')) {
    console.error(`console: not built: ${error.path} is not installed; it comes with Node.js or as a separate package`);
  } else if (error.errors || typeof error.status === 'number') {
    // esbuild, npm or tsc has already printed the error and its location.
    console.error('console: not built: see the error above');
  } else throw error;
  process.exit(1);
}
