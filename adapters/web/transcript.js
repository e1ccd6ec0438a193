/**
 * The conversation as a list in the document.
 * @module transcript
 */

const SPEAKERS = { user: "You", machine: "Antiphon", note: "" };
/** Someone who has scrolled up to read is not pulled away. */
const NEAR_END_PX = 80;

/** Shows entries; each is made once and then changed in place, so that a screen reader hears only what is new. */
export class TranscriptView {
  #list;
  #scroll;
  #empty;
  /** @type {Map<string, HTMLElement>} */
  #items = new Map();
  #follows = true;

  /** @param {{list: HTMLElement, scroll: HTMLElement, empty: HTMLElement}} parts */
  constructor({ list, scroll, empty }) {
    this.#list = list;
    this.#scroll = scroll;
    this.#empty = empty;
    scroll.addEventListener("scroll", () => (this.#follows = this.#atEnd()));
    new ResizeObserver(() => this.#toEnd()).observe(scroll);
  }

  /** @param {import("./conversation.js").Entry[]} entries new or changed ones */
  show(entries) {
    if (entries.length === 0) return;
    this.#empty.hidden = true;
    for (const entry of entries) this.#draw(entry);
    this.#toEnd();
  }

  #draw(entry) {
    const item = this.#items.get(entry.id) ?? this.#make(entry);
    item.classList.toggle("open", !entry.settled);
    item.classList.toggle("aside", entry.aside || isUnspoken(entry));
    item.setAttribute("aria-busy", String(entry.who === "user" && !entry.settled));
    write(item.querySelector(".heard"), entry.text);
    const cut = entry.unheard.trim() !== "";
    item.querySelector(".unheard").hidden = !cut;
    write(item.querySelector(".unheard-text"), entry.unheard.trim());
    const remark = item.querySelector(".remark");
    remark.hidden = !cut && !entry.aside;
    write(remark, remarkOn(entry, cut));
  }

  #make(entry) {
    const item = element("li", `entry ${entry.who}`);
    item.dataset.id = entry.id;
    if (entry.who !== "note") item.append(element("span", "speaker", SPEAKERS[entry.who]));
    const said = element("p", "said");
    const unheard = element("span", "unheard");
    unheard.append(element("span", "unseen", " Not heard: "), element("span", "unheard-text"));
    said.append(element("span", "heard"), " ", unheard);
    item.append(said, element("p", "remark"));
    this.#items.set(entry.id, item);
    this.#list.append(item);
    return item;
  }

  #atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroll;
    return scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  }

  #toEnd() {
    if (this.#empty.hidden && this.#follows) this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }
}

function remarkOn(entry, cut) {
  if (entry.aside) return "The reply went on";
  if (!cut) return "";
  return isUnspoken(entry) ? "Not spoken" : "Interrupted; the rest was not heard";
}

/** A reply that was dropped before its first word: the user had not finished. */
function isUnspoken(entry) {
  return entry.unheard.trim() !== "" && entry.text.trim() === "";
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** Text that stays the same is left alone: rewriting it would be announced again. */
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
