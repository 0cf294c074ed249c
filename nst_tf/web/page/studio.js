// The page of the studio. Text of users and of the server is only ever set as
// text, never as HTML.
"use strict";

const $ = (id) => document.getElementById(id);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && key !== "list") element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

async function ask(method, path, body, name) {
  const options = { method };
  if (body instanceof Blob) {
    path += `?name=${encodeURIComponent(name)}`;
    Object.assign(options, { body, headers: { "content-type": "application/octet-stream" } });
  } else if (body) {
    Object.assign(options, { body: JSON.stringify(body), headers: { "content-type": "application/json" } });
  }
  const answer = await fetch(`api/${path}`, options).catch(() => {
    throw new Error("the server does not answer; restart it.");
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error || `the server failed with status ${answer.status}.`);
  return told;
}

// ---------------------------------------------------------------- the form

const COLORS = {
  style: "the painting’s", content: "the photograph’s",
  luminance: "the photograph’s; only lightness is painted", match: "the painting’s, adjusted to the photograph",
  histogram: "the painting’s, with the photograph’s distribution",
};
const NETWORKS = { auto: "full, for finished pictures", small: "small, for sketches", imagenet: "Keras’s file (a download)" };
const PLURAL = new Set(["style", "style_mask"]);

const form = {
  fields: {},            // settings, by name
  inputs: {},            // their elements
  unset: new Set(),      // knobs that were not moved
  content: [], style: [], masks: {},  // pictures: {id, name, url}
};

function readInput(name) {
  const field = form.fields[name], input = form.inputs[name];
  if (form.unset.has(name)) return field.default;
  if (field.kind === "bool") return input.checked;
  const text = input.value.trim();
  if ("log" in input.dataset) return [Number((2 ** Number(text)).toPrecision(3))];
  if (field.kind === "list") {
    const parts = text.split(field.numbers ? /[,;\s]+/ : /\s*;\s*/).filter(Boolean);
    return field.numbers ? parts.map(Number) : parts;
  }
  if (field.kind === "text") return text;
  return text === "" ? field.default : Number(text);
}

function writeInput(name, value) {
  const field = form.fields[name], input = form.inputs[name];
  const same = JSON.stringify(value) === JSON.stringify(field.default);
  if (input.type === "range" && same) form.unset.add(name);
  else form.unset.delete(name);
  if (field.kind === "bool") input.checked = value;
  else if ("log" in input.dataset) input.value = Math.log2(value[0]);
  else if (name === "strength" && value < 0) input.value = 0.6;
  else if (field.kind === "list") input.value = value.join(field.numbers ? ", " : "; ");
  else {
    if (input.tagName === "SELECT" && !all("option", input).some((o) => o.value === String(value))) {
      input.append(make("option", { value: String(value) }, String(value)));
    }
    input.value = value;
  }
  showInput(name);
}

function showInput(name) {
  const input = form.inputs[name], value = readInput(name);
  const changed = JSON.stringify(value) !== JSON.stringify(form.fields[name].default);
  input.closest(".field")?.classList.toggle("changed", changed);
  const output = all("output", input.closest("label") || document.body)[0];
  if (input.type !== "range" || !output) return;
  const unit = input.dataset.unit || "";
  const shown = name === "style_scale" ? `× ${value[0]}` : `${value}${unit}`;
  output.value = form.unset.has(name) && name !== "size" ? "default" : shown;
}

function readSettings() {
  const chosen = {};
  for (const [name, field] of Object.entries(form.fields)) {
    const value = readInput(name);
    if (JSON.stringify(value) !== JSON.stringify(field.default)) chosen[name] = value;
  }
  if (chosen.print_size) delete chosen.size;
  return chosen;
}

function writeSettings(chosen) {
  for (const [name, field] of Object.entries(form.fields)) writeInput(name, chosen[name] ?? field.default);
}

function listen(name, input) {
  form.inputs[name] = input;
  input.addEventListener("input", () => { form.unset.delete(name); showInput(name); keepForm(); });
}

function addOptions(select, field, words = {}) {
  for (const choice of field.choices) {
    select.append(make("option", { value: String(choice) }, words[choice] || String(choice)));
  }
}

function makeField(field) {
  const id = `field-${field.name}`, about = { id, "aria-describedby": `${id}-help` };
  let input;
  if (field.choices.length) addOptions(input = make("select", about), field);
  else if (field.kind === "bool") input = make("input", { ...about, type: "checkbox" });
  else if (field.kind === "int" || field.kind === "float") {
    input = make("input", { ...about, type: "number", step: field.kind === "int" ? 1 : "any" });
    if (field.low !== undefined && !("off" in field)) input.min = field.low;
    if (field.high !== undefined) input.max = field.high;
  } else input = make("input", { ...about, type: "text", placeholder: "default" });
  listen(field.name, input);
  const words = make("label", { htmlFor: id }, field.name.replaceAll("_", " "), input);
  return make("div", { className: "field" }, words, make("p", { id: `${id}-help` }, field.help));
}

function makeForm(told) {
  for (const field of told.fields) form.fields[field.name] = field;
  for (const input of all("[data-setting]")) {
    const name = input.dataset.setting;
    if (name === "color") addOptions(input, form.fields[name], COLORS);
    if (name === "weights") addOptions(input, form.fields[name], NETWORKS);
    listen(name, input);
  }
  const groups = {};
  for (const field of told.fields) {
    if (form.inputs[field.name]) continue;
    groups[field.group] ||= make("fieldset", {}, make("legend", {}, field.group));
    groups[field.group].append(makeField(field));
  }
  $("fields").append(...Object.values(groups));
  for (const preset of told.presets) {
    $("looks").append(make("button", {
      type: "button", title: preset.text, "aria-pressed": "false", onclick: (event) => applyPreset(preset, event.currentTarget),
    }, make("img", { src: `api/presets/${preset.name}`, alt: preset.text, loading: "lazy" }),
    make("span", {}, preset.name.replaceAll("_", " "))));
  }
  const used = (role) => new Set(told.presets.flatMap((preset) => preset.pictures[role] || []));
  const paintings = used("style"), photographs = used("content");
  for (const name of told.samples) {
    const role = paintings.has(name) ? "style" : photographs.has(name) ? "content" : "";
    if (!role) continue;  // a mask, or a doodle
    const words = name.replaceAll("_", " ");
    $("desk").querySelector(`.samples[data-role=${role}]`).append(make("button", {
      type: "button", title: words, onclick: () => choose(role, [sample(name)]),
    }, make("img", { src: viewOf(name), alt: words })));
  }
  writeSettings({});
}

const viewOf = (id) => `api/pictures/${id}/view`;
const sample = (name) => ({ id: name, name: name.replaceAll("_", " "), url: viewOf(name) });

function applyPreset(preset, button) {
  for (const other of all("#looks button")) other.ariaPressed = String(other === button);
  brush.forget();
  writeSettings(preset.settings);
  const own = form.content.length && !form.content[0].isSample;
  form.style = preset.pictures.style.map(sample);
  if (!own) form.content = preset.pictures.content.map((name) => ({ ...sample(name), isSample: true }));
  form.masks = {};
  for (const [setting, names] of Object.entries(preset.pictures)) {
    if (!own && setting.endsWith("_mask")) form.masks[setting] = names.map(sample);
  }
  showPictures();
  say(preset.text);
}

function choose(role, pictures) {
  if (role === "content") {
    if (form.content[0]?.id !== pictures[0].id) brush.forget();
    form.content = pictures.slice(-1);
  } else {
    form.style = form.style.filter((old) => !pictures.some((p) => p.id === old.id)).concat(pictures);
  }
  showPictures();
}

function showPictures() {
  const show = (list, pictures, remove) => list.replaceChildren(...pictures.map((picture) => make("li",
    { className: picture.id ? "" : "waiting" },
    picture.url ? make("img", { src: picture.url, alt: picture.name }) : picture.name,
    make("button", { type: "button", ariaLabel: `Remove ${picture.name}`, onclick: () => { remove(picture); showPictures(); } }, "×"))));
  for (const role of ["content", "style"]) {
    show($("desk").querySelector(`.drop[data-role=${role}] .chosen`), form[role],
      (picture) => { form[role] = form[role].filter((each) => each !== picture); });
  }
  const masks = Object.keys(form.masks).map((setting) => ({ id: setting, name: setting.replaceAll("_", " ") }));
  show($("masks"), masks, (mask) => { delete form.masks[mask.id]; brush.drop(mask.id); });
  $("brush").disabled = !form.content[0]?.id;
  keepForm();
}

// Keeps the form for a reload of the page.
function keepForm() {
  const whole = (pictures) => pictures.filter((picture) => picture.id);
  const { content, style, masks } = form;
  sessionStorage.setItem("form", JSON.stringify({
    content: whole(content), style: whole(style), masks, settings: readSettings(), strokes: brush.strokes, size: brush.size,
  }));
}

function restoreForm() {
  const kept = JSON.parse(sessionStorage.getItem("form") || "{}");
  if (!kept.settings) return;
  writeSettings(kept.settings);
  Object.assign(form, { content: kept.content, style: kept.style, masks: kept.masks });
  brush.strokes = kept.strokes;
  [$("mask").width, $("mask").height] = brush.size = kept.size;
}

async function upload(role, files) {
  const problem = $("desk").querySelector(`.drop[data-role=${role}] .problem`);
  problem.textContent = "";
  for (const file of files) {
    const picture = { id: "", name: file.name || "pasted picture", url: URL.createObjectURL(file) };
    const before = form.content;
    choose(role, [picture]);
    try {
      const told = await ask("POST", "pictures", file, picture.name);
      Object.assign(picture, { id: told.id, name: told.name, url: viewOf(told.id) });
      if (form[role].includes(picture)) say(`${picture.name} is uploaded.`);
    } catch (error) {
      if (role === "content" && form.content.includes(picture)) form.content = before;
      form[role] = form[role].filter((each) => each !== picture);
      problem.textContent = error.message;
      problem.scrollIntoView({ block: "nearest" });
    }
    showPictures();
  }
}

async function paint(event) {
  event.preventDefault();
  $("refusal").textContent = "";
  $("paint").disabled = true;
  try {
    const masks = await brush.upload();
    const pictures = {};
    for (const [setting, given] of Object.entries({ content: form.content, style: form.style, ...form.masks, ...masks })) {
      if (given.some((picture) => !picture.id)) throw new Error("a picture is still being uploaded; wait a moment.");
      if (given.length) pictures[setting] = given.map((picture) => picture.id);
    }
    const job = await ask("POST", "jobs", { settings: readSettings(), pictures });
    brush.close();
    takeJob(job);
    select(job.id);
    $("easel").scrollIntoView({ block: "start" });
  } catch (error) {
    $("refusal").textContent = error.message;
    const field = $(`field-${error.message.split(" ")[0]}`);
    if (field) {
      $("more").open = true;
      field.focus();
    }
  }
  $("paint").disabled = false;
}

// ---------------------------------------------------------------- the brush

const TINTS = { keep_mask: "#22d3ee", strength_map: "#f59e0b", content_mask: "#c026d3" };
const GROUND = { keep_mask: 0, strength_map: 255, content_mask: 255 };

const brush = {
  strokes: [], isOpen: false, at: null, sent: {}, size: [1, 1],
  get layer() { return document.querySelector("[name=layer]:checked").value; },

  open() {
    const picture = form.content[0];
    if (!picture) return;
    this.isOpen = true;
    for (const id of ["mask", "brushes"]) $(id).hidden = false;
    $("bar").hidden = $("run").hidden = true;
    showImages(picture.url, "", () => {
      const image = $("after");
      this.size = [$("mask").width, $("mask").height] = [image.naturalWidth, image.naturalHeight];
      $("width").max = Math.max(16, Math.round(image.naturalWidth / 4));
      $("width").value = Math.round(image.naturalWidth / 14);
      this.at = [image.naturalWidth / 2, image.naturalHeight / 2];
      this.draw();
    });
    $("mask").focus({ preventScroll: true });
    $("easel").scrollIntoView({ block: "start" });
  },

  close() {
    if (!this.isOpen) return;
    this.isOpen = false;
    for (const id of ["mask", "brushes"]) $(id).hidden = true;
    for (const layer of Object.keys(TINTS)) {
      if (this.strokes.some((s) => s.layer === layer)) form.masks[layer] = [{ id: "brushed", name: layer }];
      else if (form.masks[layer]?.[0].id === "brushed") delete form.masks[layer];
    }
    showPictures();
    showJob();
  },

  forget() { this.close(); this.strokes = []; for (const l of Object.keys(TINTS)) this.drop(l); },

  drop(layer) {
    this.strokes = this.strokes.filter((stroke) => stroke.layer !== layer);
    delete form.masks[layer];
    delete this.sent[layer];
    if (this.isOpen) this.draw();
  },

  // Draws the strokes of a layer, gray on nothing.
  render(layer) {
    const { width, height } = $("mask");
    const canvas = make("canvas", { width, height }), context = canvas.getContext("2d");
    context.lineCap = context.lineJoin = "round";
    for (const stroke of this.strokes.filter((each) => each.layer === layer)) {
      context.globalCompositeOperation = stroke.erase ? "destination-out" : "source-over";
      context.strokeStyle = `rgb(${stroke.gray}, ${stroke.gray}, ${stroke.gray})`;
      context.lineWidth = stroke.width;
      context.beginPath();
      context.moveTo(...stroke.points[0]);
      for (const point of stroke.points) context.lineTo(...point);
      context.stroke();
    }
    return canvas;
  },

  draw() {
    const canvas = $("mask"), context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    for (const [layer, tint] of Object.entries(TINTS)) {
      const layered = this.render(layer), inner = layered.getContext("2d");
      inner.globalCompositeOperation = "source-in";
      inner.fillStyle = tint;
      inner.fillRect(0, 0, layered.width, layered.height);
      context.globalAlpha = layer === this.layer ? 0.6 : 0.3;
      context.drawImage(layered, 0, 0);
    }
    context.globalAlpha = 1;
    if (document.activeElement === canvas && this.at) {
      context.lineWidth = Math.max(1, canvas.width / 400);
      context.beginPath();
      context.arc(...this.at, $("width").value / 2, 0, 7);
      context.strokeStyle = "#fff";
      context.stroke();
    }
    $("undo").disabled = $("clear").disabled = !this.strokes.some((each) => each.layer === this.layer);
  },

  begin(point) {
    const gray = { keep_mask: 255, strength_map: Math.round(255 * $("amount").value), content_mask: 0 }[this.layer];
    this.strokes.push({ layer: this.layer, gray, width: Number($("width").value), erase: $("erase").checked, points: [point] });
    delete this.sent[this.layer];
    this.draw();
  },

  undo() {
    const last = this.strokes.findLastIndex((each) => each.layer === this.layer);
    if (last >= 0) this.strokes.splice(last, 1);
    delete this.sent[this.layer];
    this.draw();
  },

  // Uploads the brushed masks. Every pixel is either brushed or not.
  async upload() {
    const masks = {};
    for (const layer of Object.keys(TINTS)) {
      if (!this.strokes.some((stroke) => stroke.layer === layer)) continue;
      if (!this.sent[layer]) {
        const canvas = this.render(layer), context = canvas.getContext("2d");
        const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
        for (let i = 0; i < pixels.data.length; i += 4) {
          const isBrushed = pixels.data[i + 3] > 127;
          pixels.data.fill(isBrushed ? pixels.data[i] : GROUND[layer], i, i + 3);
          pixels.data[i + 3] = 255;
        }
        context.putImageData(pixels, 0, 0);
        const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
        this.sent[layer] = (await ask("POST", "pictures", blob, `${layer}.png`)).id;
      }
      masks[layer] = [{ id: this.sent[layer] }];
    }
    return masks;
  },
};

function maskPoint(event) {
  const box = $("mask").getBoundingClientRect();
  return [(event.clientX - box.left) * $("mask").width / box.width, (event.clientY - box.top) * $("mask").height / box.height];
}

function listenToBrush() {
  const canvas = $("mask");
  let isDown = false;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    isDown = true;
    brush.at = maskPoint(event);
    brush.begin(brush.at);
  });
  canvas.addEventListener("pointermove", (event) => {
    brush.at = maskPoint(event);
    if (isDown) brush.strokes.at(-1).points.push(brush.at);
    brush.draw();
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { isDown = false; });
  canvas.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === "z" && (event.ctrlKey || event.metaKey)) brush.undo();
    else if (event.key === " ") brush.begin(brush.at);
    else if (event.key in moves) {
      const step = Math.max(2, $("width").value / 4);
      brush.at = brush.at.map((value, i) => Math.min(Math.max(value + step * moves[event.key][i], 0), [canvas.width, canvas.height][i]));
      brush.draw();
    } else return;
    event.preventDefault();
  });
  for (const name of ["focus", "blur"]) canvas.addEventListener(name, () => brush.isOpen && brush.draw());
  for (const radio of all("[name=layer]")) {
    radio.addEventListener("change", () => { $("less").hidden = brush.layer !== "strength_map"; brush.draw(); });
  }
  $("brush").addEventListener("click", () => brush.open());
  $("undo").addEventListener("click", () => brush.undo());
  $("clear").addEventListener("click", () => brush.drop(brush.layer));
  $("close").addEventListener("click", () => brush.close());
}

