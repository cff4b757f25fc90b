/** The API client of the elements. */
import { asciiLowerCase } from './address';
import type { components } from './openapi';
import type { Language } from './i18n';
import type { GetToken, Invitation, InviteResult, Member, Organization, Role } from './elements';

type Schemas = components['schemas'];
export type Preview = Schemas['Preview'];
export type OrganizationItem = Schemas['OrganizationItem'];
export type Delivery = Schemas['Delivery'];
type Problem = Schemas['Problem'];

/** The largest page of a list (the contract's maximum for `limit`). */
const PAGE_MAX = 1000;
/** The size of the first page of a list whose first items are shown at once. */
const FIRST_PAGE = 50;
/**
 * The maximum number of pages that are loaded of one list. It only guards against an endless list: real lists are
 * shorter.
 */
const PAGES_MAX = 50;
/** The timeout of a request in milliseconds. API Gateway itself gives up after 30 s. */
const RESPONSE_MS_MAX = 35_000;

/** The problem codes of the contract, and codes for failures outside of the API. The API may return other codes, too. */
export type Code =
  | Schemas['ProblemCode']
  /** There was no connection, or it was lost. The request may have been processed. */
  | 'unreachable'
  /** The user is not signed in, or the session has ended. */
  | 'signed_out'
  /** The page or the deployment is not set up correctly. The browser's console says what to do. */
  | 'misconfigured'
  /** The response came from API Gateway or a proxy, not from Roster. Only `status` describes it. */
  | 'gateway';

/** The reason why a call to the API was refused or failed. */
export class CallError extends Error {
  constructor(
    readonly code: Code,
    readonly status: number,
    /** The explanation from the API, in English. Empty if there is none. */
    readonly detail: string,
    readonly problem: Partial<Problem> = {},
    /** Seconds to wait before the next attempt. */
    readonly retryAfter: number | undefined = undefined,
  ) {
    super(`${status} ${code}`);
  }
}

interface Call {
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  body?: unknown;
  /** Whether the request is sent without the caller's token. */
  anonymous?: boolean;
  /** The idempotency key. Retries of the same operation use the same key. */
  key?: string | undefined;
}

/** Called with the first items of a list, before the others are loaded. */
export type OnFirst<Item> = ((items: Item[]) => void) | undefined;

const encode = encodeURIComponent;

/** The URLs of APIs that have responded to a call of this page. If a later call fails, the connection is lost. */
const respondingApis = new Set<string>();

/** Returns a new idempotency key. `crypto.randomUUID` is not used because it exists on secure pages only. */
export function newKey(): string {
  return crypto.getRandomValues(new BigUint64Array(2)).join('-');
}

/** A client for one deployment and one `getToken` function. */
export class Api {
  /** The server's time minus this machine's in milliseconds, from the `Date` header of the last response. */
  #clockOffset = 0;

  constructor(
    readonly base: string,
    readonly getToken: GetToken | undefined,
  ) {}

  /** Returns the server's time in milliseconds. The server decides when an invitation expires. */
  now(): number {
    return Date.now() + this.#clockOffset;
  }

  /** Returns the signed-in user, as named in the token. */
  async viewer(): Promise<Viewer | undefined> {
    return viewerOf(await this.#token(false));
  }

  organizations(): Promise<OrganizationItem[]> {
    return this.#list('/v1/organizations?');
  }

  organization(id: string): Promise<Organization> {
    return this.#request(`/v1/organizations/${encode(id)}`);
  }

  create(name: string, key: string): Promise<Organization> {
    return this.#request('/v1/organizations', { method: 'POST', body: { name }, key });
  }

  rename(organization: string, name: string): Promise<Organization> {
    return this.#request(`/v1/organizations/${encode(organization)}`, { method: 'PATCH', body: { name } });
  }

  members(organization: string, onFirst?: OnFirst<Member>): Promise<Member[]> {
    return this.#list(`/v1/organizations/${encode(organization)}/members?`, onFirst);
  }

  invitations(organization: string, status: Invitation['status'], onFirst?: OnFirst<Invitation>): Promise<Invitation[]> {
    return this.#list(`/v1/organizations/${encode(organization)}/invitations?status=${status}&`, onFirst);
  }

  async invite(
    organization: string,
    emails: readonly string[],
    role: Role,
    language: Language | undefined,
    key: string,
  ): Promise<InviteResult[]> {
    const body = { emails, role, ...(language && { language }) };
    const path = `/v1/organizations/${encode(organization)}/invitations`;
    return (await this.#request<Schemas['InviteResults']>(path, { method: 'POST', body, key })).results;
  }

  resend(organization: string, invitation: string, key: string): Promise<Invitation> {
    const path = `/v1/organizations/${encode(organization)}/invitations/${encode(invitation)}/resend`;
    return this.#request(path, { method: 'POST', key });
  }

  revoke(organization: string, invitation: string): Promise<void> {
    const path = `/v1/organizations/${encode(organization)}/invitations/${encode(invitation)}`;
    return this.#request(path, { method: 'DELETE' });
  }

  editRole(organization: string, user: string, role: Role): Promise<Member> {
    const path = `/v1/organizations/${encode(organization)}/members/${encode(user)}`;
    return this.#request(path, { method: 'PATCH', body: { role } });
  }

  remove(organization: string, user: string): Promise<void> {
    return this.#request(`/v1/organizations/${encode(organization)}/members/${encode(user)}`, { method: 'DELETE' });
  }

  preview(token: string): Promise<Preview> {
    return this.#request('/v1/invitations/preview', { method: 'POST', body: { token }, anonymous: true });
  }

  accept(token: string): Promise<Schemas['AcceptedInvitation']> {
    return this.#request('/v1/invitations/accept', { method: 'POST', body: { token } });
  }

  decline(token: string): Promise<void> {
    return this.#request('/v1/invitations/decline', { method: 'POST', body: { token } });
  }

  /** Loads all pages of a list. With `onFirst`, the first page is small, so that it is there soon. */
  async #list<Item>(path: string, onFirst?: OnFirst<Item>): Promise<Item[]> {
    const items: Item[] = [];
    let cursor: string | null = '';
    for (let page = 0; page < PAGES_MAX && cursor !== null; page++) {
      const limit = onFirst && !page ? FIRST_PAGE : PAGE_MAX;
      const after: string = cursor && `&cursor=${encode(cursor)}`;
      const body: { items: Item[]; next_cursor: string | null } = await this.#request(`${path}limit=${limit}${after}`);
      items.push(...body.items);
      if (!page) onFirst?.([...items]);
      cursor = body.next_cursor;
    }
    return items;
  }

  async #request<Result>(path: string, call: Call = {}): Promise<Result> {
    let token = call.anonymous ? null : await this.#token(false);
    let response = await this.#send(path, call, token);
    if (response.status === 401 && !call.anonymous) {
      const other = await this.#token(true);
      if (other !== token) response = await this.#send(path, call, (token = other));
      if (response.status === 401) throw new CallError('signed_out', 401, '');
    }
    const text = await response.text().catch(() => unreachable());
    if (isForeign(response, text)) {
      void import('./diagnosis').then(({ reportForeignResponse }) => reportForeignResponse(response, this.base));
      throw new CallError('misconfigured', response.status, '');
    }
    if (response.ok) return (text ? JSON.parse(text) : undefined) as Result;
    throw errorOf(response, text);
  }

