/** `<roster-users>`: lists an organization's members and invitations, and lets users manage them. */
import { html, nothing, unsafeCSS, type PropertyValues, type TemplateResult } from 'lit';
import { property, state } from 'lit/decorators.js';
import { Base } from '../element';
import type { Organization, RosterEventMap, RosterUsersElement } from '../elements';
import type { Catalogue } from '../i18n';
import * as icons from '../icons';
import en, { type UsersMessages } from '../messages/en/users';
import { SetupCheck } from '../setup-check';
import { Dialogs } from './dialogs';
import { renderHead } from './head';
import type { NameFailedEvent } from './name-dialog';
import { memoized } from './memoized';
import { rangeText, renderPager } from './pager';
import { renderEmpty, renderFailure, renderLoading } from './placeholders';
import type { RowActions } from './row-actions';
import { RowSlices } from './row-slices';
import { countsByFilter, matchingRows, nextSort, pageOf, sortedRows, type Column, type Filter, type Row, type Sort } from './rows';
import { renderTable, type Table } from './table';
import tableStyle from './table.css?inline';
import { renderTools } from './tools';
import style from './users.css?inline';
import { UsersController } from './users-controller';
import type { Texts } from './view';

/**
 * The time in milliseconds after a page turn during which pointers do not reach the rows: rows then lie where a page
 * button was, and a double click must not open their actions. Windows uses 500 ms as the default for double clicks.
 */
const DOUBLE_CLICK_MS = 500;

export class RosterUsers extends Base<UsersMessages> implements RosterUsersElement {
  static override styles = [super.styles, unsafeCSS(style), unsafeCSS(tableStyle)];

  @property() organization = '';
  @property({ type: Boolean }) switch = false;
  @state() private filter: Filter = 'everyone';
  @state() private search = '';
  /** The order of the rows. It stays when another organization is shown. */
  @state() private sort: Sort | undefined;
  @state() private page = 0;
  /** A message of success or failure that belongs to no row. */
  @state() private notice: { text: string; bad: boolean } | undefined;

  protected override readonly catalogue: Catalogue<UsersMessages> = {
    en,
    de: () => import('../messages/de/users'),
  };