// ---------------------------------------------------------------- the easel

const view = { zoom: 0, url: "", selected: "", losses: {}, said: "" };

// Shows a picture over the photograph, fitted to the frame or zoomed.
function showImages(url, before, then = () => {}) {
  $("empty").hidden = true;
  $("paper").hidden = false;
  $("before").hidden = $("compare").hidden = !before;
  $("divider").hidden = !before || $("split").value === "0";
  if (before && $("before").getAttribute("src") !== before) $("before").src = before;
  if (url === view.url) return then();
  view.url = url;
  const image = new Image();  // decoded first, so that nothing flickers
  image.onload = () => {
    if (url !== view.url) return;
    $("after").src = url;
    $("after").onload = () => { layOut(); then(); };
  };
  image.src = url;
}

function layOut() {
  const frame = $("frame"), image = $("after");
  if (!image.naturalWidth) return;
  const job = jobs.get(view.selected);
  const full = !brush.isOpen && job?.width ? job.width : image.naturalWidth;
  const ratio = image.naturalHeight / image.naturalWidth;
  const fit = Math.min(frame.clientWidth - 24, (frame.clientHeight - 24) / ratio);
  frame.style.setProperty("--ratio", ratio);
  const width = Math.max(16, view.zoom ? full * view.zoom : fit);
  $("paper").style.width = `${width}px`;
  $("paper").style.height = `${width * ratio}px`;
  $("zoom").value = view.zoom ? `${Math.round(100 * view.zoom)} %` : "fit";
}

