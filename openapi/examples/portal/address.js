// Addresses in the form in which the api and Supabase store them, so that they can be compared and sent to Supabase.

/** Returns the address in lower case, without spaces or invisible characters at its ends, with the domain in ASCII. */
export function storedForm(typed) {
  const address = typed.replace(/^[\s\p{Cf}]+|[\s\p{Cf}]+$/gu, '').toLowerCase();
  const at = address.lastIndexOf('@');
  const domain = `http://${address.slice(at + 1)}`;
  return URL.canParse(domain) ? address.slice(0, at + 1) + new URL(domain).hostname : address;
}
