/**
 * How long the last turn took, in words that need no manual.
 * @module latencies
 */

/** In the order of a turn; names as in the protocol's `turn` event. */
const LABELS = [
  ["end_of_speech_to_first_frame", "from your last word to the reply"],
  ["end_of_speech_to_transcript", "Transcript ready"],
  ["asr_compute", "Recogniser at work"],
  ["reply_to_first_text", "Reply’s first words"],
  ["text_to_first_frame", "Words to voice"],
  ["speech_started_to_hold", "Interruption to silence"],
];

/**
 * @param {HTMLElement} section hidden until there is something to show
 * @param {HTMLElement} list a `dl`
 * @param {Record<string, number>} measured by name, in ms
 */
export function showLatencies(section, list, measured) {
  const known = LABELS.filter(([name]) => measured[name] !== undefined);
  if (known.length === 0) return;
  list.replaceChildren(...known.map(([name, label]) => row(name, label, measured[name])));
  section.hidden = false;
}

function row(name, label, ms) {
  const pair = document.createElement("div");
  pair.dataset.name = name;
  const term = document.createElement("dt");
  term.textContent = label;
  const value = document.createElement("dd");
  value.textContent = duration(ms);
  pair.append(term, value);
  return pair;
}

/** @param {number} ms @returns {string} with as many digits as mean something */
export function duration(ms) {
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(2)} s`;
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}
