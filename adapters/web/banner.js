/**
 * What went wrong, where it is seen and read aloud.
 * @module banner
 */

/** One message at a time; a newer one replaces an older one. */
export class Banner {
  #box;
  #kind = "";

  /** @param {HTMLElement} box with `role="alert"` */
  constructor(box) {
    this.#box = box;
  }

  /**
   * @param {string} kind what it is about, for `clear`
   * @param {string} title what happened
   * @param {string[]} steps what to do, or what is missing
   * @param {{label: string, act: () => void}[]} actions buttons
   */
  show(kind, title, steps = [], actions = []) {
    this.#kind = kind;
    const body = document.createElement("div");
    body.className = "message";
    body.append(text("strong", title), ...stepsAs(steps));
    const buttons = document.createElement("div");
    buttons.className = "actions";
    for (const { label, act } of actions) buttons.append(this.#button(label, act));
    const dismiss = this.#button("×", () => {});
    dismiss.className = "dismiss";
    dismiss.setAttribute("aria-label", "Dismiss");
    this.#box.replaceChildren(body, buttons, dismiss);
    this.#box.dataset.kind = kind;
    this.#box.hidden = false;
  }

  /** @param {string[]} kinds hides the message if it is about one of these; without any, whatever it is about */
  clear(...kinds) {
    if (kinds.length > 0 && !kinds.includes(this.#kind)) return;
    this.#kind = "";
    this.#box.hidden = true;
    this.#box.replaceChildren();
  }

  #button(label, act) {
    const button = text("button", label);
    button.type = "button";
    button.addEventListener("click", () => {
      this.clear();
      act();
    });
    return button;
  }
}

function stepsAs(steps) {
  if (steps.length === 0) return [];
  if (steps.length === 1) return [text("p", steps[0])];
  const list = document.createElement("ul");
  list.append(...steps.map((step) => text("li", step)));
  return [list];
}

function text(tag, content) {
  const made = document.createElement(tag);
  made.textContent = content;
  return made;
}
