import type { Role } from '../../elements';
import type { Verdict } from '../../invite/addresses';

const people = (count: number, shown: string): string => (count === 1 ? '1 person' : `${shown} people`);

/** What the dialog says that invites people. A `shown` is its number, as the locale writes it. */
const messages = {
  title: (organization: string) => `Invite people to ${organization}`,
  intro: 'Everybody gets a mail with a link of their own.',
  addresses: 'E-mail addresses',
  placeholder: 'name@company.example, or paste a whole list',
  another: 'Add another',
  hint: 'Separate addresses by commas or lines. The arrow keys move among those entered.',
  list: 'Addresses entered',
  edit: 'edit',
  ready: 'ready',
  remove: (address: string) => `Remove ${address}`,
  removed: (address: string) => `${address} removed.`,
  removeAll: 'Remove all',
  more: (shown: string) => `and ${shown} more`,
  summary: (ready: string, problems: number, shown: string) =>
    `${ready} ready${problems === 0 ? '' : problems === 1 ? ', 1 with a problem' : `, ${shown} with a problem`}`,
  nothingReady: 'No address is ready yet.',
  repeated: (count: number, shown: string) => (count === 1 ? '1 repeated, left out' : `${shown} repeated, left out`),
  tooMany: (most: string, shown: string) => `${most} at once are the most; ${shown} left out`,
  seats: (count: number, shown: string) => (count === 0 ? 'No seats left' : count === 1 ? '1 seat left' : `${shown} seats left`),
  tooFewSeats: (missing: number, shown: string) =>
    `There are not enough seats: remove ${missing === 1 ? '1 address' : `${shown} addresses`}, or revoke invitations and remove members first.`,
  role: 'They join as',
  roleHelp: {
    owner: 'Invites owners too, changes roles, removes members.',
    member: 'Sees the list and invites more members.',
  } satisfies Record<Role, string>,
  language: 'Language of the mail',
  asUsual: 'As usual',
  invite: 'Invite',
  inviteCount: (count: number, shown: string) => `Invite ${people(count, shown)}`,
  sending: (upTo: string, total: string) => `Sending ${upTo} of ${total}…`,
  stopping: 'Stopping…',
  stopped: (invited: number, shown: string, left: string) =>
    invited === 0 ? 'Stopped before anybody was invited.' : `Stopped: ${people(invited, shown)} invited, ${left} not yet.`,
  invited: (count: number, shown: string) => `${people(count, shown)} invited.`,
  refused: (count: number, shown: string) =>
    count === 1 ? '1 address was left out: it shows why.' : `${shown} addresses were left out: each shows why.`,
  done: 'Done',
  nobody: 'Nobody was invited.',
  /** `when` is `in 45 seconds`. The API says it itself, in English. */
  again: (when: string) => `Possible again ${when}.`,
  verdicts: {
    already_member: 'is a member already',
    already_invited: 'has a pending invitation; resend it from the list',
    no_at: 'has no @',
    spaces: 'has spaces in it',
    no_local: 'nothing before the @',
    no_domain: 'not complete after the @',
    not_ascii: 'only letters without accents may stand before the @',
    bad_local: 'something before the @ cannot be there',
    bad_domain: 'something after the @ cannot be there',
    too_long: 'too long for an address',
  } satisfies Record<Exclude<Verdict, 'ready' | 'duplicate'>, string>,
};

export type InviteMessages = typeof messages;
export default messages;
