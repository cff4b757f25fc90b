// Builds one of three folders:
//
//   vite build                   dist/site: the pages that the console function serves
//   vite build --mode elements   dist/npm: the scripts of the elements' package
//   vite build --mode test       dist/tests: the unit tests
import * as fs from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig, type CSSOptions, type Plugin, type UserConfig } from 'vite';
import { compression } from 'vite-plugin-compression2';

/**
 * The oldest supported browsers, from 2024. All support `light-dark()`, container queries, `<dialog>` and
 * `CSS.registerProperty`.
 */
const BROWSERS = ['chrome123', 'firefox128', 'safari17.5', 'ios17.5'];
/** The pages, each with the module that its entry loads by `import()`. */
const PAGES: Record<string, string> = { 'index.html': 'src/app/console.ts', 'accept.html': 'src/app/accept.ts' };

const inWeb = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/**
 * Replaces `rem` in the styles of the elements: by a length that base.css derives from the browser's default font size,
 * and in container queries by `em` of the container. The page's own `rem` may be any size: many style sheets contain
 * `html { font-size: 62.5% }`.
 */
const css: CSSOptions = {
  postcss: {
    plugins: [
      {
        postcssPlugin: 'roster-rem',
        Once(root) {
          // The pages' own styles may use their own `rem`.
          const file = path.relative(inWeb('src'), root.source?.input.file ?? '');
          if (/^(app|\.\.)\b/.test(file)) return;
          root.walkDecls((declaration) => {
            declaration.value = declaration.value.replace(/(-?[\d.]+)rem\b/g, 'calc($1*var(--roster-rem))');
          });
          root.walkAtRules('container', (rule) => {
            rule.params = rule.params.replace(/([\d.])rem\b/g, '$1em');
          });
        },
      },
    ],
  },
};

/** Preloads all scripts that a page needs at its start. Vite preloads only the static imports of the entry. */
function preloads(): Plugin {
  return {
    name: 'roster-preloads',
    transformIndexHtml: {
      order: 'post',
      handler(_, { filename, bundle = {}, chunk: entry }) {
        const chunks = Object.values(bundle).filter((file) => file.type === 'chunk');
        const page = inWeb(PAGES[path.basename(filename)] ?? '');
        const loaded = chunks.find(({ facadeModuleId }) => facadeModuleId && path.resolve(facadeModuleId) === page);
        if (!entry || !loaded) throw new Error(`${filename} does not load ${page}`);
        const files = new Set<string>();
        const visit = (file: string): void => {
          if (files.has(file)) return;
          files.add(file);
          chunks.find(({ fileName }) => fileName === file)?.imports.forEach(visit);
        };
        [...entry.imports, loaded.fileName].forEach(visit);
        return [...files].map((file) => ({ tag: 'link', attrs: { rel: 'modulepreload', href: `/${file}` }, injectTo: 'head' }));
      },
    },
  };
}

/**
 * Removes Vite's helper that preloads the dependencies of an `import()`: 0.7 kB after gzip. It would preload nothing,
 * because `modulePreload` is off and no script has a style sheet.
 */
function withoutPreloadHelper(): Plugin {
  return {
    name: 'roster-without-preload-helper',
    enforce: 'pre',
    load: (id) => (id.includes('vite/preload-helper') ? 'export const __vitePreload = (load) => load();' : undefined),
  };
}

/** The file in `dist/site` with the packages of the bundle and their licences. infra/sbom.py reads it. */
const PACKAGES = '.packages.json';

/** Writes the licence texts to an asset, because they must be distributed with the code. Each page names it. */
function licences(): Plugin {
  return {
    name: 'roster-licences',
    enforce: 'post',
    generateBundle: {
      order: 'post',
      handler(_, bundle) {
        const packages = bundle[PACKAGES];
        if (packages?.type !== 'asset') throw new Error(`Vite has not written ${PACKAGES}`);
        const entries = JSON.parse(String(packages.source)) as { name: string; version: string; text: string }[];
        const texts = entries.map(({ name, version, text }) => `${name} ${version}\n\n${text}\n`);
        const asset = this.emitFile({ type: 'asset', name: 'licences.txt', source: texts.join(`\n${'-'.repeat(80)}\n\n`) });
        for (const page of Object.keys(PAGES)) {
          const html = bundle[page];
          if (html?.type !== 'asset') throw new Error(`Vite has not written ${page}`);
          html.source = String(html.source).replace('<!-- licences -->', `<!-- Third-party licences: /${this.getFileName(asset)} -->`);
        }
      },
    },
  };
}

