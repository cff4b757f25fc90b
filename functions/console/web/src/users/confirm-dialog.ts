/** `<roster-confirm-dialog>`: asks the user to confirm an operation. `<roster-users>` loads it on demand. */
import { html, nothing, unsafeCSS, type CSSResultGroup } from 'lit';
import { state } from 'lit/decorators.js';
import { Base } from '../element';
import type { Catalogue } from '../i18n';
import en, { type ConfirmMessages } from '../messages/en/confirm';
import style from './dialog.css?inline';

/** An operation to confirm, with the names that the texts need. */
export type Question =
  | { readonly kind: 'revoke'; readonly email: string }
  | { readonly kind: 'remove'; readonly email: string; readonly organization: string }
  | { readonly kind: 'leave'; readonly organization: string }
  /** Makes a member an owner. */
  | { readonly kind: 'promote'; readonly email: string; readonly organization: string };

export class RosterConfirmDialog extends Base<ConfirmMessages> {
  static override styles: CSSResultGroup = [super.styles, unsafeCSS(style)];

  @state() private question: Question | undefined;
  #resolve: (isConfirmed: boolean) => void = () => {};

  protected override readonly catalogue: Catalogue<ConfirmMessages> = {
    en,
    de: () => import('../messages/de/confirm'),
  };

  /** Opens the dialog. Returns whether the user has confirmed. The focus is then back where it was before. */
  async ask(question: Question): Promise<boolean> {
    this.#resolve(false);
    const answer = new Promise<boolean>((resolve) => (this.#resolve = resolve));
    this.question = question;
    await this.messagesLoaded;
    await this.updateComplete;
    if (!this.#dialog?.open) this.#dialog?.showModal();
    return answer;
  }

  get #dialog(): HTMLDialogElement | null {
    return this.renderRoot.querySelector('dialog');
  }

  #answer(isConfirmed: boolean): void {
    // Close the dialog first: that returns the focus to the button, which the operation may remove.
    this.#dialog?.close();
    this.#resolve(isConfirmed);
  }

  /** Escape closes the dialog as well. The event comes late: the dialog may be open with the next question. */
  #onClose(): void {
    if (!this.#dialog?.open) this.#resolve(false);
  }

  protected override render(): unknown {
    const { messages, question } = this;
    if (!messages || !question) return nothing;
    const texts = messages.textsOf(question);
    return html`<dialog role="alertdialog" aria-labelledby="question" aria-describedby="effect" @close=${this.#onClose}>
      <div class="body">
        <h2 id="question">${texts.title}</h2>
        <p id="effect" class="soft">${texts.effect}</p>
      </div>
      <div class="foot">
        <button autofocus @click=${() => this.#answer(false)}>${texts.cancel}</button>
        <button class=${question.kind === 'promote' ? 'primary' : 'danger'} @click=${() => this.#answer(true)}>${texts.confirm}</button>
      </div>
    </dialog>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'roster-confirm-dialog': RosterConfirmDialog;
  }
}

customElements.define('roster-confirm-dialog', RosterConfirmDialog);
