/** The data of `<roster-users>`: loads it, keeps it current, and changes it. */
import type { ReactiveController, ReactiveControllerHost } from 'lit';
import { CallError, newKey, type Api, type OrganizationItem } from '../api';
import type { Invitation, InviteResult, Member, Organization, Role, RosterEventMap } from '../elements';
import { RowTasks, type Outcome } from './row-tasks';
import {
  rowsOf,
  withChanges,
  withInvitations,
  withMember,
  withoutRow,
  type Change,
  type InvitationRow,
  type MemberRow,
  type Row,
  type Users,
} from './rows';

/**
 * The default pause before an invitation can be resent. If the deployment has a longer one, the API's refusal says so.
 */
const COOLDOWN_SECONDS = 60;
/** The maximum number of checks whether a queued mail has been sent. */
const DELIVERY_CHECKS_MAX = 5;
/** The delay before the first check, in milliseconds. Each further delay is twice as long. */
const DELIVERY_CHECK_MS = 2_000;
/** The age in milliseconds after which the data is loaded again when the page becomes visible. */
const STALE_MS = 60_000;

export type Phase =
  | { is: 'loading' }
  | { is: 'ready' }
  /** The viewer is in no organization. */
  | { is: 'none' }
  | { is: 'not_found' }
  | { is: 'signed_out' }
  | { is: 'failed'; error: unknown };

/** The part of the element that the controller needs. */
export interface UsersView {
  readonly api: Api;
  /** Whether the viewer can switch to their other organizations. */
  readonly canSwitch: boolean;
  /** Dispatches an event of the element. */
  readonly emit: <Name extends keyof RosterEventMap>(name: Name, detail: RosterEventMap[Name]['detail']) => void;
  /** Called when another organization is shown: search, filter and page start over. */
  readonly onReset: () => void;
  /** Called when the id of the organization that is shown changes. */
  readonly onOrganization: (id: string) => void;
  /** Called after a load has failed, and `phase` has been set. If the phase is `ready`, the old data is still shown. */
  readonly onLoadFailed: (error: unknown) => void;
  /** Called when another organization is shown, because the viewer cannot access the current one. */
  readonly onInaccessible: () => void;
}

export class UsersController implements ReactiveController {
  phase: Phase = { is: 'loading' };
  /** The viewer's organizations, loaded only if they can switch. */
  organizations: readonly OrganizationItem[] | undefined;
  /** The viewer's user id. */
  viewer: string | undefined;
  /** The id of the organization that is shown or being loaded. */
  organizationId = '';
  /** The operations on rows. */
  readonly tasks: RowTasks;

