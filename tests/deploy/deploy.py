"""Deploys infra/template.yaml to an emulator of AWS on this machine, and takes invitations through it.

    python tests/deploy/deploy.py [--binaries DIR] [--keep DIR]

Runs ministack (its services, and the functions as processes), the laptop as an identity provider, puts the functions
of target/debug, or of another folder, into a bucket, makes the stack, and then does what people do: found an organization, invite, get the
mail, accept, be refused, let an invitation expire. It says what it sees, and fails if that is not what it should be.

Needs `cargo build --workspace`, and ministack, boto3 and aws-sam-translator in the Python that runs it.

What the emulator cannot do, and how that is dealt with:
- Its Serverless transform knows no parameter values, so the transform is made here, by the same library.
- It reads no OpenAPI body of an API, so the routes, integrations and the authorizer of the transformed body are made
  by calls, one by one.
- It has no CodeDeploy and no alarms over several metrics, so the stack is a `development` one. What production adds
  (releases, alarms, dashboard) is seen by the linters and by resources.txt only.
- It asks nobody for permission: roles and key policies are made, and not obeyed. tests/scenarios/permissions.rs
  holds them against what the functions call.
- It does not retry a stream's batch, bisect it or give it up, and its rules do not fire every 15 minutes here:
  tests/scenarios do that on the laptop; `reconcile` is invoked by hand.
- Nobody but AWS may put an `aws.ses` event on a bus, and the emulator's SES does not. So the rule's pattern is asked
  whether it matches such an event, and a rule of another source with the same target gets it.
- Route throttles and access logs are stored and do nothing.
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
from datetime import UTC, datetime
from pathlib import Path

from render import PARAMETERS, TOP, functions, render

STACK = "roster"
STARTED = time.monotonic()
# Seconds between an invitation and its expiry, for the one that has to expire while somebody waits.
SOON = 20
LIFETIME = 3600


def say(text):
    print(f"{time.monotonic() - STARTED:6.1f} s  {text}", flush=True)


def expect(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, found {found!r}")


def there(node):
    """What a node of the template is where there is a console; the only condition in the API's body is that."""
    if list(node) == ["Fn::If"]:
        expect(node["Fn::If"][0], "HasConsole", "a condition")
        return node["Fn::If"][1]
    return node


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what, look, seconds=60):
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.2)
    return found


def call(method, url, body=None, token=None, host=None):
    """Status and body of a call; the body as JSON if it is."""
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    if host:
        headers["host"] = host
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


