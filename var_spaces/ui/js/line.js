/* Runs that a visitor lines up in a tab. They wait here, in the browser, and go to the server one at a
   time: so everybody takes turns there, however many runs one visitor wants. A run is what the form
   said when it was asked for (ui/queue/lined_up.py).

   Times are measured: seconds per picture of a model from the turn of a run to its end, waiting for
   others included, so they hold as long as as many others draw as before. */

(() => {
  const MOST = 12; // runs that wait in a tab, and pictures of finished ones
  const lines = new Map();
  const pace = new Map(); // seconds per picture of a model, "" of the last one

  const line = (tab) => {
    if (!lines.has(tab)) lines.set(tab, { tab, waiting: [], active: null, done: [], said: "", draw() {} });
    return lines.get(tab);
  };

  /* Values as they are now: what a form does to its own later is nothing to a run that waits. */
  function copy(value) {
    if (Array.isArray(value)) return value.map(copy);
    if (!value || typeof value !== "object" || value instanceof Blob) return value;
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, copy(part)]));
  }

  const text = (values) =>
    JSON.stringify(values, (key, value) => (value instanceof Blob ? [value.type, value.size] : value));

  /* What is asked for in the form, in the words of the form. */
  function words(tab) {
    const fields = `[id^="${tab}-inputs-"] :is(input:not([type=file], [type=checkbox], [type=range]), textarea), #${tab}-prompt textarea`;
    const said = [...document.querySelectorAll(fields)].filter((field) => field.offsetParent !== null);
    return said.map((field) => field.value.trim()).filter(Boolean).join(" · ").slice(0, 60);
  }

  const job = (values, at, words) => ({
    values, words, text: text(values), seed: String(values[at.seed] ?? ""),
    model: String(values[at.model] ?? ""), pictures: Number(values[at.count]) || 1, at,
  });

  /* Somebody pressed the button. `at` says where in the values seed, model, count and first stand. */
  const join = (tab, at, values) => add(line(tab), [job(copy(values), at, words(tab))]);

  /* What was drawn last, with the next seeds, a picture each. */
  function vary(tab, count) {
    const own = line(tab);
    if (!own.last) return;
    const { values, at, words } = own.last;
    const next = (number) => ({ seed: String(BigInt(own.last.seed) + BigInt(number)), count: 1, first: 0 });
    const jobs = Array.from({ length: count }, (_, number) => {
      const changed = values.slice();
      for (const [name, value] of Object.entries(next(number + 1)))
        if (name in at) changed[at[name]] = value;
      return job(changed, at, words);
    });
    add(own, jobs);
  }

  function add(own, jobs) {
    if (!own.active && !own.waiting.length) own.done = [];
    own.said = "";
    for (const one of jobs) {
      if ([own.active, ...own.waiting].some((other) => other?.text === one.text)) {
        own.said = "This run is in the line already.";
      } else if (own.waiting.length >= MOST) {
        own.said = "The line is full: wait for a run, or take one out.";
      } else own.waiting.push(one);
    }
    own.held = false;
    varSpaces.bring(`${own.tab}-status`);
    next(own);
  }

  function next(own) {
    if (!own.active && !own.held && own.waiting.length) {
      const job = (own.active = own.waiting.shift());
      job.since = performance.now();
      // not inside an event of the run before
      job.timer = setTimeout(() => {
        job.timer = null;
        document.getElementById(`${own.tab}-next`).click();
      });
    }
    own.draw();
  }

  /* What the run that goes to the server now is asked with. */
  function take(tab, values) {
    const { active } = line(tab);
    if (active) active.started = true;
    if (active?.unwanted) setTimeout(() => document.getElementById(`${tab}-stop`).click());
    return active?.values ?? values;
  }

  /* Somebody pressed Stop: the run has ended when gradio has let go of it and the page has said so. Between
     two runs the next one is meant: it goes, or is stopped as soon as it starts. */
  function stopping(tab) {
    const own = line(tab);
    const job = own.active;
    own.awaited = job?.started ? new Set(["end", "word"]) : null;
    if (!job || job.started) return;
    if (job.timer === null) job.unwanted = true;
    else {
      clearTimeout(job.timer);
      own.active = null;
      own.held = own.waiting.length > 0;
      own.said = "Stopped before it began.";
      own.draw();
    }
  }

  /* A run has ended: drawn, refused or stopped. Gradio says twice that it has let go of one. */
  function ended(tab, how) {
    const own = line(tab);
    const job = own.active;
    if (!job?.started || (how === "stopped" && !own.awaited)) return;
    if (own.awaited) {
      own.awaited.delete(how === "stopped" ? "word" : "end");
      if (own.awaited.size) return;
      own.awaited = null;
      how = "stopped";
    }
    own.active = null;
    own.said = ""; // it was about a line that is another now
    if (how === "done") {
      own.last = job;
      const rate = (performance.now() - job.since) / 1000 / job.pictures;
      pace.set(job.model, rate).set("", rate);
      const stage = document.querySelector(`#${tab}-stage`);
      const picture = stage?.querySelector(".vs-picture, .vs-slider img + img");
      if (picture) {
        const run = stage.querySelector(".vs-next")?.dataset.run || "";
        own.done.push({ src: picture.src, alt: picture.alt, run });
        own.done = own.done.slice(-MOST);
      }
    }
    // gradio may still tell of the run that was stopped or refused: the next one waits for a word
    own.held = how !== "done" && own.waiting.length > 0;
    next(own);
  }

  /* Seconds until a run of the line is done, and all before it; null while nothing was measured. */
  function left(own) {
    const seconds = (job) => pace.get(job.model) ?? pace.get("");
    let sum = 0;
    return [own.active, ...own.waiting].filter(Boolean).map((job) => {
      let time = seconds(job) === undefined ? progress(own) : seconds(job) * job.pictures;
      if (job === own.active && time !== null) time -= (performance.now() - job.since) / 1000;
      sum = sum === null || time === null ? null : sum + Math.max(time, 0);
      return sum;
    });
  }

  /* Seconds that the active run takes, told from how far it is. */
  function progress(own) {
    const bar = document.querySelector(`#${own.tab}-status .vs-bar i`);
    const share = own.active ? parseFloat(bar?.style.width) / 100 : 0;
    return share > 0 ? (performance.now() - own.active.since) / 1000 / share : null;
  }

  const made = (tag, text = "", more = {}) => Object.assign(document.createElement(tag), { textContent: text }, more);

  function entry(own, job, number, seconds) {
    const item = made("li");
    const place = job === own.active ? "now" : `place ${number}`;
    const time = seconds === null ? "time not known yet" : `done in about ${Math.max(1, Math.round(seconds))} s`;
    item.append(made("b", place), made("span", job.words), made("span", `seed ${job.seed}`), made("span", time));
    if (job !== own.active) {
      const out = made("button", "×", { type: "button", title: "Take out of the line" });
      out.setAttribute("aria-label", "Take out of the line");
      out.addEventListener("click", () => {
        own.waiting = own.waiting.filter((other) => other !== job);
        own.draw();
      });
      item.append(out);
    }
    return item;
  }

  function finished(picture) {
    const item = made("li");
    const button = made("button", "", { type: "button", className: "vs-open", title: "Enlarge" });
    const image = made("img", "", { src: picture.src, alt: picture.alt, className: "vs-picture vs-crisp" });
    image.dataset.run = picture.run;
    button.append(image);
    item.append(button);
    return item;
  }

  /* The line of a tab, as long as there is more than the one run that everybody sees. */
  function show(element, tab) {
    const own = line(tab);
    element.innerHTML = '<p role="status"></p><ol class="vs-waiting"></ol><ol class="vs-drawn" aria-label="Drawn from the line"></ol>';
    const [said, waiting, drawn] = element.children;
    const on = made("button", "Go on with the others", { type: "button" });
    on.addEventListener("click", () => {
      own.held = false;
      next(own);
    });
    element.append(on, varSpaces.term("line"));
    own.draw = () => {
      const times = left(own);
      const jobs = [own.active, ...own.waiting].filter(Boolean);
      const several = own.waiting.length > 0 || own.done.length > 1 || (own.done.length > 0 && own.active);
      said.textContent = own.said;
      waiting.replaceChildren(...(own.waiting.length ? jobs.map((job, at) => entry(own, job, at + 1, times[at])) : []));
      drawn.replaceChildren(...(several ? own.done.map(finished) : []));
      on.hidden = !own.held;
      element.hidden = !several && !own.said;
      clearTimeout(own.clock);
      if (own.waiting.length && element.isConnected) own.clock = setTimeout(own.draw, 1000);
    };
    own.draw();
  }

  document.addEventListener("click", (event) => {
    const more = event.target.closest("[data-more]");
    if (more) vary(more.closest("[id$=-stage]").id.replace(/-stage$/, ""), Number(more.dataset.more));
  });

  varSpaces.line = { join, take, ended, stopping, show };
})();
