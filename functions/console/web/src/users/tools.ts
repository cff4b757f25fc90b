/** The tools above the table: search and filters. */
import { html, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import * as icons from '../icons';
import { FILTERS, type Filter } from './rows';
import type { Texts } from './view';

export interface Tools {
  readonly search: string;
  readonly filter: Filter;
  /** The number of rows for each filter. Undefined while rows are being loaded. */
  readonly counts: Readonly<Record<Filter, number>> | undefined;
  readonly onSearch: (search: string) => void;
  readonly onFilter: (filter: Filter) => void;
}

export function renderTools({ search, filter, counts, onSearch, onFilter }: Tools, { messages, formats }: Texts): TemplateResult {
  return html`<div class="tools">
    <div class="search">
      ${icons.search}
      <input
        type="search"
        aria-label=${messages.search}
        placeholder=${messages.search}
        autocomplete="off"
        spellcheck="false"
        .value=${live(search)}
        @input=${(event: Event) => onSearch((event.target as HTMLInputElement).value)}
      />
    </div>
    <div class="filters" role="group" aria-label=${messages.show}>
      ${FILTERS.map(
        (each) =>
          html`<button aria-pressed=${each === filter} @click=${() => onFilter(each)}>
            ${messages.filters[each]} <span class="count">${counts && formats.number(counts[each])}</span>
          </button>`,
      )}
    </div>
  </div>`;
}
