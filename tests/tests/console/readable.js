// What is hard to read or has no name on the page, as a list; empty where all is well.
const channel = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const rgba = (color) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
};
const over = (top, under) => top.slice(0, 3).map((value, at) => value * top[3] + under[at] * (1 - top[3]));
const light = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
const ground = (element) => {
  const layers = [];
  for (let at = element; at; at = at.parentElement) layers.unshift(rgba(getComputedStyle(at).backgroundColor));
  return layers.reduce((under, layer) => over(layer, under), rgba("Canvas").slice(0, 3));
};
const wrong = [];
for (const element of document.body.querySelectorAll("*")) {
  if (!element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) || element.matches(":disabled, option")) continue;
  const style = getComputedStyle(element);
  if (style.clipPath !== "none") continue;
  if ([...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) {
    const under = ground(element);
    const [a, b] = [light(over(rgba(style.color), under)), light(under)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) wrong.push(`${element.tagName} ${element.className} "${element.textContent.trim().slice(0, 30)}": ${ratio.toFixed(2)}`);
  }
  if (element.matches("a, button, input, select, dialog[open], nav, [role=img]")) {
    const labelled = element.getAttribute("aria-labelledby");
    const name = element.getAttribute("aria-label") || element.textContent.trim() || element.closest("label")?.textContent.trim()
      || (labelled && document.getElementById(labelled)?.textContent);
    if (!name) wrong.push(`${element.tagName} ${element.className} has no name`);
  }
}
if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
if (!document.documentElement.lang) wrong.push("no language");
return wrong;
