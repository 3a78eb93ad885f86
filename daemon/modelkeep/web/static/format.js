// Numbers, sizes and times in the language and the time zone of the reader.

const number = new Intl.NumberFormat();
const percentage = new Intl.NumberFormat(undefined, { style: "percent" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const time = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

const milliseconds = new Intl.NumberFormat(undefined, { style: "unit", unit: "millisecond", unitDisplay: "short", maximumSignificantDigits: 2 });

const SIZES = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
const sizes = SIZES.map(
  (unit, power) =>
    new Intl.NumberFormat(undefined, { style: "unit", unit, unitDisplay: power ? "short" : "long", maximumFractionDigits: power > 1 ? 1 : 0 }),
);
const SPANS = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

export const count = (value) => number.format(value);
export const share = (part, whole) => percentage.format(whole ? Math.min(1, part / whole) : 0);

// "1 model", "2,000 models".
export const counted = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

export function size(bytes) {
  const power = Math.min(SIZES.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return sizes[power].format(bytes / 1000 ** power);
}

export const capitalised = (words) => words[0].toUpperCase() + words.slice(1);

export const speed = (bytesPerSecond) => `${size(bytesPerSecond)}/s`;

// "1 hr 5 min", of the two largest units; "12 ms" of less than a second.
export function span(seconds) {
  if (seconds < 1) {
    return milliseconds.format(Math.max(0, seconds) * 1000);
  }
  let left = Math.round(seconds);
  const parts = [];
  for (const [unit, length] of SPANS) {
    if (left >= length && parts.length < 2) {
      parts.push(new Intl.NumberFormat(undefined, { style: "unit", unit, unitDisplay: "short" }).format(Math.floor(left / length)));
      left %= length;
    }
  }
  return parts.join(" ");
}

// Times are milliseconds since 1970, or what Date reads; none is 0 and shown as a dash.
const shown = (format) => (value) => (value ? format.format(new Date(value)) : "–");
export const dateTime = shown(moment);
export const day = shown(date);
export const clock = shown(time);

// "3 minutes ago", "in 2 hours".
export function ago(value) {
  const seconds = (new Date(value) - Date.now()) / 1000;
  const [unit, length] = SPANS.find(([, length]) => Math.abs(seconds) >= length) ?? SPANS.at(-1);
  return relative.format(Math.round(seconds / length), unit);
}

// The last part of a path.
export const baseName = (path) => path.slice(path.lastIndexOf("/") + 1);

// What a model or a row is called where it has to be told from others: by its file, if its name is blank.
export const called = ({ name, path }) => (name.trim() ? name : baseName(path));
