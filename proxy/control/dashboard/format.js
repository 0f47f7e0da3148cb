// Numbers as text: three significant digits, a unit, and a dash for an unknown value.

export const NONE = "\u2013";
const THIN = "\u202f";
const grouped = new Intl.NumberFormat("en-GB");
const clockTime = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayTime = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

const known = (value) => value !== null && value !== undefined && !Number.isNaN(value);

function digits(value) {
  const size = Math.abs(value);
  return size >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(size >= 10 ? 1 : 2);
}

export const count = (value) => (known(value) ? grouped.format(value).replaceAll(",", THIN) : NONE);

/** 950, 12.3k, 4.56M */
export function short(value) {
  if (!known(value)) return NONE;
  if (Math.abs(value) < 10_000) return count(Math.round(value));
  return value < 1e6 ? `${digits(value / 1e3)}k` : value < 1e9 ? `${digits(value / 1e6)}M` : `${digits(value / 1e9)}G`;
}

export function rate(value) {
  if (!known(value)) return NONE;
  return value >= 1000 ? short(value) : value >= 100 || Number.isInteger(value) ? digits(value) : value.toFixed(1);
}

/** Milliseconds: 0.4 ms, 812 ms, 2.10 s, 3 min 4 s */
export function ms(value) {
  if (!known(value)) return NONE;
  if (value < 10) return `${Number(value.toFixed(1))}${THIN}ms`;
  if (value < 999.5) return `${Math.round(value)}${THIN}ms`;
  return value < 60_000 ? `${digits(value / 1000)}${THIN}s` : span(value / 1000);
}

/** Seconds: 43 s, 3 min 4 s, 2 h 5 min, 3 d 4 h */
export function span(seconds) {
  if (!known(seconds)) return NONE;
  const whole = Math.max(0, Math.ceil(seconds));
  const parts = [[Math.floor(whole / 86400), "d"], [Math.floor(whole / 3600) % 24, "h"], [Math.floor(whole / 60) % 60, "min"], [whole % 60, "s"]];
  const first = parts.findIndex(([value]) => value > 0);
  if (first < 0) return `0${THIN}s`;
  return parts.slice(first, first + 2).filter(([value], place) => place === 0 || value > 0).map(([value, unit]) => `${value}${THIN}${unit}`).join(" ");
}

/** A fraction as a percentage: 100%, 99.2%, 0% */
export function percent(value) {
  if (!known(value)) return NONE;
  const shown = value >= 1 ? 100 : Math.min(99.9, value * 100);
  return `${Number(shown.toFixed(1))}%`;
}

export function bytes(value) {
  if (!known(value)) return NONE;
  return value < 1000 ? `${value}${THIN}B` : value < 1e6 ? `${digits(value / 1e3)}${THIN}kB` : `${digits(value / 1e6)}${THIN}MB`;
}

let money = { sign: "$", rate: 1 };

/** Show costs in this currency, `usdRate` of which are one USD. */
export function showIn({ currency, usdRate }) {
  const parts = new Intl.NumberFormat("en-GB", { style: "currency", currency, currencyDisplay: "narrowSymbol" }).formatToParts(0);
  const sign = parts.find(({ type }) => type === "currency").value;
  money = { sign: sign.length > 1 ? `${sign}${THIN}` : sign, rate: usdRate };
}

/** An amount of the currency: $0.000123, $0.42, $12.30, $1 234. At least two digits, and never 0 for what is not. */
export function amount(value) {
  if (!known(value)) return NONE;
  const size = Math.abs(value);
  const places = size >= 1000 ? 0 : size >= 0.1 || !size ? 2 : Math.min(9, 1 - Math.floor(Math.log10(size)));
  const [whole, part] = size.toFixed(places).split(".");
  return `${value < 0 ? "\u2212" : ""}${money.sign}${count(Number(whole))}${part ? `.${part}` : ""}`;
}

/** The same of nano-USD. */
export const cost = (nano) => amount(known(nano) ? (nano / 1e9) * money.rate : nano);

/** Nano-USD as they were configured, without rounding: $0.05, $0.125, $5.00 */
export function allDigits(nano) {
  const [whole, part] = ((nano / 1e9) * money.rate).toFixed(6).split(".");
  return nano && !Number(whole) && !Number(part) ? cost(nano) : `${money.sign}${count(Number(whole))}.${part.replace(/^(\d\d\d*?)0+$/, "$1")}`;
}

/** The same of USD. */
export const costOf = (usd) => cost(known(usd) ? usd * 1e9 : usd);

/** A time in Unix seconds; with its day unless that is today. */
export function moment(at) {
  if (!known(at)) return NONE;
  const then = new Date(at * 1000);
  return (then.toDateString() === new Date().toDateString() ? clockTime : dayTime).format(then);
}

/** The hour that begins at a time in Unix seconds. */
export const hour = (at) => dayTime.format(at * 1000);

export const exactly = (at) => new Date(at * 1000).toISOString();
