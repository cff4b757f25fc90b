import type { NameMessages } from '../en/name';

const messages: NameMessages = {
  createTitle: 'Neue Organisation',
  create: 'Organisation anlegen',
  renameTitle: 'Organisation umbenennen',
  save: 'Speichern',
  name: 'Name',
  nameHint: '1 bis 60 Zeichen. Alle, die Sie einladen, sehen diesen Namen.',
  empty: 'Bitte geben Sie einen Namen ein.',
  signedOut: 'Sie sind abgemeldet. Wenn Sie sich in einem anderen Fenster wieder anmelden, wird der Name automatisch gespeichert.',
};

export default messages;
