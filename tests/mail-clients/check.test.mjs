// Tests that the check reports each kind of problem.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { check } from './check.mjs';

const BODY = '<p style="color:#14181f;margin:0;">Sign in</p>';

function mail({ head = '', body = BODY }) {
  return `<!doctype html><html><head><title>Sign in</title>${head}</head>${body}</html>`;
}

function problemsOf(parts, allowed = {}) {
  return check({ 'en-link.html': mail(parts) }, allowed).problems;
}

test('a mail with supported features passes', () => {
  assert.deepEqual(problemsOf({}), []);
});

test('an unsupported feature is reported with the clients and a page about it', () => {
  const [problem, ...others] = problemsOf({ body: '<p style="border-radius:8px;">Sign in</p>' });
  assert.deepEqual(others, []);
  assert.match(problem, /^en-link\.html: border-radius is not supported by .*classic Outlook for Windows/);
  assert.match(problem, /\(https:\/\/www\.caniemail\.com\/features\/css-border-radius\/\)$/);
});

for (const [feature, parts] of [
  ['position', { body: '<p style="position:fixed;">Sign in</p>' }],
  ['display:flex', { body: '<div style="display:flex;">Sign in</div>' }],
  ['box-shadow', { body: '<p style="box-shadow:0 1px 2px #000000;">Sign in</p>' }],
  ['<video> element', { body: `${BODY}<video src="a.mp4"></video>` }],
  ['<form> element', { body: '<form>Sign in</form>' }],
  ['<link> element', { head: '<link rel="stylesheet" href="https://example.com/mail.css">' }],
  ['@media (prefers-color-scheme)', { head: style('@media (prefers-color-scheme: dark) { p { color: #fff !important; } }') }],
  ['position', { head: style('@media (max-width: 480px) { p { position: fixed !important; } }') }],
  [':hover', { head: style('@media (max-width: 480px) { p:hover { color: #fff !important; } }') }],
]) {
  test(`${feature} is reported in ${JSON.stringify(parts)}`, () => {
    const problems = problemsOf(parts);
    assert.ok(problems.some((problem) => problem.includes(`: ${feature} is not supported by `)), problems.join('\n'));
  });
}

for (const [rule, parts] of [
  ['contains .card: put the style inline', { head: style('.card { color: #fff; }') }],
  ['contains :root: put the style inline', { head: style(':root { color: #fff; }') }],
  ['contains @import: put the style inline', { head: style('@import url("https://example.com/mail.css");') }],
  ['contains @media print: put the style inline', { head: style('@media print { p { color: #fff !important; } }') }],
  ['color in @media (max-width: 480px) needs !important', { head: style('@media (max-width: 480px) { p { color: #fff; } }') }],
  ['uses var()', { body: '<p style="color:var(--text);">Sign in</p>' }],
  ['uses calc()', { head: style('@media (max-width: 480px) { p { width: calc(1px + 2px) !important; } }') }],
  ['uses url()', { body: '<td style="background:URL(https://example.com/a.png);">Sign in</td>' }],
  ['is not valid CSS', { head: style('@media (max-width: 480px) { p { color }') }],
  ['characters, so Gmail ignores it', { head: style(':root { color-scheme: light; }'.repeat(400)) }],
  ['Gmail cuts it off', { body: BODY.repeat(2_500) }],
]) {
  test(`a broken rule is reported: ${rule}`, () => {
    const problems = problemsOf(parts);
    assert.ok(problems.some((problem) => problem.includes(rule)), problems.join('\n'));
  });
}

test('an allowed feature passes, and an unused allow-list entry is reported', () => {
  const body = '<p style="border-radius:8px;">Sign in</p>';
  const reason = 'Corners are square.';
  assert.deepEqual(problemsOf({ body }, { 'border-radius': reason }), []);
  for (const stale of ['position', 'color', 'no such feature']) {
    const problems = problemsOf({ body }, { 'border-radius': reason, [stale]: reason });
    assert.deepEqual(problems, [`allowed.json: ${stale}: no mail uses it, or all clients support it. Remove the entry.`]);
  }
});

test('an allow-list entry needs a reason', () => {
  const problems = problemsOf({ body: '<p style="border-radius:8px;">Sign in</p>' }, { 'border-radius': ' ' });
  assert.deepEqual(problems, ['allowed.json: border-radius: give the reason why a mail is usable without this feature.']);
});

function style(css) {
  return `<style>${css}</style>`;
}
