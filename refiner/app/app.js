"use strict";
// All that comes from pictures, agents and people is set as text, never as HTML.
const $ = (id) => document.getElementById(id);
const COLOURS = { artifact: "#e1540e", failure: "#2682e2" };
let state = null, label = "", view = "current", tool = "paint", version = 0, drawn = false;

async function ask(action, body = {}) {
  $("busy").hidden = false;
  $("message").hidden = true;
  try {
    const answer = await fetch(`api/${action}`, {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ key: state && state.key, ...body }),
    });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.message);
    return found;
  } catch (error) {
    $("message").textContent = error.message || "The app does not answer.";
    $("message").hidden = false;
    return null;
  } finally {
    $("busy").hidden = true;
  }
}

const file = (name) => `files/${state.key}/${name}?v=${version}`;

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

function show(found) {
  if (!found) return false;
  const same = state && state.key === found.key;
  state = found;
  version += 1;
  $("open").hidden = true;
  $("desk").hidden = $("history").hidden = false;
  $("told").textContent = state.instruction;
  $("undo").disabled = !state.can_undo;
  $("redo").disabled = !state.can_redo;
  $("refined").href = file("refined.png");
  $("layers-file").href = file("layers.ora");
  $("trace").href = file("trace.json");
  if (!same) {
    $("mask").width = state.width;
    $("mask").height = state.height;
    $("editor").replaceChildren(...state.editors.map((name) => make("option", name)));
    label = "";
  }
  if (!state.regions.some((one) => one.label === label)) label = "";
  fit();
  showScores();
  showRegions();
  showLayers();
  showProposal();
  showPictures();
  return true;
}

function showScores() {
  const parts = [];
  const add = (name, value, whole) => {
    parts.push(make("span", name, whole ? "whole" : "soft"), make(whole ? "b" : "span", value === null ? "–" : value.toFixed(1)));
  };
  add("Overall score", state.overall, true);
  for (const one of state.scores) add(one.name.replaceAll("_", " "), one.value, false);
  $("scores").replaceChildren(...parts);
}

function showRegions() {
  $("clean").hidden = state.regions.length > 0;
  $("regions").replaceChildren(...state.regions.map((one) => {
    const item = make("li", undefined, one.kind);
    item.append(make("b", one.label), make("span", (one.flaw_type || one.kind).replaceAll("_", " ")), make("small", one.rationale));
    item.setAttribute("aria-selected", one.label === label);
    item.tabIndex = 0;
    item.onclick = () => choose(one);
    item.onkeydown = (event) => { if (event.key === "Enter") choose(one); };
    return item;
  }));
  const boxes = $("boxes");
  boxes.setAttribute("viewBox", `0 0 ${state.width} ${state.height}`);
  const width = Math.max(2, state.width / 300);
  boxes.replaceChildren(...state.regions.flatMap((one) => {
    const [x0, y0, x1, y1] = one.box;
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const values = { x: x0, y: y0, width: x1 - x0, height: y1 - y0, fill: "none", stroke: COLOURS[one.kind], "stroke-width": width };
    if (one.kind === "failure") values["stroke-dasharray"] = `${4 * width} ${2 * width}`;
    for (const [name, value] of Object.entries(values)) rect.setAttribute(name, value);
    return [rect];
  }));
}

function showLayers() {
  $("untouched").hidden = state.layers.length > 0;
  $("layers").replaceChildren(...state.layers.map((one) => {
    const item = make("li"), box = make("input"), name = make("label", ` ${one.title}`);
    box.type = "checkbox";
    box.checked = one.on;
    box.onchange = async () => { if (!show(await ask("layer", { number: one.number, on: box.checked }))) box.checked = one.on; };
    name.prepend(box);
    item.append(name);
    return item;
  }));
}

function showProposal() {
  const proposal = state.proposal;
  $("proposal").hidden = !proposal;
  $("run").hidden = Boolean(proposal);
  if (!proposal) return;
  const { before, after } = proposal;
  $("gain").textContent = before === null || after === null
    ? "Look at it: no agent scores it."
    : `Overall score ${before.toFixed(1)} → ${after.toFixed(1)} (${after >= before ? "+" : "−"}${Math.abs(after - before).toFixed(1)})`;
}

