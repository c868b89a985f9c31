// The table: sorting best first, filters of columns, columns to show, rows that open.
const number = (text) => (text === "" ? NaN : Number(text));

// Return the test of a filter: "> 80" and "<= 1.2" compare numbers, other text is searched for.
function test(filter, isNumber) {
  const wanted = filter.trim().toLowerCase();
  if (!wanted) return null;
  const bound = /^(<=|>=|<|>|=)\s*(-?[\d.,]+)$/.exec(wanted);
  if (!bound || !isNumber) return (cell) => cell.text.includes(wanted);
  const limit = Number(bound[2].replace(/,/g, ""));
  const holds = {
    "<": (x) => x < limit, "<=": (x) => x <= limit, "=": (x) => x === limit,
    ">": (x) => x > limit, ">=": (x) => x >= limit,
  }[bound[1]];
  return (cell) => holds(cell.shown);
}

function readTable(view) {
  const table = view.element.querySelector("table.board");
  const body = table.tBodies[0];
  const columns = [...table.querySelectorAll(".headings th")].map((heading) => ({
    heading,
    name: heading.textContent.trim(),
    isNumber: heading.classList.contains("number"),
    more: heading.dataset.best === "high",
  }));
  view.rows.forEach((row, at) => {
    row.element = body.rows[at];
    row.cells = [...row.element.cells].map((cell, place) => ({
      key: columns[place].isNumber ? number(cell.dataset.k) : cell.dataset.k.toLowerCase(),
      text: cell.textContent.trim().toLowerCase(),
      shown: parseFloat(cell.textContent.replace(/,/g, "")),
    }));
  });
  Object.assign(view, { table, body, columns });
}

function sortButtons(view) {
  view.columns.forEach((column) => {
    const button = make("button", { type: "button" });
    button.append(...column.heading.childNodes);
    button.addEventListener("click", () => {
      view.state.sort = view.state.sort === column.name ? `-${column.name}` : column.name;
      refresh(view);
    });
    column.heading.append(button);
  });
  view.parts.push(() => sortRows(view));
}

function sortRows(view) {
  const sort = view.state.sort ?? "";
  if (sort === view.sorted) return;
  const at = view.columns.findIndex(({ name }) => name === sort || `-${name}` === sort);
  if (at < 0 && !view.sorted) return;
  view.sorted = sort;
  for (const { heading } of view.columns) heading.removeAttribute("aria-sort");
  const missing = (key) => key === "" || Number.isNaN(key);
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  const order = [...view.rows];
  if (at >= 0) {
    const column = view.columns[at];
    const up = (sort === column.name) !== column.more;
    column.heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    order.sort((one, other) => {
      const [a, b] = [one.cells[at].key, other.cells[at].key];
      if (missing(a) || missing(b)) return missing(a) - missing(b); // missing values stay last
      return (column.isNumber ? a - b : compare(a, b)) * (up ? 1 : -1);
    });
  }
  const sorted = document.createDocumentFragment();
  for (const row of order) sorted.append(...[row.element, row.opened].filter(Boolean));
  view.body.append(sorted);
}

function columnFilters(view) {
  const line = make("tr", { class: "filters" });
  const fields = view.columns.map(({ name, isNumber }) => {
    const key = `filter.${name}`;
    const field = make("input", {
      type: "text", autocomplete: "off", placeholder: isNumber ? "> \u2026" : "\u2026", "aria-label": `Filter ${name}`,
    });
    field.addEventListener("input", () => { view.state[key] = field.value; refresh(view); });
    line.append(make("td", {}, field));
    return [key, field];
  });
  view.table.tHead.append(line);
  const button = view.element.querySelector(".show-filters");
  button.addEventListener("click", () => {
    view.state.filters = view.state.filters ? "" : "yes";
    refresh(view);
  });
  view.parts.push(() => {
    const open = Boolean(view.state.filters) || fields.some(([key]) => view.state[key]);
    line.hidden = !open;
    button.setAttribute("aria-pressed", open);
    for (const [key, field] of fields) if (field.value !== (view.state[key] ?? "")) field.value = view.state[key] ?? "";
  });
}

// Return the rows that the search and the filters of the columns leave.
function withinFilters(view) {
  const find = (view.state.find ?? "").trim().toLowerCase();
  const tests = view.columns
    .map(({ name, isNumber }, at) => [test(view.state[`filter.${name}`] ?? "", isNumber), at])
    .filter(([check]) => check);
  return view.rows.filter(({ cells }) =>
    cells[0].text.includes(find) && tests.every(([check, at]) => check(cells[at])));
}

function columnChooser(view) {
  const list = view.element.querySelector(".columns .list");
  const boxes = view.columns.slice(1).map(({ name }, place) => {
    const box = make("input", { type: "checkbox" });
    box.addEventListener("change", () => {
      view.state.hide = toggled(view.state.hide, name, !box.checked);
      refresh(view);
    });
    list.append(make("label", {}, box, ` ${name}`));
    return [name, box, place + 1];
  });
  let before = "";
  view.parts.push(() => {
    if (before === (view.state.hide ?? "")) { for (const [name, box] of boxes) box.checked = !names(before).includes(name); return; }
    before = view.state.hide ?? "";
    const hidden = names(before);
    for (const [name, box, at] of boxes) {
      box.checked = !hidden.includes(name);
      const lines = [...view.table.tHead.rows, ...view.rows.map(({ element }) => element)];
      for (const line of lines.concat(...(view.table.tFoot?.rows ?? []))) {
        line.cells[at].hidden = !box.checked;
      }
    }
  });
}

// Draw the interval of each average as a small line beside the number, on one scale.
function whiskers(view) {
  const at = view.columns.findIndex(({ name }) => name === "average");
  const values = view.rows.map((row) => row.values.average).filter(Boolean);
  if (at < 0 || !values.some((value) => value.length > 1)) return;
  const low = Math.min(...values.map((value) => ends(value)[0]));
  const high = Math.max(...values.map((value) => ends(value)[1]));
  const place = (value) => `${((100 * (value - low)) / (high - low || 1)).toFixed(1)}%`;
  for (const row of view.rows) {
    const value = row.values.average;
    if (!value) continue;
    const mark = make("span", { class: "whisker", "aria-hidden": "true" });
    const [first, last] = ends(value);
    for (const [name, end] of [["--low", first], ["--high", last], ["--mid", value[0]]]) {
      mark.style.setProperty(name, place(end));
    }
    row.element.cells[at].prepend(mark);
  }
}