  async #token(refresh: boolean): Promise<string> {
    let token: string | null | undefined;
    try {
      token = await this.getToken?.({ refresh });
    } catch (error) {
      // Usually the identity provider could not be reached. Developers must see any other reason.
      console.info('getToken rejected', error);
      unreachable();
    }
    if (!token) throw new CallError('signed_out', 401, '');
    return token;
  }

  async #send(path: string, { method = 'GET', body, key }: Call, token: string | null): Promise<Response> {
    const headers = new Headers();
    if (token) headers.set('authorization', `Bearer ${token}`);
    if (key) headers.set('idempotency-key', key);
    if (body !== undefined) headers.set('content-type', 'application/json');
    const response = await fetch(this.base + path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
      signal: AbortSignal.timeout(RESPONSE_MS_MAX),
    }).catch((error: unknown) => this.#explainFailure(error));
    respondingApis.add(this.base);
    const date = Date.parse(response.headers.get('date') ?? '');
    if (date) this.#clockOffset = date - Date.now();
    return response;
  }

  /** Throws the reason why a call got no response. */
  async #explainFailure(error: unknown): Promise<never> {
    // A timeout is not a `TypeError`. Calls to the page's own origin need no permission.
    if (error instanceof TypeError && this.base && !respondingApis.has(this.base)) {
      const diagnosis = await import('./diagnosis').catch(() => undefined);
      if (await diagnosis?.isMisconfigured(this.base)) throw new CallError('misconfigured', 0, '');
    }
    return unreachable();
  }
}

/** Whether a response comes from another server than Roster's API, for example from a web site. */
function isForeign({ ok, status, headers }: Response, text: string): boolean {
  // The API and API Gateway respond with JSON. A proxy may refuse a call with another type.
  const isJson = headers.get('content-type')?.includes('json');
  return !isJson && (ok ? text !== '' : [404, 405, 501].includes(status));
}

function unreachable(): never {
  throw new CallError('unreachable', 0, '');
}

function errorOf(response: Response, text: string): CallError {
  let body: Partial<Problem> = {};
  try {
    body = JSON.parse(text) ?? {};
  } catch {
    // A proxy between the page and the API may send a body that is not JSON.
  }
  const seconds = Number(response.headers.get('retry-after') ?? NaN);
  // API Gateway's own bodies have no `detail`; their `message` only repeats the status.
  const detail = body.detail ?? '';
  const code = (body.code ?? 'gateway') as Code;
  return new CallError(code, response.status, detail, body, Number.isNaN(seconds) ? undefined : seconds);
}

/** The user of a token. */
export interface Viewer {
  readonly sub: string;
  readonly email: string;
  /** Whether the identity provider has verified the address. Undefined if the token does not say so. */
  readonly isVerified: boolean | undefined;
}

/** Reads the user from a token without verifying it. Use the result for display only: the API verifies the token. */
export function viewerOf(token: string | null): Viewer | undefined {
  try {
    const part = token?.split('.')[1]?.replace(/-/g, '+').replace(/_/g, '/') ?? '';
    const bytes = Uint8Array.from(atob(part), (character) => character.charCodeAt(0));
    const { sub, email, email_verified: verified } = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof sub !== 'string') return undefined;
    // Some identity providers send the claim as a text.
    const isVerified = verified === undefined ? undefined : String(verified) === 'true';
    return { sub, email: typeof email === 'string' ? asciiLowerCase(email) : '', isVerified };
  } catch {
    return undefined;
  }
}