function zoom(factor) {
  const job = jobs.get(view.selected);
  const full = job?.width || $("after").naturalWidth || 1;
  const now = view.zoom || $("paper").clientWidth / full;
  view.zoom = factor ? Math.min(16, Math.max(0.05, now * factor)) : 0;
  layOut();
}

function listenToFrame() {
  $("in").addEventListener("click", () => zoom(1.5));
  $("out").addEventListener("click", () => zoom(1 / 1.5));
  $("fit").addEventListener("click", () => zoom(0));
  $("frame").addEventListener("keydown", (event) => {
    const factor = { "+": 1.5, "=": 1.5, "-": 1 / 1.5, 0: 0 }[event.key];
    if (factor === undefined || event.ctrlKey || event.metaKey) return;
    zoom(factor);
  });
  $("frame").addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15);
  }, { passive: false });
  const split = (value) => {
    $("split").value = value;
    $("paper").style.setProperty("--split", `${value}%`);
    $("divider").hidden = $("before").hidden || value <= 0;
  };
  $("split").addEventListener("input", () => split(Number($("split").value)));
  const drag = (event) => {
    if (!event.buttons || $("before").hidden || brush.isOpen) return;
    const box = $("paper").getBoundingClientRect();
    split(Math.min(100, Math.max(0, 100 * (event.clientX - box.left) / box.width)));
  };
  $("paper").addEventListener("pointerdown", drag);
  $("paper").addEventListener("pointermove", drag);
  new ResizeObserver(layOut).observe($("frame"));
}

