// The plot: any two axes, intervals in both directions, the front, and the limits of the budget.
const SVG = "http://www.w3.org/2000/svg";
const NAMED = 26; // of more rows, only those on the front are named

function draw(tag, attributes, ...content) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...content);
  return element;
}

function axisChoices(view) {
  const costs = view.data.axes.filter(({ kind }) => kind !== "score");
  view.defaults.x = (costs[0] ?? view.data.axes.at(-1)).id;
  const scored = ({ kind, id }) => kind === "score" && view.rows.some((row) => row.values[id]);
  view.defaults.y = (view.data.axes.find(scored) ?? view.data.axes[0]).id;
  for (const which of ["x", "y"]) {
    const select = view.element.querySelector(`select.${which}`);
    const scores = make("optgroup", { label: "Scores" });
    const measured = make("optgroup", { label: "Costs" });
    for (const axis of view.data.axes) {
      (axis.kind === "score" ? scores : measured).append(make("option", { value: axis.id }, axis.title));
    }
    select.append(scores, ...(costs.length ? [measured] : []));
    select.addEventListener("change", () => { view.state[which] = select.value; refresh(view); });
    view.parts.push(() => { select.value = axisChosen(view, which).id; });
  }
  view.canvas = view.element.querySelector(".canvas");
  view.tip = make("div", { class: "tip", hidden: true, role: "status" });
  new ResizeObserver(() => {
    if (Math.abs(view.canvas.clientWidth - (view.drawn ?? 0)) > 1) plot(view);
  }).observe(view.canvas);
  view.parts.push(() => plot(view));
}

function axisChosen(view, which) {
  const named = (id) => view.data.axes.find((axis) => axis.id === id);
  return named(view.state[which]) ?? named(view.defaults[which]);
}

function plot(view) {
  const [x, y] = [axisChosen(view, "x"), axisChosen(view, "y")];
  const width = view.canvas.clientWidth;
  if (!width) return;
  view.drawn = width;
  const has = (row) => valueOf(row, x) && valueOf(row, y);
  const [all, rows] = [view.rows.filter(has), view.rows.filter((row) => has(row) && view.shown.has(row))];
  if (!all.length) {
    view.canvas.replaceChildren(make("p", { class: "empty" }, "No row has both numbers."));
    return;
  }
  const found = frontOf(view, rows, x, y);
  const frame = frameOf(view, all, x, y, width);
  const title = `${y.title} against ${x.title}`;
  const picture = draw("svg", {
    class: "explore", role: "group", viewBox: `0 0 ${width} ${frame.height}`, width, height: frame.height, "aria-label": title,
  });
  picture.append(...gridOf(frame, x, y), ...limitShades(view, frame, x, y));
  const ghosts = all.filter((row) => !view.shown.has(row));
  for (const row of ghosts) picture.append(draw("circle", { class: "ghost", ...centre(frame.at(row)), r: 3 }));
  picture.append(...barsOf(frame, rows, found, x, y), frontLine(frame, found.front, x, y));
  view.dots = new Map();
  const inOrder = [...rows].sort((a, b) => frame.at(a).x - frame.at(b).x);
  for (const row of inOrder) picture.append(dotOf(view, frame, row, found, x, y));
  picture.querySelector(".dot")?.setAttribute("tabindex", 0);
  picture.addEventListener("keydown", moveBetweenDots);
  picture.append(...namesOf(frame, rows, found));
  view.tip.hidden = true;
  view.canvas.replaceChildren(picture, view.tip);
  caption(view, found, rows, x, y);
}

const centre = ({ x, y }) => ({ cx: x.toFixed(1), cy: y.toFixed(1) });

function frameOf(view, rows, x, y, width) {
  const height = Math.round(Math.max(320, Math.min(540, width * 0.52), Math.min(600, roomFor(view))));
  const [left, right, top, bottom] = [y.kind === "score" ? 62 : 80, width - 16, 18, height - 52];
  const spread = (axis) => rows.flatMap((row) => ends(valueOf(row, axis))).concat(rows.map((row) => valueOf(row, axis)[0]), axis.baseline ?? []);
  const [across, down] = [scaleOf(x, spread(x), width < 500 ? 3 : 6), scaleOf(y, spread(y), 5)];
  const px = (value) => left + across.place(value) * (right - left);
  const py = (value) => bottom - down.place(value) * (bottom - top);
  const at = (row) => ({ x: px(valueOf(row, x)[0]), y: py(valueOf(row, y)[0]), top, bottom });
  return { width, height, left, right, top, bottom, across, down, px, py, at };
}

