// The picture with its marks: an SVG on top of it, in the picture's pixels.

const SVG = "http://www.w3.org/2000/svg";
const REACH = 14; // pixels of the screen from the pointer to the mark that it means
const LEAST_RADIUS = 2.5; // pixels of the screen
const CLOSE_UP_MARGIN = 1.3; // of the picture that is shown to what the marks cover
const LARGEST_ZOOM = 12;

/** Draws marks over an image, and says which of them the pointer or the keyboard means. */
export class Drawing {
  /**
   * @param {HTMLElement} stage the frame, which holds the view
   * @param {HTMLElement} view holds the image; it is what is zoomed
   * @param {{name: string, colour: string, curves: number[][]}[]} groups
   * @param {(mark: object|null, picked: boolean) => void} onPoint a mark is meant, or none; picked
   *   is true when it was clicked
   */
  constructor(stage, view, groups, onPoint) {
    this.stage = stage;
    this.view = view;
    this.groups = groups;
    this.onPoint = onPoint;
    this.hidden = new Set();
    this.svg = node("svg", { tabindex: "0", role: "application", focusable: "true" });
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.hidden = true;
    view.append(this.svg);
    stage.append(this.tip);
    this.svg.addEventListener("pointermove", (event) => this.onPoint(this.nearest(event), false));
    this.svg.addEventListener("pointerleave", () => this.onPoint(null, false));
    this.svg.addEventListener("click", (event) => this.onPoint(this.nearest(event), true));
    this.svg.addEventListener("keydown", (event) => this.step(event));
    new ResizeObserver(() => this.scale()).observe(this.svg);
    this.draw(null);
  }

  /** Draw marks as `marksOf` returns them; null clears. */
  draw(marks) {
    this.marks = marks;
    this.shapes = new Map(); // path → {mark, shape, group, size}
    this.current = null;
    this.tip.hidden = true;
    this.svg.replaceChildren();
    this.zoom(false);
    if (marks === null) {
      return;
    }
    this.svg.setAttribute("viewBox", `0 0 ${marks.width} ${marks.height}`);
    for (const { groups, box } of marks.faces) {
      if (box) {
        const { x, y, width, height } = box;
        this.add(box, null, this.svg, node("rect", { x, y, width, height, class: "box" }), 0);
      }
      const extent = extentOf([...groups.values()].flat());
      for (const group of this.groups.filter(({ name }) => groups.has(name))) {
        this.addGroup(group, groups.get(group.name), extent);
      }
    }
    this.scale();
    this.applyHidden();
  }

  addGroup({ name, colour, curves }, points, extent) {
    const layer = node("g", { class: "group", "data-group": name, color: colour });
    for (const curve of curves) {
      const members = curve.map((index) => points[index]).filter(Boolean);
      layer.append(node("path", { d: smoothCurve(members), class: "curve" }));
    }
    for (const point of points) {
      // The numbers name pixels; their centres are half a pixel further.
      const circle = node("circle", { cx: point.x + 0.5, cy: point.y + 0.5, class: "point" });
      this.add(point, name, layer, circle, extent / 110);
    }
    this.svg.append(layer);
  }

  add(mark, group, layer, shape, size) {
    shape.setAttribute("data-path", mark.path);
    layer.append(shape);
    this.shapes.set(mark.path, { mark, shape, group, size });
  }

  /** Show or hide a group of points. */
  showGroup(name, shown) {
    this.hidden[shown ? "delete" : "add"](name);
    this.applyHidden();
  }

  applyHidden() {
    for (const layer of this.svg.querySelectorAll(".group")) {
      layer.toggleAttribute("hidden", this.hidden.has(layer.dataset.group));
    }
  }

  /** Show the faces alone, or the whole picture. */
  zoom(on) {
    const { x, y, scale } = on ? this.closeUp() : { x: 0.5, y: 0.5, scale: 1 };
    const shift = (centre) => 100 * Math.min(0, Math.max(1 - scale, 0.5 - centre * scale));
    this.view.style.transform = `translate(${shift(x)}%, ${shift(y)}%) scale(${scale})`;
    this.scale();
    this.highlight(this.current);
  }

  // The centre of all marks, as fractions of the picture, and how much larger they may be.
  closeUp() {
    const { width, height } = this.marks;
    const marks = [...this.shapes.values()].map(({ mark }) => mark);
    const range = (name, side, whole) => {
      const first = Math.min(...marks.map((mark) => mark[name])) / whole;
      const last = Math.max(...marks.map((mark) => mark[name] + (mark[side] ?? 0))) / whole;
      return [(first + last) / 2, last - first];
    };
    const [x, spanX] = range("x", "width", width);
    const [y, spanY] = range("y", "height", height);
    const scale = 1 / (CLOSE_UP_MARGIN * Math.max(spanX, spanY));
    return { x, y, scale: Math.min(LARGEST_ZOOM, Math.max(1, scale)) };
  }

