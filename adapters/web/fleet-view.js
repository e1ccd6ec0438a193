/**
 * Workers and their models in the document; what is there is changed in place, so that nobody loses the focus.
 * @module fleet-view
 */

const KINDS = { tts: "speaks", asr: "hears" };
const ONE_MODEL = "It serves the model that it was started with.";
const ELSEWHERE = "It belongs to another system and can't be asked from here: steer it there.";

/**
 * @typedef {{worker: string, what: "load" | "unload" | "drain", model?: string}} Command
 * @typedef {{allowed: boolean, pending: (command: Command) => boolean, onCommand: (command: Command) => void}} Acts
 */

/** A list in which each thing keeps its element from one showing to the next. */
class KeyedList {
  #list;
  #make;
  #shown = new Map();

  constructor(list, make) {
    this.#list = list;
    this.#make = make;
  }

  /** @returns {boolean} whether something went that had the focus */
  show(things, keyOf, acts) {
    const keys = new Set(things.map(keyOf));
    let lostFocus = false;
    for (const [key, entry] of this.#shown) {
      if (keys.has(key)) continue;
      lostFocus ||= entry.element.contains(document.activeElement);
      entry.element.remove();
      this.#shown.delete(key);
    }
    things.forEach((thing, place) => {
      const key = keyOf(thing);
      if (!this.#shown.has(key)) this.#shown.set(key, this.#make(thing, acts));
      const entry = this.#shown.get(key);
      const there = this.#list.children[place];
      if (there !== entry.element) this.#list.insertBefore(entry.element, there ?? null);
      entry.show(thing, acts);
    });
    return lostFocus;
  }
}

/** All workers. */
export class FleetView extends KeyedList {
  /** @param {HTMLElement} list */
  constructor(list) {
    super(list, (view, acts) => new WorkerCard(view.worker.name, acts));
  }

  /**
   * @param {object[]} views as `/workers` tells them
   * @param {Acts} acts
   * @returns {boolean} whether the focus is lost
   */
  show(views, acts) {
    return super.show(views, (view) => view.worker.name, acts);
  }
}

class WorkerCard {
  #parts;
  #models;
  #name;

