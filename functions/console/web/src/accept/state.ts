/** Decides which screen the accept element shows. The functions are pure, so every case has a unit test. */
import { CallError, type Code, type Preview } from '../api';

/** The screens of the accept element. */
export type State =
  | 'loading'
  /** The page was opened without a link's token. */
  | 'no_token'
  /** The token is forged, incomplete, or from another deployment. */
  | 'invalid_token'
  /** The viewer can accept or decline: their address is the invited one, or their token contains no address. */
  | 'open'
  /** The invitation is pending, but the user is not signed in. */
  | 'sign_in'
  /** The invitation is pending, but the viewer's address is not the invited one. */
  | 'other_account'
  | 'expired'
  | 'revoked'
  /** The invitation was resent, so there is a newer link. */
  | 'superseded'
  /** It was accepted before the page was opened. */
  | 'accepted'
  /** It was declined before the page was opened. */
  | 'declined'
  /** It was accepted, but the member has left or was removed. */
  | 'removed'
  /** The sender cannot grant the invitation's role at the moment. */
  | 'sender_lost_authority'
  | 'email_not_verified'
  /** The viewer is already a member, through another invitation. */
  | 'already_member'
  /** The viewer has just accepted on this page. */
  | 'joined'
  /** The viewer has just declined on this page. */
  | 'just_declined'
  /** The API could not be reached. */
  | 'unreachable'
  /** The invitation could not be loaded for any other reason. */
  | 'problem';

/** Returns the screen for a preview, a viewer (undefined if not signed in) and the time `now` in milliseconds. */
export function stateOf(preview: Preview, viewer: { email: string } | undefined, now: number): State {
  if (preview.status !== 'pending') return preview.status;
  // Compare the times instead of relying on the status: the page may have been open for a long time.
  if (Date.parse(preview.expires_at) <= now) return 'expired';
  if (!viewer) return 'sign_in';
  // If the token contains no address, the viewer may be the invitee. The API checks that on accept.
  return viewer.email === '' || sameAddress(viewer.email, preview.email) ? 'open' : 'other_account';
}

const STATE_BY_CODE: Partial<Record<Code, State>> = {
  // The body of these calls contains only the token.
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

/**
 * Returns the screen after a failed call. Undefined if the error is not about the invitation, so that a retry may
 * succeed.
 */
export function stateAfterError(error: unknown): State | undefined {
  return error instanceof CallError ? STATE_BY_CODE[error.code] : undefined;
}

/** Returns the screen if the preview could not be loaded because of `error`. */
export function stateWithoutPreview(error: unknown): State {
  return stateAfterError(error) ?? (error instanceof CallError && error.code === 'unreachable' ? 'unreachable' : 'problem');
}

/** Whether two addresses are equal by the API's rules: ASCII lower case, the domain in punycode. */
export function sameAddress(one: string, other: string): boolean {
  return normalized(one) === normalized(other);
}

function normalized(address: string): string {
  const at = address.lastIndexOf('@') + 1;
  const host = `http://${address.slice(at)}`;
  return address.slice(0, at).toLowerCase() + (URL.canParse(host) ? new URL(host).hostname : host);
}

/** Returns `i…@partner.example`: the invitee can recognize the address, but others cannot read it. */
export function mask(address: string): string {
  return `${address.slice(0, 1)}…${address.slice(address.lastIndexOf('@'))}`;
}
