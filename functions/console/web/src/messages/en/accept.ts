import type { ScreenName } from '../../accept/screen';
import type { Role } from '../../elements';

/** The values that the texts contain. Unknown values are empty. */
export interface Subject {
  organization: string;
  /** The sender's address. */
  sender: string;
  /** The invited address. Masked if the viewer has a different address. */
  invited: string;
  /** The viewer's address. */
  viewer: string;
}

/** The headline of a screen, and the text below it. */
export interface Screen {
  title: (subject: Subject) => string;
  text: (subject: Subject) => string;
}

/** The screens with texts of their own. Any element can lack a property, so that text is a common message. */
export type TextScreen = Exclude<ScreenName, 'not_set_up'>;

const messages = {
  screens: {
    loading: { title: () => 'Loading your invitation…', text: () => '' },
    no_token: {
      title: () => 'No invitation to show',
      text: () => 'To see your invitation, open the link in the email. If you have already answered it, there is nothing left to do.',
    },
    invalid_token: {
      title: () => 'This link is not valid',
      text: () => 'Part of it may be missing. Open the link in the email again, or copy all of it into the address bar.',
    },
    open: {
      title: ({ organization }) => `Join ${organization}`,
      text: ({ sender }) => `${sender} invited you to this organization.`,
    },
    sign_in: {
      title: ({ organization }) => `Join ${organization}`,
      text: ({ sender }) =>
        `${sender} invited you to this organization. To accept or decline, sign in with the address that the invitation was sent to.`,
    },
    other_account: {
      title: () => 'You are signed in with another account',
      text: ({ invited, viewer }) =>
        viewer
          ? `This invitation was sent to ${invited}, but you are signed in as ${viewer}.`
          : `This invitation was sent to ${invited}, not to the account you are signed in with.`,
    },
    expired: {
      title: () => 'This invitation has expired',
      text: ({ organization, sender }) =>
        sender
          ? `It was not accepted in time. Ask ${sender} or another member of ${organization} to send it again.`
          : 'It was not accepted in time. Ask the person who invited you to send it again.',
    },
    revoked: {
      title: () => 'This invitation was revoked',
      text: ({ sender }) => `If you did not expect this, ask ${sender || 'the person who invited you'}.`,
    },
    superseded: {
      title: () => 'There is a newer link',
      text: () => 'This invitation was sent again, and only the link in the latest email works. Check your inbox.',
    },
    accepted: {
      title: () => 'This invitation was already accepted',
      text: ({ organization }) =>
        organization ? `If that was you, you are a member of ${organization}.` : 'Each invitation can be accepted only once.',
    },
    declined: {
      title: () => 'This invitation was declined',
      text: ({ sender }) => `If you have changed your mind, ask ${sender || 'the person who invited you'} to invite you again.`,
    },
    removed: {
      title: ({ organization }) => `You are no longer a member of ${organization}`,
      text: ({ organization }) =>
        `This invitation was accepted, but the membership has ended. To come back, ask an owner of ${organization} for a new invitation.`,
    },
    sender_lost_authority: {
      title: () => 'This invitation cannot be accepted right now',
      text: ({ organization, sender }) =>
        `${sender} can no longer grant this role. Ask an owner of ${organization} to send the invitation again.`,
    },
    email_not_verified: {
      title: () => 'Verify your email address first',
      text: ({ viewer }) =>
        `You need a verified address to accept or decline. Verify ${viewer || 'yours'} where you created your account, then sign in again.`,
    },
    already_member: {
      title: ({ organization }) => `You are already a member of ${organization}`,
      text: () => 'You joined through another invitation, so there is nothing left to do here.',
    },
    joined: {
      title: ({ organization }) => `You are a member of ${organization}`,
      text: () => 'Welcome! Open the organization to see its members.',
    },
    just_declined: {
      title: () => 'You declined the invitation',
      text: ({ organization }) => `You did not join ${organization}, and the link no longer works. You can close this page.`,
    },
    unreachable: {
      title: () => 'No connection',
      text: () => 'Your invitation could not be loaded. Check your connection and try again.',
    },
    problem: { title: () => 'Your invitation could not be loaded', text: () => '' },
  } satisfies Record<TextScreen, Screen> as Record<TextScreen, Screen>,
  role: 'Role',
  roleHelp: {
    owner: 'can manage members and roles, and invite owners',
    member: 'can see all users and invite members',
  } satisfies Record<Role, string>,
  invited: 'Sent to',
  valid: 'Valid',
  until: (moment: string) => `until ${moment}`,
  hoursLeft: (hours: number) => `${hours} ${hours === 1 ? 'hour' : 'hours'} left`,
  accept: 'Accept invitation',
  decline: 'Decline',
  signInToAccept: 'Sign in to accept',
  signedInAs: (viewer: string) => `Signed in as ${viewer}`,
  useAnother: 'Use another account',
  open: (organization: string) => `Open ${organization}`,
  declineTitle: (organization: string) => `Decline the invitation to ${organization}?`,
  declineText: 'The link stops working immediately. To join later, you need a new invitation.',
  keep: 'Keep invitation',
};

export type AcceptMessages = typeof messages;
export default messages;
