// Streamlit has its own words in English only. Where one of them comes up in what is Streamlit's own, it is put into the
// person's language; what a person wrote, and our own Markdown, is left alone.
const TOOLTIP = "[data-testid=stTooltipContent]";
const OWN = [
  "[data-testid=stFileUploader]", "[data-testid=stCameraInput]", "[data-testid=InputInstructions]",
  "[data-testid=stSelectbox]", "[data-testid=stMultiSelect]", "[data-testid=stNumberInput]", "[data-testid=stTextInput]",
  "[role=listbox]", "[data-testid=stDataFrameColumnMenu]", "[data-testid=stDataFrameColumnFormattingMenu]",
  "[data-testid=stDataFrameColumnVisibilityMenu]", "[data-testid=stDataFrameStatisticsMenu]", "[class*=gdg-search]",
  "[data-testid^=stElementToolbar]", TOOLTIP, "[data-testid=stTooltipIcon]", "[data-testid^=stMainMenu]",
  "[data-testid=stHeader]", "[data-testid^=stSidebar]", "[data-testid=stConnectionStatus]", "[data-testid=stCode]", "[data-testid=stTabs]",
  "[role=dialog]", "button[data-testid^=stBaseButton]", "[data-testid=stProgress] [role=progressbar]", "[data-testid=stLogo]",
  "[role=img][aria-label$=' icon']", "[data-testid=stSkipToContent]",
].join(",");
// what a person wrote or may choose: a menu's own entries, such as that for all, have no key or one that begins with __
const THEIRS = [
  "[data-testid=stMarkdownContainer]", "[role=option][data-key]:not([data-key^=__])", "[data-tag]", "canvas", "pre", "textarea",
].join(",");
const ATTRIBUTES = ["aria-label", "placeholder", "title", "alt"];
const TEXT = "text";
const state = (window.condenserWords ??= {
  forms: [], // Streamlit's words as patterns, each with ours
  kept: new WeakMap(), // node → what Streamlit said in each of its places, and what it was told as
  observer: new MutationObserver((records) => changed(records)),
});

const quoted = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

// "{size} per file" → /^(?<size>.+) per file$/
function form([said, told]) {
  const pattern = said.split(/\{(\w+)\}/).map((part, place) => (place % 2 ? `(?<${part}>.+)` : quoted(part))).join("");
  return { pattern: new RegExp(`^${pattern}$`, "s"), told };
}

function translated(text) {
  const bare = text.trim();
  if (!bare) return null;
  for (const { pattern, told } of state.forms) {
    const found = pattern.exec(bare);
    if (found) return text.replace(bare, () => told.replace(/\{(\w+)\}/g, (_, name) => found.groups[name]));
  }
  return null;
}

// What stands there is what Streamlit said, or what we made of it the last time.
function put(node, place, now, write) {
  const before = state.kept.get(node)?.[place];
  const said = before && before.told === now ? before.said : now;
  const told = translated(said) ?? said;
  state.kept.set(node, { ...state.kept.get(node), [place]: { said, told } });
  if (told !== now) write(told);
}

function look(element) {
  for (const name of ATTRIBUTES) {
    const now = element.getAttribute(name);
    if (now) put(element, name, now, (told) => element.setAttribute(name, told));
  }
}

function read(node) {
  const parent = node.parentElement;
  if (!parent || (parent.closest(THEIRS) && !parent.closest(TOOLTIP))) return;
  put(node, TEXT, node.nodeValue, (told) => { node.nodeValue = told; });
}

function all(root) {
  look(root);
  for (const element of root.querySelectorAll(ATTRIBUTES.map((name) => `[${name}]`).join(","))) look(element);
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) read(walker.currentNode);
}

function visit(node) {
  if (node.nodeType === Node.TEXT_NODE) return node.parentElement?.closest(OWN) && read(node);
  if (node.nodeType !== Node.ELEMENT_NODE || node.closest(".live-plot")) return undefined;
  if (node.closest(OWN)) return all(node);
  return node.querySelectorAll(OWN).forEach(all);
}

function changed(records) {
  for (const { type, target, addedNodes } of records) {
    if (type === "childList") addedNodes.forEach(visit);
    else if (type === "characterData") visit(target);
    else if (target.closest(OWN)) look(target);
  }
}

export default function ({ data }) {
  document.documentElement.lang = data.language;
  state.forms = Object.entries(data.words).map(form);
  state.observer.disconnect();
  visit(document.body); // also back into Streamlit's own
  if (!state.forms.length) return;
  state.observer.observe(document.body, {
    childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES,
  });
}