  readonly #host: ReactiveControllerHost;
  readonly #view: UsersView;
  /** The data from the API. The element shows `users`, which includes pending changes. */
  #loaded: Users | undefined;
  /** Organizations that the viewer is not a member of. The API's list may lag behind and still contain them. */
  readonly #inaccessible = new Set<string>();
  /** The server's time in milliseconds from which an invitation may be resent, by row key. */
  readonly #resendAllowedAt = new Map<string, number>();
  /** The idempotency keys of unconfirmed resends, by row key. */
  readonly #resendKeys = new Map<string, string>();
  /** Incremented with each load. Results of earlier loads are ignored. */
  #loadNumber = 0;
  /** Whether a load is under way. */
  #isLoading = false;
  #loadedAt = 0;
  #deliveryChecks = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(host: ReactiveControllerHost, view: UsersView) {
    this.#host = host;
    this.#view = view;
    this.tasks = new RowTasks(() => host.requestUpdate());
    host.addController(this);
  }

  hostConnected(): void {
    this.#timer = setInterval(() => this.tick(), 1000);
    document.addEventListener('visibilitychange', this.#onVisibilityChange);
  }

  hostDisconnected(): void {
    clearInterval(this.#timer);
    document.removeEventListener('visibilitychange', this.#onVisibilityChange);
  }

  /** Whether any load has been started. */
  get hasStarted(): boolean {
    return this.#loadNumber > 0;
  }

  /** The organization and its users, with the pending changes applied. */
  get users(): Users | undefined {
    return this.#loaded && withChanges(this.#loaded, this.tasks.changes);
  }

  get rows(): Row[] {
    const { users } = this;
    return users ? rowsOf(users, this.viewer, this.#view.api.now()) : [];
  }

  /** Updates the remaining times: once a minute, and once a second during a pause before a resend. Checks queued mails. */
  tick(): void {
    if (this.phase.is !== 'ready' || document.hidden || !this.#loaded) return;
    const now = this.#view.api.now();
    const isCoolingDown = [...this.#resendAllowedAt.values()].some((until) => until > now - 1000);
    const { invitations } = this.#loaded;
    const isJustSent = invitations.some(({ sent_at }) => sent_at && Date.parse(sent_at) + (COOLDOWN_SECONDS + 1) * 1000 > now);
    if (isCoolingDown || isJustSent || new Date().getSeconds() === 0) this.#host.requestUpdate();
    const isSending = invitations.some(({ delivery, status }) => delivery === 'queued' && status === 'pending');
    const delay = DELIVERY_CHECK_MS << this.#deliveryChecks;
    const isDue = this.#deliveryChecks < DELIVERY_CHECKS_MAX && Date.now() - this.#loadedAt > delay;
    if (isSending && isDue && !this.tasks.isBusy) {
      this.#deliveryChecks++;
      void this.load();
    }
  }

  readonly #onVisibilityChange = (): void => {
    const isStale = Date.now() - this.#loadedAt > STALE_MS;
    if (!document.hidden && isStale && this.phase.is === 'ready' && !this.tasks.isBusy) void this.load();
  };

  // Loading.

  /** Shows an organization. If the id is empty and the viewer can switch, shows their first one. */
  show(organization: string): void {
    this.#setOrganization(organization);
    this.#loaded = undefined;
    this.#deliveryChecks = 0;
    this.tasks.clear();
    this.#resendAllowedAt.clear();
    this.#resendKeys.clear();
    this.#view.onReset();
    this.#setPhase({ is: 'loading' });
    void this.load();
  }

  /** Shows another organization on behalf of the viewer. */
  switchTo(organization: string): void {
    this.show(organization);
    if (organization) this.#view.emit('roster-organization-change', { organization });
  }

  #setOrganization(id: string): void {
    this.organizationId = id;
    this.#view.onOrganization(id);
  }

  #setPhase(phase: Phase): void {
    this.phase = phase;
    this.#host.requestUpdate();
  }

  /** Loads the viewer's organizations, without those that they have left. */
  async #loadOrganizations(): Promise<OrganizationItem[]> {
    return (await this.#view.api.organizations()).filter(({ id }) => !this.#inaccessible.has(id));
  }

  /** Loads the organization, its users and, if the viewer can switch, their organizations. */
  async load(): Promise<void> {
    const load = ++this.#loadNumber;
    const { api, canSwitch } = this.#view;
    this.#isLoading = true;
    try {
      this.viewer = (await api.viewer())?.sub;
      const organizations = canSwitch ? this.#loadOrganizations() : undefined;
      // Avoid an unhandled rejection: the promise is awaited later, or not at all.
      organizations?.catch(() => {});
      const id = this.organizationId || (await organizations)?.[0]?.id;
      if (load !== this.#loadNumber) return;
      if (!id) {
        // If the viewer cannot switch, the embedding page must still set `organization`.
        if (!organizations) return;
        this.organizations = [];
        return this.#setPhase({ is: 'none' });
      }
      const [organization, members, pending, expired] = await Promise.all([
        api.organization(id),
        api.members(id),
        api.invitations(id, 'pending'),
        api.invitations(id, 'expired'),
      ]);
      const viewerOrganizations = await organizations;
      if (load !== this.#loadNumber) return;
      const isFirst = !this.#loaded;
      this.#loaded = { organization, members, invitations: [...pending, ...expired] };
      this.organizations = viewerOrganizations;
      this.#setOrganization(id);
      this.#loadedAt = Date.now();
      this.#setPhase({ is: 'ready' });
      if (isFirst) this.#view.emit('roster-loaded', { organization });
    } catch (error) {
      if (load === this.#loadNumber) await this.#onLoadFailed(error, load);
    } finally {
      if (load === this.#loadNumber) this.#isLoading = false;
    }
  }

  async #onLoadFailed(error: unknown, load: number): Promise<void> {
    const code = error instanceof CallError ? error.code : undefined;
    if (code === 'signed_out') this.#setPhase({ is: 'signed_out' });
    else if (code === 'organization_not_found' || (code === 'gateway' && (error as CallError).status === 404)) {
      this.#inaccessible.add(this.organizationId);
      const organizations = this.#view.canSwitch ? await this.#loadOrganizations().catch(() => undefined) : undefined;
      if (load !== this.#loadNumber) return;
      this.organizations = organizations;
      const [first] = organizations ?? [];
      // The viewer has left the organization, or never was a member. Show another one of theirs.
      if (first) {
        this.switchTo(first.id);
        return this.#view.onInaccessible();
      }
      this.#setPhase(organizations ? { is: 'none' } : { is: 'not_found' });
    } else if (this.phase.is !== 'ready') this.#setPhase({ is: 'failed', error });
    this.#view.onLoadFailed(error);
  }

  /** Loads again if a load is under way: it may return the data from before a change. */
  #reloadIfLoading(): void {
    if (this.#isLoading) void this.load();
  }

  // Operations. Role changes, removals and revocations are shown at once, and undone if the API refuses them.

  #run<Result>(
    { key }: Row,
    call: (organization: string) => Promise<Result>,
    apply: (users: Users, result: Result) => Users,
    change?: Change,
  ): Promise<Outcome<Result>> {
    return this.tasks.run(key, {
      change,
      call: () => call(this.organizationId),
      onDone: (result) => {
        if (this.#loaded) this.#loaded = apply(this.#loaded, result);
        this.#reloadIfLoading();
      },
      onFailed: (error) => {
        const { code, status } = error instanceof CallError ? error : { code: undefined, status: 0 };
        if (isAlreadyRemoved(error)) {
          if (this.#loaded) this.#loaded = withoutRow(this.#loaded, key);
        } else this.tasks.errors.set(key, error);
        if (code === 'signed_out') this.#view.emit('roster-sign-in', { email: undefined, change: false });
        // The data shown is out of date.
        if ([403, 404, 409].includes(status)) void this.load();
        else this.#reloadIfLoading();
      },
    });
  }

  editRole(row: MemberRow, role: Role): Promise<Outcome<Member>> {
    const call = async (organization: string): Promise<Member> => {
      const member = await this.#view.api.editRole(organization, row.member.user_id, role);
      this.#view.emit('roster-role-edited', { organization, member });
      return member;
    };
    return this.#run(row, call, withMember, { role });
  }

  remove(row: MemberRow): Promise<Outcome<void>> {
    const { member, key } = row;
    const call = async (organization: string): Promise<void> => {
      await this.#view.api.remove(organization, member.user_id);
      this.#view.emit('roster-removed', { organization, member });
    };
    return this.#run(row, call, (users) => withoutRow(users, key), 'removed');
  }

  revoke(row: InvitationRow): Promise<Outcome<void>> {
    const { invitation, key } = row;
    const call = async (organization: string): Promise<void> => {
      await this.#view.api.revoke(organization, invitation.id);
      this.#view.emit('roster-revoked', { organization, invitation: { ...invitation, status: 'revoked' } });
    };
    return this.#run(row, call, (users) => withoutRow(users, key), 'removed');
  }

  async resend(row: InvitationRow): Promise<Outcome<Invitation>> {
    const { key, invitation } = row;
    const call = async (organization: string): Promise<Invitation> => {
      const idempotencyKey = this.#resendKeys.get(key) ?? newKey();
      this.#resendKeys.set(key, idempotencyKey);
      try {
        const sent = await this.#view.api.resend(organization, invitation.id, idempotencyKey);
        this.#setCooldown(key, COOLDOWN_SECONDS);
        this.#resendKeys.delete(key);
        this.#view.emit('roster-resent', { organization, invitation: sent });
        return sent;
      } catch (error) {
        const { code, status, retryAfter } = error instanceof CallError ? error : { code: undefined, status: 0, retryAfter: undefined };
        if (code === 'resend_too_soon') this.#setCooldown(key, retryAfter ?? COOLDOWN_SECONDS);
        // After a refusal, the next attempt is a new operation. After a lost response, it is a retry with the same key.
        if (status >= 400 && status < 500) this.#resendKeys.delete(key);
        throw error;
      }
    };
    const outcome = await this.#run(row, call, (users, sent) => {
      this.#startDeliveryChecks();
      return { ...users, invitations: users.invitations.map((other) => (other.id === sent.id ? sent : other)) };
    });
    // Resending an expired invitation may take a seat again. Reload to get the number of seats.
    if (outcome.is === 'done' && row.expired) void this.load();
    return outcome;
  }

  #setCooldown(key: string, seconds: number): void {
    this.#resendAllowedAt.set(key, this.#view.api.now() + seconds * 1000);
  }

  /** Returns the seconds until the invitation can be resent. */
  resendWait({ key, invitation }: InvitationRow): number {
    const defaultTime = Date.parse(invitation.sent_at ?? '') + COOLDOWN_SECONDS * 1000 || 0;
    const allowedAt = this.#resendAllowedAt.get(key) ?? defaultTime;
    return Math.max(0, Math.ceil((allowedAt - this.#view.api.now()) / 1000));
  }

  #startDeliveryChecks(): void {
    this.#deliveryChecks = 0;
    this.#loadedAt = Date.now();
  }

  /** Removes the viewer from the organization. Afterwards shows another organization of theirs. */
  async leave(row: MemberRow): Promise<Outcome<void>> {
    const call = async (organization: string): Promise<void> => {
      await this.#view.api.remove(organization, row.member.user_id);
      this.#inaccessible.add(organization);
      this.#view.emit('roster-left', { organization });
    };
    const outcome = await this.#run(row, call, (users) => users);
    if (outcome.is !== 'done') return outcome;
    this.organizations = this.organizations?.filter(({ id }) => !this.#inaccessible.has(id));
    if (this.#view.canSwitch) this.switchTo(this.organizations?.[0]?.id ?? '');
    else this.#setPhase({ is: 'not_found' });
    return outcome;
  }

  /** Shows the row's error: the viewer is the last owner, who cannot leave. */
  refuseLeave({ key }: MemberRow): void {
    this.tasks.errors.set(key, new CallError('last_owner', 409, ''));
    this.#host.requestUpdate();
  }

  dismissError(key: string): void {
    this.tasks.errors.delete(key);
    this.#host.requestUpdate();
  }

  /** Takes over the new name of an organization. */
  onRenamed({ id, name }: Organization): void {
    const loaded = this.#loaded;
    // Take over the name only: the numbers of seats in the response do not include later changes.
    if (loaded?.organization.id === id) this.#loaded = { ...loaded, organization: { ...loaded.organization, name } };
    this.organizations = this.organizations?.map((other) => (other.id === id ? { ...other, name } : other));
    this.#reloadIfLoading();
    this.#host.requestUpdate();
  }

  /** Adds new invitations. */
  onInvited(organization: string, results: readonly InviteResult[]): void {
    if (organization !== this.#loaded?.organization.id) return;
    const added = results.flatMap((result) => (result.outcome === 'invited' ? [result.invitation] : []));
    this.#loaded = withInvitations(this.#loaded, added);
    this.#deliveryChecks = 0;
    this.#host.requestUpdate();
  }
}

/** Whether a task failed because another user had already removed the row. */
export function isAlreadyRemoved(error: unknown): boolean {
  return error instanceof CallError && (error.code === 'member_not_found' || error.code === 'invitation_not_found');
}
