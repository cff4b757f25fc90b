import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallError } from '../api';
import type { InviteResult } from '../elements';
import type { Batch } from './batches';
import { AddressList } from './list';
import { Sending, type SendOptions } from './sending';

const allInvited = ({ emails }: Batch): InviteResult[] => emails.map((email) => ({ email, outcome: 'invited' }) as InviteResult);

/** Creates a list with `count` ready addresses, and a function that sends it. `calls` holds the batches. */
function createSending(count: number, answer: (batch: Batch, call: number) => InviteResult[] | Promise<InviteResult[]> = allInvited) {
  const list = new AddressList();
  list.add(Array.from({ length: count }, (_, number) => `p${number}@x.example`).join('\n'));
  const sending = new Sending({ requestUpdate() {} }, list);
  const calls: Batch[] = [];
  let invited = 0;
  const send = (options: Partial<SendOptions> = {}): Promise<unknown> =>
    sending.send({
      role: 'member',
      language: undefined,
      invite: async (batch) => answer(batch, calls.push(batch)),
      onInvited: (results) => (invited += results.length),
      isCurrent: () => true,
      ...options,
    });
  return { list, sending, calls, send, invited: () => invited };
}

test('sends all addresses in batches, and reports the progress', async () => {
  const progress: unknown[] = [];
  const { list, sending, calls, send, invited } = createSending(70, (batch) => {
    progress.push(sending.progress);
    return allInvited(batch);
  });
  assert.equal(await send(), undefined);
  assert.deepEqual(
    calls.map(({ emails }) => emails.length),
    [50, 20],
  );
  assert.deepEqual(progress, [
    { done: 0, upTo: 50, total: 70 },
    { done: 50, upTo: 70, total: 70 },
  ]);
  assert.equal(invited(), 70);
  assert.equal(list.chips.length, 0);
  assert.equal(sending.progress, undefined);
});

test('repeats a call without a response with the same key, and then continues', async () => {
  for (const code of ['unreachable', 'signed_out'] as const) {
    const { list, calls, send, invited } = createSending(120, (batch, call) => {
      if (call === 2) throw new CallError(code, 0, '');
      return allInvited(batch);
    });
    const error = await send();
    assert.equal((error as CallError).code, code);
    assert.equal(list.ready.length, 70);
    assert.equal(await send(), undefined);
    assert.deepEqual(calls[2], calls[1]);
    assert.equal(new Set(calls.map(({ key }) => key)).size, 3);
    assert.equal(invited(), 120);
  }
});

test('stops after the current call', async () => {
  const { list, sending, calls, send } = createSending(120, (batch) => {
    sending.stop();
    assert.equal(sending.isStopping, true);
    return allInvited(batch);
  });
  assert.equal(await send(), undefined);
  assert.equal(calls.length, 1);
  assert.equal(list.ready.length, 70);
  assert.equal(sending.isStopping, false);
  // Without a call there is nothing to stop.
  sending.stop();
  assert.equal(sending.isStopping, false);
});

test('sends no more batches if the organization has changed', async () => {
  const { calls, send } = createSending(120);
  await send({ isCurrent: () => calls.length < 1 });
  assert.equal(calls.length, 1);
});

test('continues without the addresses that the API refuses', async () => {
  const { list, calls, send } = createSending(3, (batch, call) => {
    const errors = [{ pointer: '/emails/1', detail: 'odd' }];
    if (call === 1) throw new CallError('invalid_email', 422, '', { errors });
    return allInvited(batch);
  });
  assert.equal(await send(), undefined);
  assert.deepEqual(calls[1]?.emails, ['p0@x.example', 'p2@x.example']);
  assert.notEqual(calls[1]?.key, calls[0]?.key);
  assert.deepEqual(
    list.refused.map(({ chip }) => [chip.address, chip.refusal?.detail]),
    [['p1@x.example', 'odd']],
  );
});

test('takes over the free seats of a refusal', async () => {
  const seats = { total: 6, taken: 4, free: 2 };
  const { list, send } = createSending(3, () => {
    throw new CallError('seats_exhausted', 409, '', { seats });
  });
  assert.equal(((await send()) as CallError).code, 'seats_exhausted');
  assert.equal(list.missingSeats(list.ready), 1);
});
