/**
 * What was said by both, as a list of entries, from the session's messages. No document, no network: it can be tested
 * with messages alone.
 * @module conversation
 */

/**
 * @typedef {object} Entry
 * @property {string} id stays the same while the entry grows
 * @property {"user" | "machine" | "note"} who
 * @property {string} text what is settled or still to be settled
 * @property {string} unheard the end of an interrupted reply, which nobody heard
 * @property {boolean} settled false while it may still change
 * @property {boolean} interrupted
 * @property {boolean} aside words of the user that did not end the reply
 */

/** The list of entries; `apply` says which one a message changed. */
export class Conversation {
  /** @type {Entry[]} in the order in which they began */
  entries = [];
  /** What was last said of the floor. */
  state = "LISTENING";
  #round = 0;
  #notes = 0;

  /**
   * @param {object} message any message of the protocol
   * @returns {Entry[]} those that are new or changed
   */
  apply(message) {
    switch (message.type) {
      case "transcript":
        return [this.#transcript(message)];
      case "reply":
        return [this.#reply(message)];
      case "heard":
        return [this.#heard(message)];
      case "state":
        return this.#floor(message.state);
      default:
        return [];
    }
  }

  /** @param {string} text a remark of the page's own. @returns {Entry} */
  note(text) {
    this.#notes += 1;
    const entry = { ...blank(`note-${this.#notes}`, "note"), text, settled: true };
    this.entries.push(entry);
    return entry;
  }

  /** A new session counts its turns and utterances from the beginning again. */
  beginSession() {
    this.#round += 1;
    this.state = "LISTENING";
  }

  #transcript({ utterance, text, final }) {
    const entry = this.#entry("user", utterance);
    return Object.assign(entry, { text, settled: final, aside: false });
  }

  #reply({ turn, text }) {
    const entry = this.#entry("machine", turn);
    if (!entry.settled) entry.text = joined(entry.text, text);
    return entry;
  }

  #heard({ turn, heard, unheard, interrupted }) {
    const entry = this.#entry("machine", turn);
    return Object.assign(entry, { text: heard, unheard, interrupted, settled: true });
  }

  #floor(state) {
    const before = this.state;
    this.state = state;
    if (before !== "BARGED_IN" || state !== "SPEAKING") return [];
    return this.entries
      .filter((entry) => entry.who === "user" && !entry.settled)
      .map((entry) => Object.assign(entry, { settled: true, aside: true }));
  }

  #entry(who, number) {
    const id = `${who}-${this.#round}-${number}`;
    const known = this.entries.find((entry) => entry.id === id);
    if (known !== undefined) return known;
    const entry = blank(id, who);
    this.entries.push(entry);
    return entry;
  }
}

function blank(id, who) {
  return { id, who, text: "", unheard: "", settled: false, interrupted: false, aside: false };
}

/** Pieces of a reply come as they are handed to the voice, with or without the blank between them. */
function joined(before, next) {
  return before === "" || /\s$/u.test(before) || /^\s/u.test(next) ? before + next : `${before} ${next}`;
}
