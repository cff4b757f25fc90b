/** The pager: the range of the rows that are shown, and buttons for the previous and the next page. */
import { html, nothing, type TemplateResult } from 'lit';
import type { pageOf } from './rows';
import type { Texts } from './view';

export interface Pager {
  readonly current: ReturnType<typeof pageOf>;
  /** The number of rows on all pages. */
  readonly count: number;
  /** Whether more rows are being loaded. */
  readonly isLoading: boolean;
  readonly onPage: (page: number) => void;
}

/** Returns the range of the rows on a page: `51–100 of 316`. If there is only one page: `4 people`. */
export function rangeText({ first, rows }: Pager['current'], count: number, { messages, formats }: Texts): string {
  const number = (value: number): string => formats.number(value);
  if (rows.length === count) return messages.found(count, number(count));
  return messages.shown(number(first + 1), number(first + rows.length), number(count));
}

/** Renders the pager above the table, which is shown only if there are several pages, or the one below. */
export function renderPager(isAbove: boolean, { current, count, isLoading, onPage }: Pager, texts: Texts): TemplateResult | typeof nothing {
  const { page, rows, last } = current;
  const { messages } = texts;
  const hasPages = count > rows.length;
  if (!count || (isAbove && !hasPages)) return nothing;
  // On the first and last page the buttons stay in place, so that they keep the focus.
  const button = (name: 'previous' | 'next', target: number, isDisabled: boolean): TemplateResult =>
    html`<button name=${name} aria-disabled=${isDisabled} @click=${() => isDisabled || onPage(target)}>${messages[name]}</button>`;
  return html`<div class="pages" role=${isAbove ? 'navigation' : 'group'} aria-label=${messages.pages}>
    <span class="soft">
      ${isLoading ? html`<span class="spin" aria-hidden="true"></span> ${messages.loading}` : rangeText(current, count, texts)}
    </span>
    ${hasPages ? html`${button('previous', page - 1, page === 0)} ${button('next', page + 1, last)}` : nothing}
  </div>`;
}
