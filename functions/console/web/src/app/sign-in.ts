/**
 * Signing in at the identity provider: OpenID Connect's code flow with PKCE. Tokens are in memory and nowhere else. What
 * has to survive the way there and back is in `sessionStorage`, and is taken out on return.
 *
 * Somebody who asks for another account is sent with `prompt=login`, which Cognito (managed login), Auth0 and Keycloak
 * all know; Keycloak has no `select_account`.
 */
import type { TokenEndpointResponse } from 'oauth4webapi';
import type { GetToken } from '../elements';
import type { Config } from './config';
import { foreign, safePath } from './paths';

/** Where a way there and back is kept. */
const FLIGHT = 'roster.flight';
/** Set where somebody has signed in in this tab: a reload asks the identity provider whether they still are. */
const SIGNED_IN = 'roster.signed-in';
/** The parameter that makes a window one that was opened to sign in again, and the name of what it is told by. */
const RENEW = 'renew';
/** A token is not used in the last seconds of its life, which the way to the API takes. */
const MARGIN_SECONDS = 20;
/** How long the identity provider has for an answer, in milliseconds. */
const ANSWER_MS_MAX = 20_000;
/**
 * The viewer's clock may be wrong by days. That costs nothing here: the token has just come from the identity provider
 * itself, with the nonce of this very sign-in, and what it is worth is the API's to say.
 */
const CLOCK_SECONDS_OFF_MAX = 10 * 365 * 86_400;
/** What `prompt=none` is refused with where a person has to do something. */
const PERSON_NEEDED = ['login_required', 'interaction_required', 'consent_required', 'account_selection_required'];

/** Why there was no signing in. */
export interface Failure {
  trouble: 'unreachable' | 'stale' | 'refused' | 'broken' | 'storage';
  /** What the identity provider says itself, or empty. */
  reason: string;
}

interface Departure {
  /** Whom the identity provider may propose. */
  email?: string | undefined;
  /** Not as whoever is signed in there already. */
  change?: boolean;
  /** Without asking anybody: a person who would have to do something is signed out. */
  silent?: boolean;
  /** The invitation's token, which has to be there on return. */
  invitation?: string;
}

interface Flight {
  state: string;
  verifier: string;
  nonce: string;
  /** Where to return to. */
  path: string;
  silent: boolean;
  invitation: string;
}

interface Tokens {
  token: string;
  refresh: string | undefined;
  /** Until when the token is used, in milliseconds of this machine's clock. */
  until: number;
}

export class Session {
  /** The invitation's token from before the sign-in, or empty. */
  readonly invitation: string;
  /** Why the last sign-in came to nothing. */
  failure: Failure | undefined;
  /** Of the window that was opened to sign in again, or null. */
  readonly #renewal: string | null;
  readonly #config: Config;
  readonly #arrived: Promise<void>;
  #tokens: Tokens | undefined;
  #refreshing: Promise<void> | undefined;
  #renewed: BroadcastChannel | undefined;

  /** Takes what the identity provider has answered out of the address bar, and what was kept for it out of the storage. */
  constructor(config: Config) {
    this.#config = config;
    const answer = new URLSearchParams(location.search);
    const flight = takeFlight();
    this.invitation = flight?.invitation ?? '';
    if (answer.has('code') || answer.has('error')) {
      history.replaceState(null, '', safePath(flight?.path, location.origin));
      this.#arrived = this.#arrive(answer, flight);
    } else {
      this.#arrived = Promise.resolve();
    }
    this.#renewal = new URLSearchParams(location.search).get(RENEW);
  }

  /** Resolves when it is clear whether somebody is signed in. */
  arrived(): Promise<void> {
    return this.#arrived;
  }

