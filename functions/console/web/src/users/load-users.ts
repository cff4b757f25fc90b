/** Loads an organization and its users. */
import type { Api } from '../api';
import type { Invitation, Member, Organization } from '../elements';
import type { Users } from './rows';

/**
 * Loads an organization with all members and invitations. With `onPart`, first loads a small page of each list, and calls
 * `onPart` with the users so far whenever there are more of them.
 */
export async function loadUsers(api: Api, id: string, onPart?: (users: Users) => void): Promise<Users> {
  let organization: Organization | undefined;
  let members: readonly Member[] = [];
  let pending: readonly Invitation[] = [];
  let expired: readonly Invitation[] = [];
  const report = (): void => {
    if (organization && members.length + pending.length + expired.length) onPart?.(users(organization));
  };
  const users = (organization: Organization): Users => ({ organization, members, invitations: [...pending, ...expired] });
  /** Returns the callback for the first page of a list. */
  const onFirst = <Item>(take: (items: readonly Item[]) => void) =>
    onPart &&
    ((items: readonly Item[]): void => {
      take(items);
      report();
    });
  const loadOrganization = async (): Promise<Organization> => {
    organization = await api.organization(id);
    report();
    return organization;
  };
  const [loaded, ...lists] = await Promise.all([
    loadOrganization(),
    api.members(
      id,
      onFirst((items) => (members = items)),
    ),
    api.invitations(
      id,
      'pending',
      onFirst((items) => (pending = items)),
    ),
    api.invitations(
      id,
      'expired',
      onFirst((items) => (expired = items)),
    ),
  ]);
  [members, pending, expired] = lists;
  return users(loaded);
}
