/** The table: a row for each member and invitation, with role, status and actions. */
import { html, nothing, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import { repeat } from 'lit/directives/repeat.js';
import type { Organization, Role } from '../elements';
import { hoursLeft } from '../i18n';
import * as icons from '../icons';
import { deliveryText, grantableRoles, type InvitationRow, type MemberRow, type Row } from './rows';
import type { Texts } from './view';

/** An invitation with at most this many hours left is highlighted. */
const SOON_HOURS = 6;

export interface Table {
  readonly rows: readonly Row[];
  readonly organization: Organization;
  /** The viewer's user id. */
  readonly viewer: string | undefined;
  /** The server's time in milliseconds. */
  readonly now: number;
  /** Whether an operation on the row is unfinished. */
  readonly isBusy: (row: Row) => boolean;
  /** Returns the text of the error that the row shows, if any. */
  readonly errorOf: (row: Row) => string | undefined;
  /** Whether an operation on the row waits for a sign-in. */
  readonly isWaiting: (row: Row) => boolean;
  /** Returns the seconds until the invitation can be resent. */
  readonly resendWait: (row: InvitationRow) => number;
  readonly onRole: (row: MemberRow, role: Role) => void;
  readonly onRemove: (row: MemberRow) => void;
  readonly onLeave: (row: MemberRow) => void;
  readonly onResend: (row: InvitationRow) => void;
  readonly onRevoke: (row: InvitationRow) => void;
  readonly onDismiss: (row: Row) => void;
  readonly onSignIn: () => void;
}

// The ARIA roles are explicit because browsers drop the implicit ones if CSS changes the layout of a table.
export function renderTable(table: Table, texts: Texts): TemplateResult {
  const { columns, title } = texts.messages;
  return html`<table role="table" aria-label=${title}>
    <thead role="rowgroup">
      <tr role="row">
        <th role="columnheader" scope="col">${columns.user}</th>
        <th role="columnheader" scope="col">${columns.role}</th>
        <th role="columnheader" scope="col">${columns.status}</th>
        <th role="columnheader" scope="col"><span class="visually-hidden">${columns.actions}</span></th>
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${repeat(
        table.rows,
        ({ key }) => key,
        (row) => renderRow(row, table, texts),
      )}
    </tbody>
  </table>`;
}

/** Returns the element of a row. */
export function rowElement(root: ParentNode, key: string): HTMLElement | undefined {
  return [...root.querySelectorAll<HTMLElement>('tr[data-key]')].find((tr) => tr.dataset['key'] === key);
}

/** Returns the button for an action, like `resend`, in a row's element. */
export function actionButton(row: HTMLElement | undefined, action: string): HTMLElement | null {
  return row?.querySelector<HTMLElement>(`[data-action=${action}]`) ?? null;
}

function renderRow(row: Row, table: Table, texts: Texts): TemplateResult {
  const { messages, formats, readable } = texts;
  const own = row.kind === 'member' && row.own;
  const email = readable(row.email);
  const detail =
    row.kind === 'member'
      ? messages.memberSince(formats.day(row.member.joined_at))
      : row.invitation.sender.user_id === table.viewer
        ? messages.invitedByYou
        : messages.invitedBy(readable(row.invitation.sender.email));
  return html`<tr role="row" tabindex="-1" data-key=${row.key} aria-busy=${table.isBusy(row)}>
    <th role="rowheader" scope="row" class="user">
      <span class="avatar" aria-hidden="true" .style=${`--hue:${hueOf(row.email)}`}>
        ${row.kind === 'member' ? row.email[0] : icons.mail}
      </span>
      <span class="name-block">
        <span class="email" title=${email === row.email ? nothing : row.email}>${email}</span>${own ? html` <span class="you">${messages.you}</span>` : nothing}
        <span class="detail soft">${detail}</span>
      </span>
    </th>
    <td role="cell" class="role">${renderRole(row, table, texts)}</td>
    <td role="cell" class="status">
      ${row.kind === 'member' ? html`<span class="badge good">${icons.check}${messages.active}</span>` : renderStatus(row, table, texts)}
      ${table.isBusy(row) ? html`<span class="spin late" aria-hidden="true"></span>` : nothing}
      ${renderError(row, table, texts)}
    </td>
    <td role="cell" class="actions">
      ${row.kind === 'member' ? renderMemberActions(row, table, texts) : renderInvitationActions(row, table, texts)}
    </td>
  </tr>`;
}

function renderError(row: Row, { errorOf, isWaiting, onDismiss, onSignIn }: Table, { messages }: Texts): unknown {
  const error = errorOf(row);
  if (error === undefined) return nothing;
  return html`<p class="row-error bad-text">
    ${icons.alert}<span>${error}</span>
    ${isWaiting(row) ? html`<button class="quiet small" @click=${onSignIn}>${messages.signIn}</button>` : nothing}
    <button class="quiet small" aria-label=${messages.dismiss} @click=${() => onDismiss(row)}>${icons.cross}</button>
  </p>`;
}

function renderRole(row: Row, { organization, onRole }: Table, { messages, readable }: Texts): TemplateResult {
  const viewer = organization.role;
  if (row.kind === 'invitation' || viewer !== 'owner') return html`<span>${messages.roles[row.role]}</span>`;
  if (row.lock) {
    const reason = row.lock === 'own' ? messages.ownRole : messages.lastOwner;
    return html`<span class="locked">${messages.roles[row.role]} ${icons.lock}</span><span class="reason soft">${reason}</span>`;
  }
  return html`<select
    aria-label=${messages.roleOf(readable(row.email))}
    @change=${(event: Event) => onRole(row, (event.target as HTMLSelectElement).value as Role)}
  >
    ${grantableRoles(viewer).map((role) => html`<option value=${role} .selected=${live(role === row.role)}>${messages.roles[role]}</option>`)}
  </select>`;
}

function renderStatus(row: InvitationRow, { now }: Table, { messages, formats, language }: Texts): TemplateResult {
  const { expires_at, delivery, delivery_detail } = row.invitation;
  const left = hoursLeft(expires_at, now);
  const until = html`<time datetime=${expires_at} title=${formats.moment(expires_at)}
    >${row.expired ? formats.day(expires_at) : messages.expiresIn(left)}</time
  >`;
  const exact = messages.until(formats.short(expires_at));
  const reasons = { bounced: messages.bouncedWhy, complained: messages.complainedWhy, failed: messages.failedWhy };
  const reason = reasons[delivery as keyof typeof reasons] ?? '';
  const mail = delivery && deliveryText(messages.delivery, delivery);
  return html`${
    row.expired
      ? html`<span class="badge">${icons.clock}${messages.expired} ${until}</span>`
      : html`<span class="badge ${left > SOON_HOURS ? 'open' : 'warn'}">${icons.clock}${until}</span>`
  }
  ${
    mail && row.bounced
      ? html`<span class="badge bad">${icons.alert}${mail}</span>
        <span class="reason soft">${(language === 'en' && delivery_detail) || reason}</span>`
      : nothing
  }
  ${row.expired ? nothing : html`<span class="reason soft">${mail && !row.bounced ? `${mail} · ${exact}` : exact}</span>`}`;
}

function renderMemberActions(row: MemberRow, table: Table, { messages, readable }: Texts): unknown {
  const { organization, isBusy, onLeave, onRemove } = table;
  if (row.own) {
    return html`<button
      class="quiet danger"
      data-action="leave"
      aria-label=${messages.leaveOf(organization.name)}
      aria-disabled=${row.lock === 'last_owner' || isBusy(row)}
      @click=${() => isBusy(row) || onLeave(row)}
    >
      ${messages.leave}
    </button>`;
  }
  if (organization.role !== 'owner') return nothing;
  return html`<button
    class="quiet danger"
    data-action="remove"
    aria-label=${messages.removeOf(readable(row.email))}
    @click=${() => onRemove(row)}
  >
    ${messages.remove}
  </button>`;
}

function renderInvitationActions(row: InvitationRow, table: Table, { messages, formats, readable }: Texts): unknown {
  if (!grantableRoles(table.organization.role).includes(row.role)) return nothing;
  const email = readable(row.email);
  const wait = table.resendWait(row);
  const isDisabled = wait > 0 || table.isBusy(row);
  // The accessible name does not contain the remaining time: otherwise a screen reader would read it every second.
  return html`<button
      class="quiet"
      data-action="resend"
      aria-label=${messages.resendTo(email)}
      aria-disabled=${isDisabled}
      @click=${() => isDisabled || table.onResend(row)}
    >
      ${messages.resend}
    </button>
    ${
      row.expired
        ? nothing
        : html`<button
          class="quiet danger"
          data-action="revoke"
          aria-label=${messages.revokeOf(email)}
          @click=${() => table.onRevoke(row)}
        >
          ${messages.revoke}
        </button>`
    }
    ${wait > 0 ? html`<span class="wait soft">${messages.resendIn(formats.wait(wait))}</span>` : nothing}`;
}

/** Returns a hue for the avatar of an address. The same address always gets the same hue. */
function hueOf(email: string): string {
  let sum = 0;
  for (const character of email) sum = (sum * 31 + character.charCodeAt(0)) % 360;
  return String(sum);
}
