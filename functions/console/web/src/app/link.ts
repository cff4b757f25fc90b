/** Reads the invitation token: the part after the `#` of the link in the mail. */

/**
 * Returns the token and removes it from the address bar, so that users do not copy it and the history does not keep it.
 */
export function takeToken(): string {
  const token = location.hash.slice(1);
  if (token) history.replaceState(null, '', location.pathname + location.search);
  return token;
}

/** The token of the URL that the page was opened with. The page loads this module first. */
export const initialToken = takeToken();
