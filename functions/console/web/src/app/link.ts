/** The token that stands behind the `#` of the mail's link. */

/** Takes it out of the address bar, where it would be seen, copied and kept. */
export function takeToken(): string {
  const token = location.hash.slice(1);
  if (token) history.replaceState(null, '', location.pathname + location.search);
  return token;
}

/** Taken by loading this module, which the page does first. */
export const tokenAtFirst = takeToken();
