// A row opened: settings, training, environment, per-seed scores, loss curves, activation density.
function openButtons(view) {
  for (const row of view.rows) {
    const cell = row.element.cells[0];
    const button = make("button", { type: "button", class: "open", "aria-expanded": "false" });
    button.append(...cell.childNodes);
    cell.append(button);
    row.button = button;
    button.addEventListener("click", () => openRow(view, row, !row.opened));
    row.element.addEventListener("pointerenter", () => view.dots?.get(row)?.classList.add("hot"));
    row.element.addEventListener("pointerleave", () => view.dots?.get(row)?.classList.remove("hot"));
  }
  view.parts.push(() => {
    const open = names(view.state.open);
    const width = view.columns.filter((_, at) => !view.rows[0].element.cells[at].hidden).length;
    for (const row of view.rows) {
      const wanted = open.includes(row.name);
      if (wanted && !row.opened) {
        row.opened = make("tr", { class: "details" }, make("td", {}, make("div", { class: "sheet" }, ...sheetOf(view, row))));
        row.element.after(row.opened);
      } else if (!wanted && row.opened) {
        row.opened.remove();
        row.opened = undefined;
      }
      if (row.opened) {
        row.opened.hidden = row.element.hidden;
        row.opened.cells[0].colSpan = width;
      }
      row.button.setAttribute("aria-expanded", wanted);
    }
  });
}

function openRow(view, row, on) {
  view.state.open = toggled(view.state.open, row.name, on);
  refresh(view);
}

function sheetOf(view, row) {
  const details = row.details;
  const links = details.paper
    ? [make("a", { href: details.paper, rel: "noreferrer", target: "_blank" }, "Paper")] : [];
  const parts = [
    block("Method", make("p", {}, details.method, " ", ...links), termList(details.settings)),
    block("Training", termList(details.training)),
    block("Scores by seed", seedTable(view, details.scores), ...failures(details.failures)),
    block("Where and when", termList(details.environment)),
    lossCurves(details.curves),
  ];
  return parts.filter(Boolean);
}

function block(title, ...content) {
  const kept = content.filter(Boolean);
  return kept.length ? make("section", { class: "block" }, make("h4", {}, title), ...kept) : null;
}

function termList(terms) {
  const pairs = Object.entries(terms ?? {});
  if (!pairs.length) return null;
  const words = (key) => key.replaceAll("_", " ");
  return make("dl", {}, ...pairs.flatMap(([key, value]) => [make("dt", {}, words(key)), make("dd", {}, value)]));
}

function failures(lines) {
  return lines.length ? [make("ul", { class: "warning" }, ...lines.map((line) => make("li", {}, line)))] : [];
}

function seedTable(view, scores) {
  const seeds = [...new Set(scores.flatMap((cell) => Object.keys(cell)))];
  if (!seeds.length) return null;
  seeds.sort((a, b) => a - b);
  const head = make("tr", {}, make("th", { scope: "col" }, "task"),
    ...seeds.map((seed) => make("th", { scope: "col", class: "number" }, `seed ${seed}`)));
  const lines = view.data.tasks.map((task, at) => make("tr", {}, make("th", { scope: "row" }, task),
    ...seeds.map((seed) => make("td", { class: "number" }, scores[at][seed]?.toFixed(1) ?? "\u2014"))));
  return make("table", { class: "seeds" }, make("thead", {}, head), make("tbody", {}, ...lines));
}

function lossCurves(curves) {
  const tasks = Object.entries(curves ?? {});
  if (!tasks.length) return null;
  const pictures = tasks.map(([task, seeds]) => make("figure", {}, curvePicture(task, seeds), make("figcaption", {}, task)));
  return make("section", { class: "block wide" }, make("h4", {}, "Training loss, one line per seed"),
    make("div", { class: "curves" }, ...pictures));
}

function curvePicture(task, seeds) {
  const [width, height, left, bottom] = [240, 130, 34, 110];
  const points = Object.values(seeds).flat();
  const axis = { kind: "plain" };
  const across = Math.max(...points.map(([step]) => step));
  const down = linearScale(axis, points.map(([, loss]) => loss), 4);
  const px = (step) => (left + (step / across) * (width - left - 6)).toFixed(1);
  const py = (loss) => (bottom - down.place(loss) * (bottom - 8)).toFixed(1);
  const words = Object.entries(seeds).map(([seed, line]) => `seed ${seed} ends at ${digits(line.at(-1)[1])}`);
  const picture = draw("svg", { class: "curve", role: "img", viewBox: `0 0 ${width} ${height}`, "aria-label": `Training loss on ${task}: ${words.join(", ")}` });
  for (const tick of down.ticks) {
    picture.append(draw("line", { class: "grid", x1: left, x2: width - 6, y1: py(tick), y2: py(tick) }),
      draw("text", { class: "tick", x: left - 6, y: Number(py(tick)) + 3, "text-anchor": "end" }, digits(tick)));
  }
  picture.append(
    draw("text", { class: "tick", x: left, y: height - 5, "text-anchor": "start" }, "0"),
    draw("text", { class: "tick", x: width - 6, y: height - 5, "text-anchor": "end" }, `${across.toLocaleString("en")} steps`));
  for (const line of Object.values(seeds)) {
    picture.append(draw("polyline", { points: line.map(([step, loss]) => `${px(step)},${py(loss)}`).join(" ") }));
  }
  return picture;
}
