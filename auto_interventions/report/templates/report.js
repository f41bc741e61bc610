"use strict";
// All that moves on a page. Without it the page still reads whole: what needs it stands under [data-script], hidden until it runs.
// Texts of models become text nodes here, never markup.
(() => {
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const add = (parent, name, kind, text) => {
    const element = document.createElement(name);
    if (kind) element.className = kind;
    if (text !== undefined) element.textContent = text;
    return parent.appendChild(element);
  };
  const say = (number) => number.toLocaleString("en-US");
  const read = (id) => { const found = document.getElementById(id); return found ? JSON.parse(found.textContent) : null; };
  const kept = { // a browser may forbid a file to remember
    get(key) { try { return localStorage.getItem(key); } catch { return null; } },
    set(key, value) { try { if (value) localStorage.setItem(key, value); else localStorage.removeItem(key); } catch { /* then not */ } },
  };

  // ---- dark or light: the system's choice until the reader makes one
  const root = document.documentElement, themeButton = one("#theme"), system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  function paint(theme) {
    if (theme === "dark" || theme === "light") root.dataset.theme = theme; else delete root.dataset.theme;
    themeButton.textContent = dark() ? "Light theme" : "Dark theme";
  }
  function turn() {
    const wanted = dark() ? "light" : "dark";
    const own = (wanted === "dark") === system.matches ? "" : wanted;
    kept.set("auto-interventions-theme", own);
    paint(own);
  }
  themeButton.addEventListener("click", turn);
  system.addEventListener("change", () => paint(root.dataset.theme));
  paint(kept.get("auto-interventions-theme"));
  addEventListener("beforeprint", () => all("details:not([open])").forEach((each) => { each.open = true; each.dataset.closed = ""; }));
  addEventListener("afterprint", () => all("details[data-closed]").forEach((each) => { each.open = false; delete each.dataset.closed; }));

  // ---- search and filters: over the findings, and over what did not hold
  const cards = all("article.card"), rows = all("tr[data-more]"), query = one("#query"), filters = all("select[data-filter]");
  const shown = () => cards.filter((card) => !card.hidden);
  const heads = (each) => (each.matches("tr") ? [each] : all("h3, .numbers, .strata, .beside", each)); // texts of models would fit too often
  const words = new Map([...cards, ...rows].map((each) => [each, heads(each).map((head) => head.textContent).join(" ").toLowerCase()]));
  function fits(element, wanted) {
    return words.get(element).includes(wanted) && filters.every(({ value, dataset }) =>
      !value || (element.dataset[dataset.filter] || "").split(" ").includes(value));
  }
  function sift() {
    const wanted = query.value.trim().toLowerCase(), used = Boolean(wanted || filters.some((each) => each.value));
    [...cards, ...rows].forEach((each) => { each.hidden = !fits(each, wanted); });
    const counts = [cards, rows].map((kind) => kind.filter((each) => !each.hidden).length);
    const failed = rows.length ? `, ${say(counts[1])} of ${say(rows.length)} that did not hold` : "";
    one("#found").textContent = used ? `${say(counts[0])} of ${say(cards.length)} findings${failed}` : "";
    one("#clear").hidden = !used;
    const table = rows.length && rows[0].closest("details");
    if (table && wanted && counts[1] && !counts[0]) table.open = true;
    light(wanted);
  }
  function light(wanted) { // marks what was searched for, without touching the page's elements
    if (!CSS.highlights) return;
    CSS.highlights.delete("found");
    const ranges = [];
    if (wanted.length > 1) {
      for (const element of [...shown(), ...rows.filter((row) => !row.hidden)].flatMap(heads)) {
        const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
        for (let node = walker.nextNode(); node && ranges.length < 2000; node = walker.nextNode()) {
          const text = node.data.toLowerCase();
          if (text.length !== node.data.length) continue;
          for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
            const range = new Range();
            range.setStart(node, at); range.setEnd(node, at + wanted.length);
            ranges.push(range);
          }
        }
      }
    }
    if (ranges.length) CSS.highlights.set("found", new Highlight(...ranges));
  }
  function clear() {
    query.value = "";
    filters.forEach((each) => { each.value = ""; });
    sift();
  }
  if (query) {
    query.addEventListener("input", sift);
    filters.forEach((each) => each.addEventListener("change", sift));
    one("#clear").addEventListener("click", () => { clear(); query.focus(); });
    // A link to a finding that the filters hide shows it again.
    addEventListener("hashchange", () => {
      const card = document.getElementById(decodeURIComponent(location.hash.slice(1)));
      if (card && card.hidden) { clear(); card.scrollIntoView(); }
    });
  }

  // ---- all pairs of a finding
  const PAGE = 5, KINDS = { 2: "only the intervention shows it", 1: "only the base shows it", 3: "both show it", 0: "neither shows it", "-": "not judged" };
  let content = null;
  function write(element, text, marks) {
    let at = 0;
    if (!text.length) add(element, "span", "gap", "(an empty text)");
    for (const part of typeof text === "string" ? [text] : text) {
      const special = typeof part !== "string", length = special ? part[0].length : part.length;
      let from = 0;
      for (let place = 0; place < marks.length; place += 2) {
        const start = Math.max(marks[place] - at, from), end = Math.min(marks[place + 1] - at, length);
        if (end <= start) continue;
        if (special) { from = -1; break; }
        element.append(part.slice(from, start));
        add(element, "mark", "", part.slice(start, end).replaceAll("\n", "⏎\n"));
        from = end;
      }
      if (!special) element.append(part.slice(from));
      else add(element, "span", (part[1] ? "control" : "gap") + (from < 0 ? " in-mark" : ""), part[0]).title = part[1];
      at += length;
    }
  }
  function pairElement(number, finding) {
    const [stratum, prompt, base, intervention, cut] = content.pairs[number], who = finding.shows[number];
    const pair = one("#pair-template").content.cloneNode(true), marks = finding.marks[number] || [[], []];
    one(".prompt .shows", pair).textContent = content.strata[stratum];
    write(one(".prompt .text", pair), prompt, []);
    [["base", base, "1"], ["intervention", intervention, "2"]].forEach(([role, text, own], side) => {
      const place = one(`.side.${role}`, pair);
      one(".shows", place).textContent = who === "-" ? "" : who === own || who === "3" ? "shows it" : "does not";
      write(one(".text", place), text, marks[side]);
      if (cut & (side + 1)) add(one(".text", place), "span", "cut", " […]").title = "cut by the token limit";
    });
    return pair;
  }
  function openPairs(card) {
    const button = one(".all-pairs > button", card);
    if (!button || button.getAttribute("aria-expanded") === "true") return;
    content ??= read("evidence-data");
    const finding = content.findings[card.dataset.finding], own = card.dataset.more === "base" ? "1" : "2";
    button.after(one("#viewer-template").content.cloneNode(true));
    const viewer = one(".viewer", card), select = one("select", viewer), list = one(".viewer-pairs", viewer);
    const [previous, next] = all("button", viewer), numbers = (kind) =>
      content.pairs.map((_, number) => number).filter((number) => kind === "all" || finding.shows[number] === kind);
    for (const kind of [own, own === "1" ? "2" : "1", "3", "0", "-", "all"]) {
      const count = numbers(kind).length;
      if (count) add(select, "option", "", `${KINDS[kind] || "all of them"} (${say(count)})`).value = kind;
    }
    let chosen = numbers(select.value), start = 0;
    function turnTo(place) {
      start = place;
      list.replaceChildren(...chosen.slice(start, start + PAGE).map((number) => pairElement(number, finding)));
      one("[role=status]", viewer).textContent = `${say(start + 1)}–${say(Math.min(start + PAGE, chosen.length))} of ${say(chosen.length)}`;
      previous.disabled = start === 0;
      next.disabled = start + PAGE >= chosen.length;
    }
    select.addEventListener("change", () => { chosen = numbers(select.value); turnTo(0); });
    previous.addEventListener("click", () => { if (start) turnTo(start - PAGE); });
    next.addEventListener("click", () => { if (start + PAGE < chosen.length) turnTo(start + PAGE); });
    button.setAttribute("aria-expanded", "true");
    turnTo(0);
  }
  function closePairs(card) {
    one(".viewer", card)?.remove();
    one(".all-pairs > button", card)?.setAttribute("aria-expanded", "false");
  }
  all(".all-pairs > button").forEach((button) => button.addEventListener("click", () => {
    const card = button.closest("article");
    if (button.getAttribute("aria-expanded") === "true") closePairs(card); else openPairs(card);
  }));

  // ---- the map: the nearest text, read beside it
  const area = one(".map-area"), texts = area && read("map-data");
  if (texts) {
    const group = one("g.mark-symbol", area), readout = one(".readout"), dots = all("path", group).map((dot) => {
      const { e: x, f: y } = dot.transform.baseVal.consolidate().matrix;
      return { x, y };
    });
    const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    ring.setAttribute("class", "ring"); ring.setAttribute("r", "8");
    let here = -1;
    const nearest = (x, y, allowed = () => true) => dots.reduce((best, dot, number) => {
      const distance = (dot.x - x) ** 2 + (dot.y - y) ** 2;
      return allowed(dot, number) && distance < best.distance ? { number, distance } : best;
    }, { number: -1, distance: Infinity }).number;
    function show(number) {
      if (number < 0 || number === here) return;
      here = number;
      const [role, prompt, text] = texts[number];
      ring.setAttribute("cx", dots[number].x); ring.setAttribute("cy", dots[number].y);
      group.append(ring);
      readout.replaceChildren();
      const title = add(readout, "p", `subject ${role ? "intervention" : "base"}`);
      add(title, "span", "dot"); title.append(role ? "intervention" : "base");
      add(add(readout, "p", "said-to"), "bdi", "", prompt);
      add(add(readout, "p", "text"), "bdi", "", text || "(an empty text)");
    }
    const point = (event) => {
      const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(group.getScreenCTM().inverse());
      show(nearest(x, y));
    };
    const named = { role: "application", tabindex: "0", "aria-label": "Map of texts: arrow keys go from text to text" };
    Object.entries(named).forEach(([name, value]) => area.setAttribute(name, value));
    area.addEventListener("pointermove", point);
    area.addEventListener("pointerdown", point);
    area.addEventListener("focus", () => { if (here < 0) show(0); });
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    area.addEventListener("keydown", (event) => {
      const step = steps[event.key], from = dots[here];
      if (!step || !from || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const ahead = (dot) => (dot.x - from.x) * step[0] + (dot.y - from.y) * step[1];
      show(nearest(from.x, from.y, (dot, number) => number !== here && ahead(dot) > 0 && ahead(dot) ** 2 * 2 >= (dot.x - from.x) ** 2 + (dot.y - from.y) ** 2));
    });
  }

  // ---- keys
  const help = one("#help"), single = one("#single-keys");
  let current = null;
  function step(by) {
    const visible = shown(), place = visible.indexOf(document.activeElement?.closest?.("article.card") || current);
    current = visible[place < 0 ? 0 : Math.min(Math.max(place + by, 0), visible.length - 1)] || null;
    if (!current) return;
    current.focus({ preventScroll: true });
    current.scrollIntoView({ block: "start" });
    try { history.replaceState(null, "", `#${current.id}`); } catch { /* a page in a frame may not */ }
  }
  const page = (which) => { const buttons = current ? all(".viewer button", current) : []; buttons[which]?.click(); };
  const keys = {
    j: () => step(1), k: () => step(-1), n: () => page(1), p: () => page(0), t: turn,
    a: () => { if (!current) step(0); if (current) { if (one(".viewer", current)) closePairs(current); else openPairs(current); } },
    "/": () => query?.focus(), "?": () => help?.showModal(),
  };
  if (help) {
    one("#help-button").addEventListener("click", () => help.showModal());
    one(".close", help).addEventListener("click", () => help.close());
    single.checked = kept.get("auto-interventions-keys") !== "off";
    single.addEventListener("change", () => kept.set("auto-interventions-keys", single.checked ? "" : "off"));
    document.addEventListener("focusin", (event) => { current = event.target.closest("article.card") || current; });
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest("input, select, textarea, dialog");
      if (typing || !single.checked || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
      event.preventDefault();
      keys[event.key]();
    });
  }
  all("[data-script]").forEach((element) => { element.hidden = false; });
})();
