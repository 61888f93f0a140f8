// Rules for a mail's HTML that caniemail does not check.

import { parseHtml } from 'caniemail';

/** Gmail cuts off a mail of more than 102 KB. */
const MAX_BYTES = 100_000;
/** Gmail ignores a style element with more characters than this. */
const MAX_STYLE_LENGTH = 8_192;

/** The rules that a mail breaks, one sentence for each. */
export function brokenRules(html) {
  const broken = [];
  const bytes = Buffer.byteLength(html);
  if (bytes > MAX_BYTES) broken.push(`The HTML has ${bytes} bytes. Gmail cuts it off: use at most ${MAX_BYTES}.`);

  const elements = [...html.matchAll(/<style[^>]*>([^]*?)<\/style>/gi)].map(([, css]) => css);
  for (const { length } of elements.filter((css) => css.length > MAX_STYLE_LENGTH)) {
    broken.push(`The style element has ${length} characters, so Gmail ignores it: use at most ${MAX_STYLE_LENGTH}.`);
  }

  // caniemail does not check CSS functions. The mails need no CSS functions, so this rule forbids all of them.
  const attributes = [...html.matchAll(/\sstyle="([^"]*)"/gi)].map(([, css]) => css);
  for (const [, name] of [...elements, ...attributes].flatMap((css) => [...css.matchAll(/([a-z-]+)\(/gi)])) {
    broken.push(`A style uses ${name.toLowerCase()}(): use a plain value.`);
  }

  for (const { stylesheet } of parseHtml(html).stylesheets) {
    stylesheet.parsingErrors.forEach(({ message }) => broken.push(`The style element is not valid CSS: ${message}.`));
    stylesheet.rules.forEach((rule) => broken.push(...brokenByRule(rule)));
  }
  return broken;
}

/**
 * Some clients ignore the style element, and the mail must still be usable in them. A style must therefore be inline,
 * unless it adapts the mail to the screen or to the colour scheme.
 */
function brokenByRule(rule) {
  if (rule.type === 'media' && /^\((max-width: \d+px|prefers-color-scheme: dark)\)$/.test(rule.media)) {
    const weak = declarations(rule.rules).filter(({ value }) => !value.endsWith('!important'));
    return weak.map(({ property }) => `${property} in @media ${rule.media} needs !important, or the inline style wins.`);
  }
  const isColorScheme = rule.type === 'rule' && String(rule.selectors) === ':root'
    && declarations([rule]).every(({ property }) => ['color-scheme', 'supported-color-schemes'].includes(property));
  if (isColorScheme) return [];
  const name = rule.type === 'media' ? `@media ${rule.media}` : (rule.selectors ?? [`@${rule.type}`]).join(', ');
  return [`The style element contains ${name}: put the style inline, because some clients ignore the element.`];
}

function declarations(rules) {
  return rules.flatMap((rule) => rule.declarations ?? []).filter(({ type }) => type === 'declaration');
}
