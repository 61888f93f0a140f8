// Scans a mail as a company's mail scanner does. The server requests the mail's URLs. Then this script opens the
// sign-in link in a window, where the scripts of the opened page run, and reports the outcome to the server.
'use strict';

const VISIT_MILLISECONDS = 5000;

// Browsers let a page open a window only right after a click, so the window opens before the server requests the URLs.
// The window is opened without `noopener`: once it shows a page from another origin, only its opener can close it.
function openWindow() {
  const visitor = open('', '', 'popup,width=480,height=640');
  if (!visitor) return null;
  visitor.document.title = 'Scanner';
  visitor.document.body.textContent = 'The scanner is opening the links of the mail.';
  return visitor;
}

// A page with a Cross-Origin-Opener-Policy severs the connection to its opener. Its window then seems closed, and
// cannot be closed by this script.
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

// Screen readers announce changes only in the foreground window, which might still be the scanner's window.
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
