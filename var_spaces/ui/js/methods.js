/* The methods of a form: which one of each kind, and its parameters. Controls exist for the chosen
   methods only. `varSpaces.schema` says what there is; it is written by ui/form/schema.py.

   The value is {kind: {name, parameter: value, ...}, ..., names: {kind: [names that can be chosen]}}. */

varSpaces.methods = (element, props, watch, trigger, prefix, sections) => {
  const schema = varSpaces.schema;
  const host = element.querySelector(".vs-methods");
  const edited = {}; // what was set of methods that are not chosen now
  let own = "";

  const tag = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes))
      if (value === true) made.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
    made.append(...children.filter((child) => child !== null));
    return made;
  };
  const id = (...parts) => [prefix, ...parts].join("-").replaceAll(".", "-");
  const value = () => props.value || {};
  const method = (kind, name) => schema[kind].methods.find((found) => found.name === name);

  function set(kind, chosen) {
    const next = { ...value(), [kind]: chosen };
    edited[`${kind}.${chosen.name}`] = chosen;
    own = JSON.stringify(next);
    props.value = next;
  }

  function usual(kind, name) {
    const known = edited[`${kind}.${name}`];
    if (known) return known;
    const chosen = { name };
    for (const field of method(kind, name)?.fields || []) chosen[field.name] = field.default;
    return chosen;
  }

  function control(kind, name, field) {
    const label = id(kind, name, field.name);
    const now = value()[kind][field.name] ?? null;
    const change = (given) => set(kind, { ...value()[kind], [field.name]: given });
    const common = { id: `${label}-input`, "aria-describedby": field.help ? `${label}-help` : null };
    let inputs;
    if (field.kind === "switch") {
      const box = tag("input", { ...common, type: "checkbox" });
      box.checked = Boolean(now);
      box.addEventListener("input", () => change(box.checked));
      inputs = [box];
    } else if (field.kind === "choice") {
      inputs = [select(common, field.choices.map((choice) => [choice, choice]), now, change)];
    } else if (field.kind === "text") {
      const text = tag("input", { ...common, type: "text", placeholder: field.free || null });
      text.value = now ?? "";
      text.addEventListener("input", () => change(text.value));
      inputs = [text];
    } else inputs = numbers(field, common, now, change);
    const parts = [named({ for: common.id }, field.label, field.term), tag("span", {}, ...inputs)];
    if (field.help) parts.push(tag("small", { id: `${label}-help` }, field.help));
    return tag("div", { id: label, class: "vs-parameter", "data-kind": field.kind }, ...parts);
  }

  /* A label, and what its words mean. */
  function named(attributes, text, term) {
    return tag("div", {}, tag("label", attributes, text), varSpaces.term(term));
  }

  /* A number to type and, where the range is small enough, the same number to drag. */
  function numbers(field, common, now, change) {
    const limits = { min: field.low, max: field.high, step: field.step };
    const box = tag("input", { ...common, ...limits, type: "number" });
    const drag =
      field.kind === "slider" ? tag("input", { ...limits, type: "range", "aria-label": field.label }) : null;
    const show = (given) => [box, drag].filter(Boolean).forEach((input) => (input.value = given ?? ""));
    show(now);
    for (const input of [box, drag].filter(Boolean))
      input.addEventListener("input", () => {
        if (input === drag) box.value = drag.value;
        else if (drag) drag.value = box.value;
        change(input.value === "" ? null : Number(input.value));
      });
    return [drag, box].filter(Boolean);
  }

  function select(common, choices, now, change) {
    const made = tag("select", common);
    for (const [shown, name] of choices) made.append(tag("option", { value: name }, shown));
    made.value = now;
    made.addEventListener("input", () => change(made.value));
    return made;
  }

  function part(kind) {
    const box = tag("div", { class: "vs-kind", "data-kind": kind });
    const names = value().names?.[kind] || [];
    const chosen = value()[kind]?.name;
    const found = chosen && method(kind, chosen);
    if (names.length > 1 || (found && !names.includes(chosen))) {
      const choices = [...new Set([...names, chosen])].map((name) => [method(kind, name)?.title || name, name]);
      const change = (name) => {
        set(kind, usual(kind, name));
        trigger("select", { kind, name });
        const fresh = part(kind);
        box.replaceWith(fresh);
        fresh.querySelector("select")?.focus();
      };
      const label = named({ for: `${id(kind)}-input` }, schema[kind].label, kind);
      const list = select({ id: `${id(kind)}-input` }, choices, chosen, change);
      box.append(tag("div", { id: id(kind), class: "vs-parameter" }, label, tag("span", {}, list)));
    }
    if (found) {
      if (names.length > 1) {
        const note = tag("p", { class: "vs-note" }, found.note + " ");
        if (found.paper)
          note.append(tag("a", { href: found.paper, target: "_blank", rel: "noopener" }, schema.paper));
        box.append(note);
      }
      box.append(...found.fields.map((field) => control(kind, chosen, field)));
    }
    return box;
  }

  function draw() {
    const open = [...host.querySelectorAll("details")].map((section) => section.open);
    const made = sections.map(([title, kinds, isOpen], number) => {
      const parts = kinds.map(part);
      if (!parts.some((found) => found.childElementCount)) return null;
      if (!title) return tag("div", {}, ...parts);
      const section = tag("details", { open: open[number] ?? isOpen }, tag("summary", {}, title));
      section.append(...parts);
      return section;
    });
    host.replaceChildren(...made.filter(Boolean));
  }

  watch("value", () => {
    const now = JSON.stringify(value());
    if (now === own) return;
    own = now;
    for (const key of Object.keys(edited)) delete edited[key];
    draw();
  });
  own = JSON.stringify(value());
  draw();
};