// ---------------------------------------------------------------- the jobs

const jobs = new Map();
const WORDS = { queued: "waiting", painting: "painting", interrupted: "interrupted; will resume", done: "done", stopped: "stopped", failed: "failed" };
const FIGURES = {
  style: "distance from the painting’s style; 0 is the style", moments: "the same, by means and deviations",
  content: "distance from the photograph; 0 is the photograph", ssim: "likeness to the photograph; 1 is equal",
  chroma: "fine color detail over the painting’s; 1 is as much", border: "detail along the sides; 1 is even",
};
const hasResult = (job) => job.width > 0;
const resultOf = (job, kind) => `api/jobs/${job.id}/result/${kind}?of=${job.steps}`;

function say(text) { $("said").textContent = text; }

function lasts(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function takeJob(job) {
  const old = jobs.get(job.id);
  jobs.set(job.id, job);
  if (job.live.step && job.live.loss !== null) (view.losses[job.id] ||= new Map()).set(job.live.step, job.live.loss);
  if (old && old.state !== job.state) say(`${job.title}: ${WORDS[job.state]}. ${job.message}`);
  showCard(job);
  if (job.id === view.selected) {
    if (old?.state !== job.state && job.state !== "painting") {
      view.url = "";
      readLosses(job.id); // updates skip steps, or all of a quick picture
    }
    showJob();
    if (old && !old.figures.width && job.figures.width) $("figures").scrollIntoView({ block: "nearest" });
  }
}

function loseJob(id) {
  jobs.delete(id);
  $(`job-${id}`)?.remove();
  if (view.selected === id) select([...jobs.keys()].at(-1) || "");
}

function showCard(job) {
  let card = $(`job-${job.id}`);
  if (!card) {
    const button = make("button", { type: "button", onclick: () => { brush.close(); select(job.id); } },
      make("img", { className: "thumb", alt: "" }), make("span", { className: "text" }, make("b"), make("span")));
    card = make("li", { id: `job-${job.id}` }, button);
    const later = [...jobs.values()].filter((each) => each.created < job.created);
    const next = later.length ? $(`job-${later.at(-1).id}`) : null;
    $("jobs").insertBefore(card, next || ($("jobs").firstChild && !later.length ? null : $("jobs").firstChild));
  }
  const image = all("img", card)[0];
  const url = hasResult(job) ? resultOf(job, "small") : viewOf(job.pictures.content[0]);
  if (image.getAttribute("src") !== url) image.src = url;
  all("b", card)[0].textContent = all("button", card)[0].title = job.title;
  const share = job.live.steps ? ` ${Math.round(100 * job.live.step / job.live.steps)} %` : "";
  all(".text > span", card)[0].textContent = job.state === "done" ? `${job.width} × ${job.height}` : WORDS[job.state] + share;
  all("button", card)[0].ariaPressed = String(job.id === view.selected);
}

function select(id) {
  const before = jobs.get(view.selected);
  view.selected = id;
  view.url = "";
  if (before) showCard(before);
  const job = jobs.get(id);
  $("run").hidden = $("bar").hidden = !job;
  $("paper").hidden = !job;
  $("empty").hidden = Boolean(job);
  if (!job) return;
  $("trouble").textContent = "";
  $("record").open = false;
  $("larger-size").value = "";
  showCard(job);
  showJob();
  readLosses(id);
}

function readLosses(id) {
  ask("GET", `jobs/${id}/losses`).then((losses) => {
    view.losses[id] = new Map([...losses, ...(view.losses[id] || [])]);
    showCurve(id);
  }).catch(() => {});
}

function showJob() {
  const job = jobs.get(view.selected);
  if (brush.isOpen) return;
  if (!job) return select("");
  $("run").hidden = $("bar").hidden = false;
  const { live } = job, isPainting = job.state === "painting", isWaiting = ["queued", "interrupted"].includes(job.state);
  const before = viewOf(job.pictures.content[0]);
  if (hasResult(job) && !isPainting) showImages(resultOf(job, "png"), before);
  else if (live.preview) showImages(`api/jobs/${job.id}/preview?of=${live.preview}`, before);
  else showImages(before, "");
  $("after").alt = hasResult(job) ? `${job.title}: the picture` : `${job.title}: so far`;
  $("before").alt = "the photograph";
  $("title").textContent = job.title;
  $("state").textContent = WORDS[job.state];
  $("state").className = `badge ${job.state}`;
  const share = live.steps ? live.step / live.steps : 0;
  $("share").hidden = !isPainting;
  if (share) $("share").value = share; else $("share").removeAttribute("value");
  $("words").textContent = describe(job);
  document.title = isPainting && share ? `${Math.round(100 * share)} % – Studio` : "Studio";
  const quarter = `${job.id} ${Math.floor(4 * share)}`;
  if (isPainting && share && quarter !== view.said) {
    view.said = quarter;
    say(share < 0.25 ? `${job.title}: painting.` : `${job.title}: ${25 * Math.floor(4 * share)} % painted.`);
  }
  const isFinished = hasResult(job) && !isPainting && !isWaiting;
  const shown = {
    stop: isPainting, finish: job.state === "stopped" || job.state === "failed", reuse: true, judge: isFinished, delete: !isPainting,
    downloads: hasResult(job), record: hasResult(job),
  };
  for (const [id, isShown] of Object.entries(shown)) $(id).hidden = !isShown;
  for (const id of ["longer", "larger"]) $(id).parentElement.hidden = !isFinished;
  $("stop").disabled = live.stage === "stopping";
  $("judge").disabled = Boolean(live.stage);
  if (isFinished) $("larger-size").value ||= Math.round(Math.max(job.width, job.height) * 1.5);
  for (const link of all("#downloads a")) {
    link.href = resultOf(job, link.dataset.kind);
    link.download = `${job.title}.${link.dataset.kind}`;
  }
  if (job.state === "failed") $("trouble").textContent = job.message;
  $("command").hidden = !job.command;
  all("#command code")[0].textContent = job.command;
  showFigures(job.figures);
  showCurve(job.id);
}

function describe(job) {
  const { live } = job, size = `${job.width} × ${job.height}`;
  if (job.state === "painting") {
    if (live.stage === "stopping") return "Stopping after the current step.";
    if (!live.step) return `${live.stage || "Starting"} …`;
    const left = live.left ? ` · about ${lasts(live.left)} left` : "";
    return `Step ${live.step} of ${live.steps}${left} · ${live.stage}`;
  }
  if (job.state === "queued") return "Waiting for its turn.";
  if (job.state === "interrupted") return "Interrupted; it will resume from its last checkpoint.";
  if (live.stage) return `${size} · ${live.stage} …`;
  return hasResult(job) ? `${size} · ${job.steps} steps in ${lasts(job.seconds)}` : "";
}

function showFigures(figures) {
  $("figures").hidden = !figures.width;
  if (!figures.width) return;
  all("#figures span")[0].textContent = `${figures.width} × ${figures.height}`;
  all("#figures tbody")[0].replaceChildren(...Object.entries(FIGURES).map(([name, words]) => make("tr", {},
    make("th", { scope: "row" }, name), make("td", {}, figures[name].toFixed(3)), make("td", {}, words))));
}

// Draws the losses by step, on a logarithmic scale.
function showCurve(id) {
  const points = [...(view.losses[id] || new Map())].filter(([, loss]) => loss > 0).sort((a, b) => a[0] - b[0]);
  if (id !== view.selected) return;
  $("curve").toggleAttribute("hidden", points.length < 2);
  if (points.length < 2) return;
  const logs = points.map(([, loss]) => Math.log(loss)), last = points.at(-1);
  const low = Math.min(...logs), height = Math.max(...logs) - low || 1;
  const end = Math.max(last[0], jobs.get(id)?.live.steps || 0);
  const text = points.map(([step], i) => `${(400 * step / end).toFixed(1)},${(56 - 52 * (logs[i] - low) / height).toFixed(1)}`);
  all("#curve polyline")[0].setAttribute("points", text.join(" "));
  $("curve").ariaLabel = `Loss, from ${points[0][1].toPrecision(3)} to ${last[1].toPrecision(3)} at step ${last[0]}`;
}

async function act(method, path, body) {
  $("trouble").textContent = "";
  try {
    return await ask(method, path, body);
  } catch (error) {
    $("trouble").textContent = error.message;
    return null;
  }
}

async function goOn(body) {
  const job = await act("POST", `jobs/${view.selected}/continue`, body);
  if (job) { takeJob(job); select(job.id); }
}

async function reuse() {
  const job = jobs.get(view.selected);
  const recorded = hasResult(job) ? (await act("GET", `jobs/${job.id}/record`))?.settings : null;
  brush.forget();
  // A continued picture starts from its photograph.
  const { init, ...chosen } = { ...job.settings, ...recorded };
  writeSettings(init === undefined || job.start ? chosen : { ...chosen, init });
  const named = {};
  for (const [setting, ids] of Object.entries(job.pictures)) {
    named[setting] = await Promise.all(ids.map((id) => ask("GET", `pictures/${id}`).then((p) => ({ ...p, url: viewOf(p.id) }))));
  }
  const { content = [], style = [], ...masks } = named;
  Object.assign(form, { content, style, masks });
  showPictures();
  say("The settings of this picture are in the form.");
  $("desk").scrollIntoView({ block: "start" });
}

function listenToJob() {
  const path = (rest = "") => `jobs/${view.selected}${rest}`;
  const take = (job) => job && takeJob(job);
  $("stop").addEventListener("click", async () => take(await act("POST", path("/stop"))));
  $("judge").addEventListener("click", async () => take(await act("POST", path("/judge"))));
  $("finish").addEventListener("click", () => goOn({}));
  $("longer").addEventListener("click", () => goOn({ steps: Number($("steps").value) }));
  $("larger").addEventListener("click", () => goOn({ size: Number($("larger-size").value) }));
  $("reuse").addEventListener("click", reuse);
  $("delete").addEventListener("click", async (event) => {
    const button = event.currentTarget;
    if (button.textContent === "Delete") {
      button.textContent = "Delete it for good?";
      setTimeout(() => { button.textContent = "Delete"; }, 4000);
      return;
    }
    button.textContent = "Delete";
    const gone = await act("DELETE", path());
    if (gone) loseJob(gone.id);
  });
  $("record").addEventListener("toggle", async () => {
    if (!$("record").open) return;
    const told = await act("GET", path("/record"));
    all("#record pre")[0].textContent = told ? told.lines.join("\n") : "";
  });
  $("copy").addEventListener("click", async () => {
    const code = all("#command code")[0];
    getSelection().selectAllChildren(code);
    if (!navigator.clipboard) return say("Press Ctrl-C to copy the command line.");  // no HTTPS
    await navigator.clipboard.writeText(code.textContent);
    say("The command line is copied.");
  });
}

function listenToFiles() {
  for (const zone of all(".drop")) {
    const { role } = zone.dataset, input = all("input", zone)[0];
    input.addEventListener("change", () => { upload(role, [...input.files]); input.value = ""; });
    zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      upload(role, [...event.dataTransfer.files]);
    });
  }
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files].filter((file) => file.type.startsWith("image/"));
    const zone = document.activeElement.closest?.(".drop");
    if (files.length) upload(zone?.dataset.role || (form.content.length ? "style" : "content"), files);
  });
}

