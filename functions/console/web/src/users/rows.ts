/** Combines members and invitations into the rows of one list. */
import { keyOf } from '../address';
import type { Delivery } from '../api';
import type { Invitation, Member, Organization, Role } from '../elements';

/** The rows of one page. A slow processor can render this many without a noticeable delay. */
export const PAGE_ROWS = 50;

export const FILTERS = ['everyone', 'members', 'owners', 'pending', 'expired', 'bounced'] as const;
export type Filter = (typeof FILTERS)[number];

/** The columns by which the rows can be sorted. */
export const COLUMNS = ['user', 'role', 'status'] as const;
export type Column = (typeof COLUMNS)[number];

export interface Sort {
  readonly column: Column;
  readonly isDescending: boolean;
}

/** The reason why the viewer cannot edit a member's role. */
export type Lock = 'own' | 'last_owner';

export interface MemberRow {
  readonly kind: 'member';
  readonly key: string;
  readonly email: string;
  readonly role: Role;
  readonly member: Member;
  /** Whether the member is the viewer. */
  readonly own: boolean;
  readonly lock: Lock | undefined;
}

export interface InvitationRow {
  readonly kind: 'invitation';
  readonly key: string;
  readonly email: string;
  readonly role: Role;
  readonly invitation: Invitation;
  readonly expired: boolean;
  /** Whether the latest mail bounced, could not be sent, or was reported as spam. */
  readonly bounced: boolean;
}

export type Row = MemberRow | InvitationRow;

/** Returns the text for a delivery status. The API may have a status without a text; then returns the status itself. */
export function deliveryText(texts: Record<Delivery, string>, delivery: string): string {
  return texts[delivery as Delivery] ?? delivery;
}

/** Returns the roles that a user with `role` can grant, the one with fewer permissions first. */
export function grantableRoles(role: Role): Role[] {
  return role === 'owner' ? ['member', 'owner'] : ['member'];
}

/** An organization and its users, as loaded from the API. */
export interface Users {
  readonly organization: Organization;
  readonly members: readonly Member[];
  readonly invitations: readonly Invitation[];
}

/** A change of a row that is shown before the API has confirmed it. */
export type Change = { readonly role: Role } | 'removed';

export const memberKey = ({ user_id }: Member): string => `user ${user_id}`;

/** Applies changes, by the keys of their rows. Also adjusts the numbers of seats and owners. */
export function withChanges(users: Users, changes: ReadonlyMap<string, Change>): Users {
  // The common case, and each rendering calls this several times.
  if (!changes.size) return users;
  const { organization, members, invitations } = users;
  let { owners, seats } = organization;
  const ownerCount = (role: Role): number => (role === 'owner' ? 1 : 0);
  const freeSeat = (): void => void (seats = { ...seats, taken: seats.taken - 1, free: seats.free + 1 });
  const remainingMembers = members.flatMap((member) => {
    const change = changes.get(memberKey(member));
    if (!change) return member;
    owners -= ownerCount(member.role);
    if (change === 'removed') {
      freeSeat();
      return [];
    }
    owners += ownerCount(change.role);
    return { ...member, role: change.role };
  });
  const remainingInvitations = invitations.filter((invitation) => {
    if (changes.get(invitation.id) !== 'removed') return true;
    freeSeat();
    return false;
  });
  return { organization: { ...organization, owners, seats }, members: remainingMembers, invitations: remainingInvitations };
}

/** Returns the rows: invitations first, the newest at the top, then members by address. */
export function rowsOf({ organization, members, invitations }: Users, viewer: string | undefined, now: number): Row[] {
  const invitationRows = invitations.map((invitation): InvitationRow => {
    const { id, email, role, status, expires_at, delivery } = invitation;
    return {
      kind: 'invitation',
      key: id,
      email,
      role,
      invitation,
      // Compare the times: the invitation may have expired since it was loaded.
      expired: status === 'expired' || Date.parse(expires_at) <= now,
      bounced: delivery === 'bounced' || delivery === 'complained' || delivery === 'failed',
    };
  });
  invitationRows.sort((a, b) => compare(b.invitation.created_at, a.invitation.created_at) || byAddress(a, b));
  const memberRows = members.map((member): MemberRow => {
    const { user_id, email, role } = member;
    const own = user_id === viewer;
    const isLastOwner = role === 'owner' && organization.owners < 2;
    return { kind: 'member', key: memberKey(member), email, role, member, own, lock: isLastOwner ? 'last_owner' : own ? 'own' : undefined };
  });
  memberRows.sort(byAddress);
  return [...invitationRows, ...memberRows];
}

