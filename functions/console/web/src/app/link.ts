/**
 * Keeps the link token: the part after the `#` of the link in the mail.
 *
 * The token is a secret, and must survive a reload and the sign-in at the identity provider. So it is kept in
 * `sessionStorage`, which belongs to this tab only, until the invitation is closed. The address bar and the history do
 * not contain it, because users copy addresses, and browsers synchronize the history.
 */
import { tryStorage } from '../storage';

/** The `sessionStorage` key of the link token. */
const TOKEN_KEY = 'roster.invitation';

/**
 * Moves the link token from the address bar to the storage, where it replaces an older one. Returns the token, or an
 * empty text if the address bar has none.
 */
export function takeToken(): string {
  const token = location.hash.slice(1);
  if (!token) return '';
  history.replaceState(null, '', location.pathname + location.search);
  tryStorage(() => sessionStorage.setItem(TOKEN_KEY, token));
  return token;
}

/** Deletes `token` from the storage, but keeps a newer one. */
export function forgetToken(token: string): void {
  tryStorage(() => sessionStorage.getItem(TOKEN_KEY) === token && sessionStorage.removeItem(TOKEN_KEY));
}

/**
 * The link token of the URL that the page was opened with, else the one that this tab keeps. The page imports this
 * module first.
 */
export const initialToken = takeToken() || (tryStorage(() => sessionStorage.getItem(TOKEN_KEY)) ?? '');
