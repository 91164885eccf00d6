// JSON as text in which a place can be found and pointed at by its path.

const INDENT = "  ";

/** Shows a value as JSON; points {X, Y} stand on one line each. */
export class JsonView {
  /**
   * @param {HTMLPreElement} pre
   * @param {(path: string|null) => void} onPoint the pointer is over a marked place, or over none
   */
  constructor(pre, onPoint) {
    this.pre = pre;
    this.places = new Map(); // path → element
    let at = null;
    pre.addEventListener("pointermove", ({ target, clientX, clientY }) => {
      // Text that scrolls under a resting pointer moves nothing.
      if (at !== `${clientX},${clientY}`) {
        at = `${clientX},${clientY}`;
        onPoint(target.closest(".place")?.dataset.path ?? null);
      }
    });
    pre.addEventListener("pointerleave", () => onPoint(null));
  }

  /**
   * @param {unknown} value
   * @param {Set<string>} paths the places that can be pointed at, below value.Response
   */
  show(value, paths) {
    this.places.clear();
    const parts = [];
    this.write(parts, value, "", "", paths);
    this.pre.replaceChildren(...parts);
  }

  /** Highlight a place and scroll it into the middle of the view; null highlights none. */
  highlight(path, scroll) {
    this.current?.classList.remove("current");
    this.current = this.places.get(path) ?? null;
    if (this.current === null) {
      return;
    }
    this.current.classList.add("current");
    if (scroll) {
      const margin = Math.max(0, this.pre.clientHeight - this.current.offsetHeight) / 2;
      this.pre.scrollTop = this.current.offsetTop - margin;
    }
  }

  write(parts, value, path, indent, paths) {
    if (paths.has(path)) {
      const place = document.createElement("span");
      place.className = "place";
      place.dataset.path = path;
      this.places.set(path, place);
      const inner = [];
      this.writeValue(inner, value, path, indent, paths);
      place.append(...inner);
      parts.push(place);
    } else {
      this.writeValue(parts, value, path, indent, paths);
    }
  }

  writeValue(parts, value, path, indent, paths) {
    if (value === null || typeof value !== "object") {
      parts.push(token(JSON.stringify(value), value === null ? "word" : typeof value));
      return;
    }
    const isList = Array.isArray(value);
    const entries = Object.entries(value);
    const [open, close] = isList ? "[]" : "{}";
    const oneLine = entries.length === 0 || isPoint(value);
    const deeper = oneLine ? "" : `\n${indent}${INDENT}`;
    parts.push(open);
    entries.forEach(([name, member], i) => {
      parts.push(i > 0 ? "," : "", oneLine ? " " : deeper);
      if (!isList) {
        parts.push(token(JSON.stringify(name), "name"), ": ");
      }
      // Paths begin below "Response".
      const below = path === "" && name === "Response" ? "" : path ? `${path}.${name}` : name;
      this.write(parts, member, below, indent + INDENT, paths);
    });
    parts.push(oneLine ? (entries.length ? " " : "") : `\n${indent}`, close);
  }
}

const isPoint = (value) => Object.keys(value).join() === "X,Y";

function token(content, kind) {
  const span = document.createElement("span");
  span.className = kind;
  span.textContent = content;
  return span;
}
