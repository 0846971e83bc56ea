// Draws a Plotly figure into a node that stays: new data go through Plotly.react, which keeps zoom and selection.
const ADDRESS = new URL(`plotly/plotly.min.js?v=${"VERSION"}`, new URL("/", window.location.href)).href;

function library() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  window.condenserPlotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = ADDRESS;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error(`could not load ${ADDRESS}`));
    document.head.append(script);
  });
  return window.condenserPlotly;
}

const names = (points) => [...new Set(points.map((p) => (Array.isArray(p.customdata) ? p.customdata[0] : p.customdata)))]
  .filter((name) => typeof name === "string" && name);

const pictures = (Plotly, data) => ["png", "svg"].map((format) => ({
  name: format, title: data.pictures[format], icon: Plotly.Icons[format === "png" ? "camera" : "pencil"],
  click: (node) => Plotly.downloadImage(node, { format, scale: format === "png" ? 2 : 1, filename: data.file }),
}));

function configure(Plotly, data) {
  Plotly.register({ moduleType: "locale", name: data.language, dictionary: data.words, format: {} });
  const drag = ["zoom2d", "pan2d", ...(data.selectable ? ["select2d", "lasso2d"] : [])];
  return {
    responsive: true, displaylogo: false, scrollZoom: false, locale: data.language,
    modeBarButtons: [pictures(Plotly, data), drag, ["resetScale2d"]],
  };
}

function listen(node, tell) {
  node.on("plotly_click", (event) => tell(names(event.points), "toggle"));
  node.on("plotly_selected", (event) => event && event.points.length && tell(names(event.points), "replace"));
}

// A group with a name and a description: as an image it would hide its own buttons from assistive technology.
function describe(node, told, data) {
  told.id ||= `told-${crypto.randomUUID()}`;
  told.textContent = data.alt;
  node.setAttribute("aria-label", data.name);
  node.setAttribute("aria-describedby", told.id);
}

// Plotly's own buttons are links without an address: here they are buttons with a name, in reach of Tab and of Enter.
// The drawing itself is for eyes alone; the group around it says in words what is to be seen.
function expose(node) {
  for (const button of node.querySelectorAll(".modebar-btn:not([role=button])")) {
    button.setAttribute("role", "button");
    button.setAttribute("tabindex", "0");
    button.setAttribute("aria-label", button.dataset.title ?? "");
    button.querySelector("svg")?.setAttribute("aria-hidden", "true");
    button.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      button.click();
    });
  }
  for (const drawing of node.querySelectorAll(".main-svg:not([aria-hidden])")) drawing.setAttribute("aria-hidden", "true");
}

// Where a browser has no WebGL, Plotly covers the chart with English words and opens a foreign site at a click.
function withoutWebgl(node, words) {
  for (const told of node.querySelectorAll(".no-webgl:not(.live-plot-without)")) {
    told.classList.add("live-plot-without");
    told.parentElement.onclick = null;
    told.parentElement.style.background = "";
    for (const part of [told, told.firstElementChild]) part.removeAttribute("style");
    told.firstElementChild.textContent = words;
  }
}

// Says how new what is seen is, and how often it was brought up to date.
function shown(node, data) {
  node.dataset.newest = data.newest ?? "";
  node.dataset.drawn = Number(node.dataset.drawn ?? 0) + 1;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const node = parentElement.querySelector(".live-plot");
  node.style.height = `${data.figure.layout.height}px`;
  describe(node, parentElement.querySelector(".live-plot-told"), data);
  node.tell = (ids, how) => ids.length && setTriggerValue("picked", { ids, how });
  node.wanted = data;
  library().then((Plotly) => {
    if (node.wanted !== data) return undefined; // newer data came while the library loaded
    const drawing = JSON.stringify([data.figure, data.language]);
    if (node.drawing === drawing) return shown(node, data); // of several charts that come each second most are as before
    node.drawing = drawing;
    if (node.spoken !== data.language) { // one and the same object: for another one Plotly begins from nothing
      node.spoken = data.language;
      node.config = configure(Plotly, data);
    }
    return Plotly.react(node, data.figure.data, data.figure.layout, node.config).then(() => {
      if (!node.heard) {
        node.heard = true;
        node.on("plotly_afterplot", () => expose(node)); // a resize makes the buttons anew
        if (data.selectable) listen(node, (ids, how) => node.tell(ids, how));
      }
      expose(node);
      withoutWebgl(node, data.without_webgl);
      shown(node, data);
    });
  });
  return () => window.Plotly && node.isConnected === false && window.Plotly.purge(node);
}