@contextlib.contextmanager
def running(command, log, environment):
    """The process, as long as the block runs; then it and its children are gone."""
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
            # Whatever of its children has outlived it, too.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Roster:
    """The deployed stack, as its people reach it."""

    def __init__(self, work, emulator, issuer):
        import boto3

        self.work, self.emulator, self.issuer = work, emulator, issuer
        self.client = lambda service: boto3.client(service, endpoint_url=emulator)
        self.outputs, self.resources = {}, {}

    def deploy(self, binaries):
        # A prerequisite, as in AWS.
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
            # Nobody here waits for a minute.
            "MailPauseSeconds": "1",
        }
        rendered = render(parameters, bucket="code")
        body = json.dumps(rendered)
        self.client("s3").put_object(Bucket="code", Key="template.json", Body=body)
        formation = self.client("cloudformation")
        formation.create_stack(
            StackName=STACK,
            TemplateURL=f"{self.emulator}/code/template.json",
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )

        def ended():
            stack = formation.describe_stacks(StackName=STACK)["Stacks"][0]
            return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

        stack = until("the stack", ended, 180)
        if stack["StackStatus"] != "CREATE_COMPLETE":
            for event in formation.describe_stack_events(StackName=STACK)["StackEvents"]:
                if "FAILED" in event["ResourceStatus"]:
                    print(event["LogicalResourceId"], event.get("ResourceStatusReason"))
            raise AssertionError(f"the stack is {stack['StackStatus']}: {stack.get('StackStatusReason')}")
        self.outputs = {it["OutputKey"]: it["OutputValue"] for it in stack["Outputs"]}
        pages = formation.get_paginator("list_stack_resources").paginate(StackName=STACK)
        summaries = [it for page in pages for it in page["StackResourceSummaries"]]
        self.resources = {it["LogicalResourceId"]: it["PhysicalResourceId"] for it in summaries}
        say(f"{len(self.resources)} resources, {stack['StackStatus']}")
        self.add_routes(rendered)

    def upload(self, binaries):
        storage = self.client("s3")
        storage.create_bucket(Bucket="code")
        for name in functions():
            bootstrap = self.work / "bootstrap"
            # In a debug build nine tenths of it are symbols.
            subprocess.run(["strip", "-o", bootstrap, binaries / name], check=True)
            zipped = self.work / f"{name}.zip"
            # Stored, not deflated: it goes no further than this machine.
            with zipfile.ZipFile(zipped, "w") as archive:
                archive.write(bootstrap, "bootstrap")
            storage.upload_file(str(zipped), "code", f"{name}.zip")
        say(f"{len(functions())} functions of {binaries.relative_to(TOP)} are uploaded")

    def add_routes(self, rendered):
        """The body that API Gateway would have read."""
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
        made = 0
        for path, methods in body["paths"].items():
            for method, operation in there(methods).items():
                operation = there(operation)
                uri = there(operation["x-amazon-apigateway-integration"]["uri"])["Fn::Sub"]
                # An alias, whose id is its ARN; or a function that has none, whose id is its name.
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
                made += 1
        say(f"{made} routes")

    def api(self, method, path, body=None, token=None):
        host = f"{self.resources['Api']}.execute-api.localhost"
        return call(method, f"{self.emulator}{path}", body, token, host)

    def token(self, sub, email, verified=True):
        claims = {"sub": sub, "email": email, "email_verified": verified}
        status, answer = call("POST", f"{self.issuer}/_dev/token", claims)
        expect(status, 200, "a token")
        return answer["access_token"]

    def invitations(self, organization, token):
        status, listed = self.api("GET", f"{organization}/invitations", token=token)
        expect(status, 200, "a list of invitations")
        return listed["items"]

    def mails_to(self, email):
        _, answer = call("GET", f"{self.emulator}/_ministack/ses/messages")
        mails = [mail for account in answer["messages"].values() for mail in account]
        return [mail for mail in mails if mail["To"] == [email]]

    def mail_to(self, email, number=1):
        """The `number`th mail to that address, once it is there."""
        return until(f"mail {number} to {email}", lambda: self.mails_to(email)[number - 1 :])[0]


def link_in(mail):
    return re.search(r"/accept#(v1\.[\w.\-]+)", mail["BodyText"])[1]


