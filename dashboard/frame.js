// A person's text is shown with invisible joiners (U+2060), so that nothing in it becomes a link or an icon. Whoever
// copies it gets it as it was typed.
const JOINER = "\u2060";

function copied(event) {
  const chosen = document.getSelection()?.toString() ?? "";
  if (!event.clipboardData || !chosen.includes(JOINER)) return;
  event.clipboardData.setData("text/plain", chosen.replaceAll(JOINER, ""));
  event.preventDefault();
}

export default function () {
  if (window.condenserCopies) return;
  window.condenserCopies = true;
  document.addEventListener("copy", copied);
}
