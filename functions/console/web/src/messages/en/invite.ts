import type { Role } from '../../elements';
import type { Verdict } from '../../invite/verdict';

const people = (count: number, shown: string): string => (count === 1 ? '1 person' : `${shown} people`);

/** Messages of the invite dialog. A `shown` parameter is a number as text, formatted for the locale. */
const messages = {
  title: (organization: string) => `Invite people to ${organization}`,
  intro: 'Each person gets an email with a personal link.',
  addresses: 'Email addresses',
  placeholder: 'name@company.example, or paste a list',
  another: 'Add another',
  hint: 'Separate addresses with commas or line breaks. Use the arrow keys to move between entered addresses.',
  list: 'Entered addresses',
  edit: 'edit',
  ready: 'ready',
  remove: (address: string) => `Remove ${address}`,
  removed: (address: string) => `${address} removed.`,
  removeAll: 'Remove all',
  allRemoved: 'All addresses removed.',
  removeRefused: (shown: string) => `Remove the ${shown} with problems`,
  more: (shown: string) => `and ${shown} more`,
  summary: (ready: string, problems: number, shown: string) =>
    `${ready} ready${problems === 0 ? '' : problems === 1 ? ', 1 with a problem' : `, ${shown} with problems`}`,
  nothingReady: 'Enter at least one valid email address.',
  repeated: (count: number, shown: string) => (count === 1 ? '1 duplicate skipped' : `${shown} duplicates skipped`),
  skippedLines: (count: number, shown: string) =>
    count === 1 ? '1 line without an address skipped' : `${shown} lines without an address skipped`,
  /** For addresses of other columns of a table, like those of managers, and of the header of a forwarded mail. */
  unused: (count: number, shown: string) =>
    count === 1 ? '1 address in other columns or headers skipped' : `${shown} addresses in other columns or headers skipped`,
  tooMany: (most: string, shown: string) => `You can add up to ${most} addresses at a time; ${shown} skipped`,
  seats: (count: number, shown: string) => (count === 0 ? 'No seats left' : count === 1 ? '1 seat left' : `${shown} seats left`),
  tooFewSeats: (missing: number, shown: string) =>
    `There are not enough seats. Remove ${missing === 1 ? '1 address' : `${shown} addresses`}, or free up seats by revoking invitations or removing members.`,
  role: 'Role',
  roleHelp: {
    owner: 'Can also invite owners, change roles and remove members.',
    member: 'Can see all users and invite members.',
  } satisfies Record<Role, string>,
  ownerPower: 'Owners have full control: they can rename the organization, change any role and remove anyone, including you.',
  confirmOwner: (email: string, organization: string) => `Yes, make ${email} an owner of ${organization}`,
  confirmOwners: (shown: string, organization: string) => `Yes, make these ${shown} people owners of ${organization}`,
  ownerMissing: 'To invite owners, confirm this first.',
  language: 'Email language',
  defaultLanguage: 'Default',
  invite: 'Invite',
  inviteCount: (count: number, shown: string) => `Invite ${people(count, shown)}`,
  inviteOwners: (count: number, shown: string) => (count === 1 ? 'Invite 1 owner' : `Invite ${shown} owners`),
  sending: (upTo: string, total: string) => `Sending ${upTo} of ${total}…`,
  signedOut: 'You are signed out. Sign in again to send the invitations.',
  stopping: 'Stopping…',
  stopped: (invited: number, shown: string, left: string) =>
    invited === 0 ? 'Stopped. No one was invited.' : `Stopped: ${people(invited, shown)} invited, ${left} not invited yet.`,
  invited: (count: number, shown: string) => `${people(count, shown)} invited.`,
  refused: (count: number, shown: string) =>
    count === 1
      ? '1 address could not be invited. See the reason next to it.'
      : `${shown} addresses could not be invited. See the reasons next to them.`,
  done: 'Done',
  noneInvited: 'No one was invited.',
  /** `when` is a text like `in 45 seconds`. Unused in English: the API's English text already contains the time. */
  again: (when: string) => `Try again ${when}.`,
  verdicts: {
    already_member: 'is already a member',
    already_invited: 'has already been invited; you can resend or revoke the invitation in the list',
    no_at: 'has no @',
    spaces: 'contains a space; keep only the address',
    no_local: 'has nothing before the @',
    no_domain: 'is incomplete after the @',
    not_ascii: 'has an unsupported letter before the @, such as ü or é',
    bad_local: 'is not valid before the @',
    bad_domain: 'is not valid after the @',
    too_long: 'is too long',
  } satisfies Record<Exclude<Verdict, 'ready' | 'duplicate'>, string>,
};

export type InviteMessages = typeof messages;
export default messages;
