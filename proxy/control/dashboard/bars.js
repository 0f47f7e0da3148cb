// A chart of hours or days as stacked bars, in SVG.

import { ceiling } from "./chart.js";
import { h, svg, text } from "./dom.js";

const GUTTER = 56;
const FOOT = 18;
const TOP = 8;
const NAMED = 72; // least pixels between two names of bars

const NAMES = {
  hour: new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" }),
  day: new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" }),
};
const WHOLE = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

/** `draw(buckets, {label, unit, format, parts})`: `buckets` are `{at, sums}`, `parts` are `[name, of(sums)]`; sums may be null. */
export function bars() {
  const plot = svg("svg", { role: "img" });
  const tip = h("div.tip", { hidden: true });
  const element = h("div.chart.tall", {}, plot, tip);
  let shown = null;

  function draw(buckets, options) {
    shown = [buckets, options];
    const [width, height] = [element.clientWidth, element.clientHeight];
    if (!width) return;
    const { label, unit, format, parts } = options;
    const values = buckets.map(({ sums }) => parts.map(([, of]) => (sums ? of(sums) : 0)));
    const totals = values.map((each) => each.reduce((sum, value) => sum + value, 0));
    const highest = Math.max(...totals);
    const top = highest ? ceiling(highest) : 1;
    const step = (width - GUTTER) / buckets.length;
    const y = (value) => height - FOOT - (value / top) * (height - FOOT - TOP);
    const thick = Math.max(1, step - (step > 6 ? 2 : 0));
    const levels = (highest ? [0, top / 2, top] : [0]).flatMap((value) => [
      svg("path", { class: value ? "grid" : "grid base", d: `M${GUTTER} ${Math.round(y(value)) + 0.5}H${width}` }),
      svg("text", { x: GUTTER - 8, y: y(value) + 3.5, "text-anchor": "end" }, format(value)),
    ]);
    const every = Math.ceil(NAMED / step);
    const named = buckets.flatMap(({ at }, place) => (place % every || (place + 0.5) * step + 24 > width - GUTTER ? [] : [svg("text", { x: GUTTER + (place + 0.5) * step, y: height - 2, "text-anchor": "middle" }, NAMES[unit].format(at * 1000))]));
    const stacks = parts.map((_, part) => svg("path", { class: `stack ${part ? "second" : "accent"}`, d: values.map((each, place) => {
      const below = each.slice(0, part).reduce((sum, value) => sum + value, 0);
      return each[part] ? `M${(GUTTER + place * step).toFixed(1)} ${y(below).toFixed(1)}h${thick.toFixed(1)}V${Math.min(y(below + each[part]), y(below) - 1).toFixed(1)}h-${thick.toFixed(1)}Z` : "";
    }).join("") }));
    plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    plot.setAttribute("aria-label", `${label}, at most ${format(highest)}`);
    plot.replaceChildren(...levels, ...named, ...stacks);
  }

  function point(x) {
    if (!shown) return;
    const [buckets, { unit, format, parts }] = shown;
    const step = (element.clientWidth - GUTTER) / buckets.length;
    const bucket = buckets[Math.floor((x - GUTTER) / step)];
    tip.hidden = !bucket;
    if (!bucket) return;
    const open = bucket.sums ? bucket.sums.unknown + bucket.sums.unpriced : 0;
    const day = (unit === "day" ? NAMES.day : WHOLE).format(bucket.at * 1000);
    text(tip, [day, ...parts.map(([name, of]) => `${name} ${format(bucket.sums ? of(bucket.sums) : 0)}`), open && `${open} of unknown cost`].filter(Boolean).join("\n"));
    tip.style.setProperty("left", `${x}px`);
    tip.dataset.side = x > element.clientWidth / 2 ? "left" : "right";
  }

  plot.addEventListener("pointermove", (event) => point(event.offsetX));
  plot.addEventListener("pointerleave", () => (tip.hidden = true));
  new ResizeObserver(() => shown && draw(...shown)).observe(element);
  return { element, draw };
}
