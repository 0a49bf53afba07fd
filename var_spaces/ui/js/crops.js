/* Squares of pictures: every picture is moved and enlarged behind a square window.

   The value is {pictures: [{src, width, height}], crops: [[across, down, zoom]]}, as own/pictures.py
   says; across and down go from 0 to 1. */

varSpaces.crops = (element, props, watch) => {
  const host = element.querySelector(".vs-crops");
  const within = (number, low, high) => Math.min(Math.max(number, low), high);
  let own = "";

  function set(number, crop) {
    const crops = props.value.crops.map((old, i) => (i === number ? crop : old));
    own = JSON.stringify({ ...props.value, crops });
    props.value = { ...props.value, crops };
  }

  function cut(picture, number) {
    const figure = document.createElement("figure");
    const frame = document.createElement("div");
    const image = document.createElement("img");
    const zoom = document.createElement("input");
    const short = Math.min(picture.width, picture.height);
    frame.tabIndex = 0;
    frame.setAttribute("role", "group");
    frame.setAttribute("aria-label", `What is used of picture ${number + 1}: drag it, or use arrow keys`);
    image.src = picture.src;
    image.alt = `Picture ${number + 1}`;
    image.draggable = false;
    Object.assign(zoom, { type: "range", min: 1, max: 4, step: 0.05, value: 1 });
    zoom.setAttribute("aria-label", `Enlarge picture ${number + 1}`);

    function place() {
      const [across, down, times] = props.value.crops[number];
      const [width, height] = [picture.width, picture.height].map((side) => (100 * times * side) / short);
      image.style.width = `${width}%`;
      image.style.left = `${across * (100 - width)}%`;
      image.style.top = `${down * (100 - height)}%`;
      zoom.value = times;
    }

    function move(right, below) {
      const [across, down, times] = props.value.crops[number];
      const side = frame.clientWidth;
      const room = [picture.width, picture.height].map((length) => (side * times * length) / short - side);
      const next = [across, down].map((at, i) => (room[i] > 1 ? within(at - [right, below][i] / room[i], 0, 1) : at));
      set(number, [...next, times]);
      place();
    }

    zoom.addEventListener("input", () => {
      const [across, down] = props.value.crops[number];
      set(number, [across, down, Number(zoom.value)]);
      place();
    });
    frame.addEventListener("pointerdown", (event) => {
      frame.setPointerCapture(event.pointerId);
      event.preventDefault();
      frame.focus();
    });
    frame.addEventListener("pointermove", (event) => {
      if (frame.hasPointerCapture(event.pointerId)) move(event.movementX, event.movementY);
    });
    frame.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [8, 0], ArrowRight: [-8, 0], ArrowUp: [0, 8], ArrowDown: [0, -8] };
      if (!steps[event.key]) return;
      event.preventDefault();
      move(...steps[event.key]);
    });
    frame.append(image);
    figure.append(frame, zoom);
    place();
    return figure;
  }

  function draw() {
    const figures = (props.value?.pictures || []).map(cut);
    const said = document.createElement("p");
    said.textContent = "Only what you see here is used: drag a picture to move it, the slider to cut closer.";
    host.replaceChildren(...figures, ...(figures.length ? [said] : []));
  }

  watch("value", () => {
    const now = JSON.stringify(props.value);
    if (now === own) return;
    own = now;
    draw();
  });
  draw();
};
