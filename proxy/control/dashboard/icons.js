// Line icons on a 20-pixel grid, in the color of the text.

import { svg } from "./dom.js";

const PATHS = {
  overview: "M3 16.5h14M5 13V9M10 13V4M15 13V7",
  models: "M3 5.500h14v4H3zM3 12.500h14v3H3zM6 7.500h.01M6 14h.01",
  requests: "M3 5h9M3 10h14M3 15h6M15 5h2M12 15h5",
  limits: "M3.500 14a6.500 6.500 0 1 1 13 0M10 14l3-4.500",
  keys: "M13 3.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7M10.500 9.500L4 16M6 14l2 2",
  usage: "M10 3v14M13 6.500C12.500 5.500 11.500 5 10 5c-2 0-3.300 1-3.300 2.400C6.700 10.500 13.300 9 13.300 12.400 13.300 14 12 15 10 15c-1.700 0-3-.700-3.500-2",
  budgets: "M3.500 6.500h13v9h-13zM3.500 6.500l9-3v3M12.500 11h4M12.500 11h.01",
  tryit: "M4 4.500l12 5.500-12 5.500 2-5.500zM6 10h5",
  config: "M3 6h8M15 6h2M3 14h2M9 14h8M13 4v4M7 12v4",
  system: "M3 4.500h14v9H3zM7.500 17h5",
  light: "M10 6.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7M10 2v1.500M10 16.500V18M2 10h1.500M16.500 10H18M4.300 4.300l1.100 1.100M14.600 14.600l1.100 1.100M4.300 15.700l1.100-1.100M14.600 5.400l1.100-1.100",
  dark: "M16.500 12A7 7 0 0 1 8 3.500 7 7 0 1 0 16.500 12z",
  leave: "M12 4.500H4.500v11H12M9 10h8M14 7l3 3-3 3",
  copy: "M7 7V3.500h9.500V13H13M3.500 7H13v9.500H3.500z",
  done: "M4 10.500l4 4 8-9",
  close: "M5 5l10 10M15 5L5 15",
  pause: "M7 4.500v11M13 4.500v11",
  play: "M6 4.500l9.500 5.500L6 15.500z",
  again: "M16 10a6 6 0 1 1-1.800-4.300L16 7.500M16 3.500v4h-4",
  alert: "M10 3l7.500 13.500h-15zM10 8v4M10 14.300h.01",
  search: "M9 4a5 5 0 1 0 0 10A5 5 0 0 0 9 4M13 13l4 4",
};

export function icon(name) {
  return svg("svg", { viewBox: "0 0 20 20", width: 18, height: 18, class: "icon", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));
}
