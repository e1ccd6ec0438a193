/**
 * The microphone's level, as a bar and as a number.
 * @module meter
 */

const SPOKEN_EVERY_MS = 500;

/** A bar that follows the microphone; its number changes seldom, since it may be read aloud. */
export class Meter {
  #track;
  #fill;
  #said = 0;

  /** @param {{track: HTMLElement, fill: HTMLElement}} parts with `role="meter"` on the track */
  constructor({ track, fill }) {
    this.#track = track;
    this.#fill = fill;
  }

  /**
   * @param {number} level from 0 to 1
   * @param {number} now in ms
   */
  show(level, now) {
    this.#fill.style.transform = `scaleX(${level.toFixed(3)})`;
    if (now - this.#said < SPOKEN_EVERY_MS) return;
    this.#said = now;
    this.#track.setAttribute("aria-valuenow", String(Math.round(level * 100)));
  }
}
