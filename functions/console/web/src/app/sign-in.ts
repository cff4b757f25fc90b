/**
 * Signs users in at the identity provider: OpenID Connect's code flow with PKCE. Tokens are kept in memory only. The
 * state of a pending sign-in is kept in `sessionStorage` and deleted on return.
 *
 * To sign in with a different account, the request has `prompt=login`. Cognito (managed login), Auth0 and Keycloak all
 * support it; Keycloak does not support `select_account`.
 */
import type { GetToken } from '../elements';
import type { Config } from './config';
import { safePath } from './paths';
import { tryStorage } from '../storage';

/** The `sessionStorage` key of the pending sign-in. Also the prefix of the channel names that `renew` uses. */
const PENDING_KEY = 'roster.flight';
/**
 * The `sessionStorage` key that marks a completed sign-in in this tab. After a reload, the page then tries a silent
 * sign-in.
 */
const SIGNED_IN_KEY = 'roster.signed-in';
/**
 * The query parameter of a window that was opened to sign in again. Its value is the id of the channel to the opener.
 */
const RENEW_PARAMETER = 'renew';
/** The reason why a sign-in failed. */
export interface Failure {
  kind: 'unreachable' | 'stale' | 'refused' | 'broken' | 'storage';
  /** The error text of the identity provider, or empty. */
  reason: string;
}

export interface SignInOptions {
  /** The address that the identity provider suggests to the user. */
  email?: string | undefined;
  /** Whether the user must sign in anew, so that they can choose a different account. */
  change?: boolean;
  /** Whether to sign in without any user interaction. Fails if an interaction is needed. */
  silent?: boolean;
}

/** A sign-in that has started, as stored while the user is at the identity provider. */
export interface PendingSignIn {
  state: string;
  verifier: string;
  nonce: string;
  /** The path to return to. */
  path: string;
  silent: boolean;
}

export interface Tokens {
  token: string;
  refresh?: string;
  /** The time until which the token is used, in milliseconds of this machine's clock. */
  until: number;
}

export class Session {
  /** The reason why the last sign-in failed. */
  failure: Failure | undefined;
  /** The channel id, if this window was opened to sign in again; else null. */
  readonly #renewalId: string | null;
  readonly #config: Config;
  readonly #completed: Promise<void>;
  #tokens: Tokens | undefined;
  #refreshing: Promise<void> | undefined;
  #renewalChannel: BroadcastChannel | undefined;

  /** Removes the identity provider's response from the address bar, and the pending sign-in from the storage. */
  constructor(config: Config) {
    this.#config = config;
    const response = new URLSearchParams(location.search);
    const pending = takePendingSignIn();
    if (response.has('code') || response.has('error')) {
      history.replaceState(null, '', safePath(pending?.path, location.origin));
      this.#completed = this.#completeSignIn(response, pending);
    } else {
      this.#completed = Promise.resolve();
    }
    this.#renewalId = new URLSearchParams(location.search).get(RENEW_PARAMETER);
  }

  /** Resolves when the sign-in of this page load has succeeded or failed. */
  completed(): Promise<void> {
    return this.#completed;
  }

