/** The invite dialog: invites many addresses with one role. */
import { html, nothing, unsafeCSS, type CSSResultGroup, type PropertyValues, type TemplateResult } from 'lit';
import { property, state } from 'lit/decorators.js';
import { keyOf } from '../address';
import { CallError } from '../api';
import { Base } from '../element';
import type { Invitation, InviteResult, Member, Role } from '../elements';
import type { Catalogue, Language } from '../i18n';
import { alert, check, cross, info } from '../icons';
import en, { type InviteMessages } from '../messages/en/invite';
import { parseAddresses, verdict, type Entry, type Known } from './addresses';
import { Batches, refusedAddresses, type Batch } from './batches';
import style from './invite.css?inline';

/** The maximum number of addresses in the dialog: the default number of seats of an organization. */
const ADDRESSES_MAX = 1_000;
/** The maximum number of ready addresses that are shown before the user expands the list. */
const SHOWN_MAX = 60;
/** The maximum length at which an entered text is shown, in characters. The rest is cut off. */
const CHARACTERS_MAX = 300;
/** For a wait of at most this many seconds, the dialog marks the address as ready again when the wait is over. */
const WAIT_SECONDS_MAX = 600;

/** An address that was entered. */
interface Chip extends Entry {
  key: string;
  /** The reason for the API's refusal, and the time in milliseconds until which it applies. */
  refused?: { reason: string; until: number };
}

interface Notice {
  kind: 'good' | 'bad' | 'warn';
  text: string;
  /** Whether to show a button to sign in again. */
  signIn?: boolean;
}

const catalogue: Catalogue<InviteMessages> = { en, de: () => import('../messages/de/invite') };
const emptySet: ReadonlySet<string> = new Set();

/**
 * `<roster-invite-dialog>`, which `<roster-users>` contains. It emits `roster-invited` after every call that invited
 * people, and `close` when it is closed. It keeps the entered addresses that were not sent until it is opened again.
 */
export class RosterInviteDialog extends Base<InviteMessages> {
  static override styles: CSSResultGroup = [super.styles, unsafeCSS(style)];

  /** The organization's id. */
  @property() organization = '';
  @property({ attribute: false }) organizationName = '';
  /** The roles that the viewer can grant. The first one is selected by default. */
  @property({ attribute: false }) roles: Role[] = ['member'];
  @property({ attribute: false }) seatsFree = 0;
  /** The members, who cannot be invited again. */
  @property({ attribute: false }) members: Member[] = [];
  /** The organization's invitations, in any status. */
  @property({ attribute: false }) invitations: Invitation[] = [];
  /** The number of people invited since the dialog was opened. */
  invited = 0;

  @state() private chips: Chip[] = [];
  /** The text in the input field. */
  @state() private typed = '';
  /** The selected role. */
  @state() private invitedRole: Role = 'member';
  @state() private mailLanguage: Language | '' = '';
  /** Whether all ready addresses are shown. */
  @state() private isExpanded = false;
  /** The index of the list item that Tab moves the focus to. */
  @state() private tabStop = 0;
  /** A note about addresses that were skipped at the last input. */
  @state() private note = '';
  @state() private notice: Notice | undefined;
  @state() private progress: { done: number; upTo: number; total: number } | undefined;
  @state() private stopping = false;

  protected readonly catalogue = catalogue;
  readonly #number = (value: number): string => this.formats.number(value);
  /** Whether `open` was called before the dialog was rendered. */
  #mustOpen = false;
  #known: Known = { members: emptySet, invited: emptySet, entered: emptySet };
  /** The addresses of expired invitations. They may still hold their seats, so inviting them needs no free seats. */
  #expired = emptySet;
  #freeSeats = 0;
  #ready: Chip[] = [];
  #refused: [chip: Chip, reason: string][] = [];
  readonly #batches = new Batches();
  /**
   * Whether a button is being pressed. The layout must not change then: the button would move away from the pointer.
   */
  #isPressing = false;
  /** Whether the pointer went down outside of the dialog. */
  #isPressedOutside = false;

