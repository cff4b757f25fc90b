/** Toasts: short messages about what the user has just done, with a button to undo it where that is possible. */
import { html, nothing, type ReactiveController, type ReactiveControllerHost, type TemplateResult } from 'lit';
import * as icons from '../icons';
import type { Texts } from './view';

/**
 * The time in milliseconds for which a toast is shown. Two messages of 10 words take about 5 s to read, and users need time
 * to reach the button.
 */
const SHOWN_MS = 10_000;

export interface Toast {
  readonly text: string;
  /** Undoes what the toast is about. */
  readonly onUndo?: () => void;
  /** Called after the user has dismissed the toast, or has undone it: moves the focus back. */
  readonly onClosed?: () => void;
}

/** Shows one toast at a time. It stays while it has the focus, or the pointer is over it. */
export class Toasts implements ReactiveController {
  #toast: Toast | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isHovered = false;
  #isFocused = false;
  readonly #host: ReactiveControllerHost;

  constructor(host: ReactiveControllerHost) {
    this.#host = host;
    host.addController(this);
  }

  hostDisconnected(): void {
    this.hide();
  }

  show(toast: Toast): void {
    this.#set(toast);
    this.#restartTimer();
  }

  hide(): void {
    this.#set(undefined);
    this.#isHovered = this.#isFocused = false;
    clearTimeout(this.#timer);
  }

  #set(toast: Toast | undefined): void {
    this.#toast = toast;
    this.#host.requestUpdate();
  }

  #close(isUndo: boolean): void {
    const toast = this.#toast;
    this.hide();
    if (isUndo) toast?.onUndo?.();
    toast?.onClosed?.();
  }

  #restartTimer(): void {
    clearTimeout(this.#timer);
    if (!this.#isHovered && !this.#isFocused) this.#timer = setTimeout(() => this.hide(), SHOWN_MS);
  }

  /** Undoes with Ctrl+Z or ⌘Z. Text fields keep their own undo. */
  onKey(event: KeyboardEvent): void {
    const isField = (event.composedPath()[0] as Element).matches('input, textarea');
    const isUndo = event.key.toLowerCase() === 'z' && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey;
    if (!isUndo || isField || !this.#toast?.onUndo) return;
    event.preventDefault();
    this.#close(true);
  }

  /** Renders the content of the live region. */
  render({ messages }: Texts): TemplateResult | typeof nothing {
    const toast = this.#toast;
    const hover = (isHovered: boolean) => () => {
      this.#isHovered = isHovered;
      this.#restartTimer();
    };
    const focus = (isFocused: boolean) => () => {
      this.#isFocused = isFocused;
      this.#restartTimer();
    };
    if (!toast) return nothing;
    return html`<div
      class="toast"
      @pointerenter=${hover(true)}
      @pointerleave=${hover(false)}
      @focusin=${focus(true)}
      @focusout=${focus(false)}
      @keydown=${(event: KeyboardEvent) => (event.key === 'Escape' ? this.#close(false) : this.onKey(event))}
    >
      ${icons.check}<span>${toast.text}</span>
      ${
        toast.onUndo
          ? html`<button class="quiet" aria-keyshortcuts="Control+Z Meta+Z" @click=${() => this.#close(true)}>
            ${messages.undo}
          </button>`
          : nothing
      }
      <button class="quiet small" aria-label=${messages.dismiss} @click=${() => this.#close(false)}>${icons.cross}</button>
    </div>`;
  }
}
