// White strokes on black; after each one the drawing goes to the page as PNG. Delete or Escape clears, Ctrl+Z takes back.
const WIDTH = 20; // of a stroke, on 280 pixels: about 2 of the 28 that a digit has

function paint(canvas, strokes) {
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.strokeStyle = pen.fillStyle = "#fff";
  pen.lineWidth = WIDTH;
  pen.lineCap = pen.lineJoin = "round";
  for (const [first, ...rest] of strokes) {
    pen.beginPath();
    pen.moveTo(first.x, first.y);
    for (const point of rest.length ? rest : [first]) pen.lineTo(point.x, point.y);
    pen.stroke();
  }
}

function place(canvas, event) {
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
}

function begin(canvas) {
  const strokes = [];
  const change = () => {
    paint(canvas, strokes);
    canvas.tell(strokes.length ? canvas.toDataURL("image/png") : "");
  };
  const undo = () => { if (strokes.pop()) change(); };
  const clear = () => { if (strokes.splice(0).length) change(); };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    strokes.push([place(canvas, event)]);
    paint(canvas, strokes);
    event.preventDefault();
    canvas.focus();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) strokes.at(-1).push(place(canvas, one));
    paint(canvas, strokes);
  });
  canvas.addEventListener("pointerup", change);
  canvas.addEventListener("pointercancel", undo);
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Delete" || event.key === "Backspace" || event.key === "Escape") clear();
    else if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo();
    else return;
    event.preventDefault();
  });
  paint(canvas, strokes);
  return { undo, clear };
}

export default function ({ data, parentElement, setTriggerValue }) {
  const canvas = parentElement.querySelector("canvas");
  canvas.tell = (drawing) => setTriggerValue("drawn", drawing);
  canvas.setAttribute("aria-label", data.label);
  canvas.pad ??= begin(canvas);
  for (const name of ["undo", "clear"]) {
    const button = parentElement.querySelector(`.draw-pad-${name}`);
    button.textContent = data[name];
    button.onclick = canvas.pad[name];
  }
}
