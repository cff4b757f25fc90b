/** Sanitizes paths and texts that come from outside. */

/** The maximum length of a text that is shown, in characters. */
const TEXT_LENGTH_MAX = 300;

/** Returns `path` if it is a page of `origin`, else `/`. This prevents redirects to other sites after the sign-in. */
export function safePath(path: string | undefined, origin: string): string {
  if (!path?.startsWith('/') || !URL.canParse(path, origin)) return '/';
  const url = new URL(path, origin);
  // A path that starts with `//` means another host. `/.//host` resolves to `//host`, too.
  return url.origin === origin && !url.pathname.startsWith('//') ? url.pathname + url.search : '/';
}

/** Makes a text from another party safe to show: one line, limited in length, without direction marks. */
export function sanitizeText(text: string): string {
  const line = text.replace(/[\p{C}\p{Z}]+/gu, ' ').trim();
  return line.length > TEXT_LENGTH_MAX ? `${line.slice(0, TEXT_LENGTH_MAX)}…` : line;
}
