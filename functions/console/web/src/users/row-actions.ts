/** The user's actions on rows: asks for confirmation, performs the operation, shows the result, and moves the focus. */
import type { LitElement } from 'lit';
import { CallError, type Api } from '../api';
import type { Role } from '../elements';
import type { Question } from './confirm-dialog';
import { RowOperations, isAlreadyRemoved, type Operation } from './row-operations';
import type { InvitationRow, MemberRow, Row } from './rows';
import { actionButton, rowElement } from './table';
import { Toasts } from './toasts';
import type { UsersController, UsersView } from './users-controller';
import type { Texts } from './view';

/** The part of the element that the actions need. */
export interface ActionsView {
  readonly api: Api;
  readonly emit: UsersView['emit'];
  readonly texts: Texts;
  /** The rows of the current page. */
  readonly pageRows: readonly Row[];
  readonly confirms: (question: Question) => Promise<boolean>;
  readonly problemText: (error: unknown) => string;
  readonly announce: (text: string) => void;
  /** Shows a message that belongs to no row. */
  readonly notify: (text: string, bad?: boolean) => void;
  /** Hides the message. */
  readonly clearNotice: () => void;
}

/** A row that has been removed. Shown instead of "No matches" if no other row matches the search or the filter. */
export interface RemovedRow {
  readonly text: string;
  readonly isDone: boolean;
}

export class RowActions {
  readonly #host: LitElement;
  readonly #users: UsersController;
  readonly #view: ActionsView;
  readonly #operations: RowOperations;
  readonly toasts: Toasts;
  /** The row that was removed last. */
  removed: RemovedRow | undefined;
  /** The key of the row whose operation the user was last asked to confirm. */
  askingKey = '';

