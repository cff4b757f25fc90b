/** Reads the link token: the part after the `#` of the link in the mail. */

/**
 * Returns the link token and removes it from the address bar: users must not copy it, and the history must not keep it.
 */
export function takeToken(): string {
  const token = location.hash.slice(1);
  if (token) history.replaceState(null, '', location.pathname + location.search);
  return token;
}

/** The link token of the URL that the page was opened with. The page imports this module first. */
export const initialToken = takeToken();
