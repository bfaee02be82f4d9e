// The frame of the interactive explanations. Plain scripts, so a page also works from file://.
//
// A page holds <div class="explain" data-explain="NAME"><img ...></div> and this script alone. For
// each name that it finds it loads NAME.js, which calls
//
//   explain.register("NAME", mount, { compute, data: ["file.js"] })
//
// `compute` is the arithmetic without any drawing: explain.NAME.compute(...). `data` are scripts to
// load first. `mount(place)` puts the explanation in place of the image. Where anything fails, the
// image stays.
(function () {
  "use strict";
  if (window.explain) return; // a page of several explanations may name this script for each
  const folder = document.currentScript.src.replace(/[^/]*$/, "");
  const explain = { folder, data: {} };
  window.explain = explain;

  explain.register = (name, mount, { compute, data = [], ...parts }) => {
    explain[name] = { mount, compute, data, ...parts };
  };

  // A theme says in this attribute which colours it has; a page without a theme asks the system.
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  if (!root.dataset.theme) {
    const follow = () => { root.dataset.theme = dark.matches ? "dark" : "light"; };
    dark.addEventListener("change", follow);
    follow();
  }

  // ---- Loading ---------------------------------------------------------------------------------

  const loading = {};
  function load(file) {
    loading[file] ??= new Promise((resolve, reject) => {
      const script = h("script", { src: folder + file, onload: resolve });
      script.onerror = () => reject(new Error(`${file} cannot be loaded`));
      document.head.append(script);
    });
    return loading[file];
  }

  // The style sheet, unless the page has it: a canvas asks for its colours when it is drawn.
  function style() {
    if (document.querySelector('link[href*="explain.css"]')) return null;
    return new Promise((resolve) => {
      document.head.append(h("link", {
        rel: "stylesheet", href: `${folder}explain.css`, onload: resolve, onerror: resolve,
      }));
    });
  }

  async function show(place, styled) {
    const name = place.dataset.explain;
    const image = [...place.childNodes];
    try {
      if (!explain[name]) await load(`${name}.js`);
      await Promise.all([styled, ...explain[name].data.map(load)]);
      place.replaceChildren();
      explain[name].mount(place);
      place.dataset.ready = "true";
    } catch (error) {
      place.replaceChildren(...image);
      console.error(error);
    }
  }

  function start() {
    const places = [...document.querySelectorAll("div.explain[data-explain]")];
    const styled = places.length ? style() : null;
    for (const place of places) show(place, styled);
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else setTimeout(start);

  // ---- Elements --------------------------------------------------------------------------------

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return element;
  }
  const h = (tag, attributes, ...children) =>
    fill(document.createElement(tag), attributes, children);
  const s = (tag, attributes, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
  Object.assign(explain, { h, s });

  let count = 0;
  const newId = () => `explain-${(count += 1)}`;
  explain.colour = (i) => `var(--explain-${i % 6})`;
  // A filled cell on which numbers can be read, in light and in dark mode.
  explain.tint = (colour, opacity) => `fill: ${colour}; fill-opacity: calc(var(--explain-tint) * ${opacity})`;
  explain.clamp = (x, low, high) => Math.min(Math.max(x, low), high);

  // A number as it is read: no more than `digits` decimals, and a real minus sign.
  explain.number = (x, digits = 2) => {
    const text = String(Number(x.toFixed(digits)));
    return (text === "-0" ? "0" : text).replace("-", "−");
  };

  // The title, the controls, the drawing, a sentence that is read aloud, and what to look for.
  explain.layout = (place, { title, controls, panels, notes }) => {
    const says = h("p", { class: "explain-says", "aria-live": "polite" });
    const id = newId();
    place.setAttribute("role", "group");
    place.setAttribute("aria-labelledby", id);
    place.append(
      h("p", { class: "explain-title", id }, title),
      h("div", { class: "explain-controls" }, controls),
      h("div", { class: "explain-panels" }, panels),
      says,
      h("ul", { class: "explain-notes" }, notes.map(([head, text]) =>
        h("li", {}, h("strong", {}, head), " ", text))),
    );
    return says;
  };

  explain.panel = (title, element) =>
    h("figure", { class: "explain-panel" }, h("figcaption", {}, title), element);

  // ---- Controls --------------------------------------------------------------------------------

  explain.slider = ({ label, min, max, step = 1, value, onchange, text = String }) => {
    const output = h("output", {}, text(value));
    const input = h("input", { type: "range", min, max, step, value, "aria-label": label });
    const set = (next) => {
      input.value = next;
      output.textContent = text(Number(input.value));
      input.setAttribute("aria-valuetext", text(Number(input.value)));
    };
    input.addEventListener("input", () => {
      set(input.value);
      onchange(Number(input.value));
    });
    set(value);
    const element = h("label", { class: "explain-slider" }, h("span", {}, label), input, output);
    const limit = (most) => {
      input.max = most;
    };
    return { element, input, set, limit };
  };

  explain.choice = ({ label, options, value, onchange }) => {
    const id = newId();
    const inputs = options.map(([key]) =>
      h("input", {
        type: "radio", name: id, value: key, checked: key === value,
        onchange: () => onchange(key),
      }));
    const element = h("fieldset", { class: "explain-choice" }, h("legend", {}, label),
      options.map(([, name], i) => h("label", {}, inputs[i], h("span", {}, name))));
    const set = (key) => inputs.forEach((input) => { input.checked = input.value === key; });
    return { element, set };
  };

  explain.select = ({ label, options, value, onchange }) => {
    const input = h("select", { onchange: () => onchange(input.value) },
      options.map(([key, name]) => h("option", { value: key, selected: key === value }, name)));
    const element = h("label", { class: "explain-select" }, h("span", {}, label), input);
    const set = (key) => { input.value = key; };
    return { element, set };
  };

  explain.button = (label, onclick, name = label) =>
    h("button", { type: "button", onclick, "aria-label": name === label ? null : name }, label);

  // ---- Moving things ---------------------------------------------------------------------------

  const STEPS = {
    ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
  };
  // Calls `move(rows, columns, event)` for an arrow key.
  explain.onArrows = (element, move) =>
    element.addEventListener("keydown", (event) => {
      if (!STEPS[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      move(...STEPS[event.key], event);
    });

  // Calls `move(x, y, event)` with pixels from the upper left corner of `element` while a mouse, a
  // pen or a finger is pressed on it. With `begin(event)` the press only says whether something was
  // hit: a drawing must not be made anew yet, for a touch is lost if its target is gone too early.
  explain.onDrag = (element, move, { begin, end } = {}) => {
    const report = (event) => {
      const box = element.getBoundingClientRect();
      move(event.clientX - box.left, event.clientY - box.top, event);
    };
    let pressed = null;
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || (begin && !begin(event))) return;
      pressed = event.pointerId;
      element.setPointerCapture(pressed);
      if (!begin) report(event);
    });
    // A finger that holds something does not scroll the page.
    element.addEventListener("touchstart", (event) => {
      if (pressed !== null) event.preventDefault();
    }, { passive: false });
    element.addEventListener("pointermove", (event) => {
      if (event.pointerId === pressed) report(event);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      element.addEventListener(name, () => {
        if (pressed !== null && end) end();
        pressed = null;
      });
    }
  };

  // Calls `draw(width)` now, when the width of `place` changes, and when light becomes dark.
  explain.watch = (place, draw) => {
    const inside = () => {
      const { paddingLeft, paddingRight } = getComputedStyle(place);
      return Math.floor(place.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight));
    };
    let width = inside();
    if (width < 200) width = 600; // not laid out yet: the observer will tell
    const redraw = () => draw(width);
    new ResizeObserver(() => {
      if (inside() < 200 || inside() === width) return;
      width = inside();
      redraw();
    }).observe(place);
    new MutationObserver(redraw).observe(root, {
      attributes: true, attributeFilter: ["data-theme"],
    });
    redraw();
    return redraw;
  };

  // The value of a CSS variable, for drawing on a canvas.
  explain.css = (place, name) => getComputedStyle(place).getPropertyValue(name).trim();

  // A canvas of `width` x `height` CSS pixels, sharp on every screen; its context draws in them.
  explain.canvas = (canvas, width, height) => {
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    return context;
  };

  // ---- Grids of numbers ------------------------------------------------------------------------

  // A grid of cells. With `onselect` it has a selected cell, which the arrow keys move; `onkey` gets
  // all other keys. `draw({values, cell, selected, fills, frames})`: `values[row][column]` a number
  // or null, `fills(row, column)` a pair of colour and opacity or null, `frames` a list of
  // {row, column, height, width, colour, thick, dashed}.
  explain.grid = (title, { onselect, onkey, name = title } = {}) => {
    const svg = s("svg", {
      class: "explain-grid", role: onselect ? "grid" : "img", tabindex: onselect ? 0 : null,
    });
    const id = newId();
    const element = explain.panel(title, svg);
    let state;
    if (onselect) {
      svg.addEventListener("click", (event) => {
        const cell = event.target.closest("[data-row]");
        if (cell) onselect(Number(cell.dataset.row), Number(cell.dataset.column));
      });
      explain.onArrows(svg, (rows, columns) => {
        const [row, column] = state.selected;
        onselect(
          explain.clamp(row + rows, 0, state.values.length - 1),
          explain.clamp(column + columns, 0, state.values[0].length - 1),
        );
      });
      if (onkey) svg.addEventListener("keydown", onkey);
    }
    function draw(next) {
      state = { fills: () => null, frames: [], digits: 2, ...next };
      const { values, cell, selected, fills, frames, digits } = state;
      const [rows, columns] = [values.length, values[0].length];
      svg.setAttribute("width", columns * cell + 6);
      svg.setAttribute("height", rows * cell + 6);
      svg.setAttribute("viewBox", `-3 -3 ${columns * cell + 6} ${rows * cell + 6}`);
      const words = values.map((row) => row.map((x) => (x === null ? "" : explain.number(x, digits))));
      svg.setAttribute("aria-label",
        onselect ? name : `${name}: ${words.map((row) => row.join(" ")).join("; ")}`);
      const parts = words.map((row, r) => s("g", { role: onselect ? "row" : null },
        row.map((text, c) => drawCell(r, c, text))));
      for (const frame of frames) {
        parts.push(s("rect", {
          class: "explain-frame", x: frame.column * cell, y: frame.row * cell,
          width: frame.width * cell, height: frame.height * cell,
          style: `stroke: ${frame.colour}; stroke-width: ${frame.thick ? 4 : 2}`,
          "stroke-dasharray": frame.dashed ? "4 3" : null,
        }));
      }
      if (selected) {
        const [row, column] = selected;
        parts.push(s("rect", {
          class: "explain-selected", x: column * cell + 2, y: row * cell + 2,
          width: cell - 4, height: cell - 4,
        }));
        svg.setAttribute("aria-activedescendant", `${id}-${row}-${column}`);
      }
      svg.replaceChildren(...parts);

      function drawCell(r, c, text) {
        const [colour, opacity] = fills(r, c) || ["none", 1];
        const size = Math.min(cell * 0.45, 15, (1.5 * cell) / Math.max(text.length, 1));
        return s("g", {
          "data-row": r, "data-column": c, id: `${id}-${r}-${c}`,
          role: onselect ? "gridcell" : null,
          "aria-selected": onselect ? String(Boolean(selected && selected[0] === r && selected[1] === c)) : null,
          "aria-label": onselect ? `row ${r}, column ${c}: ${text}` : null,
        },
        s("rect", { class: "explain-paper", x: c * cell, y: r * cell, width: cell, height: cell }),
        s("rect", {
          class: "explain-cell", x: c * cell, y: r * cell, width: cell, height: cell,
          style: explain.tint(colour, opacity),
        }),
        s("text", {
          x: (c + 0.5) * cell, y: (r + 0.5) * cell, "font-size": size,
          visibility: size < 7 ? "hidden" : null,
        }, text));
      }
    }
    return { element, draw };
  };
})();