// Return the height at which the plot is as tall as the budget beside it; 0 if it is above.
function roomFor(view) {
  const [panel, card] = [".budget", ".explorer"].map((name) => view.element.querySelector(name));
  if (panel.offsetTop !== card.offsetTop) return 0;
  const others = [...card.children].filter((child) => child !== view.canvas);
  return panel.offsetHeight - others.reduce((sum, child) => sum + child.offsetHeight, 60);
}

function gridOf(frame, x, y) {
  const { left, right, top, bottom, height } = frame;
  const line = (kind, x1, y1, x2, y2) => draw("line", { class: kind, x1, y1, x2, y2 });
  const text = (kind, at, down, anchor, words, turn) => draw(
    "text", { class: kind, x: at, y: down, "text-anchor": anchor, ...(turn ? { transform: turn } : {}) }, words);
  const parts = [];
  for (const tick of frame.down.ticks) {
    const at = frame.py(tick).toFixed(1);
    parts.push(line("grid", left, at, right, at), text("tick", left - 10, Number(at) + 4, "end", tickText(y, tick)));
  }
  for (const tick of frame.across.ticks) {
    const at = frame.px(tick).toFixed(1);
    parts.push(line("grid", at, top, at, bottom), text("tick", at, bottom + 20, "middle", tickText(x, tick)));
  }
  if (typeof y.baseline === "number") {
    const at = frame.py(y.baseline).toFixed(1);
    parts.push(line("majority", left, at, right, at), text("tick", right - 4, Number(at) - 6, "end", "majority class"));
  }
  if (typeof x.baseline === "number") {
    const at = frame.px(x.baseline).toFixed(1);
    parts.push(line("majority", at, top, at, bottom));
  }
  const better = (axis) => (axis.more ? "more is better" : "less is better");
  const middle = (top + bottom) / 2;
  parts.push(
    line("base", left, bottom, right, bottom),
    text("name", (left + right) / 2, height - 10, "middle", frame.width < 500 ? x.title : `${x.title} \u00b7 ${better(x)}`),
    text("name", 14, middle, "middle", y.kind === "score" || y.title.length > 32 ? y.title : `${y.title} \u00b7 ${better(y)}`, `rotate(-90 14 ${middle})`),
  );
  return parts;
}

const tickText = (axis, value) => (axis.kind === "score" ? digits(value) : shown(axis, value));

// Shade what lies beyond the budget.
function limitShades(view, frame, x, y) {
  const within = (low, high, value) => Math.min(high, Math.max(low, value));
  return limitsOf(view).flatMap(({ axis, limit }) => {
    const { left, right, top, bottom } = frame;
    if (axis === x) {
      const at = within(left, right, frame.px(limit));
      const [from, to] = axis.more ? [left, at] : [at, right];
      return [draw("rect", { class: "beyond", x: from, y: top, width: to - from, height: bottom - top })];
    }
    if (axis === y) {
      const at = within(top, bottom, frame.py(limit));
      const [from, to] = axis.more ? [at, bottom] : [top, at];
      return [draw("rect", { class: "beyond", x: left, y: from, width: right - left, height: to - from })];
    }
    return [];
  });
}

function barsOf(frame, rows, found, x, y) {
  return rows.flatMap((row) => {
    const { x: px, y: py } = frame.at(row);
    const kind = `bar ${lookOf(row, found)}`;
    const [[low, high], [first, last]] = [ends(valueOf(row, y)), ends(valueOf(row, x))];
    const bars = [];
    if (low < high) bars.push(draw("line", { class: `${kind} up`, x1: px, x2: px, y1: frame.py(low), y2: frame.py(high) }));
    if (first < last) bars.push(draw("line", { class: `${kind} across`, x1: frame.px(first), x2: frame.px(last), y1: py, y2: py }));
    return bars;
  });
}

