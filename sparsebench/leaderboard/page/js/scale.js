// The scales of the plot: round numbers on linear axes, powers of ten on logarithmic ones.
const DECADES = 1.3; // that values must span for a logarithmic axis

function roundStep(step) {
  const power = 10 ** Math.floor(Math.log10(step));
  return [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= step * 0.999);
}

function unitOf(axis, high) {
  if (axis.kind === "share") return 0.01;
  if (axis.kind !== "bytes") return 1;
  return high >= 2 ** 30 ? 2 ** 30 : 2 ** 20;
}

function linearScale(axis, values, many) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  const unit = unitOf(axis, high);
  if (high - low < 1e-9 * Math.max(1e-9, Math.abs(high))) {
    const apart = Math.abs(high) / 10 || unit;
    [low, high] = [low - apart, high + apart];
  }
  const step = roundStep((high - low) / many / unit) * unit;
  const pad = (high - low) / 40;
  const first = low >= 0 && low < pad ? 0 : low - pad;
  const ticks = [];
  for (let at = Math.ceil(first / step - 1e-9); at * step <= high + pad; at += 1) ticks.push(Number((at * step).toPrecision(12)));
  return { ticks, place: (value) => (value - first) / (high + pad - first) };
}

function logScale(axis, values) {
  const positive = values.filter((value) => value > 0);
  const zero = positive.length < values.length;
  const [low, high] = [Math.log10(Math.min(...positive)), Math.log10(Math.max(...positive))];
  const pad = (high - low) / 20;
  const first = low - pad - (zero ? 0.8 : 0);
  const place = (value) => (value > 0 ? Math.log10(value) - first : zero ? 0.25 : 0) / (high + pad - first);
  const every = Math.max(1, Math.ceil((high - low) / 6));
  const powers = [];
  for (let at = Math.ceil(low - pad); at <= high + pad; at += every) powers.push(10 ** at);
  return { ticks: zero ? [0, ...powers] : powers, place };
}

// Return the ticks of an axis, and a function from a value to its place from 0 to 1.
function scaleOf(axis, values, many) {
  const positive = values.filter((value) => value > 0);
  const wide = positive.length && Math.log10(Math.max(...positive) / Math.min(...positive)) > DECADES;
  const isLog = axis.kind !== "score" && axis.kind !== "share" && wide && Math.min(...values) >= 0;
  return isLog ? logScale(axis, values) : linearScale(axis, values, many);
}

const LETTER = 6.6;
const LINE = 13;

// Return the place of the name of each dot: the first one free of dots and of earlier names.
function namePlaces(dots, texts, width) {
  const taken = dots.map(({ x, y }) => [x - 6, y - 6, x + 6, y + 6]);
  const meets = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
  return dots.map(({ x, y, top, bottom, above }, at) => {
    const wide = LETTER * texts[at].length;
    const first = above ? [-8, 18] : [4, -9, 17];
    const rows = [...first, ...[1, 2, 3].flatMap((line) => [-9 - line * LINE, 17 + line * LINE])];
    const places = rows.flatMap((down) => [[x + 9, y + down, "start"], [x - 9, y + down, "end"]]);
    const box = ([left, base, side]) => {
      const from = side === "start" ? left : left - wide;
      return [from, base - LINE + 3, from + wide, base + 3];
    };
    const inside = places.filter((place) => {
      const [left, high, right, low] = box(place);
      return left >= 4 && right <= width && high >= top && low <= bottom;
    });
    const free = inside.find((place) => !taken.some((other) => meets(box(place), other)));
    if (free) taken.push(box(free));
    return free;
  });
}
