"""Deploys infra/template.yaml to an emulator of AWS on this machine, and tests the deployed stack.

    python tests/deploy/deploy.py [--binaries DIR] [--keep DIR]

The script starts ministack (an emulator that also runs the functions as processes), and the laptop (the local server
started by `cargo run`) as an identity provider. It uploads the functions from target/debug or another folder, and
creates the stack. Then it sends the requests of users: create an organization, invite, accept, decline, and let an
invitation expire. Then it restores the table with infra/table.py, moves the stack to the restored table, and makes
that table a resource of the stack. At last it creates a second stack beside the first, deletes the first, and creates a
stack that continues with its table and its key. It prints each result, and fails at an unexpected one.

Needs `cargo build --workspace`, and ministack, boto3 and aws-sam-translator in the Python that runs it.

Limits of the emulator, and how the script handles them:
- Its Serverless transform ignores parameter values. The script runs the transform itself, with the same library.
- It does not read the OpenAPI body of an API. The script creates the routes, integrations and authorizer of that body
  with API calls.
- It has no CodeDeploy and no alarms over several metrics, so the stack has the environment `development`. Only the
  linters and resources.txt check what production adds: releases, alarms and the dashboard.
- It stores roles and key policies, but does not enforce them. tests/scenarios/permissions.rs compares them with the
  calls of the functions.
- It does not retry, bisect or give up a stream batch, and the test does not wait 15 minutes for a rule. tests/scenarios
  covers both on the laptop. The script invokes `reconcile` itself.
- Only AWS may put an `aws.ses` event on a bus, and the emulator's SES does not. The script checks that the pattern of
  the rule matches such an event. Then it sends the event through a second rule with another source and the same
  targets.
- Route throttling and access logs are stored, but have no effect.
- It restores a table at once, and accepts every change of a table at any time. tests/deploy/table_test.py has a
  DynamoDB that refuses what AWS refuses.
- It imports only a resource that the stack's template does not have, while AWS also imports one whose condition was
  false. So the template of the moved stack does not contain the table, until infra/table.py reads it.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
from render import PARAMETERS, TOP, functions, render

sys.path.insert(0, str(TOP / "infra"))
import table  # noqa: E402

STACK = "roster"
STARTED = time.monotonic()
# Seconds until the expiry of the invitation that expires during the test.
SECONDS_LEFT = 20
LIFETIME = 3600


def say(text):
    print(f"{time.monotonic() - STARTED:6.1f} s  {text}", flush=True)


def expect(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, found {found!r}")


def with_console(node):
    """Returns the value of a template node in a stack with a console. The API's body has no other condition."""
    if list(node) == ["Fn::If"]:
        expect(node["Fn::If"][0], "HasConsole", "a condition")
        return node["Fn::If"][1]
    return node


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what, find, seconds=60):
    """Calls `find` until it returns a true value, and returns that value."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.2)
    return found


def call(method, url, body=None, token=None, host=None):
    """Sends a request and returns status and body of the response. A JSON body is decoded."""
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    if host:
        headers["host"] = host
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=40) as response:
            status, text = response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


@contextlib.contextmanager
def running(command, log, environment):
    """Runs a process during the block, then ends the process and its children."""
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            # Children that outlived the process.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Roster:
    """The deployed stack, and requests to it."""

    def __init__(self, work, emulator, issuer, stack=STACK):
        self.work, self.emulator, self.issuer, self.stack = work, emulator, issuer, stack
        self.client = lambda service: boto3.client(service, endpoint_url=emulator)
        self.outputs, self.resources, self.parameters = {}, {}, {}

    def create(self, binaries):
        # In AWS, too, the identity must exist before the deployment.
        self.client("sesv2").create_email_identity(EmailIdentity=PARAMETERS["MailIdentity"])
        self.upload(binaries)
        parameters = {
            **PARAMETERS,
            "JwtIssuer": self.issuer,
            "AcceptUrl": f"{self.issuer}/accept",
            "ConsoleClientId": "roster-console",
            "ConsoleAuthorizeUrl": f"{self.issuer}/_dev/authorize",
            "ConsoleTokenUrl": f"{self.issuer}/_dev/authorize/token",
            "Environment": "development",
            "Architecture": "x86_64" if os.uname().machine == "x86_64" else "arm64",
            "LifetimeHours": str(LIFETIME // 3600),
            # The test sends two mails to one address, and must not wait 60 s between them.
            "MailPauseSeconds": "1",
        }
        self.add_routes(self.deploy("create_stack", parameters))

    def deploy(self, operation, parameters, without=()):
        """Creates or updates the stack, without some resources, and returns the whole rendered template."""
        rendered = render(parameters, bucket="code")
        deployed = {**rendered, "Resources": {k: v for k, v in rendered["Resources"].items() if k not in without}}
        self.client("s3").put_object(Bucket="code", Key="template.json", Body=json.dumps(deployed))
        formation = self.client("cloudformation")
        getattr(formation, operation)(
            StackName=self.stack,
            TemplateURL=f"{self.emulator}/code/template.json",
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )

        def finished():
            stack = formation.describe_stacks(StackName=self.stack)["Stacks"][0]
            return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

        stack = wait_for("the stack", finished, 180)
        if stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            for event in self.events():
                if "FAILED" in event["ResourceStatus"]:
                    print(event["LogicalResourceId"], event.get("ResourceStatusReason"))
            raise AssertionError(f"the stack's status is {stack['StackStatus']}: {stack.get('StackStatusReason')}")
        self.parameters = parameters
        self.read(stack)
        say(f"{len(self.resources)} resources, {stack['StackStatus']}")
        return rendered

    def read(self, stack):
        """Reads the outputs of the stack and the ids of its resources."""
        self.outputs = {it["OutputKey"]: it["OutputValue"] for it in stack["Outputs"]}
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.stack)
        summaries = [it for page in pages for it in page["StackResourceSummaries"]]
        self.resources = {it["LogicalResourceId"]: it["PhysicalResourceId"] for it in summaries}

    def events(self):
        """Returns the events of the stack, the newest first."""
        pages = self.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=self.stack)
        return [event for page in pages for event in page["StackEvents"]]

    def upload(self, binaries):
        storage = self.client("s3")
        storage.create_bucket(Bucket="code")
        for name in functions():
            bootstrap = self.work / "bootstrap"
            # Nine tenths of a debug build are symbols.
            subprocess.run(["strip", "-o", bootstrap, binaries / name], check=True)
            zipped = self.work / f"{name}.zip"
            # Stored, not deflated: the file stays on this machine.
            with zipfile.ZipFile(zipped, "w") as archive:
                archive.write(bootstrap, "bootstrap")
            storage.upload_file(str(zipped), "code", f"{name}.zip")
        say(f"uploaded {len(functions())} functions from {binaries.relative_to(TOP)}")

    def add_routes(self, rendered):
        """Creates the authorizer and the routes of the API's body, which API Gateway would read."""
        gateway, api = self.client("apigatewayv2"), self.resources["Api"]
        body = rendered["Resources"]["Api"]["Properties"]["Body"]
        schemes = body["components"]["securitySchemes"]
        expect(list(schemes), ["Issuer"], "authorizers")
        authorizer = gateway.create_authorizer(
            ApiId=api,
            AuthorizerType="JWT",
            Name="Issuer",
            IdentitySource=[schemes["Issuer"]["x-amazon-apigateway-authorizer"]["identitySource"]],
            JwtConfiguration={"Issuer": self.issuer, "Audience": [PARAMETERS["JwtAudience"]]},
        )["AuthorizerId"]
        count = 0
        for path, methods in body["paths"].items():
            for method, operation in with_console(methods).items():
                operation = with_console(operation)
                uri = with_console(operation["x-amazon-apigateway-integration"]["uri"])["Fn::Sub"]
                # The physical id of an alias is its ARN. The physical id of a function without an alias is its name.
                named = self.resources[re.search(r"\$\{(\w+)(\.Arn)?\}", uri)[1]]
                arn = named if named.startswith("arn:") else f"arn:aws:lambda:us-east-1:000000000000:function:{named}"
                integration = gateway.create_integration(
                    ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
                )["IntegrationId"]
                signed_in = operation.get("security") == [{"Issuer": []}]
                gateway.create_route(
                    ApiId=api,
                    RouteKey=f"{method.upper()} {path}",
                    Target=f"integrations/{integration}",
                    **({"AuthorizationType": "JWT", "AuthorizerId": authorizer} if signed_in else {}),
                )
                count += 1
        say(f"{count} routes")

    def api(self, method, path, body=None, token=None):
        host = f"{self.resources['Api']}.execute-api.localhost"
        return call(method, f"{self.emulator}{path}", body, token, host)

    def token(self, sub, email, verified=True):
        claims = {"sub": sub, "email": email, "email_verified": verified}
        status, body = call("POST", f"{self.issuer}/_dev/token", claims)
        expect(status, 200, "token")
        return body["access_token"]

    def invitations(self, organization, token):
        status, listed = self.api("GET", f"{organization}/invitations", token=token)
        expect(status, 200, "list of invitations")
        return listed["items"]

    def mails_to(self, email):
        _, body = call("GET", f"{self.emulator}/_ministack/ses/messages")
        mails = [mail for account in body["messages"].values() for mail in account]
        return [mail for mail in mails if mail["To"] == [email]]

    def mail_to(self, email, number=1):
        """Waits for the `number`th mail to that address and returns it."""
        return wait_for(f"mail {number} to {email}", lambda: self.mails_to(email)[number - 1 :])[0]


