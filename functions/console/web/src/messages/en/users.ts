import type { Delivery } from '../../api';
import type { Role } from '../../elements';

/** Messages of the user list. */
const messages = {
  title: 'Users',
  organization: 'Organization',
  newOrganization: 'New organization',
  rename: 'Rename',
  invite: 'Invite people',
  seats: (taken: string, total: string) => `${taken} of ${total} seats used`,
  seatsFull: (total: string) => `All ${total} seats are taken. To free one, remove a member or revoke an invitation.`,

  search: 'Search by email',
  show: 'Show',
  filters: { everyone: 'Everyone', members: 'Members', pending: 'Pending', expired: 'Expired', bounced: 'Bounced' },
  shown: (first: string, last: string, all: string) => `${first}–${last} of ${all}`,
  found: (count: number, shown: string) => (count === 1 ? '1 person' : `${shown} people`),
  pages: 'Pages',
  previous: 'Previous',
  next: 'Next',

  columns: { user: 'User', role: 'Role', status: 'Status', actions: 'Actions' },
  you: 'You',
  roleOf: (email: string) => `Role of ${email}`,
  ownRole: 'Only another owner can change your role',
  lastOwner: 'The last owner must stay an owner',
  memberSince: (day: string) => `Member since ${day}`,
  invitedBy: (email: string) => `Invited by ${email}`,
  invitedByYou: 'Invited by you',

  active: 'Active',
  expiresIn: (hours: number) => `Expires in ${hours} h`,
  until: (moment: string) => `until ${moment}`,
  expired: 'Expired',
  delivery: {
    queued: 'Sending email',
    sent: 'Email sent',
    delivered: 'Email delivered',
    bounced: 'Bounced',
    complained: 'Reported as spam',
    failed: 'Email not sent',
  } satisfies Record<Delivery, string>,
  bouncedWhy: 'The email could not be delivered to this address.',
  complainedWhy: 'The email was reported as spam.',
  failedWhy: 'The email could not be sent.',

  resend: 'Resend',
  resendTo: (email: string) => `Resend to ${email}`,
  resendIn: (wait: string) => `Resend in ${wait}`,
  revoke: 'Revoke',
  revokeOf: (email: string) => `Revoke the invitation to ${email}`,
  remove: 'Remove',
  removeOf: (email: string) => `Remove ${email}`,
  leave: 'Leave',
  leaveOf: (organization: string) => `Leave ${organization}`,
  leaveLast: 'You are the only owner. Make another member an owner before you leave.',

  invited: (count: number, shown: string) => (count === 1 ? '1 person was invited.' : `${shown} people were invited.`),
  resent: (email: string, until: string) => `Invitation resent to ${email}. It is valid until ${until}.`,
  revoked: (email: string) => `The invitation to ${email} was revoked.`,
  removed: (email: string) => `${email} was removed.`,
  roleEdited: (email: string, role: Role) => `${email} is now ${role === 'owner' ? 'an owner' : 'a member'}.`,
  undo: 'Undo',
  alreadyRemoved: (email: string) => `${email} had already been removed.`,
  undone: (reason: string) => `Change undone: ${reason}`,
  left: (organization: string) => `You left ${organization}.`,
  leftText: 'To come back, you need a new invitation.',
  created: (organization: string) => `${organization} was created. Invite the people you work with.`,
  renamed: (organization: string) => `The organization was renamed to ${organization}.`,
  dismiss: 'Dismiss',
  /** The row of an operation that waits for a sign-in. */
  waiting: 'You are signed out. Sign in within 15 minutes and this goes through automatically.',
  /** While the only matching row is being removed, and afterwards. */
  removing: (email: string) => `Removing ${email}…`,
  revoking: (email: string) => `Revoking the invitation to ${email}…`,
  noOtherMatch: 'There are no other matches.',

  loadFailed: 'The users could not be loaded',
  notFound: 'This organization does not exist, or you are not a member of it.',
  notFoundTitle: 'Organization not found',
  signedOutTitle: 'You are signed out',
  signedOutText: 'Sign in again to continue where you left off.',
  noMatch: 'No matches',
  noMatchText: 'Try a different part of the email address, or show everyone.',
  clear: 'Show everyone',
  noneOf: {
    everyone: 'No users',
    members: 'No members',
    pending: 'No pending invitations',
    expired: 'No expired invitations',
    bounced: 'No bounced emails',
  },
  alone: 'You are the only one here',
  aloneText: 'Invite the people you work with. They each get an email with a link to join.',

  noOrganization: 'You are not in an organization',
  noOrganizationText: 'Create one for your team, or open the link in your invitation email.',
  create: 'Create organization',
};

export type UsersMessages = typeof messages;
export default messages;
