/**
 * Tells developers of embedding pages what is wrong with their setup, in the browser's console. This module is loaded
 * only if something is wrong.
 */

/** The timeout of a probe in milliseconds. Probes follow a call that has just failed, so users wait for them. */
const PROBE_MS_MAX = 5_000;

const REMEDIES: Record<string, string> = {
  getToken:
    'Set this property to a function that returns the token of the signed-in user, or null if there is none: element.getToken = async ({ refresh }) => session.apiToken({ refresh })',
  organization:
    'Set the attribute "organization" to the id of an organization, or the attribute "switch" to let users choose one of theirs',
};

/** Reports a property that the page has not set. */
export function reportMissing(element: Element, name: string): void {
  console.error(`<${element.localName}> has no ${name}. ${REMEDIES[name]}.`, element);
}

/** The URLs of APIs with a reported problem. An element sends several calls at once, and users may try again. */
const reportedApis = new Set<string>();
/** The diagnoses that are under way, by the URL of the API. */
const diagnoses = new Map<string, Promise<boolean>>();

function reportOnce(base: string, text: string): void {
  if (!reportedApis.has(base)) console.error(text);
  reportedApis.add(base);
}

/** Reports a response that does not come from Roster's API. */
export function reportForeignResponse({ url, status, headers }: Response, base: string): void {
  const type = headers.get('content-type') ?? 'no content type';
  const current = base ? `It is "${base}".` : "It is empty, so the element calls the page's own origin.";
  reportOnce(
    base,
    `${url} is not Roster's API: it responded with ${status} and ${type}. Set the attribute "api-base" to the URL of the API without /v1, for example https://users.example.com. ${current}`,
  );
}

/**
 * Finds out why a call to `base` got no response that the page may read. Returns whether the setup is the reason, which
 * it reports, and not the connection.
 *
 * Browsers do not tell scripts why a call failed. A call in the mode `no-cors` needs no permission of the server: if it
 * succeeds while a normal one fails, the server does not allow the page's origin.
 */
export async function isMisconfigured(base: string): Promise<boolean> {
  const diagnosis = diagnoses.get(base) ?? diagnose(base);
  diagnoses.set(base, diagnosis);
  return diagnosis.finally(() => diagnoses.delete(base));
}

async function diagnose(base: string): Promise<boolean> {
  const report = (text: string): true => {
    reportOnce(base, text);
    return true;
  };
  if (!URL.canParse(base, location.href)) return report(`The attribute "api-base" is not a URL: "${base}".`);
  const { origin, protocol } = new URL(base, location.href);
  if (!navigator.onLine || origin === location.origin) return false;

  let isForbidden = false;
  const onViolation = ({ effectiveDirective, blockedURI }: SecurityPolicyViolationEvent): void => {
    isForbidden ||= effectiveDirective === 'connect-src' && blockedURI.startsWith(origin);
  };
  document.addEventListener('securitypolicyviolation', onViolation);
  // Without a token, API Gateway refuses this call itself. Its refusal lacks the header `cross-origin-resource-policy` of
  // Roster's functions, which would block the mode `no-cors`.
  const probe = (mode: RequestMode): Promise<boolean> => {
    const options: RequestInit = { mode, credentials: 'omit', referrerPolicy: 'no-referrer', cache: 'no-store' };
    const signal = AbortSignal.timeout(PROBE_MS_MAX);
    return fetch(`${base}/v1/organizations`, { ...options, signal }).then(
      () => true,
      () => false,
    );
  };
  try {
    // The connection is back.
    if (await probe('cors')) return false;
    if (await probe('no-cors')) {
      return report(
        `The API at ${origin} does not allow calls from ${location.origin} (CORS). Add ${location.origin} to the parameter AllowedOrigins of the deployment. For the laptop, use --allow-origin ${location.origin}.`,
      );
    }
    // The browser reports violations in a later task.
    await new Promise((resolve) => setTimeout(resolve));
  } finally {
    document.removeEventListener('securitypolicyviolation', onViolation);
  }
  if (isForbidden) return report(`The Content-Security-Policy of this page forbids calls to the API. Add ${origin} to connect-src.`);
  if (location.protocol === 'https:' && protocol === 'http:') {
    return report(`A page with https cannot call ${origin}. Set the attribute "api-base" to a URL with https.`);
  }
  return false;
}
