/** The field of the invite dialog for addresses: entered addresses as a list, and the text field below it. */
import { html, nothing, unsafeCSS, type CSSResultGroup, type PropertyValues, type TemplateResult } from 'lit';
import { property, state } from 'lit/decorators.js';
import { live } from 'lit/directives/live.js';
import { Base } from '../element';
import type { Catalogue } from '../i18n';
import { alert, check, cross } from '../icons';
import en, { type InviteMessages } from '../messages/en/invite';
import style from './address-field.css?inline';
import { ADDRESSES_MAX, isComplete, type AddressList, type Chip, type RefusedChip } from './list';

/** The maximum number of ready addresses that are shown before the user expands the list. */
const SHOWN_MAX = 60;
/** The maximum length at which an entered text is shown, in characters. The rest is cut off. */
const CHARACTERS_MAX = 300;

export const catalogue: Catalogue<InviteMessages> = { en, de: () => import('../messages/de/invite') };

/**
 * `<roster-address-field>`, which `<roster-invite-dialog>` contains. It emits `edit` after the user has changed the
 * list, and `submit` at Ctrl+Enter.
 */
export class RosterAddressField extends Base<InviteMessages> {
  static override styles: CSSResultGroup = [super.styles, unsafeCSS(style)];

  @property({ attribute: false }) list!: AddressList;

  /** Whether all ready addresses are shown. */
  @state() private isExpanded = false;
  /** The index of the list item that Tab moves the focus to. */
  @state() private tabStop = 0;

  protected readonly catalogue = catalogue;
  readonly #number = (value: number): string => this.formats.number(value);
  /** The number of addresses at the last update. */
  #count = 0;
  #isHeld = false;

  /** Adds the typed addresses to the list. */
  commit(): void {
    this.#add(this.list.typed);
  }

  /**
   * Keeps the typed text in the field until the pointer is released. If the list grew meanwhile, the pressed button
   * would move away from the pointer.
   */
  hold(): void {
    this.#isHeld = true;
    const release = (): void => {
      this.#isHeld = false;
    };
    addEventListener('pointerup', release, { once: true });
    addEventListener('pointercancel', release, { once: true });
  }

  /** Resolves when the text field is there. */
  async rendered(): Promise<void> {
    await this.messagesLoaded;
    await this.updateComplete;
  }

  /** Focuses the text field. */
  override focus(): void {
    this.#field?.focus();
  }

  /** The list in a sentence, for screen readers. */
  get summary(): string {
    const { ready, refused } = this.list;
    return this.messages?.summary(this.#number(ready.length), refused.length, this.#number(refused.length)) ?? '';
  }

  get #field(): HTMLTextAreaElement | null {
    return this.renderRoot?.querySelector('textarea') ?? null;
  }