  constructor(host: LitElement, users: UsersController, view: ActionsView) {
    this.#host = host;
    this.#users = users;
    this.#view = view;
    this.toasts = new Toasts(host);
    this.#operations = new RowOperations(users, {
      get api() {
        return view.api;
      },
      emit: view.emit,
      onSignedIn: (operation) => void this.perform(operation),
    });
  }

  async editRole(row: MemberRow, role: Role): Promise<void> {
    // Until then, the select shows the current role.
    this.#host.requestUpdate();
    const question = { kind: 'promote', email: this.#emailOf(row), organization: this.#organization } as const;
    if (role === 'owner' && !(await this.#confirms(row, question))) return;
    await this.perform({ kind: 'role', row, role });
  }

  async remove(row: MemberRow): Promise<void> {
    const question = { kind: 'remove', email: this.#emailOf(row), organization: this.#organization } as const;
    if (await this.#confirms(row, question)) await this.perform({ kind: 'remove', row });
  }

  async revoke(row: InvitationRow): Promise<void> {
    if (await this.#confirms(row, { kind: 'revoke', email: this.#emailOf(row) })) await this.perform({ kind: 'revoke', row });
  }

  resend(row: InvitationRow): Promise<void> {
    return this.perform({ kind: 'resend', row });
  }

  async leave(row: MemberRow): Promise<void> {
    if (row.lock === 'last_owner') {
      this.#users.setError(row.key, new CallError('last_owner', 409, ''));
      return this.#view.announce(this.#view.texts.messages.leaveLast);
    }
    const question = { kind: 'leave', organization: this.#organization } as const;
    if (await this.#confirms(row, question)) await this.perform({ kind: 'leave', row });
  }

  #confirms({ key }: Row, question: Question): Promise<boolean> {
    this.askingKey = key;
    return this.#view.confirms(question);
  }

  /** Performs an operation and shows its result. */
  async perform(operation: Operation): Promise<void> {
    const { row, kind } = operation;
    const organization = this.#organization;
    this.#view.clearNotice();
    this.toasts.hide();
    const removedText = this.#removedText(operation);
    this.removed = removedText ? { text: removedText.during, isDone: false } : undefined;
    const { removed } = this;
    const moveFocus = removedText && this.#prepareFocusMove(row, kind);
    const running = this.#operations.perform(operation);
    const focused = moveFocus?.();
    const outcome = await running;
    if (outcome.is === 'done') {
      if (removedText && this.removed === removed) this.removed = { text: removedText.done, isDone: true };
      this.#showDone(operation, organization);
    } else if (outcome.is === 'failed') {
      this.#announceFailure(operation, outcome.error);
      // Move the focus back to this row, unless the user has moved it meanwhile.
      const target = await focused;
      await this.#host.updateComplete;
      if (target && target === this.#host.shadowRoot?.activeElement) actionButton(this.#element(row), kind)?.focus();
    }
  }

  #showDone(operation: Operation, organization: string): void {
    const { messages, formats } = this.#view.texts;
    const { row, kind } = operation;
    const email = this.#emailOf(row);
    switch (kind) {
      case 'role': {
        const { role } = operation.row;
        this.toasts.show({
          text: messages.roleEdited(email, operation.role),
          onUndo: () => void this.perform({ kind: 'role', row: { ...operation.row, role: operation.role }, role }),
          onClosed: () => (this.#element(row)?.querySelector('select') ?? this.#element(row))?.focus(),
        });
        break;
      }
      case 'leave':
        if (this.#users.phase.is === 'left') this.#view.announce(messages.left(organization));
        else this.#view.notify(messages.left(organization));
        void this.#host.updateComplete.then(() => this.#host.renderRoot.querySelector<HTMLElement>('.head h2')?.focus());
        break;
      case 'resend': {
        const sent = this.#users.rows.find(({ key }) => key === row.key);
        const until = sent?.kind === 'invitation' ? sent.invitation.expires_at : operation.row.invitation.expires_at;
        this.toasts.show({
          text: messages.resent(email, formats.short(until)),
          onClosed: () => actionButton(this.#element(row), kind)?.focus(),
        });
        break;
      }
      default: {
        const text = this.#removedText(operation)?.done ?? '';
        // If no row is left, the list itself says what happened.
        if (this.#view.pageRows.length) this.toasts.show({ text });
        else this.#view.announce(text);
      }
    }
  }

  #announceFailure({ row, kind }: Operation, error: unknown): void {
    const { announce, notify, texts, problemText } = this.#view;
    const { messages } = texts;
    if (isAlreadyRemoved(error)) return notify(messages.alreadyRemoved(this.#emailOf(row)));
    const reason = this.errorText(row) ?? problemText(error);
    const isUndone = kind !== 'resend' && kind !== 'leave' && !this.isWaiting(row);
    announce(isUndone ? messages.undone(reason) : reason);
  }

  /** Performs the operations that waited for a sign-in. Call this when the API has accepted the user's token. */
  performWaiting(): void {
    this.#operations.performWaiting();
  }

  /** Whether an operation on the row waits for a sign-in. */
  isWaiting({ key }: Row): boolean {
    return this.#operations.isWaiting(key);
  }

  /** Returns the text of the error that a row shows, if any. */
  errorText(row: Row): string | undefined {
    const error = this.#users.tasks.errors.get(row.key);
    if (error === undefined) return undefined;
    const { messages } = this.#view.texts;
    const code = error instanceof CallError ? error.code : undefined;
    if (code === 'signed_out') return messages.waiting;
    if (code === 'last_owner' && row.kind === 'member' && row.own) return messages.leaveLast;
    return this.#view.problemText(error);
  }

  dismissError(row: Row): void {
    this.#operations.dismissError(row.key);
    this.#element(row)?.focus();
  }

  /** Returns the texts about the removal of a row. Undefined if the operation removes none. */
  #removedText({ kind, row }: Operation): { during: string; done: string } | undefined {
    const { messages } = this.#view.texts;
    const email = this.#emailOf(row);
    if (kind === 'remove') return { during: messages.removing(email), done: messages.removed(email) };
    if (kind === 'revoke') return { during: messages.revoking(email), done: messages.revoked(email) };
    return undefined;
  }

  #emailOf(row: Row): string {
    return this.#view.texts.readable(row.email);
  }

  get #organization(): string {
    return this.#users.users?.organization.name ?? '';
  }

  #element({ key }: Row): HTMLElement | undefined {
    return rowElement(this.#host.renderRoot, key);
  }

  /**
   * Call this before `row` is removed, and the returned function afterwards. The function moves the focus to the same
   * action in the next row, or else to the closest focusable element, and returns the focused element.
   */
  #prepareFocusMove(row: Row, action: string): () => Promise<Element | null> {
    const { pageRows } = this.#view;
    const index = pageRows.findIndex(({ key }) => key === row.key);
    const next = pageRows[index + 1] ?? pageRows[index - 1];
    const { renderRoot, shadowRoot } = this.#host;
    return async () => {
      await this.#host.updateComplete;
      const nextElement = next && this.#element(next);
      const target = actionButton(nextElement, action) ?? nextElement;
      (target ?? renderRoot.querySelector<HTMLElement>('input[type=search], .head h2'))?.focus();
      return shadowRoot?.activeElement ?? null;
    };
  }
}
