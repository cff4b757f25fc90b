/** Operations that wait until the user has signed in again. */
import type { Role } from '../elements';
import { tryStorage } from '../storage';
import type { Operation } from './row-operations';
import type { Row } from './rows';
import { WAITING_KEY } from './waiting-key';

/** The time in milliseconds for which operations wait. Later, they would take the user by surprise. */
const WAIT_MS_MAX = 15 * 60_000;

/** A waiting operation, without the row's data. */
interface Waiting {
  readonly kind: Operation['kind'];
  readonly role: Role | undefined;
  /** The idempotency key of the attempt. */
  readonly key: string | undefined;
  /** The time in milliseconds from which the operation waits. */
  readonly since: number;
}

/** Operations that the API refused because the user was signed out. They wait for the next sign-in of the same user. */
export class WaitingOperations {
  /** By row key. */
  #waiting = new Map<string, Waiting>();
  /** Identifies the deployment, the organization and the user. */
  #scope = '';

  /** `onCount` is called with the number of waiting operations when it has changed. */
  constructor(readonly onCount: (count: number) => void) {}

  get size(): number {
    return this.#waiting.size;
  }

  has(rowKey: string): boolean {
    return this.#waiting.has(rowKey);
  }

  /** Sets the deployment, the organization and the user. Operations of another scope do not count. */
  enter(...scope: string[]): void {
    const text = scope.join(' ');
    if (text === this.#scope) return;
    this.#scope = text;
    this.#waiting = this.#read();
    this.onCount(this.size);
  }

  add(operation: Operation, key: string | undefined): void {
    const { kind, row } = operation;
    this.#waiting.set(row.key, { kind, role: kind === 'role' ? operation.role : undefined, key, since: Date.now() });
    this.#write();
  }

  delete(rowKey: string): void {
    if (this.#waiting.delete(rowKey)) this.#write();
  }

  /** Returns and forgets the operations on rows that still exist, each with its idempotency key. */
  take(rows: readonly Row[]): { operation: Operation; key: string | undefined }[] {
    const waiting = this.#waiting;
    this.#waiting = new Map();
    this.#write();
    return rows.flatMap((row) => {
      const saved = waiting.get(row.key);
      const operation = saved && saved.since + WAIT_MS_MAX > Date.now() ? restored(saved, row) : undefined;
      return operation ? { operation, key: saved?.key } : [];
    });
  }

  #read(): Map<string, Waiting> {
    const stored = tryStorage((): Map<string, Waiting> => {
      const { scope, waiting } = JSON.parse(sessionStorage.getItem(WAITING_KEY) ?? '{}');
      return new Map(scope === this.#scope ? waiting : []);
    });
    return stored ?? new Map();
  }

  #write(): void {
    this.onCount(this.size);
    // If the browser blocks the storage, the operations wait as long as the page is open.
    tryStorage(() => {
      if (this.size) sessionStorage.setItem(WAITING_KEY, JSON.stringify({ scope: this.#scope, waiting: [...this.#waiting] }));
      else sessionStorage.removeItem(WAITING_KEY);
    });
  }
}

function restored({ kind, role }: Waiting, row: Row): Operation | undefined {
  if (row.kind === 'member') {
    if (kind === 'role' && role) return { kind, row, role };
    return kind === 'remove' || kind === 'leave' ? { kind, row } : undefined;
  }
  return kind === 'resend' || kind === 'revoke' ? { kind, row } : undefined;
}
