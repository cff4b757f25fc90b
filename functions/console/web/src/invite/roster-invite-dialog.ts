/** The invite dialog: invites many addresses with one role. */
import { html, nothing, unsafeCSS, type CSSResultGroup, type PropertyValues, type TemplateResult } from 'lit';
import { property, state } from 'lit/decorators.js';
import { live } from 'lit/directives/live.js';
import { CallError, viewerOf } from '../api';
import { Base } from '../element';
import type { Invitation, Member, Role } from '../elements';
import type { Language } from '../i18n';
import { alert, check, cross, info } from '../icons';
import type { CommonMessages } from '../messages/en/common';
import type { InviteMessages } from '../messages/en/invite';
import style from './invite.css?inline';
import { AddressList } from './list';
import { catalogue, type RosterAddressField } from './roster-address-field';
import type { RosterRoleChoice } from './roster-role-choice';
import './roster-role-choice';
import { Sending } from './sending';

interface Notice {
  kind: 'good' | 'bad' | 'warn';
  text: string;
  /** Whether to show a button to sign in again. */
  signIn?: boolean;
}

/**
 * `<roster-invite-dialog>`, which `<roster-users>` contains. It emits `roster-invited` after every call that invited
 * people, and `close` when it is closed. It keeps the entered addresses that were not sent until it is opened again.
 */
export class RosterInviteDialog extends Base<InviteMessages> {
  static override styles: CSSResultGroup = [super.styles, unsafeCSS(style)];

  /** The organization's id. */
  @property() organization = '';
  @property({ attribute: false }) organizationName = '';
  /** The roles that the viewer can grant. */
  @property({ attribute: false }) roles: Role[] = ['member'];
  @property({ attribute: false }) seatsFree = 0;
  /** The members, who cannot be invited again. */
  @property({ attribute: false }) members: Member[] = [];
  /** The organization's invitations, in any status. */
  @property({ attribute: false }) invitations: Invitation[] = [];
  /** The number of people invited since the dialog was opened. */
  invited = 0;

  @state() private mailLanguage: Language | '' = '';
  @state() private notice: Notice | undefined;

  protected readonly catalogue = catalogue;
  readonly #list = new AddressList();
  readonly #sending = new Sending(this, this.#list);
  readonly #number = (value: number): string => this.formats.number(value);
  /** The id of the user who opened the dialog. */
  #viewer: string | undefined;
  /** The token at the time when the API refused it. */
  #refusedToken: Promise<string | null> | undefined;
  /** Whether `open` was called before the dialog was rendered. */
  #mustOpen = false;
  /** Whether the pointer went down outside of the dialog. */
  #isPressedOutside = false;

  constructor() {
    super();
    this.#list.addHost(this);
  }

  /** Opens the dialog with the addresses that were not sent before, and with the default role and language. */
  open(): void {
    // If the browser closed the dialog during sending, the calls may still be in progress.
    if (!this.#sending.progress) {
      this.invited = 0;
      this.notice = undefined;
      this.mailLanguage = '';
      this.#roleChoice?.reset();
      this.#list.forgetSkipped();
      void this.#readToken().then((token) => (this.#viewer = viewerOf(token)?.sub));
    }
    this.#mustOpen = true;
    this.requestUpdate();
  }

