/** `<roster-users>`: lists an organization's members and invitations, and lets users manage them. */
import { html, nothing, unsafeCSS, type PropertyValues, type TemplateResult } from 'lit';
import { property, state } from 'lit/decorators.js';
import { CallError } from '../api';
import { Base } from '../element';
import type { Organization, Role, RosterEventMap, RosterUsersElement } from '../elements';
import type { Catalogue } from '../i18n';
import * as icons from '../icons';
import type { CommonMessages } from '../messages/en/common';
import en, { type UsersMessages } from '../messages/en/users';
import type { Question } from './confirm-dialog';
import { renderHead } from './head';
import type { NameFailedEvent } from './name-dialog';
import { rangeText, renderPager } from './pager';
import { renderEmpty, renderFailure, renderLoading } from './placeholders';
import type { Outcome } from './row-tasks';
import { countsByFilter, grantableRoles, matchingRows, pageOf, type Filter, type InvitationRow, type MemberRow, type Row } from './rows';
import tableStyle from './table.css?inline';
import { actionButton, renderTable, rowElement } from './table';
import { renderTools } from './tools';
import style from './users.css?inline';
import { UsersController, isAlreadyRemoved } from './users-controller';
import type { Texts } from './view';

/** The dialogs. Each is loaded when it is opened for the first time. */
const DIALOGS = {
  'roster-confirm-dialog': () => import('./confirm-dialog'),
  'roster-invite-dialog': () => import('../invite/roster-invite-dialog'),
  'roster-name-dialog': () => import('./name-dialog'),
};
type DialogName = keyof typeof DIALOGS;

/** Loads dialogs that the user will probably open. */
function preload(...names: DialogName[]): void {
  for (const name of names) void DIALOGS[name]().catch(() => {});
}

export class RosterUsers extends Base<UsersMessages> implements RosterUsersElement {
  static override styles = [super.styles, unsafeCSS(style), unsafeCSS(tableStyle)];

  @property() organization = '';
  @property({ type: Boolean }) switch = false;
  @state() private filter: Filter = 'everyone';
  @state() private search = '';
  @state() private page = 0;
  /** A message of success or failure that belongs to no row. */
  @state() private notice: { text: string; bad: boolean } | undefined;
  /** The dialogs that have been opened. */
  @state() private dialogs: ReadonlySet<DialogName> = new Set();

  protected override readonly catalogue: Catalogue<UsersMessages> = {
    en,
    de: () => import('../messages/de/users'),
  };

  readonly #users = this.#createController();

  #createController(): UsersController {
    const api = (): Base<UsersMessages>['api'] => this.api;
    const canSwitch = (): boolean => this.switch;
    return new UsersController(this, {
      get api() {
        return api();
      },
      get canSwitch() {
        return canSwitch();
      },
      emit: (name, detail) => this.emit(name, detail),
      onOrganization: (id) => (this.organization = id),
      onReset: () => {
        this.notice = undefined;
        this.filter = 'everyone';
        this.search = '';
        this.page = 0;
      },
      onLoadFailed: (error) => {
        if (this.#users.phase.is === 'ready') this.#notify(this.problemText(error), true);
        else this.#announcePhase();
      },
      onInaccessible: () => this.#notify(this.messages?.notFound, true),
    });
  }

  protected override willUpdate(properties: PropertyValues<this>): void {
    if (!this.getToken) return;
    const users = this.#users;
    const isOther = properties.has('organization') && this.organization !== users.organizationId;
    // Do not start over for a new `getToken` function: frameworks may create one at each render.
    const hasSignedIn = properties.has('getToken') && (!users.hasStarted || users.phase.is === 'signed_out');
    const mustStart = isOther || hasSignedIn || properties.has('apiBase') || (properties.has('switch') && !users.users);
    if (mustStart) users.show(this.organization);
  }

