/** What the pages around the elements say. */
const messages = {
  title: 'Organization users',
  invitation: 'Invitation',
  lead: 'See who belongs to your organization, invite people, and decide what they may do.',
  signingIn: 'Signing you in…',
  signedInAs: 'Signed in as',
  signOut: 'Sign out',
  mailbox: 'Mailbox',
  renewed: 'You are signed in again. Go on where you were.',
  /** Why there was no signing in. */
  trouble: {
    unreachable: 'The sign-in service could not be reached. Check your connection, and try again.',
    /** An answer that was not asked for from here, or too long ago. */
    stale: 'That sign-in was not started here, or it took too long. Sign in once more.',
    refused: 'You were not signed in.',
    /** What the identity provider sent is not what it has to send. */
    broken: 'The answer of the sign-in service was not as it has to be, so you were not signed in.',
    storage: 'Signing in needs the storage of this site, which your browser blocks. Allow it, and try again.',
  },
  /** Before what the identity provider says itself. */
  reason: (text: string) => `The sign-in service says: ${text}`,
  unconfigured: 'This page is not configured',
  unconfiguredText: 'Whoever runs it has to say where people sign in. The details are in the log of the browser.',
};

export type AppMessages = typeof messages;
export default messages;
