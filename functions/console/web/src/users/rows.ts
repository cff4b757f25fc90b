/** Members and invitations as the rows of one list. */
import type { Invitation, Member, Organization, Role } from '../elements';

/** Rows of one page: what a slow processor renders at once without being noticed. */
export const PAGE_ROWS = 50;

export const FILTERS = ['everyone', 'members', 'pending', 'expired', 'bounced'] as const;
export type Filter = (typeof FILTERS)[number];

/** Why a member's role is not to be edited. */
export type Lock = 'own' | 'last_owner';

export interface MemberRow {
  readonly kind: 'member';
  readonly key: string;
  readonly email: string;
  readonly role: Role;
  readonly member: Member;
  /** Whether it is the viewer's. */
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
  /** The newest mail did not arrive. */
  readonly bounced: boolean;
}

export type Row = MemberRow | InvitationRow;

/** Roles that a holder of that role may grant, the lesser one first. */
export function grantable(role: Role): Role[] {
  return role === 'owner' ? ['member', 'owner'] : ['member'];
}

/** An organization's users, as the API told them. */
export interface Users {
  readonly organization: Organization;
  readonly members: readonly Member[];
  readonly invitations: readonly Invitation[];
}

/** What is on its way to the API for a row, and shows already. */
export type Change = { readonly role: Role } | 'gone';

export const keyOfMember = ({ user_id }: Member): string => `user ${user_id}`;

/** The users with these changes done, by the keys of their rows; seats and owners follow. */
export function changed(users: Users, changes: ReadonlyMap<string, Change>): Users {
  // Nearly always, and asked for several times a rendering.
  if (!changes.size) return users;
  const { organization, members, invitations } = users;
  let { owners, seats } = organization;
  const one = (role: Role): number => (role === 'owner' ? 1 : 0);
  const free = (): void => void (seats = { ...seats, taken: seats.taken - 1, free: seats.free + 1 });
  const others = members.flatMap((member) => {
    const change = changes.get(keyOfMember(member));
    if (!change) return member;
    owners -= one(member.role);
    if (change === 'gone') {
      free();
      return [];
    }
    owners += one(change.role);
    return { ...member, role: change.role };
  });
  const open = invitations.filter((invitation) => {
    if (changes.get(invitation.id) !== 'gone') return true;
    free();
    return false;
  });
  return { organization: { ...organization, owners, seats }, members: others, invitations: open };
}

/** Open invitations by their age, the youngest first; then members by address. */
export function rowsOf({ organization, members, invitations }: Users, viewer: string | undefined, now: number): Row[] {
  const byAge = invitations.map((invitation): InvitationRow => {
    const { id, email, role, status, expires_at, delivery } = invitation;
    return {
      kind: 'invitation',
      key: id,
      email,
      role,
      invitation,
      // The comparison decides, whatever the status was when it was asked for.
      expired: status === 'expired' || Date.parse(expires_at) <= now,
      bounced: delivery === 'bounced' || delivery === 'complained' || delivery === 'failed',
    };
  });
  byAge.sort((a, b) => order(b.invitation.created_at, a.invitation.created_at) || order(a.email, b.email));
  const byAddress = members.map((member): MemberRow => {
    const { user_id, email, role } = member;
    const own = user_id === viewer;
    const last = role === 'owner' && organization.owners < 2;
    return { kind: 'member', key: keyOfMember(member), email, role, member, own, lock: last ? 'last_owner' : own ? 'own' : undefined };
  });
  byAddress.sort((a, b) => order(a.email, b.email) || order(a.key, b.key));
  return [...byAge, ...byAddress];
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const FILTER: Record<Filter, (row: Row) => boolean> = {
  everyone: () => true,
  members: (row) => row.kind === 'member',
  pending: (row) => row.kind === 'invitation' && !row.expired,
  expired: (row) => row.kind === 'invitation' && row.expired,
  bounced: (row) => row.kind === 'invitation' && row.bounced,
};

/** How many rows each filter lets through. */
export function counts(rows: readonly Row[]): Record<Filter, number> {
  return Object.fromEntries(FILTERS.map((filter) => [filter, rows.filter(FILTER[filter]).length])) as Record<Filter, number>;
}

/** The rows of that filter whose address holds every word of `search`. */
export function matching(rows: readonly Row[], filter: Filter, search: string): Row[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => FILTER[filter](row) && words.every((word) => row.email.includes(word)));
}

/** One page of the rows: the last one there is where `page` is beyond it. */
export function pageOf(rows: readonly Row[], page: number): { page: number; first: number; rows: Row[]; last: boolean } {
  const at = Math.max(0, Math.min(page, Math.ceil(rows.length / PAGE_ROWS) - 1));
  const first = at * PAGE_ROWS;
  return { page: at, first, rows: rows.slice(first, first + PAGE_ROWS), last: first + PAGE_ROWS >= rows.length };
}

/** The users without the row of that key; seats and owners follow. */
export function without(users: Users, key: string): Users {
  return changed(users, new Map([[key, 'gone']]));
}
