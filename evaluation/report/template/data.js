const PAGE = 50;
const FIELDS = ["q", "task", "type", "run", "show", "fallback", "detected"];
const names = JSON.parse(document.getElementById("names").textContent);
const byId = (id) => document.getElementById(id);
const form = byId("filters");
const list = byId("list");
const detail = byId("detail");
const roomy = matchMedia("(min-width: 62rem)");
const opened = new Map();
const several = names.runs.length > 1;
let columns = null;
let found = [];
let page = 0;
let chosen = -1;
let asked = 0;

// Data: a block is unpacked when one of its questions is needed.

async function unpack(element) {
  const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function block(number) {
  if (!opened.has(number)) {
    opened.set(number, unpack(document.getElementsByClassName("block")[number]));
  }
  return opened.get(number);
}

async function question(number) {
  return (await block(Math.floor(number / names.block)))[number % names.block];
}

// Elements: data is inserted as text, never as HTML.

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function within(parent, ...children) {
  parent.append(...children);
  return parent;
}
