/** `<roster-accept>`: an invitation, and the answer to it. Nothing is answered but by a click. */
import { html, nothing, unsafeCSS, type PropertyValues, type TemplateResult } from 'lit';
import { viewerOf, type Preview } from '../api';
import { Base } from '../element';
import type { RosterAcceptElement } from '../elements';
import { hoursLeft, type Catalogue } from '../i18n';
import * as icons from '../icons';
import acceptEn, { type AcceptMessages, type Subject } from '../messages/en/accept';
import own from './roster-accept.css';
import { masked, sameAddress, stateAfter, stateOf, stateWithout, type State } from './state';

/** Around what somebody has named: Unicode's isolates, which are in no name, since names have no text-direction characters. */
const [OPEN, CLOSE] = ['\u2068', '\u2069'];

/** How often the hours that are left are looked at, in milliseconds; the expiry itself is not waited past. */
const LOOK_MS_MAX = 30_000;

/** The sign beside the headline, and what kind of news it is. */
const SIGNS: Record<State, [sign: TemplateResult, kind: 'plain' | 'good' | 'warn' | 'bad']> = {
  loading: [icons.mail, 'plain'],
  no_token: [icons.alert, 'warn'],
  invalid_token: [icons.alert, 'bad'],
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
  refused: [icons.check, 'plain'],
  unreachable: [icons.alert, 'bad'],
  problem: [icons.alert, 'bad'],
};

export class RosterAccept extends Base<AcceptMessages> implements RosterAcceptElement {
  static override styles = [super.styles, unsafeCSS(own)];
  static override properties = {
    ...super.properties,
    token: { attribute: false },
    state: { state: true },
    busy: { state: true },
    failure: { state: true },
    hours: { state: true },
  };

  declare token: string;
  declare private state: State;
  /** What is being done right now. */
  declare private busy: 'accept' | 'decline' | undefined;
  /** Why the last answer did not get through, or the preview. */
  declare private failure: unknown;
  declare private hours: number;

  protected override readonly catalogue: Catalogue<AcceptMessages> = {
    en: acceptEn,
    de: () => import('../messages/de/accept'),
  };
  #preview: Preview | undefined;
  #viewer: { email: string } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Of the last load: an answer to an earlier one is about another token, or another viewer. */
  #load = 0;
  /** Whether the headline is to have the focus once it is there. */
  #move = false;

