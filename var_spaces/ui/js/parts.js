/* A view in parts: the server sends what changed of its value, this puts it into the page.

   A part of the value is HTML for the element [data-part=its name], or a list of HTML for the children
   of that element. Elements that do not change stay what they are, with focus and scrolling. */

varSpaces.parts = (element, props, watch, trigger) => {
  const shown = new Map();

  function put(place, html) {
    if (!place || shown.get(place) === html) return;
    shown.set(place, html);
    place.innerHTML = html;
    place.hidden = html === "";
  }

  function list(place, items) {
    while (place.children.length > items.length) place.lastElementChild.remove();
    while (place.children.length < items.length) place.append(document.createElement("li"));
    items.forEach(([state, html], number) => {
      const child = place.children[number];
      child.className = "vs-frame";
      child.dataset.state = state;
      put(child, html);
    });
  }

  function draw() {
    // what the browser knows of itself is done when the new parts are there
    queueMicrotask(() => {
      const next = element.querySelector(".vs-next");
      if (next) varSpaces.fitting(next, next.dataset.run);
    });
    for (const [name, part] of Object.entries(props.value || {})) {
      const place = element.querySelector(`[data-part="${name}"]`);
      if (!place) continue;
      if (Array.isArray(part)) list(place, part);
      else if (part && typeof part === "object") {
        for (const [key, text] of Object.entries(part)) place.setAttribute(key, text);
      } else put(place, part ?? "");
    }
  }

  element.addEventListener("input", (event) => {
    const box = event.target.closest(".vs-slider, .vs-laid");
    if (box) box.style.setProperty(event.target.dataset.sets || "--at", event.target.value + "%");
  });
  element.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const text = button.parentElement.querySelector("code").textContent;
    if (await varSpaces.toClipboard(text)) varSpaces.say(button, button.dataset.copy);
  });
  watch("value", draw);
  draw();
};
