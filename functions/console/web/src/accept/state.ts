/** What the accept page shows, and when: pure, so that every way there is tested. */
import { CallError, type Code, type Preview } from '../api';

/** One screen each. */
export type State =
  | 'loading'
  /** The page was opened without a link's token. */
  | 'no_token'
  /** Forged, cut or foreign. */
  | 'invalid_token'
  /** It may be answered: somebody is signed in whose address is, for all that is known, the invited one. */
  | 'open'
  /** It may be answered, but nobody is signed in. */
  | 'sign_in'
  /** It may be answered, but by somebody else than who is signed in. */
  | 'other_account'
  | 'expired'
  | 'revoked'
  /** A newer mail has a newer link. */
  | 'superseded'
  /** Used before. */
  | 'accepted'
  /** Declined before. */
  | 'declined'
  /** Whoever accepted it was removed since, or left. */
  | 'removed'
  /** The sender may not grant the role any more. */
  | 'sender_lost_authority'
  | 'email_not_verified'
  /** A member by another invitation. */
  | 'already_member'
  /** Just accepted. */
  | 'joined'
  /** Just declined. */
  | 'refused'
  /** No connection. */
  | 'unreachable'
  /** Whatever else keeps the invitation from being shown. */
  | 'problem';

/** What a preview means to whoever is signed in as `viewer`, at `now` (milliseconds). */
export function stateOf(preview: Preview, viewer: { email: string } | undefined, now: number): State {
  if (preview.status !== 'pending') return preview.status;
  // The comparison decides, also on a page that was left open.
  if (Date.parse(preview.expires_at) <= now) return 'expired';
  if (!viewer) return 'sign_in';
  // Where the token names no address it may be the right one: the API tells.
  return viewer.email === '' || sameAddress(viewer.email, preview.email) ? 'open' : 'other_account';
}

const REFUSALS: Partial<Record<Code, State>> = {
  // The body of these calls is the token and nothing else.
  malformed_request: 'invalid_token',
  too_large: 'invalid_token',
  invalid_token: 'invalid_token',
  invitation_superseded: 'superseded',
  invitation_expired: 'expired',
  invitation_revoked: 'revoked',
  invitation_declined: 'declined',
  invitation_accepted: 'accepted',
  email_not_verified: 'email_not_verified',
  email_mismatch: 'other_account',
  already_member: 'already_member',
  sender_lost_authority: 'sender_lost_authority',
  signed_out: 'sign_in',
};

/** What a refusal means; undefined where it says nothing about the invitation, and another try may work. */
export function stateAfter(error: unknown): State | undefined {
  return error instanceof CallError ? REFUSALS[error.code] : undefined;
}

/** What to show where there is no preview because of `error`. */
export function stateWithout(error: unknown): State {
  return stateAfter(error) ?? (error instanceof CallError && error.code === 'unreachable' ? 'unreachable' : 'problem');
}

/** Whether two addresses are one, as the API compares them: ASCII lower case, the domain as punycode. */
export function sameAddress(one: string, other: string): boolean {
  return folded(one) === folded(other);
}

function folded(address: string): string {
  const at = address.lastIndexOf('@') + 1;
  const host = `http://${address.slice(at)}`;
  return address.slice(0, at).toLowerCase() + (URL.canParse(host) ? new URL(host).hostname : host);
}

/** `i…@partner.example`: enough for whoever it is to know it, and no more for others. */
export function masked(address: string): string {
  return `${address.slice(0, 1)}…${address.slice(address.lastIndexOf('@'))}`;
}