  readonly getToken: GetToken = async ({ refresh }) => {
    await this.#arrived;
    const usable = (): boolean => this.#tokens !== undefined && Date.now() < this.#tokens.until;
    if (refresh || !usable()) await (this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined)));
    return usable() ? this.#tokens!.token : null;
  };

  /** Whether it is worth asking the identity provider, which asks nobody, if the viewer is still signed in. */
  get wasSignedIn(): boolean {
    return stored(() => sessionStorage.getItem(SIGNED_IN)) !== null;
  }

  /** Goes to the identity provider. Comes back, as it were, only where that failed. */
  async signIn({ email, change = false, silent = false, invitation = '' }: Departure = {}): Promise<void> {
    this.failure = undefined;
    const { client_id, authorize_url, scope } = this.#config;
    try {
      const oauth = await import('./oauth');
      const flight: Flight = {
        state: oauth.generateRandomState(),
        verifier: oauth.generateRandomCodeVerifier(),
        nonce: oauth.generateRandomNonce(),
        path: location.pathname + location.search,
        silent,
        invitation,
      };
      const to = new URL(authorize_url);
      const query = {
        response_type: 'code',
        client_id,
        redirect_uri: home(),
        scope,
        state: flight.state,
        nonce: flight.nonce,
        code_challenge: await oauth.calculatePKCECodeChallenge(flight.verifier),
        code_challenge_method: 'S256',
        ui_locales: document.documentElement.lang,
        ...(email && { login_hint: email }),
        ...(silent ? { prompt: 'none' } : change && { prompt: 'login' }),
      };
      for (const [name, value] of Object.entries(query)) to.searchParams.set(name, value);
      // Tried once: without an answer the next load must not try again.
      stored(() => sessionStorage.removeItem(SIGNED_IN));
      try {
        sessionStorage.setItem(FLIGHT, JSON.stringify(flight));
      } catch {
        this.failure = { trouble: 'storage', reason: '' };
        return;
      }
      // Nobody wants to go back to a page that goes on by itself.
      if (silent) location.replace(to);
      else location.assign(to);
    } catch (error) {
      this.failure = failureOf(error);
    }
  }

  /**
   * Signs in again in a window of its own, so that the page keeps what was typed into it. Resolves once that is done.
   * Undefined where the browser opens no window.
   */
  renew(): Promise<void> | undefined {
    const id = crypto.randomUUID();
    if (!open(`/?${RENEW}=${id}`, '_blank', 'popup,width=480,height=720')) return undefined;
    // A window that was closed again never tells.
    this.#renewed?.close();
    // Not by `opener`, which the way over another origin has cut; and only who knows the id gets to hear it.
    const channel = (this.#renewed = new BroadcastChannel(`${FLIGHT}.${id}`));
    return new Promise((resolve) => {
      channel.onmessage = ({ data }: MessageEvent<Tokens>) => {
        channel.close();
        this.#tokens = data;
        resolve();
      };
    });
  }

  /** Whether this window was opened to sign in again. */
  get isRenewal(): boolean {
    return this.#renewal !== null;
  }

  /** Hands the token to the window that opened this one, which closes. */
  handBack(): void {
    const channel = new BroadcastChannel(`${FLIGHT}.${this.#renewal}`);
    channel.postMessage(this.#tokens);
    channel.close();
    close();
  }

  /** Forgets the token, and has the identity provider forget the viewer where it can. */
  signOut(): void {
    this.#tokens = undefined;
    stored(() => sessionStorage.removeItem(SIGNED_IN));
    const { sign_out_url, client_id } = this.#config;
    if (!sign_out_url) return location.assign('/');
    const to = new URL(sign_out_url);
    to.searchParams.set('client_id', client_id);
    to.searchParams.set('post_logout_redirect_uri', home());
    // What Cognito calls it.
    to.searchParams.set('logout_uri', home());
    location.assign(to);
  }

  async #arrive(answer: URLSearchParams, flight: Flight | undefined): Promise<void> {
    // Whatever an answer that was not asked for says, nobody gets to read it here.
    if (!flight || answer.get('state') !== flight.state) {
      this.failure = { trouble: 'stale', reason: '' };
      return;
    }
    try {
      const { oauth, server, client, options } = await this.#provider();
      const checked = oauth.validateAuthResponse(server, client, answer, flight.state);
      const response = await oauth.authorizationCodeGrantRequest(
        server,
        client,
        oauth.None(),
        checked,
        home(),
        flight.verifier,
        options(),
      );
      const openid = this.#config.scope.split(' ').includes('openid');
      const tokens = await oauth.processAuthorizationCodeResponse(
        server,
        client,
        response,
        openid ? { expectedNonce: flight.nonce, requireIdToken: true } : {},
      );
      this.#keep(tokens, oauth.getValidatedIdTokenClaims(tokens));
      stored(() => sessionStorage.setItem(SIGNED_IN, ''));
    } catch (error) {
      const { error: code } = error as { error?: unknown };
      if (!(flight.silent && PERSON_NEEDED.includes(String(code)))) this.failure = failureOf(error);
    }
  }

  /**
   * Gets another token by the refresh token, if the identity provider gave one; without, nobody is signed in any more. Where
   * there was no answer the refresh token is kept: the next call tries again.
   */
  async #refresh(): Promise<void> {
    const { refresh } = this.#tokens ?? {};
    if (!refresh) {
      this.#tokens = undefined;
      return;
    }
    try {
      const { oauth, server, client, options } = await this.#provider();
      const response = await oauth.refreshTokenGrantRequest(server, client, oauth.None(), refresh, options());
      const tokens = await oauth.processRefreshTokenResponse(server, client, response);
      this.#keep({ refresh_token: refresh, ...tokens }, oauth.getValidatedIdTokenClaims(tokens));
    } catch (error) {
      if (failureOf(error).trouble === 'unreachable') throw error;
      this.#tokens = undefined;
    }
  }

  #keep(tokens: TokenEndpointResponse, claims: { exp: number; iat: number } | undefined): void {
    const kind = this.#config.token;
    const token = tokens[kind];
    if (!token) throw new Error(`the token endpoint gave no ${kind}`);
    // By durations: the identity provider's clock is not this one.
    const life = kind === 'id_token' ? claims && claims.exp - claims.iat : tokens.expires_in;
    const until = life === undefined ? Infinity : Date.now() + (life - MARGIN_SECONDS) * 1000;
    this.#tokens = { token, refresh: tokens.refresh_token, until };
  }

  async #provider() {
    const { issuer, authorize_url, token_url, client_id } = this.#config;
    const oauth = await import('./oauth');
    return {
      oauth,
      server: {
        issuer,
        authorization_endpoint: authorize_url,
        token_endpoint: token_url,
        // What API Gateway's authorizer takes.
        id_token_signing_alg_values_supported: ['RS256', 'RS384', 'RS512'],
      },
      client: { client_id, [oauth.clockTolerance]: CLOCK_SECONDS_OFF_MAX },
      options: () => ({
        // A page that came by plain HTTP is on a laptop: browsers let no other one reckon with PKCE.
        [oauth.allowInsecureRequests]: isLaptop(),
        signal: AbortSignal.timeout(ANSWER_MS_MAX),
      }),
    };
  }
}

