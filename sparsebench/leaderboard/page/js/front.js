// The Pareto front: a row counts as better only where the tests or the intervals say so.
const valueOf = (row, axis) => row.values[axis.id];
const ends = (value) => (value.length > 1 ? [value[1], value[2]] : [value[0], value[0]]);

// Return whether one row is better than another on an axis beyond the noise.
function surelyBetter(view, one, other, axis) {
  if (axis.id === "average" && view.data.ranked) return other.worse.has(one.at);
  const [a, b] = [ends(valueOf(one, axis)), ends(valueOf(other, axis))];
  return axis.more ? a[0] > b[1] : a[1] < b[0];
}

// Return whether the score is on the horizontal axis and the cost on the vertical one.
const isTurned = (x, y) => x.kind === "score" && y.kind !== "score";

// Return the rows of the front, and those that another row surely beats at no more cost.
function frontOf(view, rows, x, y) {
  if (isTurned(x, y)) [x, y] = [y, x];
  const better = (axis) => (a, b) => surelyBetter(view, a, b, axis);
  const [left, up] = [better(x), better(y)];
  const beats = (a, b) => up(a, b) && !left(b, a);
  const beaten = new Set(rows.filter((row) => rows.some((other) => beats(other, row))));
  const sign = (axis) => (axis.more ? -1 : 1);
  const order = [...rows].sort((a, b) =>
    sign(x) * (valueOf(a, x)[0] - valueOf(b, x)[0]) || sign(y) * (valueOf(a, y)[0] - valueOf(b, y)[0]));
  let front = [];
  for (const row of order.filter((each) => !beaten.has(each))) {
    const cheaper = front.filter((other) => left(other, row));
    const last = front.at(-1);
    const higher = last && sign(y) * (valueOf(row, y)[0] - valueOf(last, y)[0]) < 0;
    if (cheaper.length && !up(row, cheaper.at(-1))) continue;
    if (cheaper.length < front.length && !higher) continue; // of rows that cost the same, the higher
    front = [...cheaper, row];
  }
  return { front, beaten };
}