  readonly #setup = new SetupCheck(
    this,
    () => (this.getToken ? (this.organization || this.switch ? undefined : 'organization') : 'getToken'),
    () => this.announce(this.messages?.notSetUp ?? ''),
  );
  readonly #users = this.#createController();
  readonly #dialogs = new Dialogs(this, (load) => this.#load(load));
  /** The actions on rows. Undefined until they are loaded. */
  #actions: RowActions | undefined;
  #loading: Promise<RowActions | undefined> | undefined;
  readonly #slices = new RowSlices(() => this.requestUpdate());
  #turnedAt = -Infinity;
  /** Whether the module that shows the texts that are cut off has been requested. */
  #hasTip = false;
  readonly #sorted = memoized(sortedRows);

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
        this.#clearMessages();
        this.#showEveryone();
        this.#slices.restart();
      },
      onLoadFailed: (error) => {
        if (this.#users.phase.is === 'ready') this.#notify(this.problemText(error), true);
        else this.#announcePhase();
      },
      onInaccessible: () => this.#notify(this.messages?.notFound, true),
      onLoaded: () => void this.#act((actions) => actions.performWaiting()),
    });
  }

  /** Calls `action` with the actions on rows, which are loaded after the first rows are there. */
  async #act(action: (actions: RowActions) => unknown): Promise<void> {
    this.#loading ??= this.#loadActions();
    const actions = await this.#loading;
    if (actions) action(actions);
    else this.#loading = undefined;
  }

  async #loadActions(): Promise<RowActions | undefined> {
    const module = await this.#load(() => import('./row-actions'));
    if (!module) return undefined;
    await this.messagesLoaded;
    const api = (): Base<UsersMessages>['api'] => this.api;
    const texts = (): Texts => this.#texts;
    const pageRows = (): readonly Row[] => pageOf(this.#found, this.page).rows;
    this.#actions = new module.RowActions(this, this.#users, {
      get api() {
        return api();
      },
      get texts() {
        return texts();
      },
      get pageRows() {
        return pageRows();
      },
      emit: (name, detail) => this.emit(name, detail),
      confirms: async (question) => (await this.#dialogs.get('roster-confirm-dialog'))?.ask(question) ?? false,
      problemText: (error) => this.problemText(error),
      announce: (text) => this.announce(text),
      notify: (text, bad) => this.#notify(text, bad),
      clearNotice: () => (this.notice = undefined),
    });
    return this.#actions;
  }

  /** Loads a module. Returns undefined if that fails. */
  async #load<Module>(load: () => Promise<Module>): Promise<Module | undefined> {
    try {
      return await load();
    } catch {
      // There is no connection, or a newer deployment has removed the file.
      this.#notify(this.messages?.notLoaded, true);
      return undefined;
    }
  }

  protected override willUpdate(properties: PropertyValues<this>): void {
    if (!this.getToken) return;
    const users = this.#users;
    const isOther = properties.has('organization') && this.organization !== users.organizationId;
    const mustStart = isOther || properties.has('apiBase') || (properties.has('switch') && !users.users);
    if (mustStart) users.show(this.organization);
    // Do not start over for a new `getToken` function: frameworks may create one at each render.
    else if (properties.has('getToken')) users.onNewToken(this.organization);
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
    // The user may have signed in again. Begin before the load: afterwards, the people of a call without a response would
    // seem to be invited already.
    this.#dialogs.resumeInvitations();
    await this.#users.load();
    if (this.#users.phase.is === 'ready') this.#dialogs.resumeName();
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

  #clearMessages(): void {
    this.notice = undefined;
    this.#actions?.toasts.hide();
  }

  /** Shows the first page of all users. */
  #showEveryone(): void {
    this.filter = 'everyone';
    this.search = '';
    this.page = 0;
  }

  get #texts(): Texts {
    const { language, formats, readable } = this;
    return { messages: this.messages!, language, formats, readable };
  }

  /** The rows that match the filter and the search. */
  get #found(): Row[] {
    return matchingRows(this.#sorted(this.#users.rows, this.sort), this.filter, this.search, this.readable);
  }

  // Dialogs.

  /** Opens the dialog to rename `organization`, or to create one. */
  async #openNameDialog(organization?: Organization): Promise<void> {
    await (await this.#dialogs.get('roster-name-dialog'))?.open(organization);
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
    (await this.#dialogs.get('roster-invite-dialog'))?.open();
  }

  /** Announces the result when the dialog has closed: screen readers ignore content behind a modal dialog. */
  async #onInviteDialogClosed(event: Event): Promise<void> {
    const { invited } = event.target as HTMLElementTagNameMap['roster-invite-dialog'];
    if (invited) {
      this.#showEveryone();
      this.#notify(this.messages?.invited(invited, this.formats.number(invited)));
      void this.#users.load();
    }
    await this.updateComplete;
    // The button that opened the dialog may have disappeared with the hint for an empty list.
    if (!this.shadowRoot?.activeElement) this.#focus('.invite');
  }

  /** Called at the first use of the list: only then can a text that is cut off be under the pointer or have the focus. */
  #showCutOffTexts(): void {
    if (this.#hasTip) return;
    this.#hasTip = true;
    void import('./overflow-tip').then(
      ({ showCutOffTexts }) => showCutOffTexts(this.shadowRoot!),
      () => (this.#hasTip = false),
    );
  }

  // Focus.

  #focus(selector: string): void {
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(selector)?.focus());
  }

  // Rendering.

  protected override render(): unknown {
    const { messages } = this;
    return html`${messages ? this.#renderContent(this.#texts) : nothing}${this.liveRegion()}`;
  }

  #renderContent(texts: Texts): TemplateResult {
    const users = this.#users;
    const openNameDialog = (organization?: Organization): void => void this.#openNameDialog(organization);
    const head = {
      phase: users.phase.is,
      organization: users.users?.organization,
      organizationId: users.organizationId,
      canSwitch: this.switch,
      organizations: users.organizations ?? [],
      opening: this.#dialogs.opening,
      onSwitch: (id: string) => users.switchTo(id),
      onRename: openNameDialog,
      onCreate: () => openNameDialog(),
      onInvite: () => void this.#openInviteDialog(),
      onInviteSoon: () => this.#dialogs.preload('roster-invite-dialog'),
    };
    const onPreload = (): void => {
      this.#dialogs.preload('roster-confirm-dialog', 'roster-name-dialog');
      this.#showCutOffTexts();
    };
    return html`<section
        class="card"
        aria-busy=${(users.phase.is === 'loading' && !this.#setup.isIncomplete) || (users.phase.is === 'ready' && !users.isComplete)}
        @keydown=${(event: KeyboardEvent) => this.#actions?.toasts.onKey(event)}
        @pointerover=${{ handleEvent: onPreload, once: true }}
        @focusin=${{ handleEvent: onPreload, once: true }}
      >
        ${renderHead(head, texts)} ${this.#renderNotices(texts)} ${this.#renderPhase(texts)}
      </section>
      <div class="toasts" role="status">${this.#actions?.toasts.render(texts)}</div>
      ${this.#renderDialogs(texts)}`;
  }

  #renderPhase(texts: Texts): TemplateResult {
    const { messages } = texts;
    const { phase, organizationId } = this.#users;
    switch (phase.is) {
      case 'loading':
        return this.#setup.isIncomplete
          ? renderEmpty(icons.alert, messages.notSetUp, messages.problems.misconfigured ?? '')
          : renderLoading(texts);
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
      case 'left':
        return renderEmpty(icons.check, messages.left(phase.organization), messages.leftText);
      case 'signed_out':
        return renderEmpty(icons.lock, messages.signedOutTitle, messages.signedOutText, messages.signInAgain, () => this.#signIn());
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
    const { isComplete } = this.#users;
    if (isComplete && all.length === 1 && all[0]?.kind === 'member') {
      const invite = (): void => void this.#openInviteDialog();
      return html`${this.#renderTable(all, texts)}${renderEmpty(icons.people, messages.alone, messages.aloneText, messages.invite, invite)}`;
    }
    const found = this.#found;
    const current = pageOf(found, this.page);
    const tools = {
      search: this.search,
      filter: this.filter,
      counts: isComplete ? countsByFilter(all) : undefined,
      onSearch: (search: string) => this.#select({ search }),
      onFilter: (filter: Filter) => this.#select({ filter }),
    };
    const pager = { current, count: found.length, isLoading: !isComplete, onPage: (page: number) => this.#turnTo(page, texts) };
    return html`${renderTools(tools, texts)} ${renderPager(true, pager, texts)}
    ${found.length ? this.#renderTable(current.rows, texts) : this.#renderNoRows(texts)} ${renderPager(false, pager, texts)}`;
  }

  /** Shows another page from its top. */
  #turnTo(page: number, texts: Texts): void {
    this.#slices.restart();
    this.#turnedAt = performance.now();
    this.page = page;
    const found = this.#found;
    this.announce(rangeText(pageOf(found, page), found.length, texts));
    const name = this.shadowRoot?.activeElement?.getAttribute('name');
    void this.updateComplete.then(() => {
      const pager = this.renderRoot.querySelector('.pages');
      pager?.scrollIntoView({ block: 'nearest' });
      // The same button above the rows: the one below them may be outside of the window.
      pager?.querySelector<HTMLElement>(`[name=${name}]`)?.focus();
    });
  }

  /** Keeps pointers from the rows for a moment after a page turn. */
  readonly #onPointer = (event: MouseEvent): void => {
    // A click by keyboard has no click count.
    if (!event.detail || performance.now() - this.#turnedAt > DOUBLE_CLICK_MS) return;
    event.preventDefault();
    event.stopPropagation();
  };

  /** Shows the rows that match a search or a filter, from the first page. */
  #select({ search = this.search, filter = this.filter }: { search?: string; filter?: Filter }): void {
    this.#slices.restart();
    this.search = search;
    this.filter = filter;
    this.page = 0;
    if (this.#actions) this.#actions.removed = undefined;
    const count = this.#found.length;
    // More rows are announced when all have been loaded.
    if (this.#users.isComplete) this.announce(this.messages?.found(count, this.formats.number(count)) ?? '');
  }

  #sortBy(column: Column): void {
    const { messages } = this;
    this.#slices.restart();
    this.sort = nextSort(this.sort, column);
    this.page = 0;
    this.announce((this.sort ? messages?.sortedBy(messages.columns[column], this.sort.isDescending) : messages?.notSorted) ?? '');
  }

  #renderTable(rows: readonly Row[], texts: Texts): TemplateResult {
    const users = this.#users;
    const actions = this.#actions;
    const shown = this.#slices.next(rows);
    const table: Table = {
      rows: shown,
      isIncomplete: shown !== rows,
      sort: this.sort,
      organization: users.users!.organization,
      viewer: users.viewer,
      now: this.api.now(),
      isBusy: ({ key }) => users.tasks.isRunning(key) || (this.#dialogs.opening === 'roster-confirm-dialog' && actions?.askingKey === key),
      errorOf: (row) => actions?.errorText(row),
      isWaiting: (row) => actions?.isWaiting(row) ?? false,
      resendWait: (row) => users.resendWait(row),
      onPointer: this.#onPointer,
      onSort: (column) => this.#sortBy(column),
      onRole: (row, role) => void this.#act((actions) => actions.editRole(row, role)),
      onRemove: (row) => void this.#act((actions) => actions.remove(row)),
      onLeave: (row) => void this.#act((actions) => actions.leave(row)),
      onResend: (row) => void this.#act((actions) => actions.resend(row)),
      onRevoke: (row) => void this.#act((actions) => actions.revoke(row)),
      onDismiss: (row) => actions?.dismissError(row),
      onSignIn: () => this.#signIn(),
    };
    return renderTable(table, texts);
  }

  #signIn(): void {
    this.emit('roster-sign-in', { email: undefined, change: false });
  }

  #renderNoRows(texts: Texts): TemplateResult {
    const { messages } = texts;
    if (!this.#users.isComplete) return renderLoading(texts);
    const reset = (): void => {
      this.#select({ search: '', filter: 'everyone' });
      this.#focus('input[type=search]');
    };
    const removed = this.#actions?.removed;
    if (removed) {
      const icon = removed.isDone ? icons.check : html`<span class="spin" aria-hidden="true"></span>`;
      return renderEmpty(icon, removed.text, messages.noOtherMatch, messages.clear, reset);
    }
    return this.search.trim()
      ? renderEmpty(icons.search, messages.noMatch, messages.noMatchText, messages.clear, reset)
      : renderEmpty(icons.check, messages.noneOf[this.filter], '', messages.clear, reset);
  }

  #renderDialogs({ formats }: Texts): TemplateResult {
    return this.#dialogs.render({
      tag: formats.tag,
      apiBase: this.apiBase,
      getToken: this.getToken,
      viewer: this.#users.viewer,
      users: this.#users.users,
      onCreated: (event) => this.#onCreated(event),
      onRenamed: (event) => this.#onRenamed(event),
      onNameFailed: (event) => this.#onNameFailed(event),
      onInvited: ({ detail }) => this.#users.onInvited(detail.organization, detail.results),
      onInviteClosed: (event) => void this.#onInviteDialogClosed(event),
    });
  }
}
