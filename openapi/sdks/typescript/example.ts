// An example caller. The README shows the marked lines.

import { sendMagicLink } from '../../../target/sdk/typescript/index.js';

declare function countDown(seconds: number | undefined): void;
declare function show(message: string, requestId: string | null | undefined): void;

export async function ask(email: string): Promise<void> {
  // README
  const { error, response } = await sendMagicLink({ baseUrl: 'https://api.example.com/api', body: { email } });
  if (error?.code === 'recipient_rate_limited') countDown(error.retryAfter);
  else if (error) show(error.fieldErrors?.email ?? error.error, response?.headers.get('X-Request-Id'));
  // end
}
