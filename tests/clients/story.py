"""The story of an organization, with the Python client that openapi-python-client generates. run.py runs this file."""

import datetime
import json
import os
import urllib.request
from typing import Any, TypeVar

from roster_client import AuthenticatedClient, Client
from roster_client.api.invitations import invite
from roster_client.api.links import accept_invitation, preview_invitation
from roster_client.api.members import edit_member, list_members, remove_member
from roster_client.api.organizations import create_organization, edit_organization, get_organization
from roster_client.models import (
    AcceptedInvitation,
    AlreadyInvited,
    GatewayMessage,
    Invitation,
    Invited,
    InviteResults,
    Member,
    MemberPage,
    NewInvitations,
    NewOrganization,
    Organization,
    Preview,
    Problem,
    ProblemCode,
    Role,
    RoleEdit,
    Token,
)
from roster_client.types import UNSET, Unset

URL = os.environ["ROSTER_URL"]
Expected = TypeVar("Expected")


def development(path: str, body: dict[str, object] | None = None) -> Any:
    """Calls the laptop's own API, which the contract does not contain."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(URL + path, data)) as response:
        return json.loads(response.read())


def client(name: str) -> AuthenticatedClient:
    claims: dict[str, object] = {"sub": name, "email": f"{name}@example.com", "email_verified": True}
    token: str = development("/_dev/token", claims)["access_token"]
    return AuthenticatedClient(base_url=URL, token=token, raise_on_unexpected_status=True)


def link_token(email: str) -> Token:
    """Returns the link token in the newest mail to the address."""
    development("/_dev/idle")
    token: str = development(f"/_dev/mail?to={email}")["items"][0]["token"]
    return Token(token=token)


def expect(kind: type[Expected], parsed: object) -> Expected:
    assert isinstance(parsed, kind), parsed
    return parsed


def refused(parsed: object, code: ProblemCode) -> Problem:
    problem = expect(Problem, parsed)
    assert problem.code == code, problem
    return problem


def main() -> None:
    olga, bob = client("olga"), client("bob")
    created = create_organization.sync(client=olga, body=NewOrganization(name="Example"), idempotency_key="story-1")
    organization = expect(Organization, created)
    assert (organization.role, organization.seats.taken) == (Role.OWNER, 1)
    again = create_organization.sync(client=olga, body=NewOrganization(name="Example"), idempotency_key="story-1")
    assert again == organization

    emails = NewInvitations(emails=["bob@example.com"], role=Role.MEMBER)
    [invited] = expect(InviteResults, invite.sync(organization.id, client=olga, body=emails)).results
    invitation = expect(Invited, invited).invitation
    assert isinstance(invitation.created_at, datetime.datetime)
    [repeated] = expect(InviteResults, invite.sync(organization.id, client=olga, body=emails)).results
    assert expect(AlreadyInvited, repeated).role == Role.MEMBER

    token = link_token("bob@example.com")
    preview = expect(Preview, preview_invitation.sync(client=Client(base_url=URL), body=token))
    assert (preview.organization.name, preview.role) == ("Example", Role.MEMBER)
    accepted = accept_invitation.sync(client=bob, body=token)
    member = expect(AcceptedInvitation, accepted)
    assert (member.user_id, member.organization.id) == ("bob", organization.id)

    members: list[str] = []
    cursor: str | Unset | None = UNSET
    while cursor is not None:
        page = expect(MemberPage, list_members.sync(organization.id, client=bob, limit=1, cursor=cursor))
        members += [it.user_id for it in page.items]
        cursor = page.next_cursor
    assert sorted(members) == ["bob", "olga"], members

    renamed = edit_organization.sync(organization.id, client=bob, body=NewOrganization(name="Bob"))
    refused(renamed, ProblemCode.OWNER_REQUIRED)
    demoted = edit_member.sync(organization.id, "olga", client=olga, body=RoleEdit(role=Role.MEMBER))
    refused(demoted, ProblemCode.LAST_OWNER)
    problem = refused(create_organization.sync(client=bob, body=NewOrganization(name="a/b")), ProblemCode.INVALID_NAME)
    assert problem.errors and problem.errors[0].pointer == "/name", problem
    refused(get_organization.sync(organization.id, client=client("eve")), ProblemCode.ORGANIZATION_NOT_FOUND)
    stranger = AuthenticatedClient(base_url=URL, token="nonsense")
    expect(GatewayMessage, get_organization.sync(organization.id, client=stranger))

    promoted = edit_member.sync(organization.id, "bob", client=olga, body=RoleEdit(role=Role.OWNER))
    assert expect(Member, promoted).role == Role.OWNER
    remove_member.sync_detailed(organization.id, "bob", client=olga)
    left = expect(MemberPage, list_members.sync(organization.id, client=olga))
    assert [it.user_id for it in left.items] == ["olga"]

    # A client of today reads a response of a later version.
    grown = Invitation.from_dict(invitation.to_dict() | {"delivery": "delayed", "colour": "red"})
    assert (grown.delivery, grown.id) == ("delayed", invitation.id)
    unknown = Problem.from_dict(problem.to_dict() | {"code": "too_cold", "weather": {"celsius": -5}})
    assert (unknown.code, unknown.status) == ("too_cold", 422)


if __name__ == "__main__":
    main()
