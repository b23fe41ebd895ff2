// Parts of every page that people bring pictures to. The page has the elements of asking.html; its own script, behind this one, has
// `take(files)`.

const MAX_SHOWN = 100;
const UNNAMED = "pasted picture";

function named(classes) {
  const most = 6;
  return classes.slice(0, most).join(", ") + (classes.length > most ? ` and ${classes.length - most} more` : "");
}

/** Shows a picture at the top of the answers, and beside it what is said of it; of very many pictures the last ones stay. */
function placed(file, name, sides) {
  const image = element("img", { src: URL.createObjectURL(file), alt: `The picture ${name}` });
  image.addEventListener("error", () => image.replaceWith(element("p", { className: "soft" }, "No preview in this browser.")));
  byId("answers").prepend(element("article", {}, element("h2", {}, name), image, sides));
  while (byId("answers").children.length > MAX_SHOWN) {
    const last = byId("answers").lastElementChild;
    const image = last.querySelector(":scope > img");
    if (image) URL.revokeObjectURL(image.src);
    last.remove();
  }
}

/** Makes what is shown of an answer: "unknown", the likeliest classes as a table, labels, the set, and notes. */
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

/** Offers the camera where there is one, and says when browsers give one where they do not. */
async function findCamera() {
  const devices = navigator.mediaDevices;
  byId("no-camera").hidden = Boolean(devices);
  const found = devices ? await devices.enumerateDevices().catch(() => []) : [];
  byId("camera").hidden = !found.some((one) => one.kind === "videoinput");
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
