/**
 * The requests of OpenID Connect's code flow with PKCE. This module is loaded on demand, because most of a page load
 * does not need `oauth4webapi`.
 */
import {
  None,
  allowInsecureRequests,
  authorizationCodeGrantRequest,
  calculatePKCECodeChallenge,
  clockTolerance,
  generateRandomCodeVerifier,
  generateRandomNonce,
  generateRandomState,
  getValidatedIdTokenClaims,
  processAuthorizationCodeResponse,
  processRefreshTokenResponse,
  refreshTokenGrantRequest,
  validateAuthResponse,
  type TokenEndpointResponse,
} from 'oauth4webapi';
import type { Config } from './config';
import { sanitizeText } from './paths';
import type { Failure, PendingSignIn, SignInOptions, Tokens } from './sign-in';

/** A token is not used in the last seconds before it expires: the request to the API takes time. */
const EXPIRY_MARGIN_SECONDS = 20;
/** The timeout of a request to the identity provider in milliseconds. */
const RESPONSE_MS_MAX = 20_000;
/**
 * The tolerance for the times in an id token. It is ten years because the viewer's clock may be wrong. This is safe:
 * the token comes straight from the identity provider with the nonce of this sign-in, and the API checks the expiry of
 * the token that it gets.
 */
const CLOCK_TOLERANCE_SECONDS = 10 * 365 * 86_400;

/** The errors of a silent sign-in (`prompt=none`) that needs the user to do something. */
const INTERACTION_ERRORS = ['login_required', 'interaction_required', 'consent_required', 'account_selection_required'];

/** Returns the URL of the identity provider's sign-in page, and the state to keep until the return. */
export async function prepareSignIn(
  { client_id, authorize_url, scope }: Config,
  redirectUri: string,
  { email, change = false, silent = false }: SignInOptions,
): Promise<{ url: URL; pending: PendingSignIn }> {
  const pending: PendingSignIn = {
    state: generateRandomState(),
    verifier: generateRandomCodeVerifier(),
    nonce: generateRandomNonce(),
    path: location.pathname + location.search,
    silent,
  };
  const url = new URL(authorize_url);
  const query = {
    response_type: 'code',
    client_id,
    redirect_uri: redirectUri,
    scope,
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: await calculatePKCECodeChallenge(pending.verifier),
    code_challenge_method: 'S256',
    ui_locales: document.documentElement.lang,
    ...(email && { login_hint: email }),
    ...(silent ? { prompt: 'none' } : change && { prompt: 'login' }),
  };
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return { url, pending };
}

/** Exchanges the code in the identity provider's response for tokens. */
export async function redeemCode(
  config: Config,
  redirectUri: string,
  parameters: URLSearchParams,
  pending: PendingSignIn,
): Promise<Tokens> {
  const { server, client, options } = provider(config);
  const validated = validateAuthResponse(server, client, parameters, pending.state);
  const response = await authorizationCodeGrantRequest(server, client, None(), validated, redirectUri, pending.verifier, options);
  const openid = config.scope.split(' ').includes('openid');
  const checks = openid ? { expectedNonce: pending.nonce, requireIdToken: true } : {};
  return tokensOf(config, await processAuthorizationCodeResponse(server, client, response, checks));
}

/** Gets new tokens with a refresh token. The identity provider may replace the refresh token. */
export async function refreshTokens(config: Config, refresh: string): Promise<Tokens> {
  const { server, client, options } = provider(config);
  const response = await refreshTokenGrantRequest(server, client, None(), refresh, options);
  const tokens = await processRefreshTokenResponse(server, client, response);
  return { refresh, ...tokensOf(config, tokens) };
}

function tokensOf({ token: kind }: Config, response: TokenEndpointResponse): Tokens {
  const token = response[kind];
  if (!token) throw new Error(`the token endpoint returned no ${kind}`);
  const claims = getValidatedIdTokenClaims(response);
  // Use the duration only, since the identity provider's clock may differ from this one.
  const lifetime = kind === 'id_token' ? claims && claims.exp - claims.iat : response.expires_in;
  const until = lifetime === undefined ? Infinity : Date.now() + (lifetime - EXPIRY_MARGIN_SECONDS) * 1000;
  return { token, until, ...(response.refresh_token !== undefined && { refresh: response.refresh_token }) };
}

function provider({ issuer, authorize_url, token_url, client_id }: Config) {
  return {
    server: {
      issuer,
      authorization_endpoint: authorize_url,
      token_endpoint: token_url,
      // The algorithms that API Gateway's authorizer accepts.
      id_token_signing_alg_values_supported: ['RS256', 'RS384', 'RS512'],
    },
    client: { client_id, [clockTolerance]: CLOCK_TOLERANCE_SECONDS },
    options: {
      // Only the local server ("the laptop") is used over plain HTTP. Elsewhere browsers lack `crypto.subtle`, which
      // PKCE needs.
      [allowInsecureRequests]: isLoopback(),
      signal: AbortSignal.timeout(RESPONSE_MS_MAX),
    },
  };
}

/** Whether the page comes from this machine over plain HTTP. */
function isLoopback(): boolean {
  const { protocol, hostname } = location;
  return protocol === 'http:' && /^(localhost|\[::1\]|127(\.\d+){3})$/.test(hostname);
}

/** Returns the reason why a sign-in failed. Undefined if a silent sign-in only needs the user to do something. */
export function failureOf(error: unknown, silent: boolean): Failure | undefined {
  const { error: code, error_description: description, code: errorCode, name } = error as Record<string, string | undefined>;
  if (silent && INTERACTION_ERRORS.includes(String(code))) return undefined;
  if (code) return { kind: 'refused', reason: sanitizeText(description ?? code) };
  // Network errors of `fetch` are `TypeError`s without a code. A timeout has its own name.
  if ((error instanceof TypeError && !errorCode) || name === 'TimeoutError') return { kind: 'unreachable', reason: '' };
  // Log the message only: the error's cause may contain the response with its tokens.
  reportError(new Error((error as Error).message));
  return { kind: 'broken', reason: '' };
}
