/* Gradio's image editor, mended from outside.

   It shows where to hand a picture in before it can take one, and forgets what comes too early. Here that
   waits until the editor is ready.

   It writes its picture as PNGs dozens of times in a run, while nothing else moves: a photograph would hold
   the page up for minutes, and no server takes so large a PNG. Here it gets no more pixels than `varSpaces.mostPixels`.

   It hands its picture in anew, in three files, whenever gradio looks at it, which is dozens of times in a
   run. Here a file that is there already is not sent again. */

(() => {
  const KEPT = 12; // answers
  const AGE = 20 * 60_000; // milliseconds; the server keeps files for a day
  const sent = [];
  const ours = new WeakSet(); // events

  /* Resolves with what `find` finds, as soon as it finds it. */
  varSpaces.there = (find) =>
    new Promise((resolve) => {
      const look = () => {
        const found = find();
        if (found) resolve(found);
        else setTimeout(look, 50);
      };
      look();
    });

  /* Whether a block takes pictures: an editor does when it has its tools. */
  varSpaces.takes = (block) => !block.querySelector(".pixi-target") || !!block.querySelector(".toolbar-wrap");

  varSpaces.handIn = (input, files) => {
    const held = new DataTransfer();
    for (const file of files) held.items.add(file);
    input.files = held.files;
    const event = new Event("change", { bubbles: true });
    ours.add(event);
    input.dispatchEvent(event);
  };

  /* The same picture, with fewer pixels if it has too many; null for what is no picture, of which an editor
     says nothing. */
  async function smaller(file) {
    const picture = await createImageBitmap(file).catch(() => null); // upright
    if (!picture) return null;
    const share = Math.sqrt(varSpaces.mostPixels / (picture.width * picture.height));
    if (share >= 1) return file;
    const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.floor(side * share)));
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const drawn = canvas.getContext("2d");
    drawn.imageSmoothingQuality = "high";
    drawn.drawImage(picture, 0, 0, width, height);
    const png = await new Promise((made) => canvas.toBlob(made));
    return new File([png], file.name.replace(/\.\w*$/, "") + ".png", { type: "image/png" });
  }

  function tell(block, said) {
    block.querySelector(":scope > .vs-unread")?.remove();
    if (!said) return;
    const note = document.createElement("p");
    note.className = "vs-note vs-unread";
    note.setAttribute("role", "alert");
    note.textContent = said;
    block.prepend(note);
  }

  async function hold(event) {
    const block = event.target.closest?.(".block:has(.pixi-target)");
    const files = [...(event.dataTransfer || event.target).files || []];
    if (!block || !files.length || ours.has(event)) return;
    event.stopPropagation();
    event.preventDefault();
    if (event.type === "drop") event.target.dispatchEvent(new DragEvent("dragleave", { bubbles: true }));
    const fit = await Promise.all(files.map(smaller));
    const isRead = !fit.includes(null);
    tell(block, isRead ? "" : "The picture cannot be read: hand in a whole PNG, JPEG or WebP file.");
    if (!isRead) return;
    const input = () => varSpaces.takes(block) && block.querySelector("input[type=file]");
    const place = await varSpaces.there(() => input() || !block.isConnected);
    if (place !== true) varSpaces.handIn(place, fit);
  }
  for (const type of ["change", "drop"]) document.addEventListener(type, hold, true);

  const equal = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

  /* The file of an upload that is nothing else. */
  function upload(input, init) {
    const body = init?.body;
    if (!(body instanceof FormData) || !/\/gradio_api\/upload$/.test(String(input))) return null;
    const [file, ...others] = body.getAll("files");
    return file instanceof File && !others.length ? file : null;
  }

  async function once(file, send) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const now = performance.now();
    let known = sent.find((one) => one.name === file.name && now - one.since < AGE && equal(one.bytes, bytes));
    if (!known) {
      known = { name: file.name, since: now, bytes, answer: send() };
      sent.unshift(known);
      sent.length = Math.min(sent.length, KEPT);
    }
    const forget = () => sent.includes(known) && sent.splice(sent.indexOf(known), 1);
    try {
      const answer = await known.answer;
      if (!answer.ok) forget();
      return answer.clone();
    } catch (error) {
      forget();
      throw error;
    }
  }

  varSpaces.between((input, init, send) => {
    const file = upload(input, init);
    return file ? once(file, send) : send();
  });
})();
