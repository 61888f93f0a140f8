// The settings of this portal, from the environment.

/** The origin at which browsers reach this portal. The api must allow this origin (CALLBACK_ORIGINS). */
export const origin = new URL(needed('PORTAL_ORIGIN')).origin;

/** The api's base URL, such as https://auth.example.com/api. */
export const api = needed('API_URL');

/**
 * Supabase's URL, and its publishable key. The key stays on this server, so it may also be a secret key
 * (sb_secret_…). With a secret key, a hosted project can count requests separately for each visitor's address (see
 * README.md).
 */
export const supabase = { url: needed('SUPABASE_URL'), key: needed('SUPABASE_KEY') };

export const listen = { host: process.env.HOST ?? '127.0.0.1', port: Number(process.env.PORT ?? 8091) };

/** Addresses of the proxies in front of this server. X-Forwarded-For is read only from these proxies. */
export const trustedProxies = (process.env.TRUSTED_PROXIES ?? '')
  .split(',')
  .map((address) => address.trim())
  .filter(Boolean);

/** Whether browsers use https. If so, cookies must be sent only over https. */
export const isSecure = origin.startsWith('https:');

function needed(name) {
  const value = process.env[name];
  if (value) return value;
  console.error(`${name} is not set`);
  process.exit(2);
}