  /** Opens the dialog with the addresses that were not sent before. */
  open(): void {
    // If the browser closed the dialog during sending, the calls may still be in progress.
    if (!this.progress) {
      this.invited = 0;
      this.notice = undefined;
      this.note = '';
    }
    this.#mustOpen = true;
    this.#showIfRequested();
    this.requestUpdate();
  }

  #reset(): void {
    this.chips = [];
    this.typed = '';
    this.isExpanded = false;
    this.tabStop = 0;
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

  #showIfRequested(): void {
    const dialog = this.#dialog;
    if (!this.#mustOpen || !dialog) return;
    this.#mustOpen = false;
    if (!dialog.open) dialog.showModal();
    this.#field?.focus();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('organization') && changed.get('organization')) this.#reset();
    if (changed.has('seatsFree')) this.#freeSeats = this.seatsFree;
    if (!this.roles.includes(this.invitedRole)) this.invitedRole = this.roles[0] ?? 'member';
    if (changed.has('members') || changed.has('invitations')) this.#updateKnown();
    this.#classify();
  }

  protected override updated(changed: Map<PropertyKey, unknown>): void {
    this.#showIfRequested();
    const before = changed.get('chips') as Chip[] | undefined;
    const list = this.renderRoot.querySelector('ul');
    if (list && before && before.length < this.chips.length) list.scrollTop = list.scrollHeight;
  }

