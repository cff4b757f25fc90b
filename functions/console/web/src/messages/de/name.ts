import type { NameMessages } from '../en/name';

const messages: NameMessages = {
  createTitle: 'Neue Organisation',
  create: 'Organisation anlegen',
  renameTitle: 'Organisation umbenennen',
  save: 'Speichern',
  name: 'Name',
  nameHint: '1 bis 60 Zeichen. Alle, die Sie einladen, sehen diesen Namen.',
};

export default messages;
