/** The dialog that invites people: many addresses, one role. */
import { html, nothing, unsafeCSS, type CSSResultGroup, type PropertyValues, type TemplateResult } from 'lit';
import { CallError } from '../api';
import { Base } from '../element';
import type { Invitation, InviteResult, Member, Role } from '../elements';
import type { Catalogue, Language } from '../i18n';
import { alert, check, cross, info } from '../icons';
import en, { type InviteMessages } from '../messages/en/invite';
import { keyOf, parseAddresses, verdict, type Entry, type Known } from './addresses';
import { Batches, refusedOf, type Batch } from './batches';
import own from './invite.css';

/** An organization has no more seats, unless it is configured otherwise. */
const ADDRESSES_MAX = 1_000;
/** Ready addresses that are shown before somebody asks for all of them. */
const SHOWN_MAX = 60;
/** Characters beyond which whatever was pasted is no address, and is not shown. */
const CHARACTERS_MAX = 300;
/** A wait for which the dialog may well stay open. */
const WAIT_SECONDS_MAX = 600;

/** An address that was entered. */
interface Chip extends Entry {
  key: string;
  /** The API has refused it, for good or until then. */
  refused?: { why: string; until: number };
}

interface Notice {
  kind: 'good' | 'bad' | 'warn';
  text: string;
  /** What ends here can go on after signing in again. */
  signIn?: boolean;
}

const catalogue: Catalogue<InviteMessages> = { en, de: () => import('../messages/de/invite') };
const none: ReadonlySet<string> = new Set();

/**
 * `<roster-invite-dialog>`, within `<roster-users>`. It tells `roster-invited` after every call that invited somebody, and
 * `close` when it is closed. What was entered and not sent is there when it is opened again.
 */
export class RosterInviteDialog extends Base<InviteMessages> {
  static override styles: CSSResultGroup = [super.styles, unsafeCSS(own)];
  static override properties = {
    ...super.properties,
    organization: {},
    organizationName: { attribute: false },
    roles: { attribute: false },
    seatsFree: { attribute: false },
    members: { attribute: false },
    invitations: { attribute: false },
    chips: { state: true },
    typed: { state: true },
    offer: { state: true },
    mailLanguage: { state: true },
    all: { state: true },
    at: { state: true },
    note: { state: true },
    notice: { state: true },
    progress: { state: true },
    stopping: { state: true },
  };

  /** The organization's id. */
  declare organization: string;
  declare organizationName: string;
  /** What the viewer may grant, first what is chosen at first. */
  declare roles: Role[];
  declare seatsFree: number;
  /** Who need not be invited. */
  declare members: Member[];
  /** Of any status. */
  declare invitations: Invitation[];
  /** How many were invited since it was opened. */
  invited = 0;

  declare private chips: Chip[];
  /** What stands in the field. */
  declare private typed: string;
  /** The role. */
  declare private offer: Role;
  declare private mailLanguage: Language | '';
  /** Whether all ready addresses are shown. */
  declare private all: boolean;
  /** Among the items that are shown, the one that Tab leads to. */
  declare private at: number;
  /** What was left out of what was entered last. */
  declare private note: string;
  declare private notice: Notice | undefined;
  declare private progress: { done: number; upTo: number; total: number } | undefined;
  declare private stopping: boolean;

  protected readonly catalogue = catalogue;
  readonly #number = (value: number): string => this.formats.number(value);
  #wanted = false;
  #known: Known = { members: none, invited: none, entered: none };
  /** Invitations that have expired, and may hold their seats still: then they need no other. */
  #expired = none;
  #free = 0;
  #ready: Chip[] = [];
  #refused: [chip: Chip, why: string][] = [];
  readonly #batches = new Batches();
  /** A button is being pressed, which must not move away under the pointer. */
  #pressing = false;
  /** The pointer went down beside the dialog. */
  #beside = false;

  constructor() {
    super();
    this.organization = '';
    this.organizationName = '';
    this.roles = ['member'];
    this.seatsFree = 0;
    this.members = [];
    this.invitations = [];
    this.offer = 'member';
    this.mailLanguage = '';
    this.stopping = false;
    this.#forget();
  }

  /** Opens it, with what was not sent before. */
  open(): void {
    // Closed by force, it may be sending still.
    if (!this.progress) {
      this.invited = 0;
      this.notice = undefined;
      this.note = '';
    }
    this.#wanted = true;
    this.#show();
    this.requestUpdate();
  }

