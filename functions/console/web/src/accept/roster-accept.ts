/**
 * `<roster-accept>`: shows an invitation, which the user accepts or declines by a click. Loading the page changes
 * nothing.
 *
 * There are two tokens. The link token (`this.token`) comes from the link in the mail and names the invitation. The
 * sign-in token (from `getToken`) names the viewer.
 */
import { html, nothing, unsafeCSS, type PropertyValues, type TemplateResult } from 'lit';
import { property, state } from 'lit/decorators.js';
import { sameAddress } from '../address';
import { viewerOf, type Preview, type Viewer } from '../api';
import { Base } from '../element';
import type { RosterAcceptElement } from '../elements';
import { hoursLeft, type Catalogue } from '../i18n';
import * as icons from '../icons';
import type { CommonMessages } from '../messages/en/common';
import acceptEn, { type AcceptMessages, type Screen, type Subject } from '../messages/en/accept';
import { SetupCheck } from '../setup-check';
import style from './roster-accept.css?inline';
import { CLOSED_SCREENS, mask, screenAfterError, screenOf, screenWithoutPreview, type ScreenName } from './screen';

/**
 * Unicode's direction isolates, which mark names in a text. Names cannot contain them: the API rejects direction
 * characters.
 */
const [OPEN, CLOSE] = ['\u2068', '\u2069'];

/**
 * The longest interval between updates of the remaining time, in milliseconds. The last update is at the expiry itself.
 */
const UPDATE_MS_MAX = 30_000;

/**
 * The shortest interval between updates, in milliseconds. If the invitation expires during a call, the updates go on at
 * this interval until the call has ended.
 */
const UPDATE_MS_MIN = 250;

/** The screens on which the invitation can still be accepted or declined, at once or after another sign-in. */
const SCREENS_AWAITING_ANSWER: readonly ScreenName[] = ['open', 'sign_in', 'other_account', 'email_not_verified', 'sender_lost_authority'];

/** The icon above the headline, and its colour. */
const ICONS: Record<ScreenName, [icon: TemplateResult, colour: 'plain' | 'good' | 'warn' | 'bad']> = {
  loading: [icons.mail, 'plain'],
  no_token: [icons.alert, 'warn'],
  invalid_token: [icons.error, 'bad'],
  open: [icons.mail, 'plain'],
  sign_in: [icons.mail, 'plain'],
  other_account: [icons.people, 'warn'],
  expired: [icons.clock, 'warn'],
  revoked: [icons.cross, 'bad'],
  superseded: [icons.mail, 'warn'],
  accepted: [icons.check, 'plain'],
  declined: [icons.cross, 'plain'],
  removed: [icons.cross, 'warn'],
  sender_lost_authority: [icons.lock, 'warn'],
  email_not_verified: [icons.lock, 'warn'],
  already_member: [icons.check, 'good'],
  joined: [icons.check, 'good'],
  just_declined: [icons.check, 'plain'],
  not_set_up: [icons.error, 'bad'],
  unreachable: [icons.error, 'bad'],
  problem: [icons.error, 'bad'],
};

/** Shown while the messages load. */
const WAITING = html`<article class="card" aria-busy="true">
  <div class="icon-box"><span class="spin"></span></div>
</article>`;

export class RosterAccept extends Base<AcceptMessages> implements RosterAcceptElement {
  static override styles = [super.styles, unsafeCSS(style)];

  /** The link token. */
  @property({ attribute: false }) token = '';
  @state() private screen: ScreenName = 'loading';
  @property({ type: Boolean }) busy = false;
  /** The call that is in progress. */
  @state() private call: 'accept' | 'decline' | undefined;
  /** The error of the last call, if it failed. */
  @state() private failure: unknown;
  @state() private hoursRemaining = 0;

