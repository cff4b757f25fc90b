// Better Auth with its organization plugin, on SQLite, as its documentation sets it up; what would only slow it down is left out:
// its rate limits, its mails and the hashing of passwords. The database keeps its promises as Roster's laptop does.
//
// `node server.mjs FILE PEOPLE`: signs so many people up, the first of whom founds an organization, and then serves on any free
// port. The first line says where, and who they are.

import http from "node:http";

import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { organization } from "better-auth/plugins";
import Database from "better-sqlite3";

const [file, people] = process.argv.slice(2);
const database = new Database(file);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = NORMAL");

const auth = betterAuth({
  baseURL: "http://127.0.0.1",
  secret: "a-secret-that-only-this-measurement-knows",
  database,
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  // A session is looked up once in an hour, and not at every call: longer than all of it takes.
  session: { cookieCache: { enabled: true, maxAge: 60 * 60 } },
  // Whoever measures asks for all invitations at once, to know their ids.
  advanced: { database: { defaultFindManyLimit: 10_000 } },
  emailAndPassword: {
    enabled: true,
    password: { hash: async (password) => password, verify: async ({ hash, password }) => hash === password },
  },
  plugins: [organization({ membershipLimit: 1000, invitationLimit: 1000, sendInvitationEmail: async () => {} })],
});
const { runMigrations } = await getMigrations(auth.options);
await runMigrations();

const cookies = [];
for (let number = 0; number < Number(people); number += 1) {
  const name = `person-${String(number).padStart(4, "0")}`;
  const { headers } = await auth.api.signUpEmail({
    body: { name, email: `${name}@example.com`, password: "not a secret" },
    returnHeaders: true,
  });
  cookies.push(headers.getSetCookie().map((cookie) => cookie.split(";")[0]).join("; "));
}
const { id } = await auth.api.createOrganization({
  body: { name: "Acme", slug: "acme" },
  headers: new Headers({ cookie: cookies[0] }),
});

const server = http.createServer(toNodeHandler(auth));
server.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ port: server.address().port, organization: id, cookies }));
});
