// A button a picture, or a mere picture where nothing can be picked. Words go in as text, never as HTML; the row is
// built anew only when other pictures come.
function tile(one, { told, still }) {
  const button = document.createElement(still ? "div" : "button");
  if (!still) button.type = "button";
  button.setAttribute("role", still ? "img" : "button");
  button.title = one.words;
  button.setAttribute("aria-label", one.words);
  const image = document.createElement("img");
  image.src = `data:image/png;base64,${one.png}`;
  image.alt = "";
  image.onload = () => image.classList.toggle("few-pixels", image.naturalWidth < 64);
  button.append(image);
  if (told) {
    const words = document.createElement("span");
    words.textContent = one.words;
    button.append(words);
  }
  button.dataset.ident = one.ident;
  return button;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const row = parentElement.querySelector(".picture-row");
  row.setAttribute("aria-label", data.label);
  const drawing = JSON.stringify([data.tiles, data.told, data.still]);
  if (row.drawing !== drawing) {
    row.drawing = drawing;
    row.replaceChildren(...data.tiles.map((one) => tile(one, data)));
  }
  for (const button of data.still ? [] : row.children) {
    button.setAttribute("aria-pressed", String(button.dataset.ident === data.chosen));
    button.onclick = () => setTriggerValue("picked", button.dataset.ident);
  }
}
