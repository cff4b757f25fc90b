#!/usr/bin/env python3
"""Restores the table of a stack, and makes a restored table a resource of its stack.

    python infra/table.py restore STACK TABLE [--time TIME]
    python infra/table.py adopt STACK [--bucket BUCKET]

`restore` restores the stack's table to the new table TABLE by point-in-time recovery, at its latest restorable time or
at TIME. If TABLE exists already and was restored from the stack's table, the script uses it. It enables what
DynamoDB does not restore (the stream, time to live, point-in-time recovery, deletion protection), and prints the
parameters of the deployment that moves the stack to TABLE. It changes neither the stack nor its current table.

`adopt` makes a table that the stack only uses (`TableStreamArn`) a resource of the stack again. CloudFormation then
updates its properties.

Both wait as long as AWS takes. If one is interrupted, run the same command again: it continues where it was.

Needs boto3, AWS credentials, and a Region: AWS_DEFAULT_REGION, or the one in AWS's configuration file. RUNBOOK.md has the
procedures.
"""

import argparse
import json
import re
import sys
import time
from datetime import UTC, datetime

try:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    sys.exit("infra/table.py needs boto3. Install it: pip install boto3")

STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
TTL = {"Enabled": True, "AttributeName": "ttl"}

# Error codes of a table that is busy with another change.
IS_BUSY = {"ResourceInUseException", "LimitExceededException", "ContinuousBackupsUnavailableException"}
# The message of an error for a change that was made already, although the description does not show it yet.
IS_DONE = re.compile("already (has an )?enabled")


class Failure(Exception):
    """The script cannot continue. The text says what was wrong and what to do."""


def error_of(error):
    """Returns code and message of an error that AWS returned."""
    return error.response["Error"]["Code"], error.response["Error"]["Message"]


def say(text):
    """Prints a line about the progress. Only the result goes to stdout."""
    print(text, file=sys.stderr, flush=True)


class Waiter:
    """Calls a function until it returns a result, without a limit, and prints what it waits for."""

    def __init__(self, seconds, sleep=time.sleep):
        self.seconds, self.sleep = seconds, sleep

    def until(self, find):
        """Calls `find` until its first result is true, and returns it. The second result says what is missing."""
        shown = None
        while True:
            found, missing = find()
            if found:
                return found
            if missing != shown:
                say(f"waiting for {missing}")
                shown = missing
            self.sleep(self.seconds)


# --------------------------------------------------------------------------------------------------------------- stacks


def stack_of(formation, name):
    """Returns the description of a stack."""
    try:
        [stack] = formation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error_of(error)[0] != "ValidationError":
            raise
        raise Failure(
            f"There is no stack {name} in this account and Region. Check STACK, the credentials and AWS_DEFAULT_REGION."
        )
    return stack


def outputs_of(stack):
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def parameters_of(stack):
    return {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack.get("Parameters", [])}


def table_of(stack):
    """Returns the name of the table that the stack uses."""
    name, status = stack["StackName"], stack["StackStatus"]
    table = outputs_of(stack).get("TableName")
    if table is None:
        raise Failure(f"The stack {name} has no output TableName (status {status}). Is it a stack of Roster?")
    return table


# -------------------------------------------------------------------------------------------------------------- restore


def describe(dynamodb, table):
    """Returns the description of a table, or None if the table does not exist."""
    try:
        return dynamodb.describe_table(TableName=table)["Table"]
    except ClientError as error:
        if error_of(error)[0] != "ResourceNotFoundException":
            raise
        return None


def active(dynamodb, table, waiter):
    """Waits until a table and its indexes are ACTIVE, and returns the table's description."""

    def found():
        description = describe(dynamodb, table)
        if description is None:
            # A description may lag behind the request that has created the table.
            return None, f"the table {table} to appear"
        indexes = description.get("GlobalSecondaryIndexes", [])
        statuses = {index["IndexName"]: index.get("IndexStatus", "ACTIVE") for index in indexes}
        statuses = {f"the table {table}": description["TableStatus"], **statuses}
        for name, status in statuses.items():
            if status not in ("ACTIVE", "CREATING", "UPDATING"):
                raise Failure(f"The status of {name} is {status}. Choose another name for the restored table.")
        missing = ", ".join(f"{name} ({status})" for name, status in statuses.items() if status != "ACTIVE")
        return None if missing else description, missing

    return waiter.until(found)


