// Significant differences as letters beside the averages, or as a matrix.
const MOST_IN_MATRIX = 40;

// Return the letters of each row: rows that share a letter do not differ significantly.
function letterGroups(rows) {
  const differ = (a, b) => a.worse.has(b.at) || b.worse.has(a.at);
  let groups = [new Set(rows)];
  for (const [at, one] of rows.entries()) {
    for (const other of rows.slice(at + 1)) {
      if (!differ(one, other)) continue;
      const split = groups.flatMap((group) => (group.has(one) && group.has(other)
        ? [one, other].map((gone) => new Set([...group].filter((row) => row !== gone))) : [group]));
      groups = split.filter((group, place) => !split.some((wider, index) =>
        index !== place && [...group].every((row) => wider.has(row)) && (wider.size > group.size || index < place)));
      if (groups.length > 26) return null;
    }
  }
  const first = (group) => rows.findIndex((row) => group.has(row));
  groups.sort((a, b) => first(a) - first(b) || b.size - a.size);
  return new Map(rows.map((row) => [row, groups.map((group, at) => (group.has(row) ? "abcdefghijklmnopqrstuvwxyz"[at] : "")).join("")]));
}

function significance(view) {
  const select = view.element.querySelector("select.marks");
  const ranked = view.rows.filter((row) => row.values.average);
  const at = view.columns.findIndex(({ name }) => name === "average");
  if (!view.data.ranked || at < 0) { select.closest("label").hidden = true; return; }
  const letters = ranked.length <= 100 ? letterGroups(ranked) : null;
  if (!letters) select.querySelector("[value=letters]").disabled = true;
  else for (const [row, text] of letters) row.element.cells[at].append(make("sup", { class: "letters", hidden: true }, text));
  const area = view.element.querySelector(".matrix");
  const key = view.element.querySelector(".letters-key");
  select.addEventListener("change", () => { view.state.marks = select.value; refresh(view); });
  view.defaults.marks = "none";
  view.parts.push(() => {
    const chosen = ["letters", "matrix"].includes(view.state.marks) ? view.state.marks : "none";
    select.value = chosen;
    for (const mark of view.table.querySelectorAll(".letters")) mark.hidden = chosen !== "letters";
    key.hidden = chosen !== "letters";
    area.hidden = chosen !== "matrix";
    if (chosen === "matrix") area.replaceChildren(...matrixOf(ranked.filter((row) => view.shown.has(row))));
  });
}

function matrixOf(rows) {
  if (rows.length > MOST_IN_MATRIX) return [make("p", { class: "about" }, `The matrix has room for ${MOST_IN_MATRIX} rows: filter the table.`)];
  const key = make("p", { class: "about" }, "Is the row significantly better (\u25b2) or worse (\u25bc) than the column? A dot: not significantly different.");
  const head = make("tr", {}, make("td"), ...rows.map((row) => make("th", { scope: "col" }, make("span", {}, row.name))));
  const body = rows.map((row) => make("tr", {}, make("th", { scope: "row" }, row.name), ...rows.map((other) => matrixCell(row, other))));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
  return [key, make("div", { class: "scroll", role: "region", "aria-label": "Significant differences", tabindex: 0 }, table)];
}

function matrixCell(row, other) {
  if (row === other) return make("td", { class: "same" });
  const [kind, mark, words] = other.worse.has(row.at) ? ["better", "\u25b2", "significantly better than"]
    : row.worse.has(other.at) ? ["worse", "\u25bc", "significantly worse than"]
      : ["tied", "\u00b7", "not significantly different from"];
  return make("td", { class: kind, title: `${row.name}: ${words} ${other.name}` }, mark);
}