  /** The parts of the last input that were left out, in words. */
  get #note(): string {
    const { messages } = this;
    const number = this.#number;
    const { duplicates, tooMany, lines, unused } = this.list.skipped;
    const notes = [
      tooMany && messages?.tooMany(number(ADDRESSES_MAX), number(tooMany)),
      duplicates && messages?.repeated(duplicates, number(duplicates)),
      lines && messages?.skippedLines(lines, number(lines)),
      unused && messages?.unused(unused, number(unused)),
    ];
    return notes.filter(Boolean).join('. ');
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('list')) this.list.addHost(this);
    if (!this.list.chips.length) this.isExpanded = false;
  }

  protected override updated(): void {
    const { length } = this.list.chips;
    const list = this.renderRoot.querySelector('ul');
    if (list && this.#count < length) list.scrollTop = list.scrollHeight;
    this.#count = length;
  }

  #emitEdit(): void {
    this.dispatchEvent(new Event('edit'));
  }

  #add(text: string): void {
    if (!this.list.add(text)) return;
    this.tabStop = Infinity;
    this.#emitEdit();
    this.announce([this.summary, this.#note].filter(Boolean).join('. '));
  }

  #onInput({ value }: HTMLTextAreaElement): void {
    if (isComplete(value)) this.#add(value);
    else this.list.typed = value;
  }

  #onPaste(event: ClipboardEvent): void {
    const text = event.clipboardData?.getData('text/plain') ?? '';
    // Part of one address: let the browser insert it into the field.
    if (!/[@\r\n,;\t]/.test(text)) return;
    event.preventDefault();
    const { value, selectionStart, selectionEnd } = event.currentTarget as HTMLTextAreaElement;
    this.#add(value.slice(0, selectionStart) + text + value.slice(selectionEnd));
  }

  #onFieldKey(event: KeyboardEvent): void {
    if (event.isComposing) return;
    const { typed, chips } = this.list;
    if (event.key === 'Enter') {
      event.preventDefault();
      if (event.ctrlKey || event.metaKey) this.dispatchEvent(new Event('submit'));
      else this.#add(typed);
    } else if (!typed && chips.length && ['Backspace', 'ArrowUp', this.#arrowKeys().previous].includes(event.key)) {
      event.preventDefault();
      void this.#focusItem(Infinity);
    }
  }

  #onBlur(): void {
    // After closing, the field keeps its text.
    if (!this.#isHeld && this.closest('dialog')?.open) this.#add(this.list.typed);
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

  #remove(chip: Chip, index: number): void {
    this.list.remove([chip]);
    this.#emitEdit();
    this.announce([this.messages?.removed(this.readable(chip.address)), this.summary].join(' '));
    void this.#focusItem(index);
  }

  #removeRefused(): void {
    this.list.remove(this.list.refused.map(({ chip }) => chip));
    this.#emitEdit();
    this.#field?.focus();
    this.announce(this.summary);
  }

  #removeAll(): void {
    this.list.clear();
    this.#emitEdit();
    this.#field?.focus();
    this.announce(this.messages?.allRemoved ?? '');
  }

  /** Moves an address from the list back to the input field. */
  async #edit(chip: Chip): Promise<void> {
    this.#add(this.list.typed);
    this.list.remove([chip]);
    this.list.typed = chip.address;
    this.#emitEdit();
    await this.updateComplete;
    const field = this.#field;
    field?.focus();
    field?.setSelectionRange(field.value.length, field.value.length);
  }

  #expand(): void {
    this.isExpanded = true;
    void this.#focusItem(0);
  }

  /** Returns the reason why an address cannot be invited. */
  #reasonOf({ chip: { refusal }, verdict }: RefusedChip): string {
    const { messages } = this;
    if (verdict) return messages?.verdicts[verdict] ?? '';
    if (!refusal) return '';
    const { reason, detail, retryAfter } = refusal;
    // The API's own texts are in English.
    if (this.language === 'en') return detail;
    if (reason === 'already_member' || reason === 'already_invited') return messages?.verdicts[reason] ?? '';
    return [messages?.problems[reason], retryAfter && messages?.again(this.formats.after(retryAfter))].filter(Boolean).join(' ');
  }

  protected override render(): TemplateResult {
    const { messages } = this;
    if (!messages) return this.liveRegion();
    const { chips, ready, refused, freeSeats } = this.list;
    const number = this.#number;
    return html`${this.liveRegion()}
      <label class="label" for="field">${messages.addresses}</label>
      <div class="box">
        ${chips.length ? this.#renderList(messages) : nothing}
        <textarea
          id="field"
          class=${chips.length ? '' : 'tall'}
          rows="1"
          autocapitalize="none"
          autocomplete="off"
          spellcheck="false"
          inputmode="email"
          aria-describedby="summary hint"
          placeholder=${chips.length ? messages.another : messages.placeholder}
          .value=${live(this.list.typed)}
          @input=${(event: Event) => this.#onInput(event.target as HTMLTextAreaElement)}
          @paste=${this.#onPaste}
          @keydown=${this.#onFieldKey}
          @blur=${this.#onBlur}
        ></textarea>
      </div>
      <p id="hint" class="visually-hidden">${messages.hint}</p>
      <div class="summary-line">
        <p id="summary">${[chips.length && this.summary, this.#note].filter(Boolean).join('. ')}</p>
        <div class="end">
          ${
            refused.length > 1 && ready.length
              ? html`<button type="button" class="quiet" @click=${this.#removeRefused}>${messages.removeRefused(number(refused.length))}</button>`
              : nothing
          }
          ${chips.length > 1 ? html`<button type="button" class="quiet" @click=${this.#removeAll}>${messages.removeAll}</button>` : nothing}
          <p class=${freeSeats < 1 ? 'warn' : ''}>${messages.seats(freeSeats, number(freeSeats))}</p>
        </div>
      </div>`;
  }

  #renderList(messages: InviteMessages): TemplateResult {
    const { ready, refused } = this.list;
    const hidden = this.isExpanded ? 0 : Math.max(0, ready.length - SHOWN_MAX);
    const items = [
      ...ready.slice(hidden).map((chip) => ({ chip, reason: '' })),
      ...refused.map((item) => ({ chip: item.chip, reason: this.#reasonOf(item).replace(/\.$/, '') })),
    ];
    const first = hidden ? 1 : 0;
    const tabStop = Math.min(this.tabStop, first + items.length - 1);
    return html`<ul role="list" aria-label=${messages.list} @keydown=${this.#onListKey}>
      ${
        hidden
          ? html`<li>
            <button type="button" class="more" tabindex=${tabStop ? -1 : 0} @click=${this.#expand}>
              ${messages.more(this.#number(hidden))}
            </button>
          </li>`
          : nothing
      }
      ${items.map(({ chip, reason }, index) => this.#renderItem(messages, chip, reason, first + index, tabStop))}
    </ul>`;
  }

  #renderItem(messages: InviteMessages, chip: Chip, reason: string, index: number, tabStop: number): TemplateResult {
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
        @click=${() => this.#remove(chip, index)}
      >
        ${cross}
      </button>
    </li>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'roster-address-field': RosterAddressField;
  }
}

customElements.define('roster-address-field', RosterAddressField);
