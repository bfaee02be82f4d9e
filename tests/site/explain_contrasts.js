// For every visible text inside the given element, by default an explanation: the text, and its
// contrast with what lies behind it. In a drawing that is the page, the paper of a cell and the colour
// of the cell.
const parse = (text) => {
  const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
  return [r, g, b, a];
};
const over = (top, below, opacity = 1) => {
  const a = top[3] * opacity;
  return [0, 1, 2].map((i) => top[i] * a + below[i] * (1 - a)).concat(1);
};
const luminance = (colour) => {
  const linear = (x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = colour.map((x) => linear(x / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => element.nodeType === 9 ? [255, 255, 255, 1]
  : over(parse(getComputedStyle(element).backgroundColor), behind(element.parentNode));
const ratio = (one, other) => {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
const found = [];
const root = document.querySelector(arguments[0] || ".explain");
const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || element.matches("title, option, script, style")) continue;
  const style = getComputedStyle(element);
  if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
  let ground = behind(element.closest("svg") || element);
  let colour = style.color;
  if (element.closest("svg")) {
    colour = style.fill;
    const rects = element.parentElement.matches("[data-row]")
      ? element.parentElement.querySelectorAll("rect")
      : [element.previousElementSibling].filter((x) => x && x.matches("rect.explain-cell"));
    for (const rect of rects) {
      const { fill, fillOpacity } = getComputedStyle(rect);
      if (fill !== "none") ground = over(parse(fill), ground, Number(fillOpacity));
    }
  }
  found.push([element.textContent, ratio(over(parse(colour), ground), ground)]);
}
return found;
