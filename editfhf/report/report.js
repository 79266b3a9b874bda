"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);

  // tables: a click on a heading sorts by that column, numbers the highest first
  const value = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.value === undefined) return cell.textContent.trim();
    return cell.dataset.value === "" ? -Infinity : Number(cell.dataset.value);
  };
  const sort = (heading) => {
    const column = heading.cellIndex, body = heading.closest("table").tBodies[0];
    const numeric = heading.classList.contains("n");
    const before = heading.getAttribute("aria-sort");
    const down = before ? before === "ascending" : numeric;
    all("[aria-sort]", heading.parentNode).forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const compare = (a, b) => (numeric ? value(a, column) - value(b, column) || 0 : value(a, column).localeCompare(value(b, column)));
    body.append(...[...body.rows].sort((a, b) => (down ? compare(b, a) : compare(a, b))));
  };
  all("table.sortable th button.sort").forEach((button) => button.addEventListener("click", () => sort(button.parentNode)));

  const gallery = one(".gallery");
  if (!gallery) return;
  const pairs = all(".pair", gallery), box = one(".lightbox");
  one(".toolbar").hidden = false;

  // layers: one state for the page and the lightbox, kept as classes of the body
  const show = (layer, on) => {
    document.body.classList.toggle(`no-${layer}`, !on);
    all(`[data-toggle="${layer}"]`).forEach((button) => button.setAttribute("aria-pressed", on));
  };
  all("[data-toggle]").forEach((button) =>
    button.addEventListener("click", () => show(button.dataset.toggle, button.getAttribute("aria-pressed") !== "true")));
  show("disks", false);

  // filters
  const filters = all("[data-filter]");
  const filter = () => {
    const wanted = filters.filter((select) => select.value).map((select) => [select.dataset.filter, select.value]);
    pairs.forEach((pair) => { pair.hidden = !wanted.every(([name, text]) => has(pair.dataset[name], text, name)); });
    const found = pairs.filter((pair) => !pair.hidden).length;
    one(".found").textContent = wanted.length ? `${found} of ${pairs.length}` : "";
    one(".nothing").hidden = found > 0;
  };
  const has = (held, text, name) => (name === "kinds" || name === "flaws" ? held.split("\n").includes(text) : held === text);
  filters.forEach((select) => select.addEventListener("change", filter));

  // the lightbox shows copies of what the card holds
  let current = null;
  const fill = (pair) => {
    current = pair;
    one(".views", box).replaceChildren(...all(".frame", pair).map((frame) => frame.cloneNode(true)));
    one("#lightbox-title", box).textContent = one(".open", pair).textContent;
    const about = [".who", ".tags", ".scores", ".regions", ".id"].map((part) => one(part, pair)).filter(Boolean);
    one(".about-pair", box).replaceChildren(...about.map((part) => part.cloneNode(true)));
    all(".box[title]", box).forEach((region) => { region.removeAttribute("title"); region.tabIndex = 0; });
    const [width, height] = one(".frame.edited", pair).style.aspectRatio.split("/").map(Number);
    one(".stage", box).style.setProperty("--ratio", width / height);
    const visible = pairs.filter((other) => !other.hidden);
    one(".position", box).textContent = `${visible.indexOf(pair) + 1} of ${visible.length}`;
    leave();
  };
  const step = (by) => {
    const visible = pairs.filter((pair) => !pair.hidden);
    fill(visible[(visible.indexOf(current) + by + visible.length) % visible.length]);
  };
  const mode = (name) => {
    one(".stage", box).className = `stage ${name}`;
    all("[data-mode]", box).forEach((button) => button.setAttribute("aria-pressed", button.dataset.mode === name));
  };
  const split = one(".split", box);
  const cut = () => one(".stage", box).style.setProperty("--split", `${split.value}%`);
  const open = (pair) => { fill(pair); cut(); box.showModal(); };
  pairs.forEach((pair) => {
    one(".open", pair).addEventListener("click", () => open(pair));
    one(".views", pair).addEventListener("click", () => open(pair));
  });
  all("[data-step]", box).forEach((button) => button.addEventListener("click", () => step(Number(button.dataset.step))));
  all("[data-mode]", box).forEach((button) => button.addEventListener("click", () => mode(button.dataset.mode)));
  one(".close", box).addEventListener("click", () => box.close());
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  box.addEventListener("close", () => one(".open", current).focus());
  box.addEventListener("keydown", (event) => {
    if (event.target === split || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
  });
  split.addEventListener("input", cut);

  // a region: its box, its line in the list and its tip belong together
  const tip = one(".tip", box);
  const leave = () => { tip.hidden = true; all(".lit", box).forEach((lit) => lit.classList.remove("lit")); };
  const light = (event) => {
    const part = event.target.closest("[data-region]");
    leave();
    if (!part) return;
    const label = part.dataset.region;
    all("[data-region]", box).filter((other) => other.dataset.region === label).forEach((other) => other.classList.add("lit"));
    if (!part.classList.contains("box")) return;
    const text = one(`.regions [data-region="${CSS.escape(label)}"] div`, box);
    tip.replaceChildren(...[...text.cloneNode(true).childNodes]);
    tip.hidden = false;
    const place = part.getBoundingClientRect(), whole = box.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(place.left - whole.left, whole.width - tip.offsetWidth - 8))}px`;
    const below = place.bottom - whole.top + 6;
    tip.style.top = `${below + tip.offsetHeight > whole.height ? Math.max(8, place.top - whole.top - tip.offsetHeight - 6) : below}px`;
  };
  ["mouseover", "focusin"].forEach((name) => one(".content", box).addEventListener(name, light));
  one(".content", box).addEventListener("mouseleave", leave);
})();
