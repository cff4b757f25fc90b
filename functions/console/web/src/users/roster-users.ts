/** `<roster-users>`: lists an organization's members and invitations, and lets users manage them. */
import { html, nothing, unsafeCSS, type PropertyValues, type TemplateResult } from 'lit';
import { property, state } from 'lit/decorators.js';
import { live } from 'lit/directives/live.js';
import { repeat } from 'lit/directives/repeat.js';
import { CallError, newKey, type OrganizationItem } from '../api';
import { Base, withoutBackticks } from '../element';
import type { Organization, Role, RosterEventMap, RosterUsersElement } from '../elements';
import { hoursLeft, type Catalogue } from '../i18n';
import * as icons from '../icons';
import type { CommonMessages } from '../messages/en/common';
import en, { type UsersMessages } from '../messages/en/users';
import {
  FILTERS,
  countsByFilter,
  deliveryText,
  grantableRoles,
  matchingRows,
  pageOf,
  rowsOf,
  withChanges,
  withoutRow,
  type Change,
  type Filter,
  type InvitationRow,
  type MemberRow,
  type Row,
  type Users,
} from './rows';
import { SetupCheck } from '../setup-check';
import style from './users.css?inline';

/**
 * The default pause before an invitation can be resent. If the deployment has a longer one, the API's refusal says so.
 */
const COOLDOWN_SECONDS = 60;
/** An invitation with at most this many hours left is highlighted. */
const SOON_HOURS = 6;
/** The maximum number of checks whether a queued mail has been sent. */
const DELIVERY_CHECKS_MAX = 5;
/** The delay before the first check, in milliseconds. Each further delay is twice as long. */
const DELIVERY_CHECK_MS = 2_000;
/** The age in milliseconds after which the data is loaded again when the page becomes visible. */
const STALE_MS = 60_000;

type Phase =
  | { is: 'loading' }
  | { is: 'ready' }
  /** The viewer is in no organization. */
  | { is: 'none' }
  | { is: 'not_found' }
  | { is: 'signed_out' }
  | { is: 'failed'; reason: string };

/** The content of the confirmation dialog. */
interface Question {
  title: string;
  effect: string;
  cancelLabel: string;
  confirmLabel: string;
  onConfirm: () => void;
}

/** The state of the dialog that creates or renames an organization. */
interface NameForm {
  /** The organization to rename; undefined to create one. */
  organization: Organization | undefined;
  /** The reason for a refusal, as shown to the user. */
  reason: string;
  busy: boolean;
  /** The name and the idempotency key of the last attempt. A retry with the same name uses the same key. */
  name: string;
  key: string;
}

/** An operation on a row. */
interface Task {
  /** The change that is shown until the API has responded. */
  change?: Change;
  /** The action of the button to focus: in the next row, or in this row if the operation fails. */
  action?: string;
  /** Calls the API for the organization, and returns a function that applies the result to the users. */
  call: (organization: string) => Promise<(users: Users) => Users>;
  /** Called after the operation has succeeded. */
  done?: (organization: string) => void;
}

export class RosterUsers extends Base<UsersMessages> implements RosterUsersElement {
  static override styles = [super.styles, unsafeCSS(style)];

  @property() organization = '';
  @property({ type: Boolean }) switch = false;
  @state() private phase: Phase = { is: 'loading' };
  /** The data from the API. The element shows `#users`, which includes pending changes. */
  @state() private loaded: Users | undefined;
  /** The viewer's organizations, loaded only with `switch`. */
  @state() private organizations: readonly OrganizationItem[] | undefined;
  @state() private filter: Filter = 'everyone';
  @state() private search = '';
  @state() private page = 0;
  @state() private question: Question | undefined;
  @state() private nameForm: NameForm | undefined;
  /** A message of success or failure that belongs to no row. */
  @state() private notice: { text: string; bad: boolean } | undefined;
  /** Whether to render the invite dialog. It is loaded when it is opened for the first time. */
  @state() private hasInviteDialog = false;

  protected override readonly catalogue: Catalogue<UsersMessages> = {
    en,
    de: () => import('../messages/de/users'),
  };