  protected override readonly catalogue: Catalogue<AcceptMessages> = {
    en: acceptEn,
    de: () => import('../messages/de/accept'),
  };
  readonly #setup = new SetupCheck(
    this,
    () => (this.getToken ? undefined : 'getToken'),
    () => this.announce(this.messages?.notSetUp ?? ''),
  );
  #preview: Preview | undefined;
  #viewer: Viewer | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The number of the last load. Responses to earlier loads are ignored: they may be about another link token. */
  #loadNumber = 0;
  /** The label of the button that was pressed last. */
  #pressed = '';
  /** Whether to focus the headline after the next update. */
  #focusHeadline = false;

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener('visibilitychange', this.#updateTimeLeft);
    this.#updateTimeLeft();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener('visibilitychange', this.#updateTimeLeft);
    clearTimeout(this.#timer);
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has('token') || changed.has('apiBase')) void this.#loadPreview();
    else if (changed.has('getToken') && this.#isAwaitingAnswer) void this.#loadViewer();
  }

  protected override updated(changed: PropertyValues): void {
    if ((changed.has('screen') || changed.has('messages')) && this.messages && this.screen !== 'loading') {
      this.announce(screenTexts(this.messages, this.#shownScreen).title(this.#subject));
    }
    const headline = this.renderRoot.querySelector('h1');
    if (!this.#focusHeadline || !headline) return;
    this.#focusHeadline = false;
    headline.focus();
  }

  /** Loads the invitation. */
  async #loadPreview(): Promise<void> {
    const load = ++this.#loadNumber;
    this.#preview = this.failure = this.call = undefined;
    if (!this.token) return this.#showScreen('no_token');
    this.#showScreen('loading');
    try {
      const preview = await this.api.preview(this.token);
      if (load !== this.#loadNumber) return;
      this.#preview = preview;
      await this.#loadViewer();
    } catch (error) {
      if (load !== this.#loadNumber) return;
      this.failure = error;
      this.#showScreen(screenWithoutPreview(error));
    }
  }

  /** Reads the viewer from the sign-in token, then chooses the screen. */
  async #loadViewer(): Promise<void> {
    const load = this.#loadNumber;
    const getToken = async (): Promise<string | null> => (await this.getToken?.({ refresh: false })) ?? null;
    // If `getToken` fails, treat the viewer as not signed in. The page then shows the button to sign in.
    const viewer = viewerOf(await getToken().catch(() => null));
    if (load !== this.#loadNumber || !this.#preview) return;
    this.#viewer = viewer;
    this.#showScreen(screenOf(this.#preview, viewer, this.api.now()));
    this.#updateTimeLeft();
  }

  /** Updates the remaining time, and schedules the next update. */
  #updateTimeLeft = (): void => {
    clearTimeout(this.#timer);
    const preview = this.#preview;
    if (!this.isConnected || !preview || !this.#isAwaitingAnswer) return;
    const left = Date.parse(preview.expires_at) - this.api.now();
    this.hoursRemaining = hoursLeft(preview.expires_at, this.api.now());
    // During a call, keep the screen: only the response shows whether the API received the call before the expiry.
    if (left <= 0 && !this.call) return this.#showScreen('expired');
    this.#timer = setTimeout(this.#updateTimeLeft, Math.min(Math.max(left, UPDATE_MS_MIN), UPDATE_MS_MAX));
  };

  /** Whether the invitation can still be accepted or declined. */
  get #isAwaitingAnswer(): boolean {
    return SCREENS_AWAITING_ANSWER.includes(this.screen);
  }

  get #shownScreen(): ScreenName {
    return this.#setup.isIncomplete ? 'not_set_up' : this.screen;
  }

  #showScreen(screen: ScreenName): void {
    if (this.screen === screen) return;
    // The next screen does not contain the focused control, so the focus moves to the headline.
    this.#focusHeadline ||= this.shadowRoot?.activeElement != null;
    this.screen = screen;
    if (CLOSED_SCREENS.includes(screen))
      this.emit('roster-invitation-closed', { organization: this.#preview && organizationOf(this.#preview) });
  }

  /** Accepts or declines the invitation, then shows the screen of the result. */
  async #answer(answer: 'accept' | 'decline'): Promise<void> {
    const preview = this.#preview;
    if (this.call || !preview) return;
    const load = this.#loadNumber;
    this.call = answer;
    this.failure = undefined;
    try {
      if (answer === 'accept') {
        const { organization, ...member } = await this.api.accept(this.token);
        // Someone who is a member with another address stays that member, and the invitation is closed.
        const isInvited = sameAddress(member.email, preview.email);
        if (load === this.#loadNumber) this.#finish(isInvited ? 'joined' : 'already_member');
        this.emit('roster-accepted', { organization, member });
      } else {
        await this.api.decline(this.token);
        if (load === this.#loadNumber) this.#finish('just_declined');
        this.emit('roster-declined', { organization: organizationOf(preview) });
      }
    } catch (error) {
      if (load !== this.#loadNumber) return;
      const next = screenAfterError(error);
      if (next === 'sign_in') this.#viewer = undefined;
      if (next) return this.#finish(next);
      this.call = undefined;
      this.failure = error;
      this.#dialog?.close();
      this.announce(this.problemText(error));
      this.#updateTimeLeft();
    }
  }

  /** Ends the call: closes the dialog, shows the screen of the result and moves the focus to its headline. */
  #finish(screen: ScreenName): void {
    this.call = undefined;
    this.#dialog?.close();
    this.#focusHeadline = true;
    this.#showScreen(screen);
    this.#updateTimeLeft();
  }

  get #dialog(): HTMLDialogElement | null {
    return this.renderRoot.querySelector('dialog');
  }

  #requestSignIn(change: boolean): void {
    this.emit('roster-sign-in', { email: this.#preview?.email, change });
  }

  get #subject(): Subject {
    const preview = this.#preview;
    const { email = '' } = this.#viewer ?? {};
    const isOtherAddress = this.screen === 'other_account' || (email && preview && !sameAddress(email, preview.email));
    const invited = this.readable(preview?.email ?? '');
    return {
      organization: preview?.organization.name ?? '',
      sender: this.readable(preview?.sender_email ?? ''),
      invited: isOtherAddress ? mask(invited) : invited,
      viewer: this.readable(email),
    };
  }

  /** Renders a text with its names in `<bdi>`: the style emphasizes them, and each keeps its own text direction. */
  #renderText(text: ((subject: Subject) => string) | undefined): unknown[] {
    // Unknown names stay empty, because the texts check for that.
    const isolated = Object.entries(this.#subject).map(([key, value]) => [key, value && OPEN + value + CLOSE]);
    // The text alternates with names: pieces with an odd index are names.
    const pieces = text?.(Object.fromEntries(isolated)).split(/[\u2068\u2069]/) ?? [];
    return pieces.map((piece, index) => (index % 2 ? html`<bdi>${piece}</bdi>` : piece));
  }

  protected override render(): TemplateResult {
    return html`${this.liveRegion()}${this.messages ? this.#renderCard(this.messages) : WAITING}`;
  }

  #renderCard(messages: AcceptMessages & CommonMessages): TemplateResult {
    const { failure } = this;
    const screen = this.#shownScreen;
    const [icon, colour] = ICONS[screen];
    const { title, text } = screenTexts(messages, screen);
    const body = screen === 'problem' ? this.problemText(failure) : this.#renderText(text);
    const showFailure = failure !== undefined && this.#isAwaitingAnswer;
    return html`
      <article class="card" aria-busy=${screen === 'loading'}>
        <div class="icon-box ${colour}">${screen === 'loading' ? html`<span class="spin"></span>` : icon}</div>
        <h1 tabindex="-1">${this.#renderText(title)}</h1>
        <p class="text">${body}</p>
        ${this.#renderDetails()}
        ${showFailure ? html`<div class="notice bad">${icons.error}<span>${this.problemText(failure)}</span></div>` : nothing}
        ${this.#renderActions()}
      </article>
      ${screen === 'open' ? this.#renderDeclineDialog() : nothing}
    `;
  }

  /** Renders the details of the invitation: role, address, expiry. */
  #renderDetails(): TemplateResult | typeof nothing {
    const { messages } = this;
    const screen = this.#shownScreen;
    const preview = this.#preview;
    if (!messages || !preview || !(screen === 'open' || screen === 'sign_in')) return nothing;
    const { role, expires_at } = preview;
    return html`<dl>
      <div>
        <dt>${messages.role}</dt>
        <dd>${messages.roles[role]} <span class="soft">${messages.roleHelp[role]}</span></dd>
      </div>
      <div>
        <dt>${messages.invited}</dt>
        <dd>${this.#subject.invited}</dd>
      </div>
      <div>
        <dt>${messages.valid}</dt>
        <dd>
          <time datetime=${expires_at}>${messages.until(this.formats.moment(expires_at))}</time>
          <span class="soft">${messages.hoursLeft(this.hoursRemaining)}</span>
        </dd>
      </div>
    </dl>`;
  }

  /** Renders the buttons. */
  #renderActions(): TemplateResult | typeof nothing {
    const { messages, call } = this;
    if (!messages) return nothing;
    const { organization, viewer } = this.#subject;
    const isWaiting = Boolean(call) || this.busy;
    // While the page is busy, the button that was pressed shows it.
    const button = (label: string, run: () => void, kind = 'primary', isBusy = this.busy && this.#pressed === label): TemplateResult =>
      html`<button
        class="${kind} ${isBusy ? 'in-progress' : ''}"
        aria-disabled=${isWaiting ? 'true' : 'false'}
        @click=${() => {
          if (isWaiting) return;
          this.#pressed = label;
          run();
        }}
      >
        ${isBusy ? html`<span class="spin"></span>` : nothing}${label}
      </button>`;
    const actions = (...buttons: TemplateResult[]): TemplateResult => html`<div class="actions">${buttons}</div>`;
    const changeAccount = (kind: string): TemplateResult => button(messages.useAnother, () => this.#requestSignIn(true), kind);
    switch (this.#shownScreen) {
      case 'open':
        return html`${actions(
          button(messages.accept, () => void this.#answer('accept'), 'primary', call === 'accept'),
          button(messages.decline, () => this.#dialog?.showModal(), ''),
        )}
        ${viewer ? html`<p class="who soft"><span>${messages.signedInAs(viewer)}</span>${changeAccount('quiet')}</p>` : nothing}`;
      case 'sign_in':
        return actions(button(messages.signInToAccept, () => this.#requestSignIn(false)));
      case 'other_account':
        return actions(changeAccount('primary'));
      case 'email_not_verified':
        return actions(button(messages.signInAgain, () => this.#requestSignIn(false)));
      case 'joined':
      case 'already_member':
        return organization ? actions(button(messages.open(organization), () => this.#openOrganization())) : nothing;
      case 'accepted':
        // A viewer with a different address cannot open the organization.
        return organization && (!this.#viewer?.email || sameAddress(this.#viewer.email, this.#preview?.email ?? ''))
          ? actions(button(messages.open(organization), () => this.#openOrganization(), ''))
          : nothing;
      case 'unreachable':
      case 'problem':
        return actions(button(messages.tryAgain, () => this.#retry()));
      default:
        return nothing;
    }
  }

  #retry(): void {
    void this.#loadPreview();
    this.#focusHeadline = true;
  }

  #openOrganization(): void {
    if (this.#preview) this.emit('roster-open', { organization: organizationOf(this.#preview) });
  }

  /** Renders the confirmation dialog: declining cannot be undone. */
  #renderDeclineDialog(): TemplateResult {
    const { messages, call } = this;
    const isDisabled = call ? 'true' : 'false';
    return html`<dialog role="alertdialog" aria-labelledby="question" aria-describedby="effect" @cancel=${this.#onCancel}>
      <div class="body">
        <h2 id="question">${messages?.declineTitle(this.#subject.organization)}</h2>
        <p id="effect">${messages?.declineText}</p>
      </div>
      <div class="foot">
        <button autofocus aria-disabled=${isDisabled} @click=${() => call || this.#dialog?.close()}>${messages?.keep}</button>
        <button class="danger ${call ? 'in-progress' : ''}" aria-disabled=${isDisabled} @click=${() => void this.#answer('decline')}>
          ${call ? html`<span class="spin"></span>` : nothing}${messages?.decline}
        </button>
      </div>
    </dialog>`;
  }

  /** Keeps the dialog open while the call is in progress. */
  #onCancel(event: Event): void {
    if (this.call) event.preventDefault();
  }
}

/** The organization as events contain it. */
function organizationOf({ organization: { id, name } }: Preview): { id: string; name: string } {
  return { id, name };
}

/** Returns the headline and the text of a screen. */
function screenTexts(messages: AcceptMessages & CommonMessages, screen: ScreenName): Screen {
  if (screen !== 'not_set_up') return messages.screens[screen];
  return { title: () => messages.notSetUp, text: () => messages.problems.misconfigured ?? '' };
}
