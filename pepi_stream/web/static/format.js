// Numbers, durations, bytes and times as text. The same everywhere: no locale decides what 1,234 means.

const group = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, ",");

// 12345 -> "12,345"; fractions only for small numbers, where they say something.
export function count(value) {
  if (!Number.isFinite(value)) return "–";
  const sign = value < 0 ? "−" : "";
  const size = Math.abs(value);
  if (size < 10 && !Number.isInteger(size)) return sign + size.toFixed(1);
  return sign + group(Math.round(size).toFixed(0));
}

const SI = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

// From `from` on with an SI prefix: 1234567 -> "1.23 M".
export function si(value, from = 1e6) {
  if (!Number.isFinite(value) || Math.abs(value) < from) return count(value);
  const [size, prefix] = SI.find(([unit]) => Math.abs(value) >= unit * 0.9995);
  const scaled = value / size;
  return `${scaled.toFixed(scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2)} ${prefix}`;
}

// Ticks of an axis are round numbers: 20000 -> "20k".
export function tick(value) {
  const [size, prefix] = SI.find(([unit]) => value >= unit) ?? [1, ""];
  return `${Number((value / size).toFixed(2))}${prefix && ` ${prefix}`}`;
}

// Seconds -> "80 ms", "1.2 s", "12 s", "3 min", "5 h", "2 d".
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const size = Math.max(0, seconds);
  if (size < 0.9995) return `${Math.round(size * 1000)} ms`;
  if (size < 9.95) return `${size.toFixed(1)} s`;
  if (size < 59.5) return `${Math.round(size)} s`;
  if (size < 3570) return `${Math.round(size / 60)} min`;
  if (size < 172800) return `${Number((size / 3600).toFixed(size < 36000 ? 1 : 0))} h`;
  return `${Math.round(size / 86400)} d`;
}

// How long ago, in whole units: an age that is redrawn several times a second should not flicker.
export const age = (seconds) => (seconds < 60 ? `${Math.max(0, Math.floor(seconds))} s` : duration(seconds));

export function bytes(value) {
  if (!Number.isFinite(value)) return "–";
  if (value < 1024) return `${value} B`;
  const [size, unit] = value < 1048576 ? [1024, "KiB"] : [1048576, "MiB"];
  return `${(value / size).toFixed(value / size < 10 ? 1 : 0)} ${unit}`;
}

// A share of 0 to 1 -> "97.4 %"; small ones keep their digits, for complaints live below 0.1 %.
export function percent(share) {
  if (share === null || !Number.isFinite(share)) return "–";
  const value = share * 100;
  const size = Math.abs(value);
  // 99.996 is not 100: somebody's mail is in between.
  if (size >= 99 && size < 100) return `${(Math.floor(value * 100) / 100).toFixed(2)} %`;
  return `${value.toFixed(size === 0 || size >= 100 ? 0 : size < 0.1 ? 3 : size < 1 ? 2 : 1)} %`;
}

const two = (value) => String(value).padStart(2, "0");
const day = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;

// ms since 1970 -> "13:38" or "13:38:17" in the viewer's zone, with the date when it is not today's.
export function clock(ms, { seconds = false, today = Date.now() } = {}) {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return "–";
  const time = `${two(date.getHours())}:${two(date.getMinutes())}${seconds ? `:${two(date.getSeconds())}` : ""}`;
  return day(date) === day(new Date(today)) ? time : `${day(date)} ${time}`;
}

// For <time datetime>.
export function stamp(ms) {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString();
}

export function utc(ms) {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return "";
  return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

// A hex string -> lines of offset, sixteen bytes and their ASCII, as hexdump -C has them.
export function hexDump(hex) {
  const lines = [];
  for (let at = 0; at < hex.length; at += 32) {
    const pairs = hex.slice(at, at + 32).match(/../g) ?? [];
    const ascii = pairs.map((pair) => {
      const code = Number.parseInt(pair, 16);
      return code >= 32 && code < 127 ? String.fromCharCode(code) : ".";
    });
    const [left, right] = [pairs.slice(0, 8).join(" "), pairs.slice(8).join(" ")];
    const offset = (at / 2).toString(16).padStart(8, "0");
    lines.push(`${offset}  ${left.padEnd(23)}  ${right.padEnd(23)}  ${ascii.join("")}`);
  }
  return lines.join("\n");
}
