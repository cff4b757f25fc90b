/** What comes from outside and is gone to, or shown. */

/** The most of a foreign text that is shown, in characters. */
const FOREIGN_TEXT_MAX = 300;

/** `path` if it leads to a page of `origin`, else `/`: nobody is sent elsewhere after signing in. */
export function safePath(path: string | undefined, origin: string): string {
  if (!path?.startsWith('/') || !URL.canParse(path, origin)) return '/';
  const url = new URL(path, origin);
  // `//host` is another origin, also where it became of `/.//host`.
  return url.origin === origin && !url.pathname.startsWith('//') ? url.pathname + url.search : '/';
}

/** A text that somebody else wrote: one line, not endless, with nothing that turns the text around it. */
export function foreign(text: string): string {
  const line = text.replace(/[\p{C}\p{Z}]+/gu, ' ').trim();
  return line.length > FOREIGN_TEXT_MAX ? `${line.slice(0, FOREIGN_TEXT_MAX)}…` : line;
}