/** Moves `built` to `folder` when it is complete, because the laptop serves `folder` during the build. */
function replaceWhenComplete(built: string, folder: string): Plugin {
  return {
    name: 'roster-replace-when-complete',
    writeBundle: {
      order: 'post',
      sequential: true,
      handler() {
        const old = `${folder}-old`;
        fs.rmSync(old, { recursive: true, force: true });
        if (fs.existsSync(folder)) fs.renameSync(folder, old);
        fs.renameSync(built, folder);
        fs.rmSync(old, { recursive: true, force: true });
      },
    },
  };
}

/** The characters of hashes in file names: no `-` and no `_`. */
const output = { hashCharacters: 'base36' } as const;

/**
 * One chunk for the modules that several scripts share: small files compress badly. `link` stays apart, because the
 * accept page must run it before everything else.
 */
const codeSplitting = { groups: [{ name: 'shared', minShareCount: 2, test: (id: string) => !id.endsWith('/app/link.ts') }] };

function site(): UserConfig {
  const built = inWeb('dist/site-new');
  return {
    root: inWeb('pages'),
    build: {
      target: BROWSERS,
      outDir: built,
      emptyOutDir: true,
      rolldownOptions: { input: Object.keys(PAGES).map((page) => inWeb(`pages/${page}`)), output: { ...output, codeSplitting } },
      modulePreload: false,
      // The pages' only style sheet belongs to the pages, and not to a script.
      cssCodeSplit: false,
      // The Content-Security-Policy of the pages allows no `data:` URLs.
      assetsInlineLimit: 0,
      license: { fileName: PACKAGES },
    },
    // Pages are not compressed here: the server inserts the configuration into them.
    plugins: [
      withoutPreloadHelper(),
      preloads(),
      compression({ include: /^assets\// }),
      licences(),
      replaceWhenComplete(built, inWeb('dist/site')),
    ],
  };
}

/** What the elements' modules need on a server, which has no DOM. A server defines no elements. */
const SERVER_SHIM = `
export const HTMLElement = class {};
export const customElements = undefined;
export const registry = globalThis.document ? globalThis.customElements : { get() {}, define() {} };
`;

/**
 * Lets a server import the elements, so that a framework can render pages with them on a server. Lit's builds for Node.js
 * also run in browsers. They take the classes of a missing DOM from the package `@lit-labs/ssr-dom-shim`. `SERVER_SHIM`
 * takes its place, because the elements render nothing on a server.
 */
function withoutDom(): Plugin {
  const id = '@lit-labs/ssr-dom-shim';
  return {
    name: 'roster-without-dom',
    enforce: 'pre',
    config: () => ({
      resolve: { conditions: ['node', 'module', 'production'] },
      build: { rolldownOptions: { transform: { inject: { customElements: [id, 'registry'] } } } },
    }),
    resolveId: (source) => (source === id ? `\0${id}` : undefined),
    load: (module) => (module === `\0${id}` ? SERVER_SHIM : undefined),
  };
}

function elements(): UserConfig {
  return {
    plugins: [withoutDom()],
    build: {
      target: BROWSERS,
      outDir: 'dist/npm',
      lib: { entry: { users: 'src/users/index.ts', accept: 'src/accept/index.ts' }, formats: ['es'] },
      rolldownOptions: { output: { ...output, minify: true, chunkFileNames: 'chunk-[hash].js' } },
      license: { fileName: 'LICENCES.txt' },
    },
  };
}

function tests(): UserConfig {
  const files = fs.readdirSync(inWeb('src'), { recursive: true, encoding: 'utf8' });
  const input = files.filter((file) => file.endsWith('.test.ts')).map((file) => inWeb(`src/${file}`));
  return {
    build: { ssr: true, target: 'node20', outDir: 'dist/tests', rolldownOptions: { input } },
  };
}

const builds: Record<string, () => UserConfig> = { production: site, elements, test: tests };

export default defineConfig(({ mode }) => {
  const build = builds[mode];
  if (!build) throw new Error(`The mode is ${mode}, but must be one of ${Object.keys(builds).join(', ')}`);
  return { css, ...build() };
});