def shape(description):
    """Returns the keys of a table and its indexes, which a restored table has in common with its source."""
    indexes = {index["IndexName"]: index for index in description.get("GlobalSecondaryIndexes", [])}
    return {
        name: [(key["AttributeName"], key["KeyType"]) for key in keyed["KeySchema"]]
        for name, keyed in {**indexes, None: description}.items()
    }


def start_restore(dynamodb, source, target, at):
    """Starts the recovery of `source` to the new table `target`."""
    moment = {"RestoreDateTime": at} if at else {"UseLatestRestorableTime": True}
    try:
        dynamodb.restore_table_to_point_in_time(SourceTableName=source, TargetTableName=target, **moment)
    except ClientError as error:
        code, message = error_of(error)
        if code in ("TableAlreadyExistsException", "TableInUseException"):
            # An earlier run has started the recovery, but the table's description does not show it yet.
            return
        if code == "TableNotFoundException":
            raise Failure(
                f"The table {source} does not exist. DynamoDB keeps a backup of a deleted table for 35 days. Find it"
                " with `aws dynamodb list-backups --backup-type SYSTEM`, restore it to the table"
                f" {target} with `aws dynamodb restore-table-from-backup`, then run this command again."
            )
        if code == "PointInTimeRecoveryUnavailableException":
            raise Failure(
                f"Point-in-time recovery of {source} is not enabled. Restore a backup to the table {target}, then run"
                " this command again."
            )
        if code == "InvalidRestoreTimeException":
            raise Failure(f"{source} cannot be restored to that time: {message}")
        raise
    say(f"restoring {source} to {target}; a large table takes hours")


def check_origin(description, source, origin, at):
    """Raises an error if a table that exists already is no complete copy of the stack's table."""
    target, summary = description["TableName"], description.get("RestoreSummary", {})
    if summary.get("SourceTableArn", "").rsplit("/", 1)[-1] != source:
        found = f"exists, and was not restored from the stack's table {source}"
    elif at and summary["RestoreDateTime"] != at:
        found = f"was restored to another time: {summary['RestoreDateTime'].isoformat()}"
    elif origin and shape(description) != shape(origin):
        # A table can be restored without its indexes.
        found = f"has other keys or indexes than the stack's table {source}"
    else:
        return
    raise Failure(f"The table {target} {found}. Choose another name.")


def change(waiter, call, **arguments):
    """Makes a change to a table. While the table is busy, returns False."""
    try:
        call(**arguments)
    except ClientError as error:
        code, message = error_of(error)
        if code in IS_BUSY:
            waiter.sleep(waiter.seconds)
            return False
        if code == "ValidationException" and IS_DONE.search(message):
            waiter.sleep(waiter.seconds)
            return True
        raise
    return True