  #reset(): void {
    this.#list.clear();
    this.notice = undefined;
  }

  get #dialog(): HTMLDialogElement | null {
    return this.renderRoot.querySelector('dialog');
  }

  get #field(): RosterAddressField | null {
    return this.renderRoot.querySelector('roster-address-field');
  }

  get #roleChoice(): RosterRoleChoice | null {
    return this.renderRoot.querySelector('roster-role-choice');
  }

  get #role(): Role {
    return this.#roleChoice?.value ?? 'member';
  }

  /** The main button: `Invite`, or `Sign in again` after the end of the session. */
  get #primary(): HTMLElement | null {
    return this.renderRoot.querySelector('.primary');
  }

  async #showIfRequested(): Promise<void> {
    const field = this.#field;
    if (!this.#mustOpen || !field) return;
    this.#mustOpen = false;
    // The field takes the focus.
    await field.rendered();
    const dialog = this.#dialog;
    if (!dialog?.isConnected) return;
    if (!dialog.open) dialog.showModal();
    field.focus();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('organization') && changed.get('organization')) this.#reset();
    if (changed.has('seatsFree')) this.#list.freeSeats = this.seatsFree;
    if (changed.get('getToken')) void this.resume();
    if (changed.has('members') || changed.has('invitations')) this.#list.setUsers(this.members, this.invitations, this.api.now());
  }

  protected override updated(): void {
    void this.#showIfRequested();
  }

  // Sending.

  #onSubmitClick({ detail }: MouseEvent): void {
    // The second click of a double click was not meant for `Done`, which takes the place of `Invite`.
    if (detail < 2) void this.#submit();
  }

  async #submit(): Promise<void> {
    const { messages } = this;
    if (this.#sending.progress || !messages) return;
    this.#field?.commit();
    const list = this.#list;
    const number = this.#number;
    if (!list.ready.length) {
      if (this.invited) return this.#finish();
      this.#field?.focus();
      return this.announce(messages.nothingReady);
    }
    const missing = list.missingSeats(list.ready);
    if (missing > 0) return this.announce(messages.tooFewSeats(missing, number(missing)));
    // The typed addresses are in the list now, so the confirmation must include them.
    await this.updateComplete;
    if (this.#sending.progress || this.#roleChoice?.validate() === false) return;
    // Keep the focus: during sending, everything else in the dialog is inert.
    this.#primary?.focus();
    const error = await this.#send();
    const unsent = list.ready.length;
    const refused = list.refused.length;
    const invited = this.invited ? messages.invited(this.invited, number(this.invited)) : messages.noneInvited;
    if (error) {
      const signIn = error instanceof CallError && error.code === 'signed_out';
      if (signIn) this.#refusedToken = this.#readToken();
      const reason = signIn ? messages.signedOut : this.problemText(error);
      const text = [this.invited && invited, reason, this.#retryText(error)].filter(Boolean).join(' ');
      this.notice = { kind: 'bad', text, signIn };
    } else if (unsent) {
      this.notice = { kind: 'warn', text: messages.stopped(this.invited, number(this.invited), number(unsent)) };
    } else if (refused) {
      this.notice = { kind: this.invited ? 'good' : 'warn', text: `${invited} ${messages.refused(refused, number(refused))}` };
    } else {
      return this.#finish();
    }
    this.announce(this.notice.text);
    await this.updateComplete;
    // The focused button may have disappeared.
    if (this.notice?.signIn || !this.shadowRoot?.activeElement) this.#primary?.focus();
  }

  /**
   * Continues the sending that the end of the session has interrupted. Call it when the user may have signed in again.
   * A call without a response is repeated with the same idempotency key.
   */
  async resume(): Promise<void> {
    if (!this.notice?.signIn) return;
    const token = await this.#readToken();
    const isSignedIn = token !== null && token !== (await this.#refusedToken);
    // Meanwhile the user may have closed the dialog or changed the addresses.
    if (!isSignedIn || !this.notice?.signIn) return;
    this.notice = undefined;
    const viewer = viewerOf(token)?.sub;
    const isSameUser = this.#viewer === undefined || viewer === this.#viewer;
    this.#viewer = viewer;
    // Another user must decide for themselves whether to send.
    if (isSameUser && this.#dialog?.open) await this.#submit();
  }

  /** Returns the current token, or null if the user is signed out or the identity provider cannot be reached. */
  async #readToken(): Promise<string | null> {
    try {
      return (await this.getToken?.({ refresh: false })) ?? null;
    } catch {
      return null;
    }
  }

  /** Sends all ready addresses. Returns the error of a failed call, else undefined. */
  #send(): Promise<unknown> {
    const { organization, api } = this;
    this.notice = undefined;
    this.#list.forgetSkipped();
    const sending = this.#sending.send({
      role: this.#role,
      language: this.mailLanguage || undefined,
      invite: ({ emails, role, language, key }) => api.invite(organization, emails, role, language, key),
      onInvited: (results) => {
        this.invited += results.length;
        this.emit('roster-invited', { organization, results });
      },
      isCurrent: () => this.organization === organization,
    });
    const { progress } = this.#sending;
    if (progress) this.announce(this.messages?.sending(this.#number(progress.upTo), this.#number(progress.total)) ?? '');
    return sending;
  }

  /**
   * Returns a text with the time of the next possible attempt. Empty in English: the API's own text contains the time.
   */
  #retryText(error: unknown): string {
    const { messages } = this;
    if (this.language === 'en' || !messages || !(error instanceof CallError) || !error.retryAfter) return '';
    return messages.again(this.formats.after(error.retryAfter));
  }

  /** Clears the dialog and closes it. */
  #finish(): void {
    this.#reset();
    this.#dialog?.close();
  }

  /** Stops sending after the current call, or closes the dialog. */
  #cancel(): void {
    if (this.#sending.progress) this.#sending.stop();
    else this.#dialog?.close();
  }

  #onCancel(event: Event): void {
    if (!this.#sending.progress) return;
    event.preventDefault();
    this.#sending.stop();
  }

  #onClose(): void {
    // Browsers close a dialog at the second Escape, even if the event is cancelled.
    this.#sending.stop();
    this.dispatchEvent(new Event('close'));
  }

  // Rendering.

  protected override render(): TemplateResult {
    const { messages } = this;
    if (!messages) return this.liveRegion();
    const { progress } = this.#sending;
    return html`<dialog
      aria-labelledby="title"
      @close=${this.#onClose}
      @cancel=${this.#onCancel}
      @pointerdown=${(event: PointerEvent) => (this.#isPressedOutside = isOutside(event))}
      @click=${(event: MouseEvent) => this.#isPressedOutside && isOutside(event) && !progress && this.#cancel()}
    >
      ${this.liveRegion()}
      <div class="body" ?inert=${progress !== undefined}>
        <div class="form">
          <header>
            <h2 id="title">${messages.title(this.organizationName)}</h2>
            <button type="button" class="quiet close" aria-label=${messages.close} @click=${this.#cancel}>${cross}</button>
            <p class="soft">${messages.intro}</p>
          </header>
          <roster-address-field
            lang=${this.formats.tag}
            .list=${this.#list}
            @edit=${() => (this.notice = undefined)}
            @submit=${this.#submit}
          ></roster-address-field>
          <roster-role-choice
            lang=${this.formats.tag}
            .organizationName=${this.organizationName}
            .roles=${this.roles}
            .people=${this.#list.readyWithTyped}
            @change=${() => this.requestUpdate()}
          ></roster-role-choice>
          ${this.#renderLanguage(messages)}
        </div>
      </div>
      ${this.#renderFoot(messages)}
    </dialog>`;
  }

  #renderLanguage(messages: InviteMessages): TemplateResult {
    return html`<div class="language">
      <label for="language">${messages.language}</label>
      <select
        id="language"
        .value=${live(this.mailLanguage)}
        @change=${(event: Event) => (this.mailLanguage = (event.target as HTMLSelectElement).value as Language | '')}>
        <option value="">${messages.defaultLanguage}</option>
        <option value="en" lang="en">English</option>
        <option value="de" lang="de">Deutsch</option>
      </select>
    </div>`;
  }

  #renderFoot(messages: InviteMessages & CommonMessages): TemplateResult {
    const { notice } = this;
    const { progress, isStopping } = this.#sending;
    const number = this.#number;
    const ready = this.#list.readyWithTyped;
    const { typed } = this.#list;
    const missing = this.#list.missingSeats(ready);
    const lacksSeats = ready.length > 0 && missing > 0;
    const isDone = !ready.length && !typed && this.invited > 0;
    const isDisabled = progress || lacksSeats || (!ready.length && !typed && !isDone);
    const label = progress
      ? messages.sending(number(progress.upTo), number(progress.total))
      : isDone
        ? messages.done
        : notice?.kind === 'bad' && !lacksSeats
          ? messages.tryAgain
          : ready.length
            ? (this.#role === 'owner' ? messages.inviteOwners : messages.inviteCount)(ready.length, number(ready.length))
            : messages.invite;
    return html`<div class="foot" @pointerdown=${() => this.#field?.hold()}>
      ${
        progress
          ? html`<progress class="state" aria-label=${label} max=${progress.total} .value=${progress.done}></progress>`
          : lacksSeats
            ? html`<div id="seats-notice" class="state notice warn">
              ${alert}
              <p>${messages.tooFewSeats(missing, number(missing))}</p>
            </div>`
            : notice
              ? html`<div class="state notice ${notice.kind}">
                ${notice.kind === 'good' ? check : notice.kind === 'bad' ? alert : info}
                <p>${notice.text}</p>
              </div>`
              : nothing
      }
      ${
        isDone
          ? nothing
          : html`<button type="button" aria-disabled=${isStopping} @click=${this.#cancel}>
            ${isStopping ? messages.stopping : messages.cancel}
          </button>`
      }
      ${
        notice?.signIn
          ? html`<button type="button" class="primary" @click=${() => this.emit('roster-sign-in', { email: undefined, change: false })}>
            ${messages.signInAgain}
          </button>`
          : nothing
      }
      <button
        type="button"
        class=${notice?.signIn ? '' : 'primary'}
        aria-disabled=${isDisabled ? 'true' : 'false'}
        aria-describedby=${lacksSeats ? 'seats-notice' : nothing}
        @click=${this.#onSubmitClick}
      >
        ${progress ? html`<span class="spin"></span>` : nothing}${label}
      </button>
    </div>`;
  }
}

/**
 * Whether a click is on the backdrop. Clicks on the backdrop and on the scroll bar have the same target, so compare
 * positions.
 */
function isOutside({ target, currentTarget, clientX, clientY }: MouseEvent): boolean {
  const { left, right, top, bottom } = (currentTarget as Element).getBoundingClientRect();
  return target === currentTarget && (clientX < left || clientX > right || clientY < top || clientY > bottom);
}

declare global {
  interface HTMLElementTagNameMap {
    'roster-invite-dialog': RosterInviteDialog;
  }
}

customElements.define('roster-invite-dialog', RosterInviteDialog);
