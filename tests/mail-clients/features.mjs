// Finds the features of a mail's HTML and CSS that mail clients do not support, according to https://www.caniemail.com.
// Partial support counts as support: for nearly every feature, at least one client supports only part of it, and the
// mails do not use the unsupported parts.

import { stringify } from '@adobe/css-tools';
import { caniemail, parseHtml, rawData } from 'caniemail';

// The clients in which the mails must work. The keys are the clients' names in caniemail's data. The new Outlook for
// Windows renders mails like Outlook.com.
const CLIENTS = {
  'apple-mail.ios': 'Apple Mail (iOS)',
  'apple-mail.macos': 'Apple Mail (macOS)',
  'gmail.android': 'Gmail (Android)',
  'gmail.desktop-webmail': 'Gmail (web)',
  'gmail.ios': 'Gmail (iOS)',
  'gmx.android': 'GMX (Android)',
  'gmx.desktop-webmail': 'GMX (web)',
  'gmx.ios': 'GMX (iOS)',
  'outlook.android': 'Outlook (Android)',
  'outlook.ios': 'Outlook (iOS)',
  'outlook.macos': 'Outlook (macOS)',
  'outlook.outlook-com': 'Outlook.com and the new Outlook for Windows',
  'outlook.windows': 'classic Outlook for Windows',
  'protonmail.android': 'Proton Mail (Android)',
  'protonmail.desktop-webmail': 'Proton Mail (web)',
  'protonmail.ios': 'Proton Mail (iOS)',
  'samsung-email.android': 'Samsung Email',
  'thunderbird.macos': 'Thunderbird (macOS)',
  'thunderbird.windows': 'Thunderbird (Windows)',
  'web-de.android': 'WEB.DE (Android)',
  'web-de.desktop-webmail': 'WEB.DE (web)',
  'web-de.ios': 'WEB.DE (iOS)',
  'yahoo.android': 'Yahoo Mail (Android)',
  'yahoo.desktop-webmail': 'Yahoo Mail (web)',
  'yahoo.ios': 'Yahoo Mail (iOS)',
};
export const CLIENT_COUNT = Object.keys(CLIENTS).length;

// caniemail throws an error if a mail uses a feature that one of the clients was not tested for. Treat that client as
// if it supported the feature.
for (const { stats } of rawData.data) {
  for (const client of Object.keys(CLIENTS)) {
    const [family, platform] = client.split('.');
    stats[family] ??= {};
    stats[family][platform] ??= { untested: 'y' };
  }
}

/** The unsupported features of a mail: for each feature, the names of the clients that do not support the feature. */
export function unsupportedFeatures(html) {
  const found = new Map();
  const add = (feature, client) => found.set(feature, (found.get(feature) ?? new Set()).add(CLIENTS[client]));

  const media = parseHtml(html).stylesheets.flatMap(mediaRules);
  // caniemail checks neither the rules in a media query nor the query's condition, so both are checked separately.
  const inside = stringify({ type: 'stylesheet', stylesheet: { rules: media.flatMap((query) => query.rules) } });
  for (const source of [{ html }, ...(inside ? [{ css: inside }] : [])]) {
    const { issues } = caniemail({ clients: Object.keys(CLIENTS), ...source });
    for (const [client, list] of issues.errors) list.forEach(({ title }) => add(title, client));
  }
  for (const { media: condition } of media) {
    for (const client of Object.keys(CLIENTS)) {
      conditionTitles(condition).filter((title) => isUnsupported(title, client)).forEach((title) => add(title, client));
    }
  }
  return found;
}

/** The address of a feature's page, which shows the support of each client. */
export function featurePage(feature) {
  return featureOf(feature).url;
}

function mediaRules({ stylesheet }) {
  return stylesheet.rules.filter((rule) => rule.type === 'media');
}

/** The titles of those conditions that caniemail lists as features, such as `@media (prefers-color-scheme)`. */
function conditionTitles(condition) {
  const names = [...condition.matchAll(/\(\s*([a-z-]+)/g)].map(([, name]) => `@media (${name})`);
  return names.filter((title) => featureOf(title));
}

/** Whether the latest tested version of a client does not support a feature. */
function isUnsupported(feature, client) {
  const [family, platform] = client.split('.');
  const support = featureOf(feature).stats[family][platform];
  return support[Object.keys(support).sort().at(-1)].startsWith('n');
}

function featureOf(title) {
  return rawData.data.find((feature) => feature.title === title);
}