  #updateKnown(): void {
    const now = this.api.now();
    const emails = (those: (invitation: Invitation) => boolean): string[] => this.invitations.filter(those).map(({ email }) => email);
    const isOver = ({ status, expires_at }: Invitation): boolean =>
      status === 'expired' || (status === 'pending' && Date.parse(expires_at) <= now);
    const members = [...this.members.map(({ email }) => email), ...emails(({ status }) => status === 'accepted')];
    const invited = emails((invitation) => invitation.status === 'pending' && !isOver(invitation));
    this.#known = { members: new Set(members), invited: new Set(invited), entered: emptySet };
    this.#expired = new Set(emails(isOver));
  }

  /** Sorts the addresses into ready and refused ones. */
  #classify(): void {
    const { messages } = this;
    this.#ready = [];
    this.#refused = [];
    const now = Date.now();
    for (const chip of this.chips) {
      const status = verdict(chip.address, this.#known);
      if (chip.refused && chip.refused.until > now) this.#refused.push([chip, chip.refused.reason]);
      else if (status === 'ready' || status === 'duplicate') this.#ready.push(chip);
      else this.#refused.push([chip, messages?.verdicts[status] ?? '']);
    }
  }

  /** The ready addresses in the input field, which are not in the list yet. */
  #readyInField(): Chip[] {
    const known = { ...this.#known, entered: new Set(this.chips.map(({ key }) => key)) };
    return chipsOf(this.typed).filter(({ address }) => verdict(address, known) === 'ready');
  }

  #missingSeats(chips: Chip[]): number {
    return chips.filter(({ key }) => !this.#expired.has(key)).length - this.#freeSeats;
  }

  // Input.

  /** Adds the addresses in `text` to the list, and clears the input field. */
  #addAddresses(text: string): void {
    const { messages } = this;
    const found = chipsOf(text);
    const field = this.#field;
    if (field) field.value = '';
    this.typed = '';
    if (!messages || !found.length) return;
    const entered = new Set(this.chips.map(({ key }) => key));
    const chips = [...this.chips];
    let duplicates = 0;
    let skipped = 0;
    for (const chip of found) {
      if (entered.has(chip.key)) duplicates++;
      else if (chips.length === ADDRESSES_MAX) skipped++;
      else {
        entered.add(chip.key);
        chips.push(chip);
      }
    }
    const notes = [
      skipped && messages.tooMany(this.#number(ADDRESSES_MAX), this.#number(skipped)),
      duplicates && messages.repeated(duplicates, this.#number(duplicates)),
    ];
    this.note = notes.filter(Boolean).join('. ');
    this.notice = undefined;
    this.chips = chips;
    this.tabStop = Infinity;
    this.#classify();
    this.announce([this.#summary(), this.note].filter(Boolean).join('. '));
  }

  #onInput(field: HTMLTextAreaElement): void {
    const { value } = field;
    if (/[\r\n]/.test(value) || isComplete(value)) this.#addAddresses(value);
    else this.typed = value;
  }

  #onPaste(event: ClipboardEvent): void {
    const text = event.clipboardData?.getData('text/plain') ?? '';
    // Part of one address: let the browser insert it into the field.
    if (!/[@\r\n,;\t]/.test(text)) return;
    event.preventDefault();
    const { value, selectionStart, selectionEnd } = event.currentTarget as HTMLTextAreaElement;
    this.#addAddresses(value.slice(0, selectionStart) + text + value.slice(selectionEnd));
  }

  #onFieldKey(event: KeyboardEvent): void {
    if (event.isComposing) return;
    if (event.key === 'Enter') {
      event.preventDefault();
      if (event.ctrlKey || event.metaKey) void this.#submit();
      else this.#addAddresses(this.typed);
    } else if (!this.typed && this.chips.length && ['Backspace', 'ArrowUp', this.#arrowKeys().previous].includes(event.key)) {
      event.preventDefault();
      void this.#focusItem(Infinity);
    }
  }

  #onBlur(): void {
    // After closing, the field keeps its text.
    if (!this.#isPressing && this.#dialog?.open) this.#addAddresses(this.typed);
  }

  #press(): void {
    this.#isPressing = true;
    const release = (): void => {
      this.#isPressing = false;
    };
    addEventListener('pointerup', release, { once: true });
    addEventListener('pointercancel', release, { once: true });
  }

  /** Returns the arrow keys for the previous and the next item, by the text direction. */
  #arrowKeys(): { previous: string; next: string } {
    const isRtl = getComputedStyle(this).direction === 'rtl';
    return isRtl ? { previous: 'ArrowRight', next: 'ArrowLeft' } : { previous: 'ArrowLeft', next: 'ArrowRight' };
  }

  #onListKey(event: KeyboardEvent): void {
    const items = [...this.renderRoot.querySelectorAll('li')];
    const index = items.indexOf((event.target as Element).closest('li') as HTMLLIElement);
    const { previous, next } = this.#arrowKeys();
    const { key } = event;
    if (key === 'Delete' || key === 'Backspace') items[index]?.querySelector<HTMLElement>('.remove')?.click();
    else if (key === previous || key === 'ArrowUp') void this.#focusItem(Math.max(0, index - 1));
    else if ((key === next || key === 'ArrowDown') && index + 1 < items.length) void this.#focusItem(index + 1);
    else if (key === next || key === 'ArrowDown') this.#field?.focus();
    else if (key === 'Home') void this.#focusItem(0);
    else if (key === 'End') void this.#focusItem(Infinity);
    else return;
    event.preventDefault();
  }

  /**
   * Focuses the item at `index`, or the last item if `index` is larger. Focuses the input field if the list is empty.
   */
  async #focusItem(index: number): Promise<void> {
    await this.updateComplete;
    const items = this.renderRoot.querySelectorAll('li');
    this.tabStop = Math.min(index, items.length - 1);
    (items[this.tabStop]?.querySelector('button') ?? this.#field)?.focus();
  }

  #removeChip(chip: Chip, index: number): void {
    this.#removeChips([chip.key]);
    this.#classify();
    this.announce([this.messages?.removed(this.readable(chip.address)), this.#summary()].join(' '));
    void this.#focusItem(index);
  }

  #removeAll(): void {
    this.#reset();
    this.#field?.focus();
    this.announce(this.messages?.nothingReady ?? '');
  }

  /** Moves an address from the list back to the input field. */
  #edit(chip: Chip): void {
    this.#addAddresses(this.typed);
    this.#removeChips([chip.key]);
    const field = this.#field;
    if (!field) return;
    field.value = this.typed = chip.address;
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }

  #removeChips(keys: Iterable<string>): void {
    const removed = new Set(keys);
    this.chips = this.chips.filter(({ key }) => !removed.has(key));
    this.note = '';
    this.notice = undefined;
  }

  // Sending.

  async #submit(): Promise<void> {
    const { messages } = this;
    if (this.progress || !messages) return;
    this.#addAddresses(this.typed);
    this.#classify();
    if (!this.#ready.length) {
      if (this.invited) return this.#finish();
      this.#field?.focus();
      return this.announce(messages.nothingReady);
    }
    const missing = this.#missingSeats(this.#ready);
    if (missing > 0) return this.announce(messages.tooFewSeats(missing, this.#number(missing)));
    // Keep the focus: during sending, everything else in the dialog is inert.
    this.#primary?.focus();
    const error = await this.#sendAll();
    const number = this.#number;
    const unsent = this.#ready.length;
    const refused = this.#refused.length;
    const invited = this.invited ? messages.invited(this.invited, number(this.invited)) : messages.noneInvited;
    if (error) {
      const signIn = error instanceof CallError && error.code === 'signed_out';
      const text = [this.invited && invited, this.problemText(error), this.#retryText(error)].filter(Boolean).join(' ');
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
    if (!this.shadowRoot?.activeElement) this.#primary?.focus();
  }

  /**
   * Sends all ready addresses in batches, until the user stops it. Returns the error of a failed call, else undefined.
   */
  async #sendAll(): Promise<unknown> {
    const { organization } = this;
    const total = this.#ready.length;
    this.notice = undefined;
    this.note = '';
    this.stopping = false;
    try {
      while (this.#ready.length && !this.stopping && this.organization === organization) {
        const ready = this.#ready.map(({ address }) => address);
        const batch = this.#batches.next(ready, this.invitedRole, this.mailLanguage || undefined);
        const done = total - this.#ready.length;
        this.progress = { done, upTo: done + batch.emails.length, total };
        if (!done) this.announce(this.messages?.sending(this.#number(this.progress.upTo), this.#number(total)) ?? '');
        try {
          const { emails, role, language, key } = batch;
          const results = await this.api.invite(organization, emails, role, language, key);
          this.#applyResults(organization, batch, results);
        } catch (error) {
          if (!this.#markRefused(batch, error)) return error;
        }
        this.#batches.answered();
        this.#classify();
      }
    } catch (error) {
      return error;
    } finally {
      this.progress = undefined;
      this.stopping = false;
    }
    return undefined;
  }

  /** Removes the invited addresses from the list, and marks the others with the reason. */
  #applyResults(organization: string, { emails }: Batch, results: InviteResult[]): void {
    const outcomes = new Map(results.map((result) => [result.email, result]));
    const invited = results.filter(({ outcome }) => outcome === 'invited');
    const sent = new Set(emails);
    this.chips = this.chips.flatMap((chip) => {
      if (!sent.has(chip.address)) return chip;
      const index = results.length === emails.length ? emails.indexOf(chip.address) : -1;
      const result = outcomes.get(chip.key) ?? results[index];
      // An address without a result is a duplicate of another one.
      if (!result || result.outcome === 'invited') return [];
      const reason = this.language === 'en' ? result.detail : this.messages?.verdicts[result.outcome];
      return { ...chip, refused: { reason: reason ?? '', until: Infinity } };
    });
    if (!invited.length) return;
    this.invited += invited.length;
    this.#freeSeats -= invited.filter(({ email }) => !this.#expired.has(email)).length;
    this.emit('roster-invited', { organization, results: invited });
  }

  /** Marks the addresses that the API names as the reason for a refusal. Returns false if it names none. */
  #markRefused(batch: Batch, error: unknown): boolean {
    if (!(error instanceof CallError)) return false;
    const { code, problem, retryAfter } = error;
    if (problem.seats) this.#freeSeats = problem.seats.free;
    const refused = refusedAddresses(batch, error);
    const wait = (code === 'resend_too_soon' && retryAfter) || Infinity;
    const until = Date.now() + wait * 1_000;
    const translation = [this.messages?.problems[code], this.#retryText(error)].filter(Boolean).join(' ');
    this.chips = this.chips.map((chip) => {
      const detail = refused.get(chip.address);
      return detail === undefined ? chip : { ...chip, refused: { reason: this.language === 'en' ? detail : translation, until } };
    });
    // After the wait, render the addresses as ready.
    if (wait <= WAIT_SECONDS_MAX) setTimeout(() => this.requestUpdate(), wait * 1_000);
    return refused.size > 0;
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
    if (this.progress) this.stopping = true;
    else this.#dialog?.close();
  }

  #onCancel(event: Event): void {
    if (!this.progress) return;
    event.preventDefault();
    this.#cancel();
  }

  #onClose(): void {
    // Browsers close a dialog at the second Escape, even if the event is cancelled.
    if (this.progress) this.stopping = true;
    this.dispatchEvent(new Event('close'));
  }

  // Rendering.

  #summary(): string {
    const number = this.#number;
    const refused = this.#refused.length;
    return this.messages?.summary(number(this.#ready.length), refused, number(refused)) ?? '';
  }

  protected override render(): TemplateResult {
    const { messages } = this;
    if (!messages) return this.liveRegion();
    const sending = this.progress !== undefined;
    return html`<dialog
      aria-labelledby="title"
      @close=${this.#onClose}
      @cancel=${this.#onCancel}
      @pointerdown=${(event: PointerEvent) => (this.#isPressedOutside = isOutside(event))}
      @click=${(event: MouseEvent) => this.#isPressedOutside && isOutside(event) && !this.progress && this.#cancel()}
    >
      ${this.liveRegion()}
      <div class="body" ?inert=${sending}>
        <div class="form">
          <header>
            <h2 id="title">${messages.title(this.organizationName)}</h2>
            <button type="button" class="quiet close" aria-label=${messages.close} @click=${this.#cancel}>${cross}</button>
            <p class="soft">${messages.intro}</p>
          </header>
          ${this.#renderAddresses(messages)} ${this.#renderRoles(messages)}
          <div class="language">
            <label for="language">${messages.language}</label>
            <select
              id="language"
              @change=${(event: Event) => (this.mailLanguage = (event.target as HTMLSelectElement).value as Language | '')}
            >
              <option value="">${messages.defaultLanguage}</option>
              <option value="en" lang="en">English</option>
              <option value="de" lang="de">Deutsch</option>
            </select>
          </div>
        </div>
      </div>
      ${this.#renderFoot(messages)}
    </dialog>`;
  }

  #renderAddresses(messages: InviteMessages): TemplateResult {
    const number = this.#number;
    const { chips } = this;
    const hidden = this.isExpanded ? 0 : Math.max(0, this.#ready.length - SHOWN_MAX);
    const extra = hidden ? 1 : 0;
    const ready = this.#ready.slice(hidden);
    const count = extra + ready.length + this.#refused.length;
    const tabStop = Math.min(this.tabStop, count - 1);
    const item = (chip: Chip, index: number, message: string): TemplateResult => {
      const reason = message.replace(/\.$/, '');
      const tabIndex = index === tabStop ? 0 : -1;
      const { name } = chip;
      const address = this.readable(chip.address);
      const shown = address.length > CHARACTERS_MAX ? `${address.slice(0, CHARACTERS_MAX)}…` : address;
      const at = shown.lastIndexOf('@');
      return html`<li class=${reason ? 'refused' : ''}>
        ${reason ? alert : check}
        <button
          type="button"
          class="address"
          tabindex=${tabIndex}
          aria-label=${[shown, name, reason || messages.ready, messages.edit].filter(Boolean).join(', ')}
          @click=${() => this.#edit(chip)}
        >
          <bdi>${shown.slice(0, at)}<wbr />${shown.slice(at)}</bdi>
          ${name ? html`<small>${name}</small>` : nothing}
          ${reason ? html`<span class="reason">${reason}</span>` : nothing}
        </button>
        <button
          type="button"
          class="remove"
          tabindex=${tabIndex}
          aria-label=${messages.remove(shown)}
          @click=${() => this.#removeChip(chip, index)}
        >
          ${cross}
        </button>
      </li>`;
    };
    return html`<div>
      <label class="label" for="field">${messages.addresses}</label>
      <div class="box">
        ${
          chips.length
            ? html`<ul role="list" aria-label=${messages.list} @keydown=${this.#onListKey}>
              ${
                hidden
                  ? html`<li>
                    <button type="button" class="more" tabindex=${tabStop ? -1 : 0} @click=${this.#expand}>
                      ${messages.more(number(hidden))}
                    </button>
                  </li>`
                  : nothing
              }
              ${ready.map((chip, index) => item(chip, extra + index, ''))}
              ${this.#refused.map(([chip, reason], index) => item(chip, extra + ready.length + index, reason))}
            </ul>`
            : nothing
        }
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
          placeholder=${chips.length ? messages.another : messages.placeholder}
          @input=${(event: Event) => this.#onInput(event.target as HTMLTextAreaElement)}
          @paste=${this.#onPaste}
          @keydown=${this.#onFieldKey}
          @blur=${this.#onBlur}
        ></textarea>
      </div>
      <p id="hint" class="visually-hidden">${messages.hint}</p>
      <div class="summary-line">
        <p id="summary">${[chips.length && this.#summary(), this.note].filter(Boolean).join('. ')}</p>
        <div class="end">
          ${chips.length > 1 ? html`<button type="button" class="quiet" @click=${this.#removeAll}>${messages.removeAll}</button>` : nothing}
          <p class=${this.#freeSeats < 1 ? 'warn' : ''}>${messages.seats(this.#freeSeats, number(this.#freeSeats))}</p>
        </div>
      </div>
    </div>`;
  }

  #expand(): void {
    this.isExpanded = true;
    void this.#focusItem(0);
  }

  #renderRoles(messages: InviteMessages & { roles: Record<Role, string> }): TemplateResult {
    return html`<fieldset>
      <legend>${messages.role}</legend>
      <div class="roles">
        ${this.roles.map(
          (role) =>
            html`<label class="role">
              <input
                type="radio"
                name="role"
                value=${role}
                .checked=${role === this.invitedRole}
                @change=${() => (this.invitedRole = role)}
              />
              ${messages.roles[role]} <small>${messages.roleHelp[role]}</small>
            </label>`,
        )}
      </div>
    </fieldset>`;
  }

  #renderFoot(messages: InviteMessages & { cancel: string; tryAgain: string; signInAgain: string }): TemplateResult {
    const { notice, progress } = this;
    const number = this.#number;
    const ready = [...this.#ready, ...this.#readyInField()];
    const missing = this.#missingSeats(ready);
    const lacksSeats = ready.length > 0 && missing > 0;
    const isDone = !ready.length && !this.typed && this.invited > 0;
    const isDisabled = progress || lacksSeats || (!ready.length && !this.typed && !isDone);
    const label = progress
      ? messages.sending(number(progress.upTo), number(progress.total))
      : isDone
        ? messages.done
        : notice?.kind === 'bad' && !lacksSeats
          ? messages.tryAgain
          : ready.length
            ? messages.inviteCount(ready.length, number(ready.length))
            : messages.invite;
    return html`<div class="foot" @pointerdown=${this.#press}>
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
          : html`<button type="button" aria-disabled=${this.stopping} @click=${this.#cancel}>
            ${this.stopping ? messages.stopping : messages.cancel}
          </button>`
      }
      ${
        notice?.signIn
          ? html`<button type="button" @click=${() => this.emit('roster-sign-in', { email: undefined, change: false })}>
            ${messages.signInAgain}
          </button>`
          : nothing
      }
      <button
        type="button"
        class="primary"
        aria-disabled=${isDisabled ? 'true' : 'false'}
        aria-describedby=${lacksSeats ? 'seats-notice' : nothing}
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

/**
 * Whether a click is on the backdrop. Clicks on the backdrop and on the scroll bar have the same target, so compare
 * positions.
 */
function isOutside({ target, currentTarget, clientX, clientY }: MouseEvent): boolean {
  const { left, right, top, bottom } = (currentTarget as Element).getBoundingClientRect();
  return target === currentTarget && (clientX < left || clientX > right || clientY < top || clientY > bottom);
}

/** Whether the typed text is complete, so that its addresses can be added to the list. */
function isComplete(text: string): boolean {
  if (!/[\s,;،؛、，；]$/.test(text) || !text.includes('@') || text.split('"').length % 2 === 0) return false;
  if (text.lastIndexOf('<') > text.lastIndexOf('>')) return false;
  const noneKnown = { members: emptySet, invited: emptySet, entered: emptySet };
  return /\S$/.test(text) || parseAddresses(text).every(({ address }) => verdict(address, noneKnown) === 'ready');
}

declare global {
  interface HTMLElementTagNameMap {
    'roster-invite-dialog': RosterInviteDialog;
  }
}

customElements.define('roster-invite-dialog', RosterInviteDialog);
