// Keys of classes, in the order of the buttons: all letters but those of u (undo), s (skip) and x (leave out).
const KEYS = "1234567890abcdefghijklmnopqrtvwyz";
const MOST_SUGGESTED = 10;
const AHEAD = 3;
let classes = [];
let oneLabel = true;
let shown = null;
let queue = [];
const trail = []; // numbers of the pictures that were shown, in order
let place = -1;
const done = []; // what was said, to be undone: the picture, and what was said of it before
const images = new Map(); // promises of addresses, by picture
let chosen = new Set();
let isBusy = false;

async function start() {
  let told;
  try {
    told = await ask("/queue");
  } catch (error) {
    byId("progress").textContent = error.status === 401 ? "" : error.message;
    byId("entrance").hidden = error.status !== 401;
    if (error.status === 401 && token) say("That is not the token.");
    return;
  }
  say("");
  byId("entrance").hidden = true;
  classes = told.classes;
  oneLabel = told.one_label;
  byId("search").hidden = classes.length <= KEYS.length;
  byId("every").replaceChildren(...classes.map((name) => element("option", { value: name })));
  drawTools();
  take(told);
  await forward();
}

function take(told) {
  queue = told.next;
  const { done: count, pictures, rate, learnt } = told.progress;
  const speed = rate ? ` · ${rate} a minute` : "";
  const order = learnt ? ` · the order has learnt from ${learnt} labels` : "";
  byId("progress").textContent = `${count} of ${pictures} done${speed}${order}`;
  Object.assign(byId("share"), { max: pictures, value: count, hidden: false });
}

/** Gives the address of a picture's image, which is asked for once. */
function image(number) {
  if (!images.has(number)) images.set(number, load(number));
  return images.get(number);
}

async function load(number) {
  const answer = await fetch(`/pictures/${number}/image`, { headers: token ? { Authorization: `Bearer ${token}` } : {} });
  if (answer.ok) return URL.createObjectURL(await answer.blob());
  throw new Error((await answer.json()).error);
}

/** Forgets the images of pictures that are neither shown nor next. */
function forget() {
  const kept = new Set([shown?.picture, ...queue.map((one) => one.picture)]);
  for (const [number, address] of images) {
    if (kept.has(number)) continue;
    images.delete(number);
    address.then((made) => URL.revokeObjectURL(made)).catch(() => {});
  }
}

async function show(one) {
  const hadFocus = byId("desk").contains(document.activeElement);
  shown = one;
  byId("desk").hidden = !one;
  byId("end").hidden = Boolean(one);
  if (!one) return;
  chosen = new Set(one.action ? one.labels : oneLabel ? [] : one.given.length ? one.given : likely(one));
  byId("name").textContent = one.path;
  byId("given").textContent = words(one);
  drawClasses();
  if (hadFocus) byId("name").focus({ preventScroll: true });
  const place = byId("image");
  try {
    const address = await image(one.picture);
    if (shown !== one) return;
    place.src = address;
    place.alt = `The picture ${one.path}`;
    place.hidden = false;
    byId("no-image").hidden = true;
  } catch (error) {
    if (shown !== one) return;
    place.hidden = true;
    byId("no-image").hidden = false;
    byId("no-image").textContent = error.message || "The server does not answer.";
  }
  forget();
  for (const next of queue.slice(0, AHEAD)) image(next.picture).catch(() => {});
}

function likely(one) {
  return one.ranked.filter((row) => row.probability > 0.5).map((row) => row.class);
}

function words(one) {
  const given = one.given.length ? `Its label is ${one.given.join(", ")}.` : "";
  if (one.action === "leave out") return `${given} It is left out.`;
  if (one.action) return `${given} You said ${one.labels.join(", ") || "none of them"}.`;
  return given;
}

function drawClasses() {
  const shares = new Map(shown.ranked.map((row) => [row.class, row.probability]));
  const own = shown.given.filter((name) => !classes.includes(name)); // labels that the run does not know can be agreed with
  const every = [...(classes.length <= KEYS.length ? classes : suggested()), ...own].slice(0, KEYS.length);
  const buttons = every.map((name, i) => {
    const share = shares.get(name);
    const number = element("span", { className: "number" }, share === undefined ? "" : share.toFixed(2));
    const button = element("button", { type: "button" }, element("kbd", {}, KEYS[i]), element("span", { className: "what" }, name), number);
    button.style.setProperty("--share", share || 0);
    button.classList.toggle("likely", name === shown.ranked[0].class);
    button.setAttribute("aria-pressed", chosen.has(name));
    button.setAttribute("aria-keyshortcuts", KEYS[i]);
    button.addEventListener("click", () => pick(name));
    return button;
  });
  byId("classes").replaceChildren(...buttons);
}

