// A web site that embeds the elements. Its origin differs from the API's, and it has a strict Content-Security-Policy.
import { readFileSync, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
/** The default folder of the elements. */
const PACKAGE = path.join(here, '../../functions/console/web');
const TYPES = { '.js': 'text/javascript', '.html': 'text/html; charset=utf-8', '.css': 'text/css' };

/** The script of a page with an element. */
const SCRIPT = `
const { element, attributes, properties, api, lang, dir } = embedded;
if (lang) document.documentElement.lang = lang;
if (dir) document.documentElement.dir = dir;
await import('/dist/npm/' + element.replace('roster-', '') + '.js');
const node = document.createElement(element);
for (const [name, value] of Object.entries({ 'api-base': api, ...attributes })) node.setAttribute(name, value);
Object.assign(node, properties);
if (!embedded.forgetsToken) node.getToken = () => embedded.token;
for (const name of ['loaded', 'organization-change', 'created', 'renamed', 'invited', 'resent', 'revoked', 'role-edited', 'removed', 'left', 'accepted', 'declined', 'open', 'sign-in', 'invitation-closed']) {
  node.addEventListener('roster-' + name, (event) => events.push({ name: event.type, detail: event.detail }));
}
document.querySelector('main').append(node);
`;
const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>A product</title>
<link rel="stylesheet" href="/product.css">
<script type="module" src="/product.js"></script>
</head>
<body><main><h1>People</h1></main></body>
</html>`;
const STYLE = `
:root { color-scheme: light dark; background: light-dark(#f6f7f9, #0f1115); color: light-dark(#16191f, #eceef2); font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0; }
main { max-width: 68rem; margin: 0 auto; padding: clamp(0.75rem, 3vw, 2rem); }
main > h1 { margin: 0 0 1rem; font-size: 1.5rem; }
main:has(> roster-accept) > h1 { display: none; }
roster-accept { max-width: 32rem; margin: 2rem auto; }
`;

export class Site {
  #server;
  #pages = new Map();

  /** Starts a site on a free port. It also serves the files of `folder`. */
  static async start(folder = PACKAGE) {
    const site = new Site();
    site.#server = createServer((request, response) => {
      const { pathname } = new URL(request.url, site.url);
      const page = site.#pages.get(pathname);
      const file = path.join(folder, pathname);
      if (page) {
        response.writeHead(200, page.headers).end(page.body);
      } else if (TYPES[path.extname(file)] && file.startsWith(folder + path.sep) && existsSync(file)) {
        response.writeHead(200, { 'content-type': TYPES[path.extname(file)] }).end(readFileSync(file));
      } else {
        // Browsers request an icon from every site.
        response.writeHead(pathname === '/favicon.ico' ? 204 : 404).end();
      }
    });
    await new Promise((resolve) => site.#server.listen(0, '127.0.0.1', resolve));
    site.url = `http://127.0.0.1:${site.#server.address().port}`;
    return site;
  }

  /** Serves `body` at `pathname`. The extension determines the content type. Returns the URL. */
  put(pathname, body, headers = {}) {
    this.#pages.set(pathname, { body, headers: { 'content-type': TYPES[path.extname(pathname)], ...headers } });
    return this.url + pathname;
  }

  /** Returns the URL of a page for an element. The page's policy allows calls to `api` only. */
  embedding(api) {
    const policy = [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      `connect-src ${api}`,
      "base-uri 'none'",
      "form-action 'none'",
      "require-trusted-types-for 'script'",
      'trusted-types lit-html',
    ].join('; ');
    this.put('/product.css', STYLE);
    this.put('/product.js', SCRIPT);
    return this.put('/product.html', PAGE, { 'content-security-policy': policy });
  }

  async stop() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
