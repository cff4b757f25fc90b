/** The table: a row for each member and invitation, with role, status and actions. */
import { html, nothing, type TemplateResult } from 'lit';
import { guard } from 'lit/directives/guard.js';
import { live } from 'lit/directives/live.js';
import { repeat } from 'lit/directives/repeat.js';
import type { Organization, Role } from '../elements';
import { hoursLeft } from '../i18n';
import * as icons from '../icons';
import { COLUMNS, deliveryText, grantableRoles, type Column, type InvitationRow, type MemberRow, type Row, type Sort } from './rows';
import type { Texts } from './view';

/** An invitation with at most this many hours left is highlighted. */
const SOON_HOURS = 6;
/** The signs of the sort directions. A column that is not sorted has the space for one. */
const ARROWS = { ascending: '↑', descending: '↓', none: '' };

export interface Table {
  readonly rows: readonly Row[];
  /** Whether other rows will replace some of these at once. */
  readonly isIncomplete: boolean;
  /** The order of the rows. Undefined for the default order. */
  readonly sort: Sort | undefined;
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
  /** Called before a control of a row gets a `mousedown` or `click`, and can stop the event. */
  readonly onPointer: (event: MouseEvent) => void;
  readonly onSort: (column: Column) => void;
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
        ${COLUMNS.map((column) => renderHeader(column, table, columns[column]))}
        <th role="columnheader" scope="col"><span class="visually-hidden">${columns.actions}</span></th>
      </tr>
    </thead>
    <tbody
      role="rowgroup"
      aria-busy=${table.isIncomplete}
      @mousedown=${{ handleEvent: table.onPointer, capture: true }}
      @click=${{ handleEvent: table.onPointer, capture: true }}
    >
      ${repeat(
        table.rows,
        ({ key }) => key,
        (row) => guard(dependencies(row, table, texts), () => renderRow(row, table, texts)),
      )}
    </tbody>
  </table>`;
}

function renderHeader(column: Column, { sort, onSort }: Table, title: string): TemplateResult {
  const direction = sort?.column === column ? (sort.isDescending ? 'descending' : 'ascending') : 'none';
  return html`<th role="columnheader" scope="col" aria-sort=${direction}>
    <button class="quiet small" @click=${() => onSort(column)}>${title} <span aria-hidden="true">${ARROWS[direction]}</span></button>
  </th>`;
}

/** Returns everything that the row's content depends on. Rendering 50 rows is slow, and most updates change few of them. */
function dependencies(row: Row, table: Table, texts: Texts): unknown[] {
  const { organization, now } = table;
  const { messages, formats, readable } = texts;
  const invitation =
    row.kind === 'invitation'
      ? [readable(row.invitation.sender.email), hoursLeft(row.invitation.expires_at, now), table.resendWait(row)]
      : [];
  // `readable` returns another text when its module is loaded.
  const { role, name } = organization;
  return [
    row,
    role,
    name,
    table.isBusy(row),
    table.errorOf(row),
    table.isWaiting(row),
    messages,
    formats,
    readable(row.email),
    ...invitation,
  ];
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
  return html`<tr role="row" tabindex="-1" class=${row.kind} data-key=${row.key} aria-busy=${table.isBusy(row)}>
    <th role="rowheader" scope="row" class="user">
      <span class="avatar" aria-hidden="true" .style=${`--hue:${hueOf(row.email)}`}>
        ${row.kind === 'member' ? row.email[0] : icons.mail}
      </span>
      <span class="name">
        <span class="email clip" title=${email === row.email ? nothing : row.email}>${email}</span>
        ${own ? html`<span class="you">${messages.you}</span>` : nothing}
      </span>
      <span class="detail clip soft">${detail}</span>
    </th>
    <td role="cell" class="role">${renderRole(row, table, texts)}</td>
    <td role="cell" class="status">
      ${row.kind === 'member' ? renderMemberStatus(row, table, texts) : renderInvitationStatus(row, table, texts)}
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

function renderRole(row: Row, { organization, onRole }: Table, { messages, readable }: Texts): unknown {
  const viewer = organization.role;
  const name = messages.roles[row.role];
  if (row.kind === 'invitation' || viewer !== 'owner') return name;
  if (row.lock) return html`${name} ${icons.lock}`;
  return html`<select
    aria-label=${messages.roleOf(readable(row.email))}
    @change=${(event: Event) => onRole(row, (event.target as HTMLSelectElement).value as Role)}
  >
    ${grantableRoles(viewer).map((role) => html`<option value=${role} .selected=${live(role === row.role)}>${messages.roles[role]}</option>`)}
  </select>`;
}

/** Renders a badge, and below it or beside it a note. Each row has both, so that all rows have the same height. */
function renderBadge(kind: string, icon: TemplateResult, text: unknown, note: unknown): TemplateResult {
  return html`<span class="badge ${kind}">${icon}<span class="clip">${text}</span></span><span class="note clip soft">${note}</span>`;
}

function renderMemberStatus({ lock }: MemberRow, { organization }: Table, { messages }: Texts): TemplateResult {
  const reason = lock === 'own' ? messages.ownRole : messages.lastOwner;
  return renderBadge('good', icons.check, messages.active, lock && organization.role === 'owner' ? reason : '');
}

function renderInvitationStatus(row: InvitationRow, table: Table, { messages, formats, language }: Texts): TemplateResult {
  const { expires_at, delivery, delivery_detail } = row.invitation;
  const left = hoursLeft(expires_at, table.now);
  const wait = table.resendWait(row);
  const time = (text: string): TemplateResult => html`<time datetime=${expires_at} title=${formats.moment(expires_at)}>${text}</time>`;
  const expiry = row.expired ? messages.expired : messages.expiresIn(left);
  const mail = delivery && deliveryText(messages.delivery, delivery);
  const resendIn = wait && html`<span class="wait">${messages.resendIn(formats.wait(wait))}</span>`;
  if (mail && row.bounced) {
    const reasons = { bounced: messages.bouncedWhy, complained: messages.complainedWhy, failed: messages.failedWhy };
    const reason = (language === 'en' && delivery_detail) || reasons[delivery as keyof typeof reasons];
    return renderBadge('bad', icons.alert, mail, html`${resendIn || time(expiry)} · ${reason}`);
  }
  const until = formats.short(expires_at);
  if (row.expired) return renderBadge('', icons.clock, expiry, resendIn || time(until));
  const exact = messages.until(until);
  const note = wait ? html`${resendIn}${mail && ` · ${mail}`}` : mail ? `${mail} · ${exact}` : exact;
  return renderBadge(left > SOON_HOURS ? 'open' : 'warn', icons.clock, time(expiry), note);
}

function renderMemberActions(row: MemberRow, table: Table, { messages, readable }: Texts): unknown {
  const { organization, isBusy, onLeave, onRemove } = table;
  if (!row.own && organization.role !== 'owner') return nothing;
  const [action, text, label, onClick] = row.own
    ? ['leave', messages.leave, messages.leaveOf(organization.name), onLeave]
    : ['remove', messages.remove, messages.removeOf(readable(row.email)), onRemove];
  return html`<button
    class="quiet danger"
    data-action=${action}
    aria-label=${label}
    aria-disabled=${row.own && (row.lock === 'last_owner' || isBusy(row))}
    @click=${() => (row.own && isBusy(row)) || onClick(row)}
  >
    ${text}
  </button>`;
}

function renderInvitationActions(row: InvitationRow, table: Table, { messages, readable }: Texts): unknown {
  if (!grantableRoles(table.organization.role).includes(row.role)) return nothing;
  const email = readable(row.email);
  const isDisabled = table.resendWait(row) > 0 || table.isBusy(row);
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
    }`;
}

/** Returns a hue for the avatar of an address. The same address always gets the same hue. */
function hueOf(email: string): string {
  let sum = 0;
  for (const character of email) sum = (sum * 31 + character.charCodeAt(0)) % 360;
  return String(sum);
}