function watch() {
  const stream = new EventSource("api/events");
  stream.addEventListener("job", (event) => takeJob(JSON.parse(event.data)));
  stream.addEventListener("gone", (event) => {
    const { id, reason } = JSON.parse(event.data);
    loseJob(id);
    if (reason) $("room").textContent = `The studio has ${reason}.`;
  });
  stream.addEventListener("error", () => say("No connection to the server; trying again …"));
  stream.addEventListener("open", async () => {
    say("");
    const before = [...jobs.keys()];  // some may have been deleted meanwhile
    const known = new Set((await ask("GET", "jobs")).map((job) => job.id));
    for (const id of before) if (!known.has(id)) loseJob(id);
  });
}

async function start() {
  history.replaceState(null, "", location.pathname);  // no token in the address
  listenToFiles();
  listenToBrush();
  listenToFrame();
  listenToJob();
  $("desk").addEventListener("submit", paint);
  $("find").addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  $("reset").addEventListener("click", () => writeSettings({}));
  $("find").addEventListener("input", () => {
    const word = $("find").value.trim().toLowerCase();
    for (const field of all("#fields .field")) field.hidden = !field.textContent.toLowerCase().includes(word);
    for (const group of all("#fields fieldset")) group.hidden = !all(".field:not([hidden])", group).length;
  });
  const scheme = () => document.documentElement.style.colorScheme = localStorage.getItem("scheme") || "";
  $("theme").addEventListener("click", () => {
    const isDark = getComputedStyle(document.documentElement).colorScheme === "dark" ||
      (!localStorage.getItem("scheme") && matchMedia("(prefers-color-scheme: dark)").matches);
    localStorage.setItem("scheme", isDark ? "light" : "dark");
    scheme();
  });
  scheme();
  try {
    makeForm(await ask("GET", "settings"));
    restoreForm();
    showPictures();
    for (const job of await ask("GET", "jobs")) takeJob(job);
    const latest = [...jobs.values()].findLast((job) => job.state === "painting") || [...jobs.values()].at(-1);
    if (latest) select(latest.id);
    watch();
  } catch (error) {
    $("refusal").textContent = error.message;
  }
}

start();
