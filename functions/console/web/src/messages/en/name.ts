/** Messages of the dialog that creates or renames an organization. */
const messages = {
  createTitle: 'New organization',
  create: 'Create organization',
  renameTitle: 'Rename organization',
  save: 'Save',
  name: 'Name',
  nameHint: '1 to 60 characters. Everyone you invite sees this name.',
};

export type NameMessages = typeof messages;
export default messages;
