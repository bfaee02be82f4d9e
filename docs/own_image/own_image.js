/* Segments or denoises an image in the browser, with the numbers of `kerasseg predict`.

The first half is arithmetic and knows no page: `ownImage.resize` is kerasseg.inference.resizing,
`ownImage.probabilities` and `ownImage.classes` are kerasseg.anatomy.outputs. An image is
{data, height, width, channels}, its numbers in rows from the top left corner. The second half
reads a file, runs the model by ONNX Runtime and draws. Nothing is sent anywhere. */
"use strict";

const ownImage = (() => {
  // ------------------------------------------------------------------ arithmetic

  /** The shares of old pixels in the length that each new one covers, for shrinking. */
  function areaWeights(old, size) {
    const scale = old / size, reach = Math.ceil(scale) + 1, first = [], shares = [];
    for (let i = 0; i < size; i++) {
      const start = i * scale, end = (i + 1) * scale, from = Math.floor(start);
      first.push(from);
      for (let pixel = from; pixel < from + reach; pixel++) {
        const overlap = Math.min(end, pixel + 1) - Math.max(start, pixel);
        shares.push(pixel < old ? Math.max(overlap, 0) / scale : 0);
      }
    }
    return {first, shares: Float32Array.from(shares), reach};
  }

  /** The same of linear interpolation; over a wider range where the image shrinks. */
  function triangleWeights(old, size) {
    const scale = old / size, radius = Math.max(scale, 1), reach = Math.ceil(2 * radius) + 1;
    const first = [], shares = [];
    for (let i = 0; i < size; i++) {
      const centre = (i + 0.5) * scale;
      const from = Math.max(Math.ceil(centre - radius - 0.5), 0), row = [];
      for (let pixel = from; pixel < from + reach; pixel++) {
        const share = Math.max(1 - Math.abs(pixel + 0.5 - centre) / radius, 0);
        row.push(pixel < old ? share : 0);
      }
      const total = row.reduce((sum, share) => sum + share, 0);
      first.push(from);
      shares.push(...row.map((share) => share / total));
    }
    return {first, shares: Float32Array.from(shares), reach};
  }

  /** A function that gives row y of an image at another size: one array, which it fills anew. */
  function rowsOf(image, height, width) {
    const shrinks = height <= image.height && width <= image.width;
    const weights = shrinks ? areaWeights : triangleWeights, n = image.channels;
    const rows = weights(image.height, height), columns = weights(image.width, width);
    const stride = image.width * n, half = new Float32Array(stride);
    const row = new Float32Array(width * n);
    return (y) => {
      half.fill(0);
      row.fill(0);
      for (let k = 0; k < rows.reach; k++) {
        const share = rows.shares[y * rows.reach + k];
        if (share === 0) continue;
        const from = (rows.first[y] + k) * stride;
        for (let i = 0; i < stride; i++) half[i] += share * image.data[from + i];
      }
      for (let x = 0; x < width; x++)
        for (let k = 0; k < columns.reach; k++) {
          const share = columns.shares[x * columns.reach + k];
          if (share === 0) continue;
          const from = (columns.first[x] + k) * n;
          for (let c = 0; c < n; c++) row[x * n + c] += share * half[from + c];
        }
      return row;
    };
  }

  /** An image of another size; whole numbers (`round`) stay whole and from 0 to 255. */
  function resize(image, height, width, round = false) {
    if (image.height === height && image.width === width) return image;
    const stride = width * image.channels, data = new Float32Array(height * stride);
    const row = rowsOf(image, height, width);
    for (let y = 0; y < height; y++) data.set(row(y), y * stride);
    if (round)
      for (let i = 0; i < data.length; i++) data[i] = Math.min(255, Math.max(0, rint(data[i])));
    return {data, height, width, channels: image.channels};
  }

  /** Halves go to the even neighbour, as in NumPy. */
  function rint(x) {
    const below = Math.floor(x), rest = x - below;
    return rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1;
  }

  /** Logits become probabilities; what the model has activated already stays. */
  function probabilities(map, model) {
    if (model.activation) return map;
    const data = Float32Array.from(map.data), n = map.channels;
    if (model.kind !== "classes") {
      for (let i = 0; i < data.length; i++) data[i] = 1 / (1 + Math.exp(-data[i]));
      return {...map, data};
    }
    for (let i = 0; i < data.length; i += n) {
      const scores = data.subarray(i, i + n), most = Math.max(...scores);
      let total = 0;
      for (let c = 0; c < n; c++) total += scores[c] = Math.exp(scores[c] - most);
      for (let c = 0; c < n; c++) scores[c] /= total;
    }
    return {...map, data};
  }

  /** The class id of every pixel: the most probable, the first of equals; or above 0.5. */
  function classes(map) {
    const n = map.channels, ids = new Uint8Array(map.height * map.width);
    for (let i = 0; i < ids.length; i++) {
      if (n === 1) {
        ids[i] = map.data[i] > 0.5;
        continue;
      }
      for (let c = 1; c < n; c++)
        if (map.data[i * n + c] > map.data[i * n + ids[i]]) ids[i] = c;
    }
    return ids;
  }

  /** Grey as Pillow computes it, from 0 to 255. */
  function grey(image) {
    const data = new Float32Array(image.height * image.width);
    for (let i = 0; i < data.length; i++) {
      const [r, g, b] = image.data.subarray(3 * i, 3 * i + 3);
      data[i] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
    }
    return {...image, data, channels: 1};
  }

  /** Gaussian noise of standard deviation `sigma` (0 to 255), the same for the same seed. */
  function addNoise(image, sigma, seed = 1) {
    let state = seed;
    const uniform = () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    const data = Float32Array.from(image.data, (value) => {
      const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
      return value + sigma * radius * Math.cos(2 * Math.PI * uniform());
    });
    return {...image, data};
  }

  /** What a model is given: float32 in [0, 1]. */
  function scaled(image) {
    return Float32Array.from(image.data, (value) => Math.fround(value) / 255);
  }

  /** What the model is given for an image, as `kerasseg predict` brings it to the model's size. */
  function prepare(image, model) {
    let given = model.channels === 1 && image.channels === 3 ? grey(image) : image;
    if (model.imageSize) given = resize(given, ...model.imageSize, true);
    return given;
  }

  /** The ids of every pixel of `image`, from what the model returned for the prepared image.

  Row by row: all probabilities of a photograph from a phone would fill the memory of a page. */
  function finish(map, image, model) {
    const {height, width} = image, small = probabilities(map, model);
    if (small.height === height && small.width === width) return classes(small);
    const ids = new Uint8Array(height * width), row = rowsOf(small, height, width);
    for (let y = 0; y < height; y++)
      ids.set(classes({data: row(y), height: 1, width, channels: small.channels}), y * width);
    return ids;
  }

  // ------------------------------------------------------------------------ page

  const STRIP = 256; // rows that are decoded at once: a phone's canvas holds no large image
  const LARGEST = {classes: 1 << 20, image: 1 << 18}; // pixels: what one core does in seconds
  const sessions = new Map();
  let running = 0; // the newest run; older ones stop when they notice

  const reason = (error) => String(error.message || error).split("\n")[0].replace(/\.$/, "");

  function session(model, base) {
    if (!window.WebAssembly)
      throw new Error("This browser has no WebAssembly, which runs the model. Update the browser.");
    if (!window.ort)
      throw new Error("The runtime is missing: onnxruntime-web did not load. Reload the page.");
    if (!sessions.has(model.file)) {
      ort.env.wasm.numThreads = 1; // more need headers that static hosts do not send
      ort.env.wasm.proxy = true; // in a worker, so that the page can be scrolled meanwhile
      ort.env.wasm.wasmPaths = new URL("ort/", base).href;
      const options = {executionProviders: ["wasm"], graphOptimizationLevel: "all"};
      const made = ort.InferenceSession.create(new URL(model.file, base).href, options);
      sessions.set(
        model.file,
        made.catch((error) => {
          sessions.delete(model.file);
          throw new Error(`The model did not load: ${reason(error)}. Reload the page.`);
        }),
      );
    }
    return sessions.get(model.file);
  }

  /** The decoded file, turned by its EXIF tag, as {data: 0 to 255, height, width, channels: 3}. */
  async function decode(file) {
    let bitmap;
    try {
      const options = {colorSpaceConversion: "none", premultiplyAlpha: "none"};
      bitmap = await createImageBitmap(file, {...options, imageOrientation: "from-image"});
    } catch {
      const name = file.name || "The file";
      throw new Error(`${name} is not an image that this browser reads. Save it as PNG or JPEG.`);
    }
    const {width, height} = bitmap, name = file.name || "The image";
    if (width * height > 5e7)
      throw new Error(
        `${name} has ${width} × ${height} pixels, and this page takes at most 50 million. ` +
          "Use kerasseg predict for it.",
      );
    const data = new Uint8ClampedArray(height * width * 3), canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, Math.min(STRIP, height)];
    const context = canvas.getContext("2d", {willReadFrequently: true});
    for (let top = 0; top < height; top += STRIP) {
      const rows = Math.min(STRIP, height - top), from = 3 * top * width;
      context.clearRect(0, 0, width, rows);
      context.drawImage(bitmap, 0, -top);
      const part = context.getImageData(0, 0, width, rows).data;
      for (let i = 0; i < rows * width; i++) {
        if (part[4 * i + 3] < 255)
          throw new Error(`${name} is partly transparent. Save it without an alpha channel.`);
        for (let c = 0; c < 3; c++) data[from + 3 * i + c] = part[4 * i + c];
      }
    }
    bitmap.close();
    return {data, height, width, channels: 3};
  }

  async function run(model, given, base) {
    const loaded = await session(model, base);
    const shape = [1, given.height, given.width, given.channels];
    const start = performance.now();
    const input = new ort.Tensor("float32", scaled(given), shape);
    const output = await loaded.run({[loaded.inputNames[0]]: input}).then(
      (outputs) => outputs[loaded.outputNames[0]],
      (error) => {
        throw new Error(`The model could not run: ${reason(error)}. Try a smaller image.`);
      },
    );
    const seconds = (performance.now() - start) / 1000;
    const [, height, width, channels] = output.dims;
    return {map: {data: output.data, height, width, channels}, seconds};
  }

  /** Draws onto a canvas; `colour(i, c)` is the red, green or blue (c) of pixel i. */
  function draw(canvas, height, width, colour) {
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d"), picture = context.createImageData(width, height);
    for (let i = 0; i < height * width; i++) {
      for (let c = 0; c < 3; c++) picture.data[4 * i + c] = colour(i, c);
      picture.data[4 * i + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
  }

  const colourOf = ({data, channels}) =>
    channels === 3 ? (i, c) => data[3 * i + c] : (i) => data[i];

  function mount(root, models, base) {
    const find = (name) => root.querySelector(`[data-part="${name}"]`);
    const status = find("status"), result = find("result"), under = find("under");
    const over = find("over"), slider = find("slider"), noise = find("noise");
    let image = null, redraw = null, model = models[0];

    const say = (words, isError = false) => {
      status.textContent = words;
      status.classList.toggle("own-image-error", isError);
    };
    if (!models.length) return say("This copy of the site was built without models.", true);

    models.forEach((each, i) => {
      const label = document.createElement("label"), radio = document.createElement("input");
      Object.assign(radio, {type: "radio", name: "own-image-model", value: each.id});
      radio.checked = i === 0;
      radio.addEventListener("change", () => choose(each));
      label.append(radio, ` ${each.title}`);
      find("models").append(label);
    });

    function choose(chosen) {
      model = chosen;
      find("about").textContent =
        `${chosen.sentence} Model: ${(chosen.bytes / 1e6).toFixed(1)} MB. ` +
        `Trained on: ${chosen.card.data}. Licence: ${chosen.card.licence}.`;
      noise.hidden = chosen.kind !== "image";
      find("examples").replaceChildren(
        ...chosen.examples.map((example) => {
          const button = document.createElement("button");
          Object.assign(button, {type: "button", className: "own-image-example"});
          const picture = document.createElement("img");
          Object.assign(picture, {src: new URL(example.file, base).href, alt: example.title});
          button.append(picture);
          button.addEventListener("click", async () => {
            try {
              const answer = await fetch(picture.src);
              take(new File([await answer.blob()], example.title));
            } catch {
              say("The example did not load. Is there a connection to the site?", true);
            }
          });
          return button;
        }),
      );
      result.hidden = true;
      say(image ? "" : "Choose an image, or take the example.");
      if (image) predict();
    }

    async function take(file) {
      const mine = ++running;
      say("Reading the image …");
      result.hidden = true;
      image = null;
      try {
        const decoded = await decode(file);
        if (mine !== running) return; // another image came meanwhile
        image = decoded;
      } catch (error) {
        return mine === running && say(error.message, true);
      }
      predict();
    }

    async function predict() {
      const mine = ++running, chosen = model;
      let shown = image, remark = "";
      const most = LARGEST[chosen.kind] || LARGEST.classes;
      if (!chosen.imageSize && shown.height * shown.width > most) {
        const scale = Math.sqrt(most / (shown.height * shown.width));
        shown = resize(shown, ...["height", "width"].map((k) => Math.floor(shown[k] * scale)), true);
        remark = ` It was scaled to ${shown.width} × ${shown.height}, since this page runs on one core.`;
      }
      if (chosen.channels === 1) shown = grey(shown);
      if (chosen.kind === "image") shown = addNoise(shown, Number(noise.querySelector("input").value));
      say(sessions.has(chosen.file) ? "Predicting …" : "Loading the model …");
      await new Promise((resolve) => setTimeout(resolve)); // lets the words appear
      try {
        const {map, seconds} = await run(chosen, prepare(shown, chosen), base);
        if (mine !== running) return;
        if (map.data.some(Number.isNaN)) throw new Error("The model returned no numbers for this image.");
        (chosen.kind === "image" ? showImage : showClasses)(chosen, shown, map);
        result.hidden = false;
        say(`Done in ${seconds.toFixed(2)} s on this machine; the image has not left it.${remark}`);
        root.dispatchEvent(new CustomEvent("own-image-done"));
      } catch (error) {
        if (mine === running) say(error.message, true);
      }
    }

    function showClasses(chosen, shown, map) {
      const ids = finish(map, shown, chosen), counts = chosen.classes.map(() => 0);
      for (const id of ids) counts[id]++;
      api.last = {ids, height: shown.height, width: shown.width, map};
      const shares = chosen.classes
        .map(({name, colour}, i) => ({name, colour, share: counts[i] / ids.length}))
        .sort((a, b) => b.share - a.share);
      draw(under, shown.height, shown.width, colourOf(shown));
      const palette = chosen.classes.flatMap(({colour}) => colour);
      draw(over, shown.height, shown.width, (i, c) => palette[3 * ids[i] + c]);
      over.style.clipPath = "";
      const words = shares.map(({name, share}) => `${name} ${(100 * share).toFixed(1)} %`);
      over.setAttribute("aria-label", `Predicted classes: ${words.join(", ")}`);
      find("shares").replaceChildren(
        ...shares.map(({name, colour, share}) => {
          const row = document.createElement("tr"), swatch = document.createElement("span");
          swatch.className = "own-image-swatch";
          swatch.style.backgroundColor = `rgb(${colour.join()})`;
          const head = document.createElement("th"), cell = document.createElement("td");
          head.scope = "row";
          head.append(swatch, ` ${name}`);
          cell.textContent = `${(100 * share).toFixed(1)} %`;
          row.append(head, cell);
          return row;
        }),
      );
      find("legend").hidden = false;
      find("slider-label").textContent = "How strongly the classes cover the image";
      redraw = () => (over.style.opacity = slider.value / 100);
      slider.value = 60;
      redraw();
    }

    function showImage(chosen, shown, map) {
      const after = {...map, data: Float32Array.from(map.data, (x) => 255 * x)};
      api.last = {height: shown.height, width: shown.width, map, given: shown};
      draw(under, shown.height, shown.width, colourOf(shown));
      draw(over, shown.height, shown.width, colourOf(after));
      over.style.opacity = 1;
      over.setAttribute("aria-label", "The image after the model; what it was given shows beside it");
      find("legend").hidden = true;
      find("slider-label").textContent = "After the model (left), before it (right)";
      redraw = () => (over.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`);
      slider.value = 50;
      redraw();
    }

    slider.addEventListener("input", () => redraw && redraw());
    for (const name of ["pointerdown", "pointermove"]) // the image itself is a slider, too
      find("canvas").addEventListener(name, (event) => {
        if (!event.buttons) return;
        const {left, width} = under.getBoundingClientRect();
        slider.value = (100 * (event.clientX - left)) / width;
        redraw();
      });
    noise.querySelector("input").addEventListener("input", (event) => {
      noise.querySelector("output").textContent = event.target.value;
    });
    noise.querySelector("input").addEventListener("change", () => image && predict());
    const input = find("file"), zone = find("zone");
    input.addEventListener("change", () => input.files[0] && take(input.files[0]));
    for (const name of ["dragover", "dragleave", "drop"])
      zone.addEventListener(name, (event) => {
        event.preventDefault();
        zone.classList.toggle("own-image-over", name === "dragover");
        const file = name === "drop" && event.dataTransfer.files[0];
        if (file) take(file);
        else if (name === "drop") say("That was no file. Drop an image file.", true);
      });
    for (const name of ["dragover", "drop"]) // beside the zone, a browser would leave the page
      window.addEventListener(name, (event) => event.preventDefault());
    choose(model);
  }

  const api = {resize, probabilities, classes, grey, addNoise, prepare, finish, decode, mount, last: null};
  return api;
})();

for (const root of document.querySelectorAll(".own-image"))
  ownImage.mount(root, window.ownImageModels || [], document.baseURI);
