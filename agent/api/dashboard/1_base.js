// Elements and formats. Data becomes text nodes and attributes, never markup.

const $ = (id) => document.getElementById(id);

// props: `text`, `class`, functions as listeners, everything else an attribute (false, null: none).
function el(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) {
    if (key === 'text') node.textContent = value;
    else if (key === 'class') node.className = value;
    else if (typeof value === 'function') node.addEventListener(key, value);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children);
  return node;
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function icon(name) {
  return svg('svg', {class: 'icon', 'aria-hidden': 'true'}, svg('use', {href: `#i-${name}`}));
}

function setIcon(node, name) {
  attr(node.querySelector('use'), 'href', `#i-${name}`);
}

// What did not change is not touched: selections stay, and nothing is read out twice.
function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function attr(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// The children of `parent` become those of `items`, in order; each keeps its element by its key.
// `make(item)` gives an element with an `update(item)` of its own.
function sync(parent, items, keyOf, make) {
  const old = new Map(Array.from(parent.children, (child) => [child.itemKey, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let node = old.get(key);
    if (node) {
      old.delete(key);
    } else {
      node = make(item);
      node.itemKey = key;
    }
    if (node.update) node.update(item);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of old.values()) node.remove();
}

function bytes(value) {
  if (!Number.isFinite(value)) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) value /= 1024, ++unit;
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

function cores(value) {
  if (!Number.isFinite(value)) return '–';
  return value >= 10 ? value.toFixed(1) : value >= 0.1 ? value.toFixed(2) : value.toFixed(3);
}

function span(ms, exact) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (exact && seconds < 600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

// The device's clock, by its answers' dates: what it tells is compared with nothing else.
const clock = {ahead: 0, now: () => Date.now() + clock.ahead};

function setClock(date) {
  const ahead = Date.parse(date || '') - Date.now();
  if (!Number.isNaN(ahead)) clock.ahead = Math.abs(ahead) < 2000 ? 0 : ahead;  // it tells seconds
}

function ago(text) {
  const time = Date.parse(text || '');
  return Number.isNaN(time) ? '–' : span(clock.now() - time);
}

function local(text) {
  const time = Date.parse(text || '');
  return Number.isNaN(time) ? '' : new Date(time).toLocaleString();
}

function plural(count, word) {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

// "registry.local/web@sha256:0123…" is as much as anybody reads.
function shortImage(name) {
  return name.replace(/(@sha256:[0-9a-f]{12})[0-9a-f]+/, '$1…');
}

// What stands in front of everything: an open dialog makes the rest of the page inert.
function front() {
  const open = document.querySelectorAll('dialog[open]');
  return open.length ? open[open.length - 1] : document.body;
}

// Read out, not shown.
function say(text) {
  front().append($('says'));
  $('says').textContent = text;
}

function toast(text, bad) {
  const node = el('p', {class: bad ? 'toast bad' : 'toast'}, icon(bad ? 'bad' : 'ok'), el('span', {text}));
  front().append($('toasts'));
  $('toasts').append(node);
  setTimeout(() => node.remove(), bad ? 12000 : 5000);
}

function press(button, on) {
  attr(button, 'aria-pressed', String(on));
}
