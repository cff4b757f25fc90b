import type { ConfirmMessages } from '../en/confirm';

const messages: ConfirmMessages = {
  textsOf: (question) => {
    switch (question.kind) {
      case 'revoke':
        return {
          title: `Die Einladung an ${question.email} zurückziehen?`,
          effect: 'Der Link in der Mail gilt sofort nicht mehr, und der Platz wird frei.',
          cancel: 'Behalten',
          confirm: 'Einladung zurückziehen',
        };
      case 'remove':
        return {
          title: `${question.email} aus ${question.organization} entfernen?`,
          effect: 'Der Zugang endet sofort, und der Platz wird frei. Eine Rückkehr ist nur mit einer neuen Einladung möglich.',
          cancel: 'Behalten',
          confirm: 'Mitglied entfernen',
        };
      case 'leave':
        return {
          title: `${question.organization} verlassen?`,
          effect: 'Ihr Zugang endet sofort. Eine Rückkehr ist nur mit einer neuen Einladung möglich.',
          cancel: 'Bleiben',
          confirm: 'Organisation verlassen',
        };
      case 'promote':
        return {
          title: `${question.email} zum Inhaber von ${question.organization} machen?`,
          effect: 'Inhaber können weitere Inhaber einladen, Rollen ändern und alle entfernen, auch Sie.',
          cancel: 'Abbrechen',
          confirm: 'Zum Inhaber machen',
        };
    }
  },
};

export default messages;
