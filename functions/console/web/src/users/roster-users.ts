/** `<roster-users>`: an organization's members and invitations, and what may be done about them. */
import { html, nothing, unsafeCSS, type PropertyValues, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import { repeat } from 'lit/directives/repeat.js';
import { CallError, newKey, viewerOf, type OrganizationItem } from '../api';
import { Base } from '../element';
import type { Invitation, Member, Organization, Role, RosterEventMap, RosterUsersElement } from '../elements';
import { hoursLeft, type Catalogue } from '../i18n';
import * as icons from '../icons';
import en, { type UsersMessages } from '../messages/en/users';
import { FILTERS, counts, grantable, matching, pageOf, rowsOf, type Filter, type InvitationRow, type MemberRow, type Row } from './rows';
import style from './users.css';

/** What a resend waits for where the API has not said how long: the pause that a deployment has if it sets none. */
const COOLDOWN_SECONDS = 60;
/** An invitation with no more hours left than these is about to expire. */
const SOON_HOURS = 6;
/** How often, and how soon at first (then twice as long each time), it is looked at whether a mail has gone out. */
const LOOKS_MAX = 5;
const LOOK_MS = 2_000;
/** How old what is shown may be when the page is looked at again. */
const STALE_MS = 60_000;

type Phase =
  | { is: 'loading' }
  | { is: 'ready' }
  /** In no organization. */
  | { is: 'none' }
  | { is: 'not_found' }
  | { is: 'signed_out' }
  | { is: 'failed'; reason: string };

/** What is asked before it is done. */
interface Question {
  title: string;
  effect: string;
  keep: string;
  go: string;
  act: () => void;
}

export class RosterUsers extends Base<UsersMessages> implements RosterUsersElement {
  static override styles = [super.styles, unsafeCSS(style)];
  static override properties = {
    organization: {},
    switch: { type: Boolean },
    phase: { state: true },
    held: { state: true },
    members: { state: true },
    invitations: { state: true },
    choices: { state: true },
    filter: { state: true },
    search: { state: true },
    page: { state: true },
    question: { state: true },
    creating: { state: true },
    notice: { state: true },
    inviting: { state: true },
  };

  declare organization: string;
  declare switch: boolean;
  declare private phase: Phase;
  /** The organization whose users are shown. */
  declare private held: Organization | undefined;
  declare private members: readonly Member[];
  declare private invitations: readonly Invitation[];
  /** The viewer's organizations, for switching. */
  declare private choices: readonly OrganizationItem[] | undefined;
  declare private filter: Filter;
  declare private search: string;
  declare private page: number;
  declare private question: Question | undefined;
  declare private creating: { reason: string; busy: boolean; key: string } | undefined;
  /** What went well, or not, and belongs to no row. */
  declare private notice: { text: string; bad: boolean } | undefined;
  /** Whether the invite dialog has been asked for, and so is there. */
  declare private inviting: boolean;

  protected override readonly catalogue: Catalogue<UsersMessages> = {
    en,
    de: () => import('../messages/de/users'),
  };

  #viewer: string | undefined;
  /** What is wrong with a row, by its key. */
  readonly #troubles = new Map<string, string>();
  /** Rows with a call in flight. */
  readonly #busy = new Set<string>();
  /** When an invitation may be sent again, by its row's key, on the server's clock. */
  readonly #cooling = new Map<string, number>();
  /** The number of the newest load: answers of older ones come too late. */
  #load = 0;
  #loadedAt = 0;
  #looks = 0;
  #ticking: ReturnType<typeof setInterval> | undefined;

  constructor() {
    super();
    this.organization = '';
    this.switch = false;
    this.phase = { is: 'loading' };
    this.members = [];
    this.invitations = [];
    this.filter = 'everyone';
    this.search = '';
    this.page = 0;
    this.inviting = false;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#ticking = setInterval(() => this.#tick(), 1000);
    document.addEventListener('visibilitychange', this.#looked);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.#ticking);
    document.removeEventListener('visibilitychange', this.#looked);
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    const asked = changed.has('organization') && this.organization !== this.held?.id;
    if ((asked || changed.has('getToken') || changed.has('apiBase')) && this.getToken) void this.#start();
  }

  /** Asks for everything again; what is shown stays until it is there. */
  async refresh(): Promise<void> {
    await this.#fetch();
  }

  /** Once a minute what is left of invitations changes, and once a second while one cools down. */
  #tick(): void {
    if (this.phase.is !== 'ready' || document.hidden) return;
    const cooling = [...this.#cooling.values()].some((until) => until > this.api.now() - 1000);
    if (cooling || new Date().getSeconds() === 0) this.requestUpdate();
    const sending = this.invitations.some(({ delivery, status }) => delivery === 'queued' && status === 'pending');
    if (sending && !this.#busy.size && this.#looks < LOOKS_MAX && Date.now() - this.#loadedAt > LOOK_MS << this.#looks) {
      this.#looks++;
      void this.#fetch();
    }
  }

  readonly #looked = (): void => {
    const stale = Date.now() - this.#loadedAt > STALE_MS;
    if (!document.hidden && stale && this.phase.is === 'ready' && !this.#busy.size) void this.#fetch();
  };

  // What is shown.

  async #start(): Promise<void> {
    this.phase = { is: 'loading' };
    this.held = undefined;
    this.members = this.invitations = [];
    this.#troubles.clear();
    this.page = 0;
    await this.#fetch();
  }

  async #fetch(): Promise<void> {
    const load = ++this.#load;
    const { api } = this;
    try {
      this.#viewer = viewerOf((await this.getToken?.({ refresh: false })) ?? null)?.sub;
      const choices = this.switch ? api.organizations() : undefined;
      // Waited for below, or not at all.
      choices?.catch(() => {});
      const id = this.held?.id || this.organization || (await choices)?.[0]?.id;
      if (!id) {
        if (load === this.#load) {
          this.choices = [];
          this.phase = { is: 'none' };
        }
        return;
      }
      const [held, members, pending, expired] = await Promise.all([
        api.organization(id),
        api.members(id),
        api.invitations(id, 'pending'),
        api.invitations(id, 'expired'),
      ]);
      const others = await choices;
      if (load !== this.#load) return;
      const first = this.held?.id !== id;
      this.held = held;
      this.members = members;
      this.invitations = [...pending, ...expired];
      this.choices = others;
      this.organization = id;
      this.#loadedAt = Date.now();
      this.phase = { is: 'ready' };
      if (first) this.tell('roster-loaded', { organization: held });
    } catch (error) {
      if (load === this.#load) await this.#failed(error);
    }
  }

  async #failed(error: unknown): Promise<void> {
    const code = error instanceof CallError ? error.code : undefined;
    if (code === 'signed_out') this.phase = { is: 'signed_out' };
    else if (code === 'organization_not_found' || (code === 'gateway' && (error as CallError).status === 404)) {
      if (this.switch) this.choices = await this.api.organizations().catch(() => undefined);
      this.phase = { is: 'not_found' };
    } else if (this.phase.is === 'ready') this.notice = { text: this.problemText(error), bad: true };
    else this.phase = { is: 'failed', reason: this.problemText(error) };
  }

  #switchTo(id: string): void {
    this.notice = undefined;
    this.search = '';
    this.filter = 'everyone';
    this.held = undefined;
    this.organization = id;
    void this.#start();
    if (id) this.tell('roster-organization-change', { organization: id });
  }

  get #rows(): Row[] {
    return this.held ? rowsOf(this.held, this.members, this.invitations, this.#viewer, this.api.now()) : [];
  }

  // What is done. Everything but a resend shows at once, and is undone if the API refuses.

  async #attempt(row: Row, what: { show?: () => () => void; call: () => Promise<void> }): Promise<void> {
    const { key } = row;
    if (this.#busy.has(key)) return;
    this.#busy.add(key);
    this.#troubles.delete(key);
    this.notice = undefined;
    const undo = what.show?.();
    this.requestUpdate();
    try {
      await what.call();
    } catch (error) {
      const gone = error instanceof CallError && (error.code === 'member_not_found' || error.code === 'invitation_not_found');
      if (!gone) {
        undo?.();
        this.#refused(row, error, Boolean(undo));
      }
      // What is shown is not what is there.
      if (error instanceof CallError && [403, 404, 409].includes(error.status)) void this.#fetch();
    } finally {
      this.#busy.delete(key);
      this.requestUpdate();
    }
  }

  #refused(row: Row, error: unknown, undone: boolean): void {
    if (error instanceof CallError && error.code === 'signed_out') {
      this.tell('roster-sign-in', { email: undefined, change: false });
    }
    const reason = this.problemText(error);
    this.#troubles.set(row.key, reason);
    this.announce(undone ? (this.words?.undone(reason) ?? '') : reason);
  }

  #editRole(row: MemberRow, role: Role): void {
    const { member } = row;
    const put = (is: Member, owners: number): void => {
      this.members = this.members.map((other) => (other.user_id === is.user_id ? is : other));
      if (this.held) this.held = { ...this.held, owners: this.held.owners + owners };
    };
    const step = role === 'owner' ? 1 : -1;
    void this.#attempt(row, {
      show: () => {
        put({ ...member, role }, step);
        return () => put(member, -step);
      },
      call: async () => {
        const edited = await this.api.editRole(this.organization, member.user_id, role);
        put(edited, 0);
        if (this.words) this.announce(this.words.roleEdited(member.email, this.words.roles[role]));
        this.tell('roster-role-edited', { organization: this.organization, member: edited });
      },
    });
  }

  /** One more seat taken, or one given back. */
  #seat(taken: 1 | -1): void {
    if (!this.held) return;
    const { seats } = this.held;
    this.held = { ...this.held, seats: { ...seats, taken: seats.taken + taken, free: seats.free - taken } };
  }

  #remove(row: MemberRow): void {
    const { member } = row;
    const owners = member.role === 'owner' ? 1 : 0;
    const count = (by: number): void => {
      if (this.held) this.held = { ...this.held, owners: this.held.owners + by * owners };
    };
    void this.#attempt(row, {
      show: () => {
        const focus = this.#neighbour(row, 'remove');
        this.members = this.members.filter((other) => other !== member);
        this.#seat(-1);
        count(-1);
        const moved = focus();
        return () => {
          void moved.then((to) => this.#back(row.key, 'remove', to));
          this.members = [...this.members.filter((other) => other.user_id !== member.user_id), member];
          this.#seat(1);
          count(1);
        };
      },
      call: async () => {
        await this.api.remove(this.organization, member.user_id);
        this.announce(this.words?.removed(member.email) ?? '');
        this.tell('roster-removed', { organization: this.organization, member });
      },
    });
  }

  #revoke(row: InvitationRow): void {
    const { invitation } = row;
    void this.#attempt(row, {
      show: () => {
        const focus = this.#neighbour(row, 'revoke');
        this.invitations = this.invitations.filter((other) => other !== invitation);
        this.#seat(-1);
        const moved = focus();
        return () => {
          void moved.then((to) => this.#back(row.key, 'revoke', to));
          this.invitations = [...this.invitations.filter((other) => other.id !== invitation.id), invitation];
          this.#seat(1);
        };
      },
      call: async () => {
        await this.api.revoke(this.organization, invitation.id);
        this.announce(this.words?.revoked(invitation.email) ?? '');
        this.tell('roster-revoked', { organization: this.organization, invitation: { ...invitation, status: 'revoked' } });
      },
    });
  }

  #resend(row: InvitationRow): void {
    const { key, invitation } = row;
    const cool = (seconds: number): unknown => this.#cooling.set(key, this.api.now() + seconds * 1000);
    void this.#attempt(row, {
      call: async () => {
        try {
          const sent = await this.api.resend(this.organization, invitation.id, newKey());
          cool(COOLDOWN_SECONDS);
          this.#looks = 0;
          this.#loadedAt = Date.now();
          // One whose seat had been freed took one again; which that was, only the API knows.
          if (row.expired) void this.api.organization(this.organization).then((held) => (this.held = held), () => {});
          this.invitations = this.invitations.map((other) => (other.id === sent.id ? sent : other));
          this.announce(this.words?.resent(sent.email, this.formats.moment(sent.expires_at)) ?? '');
          this.tell('roster-resent', { organization: this.organization, invitation: sent });
        } catch (error) {
          if (error instanceof CallError && error.status === 429) cool(error.retryAfter ?? COOLDOWN_SECONDS);
          throw error;
        }
      },
    });
  }

  #leave(row: MemberRow): void {
    const { id = '', name = '' } = this.held ?? {};
    void this.#attempt(row, {
      call: async () => {
        await this.api.remove(id, row.member.user_id);
        this.tell('roster-left', { organization: id });
        const text = this.words?.left(name) ?? '';
        if (this.switch) this.#switchTo('');
        else this.phase = { is: 'not_found' };
        this.notice = { text, bad: false };
        this.announce(text);
        await this.updateComplete;
        this.#focus('.head h2');
      },
    });
  }

  async #create(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const { creating } = this;
    if (!creating || creating.busy) return;
    const name = String(new FormData(event.target as HTMLFormElement).get('name') ?? '').trim();
    this.creating = { ...creating, busy: true, reason: '' };
    try {
      const organization = await this.api.create(name, creating.key);
      this.#dialog('.create')?.close();
      this.tell('roster-created', { organization });
      this.#switchTo(organization.id);
      const text = this.words?.created(organization.name) ?? '';
      this.notice = { text, bad: false };
      this.announce(text);
      await this.updateComplete;
      this.#focus('.head h2');
    } catch (error) {
      // What the API has refused may be asked anew, under another key; what got lost, under the same.
      const definite = error instanceof CallError && error.status >= 400 && error.status < 500;
      const key = definite ? newKey() : creating.key;
      const pointed = error instanceof CallError ? error.problem.errors?.[0]?.detail : undefined;
      const reason = (this.language === 'en' && pointed) || this.problemText(error);
      this.creating = { busy: false, reason, key };
      this.#focus('.create input');
    }
  }

  async #invite(): Promise<void> {
    if (!this.held?.seats.free) return;
    await import('../invite/roster-invite-dialog');
    this.inviting = true;
    await this.updateComplete;
    this.renderRoot.querySelector('roster-invite-dialog')?.open();
  }

  #invited(event: RosterEventMap['roster-invited']): void {
    const fresh = event.detail.results.flatMap((result) => (result.outcome === 'invited' ? [result.invitation] : []));
    const ids = new Set(fresh.map(({ id }) => id));
    const before = new Set(this.invitations.filter((other) => other.status === 'pending').map(({ id }) => id));
    this.invitations = [...fresh, ...this.invitations.filter(({ id }) => !ids.has(id))];
    for (const { id } of fresh) if (!before.has(id)) this.#seat(1);
  }

  /** Said once the dialog is gone: behind it nobody hears it, and many addresses are several calls. */
  #inviteClosed(event: Event): void {
    const { invited } = event.target as HTMLElementTagNameMap['roster-invite-dialog'];
    if (!invited) return;
    this.filter = 'everyone';
    this.search = '';
    this.page = this.#looks = 0;
    const text = this.words?.invited(invited) ?? '';
    this.notice = { text, bad: false };
    this.announce(text);
    void this.#fetch();
  }

  // Where the focus goes.

  #focus(selector: string): void {
    this.renderRoot.querySelector<HTMLElement>(selector)?.focus();
  }

  #rowElement(key: string): HTMLElement | undefined {
    return [...this.renderRoot.querySelectorAll<HTMLElement>('tr[data-key]')].find((tr) => tr.dataset['key'] === key);
  }

  /** Puts the focus on that action of a row that is back, unless the person has gone on meanwhile. */
  async #back(key: string, action: string, from: Element | null): Promise<void> {
    await this.updateComplete;
    const now = this.shadowRoot?.activeElement ?? null;
    if (now === from) this.#rowElement(key)?.querySelector<HTMLElement>(`[data-do=${action}]`)?.focus();
  }

  /**
   * To be taken before `row` goes: focuses the same action of the row after it, or what is nearest to that, and says
   * which that was.
   */
  #neighbour(row: Row, action: string): () => Promise<Element | null> {
    const rows = pageOf(matching(this.#rows, this.filter, this.search), this.page).rows;
    const at = rows.findIndex(({ key }) => key === row.key);
    const next = rows[at + 1] ?? rows[at - 1];
    return async () => {
      await this.updateComplete;
      const found = next && this.#rowElement(next.key);
      const to = found?.querySelector<HTMLElement>(`[data-do=${action}]`) ?? found;
      (to ?? this.renderRoot.querySelector<HTMLElement>('input[type=search]'))?.focus();
      return this.shadowRoot?.activeElement ?? null;
    };
  }

  #dialog(selector: string): HTMLDialogElement | null {
    return this.renderRoot.querySelector(`dialog${selector}`);
  }

  async #ask(question: Question): Promise<void> {
    this.question = question;
    await this.updateComplete;
    this.#dialog('.question')?.showModal();
  }

  async #askForName(): Promise<void> {
    this.creating = { reason: '', busy: false, key: newKey() };
    await this.updateComplete;
    this.#dialog('.create')?.showModal();
  }

  // How it looks.

  protected override render(): unknown {
    const { words } = this;
    return html`${words ? this.#everything(words) : nothing}${this.liveRegion()}`;
  }

  #everything(words: UsersMessages & { loading: string }): TemplateResult {
    const body = {
      loading: () => this.#loading(words),
      ready: () => this.#list(),
      none: () =>
        this.#empty(icons.people, words.noOrganization, words.noOrganizationText, words.create, () => void this.#askForName()),
      not_found: () => this.#empty(icons.lock, words.notFoundTitle, words.notFound),
      signed_out: () =>
        this.#empty(icons.lock, words.signedOutTitle, words.signedOutText, this.words!.signInAgain, () =>
          this.tell('roster-sign-in', { email: undefined, change: false }),
        ),
      failed: () => this.#failure(),
    }[this.phase.is];
    return html`<section class="card" aria-busy=${this.phase.is === 'loading'}>
        ${this.#head()} ${this.#notice()} ${body()}
      </section>
      ${this.#questionDialog()} ${this.switch ? this.#createDialog() : nothing}
      ${this.inviting && this.held
        ? html`<roster-invite-dialog
            .apiBase=${this.apiBase}
            .getToken=${this.getToken}
            .organization=${this.held.id}
            .organizationName=${this.held.name}
            .roles=${grantable(this.held.role)}
            .seatsFree=${this.held.seats.free}
            .members=${this.members}
            .invitations=${this.invitations}
            @roster-invited=${this.#invited}
            @close=${this.#inviteClosed}
          ></roster-invite-dialog>`
        : nothing}`;
  }

  #head(): TemplateResult {
    const words = this.words!;
    const { held, choices } = this;
    const several = this.switch && choices && (choices.length > 1 || (choices.length && !held));
    const full = held?.seats.free === 0;
    return html`<header class="head">
      <div class="title">
        <h2 tabindex="-1">${held && !several ? held.name : words.title}</h2>
        ${several
          ? html`<select
              aria-label=${words.organization}
              @change=${(event: Event) => this.#switchTo((event.target as HTMLSelectElement).value)}
            >
              ${held ? nothing : html`<option value="" selected></option>`}
              ${choices.map(({ id, name }) => html`<option value=${id} .selected=${live(id === held?.id)}>${name}</option>`)}
            </select>`
          : nothing}
        ${this.switch && this.phase.is !== 'none' && this.phase.is !== 'loading'
          ? html`<button class="quiet" @click=${this.#askForName}>${icons.plus}${words.newOrganization}</button>`
          : nothing}
      </div>
      ${held && this.phase.is === 'ready'
        ? html`${this.#seats(held)}
            <button
              class="primary invite"
              aria-disabled=${full}
              aria-describedby=${full ? 'full' : nothing}
              @pointerenter=${() => void import('../invite/roster-invite-dialog')}
              @click=${this.#invite}
            >
              ${icons.plus}${words.invite}
            </button>`
        : nothing}
    </header>`;
  }

  #seats({ seats }: Organization): TemplateResult {
    const text = this.words!.seats(this.formats.number(seats.taken), this.formats.number(seats.total));
    const share = Math.min(100, (100 * seats.taken) / seats.total);
    return html`<div class="seats ${share >= 95 ? 'scarce' : ''}">
      <span>${text}</span>
      <div class="meter" aria-hidden="true"><div .style=${`width:${share}%`}></div></div>
    </div>`;
  }

  #notice(): unknown {
    const words = this.words!;
    const full = this.phase.is === 'ready' && this.held?.seats.free === 0;
    const { notice } = this;
    return html`${full
      ? html`<p class="notice warn" id="full">${icons.alert}<span>${words.seatsFull(this.formats.number(this.held!.seats.total))}</span></p>`
      : nothing}
    ${notice
      ? html`<div class="notice ${notice.bad ? 'bad' : 'good'}">
          ${notice.bad ? icons.alert : icons.check}<span>${notice.text}</span>
          <button class="quiet small" aria-label=${words.dismiss} @click=${() => ((this.notice = undefined), this.#focus('.head h2'))}>
            ${icons.cross}
          </button>
        </div>`
      : nothing}`;
  }

  #loading(words: { loading: string }): TemplateResult {
    return html`<div class="loading">
      <p class="soft"><span class="spin" aria-hidden="true"></span> ${words.loading}</p>
      ${[0, 1, 2, 3, 4].map(() => html`<div class="bone" aria-hidden="true"></div>`)}
    </div>`;
  }

  #failure(): TemplateResult {
    const words = this.words!;
    const reason = this.phase.is === 'failed' ? this.phase.reason : '';
    return html`<div class="empty" role="alert">
      ${icons.alert}
      <h3>${words.loadFailed}</h3>
      <p class="soft">${reason}</p>
      <button @click=${() => void this.#start()}>${words.tryAgain}</button>
    </div>`;
  }

  #empty(icon: TemplateResult, title: string, text: string, label?: string, act?: () => void): TemplateResult {
    return html`<div class="empty">
      ${icon}
      <h3>${title}</h3>
      <p class="soft">${text}</p>
      ${label ? html`<button class="primary" @click=${act}>${label}</button>` : nothing}
    </div>`;
  }

  #list(): TemplateResult {
    const words = this.words!;
    const { number } = { number: (value: number) => this.formats.number(value) };
    const all = this.#rows;
    const found = matching(all, this.filter, this.search);
    const { page, first, rows, last } = pageOf(found, this.page);
    const count = counts(all);
    if (all.length === 1 && all[0]?.kind === 'member') {
      return html`${this.#table(rows)}${this.#empty(icons.people, words.alone, words.aloneText, words.invite, () => void this.#invite())}`;
    }
    const turn = (by: number) => (event: Event) => {
      // At an end the button is still there, so that the focus is.
      if ((event.currentTarget as HTMLElement).ariaDisabled === 'true') return;
      this.page = page + by;
      void this.updateComplete.then(() => this.renderRoot.querySelector('table')?.scrollIntoView({ block: 'nearest' }));
    };
    const range = words.shown(number(rows.length && first + 1), number(first + rows.length), number(found.length));
    return html`<div class="tools">
        <div class="search">
          ${icons.search}
          <input
            type="search"
            aria-label=${words.search}
            placeholder=${words.search}
            autocomplete="off"
            spellcheck="false"
            .value=${live(this.search)}
            @input=${(event: Event) => {
              this.search = (event.target as HTMLInputElement).value;
              this.page = 0;
              this.#tellFound();
            }}
          />
        </div>
        <div class="filters" role="group" aria-label=${words.show}>
          ${FILTERS.map(
            (filter) =>
              html`<button
                aria-pressed=${filter === this.filter}
                @click=${() => {
                  this.filter = filter;
                  this.page = 0;
                  this.#tellFound();
                }}
              >
                ${words.filters[filter]} <span class="count">${number(count[filter])}</span>
              </button>`,
          )}
        </div>
      </div>
      ${rows.length ? this.#table(rows) : this.#nobody()}
      ${found.length
        ? html`<nav class="pages" aria-label=${words.pages}>
            <span class="soft">${range}</span>
            ${found.length > rows.length
              ? html`<button aria-disabled=${page === 0} @click=${turn(-1)}>${words.previous}</button>
                  <button aria-disabled=${last} @click=${turn(1)}>${words.next}</button>`
              : nothing}
          </nav>`
        : nothing}`;
  }

  #tellFound(): void {
    const count = matching(this.#rows, this.filter, this.search).length;
    this.announce(this.words?.found(count, this.formats.number(count)) ?? '');
  }

  #nobody(): TemplateResult {
    const words = this.words!;
    const reset = (): void => {
      this.search = '';
      this.filter = 'everyone';
      void this.updateComplete.then(() => this.#focus('input[type=search]'));
    };
    return this.search.trim()
      ? this.#empty(icons.search, words.noMatch, words.noMatchText, words.clear, reset)
      : this.#empty(icons.check, words.noneOf[this.filter], '', words.clear, reset);
  }

  // Cells have their roles spelled out: a browser drops those of a table that is laid out as cards.
  #table(rows: readonly Row[]): TemplateResult {
    const { columns, title } = this.words!;
    return html`<table role="table" aria-label=${title}>
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">${columns.user}</th>
          <th role="columnheader" scope="col">${columns.role}</th>
          <th role="columnheader" scope="col">${columns.status}</th>
          <th role="columnheader" scope="col"><span class="unseen">${columns.actions}</span></th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${repeat(rows, ({ key }) => key, (row) => this.#row(row))}
      </tbody>
    </table>`;
  }

  #row(row: Row): TemplateResult {
    const words = this.words!;
    const own = row.kind === 'member' && row.own;
    const trouble = this.#troubles.get(row.key);
    const about =
      row.kind === 'member'
        ? words.memberSince(this.formats.day(row.member.joined_at))
        : row.invitation.sender.user_id === this.#viewer
          ? words.invitedByYou
          : words.invitedBy(row.invitation.sender.email);
    return html`<tr role="row" tabindex="-1" data-key=${row.key} aria-busy=${this.#busy.has(row.key)}>
      <th role="rowheader" scope="row" class="user">
        <span class="avatar" aria-hidden="true" .style=${`--hue:${hue(row.email)}`}>
          ${row.kind === 'member' ? row.email[0] : icons.mail}
        </span>
        <span class="who">
          <span class="email">${row.email}</span>${own ? html` <span class="you">${words.you}</span>` : nothing}
          <span class="about soft">${about}</span>
        </span>
      </th>
      <td role="cell" class="role">${this.#role(row)}</td>
      <td role="cell" class="status">
        ${row.kind === 'member' ? html`<span class="badge good">${icons.check}${words.active}</span>` : this.#standing(row)}
        ${trouble
          ? html`<p class="trouble bad-text">
              ${icons.alert}<span>${trouble}</span>
              <button
                class="quiet small"
                aria-label=${words.dismiss}
                @click=${() => {
                  this.#troubles.delete(row.key);
                  this.requestUpdate();
                  this.#rowElement(row.key)?.focus();
                }}
              >
                ${icons.cross}
              </button>
            </p>`
          : nothing}
      </td>
      <td role="cell" class="actions">${row.kind === 'member' ? this.#memberActions(row) : this.#invitationActions(row)}</td>
    </tr>`;
  }

  #role(row: Row): TemplateResult {
    const words = this.words!;
    const viewer = this.held!.role;
    if (row.kind === 'invitation' || viewer !== 'owner') return html`<span>${words.roles[row.role]}</span>`;
    if (row.lock) {
      const reason = row.lock === 'own' ? words.ownRole : words.lastOwner;
      return html`<span class="locked">${words.roles[row.role]} ${icons.lock}</span><span class="reason soft">${reason}</span>`;
    }
    return html`<select
      aria-label=${words.roleOf(row.email)}
      @change=${(event: Event) => this.#editRole(row, (event.target as HTMLSelectElement).value as Role)}
    >
      ${grantable(viewer).map((role) => html`<option value=${role} .selected=${live(role === row.role)}>${words.roles[role]}</option>`)}
    </select>`;
  }

  #standing(row: InvitationRow): TemplateResult {
    const words = this.words!;
    const { expires_at, delivery, delivery_detail } = row.invitation;
    const left = hoursLeft(expires_at, this.api.now());
    const until = html`<time datetime=${expires_at} title=${this.formats.moment(expires_at)}
      >${row.expired ? this.formats.day(expires_at) : words.expiresIn(left)}</time
    >`;
    const why = { bounced: words.bouncedWhy, complained: words.complainedWhy, failed: words.failedWhy }[delivery as string] ?? '';
    return html`${row.expired
      ? html`<span class="badge muted">${icons.clock}${words.expired} ${until}</span>`
      : html`<span class="badge ${left > SOON_HOURS ? 'open' : 'warn'}">${icons.clock}${until}</span>`}
    ${delivery && row.bounced
      ? html`<span class="badge bad">${icons.alert}${words.delivery[delivery]}</span>
          <span class="reason soft">${delivery_detail ?? why}</span>`
      : delivery && !row.expired
        ? html`<span class="reason soft">${words.delivery[delivery]}</span>`
        : nothing}`;
  }

  #memberActions(row: MemberRow): unknown {
    const words = this.words!;
    const { email } = row;
    const organization = this.held!.name;
    if (row.own) {
      const stuck = row.lock === 'last_owner';
      const ask = (): void => {
        if (stuck) {
          this.#troubles.set(row.key, words.leaveLast);
          this.requestUpdate();
          return this.announce(words.leaveLast);
        }
        void this.#ask({
          title: words.leaveAsk(organization),
          effect: words.leaveEffect,
          keep: words.stay,
          go: words.leaveDo,
          act: () => this.#leave(row),
        });
      };
      return html`<button
        class="quiet danger"
        data-do="leave"
        aria-label=${words.leaveOf(organization)}
        aria-disabled=${stuck}
        @click=${ask}
      >
        ${words.leave}
      </button>`;
    }
    if (this.held!.role !== 'owner') return nothing;
    const ask = (): void =>
      void this.#ask({
        title: words.removeAsk(email, organization),
        effect: words.removeEffect,
        keep: words.keep,
        go: words.removeDo,
        act: () => this.#remove(row),
      });
    return html`<button class="quiet danger" data-do="remove" aria-label=${words.removeOf(email)} @click=${ask}>${words.remove}</button>`;
  }

  #invitationActions(row: InvitationRow): unknown {
    const words = this.words!;
    const { email, key } = row;
    if (!grantable(this.held!.role).includes(row.role)) return nothing;
    const wait = Math.ceil(((this.#cooling.get(key) ?? 0) - this.api.now()) / 1000);
    const ask = (): void =>
      void this.#ask({
        title: words.revokeAsk(email),
        effect: words.revokeEffect,
        keep: words.keep,
        go: words.revokeDo,
        act: () => this.#revoke(row),
      });
    return html`<button
        class="quiet"
        data-do="resend"
        aria-label=${wait > 0 ? nothing : words.resendTo(email)}
        aria-disabled=${wait > 0 || this.#busy.has(key)}
        @click=${() => wait > 0 || this.#resend(row)}
      >
        ${wait > 0 ? words.resendIn(wait) : words.resend}
      </button>
      ${row.expired
        ? nothing
        : html`<button class="quiet danger" data-do="revoke" aria-label=${words.revokeOf(email)} @click=${ask}>${words.revoke}</button>`}`;
  }

  #questionDialog(): TemplateResult {
    const { question } = this;
    const answer = (go: boolean) => () => {
      // Closed first: it gives the focus back to whoever asked, which may be about to go.
      this.#dialog('.question')?.close();
      if (go) question?.act();
    };
    return html`<dialog class="question" role="alertdialog" aria-labelledby="asked" aria-describedby="effect">
      ${question
        ? html`<div class="body">
              <h2 id="asked">${question.title}</h2>
              <p id="effect" class="soft">${question.effect}</p>
            </div>
            <div class="foot">
              <button autofocus @click=${answer(false)}>${question.keep}</button>
              <button class="danger" @click=${answer(true)}>${question.go}</button>
            </div>`
        : nothing}
    </dialog>`;
  }

  #createDialog(): TemplateResult {
    const words = this.words!;
    const { creating } = this;
    return html`<dialog class="create" aria-labelledby="naming" @close=${() => (this.creating = undefined)}>
      ${creating
        ? html`<form @submit=${this.#create} novalidate>
            <div class="body">
              <h2 id="naming">${words.createTitle}</h2>
              <div class="field">
                <label for="name">${words.name}</label>
                <input
                  id="name"
                  name="name"
                  maxlength="60"
                  autocomplete="organization"
                  autofocus
                  aria-invalid=${Boolean(creating.reason)}
                  aria-describedby="hint reason"
                />
                <p id="hint" class="soft">${words.nameHint}</p>
                <p id="reason" class="bad-text" role="alert">${creating.reason ? html`${icons.alert} ${creating.reason}` : nothing}</p>
              </div>
            </div>
            <div class="foot">
              <button type="button" @click=${() => this.#dialog('.create')?.close()}>${words.cancel}</button>
              <button class="primary" aria-disabled=${creating.busy}>
                ${creating.busy ? html`<span class="spin" aria-hidden="true"></span>` : nothing}${words.create}
              </button>
            </div>
          </form>`
        : nothing}
    </dialog>`;
  }
}

/** A colour that an address keeps. */
function hue(email: string): string {
  let sum = 0;
  for (const character of email) sum = (sum * 31 + character.charCodeAt(0)) % 360;
  return String(sum);
}