def use(roster, clock):
    ada, bob = (roster.token(name, f"{name}@people.example") for name in ("ada", "bob"))
    status, _ = roster.api("POST", "/v1/organizations", {"name": "Acme"})
    expect(status, 401, "without a token")
    status, _ = roster.api("POST", "/v1/organizations", {"name": "Acme"}, ada + "x")
    expect(status, 401, "with a forged token")
    say("401 without a token, and with a forged one")

    for path in ("/", "/accept"):
        status, page = roster.api("GET", path)
        expect((status, page[:15]), (200, "<!doctype html>"), f"the page {path}")
    # None where they are not built into the function.
    for asset in re.findall(r'"(/assets/[^"]+)"', page):
        expect(roster.api("GET", asset)[0], 200, asset)
    expect(roster.api("GET", "/assets/nothing.js")[0], 404, "an asset that is not there")
    say("the pages, without a token")

    started = time.monotonic()
    status, created = roster.api("POST", "/v1/organizations", {"name": "Acme"}, ada)
    expect(status, 201, f"create: {created}")
    acme = f"/v1/organizations/{created['id']}"
    say(f"an organization, {created['seats']['free']} seats free; {time.monotonic() - started:.2f} s, cold")

    people = ["bob@people.example", "eve@people.example", "kim@people.example"]
    status, invited = roster.api("POST", f"{acme}/invitations", {"emails": people, "role": "member"}, ada)
    expect((status, [it["outcome"] for it in invited["results"]]), (200, ["invited"] * 3), "invite")
    token = link_in(roster.mail_to(people[0]))
    say(f"three are invited, and the mail is there: ...#{token[:12]}...")

    status, shown = roster.api("POST", "/v1/invitations/preview", {"token": token})
    expect((status, shown.get("email"), shown.get("status")), (200, people[0], "pending"), f"preview: {shown}")
    status, problem = roster.api("POST", "/v1/invitations/accept", {"token": token}, ada)
    expect((status, problem.get("code")), (403, "email_mismatch"), "accepted by somebody else")
    status, problem = roster.api("POST", "/v1/invitations/accept", {"token": token[:-4] + "AAAA"}, bob)
    expect((status, problem.get("code")), (400, "invalid_token"), "accepted with a forged link")
    status, member = roster.api("POST", "/v1/invitations/accept", {"token": token}, bob)
    expect((status, member.get("role")), (200, "member"), f"accept: {member}")
    say("403 for somebody else's link, 400 for a forged one (KMS), accepted by the invitee")

    feedback(roster, acme, ada, people[1], people[2])
    roles(roster, acme, ada, bob)
    expire(roster, acme, ada, clock)

    import boto3

    aliases = boto3.client("lambda", endpoint_url=roster.emulator)
    answer = aliases.invoke(FunctionName=roster.resources["ReconcileFunction"], Qualifier="live", Payload=b"{}")
    found = json.loads(answer["Payload"].read())
    expect((found.get("overdue_mail"), found.get("failed")), (0, 0), f"reconcile: {found}")
    say(f"reconcile finds {found}")


