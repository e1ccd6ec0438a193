/**
 * Which voices can be chosen now: workers come and go.
 * @module voices
 */

import { readiness } from "./gateway.js";

const EVERY_MS = 2_000;

/**
 * @param {HTMLDetailsElement} disclosure where voices are chosen; nobody is asked while it is closed
 * @param {(voices: string[]) => void} offer called with those that there are
 */
export function followVoices(disclosure, offer) {
  let timer = 0;
  const look = async () => {
    try {
      const { voices } = await readiness();
      if (voices.length > 0) offer(voices);
    } catch {
      // nobody answers: what was offered before may be there again in a moment
    }
    if (disclosure.open) timer = setTimeout(look, EVERY_MS);
  };
  disclosure.addEventListener("toggle", () => {
    clearTimeout(timer);
    if (disclosure.open) void look();
  });
}
