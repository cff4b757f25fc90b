/** What the pages have to know of the deployment: whoever serves them writes it into `<meta name="roster-config">`. */
import { negotiate, type Language } from '../i18n';

export interface Config {
  /** The identity provider, as its tokens name it. */
  issuer: string;
  client_id: string;
  authorize_url: string;
  token_url: string;
  /** Where one signs out; without it the page alone forgets its token. */
  sign_out_url?: string;
  scope: string;
  /** Which token the API is called with. */
  token: 'access_token' | 'id_token';
  /** The product's name. */
  product: string;
  /** For whom the browser asks for no language that there is. */
  language: Language;
  /** The laptop's mailbox: a path. */
  mailbox?: string;
}

const NEEDED = ['issuer', 'client_id', 'authorize_url', 'token_url', 'scope', 'token', 'product', 'language'] as const;

/**
 * Reads a configuration.
 *
 * @throws an `Error` that says what is missing or wrong.
 */
export function parseConfig(text: string): Config {
  if (!text) throw new Error('roster-config is empty: the page was not served by the console function');
  const config: Partial<Record<keyof Config, unknown>> = JSON.parse(text) ?? {};
  for (const name of NEEDED) {
    if (typeof config[name] !== 'string' || !config[name]) throw new Error(`roster-config has no ${name}`);
  }
  for (const name of ['authorize_url', 'token_url', 'sign_out_url'] as const) {
    const url = config[name];
    // Never `javascript:` or the like: the page goes there.
    if (url && !(URL.canParse(String(url)) && /^https?:$/.test(new URL(String(url)).protocol))) {
      throw new Error(`roster-config's ${name} is no HTTP URL`);
    }
  }
  if (config.token !== 'access_token' && config.token !== 'id_token') {
    throw new Error("roster-config's token is neither access_token nor id_token");
  }
  return config as Config;
}

/** The configuration of this page, undefined (and why, in the log) where there is none. */
export function readConfig(): Config | undefined {
  try {
    return parseConfig(document.querySelector<HTMLMetaElement>('meta[name="roster-config"]')?.content ?? '');
  } catch (error) {
    reportError(error);
    return undefined;
  }
}

/** Has the page speak the viewer's language, or else the deployment's; the elements inherit it. */
export function speak(config: Config | undefined): void {
  const { tag } = negotiate([...navigator.languages, config?.language ?? 'en']);
  // All languages that there are messages for are written from left to right.
  Object.assign(document.documentElement, { lang: tag, dir: 'ltr' });
}