// Draw steps along the cost first, then along the score, and on to the dear end of the cost.
function frontLine(frame, front, x, y) {
  const turned = isTurned(x, y);
  const step = (place) => (turned ? `V${place.y}H${place.x}` : `H${place.x}V${place.y}`);
  const places = front.map((row) => frame.at(row));
  let path = places.map((place, at) => (at ? step(place) : `M${place.x} ${place.y}`)).join("");
  const [near, far] = turned ? [frame.bottom, frame.top] : [frame.left, frame.right];
  if (path) path += `${turned ? "V" : "H"}${(turned ? y : x).more ? near : far}`;
  return draw("path", { class: "front", d: path });
}

const lookOf = (row, { front, beaten }) => (front.includes(row) ? "best" : beaten.has(row) ? "beaten" : "even");

function dotOf(view, frame, row, found, x, y) {
  const place = frame.at(row);
  const words = `${row.name}: ${withEnds(y, valueOf(row, y))}, ${withEnds(x, valueOf(row, x))}`;
  const dot = draw("g", { class: `dot ${lookOf(row, found)}`, tabindex: -1, role: "button", "aria-label": words },
    draw("circle", { class: "reach", ...centre(place), r: 12 }), draw("circle", { ...centre(place), r: 5 }));
  const tell = () => {
    const lines = [y, x].map((axis) => make("span", {}, `${axis.title}: ${withEnds(axis, valueOf(row, axis))}`));
    view.tip.replaceChildren(make("strong", {}, row.name), ...lines);
    view.tip.hidden = false;
    const half = view.tip.offsetWidth / 2;
    view.tip.style.left = `${Math.max(half, Math.min(frame.width - half, place.x))}px`;
    view.tip.style.top = `${place.y}px`;
    view.tip.classList.toggle("below", place.y < 100);
    row.element.classList.add("hot");
  };
  const hush = () => { view.tip.hidden = true; row.element.classList.remove("hot"); };
  const open = () => { openRow(view, row, true); row.element.scrollIntoView({ block: "center" }); };
  for (const event of ["pointerenter", "focus"]) dot.addEventListener(event, tell);
  for (const event of ["pointerleave", "blur"]) dot.addEventListener(event, hush);
  dot.addEventListener("click", (event) => {
    const first = event.pointerType === "touch" && view.tapped !== row; // the first tap shows numbers
    view.tapped = row;
    if (first) tell();
    else open();
  });
  dot.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); }
    if (event.key === "Escape") hush();
  });
  view.dots.set(row, dot);
  return dot;
}

// One dot is a stop of the Tab key; arrow keys move to the others, from left to right.
function moveBetweenDots(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const all = [...event.currentTarget.querySelectorAll(".dot")];
  const at = all.indexOf(document.activeElement);
  if (!step || at < 0) return;
  event.preventDefault();
  const next = all[(at + step + all.length) % all.length];
  all[at].setAttribute("tabindex", -1);
  next.setAttribute("tabindex", 0);
  next.focus();
}

function withEnds(axis, value) {
  const text = shown(axis, value[0]);
  return value.length > 1 ? `${text} (${shown(axis, value[1])} to ${shown(axis, value[2])})` : text;
}

function namesOf(frame, rows, found) {
  const order = [...found.front, ...rows.filter((row) => !found.front.includes(row))];
  const named = rows.length <= NAMED ? order : found.front;
  const texts = named.map(({ name }) => (name.length > 24 ? `${name.slice(0, 23)}\u2026` : name));
  const places = namePlaces(named.map((row) => ({ ...frame.at(row), above: found.front.includes(row) })), texts, frame.width - 4);
  return places.flatMap((place, at) => (place
    ? [draw("text", { class: `label ${lookOf(named[at], found)}`, x: place[0], y: place[1], "text-anchor": place[2] }, texts[at])]
    : []));
}

function caption(view, { front }, rows, x, y) {
  const list = front.map(({ name }) => name).join(", ");
  const tests = [x.id, y.id].includes("average") && view.data.ranked;
  view.element.querySelector(".front-list").textContent = list ? `On the front: ${list}.` : "No row is left.";
  view.element.querySelector(".front-rule").textContent = tests
    ? "A better average counts if the difference is significant, a lower cost if the intervals do not overlap."
    : "A difference counts if the intervals do not overlap.";
  view.element.querySelector(".bars-rule").hidden = !rows.some((row) => valueOf(row, x).length > 1 || valueOf(row, y).length > 1);
}