def feedback(roster, acme, ada, email, other):
    """SES's events go by the rules and their transformers to `feedback`."""
    said = {
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
    for rule, to, shows in (
        ("Delivered", email, "delivered"),
        ("Bounced", email, "bounced"),
        ("Complained", email, "complained"),
        ("Rejected", other, "failed"),
    ):
        roster.mail_to(to)
        kind, detail = said[rule]
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

        def shown(to=to, shows=shows):
            return [it for it in roster.invitations(acme, ada) if (it["email"], it["delivery"]) == (to, shows)]

        [invitation] = until(f"the mark of {rule}", shown)
        said_so = invitation.get("delivery_detail", "")
        say(f"{kind}: the invitation says {shows}. {said_so}")
    for invitation in roster.invitations(acme, ada):
        if invitation["email"] in (email, other):
            status, _ = roster.api("DELETE", f"{acme}/invitations/{invitation['id']}", token=ada)
            expect(status, 204, "revoke")


def roles(roster, acme, ada, bob):
    status, _ = roster.api("PATCH", f"{acme}/members/bob", {"role": "owner"}, ada)
    expect(status, 200, "role-edit")
    status, _ = roster.api("DELETE", f"{acme}/members/ada", token=ada)
    expect(status, 204, "leave")
    status, problem = roster.api("DELETE", f"{acme}/members/bob", token=bob)
    expect((status, problem.get("code")), (409, "last_owner"), "the last owner leaves")
    status, _ = roster.api("GET", acme, token=ada)
    expect(status, 404, "somebody who has left looks")
    status, invited = roster.api(
        "POST", f"{acme}/invitations", {"emails": ["ada@people.example"], "role": "owner"}, bob
    )
    expect(status, 200, "invite again")
    [result] = invited["results"]
    # Her first mail was none: she founded it.
    token = link_in(roster.mail_to("ada@people.example"))
    status, _ = roster.api("POST", "/v1/invitations/decline", {"token": token}, ada)
    expect(status, 204, "decline")
    status, problem = roster.api("POST", f"{acme}/invitations/{result['invitation']['id']}/resend", token=bob)
    expect((status, problem.get("code")), (409, "invitation_not_pending"), "resend of a declined one")
    again = until("ada may be mailed again", lambda: invites_anew(roster, acme, bob), 10)
    expect(again["results"][0]["outcome"], "invited", "invite anew")

    token = link_in(roster.mail_to("ada@people.example", 2))
    status, _ = roster.api("POST", "/v1/invitations/accept", {"token": token}, ada)
    expect(status, 200, "accept again")
    say("promoted, left, 409 for the last owner, 404 for who left, declined, invited anew, accepted")


def invites_anew(roster, acme, bob):
    """The answer, unless the address was mailed a moment ago."""
    body = {"emails": ["ada@people.example"], "role": "owner"}
    status, answer = roster.api("POST", f"{acme}/invitations", body, bob)
    if (status, answer.get("code")) == (429, "resend_too_soon"):
        return None
    expect(status, 200, "invite anew")
    return answer


def expire(roster, acme, ada, clock):
    """An invitation of almost an hour ago, by the functions' clock, falls due while we wait."""
    group = roster.resources["ScheduleGroup"]
    scheduler = roster.client("scheduler")

    def scheduled():
        return scheduler.list_schedules(GroupName=group)["Schedules"]

    until("the end of the others' schedules", lambda: not scheduled())
    clock.write_text(str(SOON - LIFETIME))
    email = "max@people.example"
    status, invited = roster.api("POST", f"{acme}/invitations", {"emails": [email], "role": "member"}, ada)
    expect(status, 200, "invite")
    [result] = invited["results"]
    deadline = datetime.fromisoformat(result["invitation"]["expires_at"])
    roster.mail_to(email)
    _, before = roster.api("GET", acme, token=ada)
    name = until("the schedule", scheduled)[-1]["Name"]
    schedule = scheduler.get_schedule(GroupName=group, Name=name)
    expect(schedule["ScheduleExpression"], f"at({deadline.strftime('%Y-%m-%dT%H:%M:%S')})", "the schedule")
    clock.write_text("0")
    say(f"an invitation has {(deadline - datetime.now(UTC)).total_seconds():.0f} s left: {name[:12]}... {schedule['ScheduleExpression']}")

    def closed():
        _, after = roster.api("GET", acme, token=ada)
        return after["seats"]["free"] == before["seats"]["free"] + 1

    until("the expiry", closed, SOON + 60)
    _, listed = roster.api("GET", f"{acme}/invitations?status=expired", token=ada)
    expect([it["email"] for it in listed["items"]], [email], "the expired")
    late = (datetime.now(UTC) - deadline).total_seconds()
    say(f"it is expired and its seat is back, {late:.0f} s after its deadline")
    until("the schedule's end", lambda: not scheduled())
    say("and its schedule is gone")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--binaries", type=Path, default=TOP / "target" / "debug", help="where the functions' binaries are"
    )
    parser.add_argument("--keep", type=Path, help="leave logs in this folder, whatever happens")
    arguments = parser.parse_args()
    # What was started is stopped on the way out, which a signal would leave out.
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
            # The functions inherit it, and go by it.
            "ROSTER_CLOCK_FILE": str(clock),
        }
        ministack = Path(sys.executable).with_name("ministack")
        laptop = [TOP / "target" / "debug" / "roster", "--port", str(issuer_port), "--no-demo", "--no-console"]
        with (
            running([ministack], logs / "ministack.log", environment),
            running(laptop, logs / "laptop.log", environment),
        ):
            try:
                until("the emulator", lambda: answers(f"{emulator}/_ministack/health"))
                until("the issuer", lambda: answers(f"{issuer}/.well-known/openid-configuration"))
                say("the emulator and the issuer are there")
                roster = Roster(work, emulator, issuer)
                roster.deploy(arguments.binaries.resolve())
                use(roster, clock)
            except BaseException:
                for log in ("ministack.log", "laptop.log"):
                    print(f"--- the end of {log}")
                    print("\n".join((logs / log).read_text(errors="replace").splitlines()[-40:]))
                raise
        say("all is well")


def answers(url):
    try:
        return call("GET", url)[0] == 200
    except (urllib.error.URLError, ConnectionError):
        return False


if __name__ == "__main__":
    main()
