// Reads pictures and asks the network, beside the page, which stays quick. Before this stand ONNX Runtime, as `ort`, and
// framing.js.

const MAX_MEGABYTES = 200;
const KINDS = "a JPEG, PNG, WebP, GIF, BMP or AVIF file";
const RED = 19595, GREEN = 38470, BLUE = 7471;
let session = null;
let facts = null;

const starts = (bytes, words, at = 0) => [...words].every((letter, i) => bytes[at + i] === letter.charCodeAt(0));
const isPng = (bytes) => starts(bytes, "\x89PNG\r\n");

/** Says, in words that follow its name, why a file cannot be read as the run reads it; "" if it can. */
function refusal(bytes) {
  if (!bytes.length) return "is empty.";
  if (starts(bytes, "II*\0") || starts(bytes, "MM\0*")) return "is a TIFF file, which browsers do not read: save it as PNG.";
  if (isPng(bytes) && bytes[24] === 16 && facts.framing.integer_range !== 65535) {
    return "has 16 bits a colour, of which this page cannot tell the range: give it to zoo predict, or save it in 8 bits.";
  }
  if (starts(bytes, "RIFF") && starts(bytes, "WEBP", 8) && liesOnItsSide(bytes)) {
    return "is a WebP that is to be turned by its EXIF data, which browsers do not do alike: turn it, and save it again.";
  }
  return "";
}

/** Finds the pieces of a PNG or a WebP: their four letters, and where their content begins and ends. */
function* pieces(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const png = isPng(bytes);
  for (let at = png ? 8 : 12; at + 8 <= bytes.length; ) {
    const length = view.getUint32(png ? at : at + 4, !png);
    yield { name: String.fromCharCode(...bytes.subarray(at + (png ? 4 : 0), at + (png ? 8 : 4))), start: at + 8, end: at + 8 + length };
    at += 8 + length + (png ? 4 : length % 2);
  }
}

/** Whether a WebP has an EXIF orientation other than upright. */
function liesOnItsSide(bytes) {
  const exif = [...pieces(bytes)].find((one) => one.name === "EXIF");
  if (!exif) return false;
  const start = exif.start + (starts(bytes, "Exif\0\0", exif.start) ? 6 : 0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = bytes[start] === 0x49;
  try {
    const table = start + view.getUint32(start + 4, little);
    for (let i = 0; i < view.getUint16(table, little); i++) {
      const entry = table + 2 + 12 * i;
      if (view.getUint16(entry, little) === 0x0112) return view.getUint16(entry + 8, little) > 1;
    }
  } catch {
    // EXIF data that end too early turn nothing
  }
  return false;
}

/** Decodes a file as the run does: upright, in sRGB, on white. Throws an Error with what is wrong with it. */
async function decoded(file) {
  if (file.size > 1e6 * MAX_MEGABYTES) throw new Error(`has ${Math.ceil(file.size / 1e6)} MB, more than the ${MAX_MEGABYTES} MB that fit in here.`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  const reason = refusal(bytes);
  if (reason) throw new Error(reason);
  // A PNG without a profile has the colours that its numbers say, whatever its gamma.
  const isPlain = isPng(bytes) && ![...pieces(bytes)].some((one) => one.name === "iCCP");
  const options = { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: isPlain ? "none" : "default" };
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob([bytes]), options);
  } catch {
    throw new Error(`is damaged, or no picture that this browser reads: choose ${KINDS}.`);
  }
  const { width, height } = bitmap;
  try {
    if (width * height > facts.max_pixels) {
      const numbers = [width * height, facts.max_pixels].map((one) => one.toLocaleString("en"));
      throw new Error(`has ${numbers[0]} pixels, more than the limit of ${numbers[1]}.`);
    }
    const context = new OffscreenCanvas(width, height).getContext("2d", { alpha: false, colorSpace: "srgb", willReadFrequently: true });
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, 0, 0);
    return { pixels: context.getImageData(0, 0, width, height).data, width, height };
  } finally {
    bitmap.close();
  }
}

/** Makes grey of red, green and blue, as Pillow does, in place: one value of every four. */
function grayed(pixels) {
  for (let i = 0; i < pixels.length; i += 4) {
    pixels[i] = (RED * pixels[i] + GREEN * pixels[i + 1] + BLUE * pixels[i + 2] + 0x8000) >> 16;
  }
}

async function answered(file) {
  const { framing } = facts;
  const picture = await decoded(file);
  if (framing.channels === 1) grayed(picture.pixels);
  const { pixels, notes } = framed(picture.pixels, 4, picture.width, picture.height, framing);
  const image = new ort.Tensor("float32", Float32Array.from(pixels), [1, framing.size, framing.size, framing.channels]);
  const found = await session.run({ image });
  const probabilities = found.probabilities.data;
  const score = found.unknown_score ? found.unknown_score.data[0] : null;
  return { probabilities, score, pixels, notes, heat: found.class_maps ? heat(found.class_maps, probabilities) : null };
}

/** Enlarges the map of the likeliest class to the picture. */
function heat({ data, dims: [, height, width, classes] }, probabilities) {
  const likeliest = probabilities.indexOf(probabilities.reduce((most, one) => Math.max(most, one)));
  const values = Float32Array.from({ length: height * width }, (_, i) => data[i * classes + likeliest]);
  return enlarged(values, height, width, facts.framing.size);
}

async function begin(given) {
  facts = given.facts;
  ort.env.wasm.wasmBinary = given.binary;
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  session = await ort.InferenceSession.create(given.network, { executionProviders: ["wasm"] });
}

self.addEventListener("message", async ({ data }) => {
  try {
    self.postMessage(data.file ? await answered(data.file) : await begin(data));
  } catch (error) {
    const words = error instanceof RangeError ? "is too large for the memory that this browser gives." : error.message;
    self.postMessage({ error: words || String(error) });
  }
});
