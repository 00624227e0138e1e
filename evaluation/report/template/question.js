// One question.

function shown(value) {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(shown).join(value.some((each) => typeof each === "string") ? "\n" : ", ");
  return JSON.stringify(value);
}

function joined(text, [begin, end, middle]) {
  const made = element("pre");
  made.tabIndex = 0;
  made.append(text.slice(0, begin));
  if (middle) made.append(element("mark", middle, "added"));
  made.append(text.slice(text.length - end));
  return made;
}

function block_of(text) {
  const made = element("pre", text);
  made.tabIndex = 0;
  return made;
}

function softmax(scores) {
  const top = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - top));
  const sum = weights.reduce((one, other) => one + other, 0);
  return weights.map((weight) => weight / sum);
}

function true_label(one, type, run, index) {
  const label = Number(run.labels[index]);
  if (type === "multiple-choice") return label === one.truth ? "right" : "";
  if (type === "retrieval" && Array.isArray(one.truth)) return one.truth.includes(label) ? "right" : "";
  if (type === "ranking" && Array.isArray(one.truth)) return String(one.truth[label - 1] ?? "");
  return "";
}

function label_table(one, type, run) {
  const sources = Object.keys(run.evidence);
  const model = run.model.length ? softmax(run.model) : [];
  const both = run.scores.length && sources.length ? softmax(run.scores) : [];
  const titles = ["label", "text", "truth", ...(model.length ? ["model", "probability"] : []), ...sources];
  if (both.length) titles.push("combined", "its probability");
  const header = within(element("tr"), ...titles.map((title) => heading(title, "col")));
  const body = element("tbody");
  run.labels.forEach((label, index) => {
    const truth = true_label(one, type, run, index);
    const made = element("tr", undefined, truth === "right" ? "true" : "");
    within(made, heading(label, "row"), element("td", run.texts[index] ?? "", "option"), element("td", truth));
    if (model.length) within(made, number_cell(run.model[index]), share_cell(model[index], label));
    for (const source of sources) made.append(number_cell(run.evidence[source][index]));
    if (both.length) within(made, number_cell(run.scores[index]), share_cell(both[index], label));
    body.append(made);
  });
  const caption = element("caption", "Labels and their scores");
  const table = within(element("table"), caption, within(element("thead"), header), body);
  const wide = element("div", undefined, "wide");
  wide.tabIndex = 0;
  wide.setAttribute("role", "region");
  wide.setAttribute("aria-label", "Labels");
  return within(wide, table);
}

function heading(text, scope) {
  const made = element("th", text);
  made.scope = scope;
  return made;
}

function number_cell(value) {
  return element("td", value === undefined ? "–" : value.toFixed(2), "number");
}

function share_cell(value, label) {
  const meter = element("meter");
  meter.value = value;
  meter.setAttribute("aria-label", `probability of ${label}`);
  return within(element("td", `${value.toFixed(3)} `, "number whole"), meter);
}

const WAYS = {
  label: "the labels' probabilities after the whole question",
  text: "the options' texts after the question without its list",
  pmi: "how much the question without its list raises the probability of the options' texts",
  decode: "labels, by decoding constrained to the answer's form",
  spans: "scores of the text's phrases",
  copy: "phrases copied from the text while decoding",
  write: "text written after the whole question",
};

function read(one, run) {
  const made = [];
  const bare = ["text", "pmi", "spans"].includes(run.way) && run.bare.some(Boolean);
  made.push(element("p", `Planned: ${WAYS[run.way] ?? run.way}.`, "note"));
  if (!(bare && run.statement)) made.push(element("h5", "System"), block_of(names.roles[run.role]));
  if (bare) {
    const title = run.statement ? "Scored prompt, as running text" : "Scored prompt, as the user's turn";
    made.push(element("h5", title), joined(one.text, run.bare));
  }
  const changed = run.user[2] || run.user[0] < one.text.length;
  const whole = changed
    ? [element("h5", "User (additions to the question are marked)"), joined(one.text, run.user)]
    : [element("h5", "User: the question, unchanged")];
  if (!bare || changed) made.push(...(bare ? [folded("The whole question, as other ways read it", whole)] : whole));
  if (run.cue) made.push(element("h5", "Cue"), block_of(run.cue));
  return made;
}

function folded(title, content) {
  return within(element("details"), element("summary", title), ...content);
}

function of_run(one, number, run, index) {
  const column = columns.runs[index];
  const made = [element("h4", several ? names.runs[index] : "Answer")];
  const facts = element("p");
  facts.append(chip(column.score[number], `${one.metric} `));
  if (run.counts) facts.append(` found ${run.counts[0]}, wrong ${run.counts[1]}, missed ${run.counts[2]}.`);
  if (column.detected[number] !== undefined) facts.append(` Detected: ${names.types[column.detected[number]]}.`);
  if (run.seconds !== null && run.seconds !== undefined) facts.append(` ${run.seconds.toFixed(2)} s.`);
  if (run.tokens) facts.append(` ${run.tokens[0].toFixed(0)} tokens read, ${run.tokens[1].toFixed(0)} written.`);
  made.push(facts);
  if (column.reason[number]) made.push(element("p", `Fallback: ${names.reasons[column.reason[number]]}.`, "tag"));
  made.push(block_of(run.answer));
  if (run.written && run.written !== run.answer) {
    made.push(element("h5", "Answer of the model alone"), block_of(run.written));
  }
  if (run.labels?.length) {
    const sources = Object.keys(run.evidence).join(", ") || "none";
    made.push(element("p", `Evidence: ${sources}. Probabilities are the softmax over the scores beside them.`, "note"));
    made.push(label_table(one, names.types[columns.type[number]], run));
  }
  if (run.way) {
    const reading = read(one, run);
    made.push(...(several ? [folded("Prompt as the model read it", reading)] : [element("h4", "Prompt as the model read it"), ...reading]));
  }
  return made;
}

function described(number, one) {
  const made = [element("h3", `Question ${number + 1}`)];
  made.push(element("p", `${names.tasks[columns.task[number]]} · ${names.types[columns.type[number]]} · ${one.track}`, "note"));
  const asks = [element("h4", "Question"), block_of(one.text)];
  const truth = [element("h4", "Truth"), block_of(shown(one.truth))];
  made.push(...asks, ...truth);
  one.runs.forEach((run, index) => made.push(...of_run(one, number, run, index)));
  return made;
}