def link_in(mail):
    return re.search(r"/accept#(v1\.[\w.\-]+)", mail["BodyText"])[1]


def test_stack(roster, clock):
    """Sends the requests of users to the stack and checks the results."""
    ada, bob = (roster.token(name, f"{name}@people.example") for name in ("ada", "bob"))
    status, _ = roster.api("POST", "/v1/organizations", {"name": "Acme"})
    expect(status, 401, "without a token")
    status, _ = roster.api("POST", "/v1/organizations", {"name": "Acme"}, ada + "x")
    expect(status, 401, "with a forged token")
    say("401 without a token, and with a forged one")

    for path in ("/", "/accept"):
        status, page = roster.api("GET", path)
        expect((status, page[:15]), (200, "<!doctype html>"), f"the page {path}")
    # A function without embedded pages serves a page without assets.
    for asset in re.findall(r'"(/assets/[^"]+)"', page):
        expect(roster.api("GET", asset)[0], 200, asset)
    expect(roster.api("GET", "/assets/nothing.js")[0], 404, "missing asset")
    say("200 for the pages, without a token")

    started = time.monotonic()
    status, created = roster.api("POST", "/v1/organizations", {"name": "Acme"}, ada)
    expect(status, 201, f"create: {created}")
    acme = f"/v1/organizations/{created['id']}"
    seconds = time.monotonic() - started
    say(f"created an organization with {created['seats']['free']} free seats; {seconds:.2f} s with cold start")

    people = ["bob@people.example", "eve@people.example", "kim@people.example"]
    status, invited = roster.api("POST", f"{acme}/invitations", {"emails": people, "role": "member"}, ada)
    expect((status, [it["outcome"] for it in invited["results"]]), (200, ["invited"] * 3), "invite")
    token = link_in(roster.mail_to(people[0]))
    say(f"invited three addresses, and received the mail: ...#{token[:12]}...")

    status, shown = roster.api("POST", "/v1/invitations/preview", {"token": token})
    expect((status, shown.get("email"), shown.get("status")), (200, people[0], "pending"), f"preview: {shown}")
    status, problem = roster.api("POST", "/v1/invitations/accept", {"token": token}, ada)
    expect((status, problem.get("code")), (403, "email_mismatch"), "accept with another address")
    status, problem = roster.api("POST", "/v1/invitations/accept", {"token": token[:-4] + "AAAA"}, bob)
    expect((status, problem.get("code")), (400, "invalid_token"), "accept with a forged link")
    status, member = roster.api("POST", "/v1/invitations/accept", {"token": token}, bob)
    expect((status, member.get("role")), (200, "member"), f"accept: {member}")
    say("403 for a link of another user, 400 for a forged link (KMS), 200 for the invitee")

    test_feedback(roster, acme, ada, people[1], people[2])
    test_roles(roster, acme, ada, bob)
    test_expiry(roster, acme, ada, clock)

    invoked = {"FunctionName": roster.resources["ReconcileFunction"], "Qualifier": "live"}
    response = roster.client("lambda").invoke(**invoked, Payload=b"{}")
    found = json.loads(response["Payload"].read())
    expect((found.get("overdue_mail"), found.get("failed")), (0, 0), f"reconcile: {found}")
    say(f"reconcile returns {found}")
    test_restore(roster, acme, ada)
    test_more_stacks(roster, acme, ada)


