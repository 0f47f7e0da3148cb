// Small live charts in SVG: a line or bars for each series over a window of seconds. Unknown values are a gap in the
// line; a single point is a dot.

import { h, svg, text } from "./dom.js";
import { NONE, moment } from "./format.js";

const GUTTER = 44;
const FOOT = 18;
const TOP = 8;
const JOINED = 6; // most seconds between two points of one line

/** The smallest round number that is at least `value`. */
export function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((each) => each * power).find((each) => each >= value * 0.999);
}

/**
 * `series`: `[{name, of(second), tone, bars}]`. `format` formats values. The axis ends at `fixed`, or at `least` or more.
 * `draw(seconds, now)` shows the last `span` seconds before `now`.
 */
export function chart({ label, series, format, least = 1, fixed = 0, span = 300 }) {
  const plot = svg("svg", { role: "img", "aria-label": label });
  const tip = h("div.tip", { hidden: true });
  const element = h("div.chart", {}, plot, tip);
  let shown = { seconds: [], now: 0 };
  let pointer = null;
  const size = () => ({ width: element.clientWidth, height: element.clientHeight });

  function draw(seconds, now) {
    shown = { seconds: seconds.filter((each) => each.at > now - span), now };
    const { width, height } = size();
    if (!width) return;
    const top = fixed || ceiling(Math.max(least, ...shown.seconds.flatMap((each) => series.map(({ of }) => of(each) ?? 0))));
    const scale = {
      x: (at) => width - ((now - at) / span) * (width - GUTTER),
      y: (value) => height - FOOT - (Math.min(value, top) / top) * (height - FOOT - TOP),
    };
    plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    plot.replaceChildren(...frame(width, height, top, scale), ...series.flatMap((each) => shape(each, scale)), ...cross(scale, height));
  }

  function frame(width, height, top, { y }) {
    const levels = [0, top / 2, top].flatMap((value) => [
      svg("path", { class: value ? "grid" : "grid base", d: `M${GUTTER} ${Math.round(y(value)) + 0.5}H${width}` }),
      svg("text", { x: GUTTER - 8, y: y(value) + 3.5, "text-anchor": "end" }, format(value)),
    ]);
    const ends = [["start", GUTTER, `${span / 60} min ago`], ["end", width, "now"]];
    return [...levels, ...ends.map(([anchor, x, words]) => svg("text", { x, y: height - 2, "text-anchor": anchor }, words))];
  }

  function shape({ of, tone, bars }, scale) {
    const points = shown.seconds.map((each) => [scale.x(each.at), of(each), each.at]).filter((point) => point[1] !== null && point[1] !== undefined);
    return bars ? columns(points, scale, tone) : lines(points, scale, tone);
  }

  function columns(points, { y }, tone) {
    const d = points.filter(([, value]) => value > 0).map(([x, value]) => `M${x.toFixed(1)} ${y(0)}V${y(value).toFixed(1)}`);
    return [svg("path", { class: `bars ${tone}`, d: d.join("") })];
  }

  function lines(points, { y }, tone) {
    const runs = [];
    for (const point of points) {
      const last = runs.at(-1)?.at(-1);
      if (last && point[2] - last[2] <= JOINED) runs.at(-1).push(point);
      else runs.push([point]);
    }
    const paths = runs.map((run) => run.map(([x, value]) => `${x.toFixed(1)} ${y(value).toFixed(1)}`).join("L"));
    const areas = runs.map((run, place) => run.length > 1 && svg("path", { class: `area ${tone}`, d: `M${run[0][0].toFixed(1)} ${y(0)}L${paths[place]}V${y(0)}Z` }));
    return [...areas.filter(Boolean), svg("path", { class: `line ${tone}`, d: paths.map((path, place) => `M${path}${runs[place].length > 1 ? "" : "h.01"}`).join("") })];
  }

  /** Show the values of the second under the pointer. */
  function cross({ x }, height) {
    const { seconds } = shown;
    tip.hidden = pointer === null || !seconds.length;
    if (tip.hidden) return [];
    const nearest = seconds.reduce((best, each) => (Math.abs(x(each.at) - pointer) < Math.abs(x(best.at) - pointer) ? each : best));
    const at = x(nearest.at);
    text(tip, [moment(nearest.at), ...series.map(({ name, of }) => `${name} ${of(nearest) === null ? NONE : format(of(nearest))}`)].join("\n"));
    tip.style.setProperty("left", `${at}px`);
    tip.dataset.side = at > size().width / 2 ? "left" : "right";
    return [svg("path", { class: "cross", d: `M${at.toFixed(1)} ${TOP}V${height - FOOT}` })];
  }

  const point = (at) => {
    pointer = at;
    draw(shown.seconds, shown.now);
  };
  plot.addEventListener("pointermove", (event) => point(event.offsetX));
  plot.addEventListener("pointerleave", () => point(null));
  new ResizeObserver(() => draw(shown.seconds, shown.now)).observe(element);
  return { element, draw, describe: (words) => plot.setAttribute("aria-label", `${label}: ${words}`) };
}

/** A sparkline: the latest values as a line without axes. */
export function spark(label) {
  const [width, height] = [96, 24];
  const line = svg("path", { class: "line accent" });
  const area = svg("path", { class: "area accent" });
  const element = svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label }, area, line);
  return {
    element,
    draw(values, words) {
      const top = Math.max(1, ...values);
      const step = (width - 4) / Math.max(1, values.length - 1);
      const path = values.map((value, place) => `${(2 + place * step).toFixed(1)} ${(height - 2 - (value / top) * (height - 5)).toFixed(1)}`).join("L");
      line.setAttribute("d", path ? `M${path}${values.length > 1 ? "" : "h.01"}` : "");
      area.setAttribute("d", values.length > 1 ? `M2 ${height}L${path}V${height}Z` : "");
      element.setAttribute("aria-label", `${label}: ${words}`);
    },
  };
}
