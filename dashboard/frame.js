// A person's text is shown with invisible joiners (U+2060), so that nothing in it becomes a link or an icon. Whoever
// copies it gets it as it was typed.
const JOINER = "\u2060";

function copied(event) {
  const chosen = document.getSelection()?.toString() ?? "";
  if (!event.clipboardData || !chosen.includes(JOINER)) return;
  event.clipboardData.setData("text/plain", chosen.replaceAll(JOINER, ""));
  event.preventDefault();
}

// A link to a term of the glossary leads there in this window, so that nothing a person has set here is lost. With a key
// held down it opens where a browser opens such links.
const TERM = "a[href*='glossary?term=']";

function followed(event) {
  const link = event.target.closest?.(TERM);
  if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const to = new URL(link.href);
  if (to.origin !== location.origin) return;
  event.preventDefault();
  event.stopPropagation();
  history.pushState({}, "", to);
  dispatchEvent(new PopStateEvent("popstate", { state: {} }));
}

export default function () {
  if (window.condenserCopies) return;
  window.condenserCopies = true;
  document.addEventListener("copy", copied);
  document.addEventListener("click", followed, true);
}