def test_feedback(roster, acme, ada, email, other):
    """Checks that SES events reach `feedback` through the rules and their transformers."""
    events_of_ses = {
        "Delivered": ("Email Delivered", {"delivery": {"recipients": [email]}}),
        "Bounced": (
            "Email Bounced",
            {
                "bounce": {
                    "bounceType": "Permanent",
                    "bounceSubType": "NoEmail",
                    "bouncedRecipients": [{"emailAddress": email, "diagnosticCode": f"550 {email}"}],
                }
            },
        ),
        "Complained": ("Email Complaint Received", {"complaint": {"feedbackId": "1"}}),
        "Rejected": ("Email Rejected", {"reject": {"reason": "Bad content"}}),
    }
    events = roster.client("events")
    for rule, to, delivery in (
        ("Delivered", email, "delivered"),
        ("Bounced", email, "bounced"),
        ("Complained", email, "complained"),
        ("Rejected", other, "failed"),
    ):
        roster.mail_to(to)
        kind, detail = events_of_ses[rule]
        [invitation] = [it for it in roster.invitations(acme, ada) if it["email"] == to]
        expires_at = int(datetime.fromisoformat(invitation["expires_at"]).timestamp())
        detail["mail"] = {
            "destination": [to],
            "tags": {
                "ses:configuration-set": [roster.outputs["MailEvents"]],
                "organization": [acme.rsplit("/", 1)[1]],
                "invitation": [invitation["id"]],
                "generation": [str(invitation["generation"])],
                "expires_at": [str(expires_at)],
            },
        }
        real = events.describe_rule(Name=roster.resources[f"FeedbackFunction{rule}"])
        event = {
            **{"id": "1", "account": "000000000000", "region": "us-east-1", "time": "2026-11-24T00:00:00Z"},
            **{"source": "aws.ses", "detail-type": kind, "resources": [], "detail": detail},
        }
        matched = events.test_event_pattern(EventPattern=real["EventPattern"], Event=json.dumps(event))
        expect(matched["Result"], True, f"the rule {rule} matches its event")
        pattern = {**json.loads(real["EventPattern"]), "source": ["deploy.ses"]}
        events.put_rule(Name=f"as-ses-{rule}", EventPattern=json.dumps(pattern))
        targets = events.list_targets_by_rule(Rule=real["Name"])["Targets"]
        events.put_targets(Rule=f"as-ses-{rule}", Targets=targets)
        entry = {"Source": "deploy.ses", "DetailType": kind, "Detail": json.dumps(detail)}
        expect(events.put_events(Entries=[entry])["FailedEntryCount"], 0, "events refused")

        def updated(to=to, delivery=delivery):
            return [it for it in roster.invitations(acme, ada) if (it["email"], it["delivery"]) == (to, delivery)]

        [invitation] = wait_for(f"the delivery status after {rule}", updated)
        reason = invitation.get("delivery_detail", "")
        say(f"{kind}: the invitation's delivery is {delivery}. {reason}")
    for invitation in roster.invitations(acme, ada):
        if invitation["email"] in (email, other):
            status, _ = roster.api("DELETE", f"{acme}/invitations/{invitation['id']}", token=ada)
            expect(status, 204, "revoke")


