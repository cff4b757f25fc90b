import type { State } from '../../accept/state';
import type { Role } from '../../elements';

/** What the texts are about; what is not known is empty. */
export interface Subject {
  organization: string;
  /** The sender's address. */
  sender: string;
  /** The invited address, masked where the viewer is somebody else. */
  invited: string;
  /** The viewer's address. */
  viewer: string;
}

/** A headline, and what it means for the person who reads it. */
export interface Screen {
  title: (subject: Subject) => string;
  text: (subject: Subject) => string;
}

const messages = {
  screens: {
    loading: { title: () => 'Looking up your invitation…', text: () => '' },
    no_token: {
      title: () => 'This link is not complete',
      text: () => 'Open the link in the invitation mail again, or copy all of it into the address bar.',
    },
    invalid_token: {
      title: () => 'This link is not valid',
      text: () =>
        'It may have been cut off on the way. Open the link in the invitation mail again, or copy all of it into the address bar.',
    },
    open: {
      title: ({ organization }) => `Join ${organization}`,
      text: ({ sender }) => `${sender} has invited you.`,
    },
    sign_in: {
      title: ({ organization }) => `Join ${organization}`,
      text: ({ sender }) => `${sender} has invited you. Sign in as the person who was invited to accept or decline.`,
    },
    other_account: {
      title: () => 'You are signed in with another account',
      text: ({ invited, viewer }) =>
        viewer
          ? `This invitation was sent to ${invited}, you are signed in as ${viewer}.`
          : `This invitation was sent to ${invited}, not to the account that you are signed in with.`,
    },
    expired: {
      title: () => 'This invitation has expired',
      text: ({ organization, sender }) =>
        sender
          ? `It was not accepted in time. Ask ${sender}, or another member of ${organization}, to send it again.`
          : 'It was not accepted in time. Ask whoever invited you to send it again.',
    },
    revoked: {
      title: () => 'This invitation was withdrawn',
      text: ({ sender }) => `If you did not expect that, ask ${sender || 'whoever invited you'}.`,
    },
    superseded: {
      title: () => 'There is a newer link',
      text: () =>
        'This invitation was sent again, and only the link in the latest mail works. Look for it in your mailbox.',
    },
    accepted: {
      title: () => 'This invitation has been used',
      text: ({ organization }) =>
        organization
          ? `It was accepted already. If that was you, you are a member of ${organization}.`
          : 'It was accepted already, and works only once.',
    },
    declined: {
      title: () => 'This invitation was declined',
      text: ({ sender }) => `If you have changed your mind, ask ${sender || 'whoever invited you'} to invite you again.`,
    },
    removed: {
      title: ({ organization }) => `You are no longer a member of ${organization}`,
      text: ({ organization }) =>
        `This invitation was used, and the membership has ended since. To come back, ask an owner of ${organization} for another invitation.`,
    },
    sender_lost_authority: {
      title: () => 'This invitation cannot be accepted right now',
      text: ({ organization, sender }) =>
        `${sender} may not give out this role any more. Ask an owner of ${organization} to send the invitation again.`,
    },
    email_not_verified: {
      title: () => 'Verify your address first',
      text: ({ viewer }) =>
        `An invitation can be answered only with a verified address. Verify ${viewer || 'yours'} where you signed up, then sign in again.`,
    },
    already_member: {
      title: ({ organization }) => `You are a member of ${organization} already`,
      text: () => 'You joined by another invitation, so there is nothing left to do here.',
    },
    joined: {
      title: ({ organization }) => `You are a member of ${organization}`,
      text: () => 'Welcome. Open it to see who else is there.',
    },
    refused: {
      title: () => 'You declined',
      text: ({ organization }) => `You did not join ${organization}, and the link does not work any more. You can close this page.`,
    },
    unreachable: {
      title: () => 'No connection',
      text: () => 'Your invitation could not be looked up. Check your connection, and try again.',
    },
    problem: { title: () => 'Your invitation could not be looked up', text: () => '' },
  } satisfies Record<State, Screen> as Record<State, Screen>,
  role: 'Role',
  roleMeans: {
    owner: 'may manage members and their roles, and invite owners',
    member: 'may see everyone in the organization, and invite members',
  } satisfies Record<Role, string>,
  invited: 'Invited address',
  valid: 'Valid',
  until: (moment: string) => `until ${moment}`,
  hoursLeft: (hours: number) => `${hours} h left`,
  accept: 'Accept invitation',
  decline: 'Decline',
  signInToAccept: 'Sign in to accept',
  signedInAs: (viewer: string) => `Signed in as ${viewer}`,
  useAnother: 'Use another account',
  open: (organization: string) => `Open ${organization}`,
  declineTitle: (organization: string) => `Decline the invitation to ${organization}?`,
  declineText: 'The link stops working at once. To join later, you would have to be invited again.',
  keep: 'Keep',
};

export type AcceptMessages = typeof messages;
export default messages;
