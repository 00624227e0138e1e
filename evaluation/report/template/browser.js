// Filters.

function state() {
  const given = Object.fromEntries(FIELDS.map((name) => [name, form.elements[name].value]));
  return { ...given, run: Number(given.run) || 0 };
}

function standing(score) {
  if (score === null) return "none";
  if (score > 1 - 1e-9) return "right";
  return score < 1e-9 ? "wrong" : "partly";
}

const CHANGES = { better: (gain) => gain > 1e-9, worse: (gain) => gain < -1e-9 };

function shows(wanted, number, run) {
  if (!wanted) return true;
  const score = columns.runs[run].score[number];
  if (wanted in CHANGES) {
    const first = columns.runs[0].score[number];
    return score !== null && first !== null && CHANGES[wanted](score - first);
  }
  return wanted === "below" ? score !== null && score < 1 - 1e-9 : standing(score) === wanted;
}

function passes(number, wanted) {
  if (wanted.task && names.tasks[columns.task[number]] !== wanted.task) return false;
  if (wanted.type && names.types[columns.type[number]] !== wanted.type) return false;
  if (!shows(wanted.show, number, wanted.run)) return false;
  const run = columns.runs[wanted.run];
  if (wanted.fallback && (wanted.fallback === "yes") !== Boolean(run.reason[number])) return false;
  if (!wanted.detected) return true;
  const detected = run.detected[number];
  return detected !== undefined && (detected === columns.type[number]) === (wanted.detected === "right");
}

async function holding(numbers, words) {
  const kept = [];
  for (const number of numbers) {
    const one = await question(number);
    one.searched ??= [one.text, shown(one.truth), ...one.runs.map((run) => run.answer)].join("\n").toLowerCase();
    if (one.searched.includes(words)) kept.push(number);
  }
  return kept;
}

async function filter(wantedPage, wantedQuestion) {
  const turn = ++asked;
  const wanted = state();
  const words = wanted.q.trim().toLowerCase();
  let numbers = [];
  for (let number = 0; number < names.questions; number += 1) if (passes(number, wanted)) numbers.push(number);
  if (words) {
    byId("count").textContent = "Searching …";
    numbers = await holding(numbers, words);
    if (turn !== asked) return;
  }
  found = numbers;
  const place = found.indexOf(wantedQuestion);
  page = place >= 0 ? Math.floor(place / PAGE) : Math.min(wantedPage, Math.max(Math.ceil(found.length / PAGE) - 1, 0));
  const plain = (value) => value.toLocaleString("en");
  byId("count").textContent = `${plain(found.length)} of ${plain(names.questions)} questions`;
  chosen = place >= 0 ? wantedQuestion : -1;
  list_page();
  if (chosen < 0 && roomy.matches && found.length) chosen = found[page * PAGE];
  await open(chosen, false);
}

// The list.

function chip(score, name) {
  const text = score === null ? "not scored" : score.toFixed(score === 0 || score === 1 ? 0 : 2);
  const kind = standing(score);
  const words = { right: "right", wrong: "wrong", partly: "partly right", none: "" }[kind];
  const made = element("span", `${name}${text} ${words}`.trim(), `chip ${kind}`);
  return made;
}

function row(number) {
  const made = element("button", undefined, "row");
  made.type = "button";
  made.dataset.question = number;
  made.setAttribute("aria-expanded", "false");
  const top = element("span", undefined, "top");
  within(top, element("span", `#${number + 1}`), element("span", names.tasks[columns.task[number]], "task"));
  const run = columns.runs[state().run];
  if (run.reason[number]) top.append(element("span", "fallback", "tag"));
  if (run.detected[number] !== undefined && run.detected[number] !== columns.type[number]) {
    top.append(element("span", "wrong type", "tag"));
  }
  columns.runs.forEach((each, index) => {
    if (several) top.append(element("span", `${names.runs[index]}:`, "unseen"));
    top.append(chip(each.score[number], ""));
  });
  within(made, top, element("span", columns.excerpt[number], "excerpt"));
  made.addEventListener("click", () => open(chosen === number && !roomy.matches ? -1 : number, false));
  return within(element("li"), made);
}

function list_page() {
  byId("pane").append(detail);
  const pages = Math.max(Math.ceil(found.length / PAGE), 1);
  list.replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(row));
  list.hidden = !found.length;
  byId("page").textContent = `page ${page + 1} of ${pages}`;
  byId("back").disabled = page === 0;
  byId("forth").disabled = page >= pages - 1;
}

function button(number) {
  return list.querySelector(`[data-question="${number}"]`);
}

