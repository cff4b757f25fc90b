/** `<roster-users>`: an organization's members and invitations, and what may be done about them. */
import { html, nothing, unsafeCSS, type PropertyValues, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import { repeat } from 'lit/directives/repeat.js';
import { CallError, newKey, type OrganizationItem } from '../api';
import { Base, plain } from '../element';
import type { Organization, Role, RosterEventMap, RosterUsersElement } from '../elements';
import { hoursLeft, type Catalogue } from '../i18n';
import * as icons from '../icons';
import type { CommonMessages } from '../messages/en/common';
import en, { type UsersMessages } from '../messages/en/users';
import {
  FILTERS,
  changed,
  counts,
  grantable,
  matching,
  pageOf,
  rowsOf,
  without,
  type Change,
  type Filter,
  type InvitationRow,
  type MemberRow,
  type Row,
  type Users,
} from './rows';
import style from './users.css';

/** The pause before a resend that a deployment has if it sets none; the API says so where it has another one. */
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

/** The state of the dialog that creates or renames an organization. */
interface NameForm {
  /** The organization to rename; undefined to create one. */
  organization: Organization | undefined;
  /** The reason of a refusal, for the person to read. */
  reason: string;
  busy: boolean;
  /** The name of the last attempt to create one, and the idempotency key of that name. */
  name: string;
  key: string;
}

/** What is to be done about a row. */
interface Task {
  /** What shows until the API has answered. */
  change?: Change;
  /** The action whose button gets the focus: of the row after this one, or of this one where it comes back. */
  action?: string;
  /** Calls the API, and says what of the users is another than before; the organization is the one that was shown then. */
  call: (organization: string) => Promise<(users: Users) => Users>;
  /** Once it is done. */
  done?: (organization: string) => void;
}

export class RosterUsers extends Base<UsersMessages> implements RosterUsersElement {
  static override styles = [super.styles, unsafeCSS(style)];
  static override properties = {
    organization: {},
    switch: { type: Boolean },
    phase: { state: true },
    told: { state: true },
    choices: { state: true },
    filter: { state: true },
    search: { state: true },
    page: { state: true },
    question: { state: true },
    nameForm: { state: true },
    notice: { state: true },
    inviting: { state: true },
  };

  declare organization: string;
  declare switch: boolean;
  declare private phase: Phase;
  /** What the API has told; what shows is `#users`. */
  declare private told: Users | undefined;
  /** The viewer's organizations, for switching. */
  declare private choices: readonly OrganizationItem[] | undefined;
  declare private filter: Filter;
  declare private search: string;
  declare private page: number;
  declare private question: Question | undefined;
  declare private nameForm: NameForm | undefined;
  /** What went well, or not, and belongs to no row. */
  declare private notice: { text: string; bad: boolean } | undefined;
  /** Whether the invite dialog has been asked for, and so is there. */
  declare private inviting: boolean;

  protected override readonly catalogue: Catalogue<UsersMessages> = {
    en,
    de: () => import('../messages/de/users'),
  };

  #viewer: string | undefined;
  /** The organization that is shown, or asked for. */
  #asked = '';
  /** Those that the viewer is not in, whatever a list that lags says. */
  readonly #foreign = new Set<string>();
  /** What is on its way to the API, by the key of its row. */
  readonly #changes = new Map<string, Change>();
  /** The last task of each row that has one under way. */
  readonly #busy = new Map<string, Promise<void>>();
  /** What is wrong with a row. */
  readonly #troubles = new Map<string, string>();
  /** When an invitation may be sent again, on the server's clock, where the API has said so. */
  readonly #cooling = new Map<string, number>();
  /** The key of a resend whose answer was lost. */
  readonly #keys = new Map<string, string>();
  /** Counts organizations shown: what was asked of an earlier one is nothing to this one. */
  #showing = 0;
  /** The number of the newest load: answers of older ones come too late. */
  #load = 0;
  /** Whether a load is under way. */
  #asking = false;
  #loadedAt = 0;
  #looks = 0;
  #ticking: ReturnType<typeof setInterval> | undefined;

  constructor() {
    super();
    this.organization = '';
    this.switch = false;
    this.phase = { is: 'loading' };
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

  protected override willUpdate(properties: PropertyValues<this>): void {
    if (!this.getToken) return;
    const other = properties.has('organization') && this.organization !== this.#asked;
    // Another function for the same person is nothing to start over for: frameworks make one at each render.
    const signedIn = properties.has('getToken') && (!this.#load || this.phase.is === 'signed_out');
    if (other || signedIn || properties.has('apiBase') || (properties.has('switch') && !this.told)) this.#start(this.organization);
  }

  protected override update(properties: PropertyValues<this>): void {
    const focused = this.shadowRoot?.activeElement;
    super.update(properties);
    // What had it is gone. Where nothing else asks for it by then, it is not lost, but at the top.
    if (focused && !focused.isConnected) {
      setTimeout(() => this.shadowRoot?.activeElement ?? this.renderRoot.querySelector<HTMLElement>('.head h2')?.focus());
    }
  }

  /** Asks for everything again; what is shown stays until it is there. */
  async refresh(): Promise<void> {
    await this.#fetch();
  }

  /** Once a minute what is left of invitations changes, and once a second while one cools down. */
  #tick(): void {
    if (this.phase.is !== 'ready' || document.hidden || !this.told) return;
    const now = this.api.now();
    const cooling = [...this.#cooling.values()].some((until) => until > now - 1000);
    const { invitations } = this.told;
    const fresh = invitations.some(({ sent_at }) => sent_at && Date.parse(sent_at) + (COOLDOWN_SECONDS + 1) * 1000 > now);
    if (cooling || fresh || new Date().getSeconds() === 0) this.requestUpdate();
    const sending = invitations.some(({ delivery, status }) => delivery === 'queued' && status === 'pending');
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

  /** Shows that organization; with `switch`, the first one of the viewer's if it is empty. */
  #start(organization: string): void {
    this.#showing++;
    this.#asked = this.organization = organization;
    this.phase = { is: 'loading' };
    this.told = this.notice = undefined;
    this.filter = 'everyone';
    this.search = '';
    this.page = this.#looks = 0;
    for (const kept of [this.#changes, this.#busy, this.#troubles, this.#cooling, this.#keys]) kept.clear();
    void this.#fetch();
  }

  #switchTo(organization: string): void {
    this.#start(organization);
    if (organization) this.tell('roster-organization-change', { organization });
  }

  /** The viewer's organizations, without those that they are not in any more. */
  async #organizations(): Promise<OrganizationItem[]> {
    return (await this.api.organizations()).filter(({ id }) => !this.#foreign.has(id));
  }

  async #fetch(): Promise<void> {
    const load = ++this.#load;
    const { api } = this;
    this.#asking = true;
    try {
      this.#viewer = (await api.viewer())?.sub;
      const choices = this.switch ? this.#organizations() : undefined;
      // Waited for below, or not at all.
      choices?.catch(() => {});
      const id = this.#asked || (await choices)?.[0]?.id;
      if (load !== this.#load) return;
      if (!id) {
        // Without `switch` whoever embeds this has yet to say which.
        if (choices) {
          this.choices = [];
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
      const others = await choices;
      if (load !== this.#load) return;
      const first = !this.told;
      this.told = { organization, members, invitations: [...pending, ...expired] };
      this.choices = others;
      this.#asked = this.organization = id;
      this.#loadedAt = Date.now();
      this.phase = { is: 'ready' };
      if (first) this.tell('roster-loaded', { organization });
    } catch (error) {
      if (load === this.#load) await this.#failed(error, load);
    } finally {
      if (load === this.#load) this.#asking = false;
    }
  }

  async #failed(error: unknown, load: number): Promise<void> {
    const code = error instanceof CallError ? error.code : undefined;
    if (code === 'signed_out') this.phase = { is: 'signed_out' };
    else if (code === 'organization_not_found' || (code === 'gateway' && (error as CallError).status === 404)) {
      this.#foreign.add(this.#asked);
      const choices = this.switch ? await this.#organizations().catch(() => undefined) : undefined;
      if (load !== this.#load) return;
      this.choices = choices;
      const [first] = choices ?? [];
      // One that was left since, or somebody else's: whoever is in another one gets to work there.
      if (first) {
        this.#switchTo(first.id);
        this.#notify(this.words?.notFound, true);
      } else this.phase = choices ? { is: 'none' } : { is: 'not_found' };
    } else if (this.phase.is === 'ready') this.#notify(this.problemText(error), true);
    else this.phase = { is: 'failed', reason: this.problemText(error) };
    this.#announcePhase();
  }

  #announcePhase(): void {
    const { words } = this;
    const texts = { none: words?.noOrganization, not_found: words?.notFound, signed_out: words?.signedOutTitle };
    const text = texts[this.phase.is as keyof typeof texts];
    if (text) this.announce(text);
  }

  #notify(text = '', bad = false): void {
    this.notice = { text, bad };
    this.announce(text);
  }

  /** What shows: what the API has told, with what is on its way to it. */
  get #users(): Users | undefined {
    return this.told && changed(this.told, this.#changes);
  }

  get #rows(): Row[] {
    const users = this.#users;
    return users ? rowsOf(users, this.#viewer, this.api.now()) : [];
  }

  // What is done. Roles, removals and revocations show at once, and are undone if the API refuses.

  /** Does it once what is under way for that row is done. */
  #attempt(row: Row, task: Task): void {
    const { key } = row;
    const { change, action } = task;
    const before = this.#busy.get(key);
    const showing = this.#showing;
    const moved = change === 'gone' && action ? this.#neighbour(row, action) : undefined;
    this.#troubles.delete(key);
    this.notice = undefined;
    if (change) this.#changes.set(key, change);
    this.requestUpdate();
    const focused = moved?.();
    const work = async (): Promise<void> => {
      await before;
      if (showing !== this.#showing) return;
      const organization = this.#asked;
      try {
        const apply = await task.call(organization);
        if (showing !== this.#showing) return;
        if (this.told) this.told = apply(this.told);
        this.#settled(key, change);
      } catch (error) {
        if (showing !== this.#showing) return;
        this.#settled(key, change);
        await this.#refused(row, error, change, action, focused);
        return;
      }
      task.done?.(organization);
    };
    const working = work().finally(() => {
      if (this.#busy.get(key) === working) this.#busy.delete(key);
      this.requestUpdate();
    });
    this.#busy.set(key, working);
  }

  #settled(key: string, change: Change | undefined): void {
    // Another one may be waiting, which shows instead.
    if (change && this.#changes.get(key) === change) this.#changes.delete(key);
    // What was asked for before this was done may lack it.
    if (this.#asking) void this.#fetch();
  }

  async #refused(
    row: Row,
    error: unknown,
    change: Change | undefined,
    action: string | undefined,
    focused: Promise<Element | null> | undefined,
  ): Promise<void> {
    const { code, status } = error instanceof CallError ? error : { code: undefined, status: 0 };
    // Somebody else was faster, and what was wanted is so.
    if (code === 'member_not_found' || code === 'invitation_not_found') {
      this.#notify(this.words?.gone(row.email));
      if (this.told) this.told = without(this.told, row.key);
    } else {
      const reason = this.problemText(error);
      this.#troubles.set(row.key, reason);
      this.announce(change ? (this.words?.undone(reason) ?? '') : reason);
    }
    if (code === 'signed_out') this.tell('roster-sign-in', { email: undefined, change: false });
    // What is shown is not what is there.
    if ([403, 404, 409].includes(status)) void this.#fetch();
    // Back to where it came from, unless the person has gone on meanwhile.
    const to = await focused;
    await this.updateComplete;
    if (action && to && to === this.shadowRoot?.activeElement) {
      this.#rowElement(row.key)?.querySelector<HTMLElement>(`[data-do=${action}]`)?.focus();
    }
  }

  #editRole({ member, ...row }: MemberRow, role: Role): void {
    this.#attempt({ member, ...row }, {
      change: { role },
      call: async (organization) => {
        const edited = await this.api.editRole(organization, member.user_id, role);
        this.tell('roster-role-edited', { organization, member: edited });
        return (users) => {
          const { organization, invitations } = changed(users, new Map([[row.key, { role: edited.role }]]));
          const members = users.members.map((other) => (other.user_id === edited.user_id ? edited : other));
          return { organization, members, invitations };
        };
      },
      done: () => this.announce(this.words?.roleEdited(member.email, this.words.roles[role]) ?? ''),
    });
  }

  #remove({ member, ...row }: MemberRow): void {
    this.#attempt({ member, ...row }, {
      change: 'gone',
      action: 'remove',
      call: async (organization) => {
        await this.api.remove(organization, member.user_id);
        this.tell('roster-removed', { organization, member });
        return (users) => without(users, row.key);
      },
      done: () => this.announce(this.words?.removed(member.email) ?? ''),
    });
  }

  #revoke({ invitation, ...row }: InvitationRow): void {
    this.#attempt({ invitation, ...row }, {
      change: 'gone',
      action: 'revoke',
      call: async (organization) => {
        await this.api.revoke(organization, invitation.id);
        this.tell('roster-revoked', { organization, invitation: { ...invitation, status: 'revoked' } });
        return (users) => without(users, row.key);
      },
      done: () => this.announce(this.words?.revoked(invitation.email) ?? ''),
    });
  }

  #resend({ invitation, ...row }: InvitationRow): void {
    const { key } = row;
    this.#attempt({ invitation, ...row }, {
      call: async (organization) => {
        const idempotency = this.#keys.get(key) ?? newKey();
        this.#keys.set(key, idempotency);
        try {
          const sent = await this.api.resend(organization, invitation.id, idempotency);
          this.#cool(key, COOLDOWN_SECONDS);
          this.#keys.delete(key);
          this.#looks = 0;
          this.#loadedAt = Date.now();
          this.announce(this.words?.resent(sent.email, this.formats.moment(sent.expires_at)) ?? '');
          this.tell('roster-resent', { organization, invitation: sent });
          return (users) => ({
            ...users,
            invitations: users.invitations.map((other) => (other.id === sent.id ? sent : other)),
          });
        } catch (error) {
          if (error instanceof CallError && error.code === 'resend_too_soon') this.#cool(key, error.retryAfter ?? COOLDOWN_SECONDS);
          // Refused: the next one is another one. Lost: the same again.
          if (error instanceof CallError && error.status >= 400 && error.status < 500) this.#keys.delete(key);
          throw error;
        }
      },
      // One whose seat had been freed took one again; which that was, only the API knows.
      done: () => void (row.expired && this.#fetch()),
    });
  }

  #cool(key: string, seconds: number): void {
    this.#cooling.set(key, this.api.now() + seconds * 1000);
  }

  #leave(row: MemberRow): void {
    this.#attempt(row, {
      call: async (organization) => {
        await this.api.remove(organization, row.member.user_id);
        this.#foreign.add(organization);
        this.tell('roster-left', { organization });
        return (users) => users;
      },
      done: () => {
        const text = this.words?.left(this.told?.organization.name ?? '');
        this.choices = this.choices?.filter(({ id }) => !this.#foreign.has(id));
        if (this.switch) this.#switchTo(this.choices?.[0]?.id ?? '');
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
      if (organization) return this.#renamed(saved);
      this.tell('roster-created', { organization: saved });
      this.#switchTo(saved.id);
      this.#notify(this.words?.created(saved.name));
      this.#focus('.head h2');
    } catch (error) {
      const { code = '', status = 0, problem = {} } = error instanceof CallError ? error : {};
      const pointed = this.language === 'en' ? problem.errors?.[0]?.detail : undefined;
      // Refused: whatever comes next is asked for anew. Lost: the same again, under the same key.
      const lost = code === 'unreachable' || code === 'unavailable' || code === 'signed_out';
      // What points at a field goes on after the field's name.
      const text = pointed ? plain(pointed) : this.problemText(error);
      const reason = text.charAt(0).toUpperCase() + text.slice(1);
      if (code === 'signed_out') this.tell('roster-sign-in', { email: undefined, change: false });
      // The viewer is not an owner any more: the list is out of date.
      if (organization && (status === 403 || status === 404)) {
        dialog?.close();
        this.nameForm = undefined;
        void this.#fetch();
      }
      // A closed dialog cannot show the reason.
      if (this.nameForm !== sent) return this.#notify(reason, true);
      this.nameForm = { organization, name: lost ? name : '', key, busy: false, reason };
      this.#focus('.name input');
    }
  }

  #renamed(organization: Organization): void {
    const { id, name } = organization;
    const { told } = this;
    // The name alone: removals that are under way change the seats.
    if (told?.organization.id === id) this.told = { ...told, organization: { ...told.organization, name } };
    this.choices = this.choices?.map((choice) => (choice.id === id ? { ...choice, name } : choice));
    this.notice = undefined;
    // A load that began before the change may return the old name.
    if (this.#asking) void this.#fetch();
    this.tell('roster-renamed', { organization });
    this.announce(this.words?.renamed(name) ?? '');
  }

  async #invite(): Promise<void> {
    if (!this.told?.organization.seats.free) return;
    try {
      await import('../invite/roster-invite-dialog');
    } catch {
      // Gone with the deployment that this page is from, or no connection.
      return this.#notify(this.words?.notLoaded, true);
    }
    this.inviting = true;
    await this.updateComplete;
    this.renderRoot.querySelector('roster-invite-dialog')?.open();
  }

  /** Some were invited; the dialog may go on with others. */
  #invited(event: RosterEventMap['roster-invited']): void {
    const { told } = this;
    if (!told || event.detail.organization !== told.organization.id) return;
    const fresh = event.detail.results.flatMap((result) => (result.outcome === 'invited' ? [result.invitation] : []));
    const ids = new Set(fresh.map(({ id }) => id));
    const known = told.invitations.filter(({ id, status }) => ids.has(id) && status === 'pending').length;
    const { seats } = told.organization;
    const taken = fresh.length - known;
    this.told = {
      ...told,
      organization: { ...told.organization, seats: { ...seats, taken: seats.taken + taken, free: seats.free - taken } },
      invitations: [...fresh, ...told.invitations.filter(({ id }) => !ids.has(id))],
    };
  }

  /** Said once the dialog is gone: behind it nobody hears it, and many addresses are several calls. */
  async #inviteClosed(event: Event): Promise<void> {
    const { invited } = event.target as HTMLElementTagNameMap['roster-invite-dialog'];
    if (invited) {
      this.filter = 'everyone';
      this.search = '';
      this.page = this.#looks = 0;
      this.#notify(this.words?.invited(invited, this.formats.number(invited)));
      void this.#fetch();
    }
    await this.updateComplete;
    // The button that opened it may have gone with an empty list.
    if (!this.shadowRoot?.activeElement) this.#focus('.invite');
  }

  // Where the focus goes.

  #focus(selector: string): void {
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(selector)?.focus());
  }

  #rowElement(key: string): HTMLElement | undefined {
    return [...this.renderRoot.querySelectorAll<HTMLElement>('tr[data-key]')].find((tr) => tr.dataset['key'] === key);
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
      (to ?? this.renderRoot.querySelector<HTMLElement>('input[type=search], .head h2'))?.focus();
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

  /** Opens the name dialog: to rename `organization`, or to create one. */
  async #askForName(organization?: Organization): Promise<void> {
    this.nameForm = { organization, reason: '', busy: false, name: '', key: '' };
    await this.updateComplete;
    this.#dialog('.name')?.showModal();
    this.renderRoot.querySelector<HTMLInputElement>('#name')?.select();
  }

  // How it looks.

  protected override render(): unknown {
    const { words } = this;
    return html`${words ? this.#everything(words) : nothing}${this.liveRegion()}`;
  }

  #everything(words: UsersMessages & CommonMessages): TemplateResult {
    const users = this.#users;
    const body = {
      loading: () => this.#loading(words),
      ready: () => this.#list(),
      none: () =>
        this.#empty(icons.people, words.noOrganization, words.noOrganizationText, words.create, () => void this.#askForName()),
      not_found: () => this.#empty(icons.lock, words.notFoundTitle, words.notFound),
      signed_out: () =>
        this.#empty(icons.lock, words.signedOutTitle, words.signedOutText, words.signInAgain, () =>
          this.tell('roster-sign-in', { email: undefined, change: false }),
        ),
      failed: () => this.#failure(),
    }[this.phase.is];
    return html`<section class="card" aria-busy=${this.phase.is === 'loading'}>
        ${this.#head()} ${this.#notice()} ${body()}
      </section>
      ${this.#questionDialog()} ${this.#nameDialog()}
      ${this.inviting && users
        ? html`<roster-invite-dialog
            lang=${this.formats.tag}
            .apiBase=${this.apiBase}
            .getToken=${this.getToken}
            .organization=${users.organization.id}
            .organizationName=${users.organization.name}
            .roles=${grantable(users.organization.role)}
            .seatsFree=${users.organization.seats.free}
            .members=${users.members}
            .invitations=${users.invitations}
            @roster-invited=${this.#invited}
            @close=${this.#inviteClosed}
          ></roster-invite-dialog>`
        : nothing}`;
  }

  #head(): TemplateResult {
    const words = this.words!;
    const held = this.#users?.organization;
    const choices = this.#choices;
    const several = this.switch && (choices.length > 1 || (choices.length && !held && this.phase.is !== 'loading'));
    const full = held?.seats.free === 0;
    return html`<header class="head">
      <div class="title">
        <h2 tabindex="-1">${held && !several ? held.name : words.title}</h2>
        ${several
          ? html`<select
              aria-label=${words.organization}
              @change=${(event: Event) => this.#switchTo((event.target as HTMLSelectElement).value)}
            >
              ${choices.some(({ id }) => id === this.#asked) ? nothing : html`<option value="" selected></option>`}
              ${choices.map(({ id, name }) => html`<option value=${id} .selected=${live(id === this.#asked)}>${name}</option>`)}
            </select>`
          : nothing}
        ${held?.role === 'owner' && this.phase.is === 'ready'
          ? html`<button class="quiet" @click=${() => this.#askForName(held)}>${words.rename}</button>`
          : nothing}
        ${this.switch && this.phase.is !== 'none' && this.phase.is !== 'loading'
          ? html`<button class="quiet" @click=${() => this.#askForName()}>${icons.plus}${words.newOrganization}</button>`
          : nothing}
      </div>
      ${held && this.phase.is === 'ready'
        ? html`${this.#seats(held)}
            <button
              class="primary invite"
              aria-disabled=${full}
              aria-describedby=${full ? 'full' : nothing}
              @pointerenter=${() => void import('../invite/roster-invite-dialog').catch(() => {})}
              @click=${this.#invite}
            >
              ${icons.plus}${words.invite}
            </button>`
        : nothing}
    </header>`;
  }

  /** With the one that is shown, which a list that lags may lack, or have under its old name. */
  get #choices(): readonly { id: string; name: string }[] {
    const { choices = [], told } = this;
    const shown = told?.organization;
    if (!shown) return choices;
    const at = choices.findIndex(({ id }) => id === shown.id);
    return at < 0 ? [...choices, shown] : choices.with(at, shown);
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
    const seats = this.phase.is === 'ready' ? this.#users?.organization.seats : undefined;
    const { notice } = this;
    return html`${seats?.free === 0
      ? html`<p class="notice warn" id="full">${icons.alert}<span>${words.seatsFull(this.formats.number(seats.total))}</span></p>`
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
      <button @click=${() => this.#start(this.#asked)}>${words.tryAgain}</button>
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
    const number = (value: number): string => this.formats.number(value);
    const all = this.#rows;
    const found = matching(all, this.filter, this.search);
    const { page, first, rows, last } = pageOf(found, this.page);
    const count = counts(all);
    if (all.length === 1 && all[0]?.kind === 'member') {
      return html`${this.#table(all)}${this.#empty(icons.people, words.alone, words.aloneText, words.invite, () => void this.#invite())}`;
    }
    const turn = (by: number) => (event: Event) => {
      // At an end the button is still there, so that the focus is.
      if ((event.currentTarget as HTMLElement).ariaDisabled === 'true') return;
      this.page = page + by;
      const turned = pageOf(found, this.page);
      this.announce(range(turned.first, turned.rows.length));
      void this.updateComplete.then(() => this.renderRoot.querySelector('table')?.scrollIntoView({ block: 'nearest' }));
    };
    const range = (first: number, length: number): string =>
      words.shown(number(length && first + 1), number(first + length), number(found.length));
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
            <span class="soft">${range(first, rows.length)}</span>
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
    const viewer = this.told!.organization.role;
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
    const exact = words.until(this.formats.short(expires_at));
    const why = { bounced: words.bouncedWhy, complained: words.complainedWhy, failed: words.failedWhy }[delivery as string] ?? '';
    return html`${row.expired
      ? html`<span class="badge muted">${icons.clock}${words.expired} ${until}</span>`
      : html`<span class="badge ${left > SOON_HOURS ? 'open' : 'warn'}">${icons.clock}${until}</span>`}
    ${delivery && row.bounced
      ? html`<span class="badge bad">${icons.alert}${words.delivery[delivery]}</span>
          <span class="reason soft">${(this.language === 'en' && delivery_detail) || why}</span>`
      : nothing}
    ${row.expired
      ? nothing
      : html`<span class="reason soft">${delivery && !row.bounced ? `${words.delivery[delivery]} · ${exact}` : exact}</span>`}`;
  }

  #memberActions(row: MemberRow): unknown {
    const words = this.words!;
    const { email } = row;
    const organization = this.told!.organization.name;
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
    if (this.told!.organization.role !== 'owner') return nothing;
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
    if (!grantable(this.told!.organization.role).includes(row.role)) return nothing;
    const sent = Date.parse(row.invitation.sent_at ?? '') + COOLDOWN_SECONDS * 1000;
    const wait = Math.ceil(((this.#cooling.get(key) ?? (sent || 0)) - this.api.now()) / 1000);
    const ask = (): void =>
      void this.#ask({
        title: words.revokeAsk(email),
        effect: words.revokeEffect,
        keep: words.keep,
        go: words.revokeDo,
        act: () => this.#revoke(row),
      });
    // The name stays while the time runs, or a screen reader would read it every second.
    return html`<button
        class="quiet"
        data-do="resend"
        aria-label=${words.resendTo(email)}
        aria-disabled=${wait > 0 || this.#busy.has(key)}
        @click=${() => wait > 0 || this.#busy.has(key) || this.#resend(row)}
      >
        ${words.resend}
      </button>
      ${row.expired
        ? nothing
        : html`<button class="quiet danger" data-do="revoke" aria-label=${words.revokeOf(email)} @click=${ask}>${words.revoke}</button>`}
      ${wait > 0 ? html`<span class="wait soft">${words.resendIn(this.formats.wait(wait))}</span>` : nothing}`;
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

  #nameDialog(): TemplateResult {
    const words = this.words!;
    const form = this.nameForm;
    const [title, save] = form?.organization ? [words.renameTitle, words.save] : [words.createTitle, words.create];
    return html`<dialog class="name" aria-labelledby="naming" @close=${() => (this.nameForm = undefined)}>
      ${form
        ? html`<form @submit=${this.#saveName} novalidate>
            <div class="body">
              <h2 id="naming">${title}</h2>
              <div class="field">
                <label for="name">${words.name}</label>
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
                <p id="hint" class="soft">${words.nameHint}</p>
                <p id="reason" class="bad-text" role="alert">${form.reason ? html`${icons.alert} ${form.reason}` : nothing}</p>
              </div>
            </div>
            <div class="foot">
              <button type="button" @click=${() => this.#dialog('.name')?.close()}>${words.cancel}</button>
              <button class="primary" aria-disabled=${form.busy}>
                ${form.busy ? html`<span class="spin" aria-hidden="true"></span>` : nothing}${save}
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
