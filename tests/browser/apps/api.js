const DOCUMENTED = 'https://users.example.com';

/** Returns a plugin for Vite that replaces the documented API with `url`. */
export const api = (url) => ({
  name: 'api',
  enforce: 'pre',
  transform: (code) => (code.includes(DOCUMENTED) ? { code: code.replaceAll(DOCUMENTED, url), map: null } : undefined),
});
