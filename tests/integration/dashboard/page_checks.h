#pragma once
// What must hold for the page however it looks: scripts for Browser::run that give what is wrong.

namespace wherry::test {

// Texts whose contrast with their ground is below 4.5 (WCAG 2.2, 1.4.3), each with its ratio.
inline constexpr const char* kPoorContrast = R"js(
const read = (color) => {
  const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number);
  return {r, g, b, a};
};
const over = (top, below) => {
  const mix = (key) => top[key] * top.a + below[key] * (1 - top.a);
  return {r: mix('r'), g: mix('g'), b: mix('b'), a: 1};
};
const ground = (node) => {
  const layers = [];
  for (let each = node; each; each = each.parentElement) {
    layers.push(read(getComputedStyle(each).backgroundColor));
    if (layers[layers.length - 1].a === 1) break;
  }
  return layers.reduceRight((below, top) => over(top, below), {r: 255, g: 255, b: 255, a: 1});
};
const luminance = ({r, g, b}) => {
  const part = (value) => (value /= 255, value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const poor = new Set();
const inFront = document.querySelector('dialog[open]') || document.body;
for (const node of inFront.querySelectorAll('*')) {
  const text = Array.from(node.childNodes, (child) => (child.nodeType === 3 ? child.data.trim() : '')).join('');
  if (!text || !node.checkVisibility() || node.closest('.hide, noscript')) continue;
  const below = ground(node);
  const [low, high] = [luminance(over(read(getComputedStyle(node).color), below)), luminance(below)].sort((a, b) => a - b);
  const ratio = (high + 0.05) / (low + 0.05);
  if (ratio < 4.5) poor.add(`${node.tagName}.${node.className} "${text.slice(0, 30)}" ${ratio.toFixed(2)}`);
}
return [...poor];
)js";

// What can be used or says something and has no name that is read out.
inline constexpr const char* kNameless = R"js(
const nameless = [];
for (const node of document.querySelectorAll('a, button, input, select, dialog, meter, progress, section, [role=img], [role=table], [tabindex="0"]')) {
  if (!node.checkVisibility()) continue;
  const byId = (node.getAttribute('aria-labelledby') || '').split(' ').map((id) => document.getElementById(id)?.textContent).join('');
  const name = node.getAttribute('aria-label') || byId || Array.from(node.labels || [], (label) => label.textContent).join('') ||
    (/^(A|BUTTON)$/.test(node.tagName) && node.textContent);
  if (!name || !name.trim()) nameless.push(node.outerHTML.slice(0, 120));
}
return nameless;
)js";

// What reaches beyond the right edge of the page or of what is open, where it would have to be
// scrolled.
inline constexpr const char* kTooWide = R"js(
const wide = [];
for (const box of [document.scrollingElement, ...document.querySelectorAll('dialog[open], .card, .log, .events, .list')]) {
  if (box.scrollWidth <= box.clientWidth) continue;
  const edge = box.getBoundingClientRect().right;
  const inside = [...box.querySelectorAll('*')].filter((node) => !node.closest('.hide, svg') && node.getBoundingClientRect().right > edge + 1);
  wide.push(`${box.tagName}.${box.className} ${box.scrollWidth} > ${box.clientWidth}: ${inside.slice(0, 3).map((node) => node.outerHTML.slice(0, 90))}`);
}
return wide;
)js";

}  // namespace wherry::test
