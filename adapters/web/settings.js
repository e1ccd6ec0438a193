/**
 * The choices of a session, kept in this browser.
 * @module settings
 */

const CHOICES_ITEM = "antiphon-choices";

/** The settings' form: what is chosen, and what can be. */
export class Settings {
  #form;
  #onChange;
  /** What is offered now; a list that is open is not rewritten for nothing. */
  #voices = "";

  /**
   * @param {HTMLFormElement} form with the selects `voice`, `barge_in` and `end_of_turn_ms`
   * @param {(config: object) => void} onChange called with what the user has just changed
   */
  constructor(form, onChange) {
    this.#form = form;
    this.#onChange = onChange;
    form.addEventListener("change", ({ target }) => this.#changed(target.name));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.elements.barge_in.value = kept().barge_in ?? "words";
    form.elements.end_of_turn_ms.value = kept().end_of_turn_ms ?? "500";
  }

  /** @returns {object} a SessionConfig of what this user has ever chosen, and the deployment still offers */
  get config() {
    const { voice, ...others } = kept();
    return voice !== undefined && this.#offers(voice) ? { ...others, voice } : others;
  }

  /** @param {string[]} voices that can be chosen, the default first */
  offer(voices) {
    if (voices.join() === this.#voices) return;
    this.#voices = voices.join();
    const select = this.#form.elements.voice;
    const wanted = kept().voice ?? select.value;
    select.replaceChildren(...voices.map((voice) => new Option(spoken(voice), voice)));
    select.value = voices.includes(wanted) ? wanted : (voices[0] ?? "");
  }

  /** @param {object} config what the session really uses */
  show(config) {
    for (const name of ["voice", "barge_in", "end_of_turn_ms"]) {
      if (config[name] !== null && config[name] !== undefined) this.#select(name, String(config[name]));
    }
  }

  #select(name, value) {
    const select = this.#form.elements[name];
    if (![...select.options].some((option) => option.value === value)) {
      select.append(new Option(name === "end_of_turn_ms" ? `${Number(value) / 1000} s` : value, value));
    }
    select.value = value;
  }

  #offers(voice) {
    return [...this.#form.elements.voice.options].some((option) => option.value === voice);
  }

  #changed(name) {
    const { value } = this.#form.elements[name];
    const change = { [name]: name === "end_of_turn_ms" ? Number(value) : value };
    localStorage.setItem(CHOICES_ITEM, JSON.stringify({ ...kept(), ...change }));
    this.#onChange(change);
  }
}

/** `hibari-heart` is a model's id; a person reads "Heart · hibari". */
function spoken(voice) {
  const [family, ...name] = voice.split("-");
  if (name.length === 0) return voice;
  const words = name.join(" ");
  return `${words[0].toUpperCase()}${words.slice(1)} · ${family}`;
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(CHOICES_ITEM)) ?? {};
  } catch {
    return {}; // someone else's writing under our name: as if nothing were kept
  }
}
