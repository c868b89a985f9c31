// The Pareto front: a row counts as better only where the tests or the intervals say so.
const valueOf = (row, axis) => row.values[axis.id];
const ends = (value) => (value.length > 1 ? [value[1], value[2]] : [value[0], value[0]]);

// Return whether one row is better than another on an axis beyond the noise.
function surelyBetter(view, one, other, axis) {
  if (axis.id === "average" && view.data.ranked) return other.worse.has(one.at);
  const [a, b] = [ends(valueOf(one, axis)), ends(valueOf(other, axis))];
  return axis.more ? a[0] > b[1] : a[1] < b[0];
}

// Return the rows of the front, and those that another row surely beats at no more cost.
function frontOf(view, rows, x, y) {
  const better = (axis) => (a, b) => surelyBetter(view, a, b, axis);
  const [left, up] = [better(x), better(y)];
  const beats = (a, b) => up(a, b) && !left(b, a);
  const beaten = new Set(rows.filter((row) => rows.some((other) => beats(other, row))));
  const sign = (axis) => (axis.more ? -1 : 1);
  const order = [...rows].sort((a, b) =>
    sign(x) * (valueOf(a, x)[0] - valueOf(b, x)[0]) || sign(y) * (valueOf(a, y)[0] - valueOf(b, y)[0]));
  const front = [];
  for (const row of order) {
    if (beaten.has(row) || (front.length && !up(row, front.at(-1)))) continue;
    while (front.length && !left(front.at(-1), row)) front.pop();
    front.push(row);
  }
  return { front, beaten };
}
