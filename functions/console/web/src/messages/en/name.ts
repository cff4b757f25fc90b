/** Messages of the dialog that creates or renames an organization. */
const messages = {
  createTitle: 'New organization',
  create: 'Create organization',
  renameTitle: 'Rename organization',
  save: 'Save',
  name: 'Name',
  nameHint: '1 to 60 characters. Everyone you invite sees this name.',
  empty: 'Enter a name.',
  signedOut: 'You are signed out. Sign in again in another window, and the name is saved automatically.',
};

export type NameMessages = typeof messages;
export default messages;
