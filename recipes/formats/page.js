// The network is in the page: base64 of gzip, in elements that no browser reads as scripts.

const TOP = 5;
const facts = JSON.parse(byId("facts").textContent);
const run = { name: facts.name, one_label: facts.one_label };
const waiting = [];
let worker = null;
let working = false;

/** Takes what an element holds, as bytes, out of the page. */
async function unpacked(id) {
  const text = byId(id).textContent;
  byId(id).remove();
  const block = 1 << 22;  // a multiple of four letters
  const parts = [];
  for (let at = 0; at < text.length; at += block) {
    const letters = atob(text.slice(at, at + block));
    const bytes = new Uint8Array(letters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
    parts.push(bytes);
  }
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Gives the worker something, and waits for what it says. Throws an Error with its sentence. */
function told(message, moved = []) {
  return new Promise((done, failed) => {
    worker.onmessage = ({ data }) => (data?.error ? failed(new Error(data.error)) : done(data));
    worker.onerror = (event) => failed(new Error(event.message || "The network has stopped."));
    worker.postMessage(message, moved);
  });
}

async function start() {
  try {
    const [runtime, binary, network] = await Promise.all(["runtime", "binary", "network"].map(unpacked));
    const parts = [runtime, "\n", byId("worker").textContent];
    worker = new Worker(URL.createObjectURL(new Blob(parts, { type: "text/javascript" })));
    await told({ facts, binary, network }, [binary.buffer, network.buffer]);
  } catch (error) {
    byId("about").textContent = "";
    return say(`The network does not run in this browser (${error.message}): take a newer one, or one with more memory.`);
  }
  byId("about").textContent = `${facts.name}: ${named(facts.classes)}`;
  byId("asking").hidden = false;
  byId("sets").hidden = !facts.sets;
  await findCamera();
}

/** Puts pictures into the line, each with its place on the page. */
function take(files) {
  if (byId("asking").hidden) return;
  const coverage = byId("coverage").value;
  for (const file of [...files].filter((one) => one instanceof Blob)) {
    const name = file.name || UNNAMED;
    const side = element("div", {}, element("p", { className: "soft" }, "waits …"));
    placed(file, name, element("div", { className: "sides" }, side));
    waiting.push({ file, name, side, coverage });
  }
  if (!working) work();
}

async function work() {
  if (!waiting.length) return;
  working = true;
  while (waiting.length) await answer(waiting.shift());
  working = false;
  say(`${byId("answers").children.length} pictures answered.`.replace(/^1 pictures/, "1 picture"));
}

async function answer({ file, name, side, coverage }) {
  try {
    const found = await told({ file });
    side.replaceChildren(...shown(worded(found, facts.sets && coverage), run, coverage));
    if (found.heat) side.append(...explained(found));
  } catch (error) {
    side.replaceChildren(element("p", { className: "warn" }, `${name} ${error.message}`));
  }
}

/** Puts an answer into the words of `zoo predict`. */
function worded({ probabilities, score, notes }, coverage) {
  const order = [...probabilities.keys()].sort((one, other) => probabilities[other] - probabilities[one] || one - other);
  const ranked = order.slice(0, TOP).map((i) => ({ class: facts.classes[i], probability: probabilities[i] }));
  const over = [...probabilities.keys()].filter((i) => probabilities[i] > 0.5).map((i) => facts.classes[i]);
  const inside = coverage && facts.sets[coverage].map((limit, i) => limit === null || Math.fround(1 - probabilities[i]) <= limit);
  return {
    ranked,
    notes,
    prediction: over.join("; "),
    unknown: score !== null && facts.unknown_threshold !== null && score > facts.unknown_threshold,
    set: coverage ? order.filter((i) => inside[i]).map((i) => facts.classes[i]) : null,
  };
}

function explained({ probabilities, pixels, heat }) {
  const likeliest = probabilities.indexOf(Math.max(...probabilities));
  const words = described(heat);
  const canvas = overlay(pixels, heat);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Heat map: ${words}`);
  const figure = element("figure", { className: "heat" }, canvas, element("figcaption", {}, words));
  return [element("h3", {}, `Where ${facts.classes[likeliest]} is seen`), figure];
}

/** Marks the hottest fifth of a map; of equal places the first. */
function hottest(heat) {
  const count = Math.round(facts.hidden_share * heat.length);
  const limit = Float32Array.from(heat).sort()[heat.length - count];
  let equal = count - heat.reduce((sum, one) => sum + (one > limit), 0);
  return Uint8Array.from(heat, (one) => one > limit || (one === limit && equal-- > 0));
}

/** Grows a mask of `size` x `size` by so many pixels to all sides. */
function grown(mask, size, pixels) {
  const along = (from, step, stride) => {
    const found = new Uint8Array(from.length);
    for (let line = 0; line < size; line++) {
      for (let i = 0; i < size; i++) {
        const [first, last] = [Math.max(0, i - pixels), Math.min(size - 1, i + pixels)];
        for (let k = first; k <= last && !found[line * stride + i * step]; k++) found[line * stride + i * step] = from[line * stride + k * step];
      }
    }
    return found;
  };
  return along(along(mask, 1, size), size, 1);
}

/** Draws a map on its picture, which is grey below it, with a line around the hottest fifth, as reports do. */
function overlay(pixels, heat) {
  const { size, channels } = facts.framing;
  const factor = Math.ceil(facts.heat.min_pixels / size);
  const wide = size * factor;
  const most = heat.reduce((one, other) => Math.max(one, other));
  const source = (i) => Math.floor(Math.floor(i / wide) / factor) * size + Math.floor((i % wide) / factor);
  const large = Float32Array.from({ length: wide * wide }, (_, i) => heat[source(i)]);
  const mask = hottest(large);
  const [inner, outer] = [grown(mask, wide, 1), grown(mask, wide, 2)];
  const canvas = element("canvas", { width: wide, height: wide });
  const context = canvas.getContext("2d");
  const drawn = context.createImageData(wide, wide);
  for (let i = 0; i < large.length; i++) {
    const at = channels * source(i);
    const [red, green, blue] = [0, channels - 1 && 1, channels - 1].map((channel) => pixels[at + channel]);
    const gray = channels === 1 ? red : 0.299 * red + 0.587 * green + 0.114 * blue;
    const color = facts.heat.colors[Math.min(255, Math.floor((256 * Math.max(large[i], 0)) / most))];
    for (let channel = 0; channel < 3; channel++) {
      let value = most > 0 ? (1 - facts.heat.opacity) * gray + facts.heat.opacity * color[channel] : gray;
      if (most > 0 && outer[i] && !inner[i]) value = 0;
      if (most > 0 && inner[i] && !mask[i]) value = 255;
      drawn.data[4 * i + channel] = value;
    }
    drawn.data[4 * i + 3] = 255;
  }
  context.putImageData(drawn, 0, 0);
  return canvas;
}

/** Says where a map is hot and how narrowly. */
function described(heat) {
  const { size } = facts.framing;
  const peak = heat.reduce((best, one, i) => (one > heat[best] ? i : best), 0);
  if (!(heat[peak] > 0)) return "empty";
  const mask = hottest(heat);
  const sum = (is) => heat.reduce((total, one, i) => total + (is(i) ? Math.max(one, 0) : 0), 0);
  const third = (at) => Math.floor((3 * at) / size);
  const [row, column] = [["upper", "middle", "lower"][third(Math.floor(peak / size))], ["left", "middle", "right"][third(peak % size)]];
  const place = row === column ? "in the middle" : `at the ${row} ${column}`;
  return `hottest ${place}, its hottest fifth holding ${Math.round((100 * sum((i) => mask[i])) / sum(() => true))} % of the heat`;
}

start();