function showPictures() {
  const after = state.proposal ? "proposal.png" : "current.png";
  const before = state.proposal ? "current.png" : "edited.png";
  $("below").src = file(view === "source" ? "source.png" : after);
  $("above").hidden = $("slider").hidden = view !== "compare";
  if (view === "compare") $("above").src = file(before);
  fit();
  for (const kind of ["artifact", "failure"]) {
    const map = $(`map-${kind}`);
    map.hidden = view !== "current" || !$(`show-${kind}`).checked || Boolean(state.proposal);
    if (!map.hidden) map.src = file(`${kind}.png`);
  }
  $("boxes").style.display = view === "current" && !state.proposal ? "" : "none";
  $("mask").style.display = view === "compare" || state.proposal ? "none" : "";
  for (const button of document.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", button.dataset.view === view);
  slide();
}

function slide() {
  $("above").style.clipPath = `inset(0 ${100 - $("slider").value}% 0 0)`;
}

function fit() {
  const stage = $("stage"), scale = Math.min((stage.clientWidth - 32) / state.width, (stage.clientHeight - 16) / state.height);
  $("frame").style.width = `${Math.max(1, state.width * scale)}px`;
  $("frame").style.height = `${Math.max(1, state.height * scale)}px`;
}

const pen = () => $("mask").getContext("2d", { willReadFrequently: true });

function clearMask() {
  pen().clearRect(0, 0, state.width, state.height);
  drawn = false;
}

function tellChosen() {
  $("chosen").textContent = label ? `Region ${label}${drawn ? ", mask corrected by hand" : ""}` : drawn ? "A mask drawn by hand" : "Choose a region, or paint one.";
}

function choose(region) {
  label = region.label;
  $("editor").value = region.editor;
  showRegions();
  const shape = new Image(), asked = version;
  shape.onload = () => {
    if (label !== region.label || version !== asked) return; // another region or image was chosen meanwhile
    clearMask();
    const context = pen();
    context.drawImage(shape, 0, 0);
    const pixels = context.getImageData(0, 0, state.width, state.height);
    for (let at = 0; at < pixels.data.length; at += 4) {
      const inside = pixels.data[at] > 127;
      pixels.data.set(inside ? [26, 95, 180, 255] : [0, 0, 0, 0], at);
    }
    context.putImageData(pixels, 0, 0);
    document.body.dataset.mask = label;
    tellChosen();
  };
  shape.src = file(`mask-${label}.png`);
}

function useTool(name) {
  tool = name;
  for (const id of ["paint", "erase"]) $(id).setAttribute("aria-pressed", id === name);
}

let last = null;
function stroke(event) {
  const area = $("mask").getBoundingClientRect(), scale = state.width / area.width;
  const x = (event.clientX - area.left) * scale, y = (event.clientY - area.top) * scale;
  const context = pen();
  context.globalCompositeOperation = tool === "erase" ? "destination-out" : "source-over";
  context.strokeStyle = "rgb(26,95,180)";
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = 2 * Number($("brush").value) * scale;
  context.beginPath();
  context.moveTo(...(last || [x, y]));
  context.lineTo(x + 0.01, y);
  context.stroke();
  last = [x, y];
  drawn = true;
  tellChosen();
}

function encodeMask() {
  const pixels = pen().getImageData(0, 0, state.width, state.height);
  for (let at = 0; at < pixels.data.length; at += 4) {
    const value = pixels.data[at + 3] > 127 ? 255 : 0;
    pixels.data.set([value, value, value, 255], at);
  }
  const flat = document.createElement("canvas");
  flat.width = state.width;
  flat.height = state.height;
  flat.getContext("2d").putImageData(pixels, 0, 0);
  return flat.toDataURL("image/png").split(",")[1];
}

const readFile = (input) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.split(",")[1] || "");
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(input.files[0]);
});

$("open").onsubmit = async (event) => {
  event.preventDefault();
  const [source, edited] = await Promise.all([readFile($("source-file")), readFile($("edited-file"))]);
  if (show(await ask("open", { source, edited, instruction: $("instruction").value }))) clearMask();
};
$("another").onclick = () => { $("desk").hidden = $("history").hidden = true; $("open").hidden = false; $("told").textContent = ""; };
$("run").onclick = async () => {
  if (show(await ask("propose", { label, editor: $("editor").value, seed: Number($("seed").value), mask: encodeMask() })) && view === "source") setView("current");
};
for (const action of ["accept", "reject", "undo", "redo"]) {
  $(action).onclick = async () => { if (show(await ask(action)) && action === "accept") { clearMask(); tellChosen(); } };
}
function setView(name) { view = name; showPictures(); }
for (const button of document.querySelectorAll("[data-view]")) button.onclick = () => setView(button.dataset.view);
for (const kind of ["artifact", "failure"]) $(`show-${kind}`).onchange = showPictures;
$("paint").onclick = () => useTool("paint");
$("erase").onclick = () => useTool("erase");
$("clear").onclick = () => { clearMask(); tellChosen(); };
$("slider").oninput = slide;
$("mask").onpointerdown = (event) => { $("mask").setPointerCapture(event.pointerId); last = null; stroke(event); };
$("mask").onpointermove = (event) => { if (event.buttons & 1) stroke(event); };
window.onresize = () => { if (state) fit(); };
window.onkeydown = (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || /^(TEXTAREA|INPUT)$/.test(event.target.tagName)) return;
  event.preventDefault();
  $(event.shiftKey ? "redo" : "undo").click();
};
useTool("paint");
(async () => {
  const quiet = await fetch("api/start", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
  if (quiet.ok) show(await quiet.json());
  else $("open").hidden = false;
})();
