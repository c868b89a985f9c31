// Numbers as people write them: "100k", "1 %", "0.8x".
const COUNTS = { "": 1, k: 1e3, m: 1e6, g: 1e9, b: 1e9, t: 1e12 };
const BYTES = {
  "": 2 ** 20, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30,
  kb: 1e3, mb: 1e6, gb: 1e9, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30,
};
const SHARES = { "": 1, "%": 0.01 };
const RATIOS = { "": 1, x: 1, "%": 0.01 };
const EXAMPLES = { count: "100k, 1 % or 0.8x", share: "50 %", ratio: "0.8x", bytes: "500 MiB or 0.8x" };

function thousands(text) {
  const grouped = /^\d{1,3}(,\d{3})+(\.\d*)?$/.test(text);
  return Number(grouped ? text.replaceAll(",", "") : text.replace(",", "."));
}

// Return the amount that a text means on an axis: null for no text, NaN if it cannot be read.
function amount(text, axis, whole) {
  if (!text.trim()) return null;
  const written = text.trim().toLowerCase().replace("\u00d7", "x").replace(/^[<>\u2264\u2265]=?\s*/, "");
  const match = /^(\d[\d.,]*|\.\d+)\s*([a-z%]*)$/.exec(written);
  if (!match) return NaN;
  const [value, unit] = [thousands(match[1]), match[2]];
  if (axis.kind === "share") {
    const share = value * (SHARES[unit] ?? NaN);
    return unit === "" && share > 1 ? share / 100 : share;
  }
  if (axis.kind === "ratio") return value * (RATIOS[unit] ?? NaN);
  if (unit === "x") return value * (whole ?? NaN);
  if (unit === "%") return (value / 100) * (whole ?? NaN);
  return value * ((axis.kind === "bytes" ? BYTES : COUNTS)[unit] ?? NaN);
}

function digits(value, many = 3) {
  if (value === 0) return "0";
  const size = Math.floor(Math.log10(Math.abs(value)));
  return String(Number(value.toFixed(Math.min(12, Math.max(0, many - 1 - size)))));
}

function scaled(value, units, many) {
  for (const [size, unit] of units) if (Math.abs(value) >= size) return digits(value / size, many) + unit;
  return digits(value, many);
}

// Return a value of an axis as text.
function shown(axis, value, many = 3) {
  switch (axis.kind) {
    case "count": return scaled(value, [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]], many);
    case "bytes": return scaled(value, [[2 ** 30, " GiB"], [2 ** 20, " MiB"], [2 ** 10, " KiB"]], many);
    case "share": return `${digits(100 * value, many)} %`;
    case "ratio": return `${digits(value, many)}\u00d7`;
    case "score": return value.toFixed(1);
    default: return digits(value, many);
  }
}

// Return a value as text whose amount is on the far side of it, so that its own row still fits.
function outward(axis, value) {
  if (value === 0) return shown(axis, 0);
  const unit = axis.kind === "bytes" ? 1024 ** Math.floor(Math.log(value) / Math.log(1024)) : 1;
  const step = unit * 10 ** (Math.floor(Math.log10(value / unit)) - 2);
  const round = axis.more ? Math.floor : Math.ceil;
  return shown(axis, round(value / step - (axis.more ? -1e-9 : 1e-9)) * step);
}
