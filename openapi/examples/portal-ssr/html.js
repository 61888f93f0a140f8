// HTML in which every inserted value is escaped, and the layout of all pages.

/** A piece of HTML that is not escaped again. */
class Html {
  constructor(text) {
    this.text = text;
  }
}

/** Creates HTML from a template, such as html`<p>${value}</p>`. `null`, `undefined` and `false` insert nothing. */
export function html(parts, ...values) {
  return new Html(parts.reduce((text, part, index) => text + inserted(values[index - 1]) + part));
}

function inserted(value) {
  if (value instanceof Html) return value.text;
  if (value === null || value === undefined || value === false) return '';
  const names = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return String(value).replace(/[&<>"']/g, (char) => names[char]);
}

/** Returns a complete page as a string. */
export function pageOf(title, content, corner = null) {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · Example Portal</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/portal.css">
</head>
<body>
<header class="top"><a class="brand" href="/"><span class="mark" aria-hidden="true"></span>Example Portal</a>${corner}</header>
<main class="card">${content}</main>
</body>
</html>
`.text;
}
