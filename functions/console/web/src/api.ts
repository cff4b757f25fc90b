/** The API, as the elements call it. */
import type { components } from './openapi';
import type { Language } from './i18n';
import type { GetToken, Invitation, InviteResult, Member, Organization, Role } from './elements';

type Schemas = components['schemas'];
export type Preview = Schemas['Preview'];
export type OrganizationItem = Schemas['OrganizationPage']['items'][number];
type Problem = Schemas['Problem'];

/** The most that one page of a list holds (the contract's `limit`). */
const PAGE_MAX = 1000;
/** Pages of one list: 1,000 members, and what is kept of invitations; beyond it something is wrong. */
const PAGES_MAX = 50;
/** Above API Gateway's 30 s, after which there is no answer any more. */
const ANSWER_MS_MAX = 35_000;

/** Codes of the contract's problems, and what can happen on the way to it. */
export type Code =
  | Problem['code']
  /** No connection, or it was lost: whether it was done is not known. */
  | 'unreachable'
  /** Nobody is signed in, or not any more. */
  | 'signed_out'
  /** API Gateway or something before it has answered: `status` says what. */
  | 'gateway';

/** Why a call was refused, or failed. */
export class CallError extends Error {
  constructor(
    readonly code: Code,
    readonly status: number,
    /** For a person to read, in English; empty if nobody said anything. */
    readonly detail: string,
    readonly problem: Partial<Problem> = {},
    /** Seconds after which another try makes sense. */
    readonly retryAfter: number | undefined = undefined,
  ) {
    super(`${status} ${code}`);
  }
}

interface Call {
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  body?: unknown;
  /** Whether it goes with the caller's token. */
  open?: boolean;
  /** The same key for every attempt at the same thing. */
  key?: string | undefined;
}

const segment = encodeURIComponent;

/** An `Idempotency-Key`. `randomUUID` would be there on secure pages only. */
export function newKey(): string {
  return crypto.getRandomValues(new BigUint64Array(2)).join('-');
}

/** A client for one deployment, and whoever is signed in. */
export class Api {
  /** Server's time minus this machine's, in milliseconds, as the last answer had it. */
  #offset = 0;

  constructor(
    readonly base: string,
    readonly getToken: GetToken | undefined,
  ) {}

  /** The time of whoever decides what has expired. */
  now(): number {
    return Date.now() + this.#offset;
  }

