// The messages that the pages show for each `code`. The api's own messages about a field are shown next to the field.

const ours = 'This is not your fault. Please tell the people who run this portal.';

export const messages = {
  // Problems that a person can correct.
  invalid_request: 'Please check the address.',
  // Temporary problems. If the api returned `retryAfter`, the page also shows how long to wait.
  ip_rate_limited: 'Too many sign-in mails have been requested from your network.',
  recipient_rate_limited: 'We have already sent several mails to this address. Check your inbox and your spam folder, and use the newest mail.',
  unavailable: 'Sign-in is not available at the moment. Your mail may not have been sent.',
  internal_error: 'Something went wrong on our side. Please try again.',
  // Problems that usually only the operators of the portal or of the api can correct.
  callback_origin_required: `This page did not send its address (callback_origin_required). ${ours}`,
  callback_origin_not_allowed: `Sign-in is not set up for this address of the portal (callback_origin_not_allowed). ${ours}`,
  callback_next_unsafe: 'We cannot take you back to the page that you came from. Please sign in from the start page.',
  invalid_json: `The sign-in service could not read the request from this page (invalid_json). ${ours}`,
  unsupported_media_type: `The sign-in service could not read the request from this page (unsupported_media_type). ${ours}`,
  payload_too_large: 'The address is too long. Please enter only your address.',
  method_not_allowed: `The sign-in service did not accept the request from this page (method_not_allowed). ${ours}`,
  not_found: `The sign-in service was not found (not_found). ${ours}`,
  // The following codes do not come from the api: the page received no response that it could read.
  page_refused: `The sign-in service does not accept requests from this page. ${ours}`,
  unreachable: 'The sign-in service cannot be reached. Check your connection, and try again.',
};

/** Messages for the `error_code` in the callback's URL. Supabase's own text in that URL is never shown, because anybody
 *  can write any text into a URL. */
export const linkMessages = {
  otp_expired: 'The link has been used already, is too old, or was replaced by a newer mail. Use the newest mail: once you have signed in, older links no longer work.',
  user_banned: 'This account is blocked.',
  unreachable: `${messages.unreachable} The link may have been used up. If it no longer works, request a new one.`,
};

/** Messages for the code field. Supabase returns the same error for a wrong, a used and an expired code. */
export const codeMessages = {
  no_code: 'The code is the number in the mail, with 6 to 10 digits.',
  otp_expired: 'This code did not sign you in: it is wrong, used or too old. Use the code in the newest mail.',
  over_request_rate_limit: 'Too many attempts from your network. Please wait a minute, and try again.',
  user_banned: linkMessages.user_banned,
  unreachable: messages.unreachable,
  unknown: messages.internal_error,
};
