// What differs from one portal to the next. `cargo dev` serves its own values in place of this file.

/** Where the api is. It must allow this portal's origin (CALLBACK_ORIGINS). */
export const api = 'http://127.0.0.1:8080/api';

/** Seconds until a person may ask for a second mail. Longer than DUPLICATE_WINDOW: what is sent again within that is
 *  one request, and would look like a button that does nothing. */
export const resendAfter = 30;
