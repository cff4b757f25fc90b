/** Performs operations on rows. Role changes, removals and revocations are shown at once, and undone if the API refuses them. */
import { CallError, newKey, type Api } from '../api';
import type { Invitation, Role } from '../elements';
import type { Outcome } from './row-tasks';
import { withInvitations, withMember, withoutRow, type Change, type InvitationRow, type MemberRow, type Users } from './rows';
import type { UsersController, UsersView } from './users-controller';
import { WaitingOperations } from './waiting-operations';

/** An operation on a row. */
export type Operation =
  | { readonly kind: 'role'; readonly row: MemberRow; readonly role: Role }
  | { readonly kind: 'remove' | 'leave'; readonly row: MemberRow }
  | { readonly kind: 'resend' | 'revoke'; readonly row: InvitationRow };

/** Returns the change that is shown before the API has confirmed the operation. */
export function changeOf(operation: Operation): Change | undefined {
  switch (operation.kind) {
    case 'role':
      return { role: operation.role };
    case 'remove':
    case 'revoke':
      return 'removed';
    default:
      return undefined;
  }
}

/** A successful call. */
interface Done {
  /** Applies the result. */
  readonly apply?: (users: Users) => Users;
  /** Emits the element's event. */
  readonly emit: () => void;
}

export interface OperationsView {
  readonly api: Api;
  readonly emit: UsersView['emit'];
  /** Called after a sign-in, for each operation that waited for it: performs the operation. */
  readonly onSignedIn: (operation: Operation) => void;
}

/** Whether an operation failed because another user had already removed the row. */
export function isAlreadyRemoved(error: unknown): boolean {
  return error instanceof CallError && (error.code === 'member_not_found' || error.code === 'invitation_not_found');
}

export class RowOperations {
  readonly #users: UsersController;
  readonly #view: OperationsView;
  /** The idempotency keys of unconfirmed resends, by row key. */
  readonly #resendKeys = new Map<string, string>();
  readonly #waiting: WaitingOperations;

  constructor(users: UsersController, view: OperationsView) {
    this.#users = users;
    this.#view = view;
    this.#waiting = new WaitingOperations((count) => (users.waitingCount = count));
  }

  /** Performs an operation. If the user is signed out, it waits for the next sign-in. */
  async perform(operation: Operation): Promise<Outcome> {
    const { row, kind } = operation;
    const organization = this.#users.organizationId;
    this.#waiting.delete(row.key);
    const outcome = await this.#users.tasks.run<Done>(row.key, {
      change: changeOf(operation),
      call: () => this.#call(organization, operation),
      onDone: ({ apply, emit }, isCurrent) => {
        if (isCurrent && apply) this.#users.apply(apply);
        emit();
        // In the same step: otherwise the embedding page could react to the event first, and set another organization.
        if (isCurrent && kind === 'leave') this.#users.onLeft(organization);
      },
      onFailed: (error) => this.#onFailed(operation, error),
    });
    if (outcome.is === 'done') {
      // Resending an expired invitation may take a seat again. Reload to get the number of seats.
      if (kind === 'resend' && operation.row.expired) void this.#users.load();
      this.performWaiting();
    }
    return outcome;
  }

  async #call(organization: string, operation: Operation): Promise<Done> {
    const { api, emit } = this.#view;
    const { key } = operation.row;
    const withoutThis = (users: Users): Users => withoutRow(users, key);
    switch (operation.kind) {
      case 'role': {
        const member = await api.editRole(organization, operation.row.member.user_id, operation.role);
        return { apply: (users) => withMember(users, member), emit: () => emit('roster-role-edited', { organization, member }) };
      }
      case 'remove': {
        const { member } = operation.row;
        await api.remove(organization, member.user_id);
        return { apply: withoutThis, emit: () => emit('roster-removed', { organization, member }) };
      }
      case 'leave':
        await api.remove(organization, operation.row.member.user_id);
        return { emit: () => emit('roster-left', { organization }) };
      case 'revoke': {
        const { invitation } = operation.row;
        await api.revoke(organization, invitation.id);
        return {
          apply: withoutThis,
          emit: () => emit('roster-revoked', { organization, invitation: { ...invitation, status: 'revoked' } }),
        };
      }
      case 'resend': {
        const invitation = await this.#resend(organization, operation.row);
        this.#users.startDeliveryChecks();
        return { apply: (users) => withInvitations(users, [invitation]), emit: () => emit('roster-resent', { organization, invitation }) };
      }
    }
  }

  async #resend(organization: string, { key, invitation }: InvitationRow): Promise<Invitation> {
    const idempotencyKey = this.#resendKeys.get(key) ?? newKey();
    this.#resendKeys.set(key, idempotencyKey);
    try {
      const sent = await this.#view.api.resend(organization, invitation.id, idempotencyKey);
      this.#users.startCooldown(key);
      this.#resendKeys.delete(key);
      return sent;
    } catch (error) {
      const { code, status, retryAfter } = error instanceof CallError ? error : { code: undefined, status: 0, retryAfter: undefined };
      if (code === 'resend_too_soon') this.#users.startCooldown(key, retryAfter);
      // After a refusal, the next attempt is a new operation. After a lost response or a sign-in, it is a retry with the
      // same key.
      if (code !== 'signed_out' && status >= 400 && status < 500) this.#resendKeys.delete(key);
      throw error;
    }
  }

  #onFailed(operation: Operation, error: unknown): void {
    const { key } = operation.row;
    const { code, status } = error instanceof CallError ? error : { code: undefined, status: 0 };
    if (!isAlreadyRemoved(error)) this.#users.tasks.errors.set(key, error);
    this.#users.apply((users) => (isAlreadyRemoved(error) ? withoutRow(users, key) : users));
    if (code === 'signed_out') {
      this.#waiting.add(operation, this.#resendKeys.get(key));
      this.#view.emit('roster-sign-in', { email: undefined, change: false });
    }
    // The data shown is out of date.
    if ([403, 404, 409].includes(status)) void this.#users.load();
  }

  /** Performs the operations that waited for a sign-in. Call this when the API has accepted the user's token. */
  performWaiting(): void {
    const { api, onSignedIn } = this.#view;
    this.#waiting.enter(api.base, this.#users.organizationId, this.#users.viewer ?? '');
    if (!this.#waiting.size) return;
    for (const { operation, key } of this.#waiting.take(this.#users.rows)) {
      if (key) this.#resendKeys.set(operation.row.key, key);
      onSignedIn(operation);
    }
  }

  /** Whether an operation on the row waits for a sign-in. */
  isWaiting(key: string): boolean {
    return this.#waiting.has(key);
  }

  /** Hides the error of a row. The refused operation waits no longer for a sign-in. */
  dismissError(key: string): void {
    this.#waiting.delete(key);
    this.#users.setError(key, undefined);
  }
}
