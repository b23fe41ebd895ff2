const AT_ONCE = 2;
const TOP = 5;
let models = [];
let collects = false;
const waiting = [];
let working = 0;

async function start() {
  try {
    ({ models, collects } = await ask("/models"));
  } catch (error) {
    byId("served").textContent = error.status === 401 ? "" : error.message;
    byId("entrance").hidden = error.status !== 401;
    if (error.status === 401 && token) say("That is not the token.");
    return;
  }
  say("");
  byId("entrance").hidden = true;
  byId("asking").hidden = false;
  byId("served").textContent = models.map((one) => `${one.name}: ${named(one.classes)}`).join(" · ");
  byId("sets").hidden = !models.some((one) => one.sets);
  byId("runs").hidden = models.length < 2;
  for (const one of models) {
    const box = element("input", { type: "checkbox", checked: true, value: one.name });
    byId("runs").append(element("label", {}, box, one.name));
  }
  await findCamera();
}

function chosenRuns() {
  const chosen = [...byId("runs").querySelectorAll("input:checked")].map((box) => box.value);
  return models.filter((one) => chosen.includes(one.name));
}

/** Puts pictures into the line, each with its place on the page. */
function take(files) {
  const pictures = [...files].filter((file) => file instanceof Blob);
  if (!pictures.length) return;
  const coverage = byId("coverage").value;
  const runs = chosenRuns();
  if (!runs.length) return say("Choose a run.");
  for (const file of pictures) {
    const name = file.name || UNNAMED;
    const sides = element("div", { className: "sides" });
    placed(file, name, sides);
    for (const run of runs) {
      const side = element("div", {}, element("h3", {}, run.name), element("p", { className: "soft" }, "waits …"));
      sides.append(side);
      waiting.push({ file, name, run, side, coverage });
    }
  }
  for (let i = working; i < AT_ONCE; i++) work();
}

async function work() {
  working++;
  while (waiting.length) await answer(waiting.shift());
  working--;
  if (!working) say(`${byId("answers").children.length} pictures answered.`.replace(/^1 pictures/, "1 picture"));
}

function question(run, more) {
  return `/predict?${new URLSearchParams({ run: run.name, ...more })}`;
}

function body(job) {
  const form = new FormData();
  form.append("image", job.file, job.name);
  return { method: "POST", body: form };
}

async function answer(job) {
  const { run, side, coverage } = job;
  const title = side.firstChild;
  try {
    const more = { top: TOP, ...(coverage && run.sets ? { coverage } : {}) };
    const [found] = (await ask(question(run, more), body(job))).predictions;
    side.replaceChildren(title, ...shown(found, run, coverage));
    if (run.explains) side.append(explainer(job));
    if (collects) side.append(corrector(job));
  } catch (error) {
    side.replaceChildren(title, element("p", { className: "warn" }, error.message));
  }
}

/** Makes what says that a picture shows something else: the server keeps it, with its label. */
function corrector(job) {
  const { run } = job;
  const options = run.classes.map((name) => element("option", { value: name }, name));
  const select = element("select", { multiple: !run.one_label }, run.one_label ? element("option", { value: "" }, "…") : "", ...options);
  const button = element("button", { type: "button", disabled: run.one_label }, "Correct");
  const told = element("p", { className: "soft", role: "status" });
  select.addEventListener("change", () => (button.disabled = run.one_label && !select.value));
  button.addEventListener("click", async () => {
    const labels = [...select.selectedOptions].map((option) => ["label", option.value]);
    button.disabled = true;
    try {
      const kept = await ask(`/corrections?${new URLSearchParams([["run", run.name], ...labels])}`, body(job));
      told.textContent = `Kept, with its label: ${kept.labels.join(", ") || "none"}.`;
    } catch (error) {
      told.textContent = error.message;
      button.disabled = false;
    }
  });
  const label = element("label", {}, "It shows ", select);
  return element("div", { className: "correct" }, element("div", { className: "row" }, label, button), told);
}

/** Makes the button that asks where the class is seen, and which training pictures are like this one. */
function explainer(job) {
  const place = element("div", {});
  const button = element("button", { type: "button" }, job.run.nearest ? "Where, and what is like it?" : "Where?");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const [found] = (await ask(question(job.run, { explain: "true" }), body(job))).predictions;
      place.replaceChildren(...explained(found.explanation));
      button.remove();
      place.querySelector("h4").focus();
    } catch (error) {
      place.replaceChildren(button, element("p", { className: "warn" }, error.message));
      button.disabled = false;
    }
  });
  place.append(button);
  return place;
}

function explained(found) {
  const map = element("img", { src: found.map, alt: `Heat map: ${found.words}` });
  const heat = element("figure", { className: "heat" }, map, element("figcaption", {}, found.words));
  const parts = [element("h4", { tabIndex: -1 }, `Where ${found.class} is seen`), heat];
  if (found.check) parts.push(element("p", { className: "how" }, `Check: ${found.check}.`));
  if (found.nearest.length) {
    const near = found.nearest.map((one) => {
      const image = one.picture ? element("img", { src: one.picture, alt: "" }) : null;
      return element("li", {}, image, element("b", {}, one.label), element("span", { className: "path" }, one.file));
    });
    parts.push(element("h4", {}, "Training pictures like it"), element("ul", { className: "nearest" }, ...near));
  }
  return parts;
}

byId("entrance").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  start();
});

start();
