/** Many addresses in calls of a few, each with a key of its own. */
import { CallError, newKey } from '../api';
import type { Role } from '../elements';
import type { Language } from '../i18n';

/** The contract's `emails: [1..50]`. */
export const CALL_MAX = 50;

/** One call. */
export interface Batch {
  readonly emails: readonly string[];
  readonly role: Role;
  readonly language: Language | undefined;
  /** Its `Idempotency-Key`. */
  readonly key: string;
}

/** What is sent next. */
export class Batches {
  #open: Batch | undefined;

  /**
   * The first of `ready`, which is not empty. But a call without an answer is made once more exactly as it was, since it may
   * have been done; unless somebody has changed what it says.
   */
  next(ready: readonly string[], role: Role, language: Language | undefined): Batch {
    const open = this.#open;
    const isSame = open?.role === role && open.language === language && open.emails.every((email) => ready.includes(email));
    if (isSame) return open;
    return (this.#open = { emails: ready.slice(0, CALL_MAX), role, language, key: newKey() });
  }

  /** The API has said what became of the last one. */
  answered(): void {
    this.#open = undefined;
  }
}

/** Which addresses of a call the API names as the reason why it has done nothing, and why; empty if it was none of them. */
export function refusedOf({ emails }: Batch, error: unknown): Map<string, string> {
  const refused = new Map<string, string>();
  if (!(error instanceof CallError) || (error.code !== 'invalid_email' && error.code !== 'resend_too_soon')) return refused;
  for (const { pointer, detail } of error.problem.errors ?? []) {
    const email = emails[Number(/^\/emails\/(\d+)$/.exec(pointer)?.[1])];
    if (email !== undefined) refused.set(email, detail);
  }
  return refused;
}