  protected override update(properties: PropertyValues<this>): void {
    const focused = this.shadowRoot?.activeElement;
    super.update(properties);
    // The focused element has been removed. If nothing else takes the focus, move it to the heading.
    if (focused && !focused.isConnected) {
      setTimeout(() => this.shadowRoot?.activeElement ?? this.renderRoot.querySelector<HTMLElement>('.head h2')?.focus());
    }
  }

  /** Loads all data again. The current data stays visible until then. */
  async refresh(): Promise<void> {
    await this.#users.load();
  }

  #announcePhase(): void {
    const { messages } = this;
    const texts = { none: messages?.noOrganization, not_found: messages?.notFound, signed_out: messages?.signedOutTitle };
    const text = texts[this.#users.phase.is as keyof typeof texts];
    if (text) this.announce(text);
  }

  #notify(text = '', bad = false): void {
    this.notice = { text, bad };
    this.announce(text);
  }

  /** The rows that match the filter and the search. */
  get #found(): Row[] {
    return matchingRows(this.#users.rows, this.filter, this.search, this.readable);
  }

  // Operations on rows.

  /** Shows the result of an operation. `onDone` is called if it has succeeded. */
  async #finish<Result>(row: Row, running: Promise<Outcome<Result>>, onDone: (result: Result) => void): Promise<void> {
    this.notice = undefined;
    const outcome = await running;
    if (outcome.is === 'done') onDone(outcome.result);
    else if (outcome.is === 'failed') this.#announceFailure(row, outcome.error, 'undone');
  }

  /** As `#finish`, for an operation that removes the row at once. The focus moves to the next row, and back if it fails. */
  async #finishRemoval(row: Row, action: string, run: () => Promise<Outcome<void>>, onDone: () => void): Promise<void> {
    this.notice = undefined;
    const moveFocus = this.#prepareFocusMove(row, action);
    const running = run();
    const focused = moveFocus();
    const outcome = await running;
    if (outcome.is === 'done') onDone();
    if (outcome.is !== 'failed') return;
    this.#announceFailure(row, outcome.error, 'undone');
    // Move the focus back to this row, unless the user has moved it meanwhile.
    const target = await focused;
    await this.updateComplete;
    if (target && target === this.shadowRoot?.activeElement) actionButton(rowElement(this.renderRoot, row.key), action)?.focus();
  }

  #announceFailure(row: Row, error: unknown, kind: 'undone' | 'refused'): void {
    if (isAlreadyRemoved(error)) return this.#notify(this.messages?.alreadyRemoved(this.readable(row.email)));
    const reason = this.problemText(error);
    this.announce((kind === 'undone' && this.messages?.undone(reason)) || reason);
  }

  #editRole(row: MemberRow, role: Role): void {
    void this.#finish(row, this.#users.editRole(row, role), () =>
      this.announce(this.messages?.roleEdited(this.readable(row.email), this.messages.roles[role]) ?? ''),
    );
  }

  async #remove(row: MemberRow): Promise<void> {
    const email = this.readable(row.email);
    if (!(await this.#confirms({ kind: 'remove', email, organization: this.#organizationName }))) return;
    await this.#finishRemoval(
      row,
      'remove',
      () => this.#users.remove(row),
      () => this.announce(this.messages?.removed(email) ?? ''),
    );
  }

  async #revoke(row: InvitationRow): Promise<void> {
    const email = this.readable(row.email);
    if (!(await this.#confirms({ kind: 'revoke', email }))) return;
    await this.#finishRemoval(
      row,
      'revoke',
      () => this.#users.revoke(row),
      () => this.announce(this.messages?.revoked(email) ?? ''),
    );
  }

  async #resend(row: InvitationRow): Promise<void> {
    this.notice = undefined;
    const outcome = await this.#users.resend(row);
    if (outcome.is === 'failed') this.#announceFailure(row, outcome.error, 'refused');
    if (outcome.is !== 'done') return;
    const { email, expires_at } = outcome.result;
    this.announce(this.messages?.resent(this.readable(email), this.formats.moment(expires_at)) ?? '');
  }

  async #leave(row: MemberRow): Promise<void> {
    if (row.lock === 'last_owner') {
      this.#users.refuseLeave(row);
      return this.announce(this.messages?.leaveLast ?? '');
    }
    const organization = this.#organizationName;
    if (!(await this.#confirms({ kind: 'leave', organization }))) return;
    this.notice = undefined;
    const outcome = await this.#users.leave(row);
    if (outcome.is === 'failed') this.#announceFailure(row, outcome.error, 'refused');
    if (outcome.is !== 'done') return;
    this.#notify(this.messages?.left(organization));
    this.#focus('.head h2');
  }

  get #organizationName(): string {
    return this.#users.users?.organization.name ?? '';
  }

  /** Returns the text of the error that a row shows. */
  #rowErrorText(row: Row): string | undefined {
    const error = this.#users.tasks.errors.get(row.key);
    if (error === undefined) return undefined;
    const isLastOwner = row.kind === 'member' && row.own && error instanceof CallError && error.code === 'last_owner';
    return (isLastOwner && this.messages?.leaveLast) || this.problemText(error);
  }

  #dismissError({ key }: Row): void {
    this.#users.dismissError(key);
    rowElement(this.renderRoot, key)?.focus();
  }

  // Dialogs.

  /** Returns a dialog, which is loaded the first time. Returns undefined if it cannot be loaded. */
  async #loadDialog<Name extends DialogName>(name: Name): Promise<HTMLElementTagNameMap[Name] | undefined> {
    try {
      await DIALOGS[name]();
    } catch {
      // There is no connection, or a newer deployment has removed the file.
      this.#notify(this.messages?.notLoaded, true);
      return undefined;
    }
    this.dialogs = new Set([...this.dialogs, name]);
    await this.updateComplete;
    return this.renderRoot.querySelector(name) ?? undefined;
  }

  /** Asks the user to confirm an operation. */
  async #confirms(question: Question): Promise<boolean> {
    const dialog = await this.#loadDialog('roster-confirm-dialog');
    return dialog?.ask(question) ?? false;
  }

  /** Opens the dialog to rename `organization`, or to create one. */
  async #openNameDialog(organization?: Organization): Promise<void> {
    await (await this.#loadDialog('roster-name-dialog'))?.open(organization);
  }

  #onCreated({ detail: { organization } }: RosterEventMap['roster-created']): void {
    this.#users.switchTo(organization.id);
    this.#notify(this.messages?.created(organization.name));
    this.#focus('.head h2');
  }

  #onRenamed({ detail: { organization } }: RosterEventMap['roster-renamed']): void {
    this.notice = undefined;
    this.#users.onRenamed(organization);
    this.announce(this.messages?.renamed(organization.name) ?? '');
  }

  #onNameFailed({ detail: { reason, isOutOfDate } }: NameFailedEvent): void {
    if (isOutOfDate) void this.#users.load();
    this.#notify(reason, true);
  }

  async #openInviteDialog(): Promise<void> {
    if (!this.#users.users?.organization.seats.free) return;
    (await this.#loadDialog('roster-invite-dialog'))?.open();
  }

  /** Announces the result when the dialog has closed: screen readers ignore content behind a modal dialog. */
  async #onInviteDialogClosed(event: Event): Promise<void> {
    const { invited } = event.target as HTMLElementTagNameMap['roster-invite-dialog'];
    if (invited) {
      this.filter = 'everyone';
      this.search = '';
      this.page = 0;
      this.#notify(this.messages?.invited(invited, this.formats.number(invited)));
      void this.#users.load();
    }
    await this.updateComplete;
    // The button that opened the dialog may have disappeared with the hint for an empty list.
    if (!this.shadowRoot?.activeElement) this.#focus('.invite');
  }

  // Focus.

  #focus(selector: string): void {
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(selector)?.focus());
  }

  /**
   * Call this before `row` is removed, and the returned function afterwards. The function moves the focus to the same
   * action in the next row, or else to the closest focusable element, and returns the focused element.
   */
  #prepareFocusMove(row: Row, action: string): () => Promise<Element | null> {
    const rows = pageOf(this.#found, this.page).rows;
    const index = rows.findIndex(({ key }) => key === row.key);
    const next = rows[index + 1] ?? rows[index - 1];
    return async () => {
      await this.updateComplete;
      const nextElement = next && rowElement(this.renderRoot, next.key);
      const target = actionButton(nextElement, action) ?? nextElement;
      (target ?? this.renderRoot.querySelector<HTMLElement>('input[type=search], .head h2'))?.focus();
      return this.shadowRoot?.activeElement ?? null;
    };
  }

  // Rendering.

  protected override render(): unknown {
    const { messages } = this;
    return html`${messages ? this.#renderContent(messages) : nothing}${this.liveRegion()}`;
  }

  #renderContent(messages: UsersMessages & CommonMessages): TemplateResult {
    const { language, formats, readable } = this;
    const texts: Texts = { messages, language, formats, readable };
    const users = this.#users;
    const openNameDialog = (organization?: Organization): void => void this.#openNameDialog(organization);
    const head = {
      phase: users.phase.is,
      organization: users.users?.organization,
      organizationId: users.organizationId,
      canSwitch: this.switch,
      organizations: users.organizations ?? [],
      onSwitch: (id: string) => users.switchTo(id),
      onRename: openNameDialog,
      onCreate: () => openNameDialog(),
      onInvite: () => void this.#openInviteDialog(),
      onInviteSoon: () => preload('roster-invite-dialog'),
    };
    const onPreload = (): void => preload('roster-confirm-dialog', 'roster-name-dialog');
    return html`<section
        class="card"
        aria-busy=${users.phase.is === 'loading'}
        @pointerover=${{ handleEvent: onPreload, once: true }}
        @focusin=${{ handleEvent: onPreload, once: true }}
      >
        ${renderHead(head, texts)} ${this.#renderNotices(texts)} ${this.#renderPhase(texts)}
      </section>
      ${this.#renderDialogs()}`;
  }

  #renderPhase(texts: Texts): TemplateResult {
    const { messages } = texts;
    const { phase, organizationId } = this.#users;
    switch (phase.is) {
      case 'loading':
        return renderLoading(texts);
      case 'ready':
        return this.#renderList(texts);
      case 'none':
        return renderEmpty(
          icons.people,
          messages.noOrganization,
          messages.noOrganizationText,
          messages.create,
          () => void this.#openNameDialog(),
        );
      case 'not_found':
        return renderEmpty(icons.lock, messages.notFoundTitle, messages.notFound);
      case 'signed_out':
        return renderEmpty(icons.lock, messages.signedOutTitle, messages.signedOutText, messages.signInAgain, () =>
          this.emit('roster-sign-in', { email: undefined, change: false }),
        );
      case 'failed':
        return renderFailure(this.problemText(phase.error), texts, () => this.#users.show(organizationId));
    }
  }

  #renderNotices({ messages, formats }: Texts): unknown {
    const { phase, users } = this.#users;
    const seats = phase.is === 'ready' ? users?.organization.seats : undefined;
    const { notice } = this;
    const dismiss = (): void => {
      this.notice = undefined;
      this.#focus('.head h2');
    };
    return html`${
      seats?.free === 0
        ? html`<p class="notice warn" id="full">${icons.alert}<span>${messages.seatsFull(formats.number(seats.total))}</span></p>`
        : nothing
    }
    ${
      notice
        ? html`<div class="notice ${notice.bad ? 'bad' : 'good'}">
          ${notice.bad ? icons.alert : icons.check}<span>${notice.text}</span>
          <button class="quiet small" aria-label=${messages.dismiss} @click=${dismiss}>${icons.cross}</button>
        </div>`
        : nothing
    }`;
  }

  #renderList(texts: Texts): TemplateResult {
    const { messages } = texts;
    const all = this.#users.rows;
    if (all.length === 1 && all[0]?.kind === 'member') {
      const invite = (): void => void this.#openInviteDialog();
      return html`${this.#renderTable(all, texts)}${renderEmpty(icons.people, messages.alone, messages.aloneText, messages.invite, invite)}`;
    }
    const found = matchingRows(all, this.filter, this.search, this.readable);
    const current = pageOf(found, this.page);
    const tools = {
      search: this.search,
      filter: this.filter,
      counts: countsByFilter(all),
      onSearch: (search: string) => this.#select({ search }),
      onFilter: (filter: Filter) => this.#select({ filter }),
    };
    const onPage = (page: number): void => {
      this.page = page;
      this.announce(rangeText(pageOf(found, page), found.length, texts));
      void this.updateComplete.then(() => this.renderRoot.querySelector('table')?.scrollIntoView({ block: 'nearest' }));
    };
    return html`${renderTools(tools, texts)}
    ${found.length ? this.#renderTable(current.rows, texts) : this.#renderNoRows(texts)}
    ${renderPager({ current, count: found.length, onPage }, texts)}`;
  }

  /** Shows the rows that match a search or a filter, from the first page. */
  #select({ search = this.search, filter = this.filter }: { search?: string; filter?: Filter }): void {
    this.search = search;
    this.filter = filter;
    this.page = 0;
    const count = this.#found.length;
    this.announce(this.messages?.found(count, this.formats.number(count)) ?? '');
  }

  #renderTable(rows: readonly Row[], texts: Texts): TemplateResult {
    const users = this.#users;
    const table = {
      rows,
      organization: users.users!.organization,
      viewer: users.viewer,
      now: this.api.now(),
      isBusy: ({ key }: Row) => users.tasks.isRunning(key),
      errorOf: (row: Row) => this.#rowErrorText(row),
      resendWait: (row: InvitationRow) => users.resendWait(row),
      onRole: (row: MemberRow, role: Role) => this.#editRole(row, role),
      onRemove: (row: MemberRow) => void this.#remove(row),
      onLeave: (row: MemberRow) => void this.#leave(row),
      onResend: (row: InvitationRow) => void this.#resend(row),
      onRevoke: (row: InvitationRow) => void this.#revoke(row),
      onDismiss: (row: Row) => this.#dismissError(row),
    };
    return renderTable(table, texts);
  }

  #renderNoRows({ messages }: Texts): TemplateResult {
    const reset = (): void => {
      this.search = '';
      this.filter = 'everyone';
      this.#focus('input[type=search]');
    };
    return this.search.trim()
      ? renderEmpty(icons.search, messages.noMatch, messages.noMatchText, messages.clear, reset)
      : renderEmpty(icons.check, messages.noneOf[this.filter], '', messages.clear, reset);
  }

  #renderDialogs(): unknown {
    const { dialogs, apiBase, getToken } = this;
    const { tag } = this.formats;
    const { users } = this.#users;
    return html`${dialogs.has('roster-confirm-dialog') ? html`<roster-confirm-dialog lang=${tag}></roster-confirm-dialog>` : nothing}
    ${
      dialogs.has('roster-name-dialog')
        ? html`<roster-name-dialog
          lang=${tag}
          .apiBase=${apiBase}
          .getToken=${getToken}
          @roster-created=${this.#onCreated}
          @roster-renamed=${this.#onRenamed}
          @failed=${this.#onNameFailed}
        ></roster-name-dialog>`
        : nothing
    }
    ${
      dialogs.has('roster-invite-dialog') && users
        ? html`<roster-invite-dialog
          lang=${tag}
          .apiBase=${apiBase}
          .getToken=${getToken}
          .organization=${users.organization.id}
          .organizationName=${users.organization.name}
          .roles=${grantableRoles(users.organization.role)}
          .seatsFree=${users.organization.seats.free}
          .members=${users.members}
          .invitations=${users.invitations}
          @roster-invited=${({ detail }: RosterEventMap['roster-invited']) => this.#users.onInvited(detail.organization, detail.results)}
          @close=${this.#onInviteDialogClosed}
        ></roster-invite-dialog>`
        : nothing
    }`;
  }
}
