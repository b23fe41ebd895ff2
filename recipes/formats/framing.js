// What Pillow does to a picture on its way into the network, to the bit: resizing in whole numbers, 22 binary digits of which
// are behind the point, rounded after each of two passes (libImaging/Resample.c), and the middle cut out.

const ONE = 1 << 22;
const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
// How far a filter reaches, and what it gives at a distance.
const FILTERS = {
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  bicubic: [2, cubic],
  lanczos: [3, (x) => (-3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0)],
};

function cubic(x) {
  const a = -0.5;
  x = Math.abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/** Rounds as Python does: halves to the even number. */
function rounded(x) {
  const down = Math.floor(x);
  return x - down === 0.5 ? down + (down % 2) : Math.round(x);
}

/** What each pixel of a resized line is made of: the first old pixel, and weights of it and those behind, which sum to 1. */
function weights(old, resized, interpolation, from = 0, count = resized) {
  const [reach, filter] = FILTERS[interpolation];
  const scale = old / resized;
  const wide = Math.max(scale, 1);
  return Array.from({ length: count }, (_, i) => {
    const center = (from + i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach * wide + 0.5));
    const last = Math.min(old, Math.trunc(center + reach * wide + 0.5));
    const found = Float64Array.from({ length: last - first }, (_, k) => filter((k + first - center + 0.5) * (1 / wide)));
    const total = found.reduce((sum, one) => sum + one, 0);
    return { first, values: total ? found.map((one) => one / total) : found };
  });
}

/** Makes whole numbers of weights, in one array: those of pixel `i` stand from `starts[i]` to before `starts[i + 1]`. */
function whole(parts) {
  const starts = [0];
  for (const { values } of parts) starts.push(starts[starts.length - 1] + values.length);
  const digits = Int32Array.from(parts.flatMap(({ values }) => [...values]), (one) => Math.trunc(one * ONE + (one < 0 ? -0.5 : 0.5)));
  const firsts = parts.map((one) => one.first);
  const last = Math.max(...firsts.map((first, i) => first + starts[i + 1] - starts[i]));
  return { firsts: Int32Array.from(firsts), starts: Int32Array.from(starts), digits, ends: [Math.min(...firsts), last] };
}

/** Says how a side is used and resized: pixels kept, of those cut off in front, pixels afterwards, the first of the middle. */
function side(length, short, framing) {
  const cut = Math.floor(Math.max(length - framing.max_aspect * short, 0) / 2);
  const kept = length - 2 * cut;
  const resized = Math.max(framing.resize, rounded((kept * framing.resize) / short));
  return { cut, kept, resized, first: Math.floor((resized - framing.size) / 2) };
}

/**
 * Resizes lines of pixels into others; `step` is from pixel to pixel of a line, `stride` from line to line.
 * `from` and `to` are { pixels, start, step, stride }; the lines from `first` to before `last` are resized.
 */
function pass(from, to, { firsts, starts, digits }, channels, [first, last]) {
  const { pixels: old, step } = from;
  const made = to.pixels;
  for (let line = first; line < last; line++) {
    for (let i = 0; i < firsts.length; i++) {
      const end = starts[i + 1];
      const source = from.start + line * from.stride + firsts[i] * step;
      const target = to.start + line * to.stride + i * to.step;
      for (let channel = 0; channel < channels; channel++) {
        let sum = ONE >> 1;
        for (let k = starts[i], place = source + channel; k < end; k++, place += step) sum = (sum + Math.imul(old[place], digits[k])) | 0;
        sum >>= 22;
        made[target + channel] = sum < 0 ? 0 : sum > 255 ? 255 : sum;
      }
    }
  }
}

/**
 * Frames a picture: gives the `size` x `size` pixels that the network sees, and notes as `zoo predict` has them.
 * `pixels` has `channels` values of every `step` for each pixel, row by row.
 */
function framed(pixels, step, width, height, framing) {
  const { size, channels, interpolation } = framing;
  const short = Math.min(width, height);
  const across = side(width, short, framing);
  const down = side(height, short, framing);
  const columns = whole(weights(across.kept, across.resized, interpolation, across.first, size));
  const rows = whole(weights(down.kept, down.resized, interpolation, down.first, size));
  const source = { pixels, start: step * (down.cut * width + across.cut) };
  const found = { pixels: new Uint8Array(size * size * channels), start: 0 };
  // As Pillow since version 13: the columns of a tall picture come first.
  const lost = down.kept - down.resized;
  const isTall = framing.columns_may_come_first && lost > 0 && lost > 2 * (across.kept - across.resized);
  const between = { pixels: new Uint8Array((isTall ? across.kept : down.kept) * size * channels), start: 0 };
  if (isTall) {
    const lines = { step: channels * across.kept, stride: channels };
    pass({ ...source, step: step * width, stride: step }, { ...between, ...lines }, rows, channels, columns.ends);
    const flat = { step: channels, stride: channels * across.kept };
    pass({ ...between, ...flat }, { ...found, step: channels, stride: channels * size }, columns, channels, [0, size]);
  } else {
    const lines = { step: channels, stride: channels * size };
    pass({ ...source, step, stride: step * width }, { ...between, ...lines }, columns, channels, rows.ends);
    const turned = { step: channels * size, stride: channels };
    pass({ ...between, ...turned }, { ...found, ...turned }, rows, channels, [0, size]);
  }
  return { pixels: found.pixels, notes: framingNotes(found.pixels, width, height, framing) };
}

function framingNotes(pixels, width, height, framing) {
  const [short, long] = [Math.min(width, height), Math.max(width, height)];
  const notes = [];
  if (long > framing.max_aspect * short) notes.push(`aspect ratio ${Math.floor(long / short)}:1: only the middle is used`);
  if (short * framing.max_enlargement < framing.resize) notes.push(`short side of only ${short} px: enlarged to ${framing.resize}`);
  if (pixels.every((one) => one <= 1) && pixels.includes(1)) {
    notes.push("is nearly black, with no value above 1: pixels are expected in 0..255, not as floats in 0..1 are saved");
  }
  return notes;
}

/** Enlarges a map of `height` x `width` numbers to `size` x `size`, bilinearly. */
function enlarged(values, height, width, size) {
  const columns = weights(width, size, "bilinear");
  const rows = weights(height, size, "bilinear");
  const summed = (parts, at, from) => parts.values.reduce((sum, one, k) => sum + one * at(parts.first + k), 0);
  const between = Float32Array.from({ length: height * size }, (_, i) => {
    const row = Math.floor(i / size);
    return summed(columns[i % size], (x) => values[row * width + x]);
  });
  return Float32Array.from({ length: size * size }, (_, i) => summed(rows[Math.floor(i / size)], (y) => between[y * size + (i % size)]));
}
