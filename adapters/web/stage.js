/**
 * Who has the floor, in words.
 * @module stage
 */

const WORDS = {
  idle: ["Ready", "Press start, then speak as you would with a person."],
  connecting: ["Connecting", "One moment."],
  reconnecting: ["Connection lost", "Trying to come back to the same place."],
  LISTENING: ["Listening", "Speak whenever you like."],
  THINKING: ["Thinking", "Finding the words."],
  SPEAKING: ["Speaking", "Speak up at any time to interrupt."],
  BARGED_IN: ["Paused for you", "The reply waits while you speak."],
};
const NOT_READY = ["Not ready yet", "The page goes on by itself as soon as the gateway is."];
const STOPPED = "The reply has stopped. Go on.";
const WENT_ON = "That was no interruption: the reply goes on.";
const UNHEARD = { muted: "You are muted.", absent: "Without a microphone: type what it should say." };

/** The headline, the line under it, and the state on the body that colours follow. */
export class Stage {
  #headline;
  #line;
  #status = "idle";
  #state = "LISTENING";
  #ready = true;
  #microphone = "open";

  /** @param {{headline: HTMLElement, line: HTMLElement}} parts */
  constructor({ headline, line }) {
    this.#headline = headline;
    this.#line = line;
    this.#show();
  }

  /** @returns {string} what is shown: a state of the floor while live, else the connection's status */
  get shown() {
    return this.#status === "live" ? this.#state : this.#status;
  }

  /** @param {import("./connection.js").Status} status */
  connection(status) {
    this.#status = status;
    if (status === "connecting") this.#state = "LISTENING";
    this.#show();
  }

  /** @param {"LISTENING" | "THINKING" | "SPEAKING" | "BARGED_IN"} state */
  floor(state) {
    const before = this.#state;
    this.#state = state;
    if (before === "BARGED_IN" && state === "LISTENING") this.#show(STOPPED);
    else if (before === "BARGED_IN" && state === "SPEAKING") this.#show(WENT_ON);
    else this.#show();
  }

  /** @param {boolean} ready whether the gateway could serve a session now */
  gateway(ready) {
    this.#ready = ready;
    this.#show();
  }

  /** @param {{present: boolean, muted: boolean}} microphone */
  microphone({ present, muted }) {
    this.#microphone = present ? (muted ? "muted" : "open") : "absent";
    this.#show();
  }

  #words() {
    if (this.shown === "idle" && !this.#ready) return NOT_READY;
    const [headline, line] = WORDS[this.shown];
    return [headline, (this.shown === "LISTENING" && UNHEARD[this.#microphone]) || line];
  }

  #show(instead) {
    const [headline, line] = this.#words();
    this.#headline.textContent = headline;
    this.#line.textContent = instead ?? line;
    document.body.dataset.status = this.#status;
    document.body.dataset.state = this.shown;
  }
}