  readonly #setup = new SetupCheck(
    this,
    () => (this.getToken ? (this.organization || this.switch ? undefined : 'organization') : 'getToken'),
    () => this.announce(this.messages?.notSetUp ?? ''),
  );
  #viewer: string | undefined;
  /** The id of the organization that is shown or being loaded. */
  #organizationId = '';
  /** Organizations that the viewer is not a member of. The API's list may lag behind and still contain them. */
  readonly #inaccessible = new Set<string>();
  /** Changes that the API has not confirmed yet, by row key. */
  readonly #pendingChanges = new Map<string, Change>();
  /** The last unfinished task of each row, by row key. */
  readonly #tasks = new Map<string, Promise<void>>();
  /** Error messages, by row key. */
  readonly #rowErrors = new Map<string, string>();
  /** The server's time in milliseconds from which an invitation may be resent, by row key. */
  readonly #resendAllowedAt = new Map<string, number>();
  /** The idempotency keys of unconfirmed resends, by row key. */
  readonly #resendKeys = new Map<string, string>();
  /** Incremented when another organization is shown. Results for an earlier organization are ignored. */
  #viewNumber = 0;
  /** Incremented with each load. Results of earlier loads are ignored. */
  #loadNumber = 0;
  /** Whether a load is under way. */
  #isLoading = false;
  #loadedAt = 0;
  #deliveryChecks = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.#timer = setInterval(() => this.#tick(), 1000);
    document.addEventListener('visibilitychange', this.#onVisibilityChange);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.#timer);
    document.removeEventListener('visibilitychange', this.#onVisibilityChange);
  }

  protected override willUpdate(properties: PropertyValues<this>): void {
    if (!this.getToken) return;
    const isOther = properties.has('organization') && this.organization !== this.#organizationId;
    // Do not start over for a new `getToken` function: frameworks may create one at each render.
    const hasSignedIn = properties.has('getToken') && (!this.#loadNumber || this.phase.is === 'signed_out');
    const mustStart = isOther || hasSignedIn || properties.has('apiBase') || (properties.has('switch') && !this.loaded);
    if (mustStart) this.#showOrganization(this.organization);
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
    await this.#load();
  }

  /**
   * Updates the remaining times: once a minute, and once a second during a pause before a resend. Checks queued mails.
   */
  #tick(): void {
    if (this.phase.is !== 'ready' || document.hidden || !this.loaded) return;
    const now = this.api.now();
    const isCoolingDown = [...this.#resendAllowedAt.values()].some((until) => until > now - 1000);
    const { invitations } = this.loaded;
    const isJustSent = invitations.some(({ sent_at }) => sent_at && Date.parse(sent_at) + (COOLDOWN_SECONDS + 1) * 1000 > now);
    if (isCoolingDown || isJustSent || new Date().getSeconds() === 0) this.requestUpdate();
    const isSending = invitations.some(({ delivery, status }) => delivery === 'queued' && status === 'pending');
    const delay = DELIVERY_CHECK_MS << this.#deliveryChecks;
    const isDue = this.#deliveryChecks < DELIVERY_CHECKS_MAX && Date.now() - this.#loadedAt > delay;
    if (isSending && isDue && !this.#tasks.size) {
      this.#deliveryChecks++;
      void this.#load();
    }
  }

  readonly #onVisibilityChange = (): void => {
    const isStale = Date.now() - this.#loadedAt > STALE_MS;
    if (!document.hidden && isStale && this.phase.is === 'ready' && !this.#tasks.size) void this.#load();
  };

  // Loading.

  /** Shows an organization. If the id is empty and `switch` is set, shows the viewer's first one. */
  #showOrganization(organization: string): void {
    this.#viewNumber++;
    this.#organizationId = this.organization = organization;
    this.phase = { is: 'loading' };
    this.loaded = this.notice = undefined;
    this.filter = 'everyone';
    this.search = '';
    this.page = this.#deliveryChecks = 0;
    for (const state of [this.#pendingChanges, this.#tasks, this.#rowErrors, this.#resendAllowedAt, this.#resendKeys]) state.clear();
    void this.#load();
  }

  #switchTo(organization: string): void {
    this.#showOrganization(organization);
    if (organization) this.emit('roster-organization-change', { organization });
  }

  /** Loads the viewer's organizations, without those that they have left. */
  async #loadOrganizations(): Promise<OrganizationItem[]> {
    return (await this.api.organizations()).filter(({ id }) => !this.#inaccessible.has(id));
  }

  /** Loads the organization, its users and, with `switch`, the viewer's organizations. */
  async #load(): Promise<void> {
    const load = ++this.#loadNumber;
    const { api } = this;
    this.#isLoading = true;
    try {
      this.#viewer = (await api.viewer())?.sub;
      const organizations = this.switch ? this.#loadOrganizations() : undefined;
      // Avoid an unhandled rejection: the promise is awaited later, or not at all.
      organizations?.catch(() => {});
      const id = this.#organizationId || (await organizations)?.[0]?.id;
      if (load !== this.#loadNumber) return;
      if (!id) {
        // Without `switch`, the embedding page must still set `organization`.
        if (organizations) {
          this.organizations = [];
          this.phase = { is: 'none' };
        }
        return;
      }
      const [organization, members, pending, expired] = await Promise.all([
        api.organization(id),
        api.members(id),
        api.invitations(id, 'pending'),
        api.invitations(id, 'expired'),
      ]);
      const viewerOrganizations = await organizations;
      if (load !== this.#loadNumber) return;
      const isFirst = !this.loaded;
      this.loaded = { organization, members, invitations: [...pending, ...expired] };
      this.organizations = viewerOrganizations;
      this.#organizationId = this.organization = id;
      this.#loadedAt = Date.now();
      this.phase = { is: 'ready' };
      if (isFirst) this.emit('roster-loaded', { organization });
    } catch (error) {
      if (load === this.#loadNumber) await this.#onLoadFailed(error, load);
    } finally {
      if (load === this.#loadNumber) this.#isLoading = false;
    }
  }

  async #onLoadFailed(error: unknown, load: number): Promise<void> {
    const code = error instanceof CallError ? error.code : undefined;
    if (code === 'signed_out') this.phase = { is: 'signed_out' };
    else if (code === 'organization_not_found' || (code === 'gateway' && (error as CallError).status === 404)) {
      this.#inaccessible.add(this.#organizationId);
      const organizations = this.switch ? await this.#loadOrganizations().catch(() => undefined) : undefined;
      if (load !== this.#loadNumber) return;
      this.organizations = organizations;
      const [first] = organizations ?? [];
      // The viewer has left the organization, or never was a member. Show another one of theirs.
      if (first) {
        this.#switchTo(first.id);
        this.#notify(this.messages?.notFound, true);
      } else this.phase = organizations ? { is: 'none' } : { is: 'not_found' };
    } else if (this.phase.is === 'ready') this.#notify(this.problemText(error), true);
    else this.phase = { is: 'failed', reason: this.problemText(error) };
    this.#announcePhase();
  }

  #announcePhase(): void {
    const { messages } = this;
    const texts = { none: messages?.noOrganization, not_found: messages?.notFound, signed_out: messages?.signedOutTitle };
    const text = texts[this.phase.is as keyof typeof texts];
    if (text) this.announce(text);
  }

  #notify(text = '', bad = false): void {
    this.notice = { text, bad };
    this.announce(text);
  }

  /** The users to show: the data from the API with the pending changes applied. */
  get #users(): Users | undefined {
    return this.loaded && withChanges(this.loaded, this.#pendingChanges);
  }

  get #rows(): Row[] {
    const users = this.#users;
    return users ? rowsOf(users, this.#viewer, this.api.now()) : [];
  }

  /** The rows that match the filter and the search. */
  get #found(): Row[] {
    return matchingRows(this.#rows, this.filter, this.search, this.readable);
  }

  // Operations. Role changes, removals and revocations are shown at once, and undone if the API refuses them.

  /** Runs a task after the row's previous task has finished. */
  #run(row: Row, task: Task): void {
    const { key } = row;
    const { change, action } = task;
    const previous = this.#tasks.get(key);
    const view = this.#viewNumber;
    const moveFocus = change === 'removed' && action ? this.#prepareFocusMove(row, action) : undefined;
    this.#rowErrors.delete(key);
    this.notice = undefined;
    if (change) this.#pendingChanges.set(key, change);
    this.requestUpdate();
    const focused = moveFocus?.();
    const work = async (): Promise<void> => {
      await previous;
      if (view !== this.#viewNumber) return;
      const organization = this.#organizationId;
      try {
        const apply = await task.call(organization);
        if (view !== this.#viewNumber) return;
        if (this.loaded) this.loaded = apply(this.loaded);
        this.#onResponse(key, change);
      } catch (error) {
        if (view !== this.#viewNumber) return;
        this.#onResponse(key, change);
        await this.#onTaskFailed(row, error, change, action, focused);
        return;
      }
      task.done?.(organization);
    };
    const working = work().finally(() => {
      if (this.#tasks.get(key) === working) this.#tasks.delete(key);
      this.requestUpdate();
    });
    this.#tasks.set(key, working);
  }

  #onResponse(key: string, change: Change | undefined): void {
    // Keep a newer change of the same row.
    if (change && this.#pendingChanges.get(key) === change) this.#pendingChanges.delete(key);
    // A load that began before the change may return the old data.
    if (this.#isLoading) void this.#load();
  }

  async #onTaskFailed(
    row: Row,
    error: unknown,
    change: Change | undefined,
    action: string | undefined,
    focused: Promise<Element | null> | undefined,
  ): Promise<void> {
    const { code, status } = error instanceof CallError ? error : { code: undefined, status: 0 };
    // Another user has already removed the row.
    if (code === 'member_not_found' || code === 'invitation_not_found') {
      this.#notify(this.messages?.alreadyRemoved(this.readable(row.email)));
      if (this.loaded) this.loaded = withoutRow(this.loaded, row.key);
    } else {
      const reason = this.problemText(error);
      this.#rowErrors.set(row.key, reason);
      this.announce(change ? (this.messages?.undone(reason) ?? '') : reason);
    }
    if (code === 'signed_out') this.emit('roster-sign-in', { email: undefined, change: false });
    // The data shown is out of date.
    if ([403, 404, 409].includes(status)) void this.#load();
    // Move the focus back to this row, unless the user has moved it meanwhile.
    const target = await focused;
    await this.updateComplete;
    if (action && target && target === this.shadowRoot?.activeElement) {
      this.#rowElement(row.key)?.querySelector<HTMLElement>(`[data-action=${action}]`)?.focus();
    }
  }

  #editRole({ member, ...row }: MemberRow, role: Role): void {
    this.#run(
      { member, ...row },
      {
        change: { role },
        call: async (organization) => {
          const edited = await this.api.editRole(organization, member.user_id, role);
          this.emit('roster-role-edited', { organization, member: edited });
          return (users) => {
            const { organization, invitations } = withChanges(users, new Map([[row.key, { role: edited.role }]]));
            const members = users.members.map((other) => (other.user_id === edited.user_id ? edited : other));
            return { organization, members, invitations };
          };
        },
        done: () => this.announce(this.messages?.roleEdited(this.readable(member.email), this.messages.roles[role]) ?? ''),
      },
    );
  }

  #remove({ member, ...row }: MemberRow): void {
    this.#run(
      { member, ...row },
      {
        change: 'removed',
        action: 'remove',
        call: async (organization) => {
          await this.api.remove(organization, member.user_id);
          this.emit('roster-removed', { organization, member });
          return (users) => withoutRow(users, row.key);
        },
        done: () => this.announce(this.messages?.removed(this.readable(member.email)) ?? ''),
      },
    );
  }

  #revoke({ invitation, ...row }: InvitationRow): void {
    this.#run(
      { invitation, ...row },
      {
        change: 'removed',
        action: 'revoke',
        call: async (organization) => {
          await this.api.revoke(organization, invitation.id);
          this.emit('roster-revoked', { organization, invitation: { ...invitation, status: 'revoked' } });
          return (users) => withoutRow(users, row.key);
        },
        done: () => this.announce(this.messages?.revoked(this.readable(invitation.email)) ?? ''),
      },
    );
  }

  #resend({ invitation, ...row }: InvitationRow): void {
    const { key } = row;
    this.#run(
      { invitation, ...row },
      {
        call: async (organization) => {
          const idempotencyKey = this.#resendKeys.get(key) ?? newKey();
          this.#resendKeys.set(key, idempotencyKey);
          try {
            const sent = await this.api.resend(organization, invitation.id, idempotencyKey);
            this.#setCooldown(key, COOLDOWN_SECONDS);
            this.#resendKeys.delete(key);
            this.#deliveryChecks = 0;
            this.#loadedAt = Date.now();
            this.announce(this.messages?.resent(this.readable(sent.email), this.formats.moment(sent.expires_at)) ?? '');
            this.emit('roster-resent', { organization, invitation: sent });
            return (users) => ({
              ...users,
              invitations: users.invitations.map((other) => (other.id === sent.id ? sent : other)),
            });
          } catch (error) {
            if (error instanceof CallError && error.code === 'resend_too_soon') {
              this.#setCooldown(key, error.retryAfter ?? COOLDOWN_SECONDS);
            }
            // After a refusal, the next attempt is a new operation. After a lost response, it is a retry with the same
            // key.
            if (error instanceof CallError && error.status >= 400 && error.status < 500) this.#resendKeys.delete(key);
            throw error;
          }
        },
        // Resending an expired invitation may take a seat again. Reload to get the number of seats.
        done: () => void (row.expired && this.#load()),
      },
    );
  }

  #setCooldown(key: string, seconds: number): void {
    this.#resendAllowedAt.set(key, this.api.now() + seconds * 1000);
  }

  #leave(row: MemberRow): void {
    this.#run(row, {
      call: async (organization) => {
        await this.api.remove(organization, row.member.user_id);
        this.#inaccessible.add(organization);
        this.emit('roster-left', { organization });
        return (users) => users;
      },
      done: () => {
        const text = this.messages?.left(this.loaded?.organization.name ?? '');
        this.organizations = this.organizations?.filter(({ id }) => !this.#inaccessible.has(id));
        if (this.switch) this.#switchTo(this.organizations?.[0]?.id ?? '');
        else this.phase = { is: 'not_found' };
        this.#notify(text);
        this.#focus('.head h2');
      },
    });
  }

  /** Creates or renames the organization of the name dialog. */
  async #saveName(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = this.nameForm;
    if (!form || form.busy) return;
    const { organization } = form;
    const dialog = this.#dialog('.name');
    const name = String(new FormData(event.target as HTMLFormElement).get('name') ?? '').trim();
    if (name === organization?.name) return dialog?.close();
    const key = name === form.name ? form.key : newKey();
    const sent = (this.nameForm = { organization, name, key, busy: true, reason: '' });
    try {
      const saved = await (organization ? this.api.rename(organization.id, name) : this.api.create(name, key));
      if (this.nameForm === sent) dialog?.close();
      if (organization) return this.#onRenamed(saved);
      this.emit('roster-created', { organization: saved });
      this.#switchTo(saved.id);
      this.#notify(this.messages?.created(saved.name));
      this.#focus('.head h2');
    } catch (error) {
      const { code = '', status = 0, problem = {} } = error instanceof CallError ? error : {};
      const fieldError = this.language === 'en' ? problem.errors?.[0]?.detail : undefined;
      // After a lost response, a retry with the same name uses the same key. After a refusal, it is a new operation.
      const isLost = code === 'unreachable' || code === 'unavailable' || code === 'signed_out';
      // Field errors begin in lower case, since they usually follow the field's name.
      const text = fieldError ? withoutBackticks(fieldError) : this.problemText(error);
      const reason = text.charAt(0).toUpperCase() + text.slice(1);
      if (code === 'signed_out') this.emit('roster-sign-in', { email: undefined, change: false });
      // The viewer has lost the owner role or the membership, so the list is out of date.
      if (organization && (status === 403 || status === 404)) {
        dialog?.close();
        this.nameForm = undefined;
        void this.#load();
      }
      // A closed dialog cannot show the reason.
      if (this.nameForm !== sent) return this.#notify(reason, true);
      this.nameForm = { organization, name: isLost ? name : '', key, busy: false, reason };
      this.#focus('.name input');
    }
  }

  #onRenamed(organization: Organization): void {
    const { id, name } = organization;
    const { loaded } = this;
    // Take over the name only: the numbers of seats in the response do not include later changes.
    if (loaded?.organization.id === id) this.loaded = { ...loaded, organization: { ...loaded.organization, name } };
    this.organizations = this.organizations?.map((other) => (other.id === id ? { ...other, name } : other));
    this.notice = undefined;
    // A load that began before the change may return the old name.
    if (this.#isLoading) void this.#load();
    this.emit('roster-renamed', { organization });
    this.announce(this.messages?.renamed(name) ?? '');
  }

  async #openInviteDialog(): Promise<void> {
    if (!this.loaded?.organization.seats.free) return;
    try {
      await import('../invite/roster-invite-dialog');
    } catch {
      // There is no connection, or a newer deployment has removed the file.
      return this.#notify(this.messages?.notLoaded, true);
    }
    this.hasInviteDialog = true;
    await this.updateComplete;
    this.renderRoot.querySelector('roster-invite-dialog')?.open();
  }

  /** Adds new invitations to the list. The dialog may send more. */
  #onInvited(event: RosterEventMap['roster-invited']): void {
    const { loaded } = this;
    if (!loaded || event.detail.organization !== loaded.organization.id) return;
    const added = event.detail.results.flatMap((result) => (result.outcome === 'invited' ? [result.invitation] : []));
    const ids = new Set(added.map(({ id }) => id));
    const alreadyPending = loaded.invitations.filter(({ id, status }) => ids.has(id) && status === 'pending').length;
    const { seats } = loaded.organization;
    const taken = added.length - alreadyPending;
    this.loaded = {
      ...loaded,
      organization: { ...loaded.organization, seats: { ...seats, taken: seats.taken + taken, free: seats.free - taken } },
      invitations: [...added, ...loaded.invitations.filter(({ id }) => !ids.has(id))],
    };
  }

  /** Announces the result when the dialog has closed: screen readers ignore content behind a modal dialog. */
  async #onInviteDialogClosed(event: Event): Promise<void> {
    const { invited } = event.target as HTMLElementTagNameMap['roster-invite-dialog'];
    if (invited) {
      this.filter = 'everyone';
      this.search = '';
      this.page = this.#deliveryChecks = 0;
      this.#notify(this.messages?.invited(invited, this.formats.number(invited)));
      void this.#load();
    }
    await this.updateComplete;
    // The button that opened the dialog may have disappeared with the hint for an empty list.
    if (!this.shadowRoot?.activeElement) this.#focus('.invite');
  }

  // Focus.

  #focus(selector: string): void {
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(selector)?.focus());
  }

  #rowElement(key: string): HTMLElement | undefined {
    return [...this.renderRoot.querySelectorAll<HTMLElement>('tr[data-key]')].find((tr) => tr.dataset['key'] === key);
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
      const nextElement = next && this.#rowElement(next.key);
      const target = nextElement?.querySelector<HTMLElement>(`[data-action=${action}]`) ?? nextElement;
      (target ?? this.renderRoot.querySelector<HTMLElement>('input[type=search], .head h2'))?.focus();
      return this.shadowRoot?.activeElement ?? null;
    };
  }

  #dialog(selector: string): HTMLDialogElement | null {
    return this.renderRoot.querySelector(`dialog${selector}`);
  }

  async #askQuestion(question: Question): Promise<void> {
    this.question = question;
    await this.updateComplete;
    this.#dialog('.question')?.showModal();
  }

  /** Opens the name dialog: to rename `organization`, or to create one. */
  async #openNameDialog(organization?: Organization): Promise<void> {
    this.nameForm = { organization, reason: '', busy: false, name: '', key: '' };
    await this.updateComplete;
    this.#dialog('.name')?.showModal();
    this.renderRoot.querySelector<HTMLInputElement>('#name')?.select();
  }

  // Rendering.

  protected override render(): unknown {
    const { messages } = this;
    return html`${messages ? this.#renderContent(messages) : nothing}${this.liveRegion()}`;
  }

  #renderContent(messages: UsersMessages & CommonMessages): TemplateResult {
    const users = this.#users;
    const body = {
      loading: () =>
        this.#setup.isIncomplete
          ? this.#renderEmpty(icons.alert, messages.notSetUp, messages.problems.misconfigured ?? '')
          : this.#renderLoading(messages),
      ready: () => this.#renderList(),
      none: () =>
        this.#renderEmpty(
          icons.people,
          messages.noOrganization,
          messages.noOrganizationText,
          messages.create,
          () => void this.#openNameDialog(),
        ),
      not_found: () => this.#renderEmpty(icons.lock, messages.notFoundTitle, messages.notFound),
      signed_out: () =>
        this.#renderEmpty(icons.lock, messages.signedOutTitle, messages.signedOutText, messages.signInAgain, () =>
          this.emit('roster-sign-in', { email: undefined, change: false }),
        ),
      failed: () => this.#renderFailure(),
    }[this.phase.is];
    return html`<section class="card" aria-busy=${this.phase.is === 'loading' && !this.#setup.isIncomplete}>
        ${this.#renderHead()} ${this.#renderNotice()} ${body()}
      </section>
      ${this.#renderQuestionDialog()} ${this.#renderNameDialog()}
      ${
        this.hasInviteDialog && users
          ? html`<roster-invite-dialog
            lang=${this.formats.tag}
            .apiBase=${this.apiBase}
            .getToken=${this.getToken}
            .organization=${users.organization.id}
            .organizationName=${users.organization.name}
            .roles=${grantableRoles(users.organization.role)}
            .seatsFree=${users.organization.seats.free}
            .members=${users.members}
            .invitations=${users.invitations}
            @roster-invited=${this.#onInvited}
            @close=${this.#onInviteDialogClosed}
          ></roster-invite-dialog>`
          : nothing
      }`;
  }

  #renderHead(): TemplateResult {
    const messages = this.messages!;
    const organization = this.#users?.organization;
    const options = this.#organizationOptions;
    const isSelectable = options.length > 1 || (options.length && !organization && this.phase.is !== 'loading');
    const showSelect = this.switch && isSelectable;
    const isFull = organization?.seats.free === 0;
    return html`<header class="head">
      <div class="title">
        <h2 tabindex="-1">${organization && !showSelect ? organization.name : messages.title}</h2>
        ${
          showSelect
            ? html`<select
              aria-label=${messages.organization}
              @change=${(event: Event) => this.#switchTo((event.target as HTMLSelectElement).value)}
            >
              ${options.some(({ id }) => id === this.#organizationId) ? nothing : html`<option value="" selected></option>`}
              ${options.map(({ id, name }) => html`<option value=${id} .selected=${live(id === this.#organizationId)}>${name}</option>`)}
            </select>`
            : nothing
        }
        ${
          organization?.role === 'owner' && this.phase.is === 'ready'
            ? html`<button class="quiet" @click=${() => this.#openNameDialog(organization)}>${messages.rename}</button>`
            : nothing
        }
        ${
          this.switch && this.phase.is !== 'none' && this.phase.is !== 'loading'
            ? html`<button class="quiet" @click=${() => this.#openNameDialog()}>${icons.plus}${messages.newOrganization}</button>`
            : nothing
        }
      </div>
      ${
        organization && this.phase.is === 'ready'
          ? html`${this.#renderSeats(organization)}
            <button
              class="primary invite"
              aria-disabled=${isFull}
              aria-describedby=${isFull ? 'full' : nothing}
              @pointerenter=${() => void import('../invite/roster-invite-dialog').catch(() => {})}
              @click=${this.#openInviteDialog}
            >
              ${icons.plus}${messages.invite}
            </button>`
          : nothing
      }
    </header>`;
  }

  /**
   * The viewer's organizations, including the current one: the API's list may lag behind and lack it, or have its old
   * name.
   */
  get #organizationOptions(): readonly { id: string; name: string }[] {
    const { organizations = [], loaded } = this;
    const current = loaded?.organization;
    if (!current) return organizations;
    const index = organizations.findIndex(({ id }) => id === current.id);
    return index < 0 ? [...organizations, current] : organizations.with(index, current);
  }

  #renderSeats({ seats }: Organization): TemplateResult {
    const text = this.messages!.seats(this.formats.number(seats.taken), this.formats.number(seats.total));
    const share = Math.min(100, (100 * seats.taken) / seats.total);
    return html`<div class="seats ${share >= 95 ? 'scarce' : ''}">
      <span>${text}</span>
      <div class="meter" aria-hidden="true"><div .style=${`width:${share}%`}></div></div>
    </div>`;
  }

  #renderNotice(): unknown {
    const messages = this.messages!;
    const seats = this.phase.is === 'ready' ? this.#users?.organization.seats : undefined;
    const { notice } = this;
    return html`${
      seats?.free === 0
        ? html`<p class="notice warn" id="full">${icons.alert}<span>${messages.seatsFull(this.formats.number(seats.total))}</span></p>`
        : nothing
    }
    ${
      notice
        ? html`<div class="notice ${notice.bad ? 'bad' : 'good'}">
          ${notice.bad ? icons.alert : icons.check}<span>${notice.text}</span>
          <button class="quiet small" aria-label=${messages.dismiss} @click=${() => ((this.notice = undefined), this.#focus('.head h2'))}>
            ${icons.cross}
          </button>
        </div>`
        : nothing
    }`;
  }

  #renderLoading(messages: { loading: string }): TemplateResult {
    return html`<div class="loading">
      <p class="soft"><span class="spin" aria-hidden="true"></span> ${messages.loading}</p>
      ${[0, 1, 2, 3, 4].map(() => html`<div class="skeleton" aria-hidden="true"></div>`)}
    </div>`;
  }

  #renderFailure(): TemplateResult {
    const messages = this.messages!;
    const reason = this.phase.is === 'failed' ? this.phase.reason : '';
    return html`<div class="empty" role="alert">
      ${icons.alert}
      <h3>${messages.loadFailed}</h3>
      <p class="soft">${reason}</p>
      <button @click=${() => this.#showOrganization(this.#organizationId)}>${messages.tryAgain}</button>
    </div>`;
  }

  #renderEmpty(icon: TemplateResult, title: string, text: string, label?: string, onClick?: () => void): TemplateResult {
    return html`<div class="empty">
      ${icon}
      <h3>${title}</h3>
      <p class="soft">${text}</p>
      ${label ? html`<button class="primary" @click=${onClick}>${label}</button>` : nothing}
    </div>`;
  }

  #renderList(): TemplateResult {
    const messages = this.messages!;
    const number = (value: number): string => this.formats.number(value);
    const all = this.#rows;
    const found = matchingRows(all, this.filter, this.search, this.readable);
    const { page, first, rows, last } = pageOf(found, this.page);
    const counts = countsByFilter(all);
    if (all.length === 1 && all[0]?.kind === 'member') {
      const openDialog = (): void => void this.#openInviteDialog();
      return html`${this.#renderTable(all)}${this.#renderEmpty(icons.people, messages.alone, messages.aloneText, messages.invite, openDialog)}`;
    }
    const turnPage = (by: number) => (event: Event) => {
      // On the first and last page the buttons stay in place, so that they keep the focus.
      if ((event.currentTarget as HTMLElement).ariaDisabled === 'true') return;
      this.page = page + by;
      const newPage = pageOf(found, this.page);
      this.announce(range(newPage.first, newPage.rows.length));
      void this.updateComplete.then(() => this.renderRoot.querySelector('table')?.scrollIntoView({ block: 'nearest' }));
    };
    const range = (first: number, length: number): string =>
      messages.shown(number(length && first + 1), number(first + length), number(found.length));
    return html`<div class="tools">
        <div class="search">
          ${icons.search}
          <input
            type="search"
            aria-label=${messages.search}
            placeholder=${messages.search}
            autocomplete="off"
            spellcheck="false"
            .value=${live(this.search)}
            @input=${(event: Event) => {
              this.search = (event.target as HTMLInputElement).value;
              this.page = 0;
              this.#announceFound();
            }}
          />
        </div>
        <div class="filters" role="group" aria-label=${messages.show}>
          ${FILTERS.map(
            (filter) =>
              html`<button
                aria-pressed=${filter === this.filter}
                @click=${() => {
                  this.filter = filter;
                  this.page = 0;
                  this.#announceFound();
                }}
              >
                ${messages.filters[filter]} <span class="count">${number(counts[filter])}</span>
              </button>`,
          )}
        </div>
      </div>
      ${rows.length ? this.#renderTable(rows) : this.#renderNoRows()}
      ${
        found.length
          ? html`<nav class="pages" aria-label=${messages.pages}>
            <span class="soft">${range(first, rows.length)}</span>
            ${
              found.length > rows.length
                ? html`<button aria-disabled=${page === 0} @click=${turnPage(-1)}>${messages.previous}</button>
                  <button aria-disabled=${last} @click=${turnPage(1)}>${messages.next}</button>`
                : nothing
            }
          </nav>`
          : nothing
      }`;
  }

  #announceFound(): void {
    const count = this.#found.length;
    this.announce(this.messages?.found(count, this.formats.number(count)) ?? '');
  }

  #renderNoRows(): TemplateResult {
    const messages = this.messages!;
    const reset = (): void => {
      this.search = '';
      this.filter = 'everyone';
      void this.updateComplete.then(() => this.#focus('input[type=search]'));
    };
    return this.search.trim()
      ? this.#renderEmpty(icons.search, messages.noMatch, messages.noMatchText, messages.clear, reset)
      : this.#renderEmpty(icons.check, messages.noneOf[this.filter], '', messages.clear, reset);
  }

  // The ARIA roles are explicit because browsers drop the implicit ones if CSS changes the layout of a table.
  #renderTable(rows: readonly Row[]): TemplateResult {
    const { columns, title } = this.messages!;
    return html`<table role="table" aria-label=${title}>
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">${columns.user}</th>
          <th role="columnheader" scope="col">${columns.role}</th>
          <th role="columnheader" scope="col">${columns.status}</th>
          <th role="columnheader" scope="col"><span class="visually-hidden">${columns.actions}</span></th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${repeat(
          rows,
          ({ key }) => key,
          (row) => this.#renderRow(row),
        )}
      </tbody>
    </table>`;
  }

  #renderRow(row: Row): TemplateResult {
    const messages = this.messages!;
    const own = row.kind === 'member' && row.own;
    const rowError = this.#rowErrors.get(row.key);
    const email = this.readable(row.email);
    const detail =
      row.kind === 'member'
        ? messages.memberSince(this.formats.day(row.member.joined_at))
        : row.invitation.sender.user_id === this.#viewer
          ? messages.invitedByYou
          : messages.invitedBy(this.readable(row.invitation.sender.email));
    return html`<tr role="row" tabindex="-1" data-key=${row.key} aria-busy=${this.#tasks.has(row.key)}>
      <th role="rowheader" scope="row" class="user">
        <span class="avatar" aria-hidden="true" .style=${`--hue:${hueOf(row.email)}`}>
          ${row.kind === 'member' ? row.email[0] : icons.mail}
        </span>
        <span class="name-block">
          <span class="email" title=${email === row.email ? nothing : row.email}>${email}</span>${own ? html` <span class="you">${messages.you}</span>` : nothing}
          <span class="detail soft">${detail}</span>
        </span>
      </th>
      <td role="cell" class="role">${this.#renderRole(row)}</td>
      <td role="cell" class="status">
        ${row.kind === 'member' ? html`<span class="badge good">${icons.check}${messages.active}</span>` : this.#renderStatus(row)}
        ${
          rowError
            ? html`<p class="row-error bad-text">
              ${icons.alert}<span>${rowError}</span>
              <button
                class="quiet small"
                aria-label=${messages.dismiss}
                @click=${() => {
                  this.#rowErrors.delete(row.key);
                  this.requestUpdate();
                  this.#rowElement(row.key)?.focus();
                }}
              >
                ${icons.cross}
              </button>
            </p>`
            : nothing
        }
      </td>
      <td role="cell" class="actions">${row.kind === 'member' ? this.#renderMemberActions(row) : this.#renderInvitationActions(row)}</td>
    </tr>`;
  }

  #renderRole(row: Row): TemplateResult {
    const messages = this.messages!;
    const viewer = this.loaded!.organization.role;
    if (row.kind === 'invitation' || viewer !== 'owner') return html`<span>${messages.roles[row.role]}</span>`;
    if (row.lock) {
      const reason = row.lock === 'own' ? messages.ownRole : messages.lastOwner;
      return html`<span class="locked">${messages.roles[row.role]} ${icons.lock}</span><span class="reason soft">${reason}</span>`;
    }
    return html`<select
      aria-label=${messages.roleOf(this.readable(row.email))}
      @change=${(event: Event) => this.#editRole(row, (event.target as HTMLSelectElement).value as Role)}
    >
      ${grantableRoles(viewer).map((role) => html`<option value=${role} .selected=${live(role === row.role)}>${messages.roles[role]}</option>`)}
    </select>`;
  }

  #renderStatus(row: InvitationRow): TemplateResult {
    const messages = this.messages!;
    const { expires_at, delivery, delivery_detail } = row.invitation;
    const left = hoursLeft(expires_at, this.api.now());
    const until = html`<time datetime=${expires_at} title=${this.formats.moment(expires_at)}
      >${row.expired ? this.formats.day(expires_at) : messages.expiresIn(left)}</time
    >`;
    const exact = messages.until(this.formats.short(expires_at));
    const reasons = { bounced: messages.bouncedWhy, complained: messages.complainedWhy, failed: messages.failedWhy };
    const reason = reasons[delivery as keyof typeof reasons] ?? '';
    const mail = delivery && deliveryText(messages.delivery, delivery);
    return html`${
      row.expired
        ? html`<span class="badge">${icons.clock}${messages.expired} ${until}</span>`
        : html`<span class="badge ${left > SOON_HOURS ? 'open' : 'warn'}">${icons.clock}${until}</span>`
    }
    ${
      mail && row.bounced
        ? html`<span class="badge bad">${icons.alert}${mail}</span>
          <span class="reason soft">${(this.language === 'en' && delivery_detail) || reason}</span>`
        : nothing
    }
    ${row.expired ? nothing : html`<span class="reason soft">${mail && !row.bounced ? `${mail} · ${exact}` : exact}</span>`}`;
  }

  #renderMemberActions(row: MemberRow): unknown {
    const messages = this.messages!;
    const email = this.readable(row.email);
    const organization = this.loaded!.organization.name;
    if (row.own) {
      const isLastOwner = row.lock === 'last_owner';
      const ask = (): void => {
        if (isLastOwner) {
          this.#rowErrors.set(row.key, messages.leaveLast);
          this.requestUpdate();
          return this.announce(messages.leaveLast);
        }
        void this.#askQuestion({
          title: messages.leaveAsk(organization),
          effect: messages.leaveEffect,
          cancelLabel: messages.stay,
          confirmLabel: messages.leaveDo,
          onConfirm: () => this.#leave(row),
        });
      };
      return html`<button
        class="quiet danger"
        data-action="leave"
        aria-label=${messages.leaveOf(organization)}
        aria-disabled=${isLastOwner}
        @click=${ask}
      >
        ${messages.leave}
      </button>`;
    }
    if (this.loaded!.organization.role !== 'owner') return nothing;
    const ask = (): void =>
      void this.#askQuestion({
        title: messages.removeAsk(email, organization),
        effect: messages.removeEffect,
        cancelLabel: messages.keep,
        confirmLabel: messages.removeDo,
        onConfirm: () => this.#remove(row),
      });
    return html`<button class="quiet danger" data-action="remove" aria-label=${messages.removeOf(email)} @click=${ask}>${messages.remove}</button>`;
  }

  #renderInvitationActions(row: InvitationRow): unknown {
    const messages = this.messages!;
    const { key } = row;
    const email = this.readable(row.email);
    if (!grantableRoles(this.loaded!.organization.role).includes(row.role)) return nothing;
    const defaultTime = Date.parse(row.invitation.sent_at ?? '') + COOLDOWN_SECONDS * 1000 || 0;
    const wait = Math.ceil(((this.#resendAllowedAt.get(key) ?? defaultTime) - this.api.now()) / 1000);
    const ask = (): void =>
      void this.#askQuestion({
        title: messages.revokeAsk(email),
        effect: messages.revokeEffect,
        cancelLabel: messages.keep,
        confirmLabel: messages.revokeDo,
        onConfirm: () => this.#revoke(row),
      });
    // The accessible name does not contain the remaining time: otherwise a screen reader would read it every second.
    return html`<button
        class="quiet"
        data-action="resend"
        aria-label=${messages.resendTo(email)}
        aria-disabled=${wait > 0 || this.#tasks.has(key)}
        @click=${() => wait > 0 || this.#tasks.has(key) || this.#resend(row)}
      >
        ${messages.resend}
      </button>
      ${
        row.expired
          ? nothing
          : html`<button class="quiet danger" data-action="revoke" aria-label=${messages.revokeOf(email)} @click=${ask}>${messages.revoke}</button>`
      }
      ${wait > 0 ? html`<span class="wait soft">${messages.resendIn(this.formats.wait(wait))}</span>` : nothing}`;
  }

  #renderQuestionDialog(): TemplateResult {
    const { question } = this;
    const closeDialog = (isConfirmed: boolean) => () => {
      // Close the dialog first: that returns the focus to the button, which `onConfirm` may remove.
      this.#dialog('.question')?.close();
      if (isConfirmed) question?.onConfirm();
    };
    return html`<dialog class="question" role="alertdialog" aria-labelledby="question" aria-describedby="effect">
      ${
        question
          ? html`<div class="body">
              <h2 id="question">${question.title}</h2>
              <p id="effect" class="soft">${question.effect}</p>
            </div>
            <div class="foot">
              <button autofocus @click=${closeDialog(false)}>${question.cancelLabel}</button>
              <button class="danger" @click=${closeDialog(true)}>${question.confirmLabel}</button>
            </div>`
          : nothing
      }
    </dialog>`;
  }

  #renderNameDialog(): TemplateResult {
    const messages = this.messages!;
    const form = this.nameForm;
    const [title, saveLabel] = form?.organization ? [messages.renameTitle, messages.save] : [messages.createTitle, messages.create];
    return html`<dialog class="name" aria-labelledby="name-title" @close=${() => (this.nameForm = undefined)}>
      ${
        form
          ? html`<form @submit=${this.#saveName} novalidate>
            <div class="body">
              <h2 id="name-title">${title}</h2>
              <div class="field">
                <label for="name">${messages.name}</label>
                <input
                  id="name"
                  name="name"
                  value=${form.organization?.name ?? ''}
                  maxlength="60"
                  autocomplete="organization"
                  autofocus
                  aria-invalid=${Boolean(form.reason)}
                  aria-describedby="hint reason"
                />
                <p id="hint" class="soft">${messages.nameHint}</p>
                <p id="reason" class="bad-text" role="alert">${form.reason ? html`${icons.alert} ${form.reason}` : nothing}</p>
              </div>
            </div>
            <div class="foot">
              <button type="button" @click=${() => this.#dialog('.name')?.close()}>${messages.cancel}</button>
              <button class="primary" aria-disabled=${form.busy}>
                ${form.busy ? html`<span class="spin" aria-hidden="true"></span>` : nothing}${saveLabel}
              </button>
            </div>
          </form>`
          : nothing
      }
    </dialog>`;
  }
}

/** Returns a hue for the avatar of an address. The same address always gets the same hue. */
function hueOf(email: string): string {
  let sum = 0;
  for (const character of email) sum = (sum * 31 + character.charCodeAt(0)) % 360;
  return String(sum);
}
