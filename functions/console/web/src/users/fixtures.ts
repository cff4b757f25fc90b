/** Members and invitations for unit tests. */
import type { Invitation, Member } from '../elements';

/** The current time of the tests. */
export const NOW = Date.parse('2026-11-24T14:05:00Z');

export function member(user_id: string, role: Member['role'] = 'member'): Member {
  return { user_id, email: `${user_id}@acme.example`, role, joined_at: '2026-09-03T10:00:00Z' };
}

export function invitation(name: string, overrides: Partial<Invitation> = {}): Invitation {
  return {
    id: `inv_${name}`,
    email: `${name}@partner.example`,
    role: 'member',
    status: 'pending',
    generation: 1,
    sender: { user_id: 'ada', email: 'ada@acme.example' },
    created_at: '2026-11-24T12:00:00Z',
    sent_at: null,
    expires_at: '2026-11-26T12:00:00Z',
    delivery: 'sent',
    ...overrides,
  };
}
