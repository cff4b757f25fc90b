import type { InviteMessages } from '../en/invite';

const people = (count: number, shown: string): string => (count === 1 ? '1 Person' : `${shown} Personen`);

const messages: InviteMessages = {
  title: (organization) => `Personen zu ${organization} einladen`,
  intro: 'Alle bekommen eine Mail mit einem eigenen Link.',
  addresses: 'E-Mail-Adressen',
  placeholder: 'name@firma.example, oder eine ganze Liste einfügen',
  another: 'Weitere hinzufügen',
  hint: 'Trennen Sie Adressen durch Kommas oder Zeilen. Die Pfeiltasten führen durch die eingegebenen.',
  list: 'Eingegebene Adressen',
  edit: 'bearbeiten',
  ready: 'bereit',
  remove: (address) => `${address} entfernen`,
  removed: (address) => `${address} entfernt.`,
  removeAll: 'Alle entfernen',
  more: (shown) => `und ${shown} weitere`,
  summary: (ready, problems, shown) =>
    `${ready} bereit${problems === 0 ? '' : problems === 1 ? ', 1 mit einem Problem' : `, ${shown} mit einem Problem`}`,
  nothingReady: 'Noch ist keine Adresse bereit.',
  repeated: (count, shown) => (count === 1 ? '1 doppelte ausgelassen' : `${shown} doppelte ausgelassen`),
  tooMany: (most, shown) => `Höchstens ${most} auf einmal; ${shown} ausgelassen`,
  seats: (count, shown) => (count === 0 ? 'Keine Plätze frei' : count === 1 ? '1 Platz frei' : `${shown} Plätze frei`),
  tooFewSeats: (missing, shown) =>
    `Es sind nicht genug Plätze frei: Entfernen Sie ${missing === 1 ? '1 Adresse' : `${shown} Adressen`}, oder ziehen Sie zuerst Einladungen zurück oder entfernen Sie Mitglieder.`,
  role: 'Eingeladen als',
  roleHelp: {
    owner: 'Lädt auch Inhaber ein, ändert Rollen, entfernt Mitglieder.',
    member: 'Sieht die Liste und lädt weitere Mitglieder ein.',
  },
  language: 'Sprache der Mail',
  asUsual: 'Wie üblich',
  invite: 'Einladen',
  inviteCount: (count, shown) => `${people(count, shown)} einladen`,
  sending: (upTo, total) => `Sende ${upTo} von ${total} …`,
  stopping: 'Wird angehalten …',
  stopped: (invited, shown, left) =>
    invited === 0 ? 'Angehalten, bevor jemand eingeladen wurde.' : `Angehalten: ${people(invited, shown)} eingeladen, ${left} noch nicht.`,
  invited: (count, shown) => `${people(count, shown)} eingeladen.`,
  refused: (count, shown) =>
    count === 1 ? '1 Adresse wurde ausgelassen: Bei ihr steht, warum.' : `${shown} Adressen wurden ausgelassen: Bei jeder steht, warum.`,
  done: 'Fertig',
  nobody: 'Niemand wurde eingeladen.',
  again: (when) => `Wieder möglich ${when}.`,
  verdicts: {
    already_member: 'gehört schon zu einem Mitglied',
    already_invited: 'hat eine offene Einladung; senden Sie sie aus der Liste erneut',
    no_at: 'enthält kein @',
    spaces: 'enthält Leerzeichen',
    no_local: 'vor dem @ steht nichts',
    no_domain: 'nach dem @ nicht vollständig',
    not_ascii: 'vor dem @ sind nur Buchstaben ohne Akzente und Umlaute möglich',
    bad_local: 'vor dem @ steht etwas, das dort nicht stehen kann',
    bad_domain: 'nach dem @ steht etwas, das dort nicht stehen kann',
    too_long: 'zu lang für eine Adresse',
  },
};

export default messages;
