// Tests the generated TypeScript client against a live api. `just sdk-test` runs it.

import assert from 'node:assert/strict';
import test from 'node:test';

import { type ErrorCode, type ValidationIssue, sendMagicLink } from '../../../target/sdk/typescript/index.js';

const baseUrl = process.env['API_URL'] ?? assert.fail('API_URL is not set');
const withoutDatabase = process.env['API_WITHOUT_DATABASE_URL'] ?? assert.fail('API_WITHOUT_DATABASE_URL is not set');

const body = (email: string, callback_next = 'example') => ({ email, callback_origin: 'https://example.com', callback_next });

test('200: the published example', async () => {
  const { data, error, response } = await sendMagicLink({ baseUrl, body: body('typescript@example.com') });
  assert.equal(error, undefined);
  assert.equal(response?.status, 200);
  assert.equal(data?.ok, true);
});

test('400: the code, the first message of each field, and all issues', async () => {
  const { error, response } = await sendMagicLink({ baseUrl, body: body('no-address', '//elsewhere.example') });
  assert.equal(response?.status, 400);
  const code: ErrorCode | undefined = error?.code;
  assert.equal(code, 'invalid_request');
  const message: string | undefined = error?.fieldErrors?.['email'];
  assert.match(message ?? '', /name@example\.com/);
  const issues: ValidationIssue[] = error?.issues ?? [];
  assert.deepEqual(issues.map((issue) => issue.path).sort(), ['callback_next', 'email']);
});

test('429: seconds to wait, in the body and in the header', async () => {
  for (let page = 0; page < 10; page++) {
    const { error, response } = await sendMagicLink({ baseUrl, body: body('typescript-often@example.com', `page-${page}`) });
    if (response?.status === 200) continue;
    assert.equal(response?.status, 429);
    assert.equal(error?.code, 'recipient_rate_limited');
    const seconds: number | undefined = error.retryAfter;
    assert.ok(seconds && seconds >= 1);
    assert.equal(response.headers.get('Retry-After'), String(seconds));
    return;
  }
  assert.fail('no request was limited');
});

test('503: the database is down; the response has the seconds to wait', async () => {
  const { error, response } = await sendMagicLink({ baseUrl: withoutDatabase, body: body('typescript@example.com') });
  assert.equal(response?.status, 503);
  assert.equal(error?.code, 'unavailable');
  const seconds: number | undefined = error.retryAfter;
  assert.ok(seconds && seconds >= 1);
  assert.equal(response.headers.get('Retry-After'), String(seconds));
});
