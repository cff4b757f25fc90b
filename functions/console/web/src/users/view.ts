/** The types that the parts of the list share. */
import type { CommonMessages } from '../messages/en/common';
import type { UsersMessages } from '../messages/en/users';
import type { Formats, Language } from '../i18n';

/** What every part needs to show texts. */
export interface Texts {
  readonly messages: UsersMessages & CommonMessages;
  readonly language: Language;
  readonly formats: Formats;
  /** Returns an address for display only. */
  readonly readable: (address: string) => string;
}