def enable_settings(dynamodb, table, protected, waiter):
    """Enables what a restored table lacks, and returns the stream's ARN. DynamoDB accepts one change at a time."""
    while True:
        description = active(dynamodb, table, waiter)
        stream = description.get("StreamSpecification") or {}
        if not stream.get("StreamEnabled"):
            if change(waiter, dynamodb.update_table, TableName=table, StreamSpecification=STREAM):
                say("enabled the stream")
        elif stream["StreamViewType"] != STREAM["StreamViewType"]:
            raise Failure(
                f"The stream of {table} has the view type {stream['StreamViewType']}. Disable it with `aws dynamodb"
                f" update-table --table-name {table} --stream-specification StreamEnabled=false`, then run this command"
                " again."
            )
        elif protected and not description.get("DeletionProtectionEnabled"):
            if change(waiter, dynamodb.update_table, TableName=table, DeletionProtectionEnabled=True):
                say("enabled deletion protection")
        else:
            break

    def has_ttl():
        found = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        status, attribute = found["TimeToLiveStatus"], found.get("AttributeName")
        if status == "DISABLED":
            change(waiter, dynamodb.update_time_to_live, TableName=table, TimeToLiveSpecification=TTL)
        elif status in ("ENABLED", "ENABLING") and attribute != TTL["AttributeName"]:
            expected = TTL["AttributeName"]
            raise Failure(
                f"Time to live of {table} uses the attribute {attribute}, not {expected}. Disable it, then run this"
                " command again."
            )
        return status in ("ENABLED", "ENABLING"), f"time to live ({status})"

    def has_recovery():
        found = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        status = found.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus", "DISABLED")
        if status != "ENABLED":
            arguments = {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
            change(waiter, dynamodb.update_continuous_backups, TableName=table, **arguments)
        return status == "ENABLED", f"point-in-time recovery ({status})"

    waiter.until(has_ttl)
    waiter.until(has_recovery)
    return active(dynamodb, table, waiter)["LatestStreamArn"]


def restore(formation, dynamodb, name, target, at, waiter):
    """Restores the stack's table to `target`, and returns the parameters of the deployment that moves the stack."""
    stack = stack_of(formation, name)
    source = table_of(stack)
    if source == target:
        say(f"the stack {name} uses the table {target} already; checking the table's settings")
    else:
        description = describe(dynamodb, target)
        if description is None:
            start_restore(dynamodb, source, target, at)
        else:
            check_origin(description, source, describe(dynamodb, source), at)
    # The template protects the table in production only.
    protected = parameters_of(stack).get("Environment") != "development"
    stream = enable_settings(dynamodb, target, protected, waiter)
    return {"TableName": target, "TableStreamArn": stream, "ReleaseType": "AllAtOnce", "ReleaseAlarms": "off"}


# ---------------------------------------------------------------------------------------------------------------- adopt


def bucket_of_sam(formation):
    """Returns the bucket that `sam deploy` with `resolve_s3` uploads to."""
    try:
        return outputs_of(stack_of(formation, "aws-sam-cli-managed-default"))["SourceBucket"]
    except Failure:
        raise Failure("There is no bucket of the SAM CLI in this account and Region. Name a bucket with --bucket.")


def with_named_table(template, table):
    """Returns the template with a literal name of the table, by which CloudFormation finds the existing table."""
    template = json.loads(template) if isinstance(template, str) else template
    definition = template["Resources"].get("Table", {})
    if definition.get("DeletionPolicy") != "Retain":
        raise Failure("The stack's template has no retained resource Table. Deploy the current template first.")
    definition = {**definition, "Properties": {**definition["Properties"], "TableName": table}}
    return {**template, "Resources": {**template["Resources"], "Table": definition}}


def has_table(formation, name):
    """Whether the table is a resource of the stack."""
    pages = formation.get_paginator("list_stack_resources").paginate(StackName=name)
    resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
    statuses = [resource["ResourceStatus"] for resource in resources if resource["LogicalResourceId"] == "Table"]
    return any(status not in ("DELETE_COMPLETE", "DELETE_SKIPPED") for status in statuses)


def adopt(formation, storage, name, bucket, waiter):
    """Makes the table that the stack uses a resource of the stack.

    The change set is an update that may import existing resources. Its template is the stack's own, after the
    Serverless transform, and its only new value is the empty TableStreamArn. A change set of the type IMPORT could not
    change that parameter, because other resources and an output depend on it.
    """

    def settled():
        stack = stack_of(formation, name)
        status = stack["StackStatus"]
        return None if status.endswith("_IN_PROGRESS") else stack, f"the stack {name} ({status})"

    table = table_of(waiter.until(settled))
    if has_table(formation, name):
        say(f"the table {table} is a resource of the stack {name}")
        return
    processed = formation.get_template(StackName=name, TemplateStage="Processed")["TemplateBody"]
    template = with_named_table(processed, table)
    # The template is too long for a request, so CloudFormation reads it from S3.
    bucket, key = bucket or bucket_of_sam(formation), f"{name}/adopt-{table}.json"
    storage.put_object(Bucket=bucket, Key=key, Body=json.dumps(template, default=str))
    # A change set of a run that was killed has another name. CloudFormation deletes it when it executes this one.
    change_set = {"StackName": name, "ChangeSetName": f"adopt-{datetime.now(UTC):%Y%m%d%H%M%S%f}"}
    others = sorted(set(template["Parameters"]) - {"TableStreamArn"})
    formation.create_change_set(
        **change_set,
        ChangeSetType="UPDATE",
        ImportExistingResources=True,
        TemplateURL=f"{storage.meta.endpoint_url}/{bucket}/{key}",
        Parameters=[
            {"ParameterKey": "TableStreamArn", "ParameterValue": ""},
            *({"ParameterKey": parameter, "UsePreviousValue": True} for parameter in others),
        ],
        Capabilities=["CAPABILITY_IAM"],
    )

    def created():
        found = formation.describe_change_set(**change_set)
        if found["Status"] == "FAILED":
            raise Failure(f"CloudFormation rejects the change set: {found.get('StatusReason')}")
        return found["Status"] == "CREATE_COMPLETE", f"the change set ({found['Status']})"

    waiter.until(created)
    pages = formation.get_paginator("describe_change_set").paginate(**change_set)
    changes = {it["LogicalResourceId"]: it["Action"] for page in pages for it in map(resource_change, page["Changes"])}
    for resource, action in sorted(changes.items()):
        say(f"change: {action} {resource}")
    if changes.get("Table") != "Import" or "Remove" in changes.values():
        formation.delete_change_set(**change_set)
        raise Failure(
            f"CloudFormation would not only import the table {table} (see the changes above). Nothing was changed."
            " Deploy the stack with its current parameters, then try again."
        )
    formation.execute_change_set(**change_set)

    def imported():
        status = stack_of(formation, name)["StackStatus"]
        if not status.endswith("_IN_PROGRESS") and status != "UPDATE_COMPLETE":
            raise Failure(f"The stack's status is {status}. The table is unchanged. The stack's events name the cause.")
        return status == "UPDATE_COMPLETE" and has_table(formation, name), f"the stack {name} ({status})"

    waiter.until(imported)


def resource_change(change):
    return change["ResourceChange"]


# ----------------------------------------------------------------------------------------------------------------- main


def moment(text):
    """Returns a time in ISO 8601. Without an offset it is in UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def table_name(text):
    """Returns a name that the parameter TableName of the template allows."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{3,64}", text):
        raise argparse.ArgumentTypeError("a table's name has 3 to 64 letters, digits, dots, dashes or underscores")
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser("restore", help="restore the stack's table to a new table")
    one.add_argument("stack", metavar="STACK", help="name of the stack")
    one.add_argument("table", metavar="TABLE", type=table_name, help="name of the new table (3 to 64 characters)")
    one.add_argument("--time", type=moment, help="such as 2026-11-30T12:00:00Z; by default the latest restorable time")
    other = commands.add_parser("adopt", help="make the table that the stack uses a resource of the stack")
    other.add_argument("stack", metavar="STACK", help="name of the stack")
    other.add_argument("--bucket", help="bucket for the template; by default the bucket of the SAM CLI")
    for command in (one, other):
        command.add_argument("--poll", type=float, default=10, help="seconds between two requests (default: 10)")
    arguments = parser.parse_args()

    waiter = Waiter(arguments.poll)
    try:
        formation = boto3.client("cloudformation")
        if arguments.command == "restore":
            dynamodb = boto3.client("dynamodb")
            parameters = restore(formation, dynamodb, arguments.stack, arguments.table, arguments.time, waiter)
            say("Set these parameters in samconfig.toml, then run `sam deploy`:")
            print(*(f"{parameter}={value}" for parameter, value in parameters.items()), sep="\n")
        else:
            adopt(formation, boto3.client("s3"), arguments.stack, arguments.bucket, waiter)
            say("Remove TableStreamArn from samconfig.toml, and keep TableName: the stack manages the table.")
    except (Failure, BotoCoreError, ClientError) as failure:
        sys.exit(str(failure))
    except KeyboardInterrupt:
        sys.exit("Interrupted. Run the same command again to continue.")


if __name__ == "__main__":
    main()