def test_roles(roster, acme, ada, bob):
    status, _ = roster.api("PATCH", f"{acme}/members/bob", {"role": "owner"}, ada)
    expect(status, 200, "role-edit")
    status, _ = roster.api("DELETE", f"{acme}/members/ada", token=ada)
    expect(status, 204, "leave")
    status, problem = roster.api("DELETE", f"{acme}/members/bob", token=bob)
    expect((status, problem.get("code")), (409, "last_owner"), "leave as the last owner")
    status, _ = roster.api("GET", acme, token=ada)
    expect(status, 404, "get as a former member")
    status, invited = roster.api(
        "POST", f"{acme}/invitations", {"emails": ["ada@people.example"], "role": "owner"}, bob
    )
    expect(status, 200, "invite again")
    [result] = invited["results"]
    # This is her first mail: a founder gets none.
    token = link_in(roster.mail_to("ada@people.example"))
    status, _ = roster.api("POST", "/v1/invitations/decline", {"token": token}, ada)
    expect(status, 204, "decline")
    status, problem = roster.api("POST", f"{acme}/invitations/{result['invitation']['id']}/resend", token=bob)
    expect((status, problem.get("code")), (409, "invitation_not_pending"), "resend a declined invitation")
    again = wait_for("the end of the pause between mails", lambda: invite_ada(roster, acme, bob), 10)
    expect(again["results"][0]["outcome"], "invited", "invite after a decline")

    token = link_in(roster.mail_to("ada@people.example", 2))
    status, _ = roster.api("POST", "/v1/invitations/accept", {"token": token}, ada)
    expect(status, 200, "accept again")
    say("promoted, left, 409 for the last owner, 404 for a former member, declined, invited again, accepted")


