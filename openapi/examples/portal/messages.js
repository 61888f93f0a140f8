// What a person is told, by the `code` of the answer. Field errors come from the api and are shown at the field.

const ours = 'It is not your fault: please tell the people who run this portal.';

export const messages = {
  // What a person can mend.
  invalid_request: 'Please look at the address once more.',
  // What a person can wait for; the countdown is added.
  ip_rate_limited: 'Too many sign-in mails were asked for from your network.',
  recipient_rate_limited: 'Several mails are on their way to this address already. Please look into your inbox and your spam folder, and use the newest mail.',
  unavailable: 'Signing in is not possible at the moment. Nothing was sent.',
  internal_error: 'Something went wrong on our side. Please try again.',
  // What only the portal's or the api's operators can mend.
  callback_origin_required: `This page did not say where it is (callback_origin_required). ${ours}`,
  callback_origin_not_allowed: `Signing in is not set up for this address of the portal (callback_origin_not_allowed). ${ours}`,
  callback_next_unsafe: 'The page that you came from cannot be returned to. Please sign in from the start page.',
  invalid_json: `The sign-in service did not understand this page (invalid_json). ${ours}`,
  unsupported_media_type: `The sign-in service did not understand this page (unsupported_media_type). ${ours}`,
  payload_too_large: 'That is more than the sign-in service takes. Please enter only your address.',
  method_not_allowed: `This page asked the sign-in service in a wrong way (method_not_allowed). ${ours}`,
  not_found: `The sign-in service is not where this page looked for it (not_found). ${ours}`,
  // Not a code of the api: no answer came at all.
  unreachable: 'The sign-in service cannot be reached. Please see whether you are online, and try again.',
};

/** What went wrong with a link, by the `error_code` in the callback's address. Supabase's own text is never shown:
 *  anybody can write anything into an address. */
export const linkMessages = {
  otp_expired: 'It was used already, it is too old, or there is a newer mail. Use the newest mail: once you have signed in, older links no longer work.',
  user_banned: 'This account is blocked.',
};
