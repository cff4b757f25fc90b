/** The data of `<roster-users>`: loads it, keeps it current, and changes it. */
import type { ReactiveController, ReactiveControllerHost } from 'lit';
import { CallError, type Api, type OrganizationItem } from '../api';
import type { InviteResult, Organization, RosterEventMap } from '../elements';
import { loadUsers } from './load-users';
import { memoized } from './memoized';
import { RowTasks } from './row-tasks';
import { rowsOf, withChanges, withInvitations, type InvitationRow, type Row, type Users } from './rows';

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
  /** The viewer has left the organization, and cannot switch to another one. */
  | { is: 'left'; organization: string }
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
  /** Called after each load. */
  readonly onLoaded: () => void;
}

export class UsersController implements ReactiveController {
  phase: Phase = { is: 'loading' };
  /** The viewer's organizations, loaded only if they can switch. */
  organizations: readonly OrganizationItem[] | undefined;
  /** The viewer's user id. */
  viewer: string | undefined;
  /** Whether all users have been loaded. While a first load is under way, only some of them are shown. */
  isComplete = false;
  /** The id of the organization that is shown or being loaded. */
  organizationId = '';
  /** The operations on rows. */
  readonly tasks: RowTasks;
  /** The number of operations that wait for a sign-in. */
  waitingCount = 0;

  readonly #host: ReactiveControllerHost;
  readonly #view: UsersView;
  /** The data from the API. The element shows `users`, which includes pending changes. */
  #loaded: Users | undefined;
  /** Organizations that the viewer is not a member of. The API's list may lag behind and still contain them. */
  readonly #inaccessible = new Set<string>();
  /** The server's time in milliseconds from which an invitation may be resent, by row key. */
  readonly #resendAllowedAt = new Map<string, number>();
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

  /** The organization and its users, with the pending changes applied. */
  get users(): Users | undefined {
    return this.#loaded && withChanges(this.#loaded, this.tasks.changes);
  }

  /** The rows depend on the time because invitations expire. The remaining times are updated once a minute, too. */
  readonly #rowsInMinute = memoized((_minute: number, users: Users, viewer: string | undefined) =>
    rowsOf(users, viewer, this.#view.api.now()),
  );

  get rows(): Row[] {
    const { users } = this;
    return users ? this.#rowsInMinute(Math.floor(this.#view.api.now() / 60_000), users, this.viewer) : [];
  }

  /** Updates the remaining times: once a minute, and once a second during a pause before a resend. Checks queued mails. */
  tick(): void {
    if (this.phase.is !== 'ready' || document.hidden || !this.#loaded || !this.isComplete) return;
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
    if (document.hidden || this.phase.is !== 'ready' || this.tasks.isBusy) return;
    if (Date.now() - this.#loadedAt > STALE_MS) void this.load();
    // The user may come back from a sign-in in another window.
    else if (this.waitingCount) void this.#loadIfSignedIn();
  };

  // Loading.

  /** Shows an organization. If the id is empty and the viewer can switch, shows their first one. */
  show(organization: string): void {
    this.#setOrganization(organization);
    this.#loaded = undefined;
    this.isComplete = false;
    this.#deliveryChecks = 0;
    this.tasks.clear();
    this.#resendAllowedAt.clear();
    this.#view.onReset();
    this.#reload();
  }

  /** Starts with `organization`, or continues, with a new `getToken` function. The user may have signed in. */
  onNewToken(organization: string): void {
    if (!this.#loadNumber) this.show(organization);
    else if (this.phase.is === 'signed_out') this.#reload();
    else if (this.waitingCount) void this.#loadIfSignedIn();
  }

  #reload(): void {
    this.#setPhase({ is: 'loading' });
    void this.load();
  }

  /** Loads again, but keeps showing the data if the user is still signed out. */
  async #loadIfSignedIn(): Promise<void> {
    const isSignedIn = await this.#view.api.viewer().catch(() => undefined);
    if (isSignedIn) await this.load();
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
      const viewer = (await api.viewer())?.sub;
      // A different user has signed in, who must not see the data of the last one.
      if (load === this.#loadNumber && this.#loaded && viewer !== this.viewer) return this.show(this.organizationId);
      this.viewer = viewer;
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
      // Show the first users at once, but do not replace a list by a part of it.
      const onPart = (users: Users): void => {
        // Another list may already have failed.
        if (load !== this.#loadNumber || !this.#isLoading) return;
        this.#loaded = users;
        this.#setOrganization(id);
        this.#setPhase({ is: 'ready' });
      };
      const users = await loadUsers(api, id, this.#loaded ? undefined : onPart);
      const viewerOrganizations = await organizations;
      if (load !== this.#loadNumber) return;
      const isFirst = !this.isComplete;
      this.#loaded = users;
      this.isComplete = true;
      this.organizations = viewerOrganizations;
      this.#setOrganization(id);
      this.#loadedAt = Date.now();
      this.#setPhase({ is: 'ready' });
      if (isFirst) this.#view.emit('roster-loaded', { organization: users.organization });
      this.#view.onLoaded();
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
    } else if (this.phase.is !== 'ready' || !this.isComplete) this.#setPhase({ is: 'failed', error });
    this.#view.onLoadFailed(error);
  }

  // Changes.

  /** Applies a change that the API has confirmed. */
  apply(change: (users: Users) => Users): void {
    if (this.#loaded) this.#loaded = change(this.#loaded);
    // A load that is under way may return the data from before the change.
    if (this.#isLoading) void this.load();
    this.#host.requestUpdate();
  }

  /** Sets or removes the error that a row shows. */
  setError(key: string, error: unknown): void {
    if (error === undefined) this.tasks.errors.delete(key);
    else this.tasks.errors.set(key, error);
    this.#host.requestUpdate();
  }

  /** Starts the pause before an invitation can be resent. */
  startCooldown(key: string, seconds = COOLDOWN_SECONDS): void {
    this.#resendAllowedAt.set(key, this.#view.api.now() + seconds * 1000);
  }

  /** Returns the seconds until the invitation can be resent. */
  resendWait({ key, invitation }: InvitationRow): number {
    const defaultTime = Date.parse(invitation.sent_at ?? '') + COOLDOWN_SECONDS * 1000 || 0;
    const allowedAt = this.#resendAllowedAt.get(key) ?? defaultTime;
    return Math.max(0, Math.ceil((allowedAt - this.#view.api.now()) / 1000));
  }

  /** Checks soon whether the queued mails have been sent. */
  startDeliveryChecks(): void {
    this.#deliveryChecks = 0;
    this.#loadedAt = Date.now();
  }

  /** Shows another organization, because the viewer has left this one. */
  onLeft(organization: string): void {
    this.#inaccessible.add(organization);
    this.organizations = this.organizations?.filter(({ id }) => !this.#inaccessible.has(id));
    if (this.#view.canSwitch) this.switchTo(this.organizations?.[0]?.id ?? '');
    else this.#setPhase({ is: 'left', organization: this.#loaded?.organization.name ?? '' });
  }

  /** Takes over the new name of an organization. */
  onRenamed({ id, name }: Organization): void {
    this.organizations = this.organizations?.map((other) => (other.id === id ? { ...other, name } : other));
    // Take over the name only: the numbers of seats in the response do not include later changes.
    this.apply((users) => (users.organization.id === id ? { ...users, organization: { ...users.organization, name } } : users));
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
