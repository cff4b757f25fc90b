/** Messages of the pages around the elements. */
const messages = {
  title: 'Organization users',
  invitation: 'Invitation',
  lead: 'See who is in your organization, invite people and manage their roles.',
  signingIn: 'Signing you in…',
  signedInAs: 'Signed in as',
  signOut: 'Sign out',
  signingOut: 'Signing you out…',
  mailbox: 'Mailbox',
  renewed: 'You are signed in again. You can continue where you left off.',
  /** Why the sign-in failed. */
  signInFailures: {
    unreachable: 'The sign-in service could not be reached. Check your connection and try again.',
    /** The response belongs to no pending sign-in of this tab. */
    stale: 'This sign-in was not started here, or it took too long. Please sign in again.',
    refused: 'You were not signed in.',
    /** The identity provider sent an invalid response. */
    broken: 'The sign-in service sent an invalid response, so you were not signed in.',
    storage: 'Your browser blocks this site from storing data, which signing in needs. Allow it and try again.',
  },
  /** `text` is the error text of the identity provider. */
  reason: (text: string) => `The sign-in service reports: ${text}`,
  unconfiguredText: 'An administrator must set up the sign-in for this site. The browser console has the details.',
};

export type AppMessages = typeof messages;
export default messages;
