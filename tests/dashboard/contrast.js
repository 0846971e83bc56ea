// Every text on the page whose contrast with what lies under it is below 4.5, as `ratio text`.
() => {
  const parse = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
  const linear = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const over = (top, under) => [0, 1, 2].map((i) => (top[3] ?? 1) * top[i] + (1 - (top[3] ?? 1)) * under[i]);
  const ancestors = (element) => { const found = []; for (let up = element; up; up = up.parentElement) found.push(up); return found; };
  const ground = (element) => ancestors(element).reverse().map((up) => parse(getComputedStyle(up).backgroundColor))
    .reduce((under, top) => (top.length ? over(top, under) : under), [255, 255, 255]);
  const skipped = "[disabled], [aria-disabled=true], script, style, noscript, [data-testid=stDataFrame], [aria-hidden=true], "
    + "[data-testid=stSliderThumbValue]"; // lies outside the thumb it belongs to
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (text.length < 2 || element.closest(skipped)) continue;
    const box = element.getBoundingClientRect(), style = getComputedStyle(element);
    if (box.width < 2 || box.height < 2 || style.visibility === "hidden") continue;
    const opacity = ancestors(element).reduce((product, up) => product * Number(getComputedStyle(up).opacity), 1);
    if (opacity < 0.05) continue;
    const ink = parse(element.closest("svg text") ? style.fill : style.color), under = ground(element);
    const seen = over([...ink.slice(0, 3), (ink[3] ?? 1) * opacity], under);
    const [brighter, darker] = [light(seen), light(under)].sort((x, y) => y - x);
    const ratio = (brighter + 0.05) / (darker + 0.05);
    if (ratio < 4.5) found.add(`${ratio.toFixed(2)} ${text.slice(0, 40)}`);
  }
  return [...found];
}
