/**
 * What went wrong, as a Banner shows it: what happened, what to do, and the buttons that do it.
 * @module trouble
 */

import { GatewayRefused } from "./gateway.js";
import { MicrophoneRefused } from "./microphone.js";

/** @typedef {{kind: string, title: string, steps: string[], actions: {label: string, act: () => void}[]}} Trouble */

/** The gateway answers, and says that a session could not be served now. */
export class NotReady extends Error {
  /** @param {string[]} missing as `/readyz` lists it */
  constructor(missing) {
    super("The gateway is not ready yet");
    this.missing = missing;
  }
}

/**
 * @param {Error} error
 * @param {{again: () => void, withoutMicrophone: (() => void) | null}} acts what the user may do next
 * @returns {Trouble}
 */
export function troubleOf(error, acts) {
  const again = { label: "Try again", act: acts.again };
  if (error instanceof MicrophoneRefused) {
    const without = acts.withoutMicrophone;
    const actions = without === null ? [] : [{ label: "Go on without it", act: without }];
    return { kind: "microphone", title: error.message, steps: error.steps, actions: [again, ...actions] };
  }
  if (error instanceof NotReady) {
    const steps = error.missing.length > 0 ? error.missing : ["It does not say what is missing; see its log."];
    return { kind: "ready", title: "The gateway is waiting for", steps, actions: [] };
  }
  if (error instanceof GatewayRefused && error.status === 0) {
    const steps = [`Is it running? On its machine: antiphon up --port ${location.port || 80}`];
    return { kind: "ready", title: "The gateway does not answer", steps, actions: [] };
  }
  return { kind: "connection", title: "The conversation could not begin", steps: [error.message], actions: [again] };
}

/** @param {() => void} turnOn @returns {Trouble} the device was unplugged or withdrawn during the call */
export function microphoneGone(turnOn) {
  return {
    kind: "microphone",
    title: "The microphone is gone",
    steps: ["Plug it in again, or choose another one in the browser, then turn it on here."],
    actions: [{ label: "Turn on the microphone", act: turnOn }],
  };
}

/** @param {() => void} play @returns {Trouble} the browser plays nothing without a click */
export function soundBlocked(play) {
  return {
    kind: "sound",
    title: "The browser holds back the sound",
    steps: ["It wants one more click before it plays the reply."],
    actions: [{ label: "Play the sound", act: play }],
  };
}
