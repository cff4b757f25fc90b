import type { InviteMessages } from '../en/invite';

const people = (count: number, shown: string): string => (count === 1 ? '1 Person' : `${shown} Personen`);

const messages: InviteMessages = {
  title: (organization) => `Personen zu ${organization} einladen`,
  intro: 'Alle bekommen eine Mail mit einem eigenen Link.',
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
  more: (shown) => `und ${shown} weitere`,
  summary: (ready, problems, shown) =>
    `${ready} bereit${problems === 0 ? '' : problems === 1 ? ', 1 mit einem Problem' : `, ${shown} mit Problemen`}`,
  nothingReady: 'Noch ist keine Adresse bereit.',
  repeated: (count, shown) => (count === 1 ? '1 doppelte ausgelassen' : `${shown} doppelte ausgelassen`),
  tooMany: (most, shown) => `Höchstens ${most} auf einmal; ${shown} ausgelassen`,
  seats: (count, shown) => (count === 0 ? 'Keine Plätze frei' : count === 1 ? '1 Platz frei' : `${shown} Plätze frei`),
  tooFewSeats: (missing, shown) =>
    `Es sind nicht genug Plätze frei. Entfernen Sie ${missing === 1 ? '1 Adresse' : `${shown} Adressen`}, oder ziehen Sie zuerst Einladungen zurück oder entfernen Sie Mitglieder.`,
  role: 'Rolle',
  roleHelp: {
    owner: 'Kann auch Inhaber einladen, Rollen ändern und Mitglieder entfernen.',
    member: 'Kann alle Benutzer sehen und Mitglieder einladen.',
  },
  language: 'Sprache der Mail',
  defaultLanguage: 'Standard',
  invite: 'Einladen',
  inviteCount: (count, shown) => `${people(count, shown)} einladen`,
  sending: (upTo, total) => `Sende ${upTo} von ${total} …`,
  stopping: 'Wird angehalten …',
  stopped: (invited, shown, left) =>
    invited === 0
      ? 'Angehalten. Niemand wurde eingeladen.'
      : `Angehalten: ${people(invited, shown)} eingeladen, ${left} noch nicht eingeladen.`,
  invited: (count, shown) => `${people(count, shown)} eingeladen.`,
  refused: (count, shown) =>
    count === 1
      ? '1 Adresse wurde nicht eingeladen. Der Grund steht daneben.'
      : `${shown} Adressen wurden nicht eingeladen. Die Gründe stehen daneben.`,
  done: 'Fertig',
  noneInvited: 'Niemand wurde eingeladen.',
  again: (when) => `Wieder möglich ${when}.`,
  verdicts: {
    already_member: 'gehört schon zu einem Mitglied',
    already_invited:
      'hat schon eine offene Einladung; Sie können sie aus der Liste erneut senden, oder für eine andere Rolle dort zurückziehen',
    no_at: 'enthält kein @',
    spaces: 'enthält Leerzeichen',
    no_local: 'hat nichts vor dem @',
    no_domain: 'ist nach dem @ unvollständig',
    not_ascii: 'enthält vor dem @ Umlaute, Akzente oder Sonderzeichen',
    bad_local: 'ist vor dem @ nicht gültig',
    bad_domain: 'ist nach dem @ nicht gültig',
    too_long: 'ist zu lang',
  },
};

export default messages;
