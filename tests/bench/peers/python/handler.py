"""A function in Python with boto3, for comparison with `create`.

For each event it writes the same 3 items in one transaction. The loop at the end does what Lambda's Python runtime
does around a handler.
"""

import datetime
import http.client
import json
import os
import secrets
import time

import boto3

client = boto3.client("dynamodb")
TABLE = "peers"


def handler(event):
    name = json.loads(event["body"])["name"]
    claims = event["requestContext"]["authorizer"]["jwt"]["claims"]
    sub, email = claims["sub"], claims["email"]
    organization = f"org_{secrets.token_hex(16)}"
    now = int(time.time())

    def put(sk, attributes):
        return {
            "Put": {
                "TableName": TABLE,
                "Item": {"pk": {"S": f"ORG#{organization}"}, "sk": {"S": sk}, **attributes},
                "ConditionExpression": "attribute_not_exists(#pk)",
                "ExpressionAttributeNames": {"#pk": "pk"},
            }
        }

    client.transact_write_items(
        ClientRequestToken=secrets.token_hex(16),
        TransactItems=[
            put(
                "ORG",
                {
                    "name": {"S": name},
                    "seats_total": {"N": "1000"},
                    "seats_free": {"N": "999"},
                    "owners": {"N": "1"},
                    "created_at": {"N": str(now)},
                },
            ),
            put(
                f"MEMBER#{sub}",
                {
                    "role": {"S": "owner"},
                    "email": {"S": email},
                    "joined_at": {"N": str(now)},
                    "person": {"S": f"USER#{sub}"},
                },
            ),
            put(
                f"INVITATION#{organization}",
                {
                    "email": {"S": email},
                    "role": {"S": "owner"},
                    "status": {"S": "accepted"},
                    "generation": {"N": "0"},
                    "accepted_by": {"S": sub},
                    "accepted_at": {"N": str(now)},
                },
            ),
        ],
    )
    created_at = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).isoformat()
    body = json.dumps({"id": organization, "name": name, "role": "owner", "created_at": created_at})
    return {"statusCode": 201, "headers": {"content-type": "application/json"}, "body": body}


host, _, path = os.environ["AWS_LAMBDA_RUNTIME_API"].removeprefix("http://").partition("/")
base = f"{'/' + path if path else ''}/2018-06-01/runtime/invocation"
connection = http.client.HTTPConnection(host)
while True:
    connection.request("GET", f"{base}/next")
    response = connection.getresponse()
    event = json.loads(response.read())
    request_id = response.headers["lambda-runtime-aws-request-id"]
    connection.request("POST", f"{base}/{request_id}/response", json.dumps(handler(event)))
    connection.getresponse().read()