  #forget(): void {
    this.chips = [];
    this.typed = '';
    this.all = false;
    this.at = 0;
    this.note = '';
    this.notice = undefined;
    const field = this.#field;
    if (field) field.value = '';
  }

  get #dialog(): HTMLDialogElement | null {
    return this.renderRoot?.querySelector('dialog') ?? null;
  }

  get #field(): HTMLTextAreaElement | null {
    return this.renderRoot?.querySelector('textarea') ?? null;
  }

  get #primary(): HTMLElement | null {
    return this.renderRoot.querySelector('.primary');
  }

  #show(): void {
    const dialog = this.#dialog;
    if (!this.#wanted || !dialog) return;
    this.#wanted = false;
    if (!dialog.open) dialog.showModal();
    this.#field?.focus();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('organization') && changed.get('organization')) this.#forget();
    if (changed.has('seatsFree')) this.#free = this.seatsFree;
    if (!this.roles.includes(this.offer)) this.offer = this.roles[0] ?? 'member';
    if (changed.has('members') || changed.has('invitations')) this.#learn();
    this.#judge();
  }

  protected override updated(changed: Map<PropertyKey, unknown>): void {
    this.#show();
    const before = changed.get('chips') as Chip[] | undefined;
    const list = this.renderRoot.querySelector('ul');
    if (list && before && before.length < this.chips.length) list.scrollTop = list.scrollHeight;
  }

  #learn(): void {
    const now = this.api.now();
    const emails = (those: (invitation: Invitation) => boolean): string[] =>
      this.invitations.filter(those).map(({ email }) => email);
    const isOver = ({ status, expires_at }: Invitation): boolean =>
      status === 'expired' || (status === 'pending' && Date.parse(expires_at) <= now);
    const members = [...this.members.map(({ email }) => email), ...emails(({ status }) => status === 'accepted')];
    const invited = emails((invitation) => invitation.status === 'pending' && !isOver(invitation));
    this.#known = { members: new Set(members), invited: new Set(invited), entered: none };
    this.#expired = new Set(emails(isOver));
  }

  /** Tells those that can be invited from the others. */
  #judge(): void {
    const { words } = this;
    this.#ready = [];
    this.#refused = [];
    const now = Date.now();
    for (const chip of this.chips) {
      const known = verdict(chip.address, this.#known);
      if (chip.refused && chip.refused.until > now) this.#refused.push([chip, chip.refused.why]);
      else if (known === 'ready' || known === 'duplicate') this.#ready.push(chip);
      else this.#refused.push([chip, words?.verdicts[known] ?? '']);
    }
  }

  /** Ready addresses that stand in the field still. */
  #readyInField(): Chip[] {
    const known = { ...this.#known, entered: new Set(this.chips.map(({ key }) => key)) };
    return chipsOf(this.typed).filter(({ address }) => verdict(address, known) === 'ready');
  }

  #missingSeats(chips: Chip[]): number {
    return chips.filter(({ key }) => !this.#expired.has(key)).length - this.#free;
  }

  // What is entered.

  /** Makes chips of `text`. */
  #enter(text: string): void {
    const { words } = this;
    const found = chipsOf(text);
    const field = this.#field;
    if (field) field.value = '';
    this.typed = '';
    if (!words || !found.length) return;
    const entered = new Set(this.chips.map(({ key }) => key));
    const chips = [...this.chips];
    let repeated = 0;
    let left = 0;
    for (const chip of found) {
      if (entered.has(chip.key)) repeated++;
      else if (chips.length === ADDRESSES_MAX) left++;
      else {
        entered.add(chip.key);
        chips.push(chip);
      }
    }
    const notes = [
      left && words.tooMany(this.#number(ADDRESSES_MAX), this.#number(left)),
      repeated && words.repeated(repeated, this.#number(repeated)),
    ];
    this.note = notes.filter(Boolean).join('. ');
    this.notice = undefined;
    this.chips = chips;
    this.at = Infinity;
    this.#judge();
    this.announce([this.#summary(), this.note].filter(Boolean).join('. '));
  }

  #onInput(field: HTMLTextAreaElement): void {
    const { value } = field;
    if (/[\r\n]/.test(value) || isComplete(value)) this.#enter(value);
    else this.typed = value;
  }

  #onPaste(event: ClipboardEvent): void {
    const text = event.clipboardData?.getData('text/plain') ?? '';
    // A part of one address stays in the field.
    if (!/[@\r\n,;\t]/.test(text)) return;
    event.preventDefault();
    const { value, selectionStart, selectionEnd } = event.currentTarget as HTMLTextAreaElement;
    this.#enter(value.slice(0, selectionStart) + text + value.slice(selectionEnd));
  }

  #onFieldKey(event: KeyboardEvent): void {
    if (event.isComposing) return;
    if (event.key === 'Enter') {
      event.preventDefault();
      if (event.ctrlKey || event.metaKey) void this.#submit();
      else this.#enter(this.typed);
    } else if (!this.typed && this.chips.length && ['Backspace', 'ArrowUp', this.#keys().back].includes(event.key)) {
      event.preventDefault();
      void this.#focusItem(Infinity);
    }
  }

  #onBlur(): void {
    // What is closed keeps what was begun.
    if (!this.#pressing && this.#dialog?.open) this.#enter(this.typed);
  }

  #press(): void {
    this.#pressing = true;
    const release = (): void => {
      this.#pressing = false;
    };
    addEventListener('pointerup', release, { once: true });
    addEventListener('pointercancel', release, { once: true });
  }

  #keys(): { back: string; on: string } {
    const isRtl = getComputedStyle(this).direction === 'rtl';
    return isRtl ? { back: 'ArrowRight', on: 'ArrowLeft' } : { back: 'ArrowLeft', on: 'ArrowRight' };
  }

  #onListKey(event: KeyboardEvent): void {
    const items = [...this.renderRoot.querySelectorAll('li')];
    const at = items.indexOf((event.target as Element).closest('li') as HTMLLIElement);
    const { back, on } = this.#keys();
    const { key } = event;
    if (key === 'Delete' || key === 'Backspace') items[at]?.querySelector<HTMLElement>('.take')?.click();
    else if (key === back || key === 'ArrowUp') void this.#focusItem(Math.max(0, at - 1));
    else if ((key === on || key === 'ArrowDown') && at + 1 < items.length) void this.#focusItem(at + 1);
    else if (key === on || key === 'ArrowDown') this.#field?.focus();
    else if (key === 'Home') void this.#focusItem(0);
    else if (key === 'End') void this.#focusItem(Infinity);
    else return;
    event.preventDefault();
  }

  /** To the item at this place or, beyond the last one, to that; to the field if there is none. */
  async #focusItem(place: number): Promise<void> {
    await this.updateComplete;
    const items = this.renderRoot.querySelectorAll('li');
    this.at = Math.min(place, items.length - 1);
    (items[this.at]?.querySelector('button') ?? this.#field)?.focus();
  }

  #remove(chip: Chip, place: number): void {
    this.#drop([chip.key]);
    this.#judge();
    this.announce([this.words?.removed(chip.address), this.#summary()].join(' '));
    void this.#focusItem(place);
  }

  #removeAll(): void {
    this.#forget();
    this.#field?.focus();
    this.announce(this.words?.nothingReady ?? '');
  }

  #edit(chip: Chip): void {
    this.#enter(this.typed);
    this.#drop([chip.key]);
    const field = this.#field;
    if (!field) return;
    field.value = this.typed = chip.address;
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }

  #drop(keys: Iterable<string>): void {
    const gone = new Set(keys);
    this.chips = this.chips.filter(({ key }) => !gone.has(key));
    this.note = '';
    this.notice = undefined;
  }

  // What is sent.

  async #submit(): Promise<void> {
    const { words } = this;
    if (this.progress || !words) return;
    this.#enter(this.typed);
    this.#judge();
    if (!this.#ready.length) {
      if (this.invited) return this.#done();
      this.#field?.focus();
      return this.announce(words.nothingReady);
    }
    const missing = this.#missingSeats(this.#ready);
    if (missing > 0) return this.announce(words.tooFewSeats(missing, this.#number(missing)));
    // The rest becomes inert.
    this.#primary?.focus();
    const error = await this.#sendAll();
    const number = this.#number;
    const left = this.#ready.length;
    const refused = this.#refused.length;
    const invited = this.invited ? words.invited(this.invited, number(this.invited)) : words.nobody;
    if (error) {
      const signIn = error instanceof CallError && error.code === 'signed_out';
      const text = [this.invited && invited, this.problemText(error), this.#again(error)].filter(Boolean).join(' ');
      this.notice = { kind: 'bad', text, signIn };
    } else if (left) {
      this.notice = { kind: 'warn', text: words.stopped(this.invited, number(this.invited), number(left)) };
    } else if (refused) {
      this.notice = { kind: this.invited ? 'good' : 'warn', text: `${invited} ${words.refused(refused, number(refused))}` };
    } else {
      return this.#done();
    }
    this.announce(this.notice.text);
    await this.updateComplete;
    // The button that had it may be gone.
    if (!this.shadowRoot?.activeElement) this.#primary?.focus();
  }

  /** Sends until nothing is left, or it is told to stop, or an error which it returns. */
  async #sendAll(): Promise<unknown> {
    const { organization } = this;
    const total = this.#ready.length;
    this.notice = undefined;
    this.note = '';
    this.stopping = false;
    try {
      while (this.#ready.length && !this.stopping && this.organization === organization) {
        const ready = this.#ready.map(({ address }) => address);
        const batch = this.#batches.next(ready, this.offer, this.mailLanguage || undefined);
        const done = total - this.#ready.length;
        this.progress = { done, upTo: done + batch.emails.length, total };
        if (!done) this.announce(this.words?.sending(this.#number(this.progress.upTo), this.#number(total)) ?? '');
        try {
          const { emails, role, language, key } = batch;
          const results = await this.api.invite(organization, emails, role, language, key);
          this.#took(organization, batch, results);
        } catch (error) {
          if (!this.#marks(batch, error)) return error;
        }
        this.#batches.answered();
        this.#judge();
      }
    } catch (error) {
      return error;
    } finally {
      this.progress = undefined;
      this.stopping = false;
    }
    return undefined;
  }

  #took(organization: string, { emails }: Batch, results: InviteResult[]): void {
    const outcomes = new Map(results.map((result) => [result.email, result]));
    const invited = results.filter(({ outcome }) => outcome === 'invited');
    const sent = new Set(emails);
    this.chips = this.chips.flatMap((chip) => {
      if (!sent.has(chip.address)) return chip;
      const place = results.length === emails.length ? emails.indexOf(chip.address) : -1;
      const result = outcomes.get(chip.key) ?? results[place];
      // Without a result of its own it is the same address as another one.
      if (!result || result.outcome === 'invited') return [];
      const why = this.language === 'en' ? result.detail : this.words?.verdicts[result.outcome];
      return { ...chip, refused: { why: why ?? '', until: Infinity } };
    });
    if (!invited.length) return;
    this.invited += invited.length;
    this.#free -= invited.filter(({ email }) => !this.#expired.has(email)).length;
    this.tell('roster-invited', { organization, results: invited });
  }

  /** Marks the addresses because of which nothing was done; false if it was not because of some of them. */
  #marks(batch: Batch, error: unknown): boolean {
    if (!(error instanceof CallError)) return false;
    const { code, problem, retryAfter } = error;
    if (problem.seats) this.#free = problem.seats.free;
    const refused = refusedOf(batch, error);
    const wait = (code === 'resend_too_soon' && retryAfter) || Infinity;
    const until = Date.now() + wait * 1_000;
    const ours = [this.words?.problems[code], this.#again(error)].filter(Boolean).join(' ');
    this.chips = this.chips.map((chip) => {
      const detail = refused.get(chip.address);
      return detail === undefined ? chip : { ...chip, refused: { why: this.language === 'en' ? detail : ours, until } };
    });
    // Then they are ready.
    if (wait <= WAIT_SECONDS_MAX) setTimeout(() => this.requestUpdate(), wait * 1_000);
    return refused.size > 0;
  }

  /** When it can be tried again, where the API's own text does not say it. */
  #again(error: unknown): string {
    const { words } = this;
    if (this.language === 'en' || !words || !(error instanceof CallError) || !error.retryAfter) return '';
    return words.again(this.formats.after(error.retryAfter));
  }

  #done(): void {
    this.#forget();
    this.#dialog?.close();
  }

  #cancel(): void {
    if (this.progress) this.stopping = true;
    else this.#dialog?.close();
  }

  #onCancel(event: Event): void {
    if (!this.progress) return;
    event.preventDefault();
    this.#cancel();
  }

  #onClose(): void {
    // A browser closes it at the second Escape, whatever is said.
    if (this.progress) this.stopping = true;
    this.dispatchEvent(new Event('close'));
  }

  // What is shown.

  #summary(): string {
    const number = this.#number;
    const refused = this.#refused.length;
    return this.words?.summary(number(this.#ready.length), refused, number(refused)) ?? '';
  }

  protected override render(): TemplateResult {
    const { words } = this;
    if (!words) return this.liveRegion();
    const sending = this.progress !== undefined;
    return html`<dialog
      aria-labelledby="title"
      @close=${this.#onClose}
      @cancel=${this.#onCancel}
      @pointerdown=${(event: PointerEvent) => (this.#beside = isBeside(event))}
      @click=${(event: MouseEvent) => this.#beside && isBeside(event) && !this.progress && this.#cancel()}
    >
      ${this.liveRegion()}
      <div class="body" ?inert=${sending}>
        <div class="form">
          <header>
            <h2 id="title">${words.title(this.organizationName)}</h2>
            <button type="button" class="quiet close" aria-label=${words.close} @click=${this.#cancel}>${cross}</button>
            <p class="soft">${words.intro}</p>
          </header>
          ${this.#renderAddresses(words)} ${this.#renderRoles(words)}
          <div class="language">
            <label for="language">${words.language}</label>
            <select
              id="language"
              @change=${(event: Event) => (this.mailLanguage = (event.target as HTMLSelectElement).value as Language | '')}
            >
              <option value="">${words.asUsual}</option>
              <option value="en" lang="en">English</option>
              <option value="de" lang="de">Deutsch</option>
            </select>
          </div>
        </div>
      </div>
      ${this.#renderFoot(words)}
    </dialog>`;
  }

  #renderAddresses(words: InviteMessages): TemplateResult {
    const number = this.#number;
    const { chips } = this;
    const hidden = this.all ? 0 : Math.max(0, this.#ready.length - SHOWN_MAX);
    const extra = hidden ? 1 : 0;
    const ready = this.#ready.slice(hidden);
    const count = extra + ready.length + this.#refused.length;
    const at = Math.min(this.at, count - 1);
    const item = (chip: Chip, place: number, said: string): TemplateResult => {
      const why = said.replace(/\.$/, '');
      const tab = place === at ? 0 : -1;
      const { address, name } = chip;
      const shown = address.length > CHARACTERS_MAX ? `${address.slice(0, CHARACTERS_MAX)}…` : address;
      const sign = shown.lastIndexOf('@');
      return html`<li class=${why ? 'refused' : ''}>
        ${why ? alert : check}
        <button
          type="button"
          class="address"
          tabindex=${tab}
          aria-label=${[shown, name, why || words.ready, words.edit].filter(Boolean).join(', ')}
          @click=${() => this.#edit(chip)}
        >
          <bdi>${shown.slice(0, sign)}<wbr />${shown.slice(sign)}</bdi>
          ${name ? html`<small>${name}</small>` : nothing}
          ${why ? html`<span class="why">${why}</span>` : nothing}
        </button>
        <button
          type="button"
          class="take"
          tabindex=${tab}
          aria-label=${words.remove(shown)}
          @click=${() => this.#remove(chip, place)}
        >
          ${cross}
        </button>
      </li>`;
    };
    return html`<div>
      <label class="label" for="field">${words.addresses}</label>
      <div class="box">
        ${chips.length
          ? html`<ul role="list" aria-label=${words.list} @keydown=${this.#onListKey}>
              ${hidden
                ? html`<li>
                    <button type="button" class="more" tabindex=${at ? -1 : 0} @click=${this.#showAll}>
                      ${words.more(number(hidden))}
                    </button>
                  </li>`
                : nothing}
              ${ready.map((chip, index) => item(chip, extra + index, ''))}
              ${this.#refused.map(([chip, why], index) => item(chip, extra + ready.length + index, why))}
            </ul>`
          : nothing}
        <textarea
          id="field"
          class=${chips.length ? '' : 'tall'}
          rows="1"
          autofocus
          autocapitalize="none"
          autocomplete="off"
          spellcheck="false"
          inputmode="email"
          aria-describedby="summary hint"
          placeholder=${chips.length ? words.another : words.placeholder}
          @input=${(event: Event) => this.#onInput(event.target as HTMLTextAreaElement)}
          @paste=${this.#onPaste}
          @keydown=${this.#onFieldKey}
          @blur=${this.#onBlur}
        ></textarea>
      </div>
      <p id="hint" class="unseen">${words.hint}</p>
      <div class="under">
        <p id="summary">${[chips.length && this.#summary(), this.note].filter(Boolean).join('. ')}</p>
        <div class="end">
          ${chips.length > 1
            ? html`<button type="button" class="quiet" @click=${this.#removeAll}>${words.removeAll}</button>`
            : nothing}
          <p class=${this.#free < 1 ? 'warn' : ''}>${words.seats(this.#free, number(this.#free))}</p>
        </div>
      </div>
    </div>`;
  }

  #showAll(): void {
    this.all = true;
    void this.#focusItem(0);
  }

  #renderRoles(words: InviteMessages & { roles: Record<Role, string> }): TemplateResult {
    return html`<fieldset>
      <legend>${words.role}</legend>
      <div class="roles">
        ${this.roles.map(
          (role) =>
            html`<label class="role">
              <input
                type="radio"
                name="role"
                value=${role}
                .checked=${role === this.offer}
                @change=${() => (this.offer = role)}
              />
              ${words.roles[role]} <small>${words.roleHelp[role]}</small>
            </label>`,
        )}
      </div>
    </fieldset>`;
  }

  #renderFoot(words: InviteMessages & { cancel: string; tryAgain: string; signInAgain: string }): TemplateResult {
    const { notice, progress } = this;
    const number = this.#number;
    const ready = [...this.#ready, ...this.#readyInField()];
    const missing = this.#missingSeats(ready);
    const tooFew = ready.length > 0 && missing > 0;
    const isDone = !ready.length && !this.typed && this.invited > 0;
    const isOff = progress || tooFew || (!ready.length && !this.typed && !isDone);
    const label = progress
      ? words.sending(number(progress.upTo), number(progress.total))
      : isDone
        ? words.done
        : notice?.kind === 'bad' && !tooFew
          ? words.tryAgain
          : ready.length
            ? words.inviteCount(ready.length, number(ready.length))
            : words.invite;
    return html`<div class="foot" @pointerdown=${this.#press}>
      ${progress
        ? html`<progress class="state" aria-label=${label} max=${progress.total} .value=${progress.done}></progress>`
        : tooFew
          ? html`<div id="why" class="state notice warn">
              ${alert}
              <p>${words.tooFewSeats(missing, number(missing))}</p>
            </div>`
          : notice
            ? html`<div class="state notice ${notice.kind}">
                ${notice.kind === 'good' ? check : notice.kind === 'bad' ? alert : info}
                <p>${notice.text}</p>
              </div>`
            : nothing}
      ${isDone
        ? nothing
        : html`<button type="button" aria-disabled=${this.stopping} @click=${this.#cancel}>
            ${this.stopping ? words.stopping : words.cancel}
          </button>`}
      ${notice?.signIn
        ? html`<button type="button" @click=${() => this.tell('roster-sign-in', { email: undefined, change: false })}>
            ${words.signInAgain}
          </button>`
        : nothing}
      <button
        type="button"
        class="primary"
        aria-disabled=${isOff ? 'true' : 'false'}
        aria-describedby=${tooFew ? 'why' : nothing}
        @click=${this.#submit}
      >
        ${progress ? html`<span class="spin"></span>` : nothing}${label}
      </button>
    </div>`;
  }
}

function chipsOf(text: string): Chip[] {
  return parseAddresses(text).map((entry) => ({ ...entry, key: keyOf(entry.address) }));
}

/** A dialog's backdrop is the dialog; so is its scroll bar. */
function isBeside({ target, currentTarget, clientX, clientY }: MouseEvent): boolean {
  const { left, right, top, bottom } = (currentTarget as Element).getBoundingClientRect();
  return target === currentTarget && (clientX < left || clientX > right || clientY < top || clientY > bottom);
}

/** Whether what is typed ends with its last address. */
function isComplete(text: string): boolean {
  if (!/[\s,;،؛、，；]$/.test(text) || !text.includes('@') || text.split('"').length % 2 === 0) return false;
  if (text.lastIndexOf('<') > text.lastIndexOf('>')) return false;
  const nobody = { members: none, invited: none, entered: none };
  return /\S$/.test(text) || parseAddresses(text).every(({ address }) => verdict(address, nobody) === 'ready');
}

declare global {
  interface HTMLElementTagNameMap {
    'roster-invite-dialog': RosterInviteDialog;
  }
}

customElements.define('roster-invite-dialog', RosterInviteDialog);
