// Checks the mails in a folder that `magic-link-worker mail preview --out FOLDER` has written. Run it with
// `just mail-client-test`.
//
//     node check.mjs FOLDER
//
// If a mail uses a feature that a client does not support, the feature must be listed in allowed.json, with the reason
// why the mail is still usable.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { CLIENT_COUNT, featurePage, unsupportedFeatures } from './features.mjs';
import { brokenRules } from './rules.mjs';

/**
 * Checks mails. `mails` maps the name of each mail to its HTML. `allowed` maps each allowed feature to the reason why
 * it is allowed. Returns the problems, and for each allowed feature the names of the clients that do not support it.
 */
export function check(mails, allowed) {
  const problems = [];
  const used = new Map();
  for (const [name, html] of Object.entries(mails)) {
    for (const [feature, clients] of unsupportedFeatures(html)) {
      if (Object.hasOwn(allowed, feature)) {
        used.set(feature, new Set([...(used.get(feature) ?? []), ...clients]));
      } else {
        problems.push(`${name}: ${feature} is not supported by ${sorted(clients)} (${featurePage(feature)})`);
      }
    }
    problems.push(...brokenRules(html).map((sentence) => `${name}: ${sentence}`));
  }
  for (const [feature, reason] of Object.entries(allowed)) {
    const entry = `allowed.json: ${feature}`;
    if (!used.has(feature)) problems.push(`${entry}: no mail uses it, or all clients support it. Remove the entry.`);
    if (reason.trim() === '') problems.push(`${entry}: give the reason why a mail is usable without this feature.`);
  }
  return { problems, used };
}

function sorted(clients) {
  return [...clients].sort().join(', ');
}

function readMails(folder) {
  const names = readdirSync(folder).filter((name) => name.endsWith('.html') && name !== 'index.html').sort();
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

function main([folder]) {
  const allowed = JSON.parse(readFileSync(new URL('allowed.json', import.meta.url), 'utf8'));
  const mails = readMails(folder);
  const count = Object.keys(mails).length;
  if (count === 0) throw new Error(`${folder} contains no mails`);
  const { problems, used } = check(mails, allowed);
  for (const [feature, clients] of used) {
    console.log(`allowed: ${feature}\n  not supported by: ${sorted(clients)}\n  reason: ${allowed[feature]}`);
  }
  problems.forEach((problem) => console.error(problem));
  console.log(`${count} mails, ${CLIENT_COUNT} clients, ${used.size} allowed features, ${problems.length} problems`);
  process.exitCode = problems.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
