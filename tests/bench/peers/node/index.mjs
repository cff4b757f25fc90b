// A function in Node.js, for comparison with `create`. For each event it writes the same 3 items in one transaction.
//
// The loop at the end does what Lambda's Node.js runtime does around a handler.

import { randomBytes } from "node:crypto";
import http from "node:http";

import { DynamoDBClient, TransactWriteItemsCommand } from "@aws-sdk/client-dynamodb";

const client = new DynamoDBClient({});
const TableName = "peers";

async function handler(event) {
  const { name } = JSON.parse(event.body);
  const { sub, email } = event.requestContext.authorizer.jwt.claims;
  const id = `org_${randomBytes(16).toString("hex")}`;
  const now = String(Math.floor(Date.now() / 1000));
  const put = (sk, attributes) => ({
    Put: {
      TableName,
      Item: { pk: { S: `ORG#${id}` }, sk: { S: sk }, ...attributes },
      ConditionExpression: "attribute_not_exists(#pk)",
      ExpressionAttributeNames: { "#pk": "pk" },
    },
  });
  await client.send(
    new TransactWriteItemsCommand({
      ClientRequestToken: randomBytes(16).toString("hex"),
      TransactItems: [
        put("ORG", {
          name: { S: name },
          seats_total: { N: "1000" },
          seats_free: { N: "999" },
          owners: { N: "1" },
          created_at: { N: now },
        }),
        put(`MEMBER#${sub}`, {
          role: { S: "owner" },
          email: { S: email },
          joined_at: { N: now },
          person: { S: `USER#${sub}` },
        }),
        put(`INVITATION#${id}`, {
          email: { S: email },
          role: { S: "owner" },
          status: { S: "accepted" },
          generation: { N: "0" },
          accepted_by: { S: sub },
          accepted_at: { N: now },
        }),
      ],
    }),
  );
  const body = JSON.stringify({ id, name, role: "owner", created_at: new Date(now * 1000).toISOString() });
  return { statusCode: 201, headers: { "content-type": "application/json" }, body };
}

const [host, ...path] = process.env.AWS_LAMBDA_RUNTIME_API.replace("http://", "").split("/");
const base = [path.length ? `/${path.join("/")}` : "", "2018-06-01/runtime/invocation"].join("/");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function call(method, path, body) {
  const [hostname, port] = host.split(":");
  return new Promise((resolve, reject) => {
    const request = http.request({ agent, hostname, port, method, path: `${base}/${path}` }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, text: Buffer.concat(chunks).toString() }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

for (;;) {
  const { headers, text } = await call("GET", "next");
  const result = await handler(JSON.parse(text));
  await call("POST", `${headers["lambda-runtime-aws-request-id"]}/response`, JSON.stringify(result));
}
