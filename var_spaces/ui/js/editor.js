/* Gradio's image editor, mended from outside.

   It shows where to hand a picture in before it can take one, and forgets what comes too early. Here that
   waits until the editor is ready.

   It hands its picture in anew, in three files, whenever gradio looks at it, which is dozens of times in a
   run. Here a file that is there already is not sent again. */

(() => {
  const KEPT = 12; // answers
  const AGE = 20 * 60_000; // milliseconds; the server keeps files for a day
  const sent = [];

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
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };

  async function hold(event) {
    const block = event.target.closest?.(".block:has(.pixi-target)");
    const files = [...(event.dataTransfer || event.target).files || []];
    if (!block || !files.length || varSpaces.takes(block)) return;
    event.stopPropagation();
    event.preventDefault();
    const input = () => varSpaces.takes(block) && block.querySelector("input[type=file]");
    const place = await varSpaces.there(() => input() || !block.isConnected);
    if (place !== true) varSpaces.handIn(place, files);
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
