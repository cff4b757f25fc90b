/** The head of the list: the organization's name or the select to switch, seats, and the button to invite. */
import { html, nothing, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import type { Organization } from '../elements';
import * as icons from '../icons';
import type { Phase } from './users-controller';
import type { Texts } from './view';

/** The share of taken seats, in percent, from which the meter warns. */
const SCARCE_PERCENT = 95;

export interface Head {
  readonly phase: Phase['is'];
  readonly organization: Organization | undefined;
  /** The id of the organization that is shown or being loaded. */
  readonly organizationId: string;
  /** Whether the viewer can switch to their other organizations, and create new ones. */
  readonly canSwitch: boolean;
  readonly organizations: readonly { id: string; name: string }[];
  /** The dialog that is being loaded. */
  readonly opening: string | undefined;
  readonly onSwitch: (id: string) => void;
  readonly onRename: (organization: Organization) => void;
  readonly onCreate: () => void;
  readonly onInvite: () => void;
  /** Called when the user is about to invite. */
  readonly onInviteSoon: () => void;
}

export function renderHead(head: Head, texts: Texts): TemplateResult {
  const { messages } = texts;
  const { organization, phase, organizationId, canSwitch } = head;
  const options = organizationOptions(head);
  const isSelectable = options.length > 1 || (options.length && !organization && phase !== 'loading');
  const showSelect = canSwitch && isSelectable;
  const isFull = organization?.seats.free === 0;
  const isOpening = (dialog: string): boolean => head.opening === dialog;
  return html`<header class="head">
    <div class="title">
      <h2 class=${organization && showSelect ? 'visually-hidden' : ''} tabindex="-1">${organization?.name ?? messages.title}</h2>
      ${
        showSelect
          ? html`<select
            aria-label=${messages.organization}
            @change=${(event: Event) => head.onSwitch((event.target as HTMLSelectElement).value)}
          >
            ${options.some(({ id }) => id === organizationId) ? nothing : html`<option value="" selected></option>`}
            ${options.map(({ id, name }) => html`<option value=${id} .selected=${live(id === organizationId)}>${name}</option>`)}
          </select>`
          : nothing
      }
      ${
        organization?.role === 'owner' && phase === 'ready'
          ? html`<button class="quiet" aria-busy=${isOpening('roster-name-dialog')} @click=${() => head.onRename(organization)}>
            ${messages.rename}
          </button>`
          : nothing
      }
      ${
        canSwitch && phase !== 'none' && phase !== 'loading'
          ? html`<button class="quiet" aria-busy=${isOpening('roster-name-dialog')} @click=${head.onCreate}>
            ${icons.plus}${messages.newOrganization}
          </button>`
          : nothing
      }
    </div>
    ${
      organization && phase === 'ready'
        ? html`${renderSeats(organization, texts)}
          <button
            class="primary invite"
            aria-disabled=${isFull}
            aria-busy=${isOpening('roster-invite-dialog')}
            aria-describedby=${isFull ? 'full' : nothing}
            @pointerenter=${head.onInviteSoon}
            @click=${head.onInvite}
          >
            ${icons.plus}${messages.invite}
          </button>`
        : nothing
    }
  </header>`;
}

/**
 * The viewer's organizations, including the current one: the API's list may lag behind and lack it, or have its old
 * name.
 */
function organizationOptions({ organizations, organization: current }: Head): Head['organizations'] {
  if (!current) return organizations;
  const index = organizations.findIndex(({ id }) => id === current.id);
  return index < 0 ? [...organizations, current] : organizations.with(index, current);
}

function renderSeats({ seats }: Organization, { messages, formats }: Texts): TemplateResult {
  const text = messages.seats(formats.number(seats.taken), formats.number(seats.total));
  const percent = Math.min(100, (100 * seats.taken) / seats.total);
  return html`<div class="seats ${percent >= SCARCE_PERCENT ? 'scarce' : ''}">
    <span>${text}</span>
    <div class="meter" aria-hidden="true"><div .style=${`width:${percent}%`}></div></div>
  </div>`;
}
