import type { Code } from '../../api';
import type { Role } from '../../elements';

/** What every element may have to say. */
const messages = {
  roles: { owner: 'Owner', member: 'Member' } satisfies Record<Role, string>,
  cancel: 'Cancel',
  close: 'Close',
  tryAgain: 'Try again',
  signIn: 'Sign in',
  signInAgain: 'Sign in again',
  loading: 'Loading…',
  notLoaded: 'A part of this page could not be loaded. Check your connection, or reload the page.',
  /** In place of what the API says itself, in English, or where it says nothing. */
  problems: {
    unreachable: 'The connection was lost. Check it, and try again.',
    signed_out: 'You are signed out.',
    unavailable: 'The service is busy. Try again in a moment.',
  } as Partial<Record<Code, string>>,
  /** Neither the API nor this catalogue has a word for it. */
  unknownProblem: (status: number) => `Something went wrong (${status}). Try again.`,
};

export type CommonMessages = typeof messages;
export default messages;
