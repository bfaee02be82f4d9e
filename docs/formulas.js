// Sets the formulas of the built pages: node formulas.js FOLDER_OF_PAGES FOLDER_OF_NPM
//
// Sphinx leaves <span class="formula"> and <div class="formula"> with TeX inside (conf.py). They
// become HTML with MathML for screen readers; the style sheet and its fonts are copied. A formula
// that KaTeX cannot read ends the build.
"use strict";
const fs = require("fs");
const path = require("path");
const [html, npm] = process.argv.slice(2);
const dist = path.join(npm, "node_modules", "katex", "dist");
const katex = require(path.resolve(dist, "katex.min.js"));

const NAMES = { amp: "&", lt: "<", gt: ">", quot: '"', "#x27": "'", "#39": "'" };
const plain = (text) => text.replace(/&([#\w]+);/g, (all, name) => NAMES[name] ?? all);

function set(file) {
  const page = fs.readFileSync(file, "utf8");
  if (!/<(span|div) class="formula"/.test(page)) return;
  const depth = path.relative(html, path.dirname(file)).split(path.sep).filter(Boolean).length;
  const style = `${"../".repeat(depth)}_static/katex/katex.min.css`;
  const done = page
    .replace(/<(span|div) class="formula"([^>]*)>([^]*?)<\/\1>/g, (_, tag, more, tex) => {
      const displayMode = tag === "div";
      const shown = katex.renderToString(plain(tex).trim(), { displayMode, strict: "error" });
      return `<${tag} class="formula-set"${more}>${shown}</${tag}>`;
    })
    .replace("</head>", `<link rel="stylesheet" href="${style}" />\n</head>`);
  fs.writeFileSync(file, done);
}

function files(folder) {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(folder, entry.name);
    return entry.isDirectory() ? files(name) : name.endsWith(".html") ? [name] : [];
  });
}

const kept = path.join(html, "_static", "katex");
fs.mkdirSync(path.join(kept, "fonts"), { recursive: true });
const css = fs.readFileSync(path.join(dist, "katex.min.css"), "utf8");
fs.writeFileSync(
  path.join(kept, "katex.min.css"),
  css.replace(/,url\([^)]*\.(woff|ttf)\) format\("\w+"\)/g, ""),
);
for (const name of fs.readdirSync(path.join(dist, "fonts"))) {
  if (name.endsWith(".woff2")) {
    fs.copyFileSync(path.join(dist, "fonts", name), path.join(kept, "fonts", name));
  }
}
files(html).forEach(set);
