//! The style and the script of a listing, and the security policy that permits nothing else.

/// What a listing adds to the style of all pages. Names are blocks, so that the whole cell is the
/// link. `plaintext` gives each name its own direction of writing. The icons are masks, so they
/// take the colours of the page. On a narrow screen, time and size are below the name,
/// and the link covers the row.
pub(super) const STYLE: &str = "\
h1 span { font-weight: 400; color: var(--dim) }
h1 a { text-decoration-thickness: 1px; text-underline-offset: .2em }
h1 a:first-of-type { margin-left: -.25em; padding: .2em .3em }
form { margin: 0 0 .75rem }
input { width: 16rem; max-width: 60%; padding: .35rem .6rem; border: 1px solid var(--dim);
  border-radius: .375rem; background: var(--back); color: var(--text); font: inherit }
input:focus-visible { outline: 2px solid var(--link); outline-offset: -1px }
output { margin-left: .5rem; color: var(--dim); font-size: .875rem }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums }
caption { padding-bottom: .5rem; text-align: left; color: var(--dim); font-size: .875rem }
th, td { padding: .4rem .5rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top }
thead th { padding: 0; font-size: .875rem; font-weight: 600 }
thead a { display: block; padding: .4rem .5rem; color: var(--dim) }
[aria-sort] a::after { content: ' \\2191'; content: ' \\2191' / '' }
[aria-sort=descending] a::after { content: ' \\2193'; content: ' \\2193' / '' }
tbody th { padding: 0; font-weight: 400 }
tr > :nth-child(n + 2) { width: 1%; text-align: right; white-space: nowrap; color: var(--dim) }
tbody tr:hover { background: var(--hover) }
tbody a { --icon: url(\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' \
viewBox='0 0 16 16' fill='none' stroke='red'><path d='M3.5 1.5h5l4 4v9h-9zm5 0v4h4'/></svg>\");
  display: block; position: relative; padding: .4rem .5rem .4rem 2.1rem;
  overflow-wrap: anywhere; white-space: pre-wrap; unicode-bidi: plaintext }
tbody a[href$='/'] { font-weight: 600;
  --icon: url(\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>\
<path d='M1 4q0-1.5 1.5-1.5H6l2 2h5.5Q15 4.5 15 6v6q0 1.5-1.5 1.5h-11Q1 13.5 1 12z'/></svg>\") }
.i { --icon: url(\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' \
viewBox='0 0 16 16' fill='none' stroke='red'><path d='M1.5 2.5h13v11h-13zm0 9l4-4 3 3 2.5-2.5 \
3.5 3.5'/><circle cx='10.5' cy='5.5' r='1'/></svg>\") }
.v { --icon: url(\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' \
viewBox='0 0 16 16' fill='none' stroke='red'><path d='M1.5 3.5h13v9h-13zm5 2.2v4.6L10.4 8z'/>\
</svg>\") }
.a { --icon: url(\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' \
viewBox='0 0 16 16' fill='none' stroke='red'><path d='M5.5 12V3.5l8-1.5v8.5'/>\
<ellipse cx='3.8' cy='12' rx='1.7' ry='1.4'/><ellipse cx='11.8' cy='10.5' rx='1.7' ry='1.4'/>\
</svg>\") }
.z { --icon: url(\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' \
viewBox='0 0 16 16' fill='none' stroke='red'><path d='M2.5 5.5h11v8h-11zm-1-3h13v3h-13zM6 8.5h4'/>\
</svg>\") }
.t { --icon: url(\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' \
viewBox='0 0 16 16' fill='none' stroke='red'><path d='M3.5 1.5h9v13h-9zM6 5h4M6 8h4M6 11h3'/>\
</svg>\") }
.c { --icon: url(\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' \
viewBox='0 0 16 16' fill='none' stroke='red'><path d='M5.5 4L1.8 8l3.7 4m5-8l3.7 4-3.7 4'/>\
</svg>\") }
.p { --icon: url(\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' \
viewBox='0 0 16 16' fill='none' stroke='red'><path d='M3.5 1.5h9v13h-9zm2.5 0V8l2-1.5L10 8V1.5'/>\
</svg>\") }
tbody a::before { content: ''; position: absolute; left: .5rem; top: .55rem;
  width: 1.2rem; height: 1.2rem; background: var(--dim);
  -webkit-mask: var(--icon) 0 0 / contain no-repeat; mask: var(--icon) 0 0 / contain no-repeat }
tbody a[href$='/']::before { background: var(--link) }
td small { display: inline-block; width: 2.3em; text-align: left }
caption small { font-size: 1em }
h2 { margin: 2rem 0 .5rem; font-size: 1rem }
pre { margin: 0; padding: 1rem; border: 1px solid var(--line); border-radius: .375rem;
  font: .875rem/1.5 ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap;
  unicode-bidi: plaintext }
[hidden] { display: none !important }
@media (min-width: 36.01rem) {
  form { display: flex; flex-direction: row-reverse; align-items: center; margin: 0 0 -2rem }
  input { max-width: none }
  output { margin: 0 1rem }
  form:not([hidden]) + table caption { padding: .25rem 24rem .75rem 0 } }
@media (max-width: 36rem) {
  body { padding: 1rem .75rem 2rem }
  tr { display: flex; flex-wrap: wrap; position: relative }
  tr > :nth-child(n) { width: auto; padding: 0; border: 0 }
  tbody tr > :nth-child(2) { order: 1 }
  thead tr { column-gap: .75rem; border-bottom: 1px solid var(--line) }
  thead a { padding: .4rem 0 }
  tbody tr { column-gap: 1rem; padding: .35rem 0 .35rem 2rem; border-bottom: 1px solid var(--line) }
  tbody tr > th { flex: 0 0 100% }
  tbody a { position: static; padding: 0 }
  tbody a::after { content: ''; position: absolute; inset: 0 }
  tbody a::before { left: .2rem }
  tbody a:focus-visible { outline: none }
  tbody a:focus-visible::after { outline: 2px solid; outline-offset: -2px }
  td { font-size: .8125rem }
  td small { width: auto; font-size: 1em } }
@media (forced-colors: active) {
  tbody a::before { forced-color-adjust: none; background: CanvasText } }
";

/// Shows the filter, which needs a script, and filters the rows by the words in it.
pub(super) const SCRIPT: &str = "
const form = document.forms[0], box = form[0], said = form.querySelector('output');
const rows = [...document.querySelector('tbody:last-of-type').rows];
let names, waits;
function filter() {
  names ??= rows.map(row => row.cells[0].textContent.toLowerCase());
  const words = box.value.toLowerCase().split(/\\s+/);
  let shown = 0;
  rows.forEach((row, at) => {
    const fits = words.every(word => names[at].includes(word));
    row.toggleAttribute('hidden', !fits);
    shown += fits;
  });
  said.value = box.value.trim() ? `${shown} of ${rows.length}` : '';
}
form.removeAttribute('hidden');
form.onsubmit = () => false;
box.oninput = () => { clearTimeout(waits); waits = setTimeout(filter, rows.length / 50) };
if (box.value) filter();
";

/// Permits the style and the script of this page and the icon of the site, and nothing else: even
/// if a name were not escaped correctly, it could run no script. The hashes are those of the whole
/// content of the elements; a test compares them.
pub(in crate::site) const SECURITY_POLICY: &str = "default-src 'none'; img-src 'self' data:; \
style-src 'sha256-hfRvWUBRoLeNFhIU6QJH4JihtpjwaWPBqw90ik/Mfuw='; \
script-src 'sha256-iUKsYG4+6Fm46d3lclo2x8JnUe0dK0y69fwyIJOQDss='; \
base-uri 'none'; form-action 'none'";
