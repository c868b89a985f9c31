// Build every group, and redraw one when its state changes.
const views = [];

function viewOf(element, at) {
  const data = JSON.parse(element.querySelector("script.data").textContent);
  const rows = data.rows.map((row, place) => ({ ...row, at: place, worse: new Set(row.worse) }));
  const prefix = at ? `${at + 1}.` : "";
  return { element, data, rows, number: at + 1, prefix, state: readAddress(prefix), defaults: {}, parts: [], shown: new Set() };
}

function refresh(view, note = true) {
  const budget = withinBudget(view);
  const inTable = new Set(withinFilters(view).filter((row) => budget.rows.has(row)));
  view.shown = inTable;
  for (const row of view.rows) if (row.element.hidden === inTable.has(row)) row.element.hidden = !inTable.has(row);
  for (const part of view.parts) part();
  const all = view.rows.length;
  const count = inTable.size === all ? `${all} rows` : `${inTable.size} of ${all} rows`;
  view.element.querySelector(".count").textContent = count;
  const lacking = budget.unknown ? `; ${budget.unknown} not measured` : "";
  view.element.querySelector(".fit").textContent = budget.limited
    ? `${budget.rows.size} of ${all} methods fit the budget${lacking}` : "No limit is set";
  if (note) writeAddress(views);
}

function searchAndClear(view) {
  const find = view.element.querySelector(".find");
  find.addEventListener("input", () => { view.state.find = find.value; refresh(view); });
  view.parts.push(() => { if (find.value !== (view.state.find ?? "")) find.value = view.state.find ?? ""; });
  const clear = view.element.querySelector(".clear");
  const filtering = (key) => key === "find" || key === "filters" || key.startsWith("filter.");
  clear.addEventListener("click", () => {
    for (const key of Object.keys(view.state).filter(filtering)) delete view.state[key];
    refresh(view);
  });
  view.parts.push(() => {
    clear.hidden = !Object.keys(view.state).some((key) => filtering(key) && view.state[key]);
  });
}

function activate(element, at) {
  const view = viewOf(element, at);
  readTable(view);
  whiskers(view);
  sortButtons(view);
  columnFilters(view);
  columnChooser(view);
  openButtons(view);
  searchAndClear(view);
  budgetFields(view);
  for (const part of element.querySelectorAll(".scripted")) part.hidden = false;
  if (matchMedia("(max-width: 60rem)").matches) element.querySelector(".budget").open = Boolean(limitsOf(view).length);
  axisChoices(view);
  significance(view);
  views.push(view);
  refresh(view, false);
}

document.querySelectorAll("main > section").forEach(activate);
addEventListener("hashchange", () => {
  for (const view of views) {
    view.state = readAddress(view.prefix);
    refresh(view, false);
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll(".columns[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(".columns[open]")) if (!menu.contains(event.target)) menu.open = false;
});