async function open(number, focused) {
  chosen = number;
  for (const each of list.querySelectorAll(".row")) {
    each.setAttribute("aria-expanded", String(Number(each.dataset.question) === number));
  }
  detail.hidden = number < 0;
  remember();
  if (number < 0) return;
  const turn = asked;
  const content = described(number, await question(number));
  if (turn !== asked || chosen !== number) return;
  detail.replaceChildren(...content);
  detail.setAttribute("aria-label", `Question ${number + 1}`);
  place();
  if (focused) {
    button(number)?.focus({ preventScroll: true });
    button(number)?.scrollIntoView({ block: "nearest" });
  }
}

function place() {
  const pane = byId("pane");
  const home = roomy.matches ? pane : (button(chosen)?.parentElement ?? pane);
  if (detail.parentElement !== home) home.append(detail);
  pane.scrollTop = 0;
}

async function turn_page(by) {
  const pages = Math.ceil(found.length / PAGE);
  if (page + by < 0 || page + by >= pages) return;
  page += by;
  list_page();
  await open(found[page * PAGE], true);
}

async function step(by) {
  const next = chosen < 0 ? page * PAGE : found.indexOf(chosen) + by;
  if (next < 0 || next >= found.length) return;
  if (Math.floor(next / PAGE) !== page) {
    page = Math.floor(next / PAGE);
    list_page();
  }
  await open(found[next], true);
}

// The address holds the filters, so that a link reproduces the view.

function remember() {
  const kept = new URLSearchParams();
  for (const name of FIELDS) {
    const value = form.elements[name].value;
    if (value && !(name === "run" && value === standard_run())) kept.set(name, value);
  }
  if (page) kept.set("page", String(page + 1));
  if (chosen >= 0 && chosen !== found[page * PAGE]) kept.set("question", String(chosen + 1));
  const text = kept.toString();
  if (text || location.hash.includes("=")) history.replaceState(null, "", text ? `#${text}` : "#questions");
}

function standard_run() {
  return several ? "1" : "0";
}

async function recall(scrolled) {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of FIELDS) form.elements[name].value = given.get(name) ?? (name === "run" ? standard_run() : "");
  if (!form.elements.run.value) form.elements.run.value = standard_run();
  const page_given = Math.max((Number.parseInt(given.get("page"), 10) || 1) - 1, 0);
  await filter(page_given, (Number.parseInt(given.get("question"), 10) || 0) - 1);
  if (scrolled) byId("questions").scrollIntoView();
}

// Events.

function offer(name, options) {
  form.elements[name].replaceChildren(
    ...options.map(([value, text]) => {
      const made = element("option", text);
      made.value = value;
      return made;
    }),
  );
}

function fill() {
  offer("task", [["", "all"], ...names.tasks.map((task) => [task, task])]);
  offer("type", [["", "all"], ...names.types.map((type) => [type, type])]);
  offer("run", names.runs.map((run, index) => [String(index), run]));
  const changes = [["better", "better than first"], ["worse", "worse than first"]];
  offer("show", [
    ["", "all"], ["right", "right"], ["below", "not fully right"], ["partly", "partly right"], ["wrong", "wrong"],
    ["none", "not scored"], ...(several ? changes : []),
  ]);
  for (const each of form.querySelectorAll(".several")) each.hidden = !several;
  for (const each of form.querySelectorAll(".traced")) each.hidden = !names.traced.some(Boolean);
}

function key(event) {
  const typing = event.target.closest("input, select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
  const inside = event.target.closest(".browser .column");
  const moves = { j: [step, 1], k: [step, -1] };
  if (inside) Object.assign(moves, { ArrowDown: [step, 1], ArrowUp: [step, -1], ArrowRight: [turn_page, 1], ArrowLeft: [turn_page, -1] });
  if (event.key === "/") {
    event.preventDefault();
    form.elements.q.focus();
  } else if (Object.hasOwn(moves, event.key)) {
    event.preventDefault();
    const [move, by] = moves[event.key];
    move(by);
  }
}

function listen() {
  let waiting = 0;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => filter(0, -1), event.target.name === "q" ? 250 : 0);
  });
  form.addEventListener("reset", () => setTimeout(() => {
    form.elements.run.value = standard_run();
    filter(0, -1);
  }));
  byId("back").addEventListener("click", () => turn_page(-1));
  byId("forth").addEventListener("click", () => turn_page(1));
  document.addEventListener("keydown", key);
  roomy.addEventListener("change", place);
  addEventListener("hashchange", () => location.hash.includes("=") && recall(true));
  // A link to the current address fires no hashchange event.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href*="="]');
    if (link && link.hash === location.hash) recall(true);
  });
}

async function start() {
  fill();
  listen();
  columns = await unpack(byId("columns"));
  await recall(location.hash.includes("="));
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

start().catch((error) => {
  byId("count").textContent = `The questions cannot be shown: ${error.message}`;
});
