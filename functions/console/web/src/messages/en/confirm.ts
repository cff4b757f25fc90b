import type { Question } from '../../users/confirm-dialog';

/** The texts of a question. */
interface Texts {
  title: string;
  effect: string;
  cancel: string;
  confirm: string;
}

/** Messages of the dialog that asks for confirmation. */
const messages = {
  textsOf: (question: Question): Texts => {
    switch (question.kind) {
      case 'revoke':
        return {
          title: `Revoke the invitation to ${question.email}?`,
          effect: 'The link in the email stops working immediately, and the seat becomes free.',
          cancel: 'Keep',
          confirm: 'Revoke invitation',
        };
      case 'remove':
        return {
          title: `Remove ${question.email} from ${question.organization}?`,
          effect: 'They lose access immediately, and their seat becomes free. To come back, they need a new invitation.',
          cancel: 'Keep',
          confirm: 'Remove member',
        };
      case 'leave':
        return {
          title: `Leave ${question.organization}?`,
          effect: 'You lose access immediately. To come back, you need a new invitation.',
          cancel: 'Stay',
          confirm: 'Leave organization',
        };
      case 'promote':
        return {
          title: `Make ${question.email} an owner of ${question.organization}?`,
          effect: 'Owners can invite other owners, change roles, and remove anyone, including you.',
          cancel: 'Cancel',
          confirm: 'Make owner',
        };
    }
  },
};

export type ConfirmMessages = typeof messages;
export default messages;
