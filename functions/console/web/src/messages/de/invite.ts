import type { InviteMessages } from '../en/invite';

const people = (count: number, shown: string): string => (count === 1 ? '1 Person' : `${shown} Personen`);

const messages: InviteMessages = {
  title: (organization) => `Personen zu ${organization} einladen`,
  intro: 'Jede Person erhält eine E-Mail mit einem persönlichen Link.',
  addresses: 'E-Mail-Adressen',
  placeholder: 'name@firma.example, oder eine Liste einfügen',
  another: 'Weitere hinzufügen',
  hint: 'Trennen Sie Adressen durch Kommas oder Zeilenumbrüche. Mit den Pfeiltasten wechseln Sie zwischen den eingegebenen Adressen.',
  list: 'Eingegebene Adressen',
  edit: 'bearbeiten',
  ready: 'bereit',
  remove: (address) => `${address} entfernen`,
  removed: (address) => `${address} entfernt.`,
  removeAll: 'Alle entfernen',
  allRemoved: 'Alle Adressen entfernt.',
  removeRefused: (shown) => `Die ${shown} mit Problemen entfernen`,
  more: (shown) => `und ${shown} weitere`,
  summary: (ready, problems, shown) =>
    `${ready} bereit${problems === 0 ? '' : problems === 1 ? ', 1 mit einem Problem' : `, ${shown} mit Problemen`}`,
  nothingReady: 'Geben Sie mindestens eine gültige E-Mail-Adresse ein.',
  repeated: (count, shown) => (count === 1 ? '1 doppelte Adresse übersprungen' : `${shown} doppelte Adressen übersprungen`),
  skippedLines: (count, shown) => (count === 1 ? '1 Zeile ohne Adresse übersprungen' : `${shown} Zeilen ohne Adresse übersprungen`),
  unused: (count, shown) =>
    count === 1
      ? '1 Adresse aus anderen Spalten oder Kopfzeilen übersprungen'
      : `${shown} Adressen aus anderen Spalten oder Kopfzeilen übersprungen`,
  tooMany: (most, shown) => `Höchstens ${most} Adressen auf einmal; ${shown} übersprungen`,
  seats: (count, shown) => (count === 0 ? 'Keine Plätze frei' : count === 1 ? '1 Platz frei' : `${shown} Plätze frei`),
  tooFewSeats: (missing, shown) =>
    `Es sind nicht genug Plätze frei. Entfernen Sie ${missing === 1 ? '1 Adresse' : `${shown} Adressen`} oder schaffen Sie Platz: Ziehen Sie Einladungen zurück oder entfernen Sie Mitglieder.`,
  role: 'Rolle',
  roleHelp: {
    owner: 'Kann außerdem Inhaber einladen, Rollen ändern und Mitglieder entfernen.',
    member: 'Kann alle Benutzer sehen und Mitglieder einladen.',
  },
  ownerPower: 'Inhaber dürfen alles: die Organisation umbenennen, alle Rollen ändern und alle Personen entfernen, auch Sie.',
  confirmOwner: (email, organization) => `Ja, ${email} soll Inhaber von ${organization} werden`,
  confirmOwners: (shown, organization) => `Ja, diese ${shown} Personen sollen Inhaber von ${organization} werden`,
  ownerMissing: 'Bestätigen Sie dies zuerst, um Inhaber einzuladen.',
  language: 'Sprache der E-Mail',
  defaultLanguage: 'Standard',
  invite: 'Einladen',
  inviteCount: (count, shown) => `${people(count, shown)} einladen`,
  inviteOwners: (count, shown) => `${count === 1 ? '1' : shown} Inhaber einladen`,
  sending: (upTo, total) => `Wird gesendet: ${upTo} von ${total} …`,
  signedOut: 'Sie sind abgemeldet. Melden Sie sich erneut an, um die Einladungen zu senden.',
  stopping: 'Wird angehalten …',
  stopped: (invited, shown, left) =>
    invited === 0
      ? 'Angehalten. Niemand wurde eingeladen.'
      : `Angehalten: ${people(invited, shown)} eingeladen, ${left} noch nicht eingeladen.`,
  invited: (count, shown) => `${people(count, shown)} eingeladen.`,
  refused: (count, shown) =>
    count === 1
      ? '1 Adresse konnte nicht eingeladen werden. Der Grund steht bei der Adresse.'
      : `${shown} Adressen konnten nicht eingeladen werden. Die Gründe stehen bei den Adressen.`,
  done: 'Fertig',
  noneInvited: 'Niemand wurde eingeladen.',
  again: (when) => `Wieder möglich ${when}.`,
  verdicts: {
    already_member: 'gehört bereits zu einem Mitglied',
    already_invited: 'wurde bereits eingeladen; in der Liste können Sie die Einladung erneut senden oder zurückziehen',
    no_at: 'enthält kein @',
    spaces: 'enthält ein Leerzeichen; lassen Sie nur die Adresse stehen',
    no_local: 'hat nichts vor dem @',
    no_domain: 'ist nach dem @ unvollständig',
    not_ascii: 'enthält vor dem @ nicht unterstützte Buchstaben, zum Beispiel ü oder é',
    bad_local: 'ist vor dem @ nicht gültig',
    bad_domain: 'ist nach dem @ nicht gültig',
    too_long: 'ist zu lang',
  },
};

export default messages;
