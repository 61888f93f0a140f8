// The settings of this portal. `cargo dev` serves its own values instead of this file.

/** The api's base URL. The api must allow this portal's origin (CALLBACK_ORIGINS). */
export const api = 'http://127.0.0.1:8080/api';

/** Seconds until a person can request a second mail. This must be longer than DUPLICATE_WINDOW of the api: within that
 *  time, the api treats a repeated request as a double click and sends no mail, so the button would appear to do
 *  nothing. */
export const resendAfter = 30;

/** Supabase's URL, and its publishable (or anon) key. Both are public. */
export const supabase = { url: 'http://127.0.0.1:8054', key: 'sandbox-anon-key' };

/** Whether mails show a code (MAIL_CODE of the worker). If so, "Check your mail" has a field for the code. */
export const mailsShowCode = false;
