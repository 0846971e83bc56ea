// Which numbered control has the focus, and whether it shows that: an outline, a shadow or a border of its own.
() => {
  const node = document.activeElement;
  const rings = (style) => (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
  let shown = node.matches(":focus-visible") && getComputedStyle(node).borderColor !== "";
  for (let up = node, i = 0; up && i < 6; up = up.parentElement, i += 1) shown ||= rings(getComputedStyle(up));
  return [node.dataset.control ?? "", shown];
}