/** Where the identity provider returns to, always. */
function home(): string {
  return `${location.origin}/`;
}

function isLaptop(): boolean {
  const { protocol, hostname } = location;
  return protocol === 'http:' && /^(localhost|\[::1\]|127(\.\d+){3})$/.test(hostname);
}

function takeFlight(): Flight | undefined {
  const flight = stored((): Flight | null => JSON.parse(sessionStorage.getItem(FLIGHT) ?? 'null'));
  stored(() => sessionStorage.removeItem(FLIGHT));
  return flight ?? undefined;
}

/** Browsers that block storage throw at the mention of it; what is no JSON is as good as nothing. */
function stored<Value>(access: () => Value): Value | null {
  try {
    return access();
  } catch {
    return null;
  }
}

function failureOf(error: unknown): Failure {
  const { error: code, error_description: said, code: kind, name } = error as Record<string, string | undefined>;
  if (code) return { trouble: 'refused', reason: foreign(said ?? code) };
  // Of the browser, which has no code: `fetch`, `import()`, or the time that an answer has.
  if ((error instanceof TypeError && !kind) || name === 'TimeoutError') return { trouble: 'unreachable', reason: '' };
  // Without the cause: it holds what was answered, tokens and all.
  reportError(new Error((error as Error).message));
  return { trouble: 'broken', reason: '' };
}
