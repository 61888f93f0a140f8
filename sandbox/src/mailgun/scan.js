// Scans a mail. The server requests the URLs. Then this script visits the link in a window, where the page's scripts run, and
// reports the outcome.
'use strict';

const VISIT_MILLISECONDS = 5000;

// A page may open a window only right after a click, so the window opens first and waits for the server. The window keeps its
// opener, because only an opener may close a page of another origin.
function openWindow() {
  const visitor = open('', '', 'popup,width=480,height=640');
  if (!visitor) return null;
  visitor.document.title = 'Scanner';
  visitor.document.body.textContent = 'The scanner is opening the links of the mail.';
  return visitor;
}

// A page with a Cross-Origin-Opener-Policy severs the link to its opener: its window then seems closed, and cannot be closed
// from here.
async function visit(visitor, link) {
  visitor.location.replace(link);
  await new Promise((resolve) => setTimeout(resolve, VISIT_MILLISECONDS));
  const outcome = visitor.closed ? 'left_open' : 'done';
  visitor.close();
  return outcome;
}

function post(path, fields) {
  return fetch(path, { method: 'POST', body: new URLSearchParams(fields) });
}

// Screen readers announce changes only in the foreground window, which may still be the scanner's.
async function announceResult(mail) {
  if (!document.hasFocus()) await new Promise((resolve) => addEventListener('focus', resolve, { once: true }));
  say(document.querySelector(`#scan-${mail} strong`)?.textContent ?? 'The mail was scanned.');
}

async function scan(form) {
  if ('running' in form.dataset) return;
  form.dataset.running = '';
  say('Scanning the mail');
  const { value: mail } = form.elements.mail;
  const link = form.dataset.visit;
  const visitor = link && openWindow();
  try {
    await post('/scan', { mail, visits: Boolean(link) });
    if (link) await post('/scan/visit', { mail, visit: visitor ? await visit(visitor, link) : 'blocked' });
    await refresh();
    announceResult(mail);
  } finally {
    visitor?.close();
    delete form.dataset.running;
  }
}
