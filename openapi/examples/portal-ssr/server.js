// The server: its routes, and the checks and the error handling that all routes share.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { messages } from '../portal/messages.js';
import { acceptPending, declinePending, showButton, useLink } from './callback.js';
import { showMember } from './member.js';
import { problemPage } from './pages.js';
import { listen } from './settings.js';
import { requestMail, showForm, showSent, signOut } from './sign-in.js';
import { codeOf } from './supabase.js';
import { BadRequest, Visit } from './visit.js';

const css = await readFile(new URL('../portal/portal.css', import.meta.url), 'utf8');

const pages = {
  '/': showForm,
  '/sent': showSent,
  '/auth/callback': showButton,
  '/portal.css': (visit) => visit.style(css),
};

const actions = {
  '/sign-in': requestMail,
  '/auth/callback': useLink,
  '/auth/accept': acceptPending,
  '/auth/decline': declinePending,
  '/sign-out': signOut,
};

async function answer(visit) {
  const { method, url: { pathname } } = visit;
  if (method === 'GET' || method === 'HEAD') {
    const page = Object.hasOwn(pages, pathname) ? pages[pathname] : showMember;
    return page(visit);
  }
  if (method !== 'POST' || !Object.hasOwn(actions, pathname)) return fail(visit, 405);
  // Without this check, another site could submit a form and sign the visitor in or out.
  if (!visit.isFromThisPortal) return fail(visit, 403);
  return actions[pathname](visit);
}

function fail(visit, status) {
  const text = status === 503 ? messages.unreachable : 'Please go back, and try again.';
  visit.page(status, problemPage({ title: status === 503 ? 'Not available' : 'This did not work', text }));
}

const server = createServer(async (request, response) => {
  // Never log the query: the callback's query contains the token hash.
  const path = request.url.split('?')[0];
  response.on('finish', () => console.log(`${request.method} ${path} ${response.statusCode}`));
  try {
    const visit = new Visit(request, response);
    await answer(visit).catch((error) => {
      if (error instanceof BadRequest) return fail(visit, error.status);
      // The visitor closed the connection in the middle of the request.
      if (request.destroyed && !request.complete) return undefined;
      // Supabase's client marks its errors. Any other error is a bug in this program.
      const isAuthError = '__isAuthError' in error;
      console.error(`${request.method} ${path} failed: ${error.name} ${isAuthError ? codeOf(error) : error.stack}`);
      fail(visit, isAuthError ? 503 : 500);
    });
  } catch (error) {
    console.error(`${request.method} ${path} failed: ${error.name}`);
    if (!response.headersSent) response.writeHead(400);
    response.end();
  }
});

server.requestTimeout = 10_000;
server.listen(listen.port, listen.host, () => console.log(`listening on port ${server.address().port}`));
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