  constructor() {
    super();
    this.token = '';
    this.state = 'loading';
    this.hours = 0;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener('visibilitychange', this.#look);
    this.#look();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener('visibilitychange', this.#look);
    clearTimeout(this.#timer);
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has('token') || changed.has('apiBase')) void this.#open();
    else if (changed.has('getToken') && this.#waits) void this.#meet();
  }

  protected override updated(changed: PropertyValues): void {
    if ((changed.has('state') || changed.has('words')) && this.words && this.state !== 'loading') {
      this.announce(this.words.screens[this.state].title(this.#subject));
    }
    const headline = this.renderRoot.querySelector('h1');
    if (!this.#move || !headline) return;
    this.#move = false;
    headline.focus();
  }

  /** Looks the invitation up. */
  async #open(): Promise<void> {
    const load = ++this.#load;
    this.#preview = this.failure = this.busy = undefined;
    if (!this.token) return this.#show('no_token');
    this.#show('loading');
    try {
      const preview = await this.api.preview(this.token);
      if (load !== this.#load) return;
      this.#preview = preview;
      await this.#meet();
    } catch (error) {
      if (load !== this.#load) return;
      this.failure = error;
      this.#show(stateWithout(error));
    }
  }

  /** Sees who is signed in, and what the invitation means to them. */
  async #meet(): Promise<void> {
    const load = this.#load;
    const ask = async (): Promise<string | null> => (await this.getToken?.({ refresh: false })) ?? null;
    // Without an answer nobody is signed in: the button to sign in says the rest.
    const viewer = viewerOf(await ask().catch(() => null));
    if (load !== this.#load || !this.#preview) return;
    this.#viewer = viewer;
    this.#show(stateOf(this.#preview, viewer, this.api.now()));
    this.#look();
  }

  /** Sees whether time has gone by. */
  #look = (): void => {
    clearTimeout(this.#timer);
    const preview = this.#preview;
    if (!this.isConnected || !preview || !this.#waits) return;
    const left = Date.parse(preview.expires_at) - this.api.now();
    this.hours = hoursLeft(preview.expires_at, this.api.now());
    // While an answer is on its way, the API says whether it was in time.
    if (left <= 0 && !this.busy) return this.#show('expired');
    this.#timer = setTimeout(this.#look, Math.min(Math.max(left, 250), LOOK_MS_MAX));
  };

  /** Whether the invitation may still be answered, by somebody. */
  get #waits(): boolean {
    return ['open', 'sign_in', 'other_account', 'email_not_verified', 'sender_lost_authority'].includes(this.state);
  }

  #show(state: State): void {
    if (this.state === state) return;
    // What has the focus here is about to go.
    this.#move ||= this.shadowRoot?.activeElement != null;
    this.state = state;
  }

  async #answer(answer: 'accept' | 'decline'): Promise<void> {
    const preview = this.#preview;
    if (this.busy || !preview) return;
    const load = this.#load;
    this.busy = answer;
    this.failure = undefined;
    const { id, name } = preview.organization;
    const organization = { id, name };
    try {
      if (answer === 'accept') {
        const member = await this.api.accept(this.token);
        if (load === this.#load) this.#end('joined');
        this.tell('roster-accepted', { organization, member });
      } else {
        await this.api.decline(this.token);
        if (load === this.#load) this.#end('refused');
        this.tell('roster-declined', { organization });
      }
    } catch (error) {
      if (load !== this.#load) return;
      const after = stateAfter(error);
      if (after === 'sign_in') this.#viewer = undefined;
      if (after) return this.#end(after);
      this.busy = undefined;
      this.failure = error;
      this.#dialog?.close();
      this.announce(this.problemText(error));
      this.#look();
    }
  }

  /** The answer is known: it is what the person was waiting for. */
  #end(state: State): void {
    this.busy = undefined;
    this.#dialog?.close();
    this.#move = true;
    this.#show(state);
    this.#look();
  }

  get #dialog(): HTMLDialogElement | null {
    return this.renderRoot.querySelector('dialog');
  }

  #signIn(change: boolean): void {
    this.tell('roster-sign-in', { email: this.#preview?.email, change });
  }

  get #subject(): Subject {
    const preview = this.#preview;
    const { email = '' } = this.#viewer ?? {};
    const foreign = this.state === 'other_account' || (email && preview && !sameAddress(email, preview.email));
    return {
      organization: preview?.organization.name ?? '',
      sender: preview?.sender_email ?? '',
      invited: preview ? (foreign ? masked(preview.email) : preview.email) : '',
      viewer: email,
    };
  }

  /** A text about the subject, whose names stand out, and whose directions are their own. */
  #about(text: ((subject: Subject) => string) | undefined): unknown[] {
    const apart = Object.entries(this.#subject).map(([key, value]) => [key, value && OPEN + value + CLOSE]);
    const pieces = text?.(Object.fromEntries(apart)).split(/[\u2068\u2069]/) ?? [];
    return pieces.map((piece, at) => (at % 2 ? html`<bdi>${piece}</bdi>` : piece));
  }

  protected override render(): TemplateResult {
    return html`${this.liveRegion()}${this.words ? this.#card(this.words) : nothing}`;
  }

  #card(words: AcceptMessages): TemplateResult {
    const { state, failure } = this;
    const [sign, kind] = SIGNS[state];
    const { title, text } = words.screens[state];
    const about = state === 'problem' ? this.problemText(failure) : this.#about(text);
    const lost = failure !== undefined && this.#waits;
    return html`
      <article class="card" aria-busy=${state === 'loading'}>
        <div class="sign ${kind}">${state === 'loading' ? html`<span class="spin"></span>` : sign}</div>
        <h1 tabindex="-1">${this.#about(title)}</h1>
        <p class="text">${about}</p>
        ${this.#facts()}
        ${lost
          ? html`<div class="notice bad">${icons.alert}<span>${this.problemText(failure)}</span></div>`
          : nothing}
        ${this.#steps()}
      </article>
      ${state === 'open' ? this.#question() : nothing}
    `;
  }

  /** What one is invited to. */
  #facts(): TemplateResult | typeof nothing {
    const { words, state } = this;
    const preview = this.#preview;
    if (!words || !preview || !(state === 'open' || state === 'sign_in')) return nothing;
    const { role, expires_at } = preview;
    return html`<dl>
      <div>
        <dt>${words.role}</dt>
        <dd>${words.roles[role]} <span class="soft">${words.roleMeans[role]}</span></dd>
      </div>
      <div>
        <dt>${words.invited}</dt>
        <dd>${this.#subject.invited}</dd>
      </div>
      <div>
        <dt>${words.valid}</dt>
        <dd>
          <time datetime=${expires_at}>${words.until(this.formats.moment(expires_at))}</time>
          <span class="soft">${words.hoursLeft(this.hours)}</span>
        </dd>
      </div>
    </dl>`;
  }

  /** What one can do next. */
  #steps(): TemplateResult | typeof nothing {
    const { words, state, busy } = this;
    if (!words) return nothing;
    const { organization, viewer } = this.#subject;
    const step = (label: string, run: () => void, kind = 'primary', doing = false): TemplateResult =>
      html`<button class="${kind} ${doing ? 'doing' : ''}" aria-disabled=${busy ? 'true' : 'false'} @click=${() => busy || run()}>
        ${doing ? html`<span class="spin"></span>` : nothing}${label}
      </button>`;
    const steps = (...buttons: TemplateResult[]): TemplateResult => html`<div class="steps">${buttons}</div>`;
    const another = (kind: string): TemplateResult => step(words.useAnother, () => this.#signIn(true), kind);
    switch (state) {
      case 'open':
        return html`${steps(
          step(words.accept, () => void this.#answer('accept'), 'primary', busy === 'accept'),
          step(words.decline, () => this.#dialog?.showModal(), ''),
        )}
        ${viewer
          ? html`<p class="who soft"><span>${words.signedInAs(viewer)}</span>${another('quiet')}</p>`
          : nothing}`;
      case 'sign_in':
        return steps(step(words.signInToAccept, () => this.#signIn(false)));
      case 'other_account':
        return steps(another('primary'));
      case 'email_not_verified':
        return steps(step(words.signInAgain, () => this.#signIn(false)));
      case 'joined':
      case 'already_member':
        return organization ? steps(step(words.open(organization), () => this.#enter())) : nothing;
      case 'accepted':
        // Whoever is somebody else for certain has nothing to open.
        return organization && (!viewer || sameAddress(viewer, this.#preview?.email ?? ''))
          ? steps(step(words.open(organization), () => this.#enter(), ''))
          : nothing;
      case 'unreachable':
      case 'problem':
        return steps(step(words.tryAgain, () => this.#again()));
      default:
        return nothing;
    }
  }

  #again(): void {
    void this.#open();
    this.#move = true;
  }

  #enter(): void {
    if (!this.#preview) return;
    const { id, name } = this.#preview.organization;
    this.tell('roster-open', { organization: { id, name } });
  }

  /** Asks back: declining cannot be undone. */
  #question(): TemplateResult {
    const { words, busy } = this;
    const busyNow = busy ? 'true' : 'false';
    return html`<dialog role="alertdialog" aria-labelledby="ask" aria-describedby="effect" @cancel=${this.#stay}>
      <div class="body">
        <h2 id="ask">${words?.declineTitle(this.#subject.organization)}</h2>
        <p id="effect">${words?.declineText}</p>
      </div>
      <div class="foot">
        <button autofocus aria-disabled=${busyNow} @click=${() => busy || this.#dialog?.close()}>${words?.keep}</button>
        <button class="danger ${busy ? 'doing' : ''}" aria-disabled=${busyNow} @click=${() => void this.#answer('decline')}>
          ${busy === 'decline' ? html`<span class="spin"></span>` : nothing}${words?.decline}
        </button>
      </div>
    </dialog>`;
  }

  /** While the answer is on its way it is not to be taken back. */
  #stay(event: Event): void {
    if (this.busy) event.preventDefault();
  }
}