def invite_ada(roster, acme, bob):
    """Invites ada and returns the response, or None if her address was mailed too recently."""
    request = {"emails": ["ada@people.example"], "role": "owner"}
    status, body = roster.api("POST", f"{acme}/invitations", request, bob)
    if (status, body.get("code")) == (429, "resend_too_soon"):
        return None
    expect(status, 200, "invite after a decline")
    return body


def test_expiry(roster, acme, ada, clock):
    """Invites while the functions' clock is almost an hour behind, so that the invitation expires during the test."""
    group = roster.resources["ScheduleGroup"]
    scheduler = roster.client("scheduler")

    def scheduled():
        return scheduler.list_schedules(GroupName=group)["Schedules"]

    wait_for("the deletion of the other schedules", lambda: not scheduled())
    clock.write_text(str(SECONDS_LEFT - LIFETIME))
    email = "max@people.example"
    status, invited = roster.api("POST", f"{acme}/invitations", {"emails": [email], "role": "member"}, ada)
    expect(status, 200, "invite")
    [result] = invited["results"]
    deadline = datetime.fromisoformat(result["invitation"]["expires_at"])
    roster.mail_to(email)
    _, before = roster.api("GET", acme, token=ada)
    name = wait_for("the schedule", scheduled)[-1]["Name"]
    schedule = scheduler.get_schedule(GroupName=group, Name=name)
    # The first full minute from the deadline.
    minute = (deadline + timedelta(seconds=59)).replace(second=0)
    expect(schedule["ScheduleExpression"], f"at({minute.strftime('%Y-%m-%dT%H:%M:%S')})", "the schedule")
    clock.write_text("0")
    left = (minute - datetime.now(UTC)).total_seconds()
    say(f"the schedule fires in {left:.0f} s: {name[:12]}... {schedule['ScheduleExpression']}")

    def closed():
        _, after = roster.api("GET", acme, token=ada)
        return after["seats"]["free"] == before["seats"]["free"] + 1

    # The schedule is at most a minute later than the deadline, and the emulator late by some seconds.
    wait_for("the expiry", closed, SECONDS_LEFT + 60 + 60)
    _, listed = roster.api("GET", f"{acme}/invitations?status=expired", token=ada)
    expect([it["email"] for it in listed["items"]], [email], "expired invitations")
    late = (datetime.now(UTC) - deadline).total_seconds()
    say(f"the invitation is closed and its seat is free, {late:.0f} s after its expiry")
    wait_for("the deletion of the schedule", lambda: not scheduled())
    say("its schedule is deleted")


def test_restore(roster, acme, ada):
    """Restores the table, moves the stack to the restored table, and makes that table a resource of the stack."""
    _, before = roster.api("GET", acme, token=ada)
    old, restored = roster.outputs["TableName"], "restored"
    script = [sys.executable, TOP / "infra" / "table.py"]
    command = [*script, "restore", STACK, restored, "--poll", "0.2"]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    changed = dict(parameter.split("=", 1) for parameter in printed.split())
    expect(list(changed), ["TableName", "TableStreamArn", "ReleaseType", "ReleaseAlarms"], "printed parameters")
    # Written to the old table after the recovery, so it shows which table the functions use.
    _, late = roster.api("POST", "/v1/organizations", {"name": "Late"}, ada)
    late = f"/v1/organizations/{late['id']}"

    # CloudFormation keeps a table that its template does not contain.
    rendered = roster.deploy("update_stack", {**roster.parameters, **changed}, without=["Table"])
    expect_same_table(roster, rendered["Resources"]["Table"]["Properties"], restored)
    expect_policies_first(roster, restored)
    expect(streams(roster), [changed["TableStreamArn"]] * 2, "the streams that `mail` and `schedule` read")
    expect(roster.api("GET", late, token=ada)[0], 404, "get what only the old table has")
    expect(roster.api("GET", acme, token=ada), (200, before), "get after the recovery")
    roster.client("dynamodb").describe_table(TableName=old)
    expect_invitation(roster, acme, ada, "zoe@people.example")
    say("the stack uses the restored table: the organization is there, and an invitation is mailed")

    class Formation:
        """CloudFormation of the emulator, with the table in the stack's template."""

        def __getattr__(self, name):
            return getattr(roster.client("cloudformation"), name)

        def get_template(self, **arguments):
            body = roster.client("cloudformation").get_template(**arguments)["TemplateBody"]
            body["Resources"]["Table"] = rendered["Resources"]["Table"]
            return {"TemplateBody": body}

    table.adopt(Formation(), roster.client("s3"), STACK, "code", table.Waiter(0.2))
    # The second run finds the table in the stack.
    subprocess.run([*script, "adopt", STACK], check=True)
    roster.deploy("update_stack", {**roster.parameters, "TableStreamArn": ""})
    expect(roster.resources.get("Table"), restored, "the table as a resource of the stack")
    expect(streams(roster), [changed["TableStreamArn"]] * 2, "the streams that `mail` and `schedule` read")
    expect(roster.api("GET", acme, token=ada)[0], 200, "get after the import")
    expect_invitation(roster, acme, ada, "amy@people.example")
    say("the restored table is a resource of the stack: the organization is there, and an invitation is mailed")


