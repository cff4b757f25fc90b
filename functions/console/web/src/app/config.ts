/**
 * The configuration of the pages. The console function writes it into `<meta name="roster-config">`.
 *
 * The same fields are in `functions/console/src/config.rs`, which reads the environment variables `CONSOLE_*`, and in
 * `shared/local/src/console.rs`, for the local server ("the laptop"). `infra/template.yaml` and `infra/laptop.env` set
 * the variables.
 */
import { negotiate, type Language } from '../i18n';

export interface Config {
  /** The `iss` claim of the identity provider's tokens. */
  issuer: string;
  client_id: string;
  authorize_url: string;
  token_url: string;
  /** The identity provider's sign-out page. Without it, signing out only deletes the page's own token. */
  sign_out_url?: string;
  scope: string;
  /** The kind of token that is sent to the API. */
  token: 'access_token' | 'id_token';
  /** The product's name. */
  product: string;
  /** The language of the page if the browser requests none of the supported languages. */
  language: Language;
  /** The path of the mailbox. Only the local server ("the laptop") has one. */
  mailbox?: string;
}

const REQUIRED = ['issuer', 'client_id', 'authorize_url', 'token_url', 'scope', 'token', 'product', 'language'] as const;

/**
 * Reads a configuration.
 *
 * @throws a `SyntaxError` if the text is not JSON, else an `Error` that says what is missing or invalid.
 */
export function parseConfig(text: string): Config {
  if (!text) throw new Error('roster-config is empty: the page was not served by the console function');
  const config: Partial<Record<keyof Config, unknown>> = JSON.parse(text) ?? {};
  for (const name of REQUIRED) {
    if (typeof config[name] !== 'string' || !config[name]) throw new Error(`roster-config has no ${name}`);
  }
  for (const name of ['authorize_url', 'token_url', 'sign_out_url'] as const) {
    const url = config[name];
    // The page navigates to these URLs, and fetches `token_url`. It must reject `javascript:` and other schemes.
    if (url && !(URL.canParse(String(url)) && /^https?:$/.test(new URL(String(url)).protocol))) {
      throw new Error(`roster-config's ${name} is not an HTTP URL`);
    }
  }
  if (config.token !== 'access_token' && config.token !== 'id_token') {
    throw new Error("roster-config's token is neither access_token nor id_token");
  }
  return config as Config;
}

/** Reads the configuration of this page. If it is missing or invalid, logs the reason and returns undefined. */
export function readConfig(): Config | undefined {
  try {
    return parseConfig(document.querySelector<HTMLMetaElement>('meta[name="roster-config"]')?.content ?? '');
  } catch (error) {
    reportError(error);
    return undefined;
  }
}

/** Sets the page's language: the viewer's, else the deployment's. The elements inherit it. */
export function setPageLanguage(config: Config | undefined): void {
  const { tag } = negotiate([...navigator.languages, config?.language ?? 'en']);
  // All supported languages are written from left to right.
  Object.assign(document.documentElement, { lang: tag, dir: 'ltr' });
}