  readonly getToken: GetToken = async ({ refresh }) => {
    await this.#completed;
    const usable = (): boolean => this.#tokens !== undefined && Date.now() < this.#tokens.until;
    if (refresh || !usable()) await (this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined)));
    return usable() ? this.#tokens!.token : null;
  };

  /** Whether the viewer has signed in in this tab before, so that a silent sign-in may succeed. */
  get wasSignedIn(): boolean {
    return tryStorage(() => sessionStorage.getItem(SIGNED_IN_KEY)) !== null;
  }

  /** Navigates to the identity provider. If that fails, sets `failure`. */
  async signIn(options: SignInOptions = {}): Promise<void> {
    this.failure = undefined;
    try {
      const { url, pending } = await (await import('./oauth')).prepareSignIn(this.#config, redirectUri(), options);
      // If the identity provider does not respond, the next page load must not try a silent sign-in again.
      tryStorage(() => sessionStorage.removeItem(SIGNED_IN_KEY));
      try {
        sessionStorage.setItem(PENDING_KEY, JSON.stringify(pending));
      } catch {
        this.failure = { kind: 'storage', reason: '' };
        return;
      }
      // A silent sign-in gets no history entry: the Back button would lead to a page that redirects at once.
      if (options.silent) location.replace(url);
      else location.assign(url);
    } catch (error) {
      this.failure = await explain(error);
    }
  }

  /**
   * Signs in again in a new window, so that the page keeps the user's input. Resolves after the sign-in. Returns
   * undefined if the browser blocks the window.
   */
  renew(): Promise<void> | undefined {
    const id = crypto.randomUUID();
    if (!open(`/?${RENEW_PARAMETER}=${id}`, '_blank', 'popup,width=480,height=720')) return undefined;
    // The previous window may have been closed without a sign-in.
    this.#renewalChannel?.close();
    // `opener` does not work: browsers cut it when the window visits another origin. The random id keeps the channel
    // private.
    const channel = (this.#renewalChannel = new BroadcastChannel(`${PENDING_KEY}.${id}`));
    return new Promise((resolve) => {
      channel.onmessage = ({ data }: MessageEvent<Tokens>) => {
        channel.close();
        this.#tokens = data;
        resolve();
      };
    });
  }

  /** Whether `renew` opened this window. */
  get isRenewal(): boolean {
    return this.#renewalId !== null;
  }

  /** Sends the tokens to the window that opened this one, then closes this window. */
  sendTokensToOpener(): void {
    const channel = new BroadcastChannel(`${PENDING_KEY}.${this.#renewalId}`);
    channel.postMessage(this.#tokens);
    channel.close();
    close();
  }

  /** Deletes the tokens, and signs the viewer out at the identity provider if it has a sign-out page. */
  signOut(): void {
    this.#tokens = undefined;
    // Also deletes the link token of an invitation: the next user of this machine must not see it.
    tryStorage(() => sessionStorage.clear());
    const { sign_out_url, client_id } = this.#config;
    if (!sign_out_url) return location.assign('/');
    const url = new URL(sign_out_url);
    url.searchParams.set('client_id', client_id);
    url.searchParams.set('post_logout_redirect_uri', redirectUri());
    // Cognito's name for the parameter above.
    url.searchParams.set('logout_uri', redirectUri());
    location.assign(url);
  }

  async #completeSignIn(parameters: URLSearchParams, pending: PendingSignIn | undefined): Promise<void> {
    // The response belongs to no sign-in of this tab, so its error text must not be shown: it may be forged.
    if (!pending || parameters.get('state') !== pending.state) {
      this.failure = { kind: 'stale', reason: '' };
      return;
    }
    try {
      this.#tokens = await (await import('./oauth')).redeemCode(this.#config, redirectUri(), parameters, pending);
      tryStorage(() => sessionStorage.setItem(SIGNED_IN_KEY, ''));
    } catch (error) {
      this.failure = await explain(error, pending.silent);
    }
  }

  /**
   * Gets a new token with the refresh token. Without a refresh token, the user is signed out. If the identity provider
   * does not respond, the refresh token is kept, and the next call tries again.
   */
  async #refresh(): Promise<void> {
    const { refresh } = this.#tokens ?? {};
    if (!refresh) {
      this.#tokens = undefined;
      return;
    }
    try {
      this.#tokens = await (await import('./oauth')).refreshTokens(this.#config, refresh);
    } catch (error) {
      if ((await explain(error))?.kind === 'unreachable') throw error;
      this.#tokens = undefined;
    }
  }
}

/** The redirect URI, which is the same for all pages. */
function redirectUri(): string {
  return `${location.origin}/`;
}

/** Returns the pending sign-in and deletes it from the storage. */
function takePendingSignIn(): PendingSignIn | undefined {
  const pending = tryStorage((): PendingSignIn | null => JSON.parse(sessionStorage.getItem(PENDING_KEY) ?? 'null'));
  tryStorage(() => sessionStorage.removeItem(PENDING_KEY));
  return pending ?? undefined;
}

/** Returns the reason why a sign-in failed. Undefined if a silent sign-in only needs the user to do something. */
async function explain(error: unknown, silent = false): Promise<Failure | undefined> {
  try {
    return (await import('./oauth')).failureOf(error, silent);
  } catch {
    // The module could not be loaded, which is also the error.
    return { kind: 'unreachable', reason: '' };
  }
}
