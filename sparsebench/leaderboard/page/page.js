"use strict";
// Add sorting, filtering and the choice of a plot to tables that are complete without it.
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

function activate(section) {
  const body = section.querySelector("tbody");
  const headings = [...section.querySelectorAll(".headings th")];
  const numeric = headings.map((heading) => heading.classList.contains("number"));
  const rows = [...body.rows].map((element) => ({
    element,
    cells: [...element.cells].map((cell, at) => ({
      key: numeric[at] ? number(cell.dataset.k) : cell.dataset.k.toLowerCase(),
      text: cell.textContent.trim().toLowerCase(),
      shown: parseFloat(cell.textContent.replace(/,/g, "")),
    })),
  }));
  const [find, clear] = [section.querySelector(".find"), section.querySelector(".clear")];
  const count = section.querySelector(".count");

  const line = document.createElement("tr");
  line.className = "filters";
  const fields = headings.map((heading, at) => {
    const field = document.createElement("input");
    field.type = "text";
    field.autocomplete = "off";
    field.placeholder = numeric[at] ? "> \u2026" : "\u2026";
    field.setAttribute("aria-label", `Filter ${heading.textContent}`);
    const cell = document.createElement("td");
    cell.append(field);
    line.append(cell);
    return field;
  });
  section.querySelector("thead").append(line);

  function filter() {
    const tests = fields.map((field, at) => test(field.value, numeric[at]));
    const name = find.value.trim().toLowerCase();
    let left = 0;
    for (const row of rows) {
      const stays = row.cells[0].text.includes(name) &&
        tests.every((check, at) => !check || check(row.cells[at]));
      if (row.element.hidden === stays) row.element.hidden = !stays;
      left += stays;
    }
    count.textContent = left === rows.length ? `${left} rows` : `${left} of ${rows.length} rows`;
  }

  function sort(at) {
    const heading = headings[at];
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of headings) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const missing = (key) => key === "" || Number.isNaN(key);
    const order = new Intl.Collator("en", { numeric: true }).compare;
    rows.sort((one, other) => {
      const [a, b] = [one.cells[at].key, other.cells[at].key];
      if (missing(a) || missing(b)) return missing(a) - missing(b); // missing values stay last
      return (numeric[at] ? a - b : order(a, b)) * (up ? 1 : -1);
    });
    const sorted = document.createDocumentFragment();
    for (const row of rows) sorted.append(row.element);
    body.append(sorted);
  }

  headings.forEach((heading, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(at));
    heading.append(button);
  });
  for (const field of [find, ...fields]) field.addEventListener("input", filter);
  clear.addEventListener("click", () => {
    for (const field of [find, ...fields]) field.value = "";
    filter();
  });

  const figures = [...section.querySelectorAll("figure")];
  const cost = section.querySelector(".cost");
  const choose = () => {
    for (const figure of figures) figure.hidden = figure.dataset.cost !== cost.value;
  };
  if (cost) {
    cost.addEventListener("change", choose);
    choose();
  }
  for (const tools of section.querySelectorAll(".tools")) tools.hidden = false;
  filter();
}

document.querySelectorAll("main > section").forEach(activate);
