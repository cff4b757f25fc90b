import { useState } from 'react';
import 'roster-elements/users';
import type {} from 'roster-elements/react';
import { session } from '../session';

export function People({ organization }: { organization: string }) {
  const [name, setName] = useState('People');
  return (
    <>
      <h1>{name}</h1>
      <roster-users
        api-base="https://users.example.com"
        organization={organization}
        getToken={session.apiToken}
        onroster-loaded={({ detail }) => setName(detail.organization.name)}
      />
    </>
  );
}
