// Keeps the page up to date without a reload. What is open, chosen or scrolled stays as it is: only
// new mails are put in, and the panel's state and what webhooks told are exchanged.
'use strict';

function localTimes(root) {
  for (const time of root.querySelectorAll('time')) {
    const at = new Date(time.dateTime);
    time.textContent = at.toLocaleTimeString();
    time.title = at.toString();
  }
}

async function refresh() {
  const answer = await fetch('/');
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  for (const id of ['summary', 'faults']) {
    document.getElementById(id).replaceChildren(...page.getElementById(id).childNodes);
  }
  for (const told of page.querySelectorAll('.told')) {
    document.getElementById(told.id)?.replaceChildren(...told.childNodes);
  }
  const mails = document.getElementById('mails');
  if (page.querySelector('.mail')) mails.querySelector('.empty')?.remove();
  const arrived = [...page.querySelectorAll('.mail')].filter((mail) => !document.getElementById(mail.id));
  // The newest is open; those before it close, unless somebody has touched them.
  if (arrived.length) for (const mail of mails.querySelectorAll('.mail:not([data-touched])')) mail.open = false;
  for (const mail of arrived) {
    mail.classList.add('new');
    localTimes(mail);
  }
  mails.prepend(...arrived);
}

let busy = false;
let again = false;
async function update() {
  again = true;
  if (busy) return;
  busy = true;
  while (again) {
    again = false;
    try { await refresh(); } catch { /* the sandbox has stopped; the event stream tries again */ }
  }
  busy = false;
}

document.addEventListener('submit', async (event) => {
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(event.target, event.submitter));
  await fetch(event.target.action, { method: 'POST', body: fields });
  update();
});

document.addEventListener('click', (event) => {
  const mail = event.target.closest('.mail');
  if (mail) mail.dataset.touched = '';
});

localTimes(document);
const events = new EventSource('/events');
events.onopen = update;
events.onmessage = update;
