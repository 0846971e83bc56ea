// Scrolls to the element of a container's key as soon as it is drawn, once for each key, and gives it the focus, so that
// keys and a screen reader go on from there.
const brought = new WeakMap();
const LONGEST = 5000; // milliseconds to wait for it

export default function ({ data, parentElement }) {
  if (brought.get(parentElement) === data.key) return;
  brought.set(parentElement, data.key);
  const until = performance.now() + LONGEST;
  const look = () => {
    const found = document.querySelector(`.st-key-${CSS.escape(data.key)}`);
    if (!found) {
      if (performance.now() < until) requestAnimationFrame(look);
      return;
    }
    found.tabIndex = -1;
    found.scrollIntoView({ block: "center" });
    found.focus({ preventScroll: true });
  };
  look();
}
