/** The pager: the range of the rows that are shown, and buttons for the previous and the next page. */
import { html, nothing, type TemplateResult } from 'lit';
import type { pageOf } from './rows';
import type { Texts } from './view';

export interface Pager {
  readonly current: ReturnType<typeof pageOf>;
  /** The number of rows on all pages. */
  readonly count: number;
  readonly onPage: (page: number) => void;
}

/** Returns the range of the rows on a page: `51–100 of 316`. If there is only one page: `4 people`. */
export function rangeText({ first, rows }: Pager['current'], count: number, { messages, formats }: Texts): string {
  const number = (value: number): string => formats.number(value);
  if (rows.length === count) return messages.found(count, number(count));
  return messages.shown(number(first + 1), number(first + rows.length), number(count));
}

export function renderPager({ current, count, onPage }: Pager, texts: Texts): TemplateResult | typeof nothing {
  if (!count) return nothing;
  const { messages } = texts;
  const { page, rows, last } = current;
  // On the first and last page the buttons stay in place, so that they keep the focus.
  const button = (label: string, target: number, isDisabled: boolean): TemplateResult =>
    html`<button aria-disabled=${isDisabled} @click=${() => isDisabled || onPage(target)}>${label}</button>`;
  return html`<nav class="pages" aria-label=${messages.pages}>
    <span class="soft">${rangeText(current, count, texts)}</span>
    ${count > rows.length ? html`${button(messages.previous, page - 1, page === 0)} ${button(messages.next, page + 1, last)}` : nothing}
  </nav>`;
}