/** Compares addresses as people sort them: `cool2` before `cool10`. */
const { compare: compareNaturally } = new Intl.Collator('en', { numeric: true });

function byAddress(a: Row, b: Row): number {
  return compareNaturally(a.email, b.email) || compare(a.key, b.key);
}

/** The order of the statuses: first what needs attention, then what is open, last what is done. */
function statusRank(row: Row): number {
  if (row.kind === 'member') return 3;
  return row.bounced ? 0 : row.expired ? 2 : 1;
}

const COMPARISONS: Record<Column, (a: Row, b: Row) => number> = {
  user: byAddress,
  role: (a, b) => Number(b.role === 'owner') - Number(a.role === 'owner'),
  status: (a, b) => statusRank(a) - statusRank(b),
};

/** Returns the rows in another order. Rows with the same role or status stay in the order of their addresses. */
export function sortedRows(rows: readonly Row[], sort: Sort | undefined): readonly Row[] {
  if (!sort) return rows;
  const sign = sort.isDescending ? -1 : 1;
  return rows.toSorted((a, b) => sign * COMPARISONS[sort.column](a, b) || byAddress(a, b));
}

/** Returns the order after a click on a column's header: ascending, descending, and then the default order. */
export function nextSort(sort: Sort | undefined, column: Column): Sort | undefined {
  if (sort?.column !== column) return { column, isDescending: false };
  return sort.isDescending ? undefined : { column, isDescending: true };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const PREDICATES: Record<Filter, (row: Row) => boolean> = {
  everyone: () => true,
  members: (row) => row.kind === 'member',
  owners: (row) => row.kind === 'member' && row.role === 'owner',
  pending: (row) => row.kind === 'invitation' && !row.expired,
  expired: (row) => row.kind === 'invitation' && row.expired,
  bounced: (row) => row.kind === 'invitation' && row.bounced,
};

/** Returns the number of rows for each filter. */
export function countsByFilter(rows: readonly Row[]): Record<Filter, number> {
  return Object.fromEntries(FILTERS.map((filter) => [filter, rows.filter(PREDICATES[filter]).length])) as Record<Filter, number>;
}

/**
 * Returns the rows that match the filter, and have every word of `search` in the address. A word matches the stored
 * address, the address as `readable` shows it, and every spelling of a whole domain.
 */
export function matchingRows(rows: readonly Row[], filter: Filter, search: string, readable: (address: string) => string): Row[] {
  const words = search.toLowerCase().normalize().split(/\s+/).filter(Boolean);
  const pairs = words.map((word) => [word, keyOf(`@${word}`).slice(1)] as const);
  return rows.filter((row) => {
    if (!PREDICATES[filter](row)) return false;
    const { email } = row;
    // Only a domain in punycode has another spelling, and each keystroke looks at all rows.
    const shown = email.includes('xn--') ? readable(email) : email;
    return pairs.every(([word, key]) => shown.includes(word) || email.includes(word) || email.includes(key));
  });
}

/** Returns one page of the rows. A number beyond the last page gives the last page. */
export function pageOf(rows: readonly Row[], page: number): { page: number; first: number; rows: Row[]; last: boolean } {
  const number = Math.max(0, Math.min(page, Math.ceil(rows.length / PAGE_ROWS) - 1));
  const first = number * PAGE_ROWS;
  return { page: number, first, rows: rows.slice(first, first + PAGE_ROWS), last: first + PAGE_ROWS >= rows.length };
}

/** Removes one row. Also adjusts the numbers of seats and owners. */
export function withoutRow(users: Users, key: string): Users {
  return withChanges(users, new Map([[key, 'removed']]));
}

/** Replaces a member. Also adjusts the number of owners. */
export function withMember(users: Users, member: Member): Users {
  const changed = withChanges(users, new Map([[memberKey(member), { role: member.role }]]));
  return { ...changed, members: changed.members.map((other) => (other.user_id === member.user_id ? member : other)) };
}

/** Adds invitations, or replaces those with the same id. Also adjusts the numbers of seats. */
export function withInvitations({ organization, members, invitations }: Users, added: readonly Invitation[]): Users {
  const ids = new Set(added.map(({ id }) => id));
  const alreadyPending = invitations.filter(({ id, status }) => ids.has(id) && status === 'pending').length;
  const { seats } = organization;
  const taken = added.length - alreadyPending;
  return {
    organization: { ...organization, seats: { ...seats, taken: seats.taken + taken, free: seats.free - taken } },
    members,
    invitations: [...added, ...invitations.filter(({ id }) => !ids.has(id))],
  };
}