  constructor(name, acts) {
    this.#name = name;
    this.element = make("li", "worker");
    const head = make("div", "head");
    const line = make("div", "line");
    const facts = make("dl", "facts");
    const models = make("ul", "models");
    this.#parts = {
      state: make("span", "mark"),
      kind: make("span", "kind"),
      drain: button("Drain", "quiet", () => acts.onCommand({ worker: name, what: "drain" })),
      why: make("p", "why"),
      facts,
    };
    const title = make("h3", "", name);
    title.id = `worker-${name}`;
    this.element.setAttribute("aria-labelledby", title.id);
    models.setAttribute("aria-label", `Models of ${name}`);
    this.#parts.drain.setAttribute("aria-label", `Drain ${name}`);
    this.#parts.why.id = `why-${name}`;
    this.#parts.drain.setAttribute("aria-describedby", `why-${name} fleet-steering`);
    line.append(title, this.#parts.state, this.#parts.kind);
    head.append(line, this.#parts.drain);
    this.element.append(head, facts, this.#parts.why, models);
    this.#models = new KeyedList(models, (status) => new ModelRow(status.model));
  }

  show(view, acts) {
    const { worker, models, answers } = view;
    const { state, kind, drain, why, facts } = this.#parts;
    const isElsewhere = worker.via !== "" && !answers;
    mark(state, answers || isElsewhere ? worker.state : "no answer");
    write(kind, KINDS[worker.kind] ?? worker.kind);
    showFacts(facts, factsOf(worker));
    const draining = worker.state === "draining" || acts.pending({ worker: this.#name, what: "drain" });
    write(drain, draining ? "Draining…" : "Drain");
    disable(drain, !acts.allowed || draining || isElsewhere);
    const fixed = isElsewhere ? ELSEWHERE : worker.kind === "asr" ? ONE_MODEL : "";
    write(why, fixed);
    why.hidden = fixed === "";
    const mayChange = acts.allowed && worker.state === "ready" && answers;
    this.#models.show(models, (status) => status.model, {
      ...acts,
      worker: this.#name,
      fixed: fixed !== "",
      allowed: mayChange,
      hindrance: worker.state === "ready" ? (answers ? "" : "it does not answer") : `it is ${worker.state}`,
    });
  }
}

class ModelRow {
  #parts;
  #model;
  #command = null;

  constructor(model) {
    this.#model = model;
    this.element = make("li", "model");
    const words = make("div", "words");
    const line = make("div", "line");
    this.#parts = {
      state: make("span", "mark"),
      fallback: make("span", "kind", "default"),
      detail: make("p", "detail"),
    };
    this.#parts.detail.id = `detail-${Math.random().toString(36).slice(2)}`;
    this.#parts.act = button("", "quiet", () => this.#command?.());
    this.#parts.act.setAttribute("aria-describedby", `${this.#parts.detail.id} fleet-steering`);
    line.append(make("span", "name", model), this.#parts.state, this.#parts.fallback);
    words.append(line, this.#parts.detail);
    this.element.append(words, this.#parts.act);
  }

  show(status, acts) {
    const { state, fallback, detail, act } = this.#parts;
    const worker = acts.worker;
    const what = status.state === "resident" ? "unload" : "load";
    const command = { worker, what, model: this.#model };
    const pending = acts.pending(command) || status.state === "loading";
    mark(state, status.state);
    fallback.hidden = !status.is_default;
    const inUse = what === "unload" && status.users > 0;
    write(detail, detailOf(status, acts.fixed ? "" : acts.hindrance));
    detail.hidden = detail.textContent === "";
    act.hidden = acts.fixed;
    write(act, pending ? (what === "load" ? "Loading…" : "Unloading…") : what === "load" ? "Load" : "Unload");
    act.setAttribute("aria-label", `${act.textContent} ${this.#model} at ${worker}`);
    act.setAttribute("aria-busy", String(pending));
    disable(act, !acts.allowed || pending || inUse);
    this.#command = () => acts.onCommand(command);
  }
}

function factsOf({ sessions, capacity, metrics }) {
  const facts = [
    ["Sessions", `${sessions} of ${capacity}`],
    ["Queue", String(metrics.queue_depth)],
  ];
  if (metrics.p50_first_audio_ms > 0) facts.push(["Latency", `${Math.round(metrics.p50_first_audio_ms)} ms`]);
  if (metrics.rtf > 0) facts.push(["Real-time factor", metrics.rtf.toFixed(2)]);
  return facts;
}

function detailOf(status, hindrance) {
  const said = [];
  if (status.memory_mb > 0) said.push(`${status.memory_mb} MB${sharedBy(status)}`);
  if (status.waiting > 0) said.push(status.waiting === 1 ? "1 voice waits" : `${status.waiting} voices wait`);
  if (status.users > 0) said.push(`in use by ${status.users === 1 ? "1 session" : `${status.users} sessions`}`);
  if (status.state === "failed") {
    const again = status.retry_in_ms > 0 ? `; tried again in ${Math.ceil(status.retry_in_ms / 1000)} s` : "";
    said.push(`could not be loaded: ${status.reason || "no reason given"}${again}`);
  }
  if (hindrance !== "") said.push(hindrance);
  return said.join(" · ");
}

function sharedBy({ base, shared_by }) {
  if (base) return ` on ${base}`;
  return shared_by > 0 ? ` for ${shared_by} more` : "";
}

function showFacts(list, facts) {
  while (list.children.length > facts.length) list.lastChild.remove();
  facts.forEach(([name, value], place) => {
    if (list.children.length === place) {
      const pair = make("div", "");
      pair.append(make("dt", ""), make("dd", ""));
      list.append(pair);
    }
    write(list.children[place].firstChild, name);
    write(list.children[place].lastChild, value);
  });
}

const IN_WORDS = { resident: "in memory", known: "not loaded" };

function mark(node, state) {
  node.dataset.state = state;
  write(node, IN_WORDS[state] ?? state);
}

function button(words, className, act) {
  const made = make("button", className, words);
  made.type = "button";
  made.addEventListener("click", () => made.ariaDisabled === "true" || act());
  return made;
}

/** Unlike with `disabled`, the focus stays, and what describes the button is read: why it can't be pressed. */
function disable(node, isDisabled) {
  node.ariaDisabled = String(isDisabled);
}

function make(tag, className, text = "") {
  const made = document.createElement(tag);
  if (className !== "") made.className = className;
  made.textContent = text;
  return made;
}

/** Text that stays the same is left alone. */
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
