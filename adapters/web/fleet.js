/**
 * The panel in which operators see the workers, load and unload models, and let workers go.
 * @module fleet
 */

import { FleetStream } from "./fleet-stream.js";
import { FleetView } from "./fleet-view.js";
import { steer } from "./gateway.js";

const KEY_ITEM = "antiphon-admin-key";
const TOLD_MS = 8_000;
const DONE = { load: "in memory", unload: "unloaded", drain: "draining" };

/** Live while it is open. */
export class FleetPanel {
  #box;
  #confirmation;
  #askForKey;
  #view;
  #stream;
  #snapshot = null;
  #pending = new Set();
  /** The timer of what is told of a command just done; 0 when nothing is. */
  #told = 0;

  /**
   * @param {object} parts
   * @param {HTMLDetailsElement} parts.box holds everything
   * @param {HTMLDialogElement} parts.confirmation asked before a worker is drained
   * @param {() => Promise<boolean>} parts.askForKey for the gateway's API key
   */
  constructor({ box, confirmation, askForKey }) {
    this.#box = box;
    this.#confirmation = confirmation;
    this.#askForKey = askForKey;
    this.#view = new FleetView(this.#part("workers"));
    this.#stream = new FleetStream({
      onSnapshot: (snapshot) => this.#take(snapshot),
      onTrouble: (error) => this.#lost(error),
    });
    box.addEventListener("toggle", () => (box.open ? this.#begin() : this.#stream.close()));
    this.#part("admin").addEventListener("submit", (event) => this.#useKey(event));
    this.#part("forget").addEventListener("click", () => this.#forgetKey());
    confirmation.querySelector("[type=button]").addEventListener("click", () => confirmation.close(""));
  }

  #begin() {
    this.#news("Connecting…");
    this.#stream.open();
  }

  #take(snapshot) {
    if (this.#box.dataset.link !== "live") this.#problem("");
    this.#box.dataset.link = "live";
    this.#snapshot = snapshot;
    if (this.#told === 0) this.#news(this.#count());
    this.#show();
  }

  #lost(error) {
    this.#box.dataset.link = "lost";
    clearTimeout(this.#told);
    this.#told = 0;
    this.#news("Connection lost; trying again…");
    if (error === null) return;
    if (error.status === 401) {
      this.#stream.close();
      void this.#askForKey().then((entered) => (entered ? this.#begin() : (this.#box.open = false)));
    } else if (error.status === 404) {
      this.#stream.close();
      this.#news("");
      this.#problem("This gateway does not show its workers.");
    } else {
      this.#problem(error.message);
    }
  }

  #show() {
    const { workers, steering, steering_reason: reason } = this.#snapshot;
    const asksForKey = steering === "key";
    const hasKey = adminKey() !== "";
    this.#part("admin").hidden = !asksForKey;
    for (const name of ["key", "key-label", "use"]) this.#part(name).hidden = hasKey;
    for (const name of ["kept", "forget"]) this.#part(name).hidden = !hasKey;
    const hint = asksForKey && !hasKey ? "Enter it to load, unload or drain. It is kept for this tab only." : reason;
    this.#part("steering").textContent = hint;
    this.#part("steering").hidden = hint === "";
    const lostFocus = this.#view.show(workers, {
      allowed: steering === "open" || (asksForKey && hasKey),
      pending: (command) => this.#pending.has(nameOf(command)),
      onCommand: (command) => void this.#command(command),
    });
    if (lostFocus) this.#part("summary").focus({ preventScroll: true });
  }

  async #command(command) {
    const { worker, what, model } = command;
    if (what === "drain" && !(await this.#confirmed(worker))) return;
    this.#problem("");
    this.#pending.add(nameOf(command));
    this.#show();
    try {
      const { took_ms: took } = await steer(pathOf(command), adminKey());
      const after = what === "load" ? ` after ${(took / 1000).toFixed(1)} s` : "";
      this.#tell(what === "drain" ? `${worker} is draining` : `${model} is ${DONE[what]}${after}`);
    } catch (error) {
      this.#failed(command, error);
    } finally {
      this.#pending.delete(nameOf(command));
      this.#show();
    }
  }

  #failed({ worker, what, model }, error) {
    if (error.code === "not-admin") {
      sessionStorage.removeItem(KEY_ITEM);
      this.#show();
      this.#problem("The gateway did not accept that admin key. Enter another one.");
      this.#part("key").focus();
      return;
    }
    const tried = what === "drain" ? `drain ${worker}` : `${what} ${model} at ${worker}`;
    this.#problem(`Could not ${tried}: ${error.message}`);
  }

  #confirmed(worker) {
    const dialog = this.#confirmation;
    dialog.querySelector("h2").textContent = `Drain ${worker}?`;
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "drain"), { once: true });
    });
  }

  #useKey(event) {
    event.preventDefault();
    const input = this.#part("key");
    const key = input.value.trim();
    input.value = "";
    if (key === "") return;
    sessionStorage.setItem(KEY_ITEM, key);
    this.#problem("");
    this.#show();
    this.#part("forget").focus();
  }

  #forgetKey() {
    sessionStorage.removeItem(KEY_ITEM);
    this.#show();
    this.#part("key").focus();
  }

  #count() {
    const { length } = this.#snapshot.workers;
    return length === 0 ? "None has announced itself" : `${length} at work`;
  }

  /** What was done, for long enough to be read. */
  #tell(words) {
    clearTimeout(this.#told);
    this.#news(words);
    this.#told = setTimeout(() => {
      this.#told = 0;
      this.#news(this.#count());
    }, TOLD_MS);
  }

  #news(words) {
    const node = this.#part("news");
    if (node.textContent !== words) node.textContent = words;
  }

  #problem(words) {
    this.#part("problem").textContent = words;
    this.#part("problem").hidden = words === "";
  }

  #part(name) {
    return document.getElementById(`fleet-${name}`);
  }
}

function adminKey() {
  return sessionStorage.getItem(KEY_ITEM) ?? "";
}

function nameOf({ worker, what, model = "" }) {
  return [what, worker, model].join(" ");
}

function pathOf({ worker, what, model }) {
  return what === "drain" ? `/workers/${worker}/drain` : `/workers/${worker}/models/${model}/${what}`;
}
