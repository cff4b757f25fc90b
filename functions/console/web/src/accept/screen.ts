/** Chooses the screen of the accept element. The functions are pure, and unit tests cover every case. */
import { sameAddress } from '../address';
import { CallError, type Code, type Preview, type Viewer } from '../api';

/**
 * The screens of the accept element.
 *
 * A new screen needs: a condition in `screenOf` or a code in `SCREEN_BY_CODE`, with a unit test; a title and a text in
 * each language (`messages/<language>/accept.ts`); an icon in `ICONS` (`roster-accept.ts`); its buttons, if it has any,
 * in `#renderActions`. If the invitation can still be accepted or declined, it also needs an entry in
 * `SCREENS_AWAITING_ANSWER`; if it never can be again, in `CLOSED_SCREENS`. The compiler finds missing texts and icons,
 * but not the other omissions.
 */
export type ScreenName =
  | 'loading'
  /** The page was opened without a link token. */
  | 'no_token'
  /** The link token is forged, incomplete, or from another deployment. */
  | 'invalid_token'
  /** The viewer can accept or decline: their address is the invited one, or their sign-in token contains no address. */
  | 'open'
  /** The invitation is pending, but the user is not signed in. */
  | 'sign_in'
  /** The invitation is pending, but the viewer's address is not the invited one. */
  | 'other_account'
  | 'expired'
  | 'revoked'
  /** The invitation was resent, so there is a newer link. */
  | 'superseded'
  /** The API reports that the invitation is already accepted, as a status or as an error of accept or decline. */
  | 'accepted'
  /** The API reports that the invitation is already declined, as a status or as an error of accept or decline. */
  | 'declined'
  /** It was accepted, but the member has left or was removed. */
  | 'removed'
  /** The sender cannot grant the invitation's role at the moment. */
  | 'sender_lost_authority'
  | 'email_not_verified'
  /** The viewer has just accepted on this page, but was already a member through another invitation. */
  | 'already_member'
  /** The viewer has just accepted on this page. */
  | 'joined'
  /** The viewer has just declined on this page. */
  | 'just_declined'
  /** The embedding page has not set a required property. */
  | 'not_set_up'
  /** The API could not be reached. */
  | 'unreachable'
  /** The invitation could not be loaded for any other reason. */
  | 'problem';

/** The screens on which the link token is of no use any more. */
export const CLOSED_SCREENS: readonly ScreenName[] = [
  'invalid_token',
  'expired',
  'revoked',
  'superseded',
  'accepted',
  'declined',
  'removed',
  'already_member',
  'joined',
  'just_declined',
];

/** Returns the screen for a preview, a viewer (undefined if not signed in) and the time `now` in milliseconds. */
export function screenOf(preview: Preview, viewer: Viewer | undefined, now: number): ScreenName {
  if (preview.status !== 'pending') return preview.status;
  // Compare the times instead of relying on the status: the page may have been open for a long time.
  if (Date.parse(preview.expires_at) <= now) return 'expired';
  if (!viewer) return 'sign_in';
  // If the sign-in token contains no address, the viewer may be the invitee. The API checks that on accept.
  if (viewer.email && !sameAddress(viewer.email, preview.email)) return 'other_account';
  return viewer.isVerified === false ? 'email_not_verified' : 'open';
}

const SCREEN_BY_CODE: Partial<Record<Code, ScreenName>> = {
  // The body of a preview, accept or decline contains only the link token. If the API rejects the body, the token is
  // invalid.
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
  sender_lost_authority: 'sender_lost_authority',
  signed_out: 'sign_in',
};

/**
 * Returns the screen after a failed call. Undefined if the error is not about the invitation, so that a retry may
 * succeed.
 */
export function screenAfterError(error: unknown): ScreenName | undefined {
  return error instanceof CallError ? SCREEN_BY_CODE[error.code] : undefined;
}

/** Returns the screen if the preview could not be loaded because of `error`. */
export function screenWithoutPreview(error: unknown): ScreenName {
  return screenAfterError(error) ?? (error instanceof CallError && error.code === 'unreachable' ? 'unreachable' : 'problem');
}

/**
 * Hides the part before the `@`, except its first character: `i…@partner.example`. The invitee recognizes the address,
 * but another viewer does not learn it.
 */
export function mask(address: string): string {
  return `${address.slice(0, 1)}…${address.slice(address.lastIndexOf('@'))}`;
}
