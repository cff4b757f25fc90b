import type { AppMessages } from '../en/app';

const messages: AppMessages = {
  title: 'Benutzer der Organisation',
  invitation: 'Einladung',
  lead: 'Sehen Sie, wer zu Ihrer Organisation gehört, laden Sie Personen ein und verwalten Sie ihre Rollen.',
  signingIn: 'Sie werden angemeldet …',
  signedInAs: 'Angemeldet als',
  signOut: 'Abmelden',
  signingOut: 'Sie werden abgemeldet …',
  mailbox: 'Postfach',
  renewed: 'Sie sind wieder angemeldet. Sie können dort weitermachen, wo Sie waren.',
  signInFailures: {
    unreachable: 'Der Anmeldedienst ist nicht zu erreichen. Prüfen Sie Ihre Verbindung und versuchen Sie es erneut.',
    stale: 'Diese Anmeldung wurde nicht hier begonnen, oder sie hat zu lange gedauert. Bitte melden Sie sich noch einmal an.',
    refused: 'Sie wurden nicht angemeldet.',
    broken: 'Der Anmeldedienst hat eine ungültige Antwort gesendet. Sie wurden deshalb nicht angemeldet.',
    storage:
      'Ihr Browser erlaubt dieser Website nicht, Daten zu speichern. Das ist für die Anmeldung nötig: Erlauben Sie es, und versuchen Sie es erneut.',
  },
  reason: (text) => `Der Anmeldedienst meldet: ${text}`,
  unconfiguredText: 'Die Anmeldung muss noch eingerichtet werden. Näheres für die Betreiber steht in der Konsole des Browsers.',
};

export default messages;
