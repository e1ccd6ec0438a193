/**
 * All workers, told at each change, for as long as somebody looks.
 * @module fleet-stream
 */

import { events } from "./gateway.js";

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 5_000;
/** The gateway says something every five seconds; who has heard nothing for so long has lost it. */
const SILENCE_MS = 12_000;

/** @typedef {{workers: object[], steering: "key" | "open" | "off", steering_reason: string}} Snapshot */

/** Comes back by itself after a lost connection. */
export class FleetStream {
  #onSnapshot;
  #onTrouble;
  /** @type {AbortController | null} */
  #open = null;
  #wake = () => {};

  /**
   * @param {object} ears
   * @param {(snapshot: Snapshot) => void} ears.onSnapshot
   * @param {(error: import("./gateway.js").GatewayRefused | null) => void} ears.onTrouble null when a connection was
   *   lost that had been there
   */
  constructor({ onSnapshot, onTrouble }) {
    this.#onSnapshot = onSnapshot;
    this.#onTrouble = onTrouble;
    addEventListener("online", () => this.#wake());
  }

  /** Begins, or begins anew. */
  open() {
    this.close();
    this.#open = new AbortController();
    void this.#keepListening(this.#open.signal);
  }

  /** Ends. */
  close() {
    this.#open?.abort();
    this.#open = null;
    this.#wake();
  }

  async #keepListening(closed) {
    for (let pause = FIRST_RETRY_MS; !closed.aborted; pause = Math.min(pause * 1.7, LONGEST_RETRY_MS)) {
      try {
        await this.#listen(closed, () => (pause = FIRST_RETRY_MS));
        if (!closed.aborted) this.#onTrouble(null);
      } catch (error) {
        if (!closed.aborted) this.#onTrouble(error);
      }
      if (!closed.aborted) await this.#rest(pause);
    }
  }

  /** Until the connection ends, by whomever. */
  async #listen(closed, onNews) {
    const silent = new AbortController();
    const signal = AbortSignal.any([closed, silent.signal]);
    let timer = setTimeout(() => silent.abort(), SILENCE_MS);
    const stream = await events("/workers/events", signal);
    const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    try {
      while (true) {
        clearTimeout(timer);
        timer = setTimeout(() => silent.abort(), SILENCE_MS);
        const { value, done } = await reader.read();
        if (done) return;
        const blocks = (text + value).split("\n\n");
        text = blocks.pop();
        for (const block of blocks) this.#take(block, onNews);
      }
    } catch {
      return; // what was being read is lost, however that came about
    } finally {
      clearTimeout(timer);
    }
  }

  #take(block, onNews) {
    const line = block.split("\n").find((one) => one.startsWith("data: "));
    if (line === undefined) return;
    onNews();
    this.#onSnapshot(JSON.parse(line.slice("data: ".length)));
  }

  #rest(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