  /** Who is signed in, as far as their token says. */
  async viewer(): Promise<Viewer | undefined> {
    return viewerOf(await this.#token(false));
  }

  organizations(): Promise<OrganizationItem[]> {
    return this.#all('/v1/organizations?');
  }

  organization(id: string): Promise<Organization> {
    return this.#call(`/v1/organizations/${segment(id)}`);
  }

  create(name: string, key: string): Promise<Organization> {
    return this.#call('/v1/organizations', { method: 'POST', body: { name }, key });
  }

  rename(organization: string, name: string): Promise<Organization> {
    return this.#call(`/v1/organizations/${segment(organization)}`, { method: 'PATCH', body: { name } });
  }

  members(organization: string): Promise<Member[]> {
    return this.#all(`/v1/organizations/${segment(organization)}/members?`);
  }

  invitations(organization: string, status: Invitation['status']): Promise<Invitation[]> {
    return this.#all(`/v1/organizations/${segment(organization)}/invitations?status=${status}&`);
  }

  async invite(
    organization: string,
    emails: readonly string[],
    role: Role,
    language: Language | undefined,
    key: string,
  ): Promise<InviteResult[]> {
    const body = { emails, role, ...(language && { language }) };
    const path = `/v1/organizations/${segment(organization)}/invitations`;
    return (await this.#call<Schemas['InviteResults']>(path, { method: 'POST', body, key })).results;
  }

  resend(organization: string, invitation: string, key: string): Promise<Invitation> {
    const path = `/v1/organizations/${segment(organization)}/invitations/${segment(invitation)}/resend`;
    return this.#call(path, { method: 'POST', key });
  }

  revoke(organization: string, invitation: string): Promise<void> {
    const path = `/v1/organizations/${segment(organization)}/invitations/${segment(invitation)}`;
    return this.#call(path, { method: 'DELETE' });
  }

  editRole(organization: string, user: string, role: Role): Promise<Member> {
    const path = `/v1/organizations/${segment(organization)}/members/${segment(user)}`;
    return this.#call(path, { method: 'PATCH', body: { role } });
  }

  remove(organization: string, user: string): Promise<void> {
    return this.#call(`/v1/organizations/${segment(organization)}/members/${segment(user)}`, { method: 'DELETE' });
  }

  preview(token: string): Promise<Preview> {
    return this.#call('/v1/invitations/preview', { method: 'POST', body: { token }, open: true });
  }

  accept(token: string): Promise<Member> {
    return this.#call('/v1/invitations/accept', { method: 'POST', body: { token } });
  }

  decline(token: string): Promise<void> {
    return this.#call('/v1/invitations/decline', { method: 'POST', body: { token } });
  }

  /** Every item of a list, page by page. */
  async #all<Item>(path: string): Promise<Item[]> {
    const items: Item[] = [];
    let cursor: string | null = '';
    for (let page = 0; page < PAGES_MAX && cursor !== null; page++) {
      const after: string = cursor && `&cursor=${segment(cursor)}`;
      const answer: { items: Item[]; next_cursor: string | null } = await this.#call(`${path}limit=${PAGE_MAX}${after}`);
      items.push(...answer.items);
      cursor = answer.next_cursor;
    }
    return items;
  }

  async #call<Answer>(path: string, call: Call = {}): Promise<Answer> {
    let token = call.open ? null : await this.#token(false);
    let answer = await this.#send(path, call, token);
    if (answer.status === 401 && !call.open) {
      const other = await this.#token(true);
      if (other !== token) answer = await this.#send(path, call, (token = other));
      if (answer.status === 401) throw new CallError('signed_out', 401, '');
    }
    const text = await answer.text().catch(() => unreachable());
    if (answer.ok) return (text ? JSON.parse(text) : undefined) as Answer;
    throw refusal(answer, text);
  }

  async #token(refresh: boolean): Promise<string> {
    let token: string | null | undefined;
    try {
      token = await this.getToken?.({ refresh });
    } catch {
      // Whoever signs people in could not be asked.
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
    const answer = await fetch(this.base + path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    }).catch(() => unreachable());
    const date = Date.parse(answer.headers.get('date') ?? '');
    if (date) this.#offset = date - Date.now();
    return answer;
  }
}

function unreachable(): never {
  throw new CallError('unreachable', 0, '');
}

function refusal(answer: Response, text: string): CallError {
  let body: Partial<Problem> = {};
  try {
    body = JSON.parse(text) ?? {};
  } catch {
    // Whatever stands between the page and the API may say anything.
  }
  const seconds = Number(answer.headers.get('retry-after') ?? NaN);
  // What API Gateway says itself is a status in other words.
  const detail = body.detail ?? '';
  return new CallError(body.code ?? 'gateway', answer.status, detail, body, Number.isNaN(seconds) ? undefined : seconds);
}

/** Whom a token is about. */
export interface Viewer {
  readonly sub: string;
  readonly email: string;
}

/** Who a token is about, for showing it. The API alone decides what it is worth. */
export function viewerOf(token: string | null): Viewer | undefined {
  try {
    const part = token?.split('.')[1]?.replace(/-/g, '+').replace(/_/g, '/') ?? '';
    const bytes = Uint8Array.from(atob(part), (character) => character.charCodeAt(0));
    const { sub, email } = JSON.parse(new TextDecoder().decode(bytes));
    return typeof sub === 'string' ? { sub, email: typeof email === 'string' ? email.toLowerCase() : '' } : undefined;
  } catch {
    return undefined;
  }
}
