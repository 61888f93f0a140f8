// One request and its response: what the pages need to know about the visitor, and the headers of every response.

import { isIP } from 'node:net';
import { parseCookieHeader, serializeCookieHeader } from '@supabase/ssr';
import { isSecure, origin, trustedProxies } from './settings.js';

const MAX_FORM_BYTES = 8 * 1024;

/** Thrown if the request cannot be read. `status` is the status of the response. */
export class BadRequest extends Error {
  constructor(status) {
    super(`status ${status}`);
    this.status = status;
  }
}

export class Visit {
  #request;
  #response;
  #cookies;
  #newCookies = new Map();
  #peer;

  constructor(request, response) {
    this.#request = request;
    this.#response = response;
    // Read the address now, because a closed socket has none. Only X-Forwarded-For would be left, which the visitor can
    // forge.
    this.#peer = plain(request.socket.remoteAddress ?? '');
    if (!this.#peer) throw new Error('the visitor has disconnected');
    this.#cookies = parseCookieHeader(request.headers.cookie ?? '');
    // Prepend the origin, because `//example.com/` alone would refer to another host.
    this.url = new URL(origin + request.url);
    this.method = request.method;
  }

  /** The languages of the visitor's browser, for the mail. */
  get languages() {
    return this.#request.headers['accept-language'];
  }

  /** The visitor's address: the last address that is not one of our proxies, in X-Forwarded-For followed by the
   *  address of the connection. Visitors can forge the addresses before it. */
  get address() {
    const forwarded = (this.#request.headers['x-forwarded-for'] ?? '').split(',').map((entry) => plain(entry.trim()));
    const path = [...forwarded, this.#peer];
    while (path.length > 1 && trustedProxies.includes(path.at(-1))) path.pop();
    return isIP(path.at(-1)) ? path.at(-1) : this.#peer;
  }

  /** Whether a page of this portal, and not another site, sent the form. */
  get isFromThisPortal() {
    const { origin: sender, 'sec-fetch-site': site } = this.#request.headers;
    return sender === origin && (site === undefined || site === 'same-origin');
  }

  /** The fields of a form. */
  async form() {
    const type = this.#request.headers['content-type'] ?? '';
    if (type.split(';')[0].trim() !== 'application/x-www-form-urlencoded') throw new BadRequest(415);
    const parts = [];
    let bytes = 0;
    for await (const part of this.#request) {
      bytes += part.length;
      if (bytes > MAX_FORM_BYTES) throw new BadRequest(413);
      parts.push(part);
    }
    return new URLSearchParams(Buffer.concat(parts).toString());
  }

  /** All cookies that the browser will have after this response: `[{ name, value }]`. */
  get cookies() {
    const all = new Map(this.#cookies.map(({ name, value }) => [name, value ?? '']));
    for (const [name, { value, options }] of this.#newCookies) {
      if (options.maxAge === 0) all.delete(name);
      else all.set(name, value);
    }
    return [...all].map(([name, value]) => ({ name, value }));
  }

  cookie(name) {
    return this.cookies.find((cookie) => cookie.name === name)?.value;
  }

  /** Sets a cookie that scripts cannot read. Browsers do not send it with POST requests from other sites. */
  setCookie(name, value, options) {
    const safe = { ...options, path: '/', httpOnly: true, secure: isSecure, sameSite: 'lax', domain: undefined };
    this.#newCookies.set(name, { value, options: safe });
  }

  removeCookie(name) {
    this.setCookie(name, '', { maxAge: 0 });
  }

  page(status, html, headers = {}) {
    this.#end(status, { 'Content-Type': 'text/html; charset=utf-8', ...headers }, html);
  }

  style(css) {
    this.#end(200, { 'Content-Type': 'text/css; charset=utf-8' }, css);
  }

  /** Opens another page, with GET. `place` is an absolute URL. */
  goTo(place) {
    this.#end(303, { Location: place });
  }

  #end(status, headers, body = '') {
    const cookies = [...this.#newCookies].map(([name, { value, options }]) => serializeCookieHeader(name, value, options));
    this.#response.writeHead(status, {
      'Cache-Control': 'no-store',
      'Content-Security-Policy':
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      // The URL of the callback page contains the token hash, so it must not be sent in the `Referer` header.
      // `no-referrer` would also hide the origin in the `Origin` header of our own forms.
      'Referrer-Policy': 'strict-origin',
      'X-Content-Type-Options': 'nosniff',
      ...(cookies.length ? { 'Set-Cookie': cookies } : {}),
      ...headers,
    });
    this.#response.end(this.method === 'HEAD' ? '' : body);
  }
}

/** Returns the IPv4 address in an IPv4-mapped IPv6 address, which an IPv6 socket reports. Returns other addresses
 *  unchanged. */
function plain(address) {
  return address.replace(/^::ffff:(?=\d+\.)/, '');
}
