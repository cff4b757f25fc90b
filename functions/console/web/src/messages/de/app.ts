import type { AppMessages } from '../en/app';

const messages: AppMessages = {
  title: 'Benutzer der Organisation',
  invitation: 'Einladung',
  lead: 'Sehen Sie, wer zu Ihrer Organisation gehört, laden Sie Personen ein und legen Sie fest, was sie dürfen.',
  signingIn: 'Sie werden angemeldet …',
  signedInAs: 'Angemeldet als',
  signOut: 'Abmelden',
  mailbox: 'Postfach',
  renewed: 'Sie sind wieder angemeldet. Machen Sie weiter, wo Sie waren.',
  trouble: {
    unreachable: 'Der Anmeldedienst ist nicht zu erreichen. Prüfen Sie Ihre Verbindung und versuchen Sie es erneut.',
    stale: 'Diese Anmeldung wurde nicht hier begonnen, oder sie hat zu lange gedauert. Melden Sie sich noch einmal an.',
    refused: 'Sie wurden nicht angemeldet.',
    broken: 'Die Antwort des Anmeldedienstes war nicht so, wie sie sein muss. Sie wurden deshalb nicht angemeldet.',
    storage:
      'Die Anmeldung braucht den Speicher dieser Seite, den Ihr Browser sperrt. Erlauben Sie ihn und versuchen Sie es erneut.',
  },
  reason: (text) => `Der Anmeldedienst sagt: ${text}`,
  unconfigured: 'Diese Seite ist nicht eingerichtet',
  unconfiguredText: 'Wer sie betreibt, muss angeben, wo man sich anmeldet. Näheres steht im Protokoll des Browsers.',
};

export default messages;
