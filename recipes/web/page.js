"use strict";
// Nothing that comes from a server or a file is ever read as HTML: everything becomes text nodes.

const MAX_SHOWN = 100;
const MAX_TRIES = 20;
const AT_ONCE = 2;
const TOP = 5;
const byId = (id) => document.getElementById(id);
const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
let models = [];
let token = "";
const waiting = [];
let working = 0;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

function say(text) {
  byId("said").textContent = text;
}

/** Asks the server; waits and asks again where it says that it is busy. Throws an Error with its sentence. */
async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}), ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  for (let tries = 1; ; tries++) {
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch {
      throw new Error("The server does not answer.");
    }
    if (answer.status === 503 && tries < MAX_TRIES) {
      await pause(Number(answer.headers.get("Retry-After")) || 1);
      continue;
    }
    const value = await answer.json().catch(() => ({ error: `The server answered with status ${answer.status}.` }));
    if (answer.ok) return value;
    throw Object.assign(new Error(value.error), { status: answer.status });
  }
}

async function start() {
  try {
    models = (await ask("/models")).models;
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
  const devices = navigator.mediaDevices;
  byId("no-camera").hidden = Boolean(devices);
  const found = devices ? await devices.enumerateDevices().catch(() => []) : [];
  byId("camera").hidden = !found.some((one) => one.kind === "videoinput");
}

function named(classes) {
  const most = 6;
  return classes.slice(0, most).join(", ") + (classes.length > most ? ` and ${classes.length - most} more` : "");
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
    const name = file.name || "pasted picture";
    const image = element("img", { src: URL.createObjectURL(file), alt: `The picture ${name}` });
    image.addEventListener("error", () => image.replaceWith(element("p", { className: "soft" }, "No preview in this browser.")));
    const sides = element("div", { className: "sides" });
    byId("answers").prepend(element("article", {}, element("h2", {}, name), image, sides));
    for (const run of runs) {
      const side = element("div", {}, element("h3", {}, run.name), element("p", { className: "soft" }, "waits …"));
      sides.append(side);
      waiting.push({ file, name, run, side, coverage });
    }
  }
  while (byId("answers").children.length > MAX_SHOWN) {
    const last = byId("answers").lastElementChild;
    const image = last.querySelector(":scope > img");
    if (image) URL.revokeObjectURL(image.src);
    last.remove();
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
  } catch (error) {
    side.replaceChildren(title, element("p", { className: "warn" }, error.message));
  }
}

function shown(found, run, coverage) {
  const parts = [];
  if (found.unknown) {
    parts.push(element("p", {}, element("span", { className: "badge" }, "unknown"), " It is like none of the training pictures."));
  }
  const rows = found.ranked.map((one) => {
    const bar = element("span", { className: "bar" });
    bar.style.setProperty("--share", one.probability);
    const number = element("td", { className: "number" }, one.probability.toFixed(4));
    return element("tr", {}, element("th", { scope: "row" }, one.class), number, element("td", { className: "scale" }, bar));
  });
  const caption = element("caption", { className: "unseen" }, `What ${run.name} sees`);
  const heads = ["class", "probability", "bar"].map((text) => element("th", { scope: "col" }, text));
  const head = element("thead", { className: "unseen" }, element("tr", {}, ...heads));
  parts.push(element("table", {}, caption, head, element("tbody", {}, ...rows)));
  if (!run.one_label) parts.push(element("p", {}, `Labels over one half: ${found.prediction || "none"}.`));
  if (found.set) {
    const share = Math.round(100 * coverage);
    const what = run.one_label ? `Right in ${share} % of pictures: one of` : `On average ${share} % of a picture's labels are among`;
    parts.push(element("p", {}, `${what} {${found.set.join(", ")}}`));
  }
  if (found.notes.length) parts.push(element("p", { className: "soft" }, `Note: the picture ${found.notes.join("; ")}.`));
  return parts;
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

async function openCamera() {
  try {
    byId("video").srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    await byId("video").play();
  } catch (error) {
    const isAway = error.name === "NotFoundError";
    return say(isAway ? "There is no camera any more." : "The camera cannot be used: allow it for this page, and close what else uses it.");
  }
  byId("shooting").hidden = false;
  byId("shoot").focus();
}

function closeCamera() {
  for (const track of byId("video").srcObject?.getTracks() || []) track.stop();
  byId("video").srcObject = null;
  byId("shooting").hidden = true;
  byId("camera").focus();
}

function shoot() {
  const video = byId("video");
  const canvas = element("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => blob && take([new File([blob], "camera.png", { type: "image/png" })]), "image/png");
}

byId("files").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = "";
});
byId("camera").addEventListener("click", openCamera);
byId("stop").addEventListener("click", closeCamera);
byId("shoot").addEventListener("click", shoot);
byId("entrance").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  start();
});
document.addEventListener("paste", (event) => take(event.clipboardData?.files || []));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  byId("zone").classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) byId("zone").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  byId("zone").classList.remove("over");
  if (!byId("asking").hidden) take(event.dataTransfer?.files || []);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !byId("shooting").hidden) closeCamera();
});

// The token comes behind the sign #, which no browser sends to a server; it does not stay in the address.
if (location.hash.length > 1) {
  token = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
}
start();
