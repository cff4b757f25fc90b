/** Stands for the sign-in code of a product: the demo's owner is signed in. */
import type { GetToken } from 'roster-elements/users';

let token: Promise<string> | undefined;

async function newToken(): Promise<string> {
  const body = JSON.stringify({ sub: 'ada', email: 'ada@acme.example', email_verified: true });
  const response = await fetch('https://users.example.com/_dev/token', { method: 'POST', body });
  const { access_token } = (await response.json()) as { access_token: string };
  return access_token;
}

const apiToken: GetToken = ({ refresh }) => {
  if (refresh) token = undefined;
  return (token ??= newToken());
};

export const session = { apiToken };
