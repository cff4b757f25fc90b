import type { Code } from '../../api';
import type { Role } from '../../elements';

/** Messages that all elements share. */
const messages = {
  roles: { owner: 'Owner', member: 'Member' } satisfies Record<Role, string>,
  cancel: 'Cancel',
  close: 'Close',
  tryAgain: 'Try again',
  signIn: 'Sign in',
  signInAgain: 'Sign in again',
  loading: 'Loading…',
  notSetUp: 'This page is not set up yet',
  notLoaded: 'Part of this page could not be loaded. Check your connection or reload the page.',
  /**
   * Texts for problem codes for which the API sends no text. In other languages they replace the API's English text.
   */
  problems: {
    unreachable: 'The connection was lost. Check your connection and try again.',
    signed_out: 'You are signed out.',
    misconfigured: 'The setup of this page is incomplete. Please tell the people who run this site. The browser console has the details.',
    unavailable: 'The service is busy. Try again in a moment.',
  } as Partial<Record<Code, string>>,
  /** For an error that has no other text. */
  unknownProblem: (status: number) => `Something went wrong${status ? ` (${status})` : ''}. Try again.`,
};

export type CommonMessages = typeof messages;
export default messages;
