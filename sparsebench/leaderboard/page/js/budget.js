// The budget: a field and a slider for each cost; table, plot and front follow them together.
function budgetFields(view) {
  const panel = view.element.querySelector(".budget .fields");
  for (const axis of view.data.axes) {
    const values = view.rows.map((row) => row.values[axis.id]?.[0]).filter((value) => value !== undefined);
    const steps = [...new Set(values)].sort((a, b) => (axis.more ? b - a : a - b));
    if (axis.field && steps.length > 1) panel.append(budgetField(view, axis, steps));
  }
  const clear = make("button", { type: "button", class: "quiet no-budget" }, "Remove the budget");
  clear.addEventListener("click", () => {
    for (const axis of view.data.axes) delete view.state[axis.id];
    refresh(view);
  });
  panel.after(clear);
  view.parts.push(() => { clear.hidden = !limitsOf(view).length; });
}

function budgetField(view, axis, steps) {
  const id = `${view.number}-${axis.id}`;
  const sign = axis.more ? "at least" : "at most";
  const text = make("input", {
    type: "text", id, autocomplete: "off", spellcheck: "false", inputmode: "text",
    placeholder: `${shown(axis, Math.min(...steps))} to ${shown(axis, Math.max(...steps))}`, title: `Such as ${EXAMPLES[axis.kind]}`,
  });
  const slider = make("input", {
    type: "range", min: 0, max: steps.length, step: 1, "aria-label": `${axis.field}, ${sign}`,
  });
  text.addEventListener("input", () => { view.state[axis.id] = text.value; refresh(view); });
  slider.addEventListener("input", () => {
    const at = Number(slider.value);
    view.state[axis.id] = at < steps.length ? outward(axis, steps[at]) : "";
    refresh(view);
  });
  view.parts.push(() => {
    const value = view.state[axis.id] ?? "";
    if (text.value !== value) text.value = value;
    const limit = amount(value, axis, view.data.wholes[axis.id]);
    const bad = Number.isNaN(limit);
    text.setAttribute("aria-invalid", bad);
    const place = steps.filter((step) => fitsLimit(step, limit, axis)).length - 1;
    slider.value = limit === null || bad ? steps.length : Math.max(0, place);
    slider.classList.toggle("off", limit === null || bad);
    slider.setAttribute("aria-valuetext", limit === null || bad ? "no limit" : value);
    if (slider.classList.contains("off")) slider.style.removeProperty("--filled");
    else slider.style.setProperty("--filled", `${(100 * slider.value) / steps.length}%`);
  });
  return make("div", { class: "field" },
    make("label", { for: id }, axis.field, make("small", {}, ` ${sign}`)), text, slider);
}

// Ratios are compared as the table shows them, so that 1.00 fits a limit of 1.
function fitsLimit(exact, limit, axis) {
  const value = axis.kind === "ratio" ? Math.round(100 * exact) / 100 : exact;
  const slack = 1e-9 * Math.abs(limit);
  return axis.more ? value >= limit - slack : value <= limit + slack;
}

// Return the limits that are set and can be read.
function limitsOf(view) {
  return view.data.axes
    .map((axis) => ({ axis, limit: amount(view.state[axis.id] ?? "", axis, view.data.wholes[axis.id]) }))
    .filter(({ limit }) => limit !== null && !Number.isNaN(limit));
}

// Return the rows within the budget; a row without a measurement of a limited cost is not.
function withinBudget(view) {
  const limits = limitsOf(view);
  const fits = (row) => limits.every(({ axis, limit }) =>
    valueOf(row, axis) !== undefined && fitsLimit(valueOf(row, axis)[0], limit, axis));
  const unknown = view.rows.filter((row) => limits.some(({ axis }) => valueOf(row, axis) === undefined));
  return { rows: new Set(view.rows.filter(fits)), unknown: unknown.length, limited: limits.length > 0 };
}
