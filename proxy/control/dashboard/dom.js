// Elements without markup in strings: text from elsewhere becomes a text node and nothing else.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element of a `kind` such as "p.quiet", a tag and classes. Functions are added as listeners (`onclick`); null and false are left out. */
export function h(kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  return fill(element, attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (typeof value === "function") element.addEventListener(name.slice(2), value);
  else if (name === "style") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
  else if (name === "value") element.value = value;
  else element.setAttribute(name, value === true ? "" : value);
}

/** Write only what differs, so that a live page keeps selections and focus. */
export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

export function attribute(element, name, value) {
  if (value === null || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/**
 * Make the children of `parent` match `items`: `make(item)` returns `{element, update}`, which is kept by key.
 * `kept` is a Map that belongs to the caller.
 */
export function match(parent, kept, items, keyOf, make) {
  const wanted = new Set(items.map(keyOf));
  for (const [key, row] of kept) {
    if (!wanted.has(key)) {
      row.element.remove();
      kept.delete(key);
    }
  }
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let row = kept.get(key);
    if (!row) kept.set(key, (row = make(item)));
    row.update?.(item);
    if (row.element === place) place = place.nextElementSibling;
    else parent.insertBefore(row.element, place);
  }
}
