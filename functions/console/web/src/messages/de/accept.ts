import type { AcceptMessages } from '../en/accept';

const messages: AcceptMessages = {
  screens: {
    loading: { title: () => 'Ihre Einladung wird geladen …', text: () => '' },
    no_token: {
      title: () => 'Hier ist keine Einladung',
      text: () => 'Öffnen Sie den Link in Ihrer Einladungsmail. Wenn Sie schon geantwortet haben, ist nichts weiter zu tun.',
    },
    invalid_token: {
      title: () => 'Dieser Link ist ungültig',
      text: () =>
        'Vielleicht fehlt ein Teil. Öffnen Sie den Link in der E-Mail noch einmal, oder kopieren Sie ihn vollständig in die Adresszeile.',
    },
    open: {
      title: ({ organization }) => `${organization} beitreten`,
      text: ({ sender }) => `${sender} hat Sie in diese Organisation eingeladen.`,
    },
    sign_in: {
      title: ({ organization }) => `${organization} beitreten`,
      text: ({ sender }) =>
        `${sender} hat Sie in diese Organisation eingeladen. Um anzunehmen oder abzulehnen, melden Sie sich mit der Adresse an, an die die Einladung ging.`,
    },
    other_account: {
      title: () => 'Sie sind mit einem anderen Konto angemeldet',
      text: ({ invited, viewer }) =>
        viewer
          ? `Diese Einladung ging an ${invited}, aber Sie sind als ${viewer} angemeldet.`
          : `Diese Einladung ging an ${invited}, nicht an das Konto, mit dem Sie angemeldet sind.`,
    },
    expired: {
      title: () => 'Diese Einladung ist abgelaufen',
      text: ({ organization, sender }) =>
        sender
          ? `Sie wurde nicht rechtzeitig angenommen. Bitten Sie ${sender} oder ein anderes Mitglied von ${organization}, sie noch einmal zu senden.`
          : 'Sie wurde nicht rechtzeitig angenommen. Bitten Sie die Person, die Sie eingeladen hat, sie noch einmal zu senden.',
    },
    revoked: {
      title: () => 'Diese Einladung wurde zurückgezogen',
      text: ({ sender }) => `Wenn Sie das nicht erwartet haben, fragen Sie ${sender || 'die Person, die Sie eingeladen hat'}.`,
    },
    superseded: {
      title: () => 'Es gibt einen neueren Link',
      text: () =>
        'Diese Einladung wurde noch einmal gesendet, und nur der Link in der neuesten Mail gilt. Sehen Sie in Ihrem Postfach nach.',
    },
    accepted: {
      title: () => 'Diese Einladung wurde bereits angenommen',
      text: ({ organization }) =>
        organization ? `Wenn Sie das waren, sind Sie Mitglied von ${organization}.` : 'Jede Einladung kann nur einmal angenommen werden.',
    },
    declined: {
      title: () => 'Diese Einladung wurde abgelehnt',
      text: ({ sender }) =>
        `Wenn Sie es sich anders überlegt haben, bitten Sie ${sender || 'die Person, die Sie eingeladen hat'} um eine neue Einladung.`,
    },
    removed: {
      title: ({ organization }) => `Sie sind kein Mitglied von ${organization} mehr`,
      text: ({ organization }) =>
        `Diese Einladung wurde angenommen, aber die Mitgliedschaft ist beendet. Für eine neue Einladung wenden Sie sich an einen Inhaber von ${organization}.`,
    },
    sender_lost_authority: {
      title: () => 'Diese Einladung kann gerade nicht angenommen werden',
      text: ({ organization, sender }) =>
        `${sender} darf diese Rolle nicht mehr vergeben. Bitten Sie einen Inhaber von ${organization}, die Einladung noch einmal zu senden.`,
    },
    email_not_verified: {
      title: () => 'Bestätigen Sie zuerst Ihre E-Mail-Adresse',
      text: ({ viewer }) =>
        `Zum Annehmen oder Ablehnen brauchen Sie eine bestätigte Adresse. Bestätigen Sie ${viewer || 'Ihre Adresse'} dort, wo Sie Ihr Konto angelegt haben, und melden Sie sich dann erneut an.`,
    },
    already_member: {
      title: ({ organization }) => `Sie sind bereits Mitglied von ${organization}`,
      text: () => 'Sie sind über eine andere Einladung beigetreten. Hier ist nichts weiter zu tun.',
    },
    joined: {
      title: ({ organization }) => `Sie sind Mitglied von ${organization}`,
      text: () => 'Willkommen! Öffnen Sie die Organisation, um ihre Mitglieder zu sehen.',
    },
    just_declined: {
      title: () => 'Sie haben die Einladung abgelehnt',
      text: ({ organization }) =>
        `Sie sind ${organization} nicht beigetreten, und der Link gilt nicht mehr. Sie können diese Seite schließen.`,
    },
    unreachable: {
      title: () => 'Keine Verbindung',
      text: () => 'Ihre Einladung konnte nicht geladen werden. Prüfen Sie Ihre Verbindung und versuchen Sie es erneut.',
    },
    problem: { title: () => 'Ihre Einladung konnte nicht geladen werden', text: () => '' },
  },
  role: 'Rolle',
  roleHelp: {
    owner: 'kann Mitglieder und Rollen verwalten und Inhaber einladen',
    member: 'kann alle Benutzer sehen und Mitglieder einladen',
  },
  invited: 'Gesendet an',
  valid: 'Gültig',
  until: (moment) => `bis ${moment}`,
  hoursLeft: (hours) => `noch ${hours} ${hours === 1 ? 'Stunde' : 'Stunden'}`,
  accept: 'Einladung annehmen',
  decline: 'Ablehnen',
  signInToAccept: 'Anmelden, um anzunehmen',
  signedInAs: (viewer) => `Angemeldet als ${viewer}`,
  useAnother: 'Anderes Konto verwenden',
  open: (organization) => `${organization} öffnen`,
  declineTitle: (organization) => `Die Einladung zu ${organization} ablehnen?`,
  declineText: 'Der Link gilt dann sofort nicht mehr. Um später beizutreten, brauchen Sie eine neue Einladung.',
  keep: 'Einladung behalten',
};

export default messages;