def streams(roster):
    """Returns the stream of each event source mapping."""
    mappings = roster.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    return [mapping["EventSourceArn"] for mapping in mappings]


def expect_same_table(roster, template, name):
    """Checks that the table has the properties of the template's table."""
    client = roster.client("dynamodb")
    found = client.describe_table(TableName=name)["Table"]
    ttl = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    described = ("IndexName", "KeySchema", "Projection")
    indexes = [{key: index[key] for key in described} for index in found["GlobalSecondaryIndexes"]]
    expect(indexes, template["GlobalSecondaryIndexes"], "indexes")
    expect(found["KeySchema"], template["KeySchema"], "keys")
    expect(found["BillingModeSummary"]["BillingMode"], template["BillingMode"], "billing mode")
    expect(found["StreamSpecification"], {"StreamEnabled": True, **template["StreamSpecification"]}, "stream")
    expected = template["TimeToLiveSpecification"]
    expect(ttl, {"TimeToLiveStatus": "ENABLED", "AttributeName": expected["AttributeName"]}, "time to live")
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    expect({"PointInTimeRecoveryEnabled": recovery}, template["PointInTimeRecoverySpecification"], "recovery")


def expect_policies_first(roster, name):
    """Checks that the update has replaced each function's policy before the function, and deleted the old policy."""
    iam = roster.client("iam")
    complete, started = {}, {}
    # From the oldest event of the update to the newest.
    for number, event in enumerate(reversed(roster.events())):
        resource, status = event["LogicalResourceId"], event["ResourceStatus"]
        {"UPDATE_COMPLETE": complete, "UPDATE_IN_PROGRESS": started}.get(status, {})[resource] = number
    policies = [resource for resource in roster.resources if resource.endswith("Permissions")]
    expect(len(policies), len(functions()) - 1, "policies")
    for policy in policies:
        action = policy.removesuffix("Permissions")
        if not complete[policy] < started[f"{action}Function"]:
            raise AssertionError(f"{policy} was replaced after {action}Function")
        attached = iam.list_attached_role_policies(RoleName=roster.resources[f"{action}Role"])["AttachedPolicies"]
        arns = {it["PolicyArn"] for it in attached}
        expect(arns, {roster.resources["Telemetry"], roster.resources[policy]}, f"policies of {action}Role")
        arn = {"PolicyArn": roster.resources[policy]}
        version = iam.get_policy(**arn)["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(**arn, VersionId=version)["PolicyVersion"]["Document"]
        tables = set(re.findall(r":table/([\w.-]+)", json.dumps(document)))
        expect(tables, {name}, f"tables of {policy}")


def test_more_stacks(roster, acme, ada):
    """Creates a second stack beside the first. Then deletes the first stack, and creates one with its table and key."""
    kms, formation = roster.client("kms"), roster.client("cloudformation")
    plain = {**roster.parameters, "TableName": "", "TableStreamArn": ""}
    other = Roster(roster.work, roster.emulator, roster.issuer, "roster-other")
    other.add_routes(other.deploy("create_stack", plain))
    expect(other.outputs["TableName"], "roster-other", "the table of a second stack")
    status, listed = other.api("GET", "/v1/organizations", token=ada)
    expect((status, listed["items"]), (200, []), "the organizations in the second stack")
    say("a second stack has a table of its own")

    email = "ida@people.example"
    expect_invitation(roster, acme, ada, email)
    link = {"token": link_in(roster.mail_to(email))}
    status, problem = other.api("POST", "/v1/invitations/preview", link)
    expect((status, problem.get("code")), (400, "invalid_token"), "a link of another key")
    formation.delete_stack(StackName=roster.stack)

    def is_deleted():
        stacks = formation.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"]
        return [it for it in stacks if it["StackName"] == roster.stack]

    wait_for("the deletion of the stack", is_deleted)
    key = roster.outputs["MintingKeyArn"]
    expect(kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"], "PendingDeletion", "the state of the key")
    # As in the runbook. The emulator does not enforce the policy of the key.
    kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    parameters = {**plain, "LinkKeyArn": key}
    parameters.update({name: roster.outputs[name] for name in ("TableName", "TableStreamArn")})
    heir = Roster(roster.work, roster.emulator, roster.issuer)
    heir.add_routes(heir.deploy("create_stack", parameters))
    kept = {name for name in ("Table", "KeyA", "KeyB") if name in heir.resources}
    expect((kept, heir.outputs["MintingKeyArn"]), (set(), key), "table and keys that the stack created, and its key")
    status, shown = heir.api("POST", "/v1/invitations/preview", link)
    expect((status, shown.get("email")), (200, email), f"preview of a link of the deleted stack: {shown}")
    expect_invitation(heir, acme, ada, "leo@people.example")
    link = link_in(heir.mail_to("leo@people.example"))
    expect(link.split(".")[1], key.rsplit("/", 1)[1].split("-")[0], "the id of the key in a new link")
    say("the stack was deleted and created again: a link in an old mail is still valid, and an invitation is mailed")


def expect_invitation(roster, organization, token, email):
    """Checks that an invitation is mailed."""
    status, invited = roster.api("POST", f"{organization}/invitations", {"emails": [email], "role": "member"}, token)
    expect((status, [it["outcome"] for it in invited["results"]]), (200, ["invited"]), f"invite: {invited}")
    roster.mail_to(email)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--binaries", type=Path, default=TOP / "target" / "debug", help="folder with the functions' binaries"
    )
    parser.add_argument("--keep", type=Path, help="write the logs to this folder and keep them")
    arguments = parser.parse_args()
    # Exit normally at SIGTERM, so that the `finally` blocks end the started processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="roster-deploy-") as folder:
        work = Path(folder)
        logs = arguments.keep or work
        logs.mkdir(parents=True, exist_ok=True)
        clock = work / "clock"
        clock.write_text("0")
        port, issuer_port = free_port(), free_port()
        emulator, issuer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{issuer_port}"
        os.environ.update(
            AWS_ENDPOINT_URL=emulator,
            AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test",
            AWS_DEFAULT_REGION="us-east-1",
            AWS_REGION="us-east-1",
        )
        environment = {
            **os.environ,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",
            "TMPDIR": folder,
            # The functions inherit this variable and use the clock in the file.
            "ROSTER_CLOCK_FILE": str(clock),
        }
        ministack = Path(sys.executable).with_name("ministack")
        laptop = [TOP / "target" / "debug" / "roster", "--port", str(issuer_port), "--no-demo", "--no-console"]
        with (
            running([ministack], logs / "ministack.log", environment),
            running(laptop, logs / "laptop.log", environment),
        ):
            try:
                wait_for("the emulator", lambda: is_up(f"{emulator}/_ministack/health"))
                wait_for("the issuer", lambda: is_up(f"{issuer}/.well-known/openid-configuration"))
                say("started the emulator and the issuer")
                roster = Roster(work, emulator, issuer)
                roster.create(arguments.binaries.resolve())
                test_stack(roster, clock)
            except BaseException:
                for log in ("ministack.log", "laptop.log"):
                    print(f"--- last lines of {log}")
                    print("\n".join((logs / log).read_text(errors="replace").splitlines()[-40:]))
                raise
        say("all checks passed")


def is_up(url):
    """Whether a GET request returns 200."""
    try:
        return call("GET", url)[0] == 200
    except (urllib.error.URLError, ConnectionError):
        return False


if __name__ == "__main__":
    main()
