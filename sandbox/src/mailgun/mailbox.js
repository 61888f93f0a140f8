// Updates the page without a reload. The script inserts new mails, and replaces the summary, the jobs, the states of
// Supabase and Mailgun, the delivery events and the results of scans. It leaves all other elements in place, so that
// the user's selection, focus and scroll position are kept.
'use strict';

function localTimes(root) {
  for (const time of root.querySelectorAll('time:not(.countdown)')) {
    const at = new Date(time.dateTime);
    time.textContent = at.toLocaleTimeString();
    time.title = at.toString();
  }
}

// Shows the time until the next attempt of each waiting job.
function countDown() {
  for (const time of document.querySelectorAll('.countdown')) {
    const seconds = Math.max(0, Math.round((new Date(time.dateTime) - Date.now()) / 1000));
    time.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  }
}

// Lets screen readers announce the text.
function say(text) {
  document.getElementById('news').textContent = text;
}

// Announces new mails.
function announce(mails) {
  const recipients = mails.map((mail) => mail.querySelector('.to strong').textContent);
  if (recipients.length) say(`New mail to ${recipients.join(', ')}`);
}

async function refresh() {
  const answer = await fetch('/');
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  for (const id of ['summary', 'jobs']) {
    document.getElementById(id).replaceChildren(...page.getElementById(id).childNodes);
  }
  countDown();
  for (const changing of page.querySelectorAll('.told, .state, .scan')) {
    localTimes(changing);
    const shown = document.getElementById(changing.id);
    if (!shown?.isEqualNode(changing)) shown?.replaceWith(changing);
  }
  const mails = document.getElementById('mails');
  if (page.querySelector('.mail')) mails.querySelector('.empty')?.remove();
  const arrived = [...page.querySelectorAll('.mail')].filter((mail) => !document.getElementById(mail.id));
  // Only the newest mail stays open. Close earlier mails, unless the user has clicked in them.
  if (arrived.length) for (const mail of mails.querySelectorAll('.mail:not([data-touched])')) mail.open = false;
  for (const mail of arrived) {
    mail.classList.add('new');
    localTimes(mail);
  }
  mails.prepend(...arrived);
  announce(arrived);
}

let busy = false;
let again = false;
async function update() {
  again = true;
  if (busy) return;
  busy = true;
  while (again) {
    again = false;
    try { await refresh(); } catch { /* The sandbox has stopped. The event stream will reconnect. */ }
  }
  busy = false;
}

document.addEventListener('submit', async (event) => {
  event.preventDefault();
  if (event.target.matches('.scanner')) return scan(event.target);
  const fields = new URLSearchParams(new FormData(event.target, event.submitter));
  await fetch(event.target.action, { method: 'POST', body: fields });
  update();
});

document.addEventListener('click', (event) => {
  const mail = event.target.closest('.mail');
  if (mail) mail.dataset.touched = '';
});

localTimes(document);
countDown();
setInterval(countDown, 1000);
const events = new EventSource('/events');
events.onopen = update;
events.onmessage = update;
