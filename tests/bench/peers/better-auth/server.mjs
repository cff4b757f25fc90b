// A server with Better Auth and its organization plugin on SQLite, set up as in its documentation. Rate limits, mails
// and password hashing are off, since they would only slow it down. The database has the same durability settings as
// that of Roster's laptop (the local server started by `cargo run`).
//
// `node server.mjs FILE COUNT` signs up COUNT users, creates an organization as the first user, and serves on a free
// port. The first line of output is JSON with the port, the organization's id and the users' cookies.

import http from "node:http";

import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { organization } from "better-auth/plugins";
import Database from "better-sqlite3";

const [file, count] = process.argv.slice(2);
const database = new Database(file);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = NORMAL");

const auth = betterAuth({
  baseURL: "http://127.0.0.1",
  secret: "a-secret-of-this-measurement-only",
  database,
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  // Look a session up once per hour instead of at every request. The measurement takes less than an hour.
  session: { cookieCache: { enabled: true, maxAge: 60 * 60 } },
  // The measurement requests all invitations at once, to get their ids.
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
for (let number = 0; number < Number(count); number += 1) {
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
