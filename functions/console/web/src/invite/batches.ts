/** Splits addresses into batches. Each batch is one call to the API, with its own idempotency key. */
import { CallError, newKey } from '../api';
import type { Role } from '../elements';
import type { Language } from '../i18n';

/** The maximum number of addresses in one call (the contract's `emails: [1..50]`). */
export const BATCH_MAX = 50;

/** The content of one call. */
export interface Batch {
  readonly emails: readonly string[];
  readonly role: Role;
  readonly language: Language | undefined;
  /** The idempotency key of the call. */
  readonly key: string;
}

/** Chooses the next batch. */
export class Batches {
  /** The last batch, if the API has not responded to it. */
  #unanswered: Batch | undefined;

  /**
   * Returns the next batch: the first addresses of `ready`, which must not be empty.
   *
   * A batch without a response is returned again unchanged, since the API may have processed it. If the user has
   * changed the role or the language, or removed one of its addresses, a new batch is returned instead.
   */
  next(ready: readonly string[], role: Role, language: Language | undefined): Batch {
    const last = this.#unanswered;
    const isSame = last?.role === role && last.language === language && last.emails.every((email) => ready.includes(email));
    if (isSame) return last;
    return (this.#unanswered = { emails: ready.slice(0, BATCH_MAX), role, language, key: newKey() });
  }

  /** Call this when the API has responded to the last batch. */
  answered(): void {
    this.#unanswered = undefined;
  }
}

/**
 * Returns the addresses that the API names as the reason for a refusal, each with the API's text. Empty if it names
 * none.
 */
export function refusedAddresses({ emails }: Batch, error: unknown): Map<string, string> {
  const refused = new Map<string, string>();
  if (!(error instanceof CallError) || (error.code !== 'invalid_email' && error.code !== 'resend_too_soon')) return refused;
  for (const { pointer, detail } of error.problem.errors ?? []) {
    const email = emails[Number(/^\/emails\/(\d+)$/.exec(pointer)?.[1])];
    if (email !== undefined) refused.set(email, detail);
  }
  return refused;
}