/** Lists the classes that may be meant, where there are too many for a button each. */
function suggested() {
  const ranked = shown.ranked.slice(0, MOST_SUGGESTED).map((row) => row.class);
  return [...new Set([...shown.given.filter((name) => classes.includes(name)), ...chosen, ...ranked])].slice(0, KEYS.length);
}

function drawTools() {
  const tools = [
    ["Enter", oneLabel ? "the likeliest" : "save", accept],
    ["x", "leave out", () => send("leave out")],
    ["s", "skip", () => send("skip")],
    ["u", "undo", undo],
    ["←", "back", back],
    ["→", "on", on],
  ];
  const buttons = tools.map(([key, text, act]) => {
    const button = element("button", { type: "button" }, element("kbd", {}, key), text);
    button.addEventListener("click", act);
    return button;
  });
  byId("tools").replaceChildren(...buttons);
}

function pick(name) {
  if (oneLabel) return send("label", [name]);
  if (!chosen.delete(name)) chosen.add(name);
  drawClasses();
}

function accept() {
  if (!shown) return;
  const agreed = shown.given.length === 1 ? shown.given[0] : shown.ranked[0].class;
  send("label", oneLabel ? [agreed] : [...chosen]);
}

/** Puts one thing down; the page says that it is saved when the server has it on its disk. */
async function post(picture, action, labels) {
  const body = JSON.stringify({ picture, action, labels });
  return ask("/labels", { method: "POST", headers: { "Content-Type": "application/json" }, body });
}

async function alone(work) {
  if (isBusy) return;
  isBusy = true;
  try {
    await work();
  } catch (error) {
    say(error.message);
  } finally {
    isBusy = false;
  }
}

function send(action, labels = []) {
  const one = shown;
  if (!one) return;
  return alone(async () => {
    const told = await post(one.picture, action, labels);
    done.push({ picture: one.picture, was: told.was });
    take(told);
    const what = action === "label" ? labels.join(", ") || "none of them" : action === "skip" ? "skipped" : "left out";
    say(action === "skip" ? `${one.path}: ${what}.` : `Saved: ${one.path}, ${what}.`);
    await forward();
  });
}

function undo() {
  return alone(async () => {
    const last = done.at(-1);
    if (!last) return say("There is nothing to undo.");
    take(await post(last.picture, last.was.action, last.was.labels));
    done.pop();
    const one = await ask(`/pictures/${last.picture}`);
    say(`Undone: ${one.path}.`);
    const known = trail.lastIndexOf(last.picture);
    place = known < 0 ? trail.push(last.picture) - 1 : known;
    await show(one);
  });
}

/** Shows what follows on the trail, or the next picture of the queue. */
async function forward() {
  if (place < trail.length - 1) {
    place++;
    return show(await ask(`/pictures/${trail[place]}`));
  }
  if (!queue.length) return show(null);
  place = trail.push(queue[0].picture) - 1;
  await show(queue[0]);
}

function back() {
  return alone(async () => {
    if (place < (shown ? 1 : 0)) return say("This is the first one.");
    if (shown) place--;
    await show(await ask(`/pictures/${trail[place]}`));
  });
}

function on() {
  return place < trail.length - 1 ? alone(forward) : send("skip");
}

byId("other").addEventListener("keydown", (event) => {
  const name = event.target.value.trim();
  if (event.key === "Escape") event.target.blur();
  if (event.key !== "Enter" || !name) return;
  if (!classes.includes(name)) return say(`${name} is no class.`);
  event.target.value = "";
  event.target.blur();
  pick(name);
});

const HANDLED = { Enter: accept, ArrowLeft: back, ArrowRight: on, u: undo, s: () => send("skip"), x: () => send("leave out") };
document.addEventListener("keydown", (event) => {
  const isElsewhere = event.target.matches("input") || (event.key === "Enter" && event.target.matches("button"));
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || isElsewhere || !shown && !["u", "ArrowLeft"].includes(event.key)) return;
  const button = [...byId("classes").children][KEYS.indexOf(event.key)];
  const act = HANDLED[event.key] || (button && (() => button.click()));
  if (!act) return;
  event.preventDefault();
  act();
});
byId("entrance").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  start();
});

start();