  /** Highlight the mark of a path; null highlights none. */
  highlight(path) {
    this.shapes.get(this.current)?.shape.classList.remove("current");
    const entry = this.shapes.get(path);
    this.current = entry ? path : null;
    this.tip.hidden = !entry;
    if (entry) {
      entry.shape.classList.add("current");
      this.placeTip(entry.mark);
    }
  }

  placeTip({ x, y, label }) {
    this.tip.textContent = label;
    const [frame, picture] = [this.stage, this.svg].map((one) => one.getBoundingClientRect());
    const pixel = picture.width / this.marks.width;
    const left = picture.left - frame.left + (x + 0.5) * pixel;
    const top = picture.top - frame.top + (y + 0.5) * pixel;
    this.tip.style.left = `${left}px`;
    this.tip.style.top = `${top}px`;
    this.tip.classList.toggle("leftwards", left > frame.width / 2);
    this.tip.classList.toggle("upwards", top > frame.height / 2);
  }

  visible() {
    return [...this.shapes.values()].filter(({ group }) => !this.hidden.has(group));
  }

  nearest(event) {
    const frame = this.svg.getBoundingClientRect();
    const scale = frame.width / this.marks.width;
    const x = (event.clientX - frame.left) / scale;
    const y = (event.clientY - frame.top) / scale;
    let [best, least] = [null, REACH / scale];
    for (const { mark } of this.visible()) {
      const distance = distanceTo(mark, x, y);
      if (distance < least) {
        [best, least] = [mark, distance];
      }
    }
    return best;
  }

  step(event) {
    const marks = this.visible().map(({ mark }) => mark);
    const at = marks.findIndex(({ path }) => path === this.current);
    const places = {
      ArrowRight: (at + 1) % marks.length,
      ArrowDown: (at + 1) % marks.length,
      ArrowLeft: (at <= 0 ? marks.length : at) - 1,
      ArrowUp: (at <= 0 ? marks.length : at) - 1,
      Home: 0,
      End: marks.length - 1,
    };
    if (event.key === "Escape") {
      this.onPoint(null, false);
    } else if ((event.key === "Enter" || event.key === " ") && at >= 0) {
      this.onPoint(marks[at], true);
    } else if (event.key in places && marks.length > 0) {
      this.onPoint(marks[places[event.key]], false);
    } else {
      return;
    }
    event.preventDefault();
  }

  // Points grow with the face, and stay large enough to be seen.
  scale() {
    const width = this.svg.getBoundingClientRect().width;
    if (!this.marks || width === 0) {
      return;
    }
    const pixel = this.marks.width / width; // of the screen, in the picture's
    this.svg.style.setProperty("--pixel", `${pixel}px`);
    for (const { shape, size } of this.shapes.values()) {
      if (size > 0) {
        shape.setAttribute("r", Math.max(size, LEAST_RADIUS * pixel));
      }
    }
  }
}

function node(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, value);
  }
  return element;
}

function extentOf(points) {
  const side = (values) => Math.max(...values) - Math.min(...values);
  return points.length ? Math.max(side(points.map((p) => p.x)), side(points.map((p) => p.y))) : 0;
}

// To a point, or to the nearest edge of a box.
function distanceTo({ x, y, width = 0, height = 0 }, px, py) {
  if (width === 0) {
    return Math.hypot(px - x - 0.5, py - y - 0.5);
  }
  const [dx, dy] = [Math.max(x - px, px - x - width), Math.max(y - py, py - y - height)];
  return dx > 0 || dy > 0 ? Math.hypot(Math.max(dx, 0), Math.max(dy, 0)) : -Math.max(dx, dy);
}

// A centripetal Catmull-Rom spline (Yuksel et al. 2011) as Bézier pieces.
function smoothCurve(members) {
  const points = members.map(({ x, y }) => [x + 0.5, y + 0.5]);
  const step = (a, b) => Math.sqrt(Math.hypot(a[0] - b[0], a[1] - b[1]));
  const handle = (before, at, after) => {
    const [d1, d2] = [step(before, at), step(at, after)];
    if (d1 === 0) {
      return at;
    }
    const weight = 2 * d1 * d1 + 3 * d1 * d2 + d2 * d2;
    return [0, 1].map(
      (i) => (d1 * d1 * after[i] - d2 * d2 * before[i] + weight * at[i]) / (3 * d1 * (d1 + d2)),
    );
  };
  const last = points.length - 1;
  const pieces = points.slice(0, -1).map((point, i) => {
    const next = points[i + 1];
    const first = handle(points[Math.max(i - 1, 0)], point, next);
    const second = handle(points[Math.min(i + 2, last)], next, point);
    return `C${[...first, ...second, ...next].map((value) => value.toFixed(2)).join(" ")}`;
  });
  return points.length ? `M${points[0].join(" ")}${pieces.join("")}` : "";
}
