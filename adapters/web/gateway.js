/**
 * The gateway's HTTP side: is it ready, and the exchange of session descriptions.
 * @module gateway
 */

const KEY_ITEM = "antiphon-key";
/** Longer than the gateway waits for a worker that loads a model. */
const STEERING_MS = 150_000;

/** A request that was understood and not granted, or not answered at all. */
export class GatewayRefused extends Error {
  /**
   * @param {number} status HTTP status, 0 when nobody answered
   * @param {string} code for programs, e.g. `too-many-sessions`
   * @param {string} reason for people
   */
  constructor(status, code, reason) {
    super(reason);
    this.status = status;
    this.code = code;
  }
}

/** Moves a key from the page's address into this tab's storage, so that it is in no bookmark or screenshot. */
export function adoptKeyFromAddress() {
  const address = new URL(location.href);
  const key = address.searchParams.get("key");
  if (key === null) return;
  keepKey(key);
  address.searchParams.delete("key");
  history.replaceState(null, "", address);
}

/** @param {string} key kept until the tab closes */
export function keepKey(key) {
  sessionStorage.setItem(KEY_ITEM, key);
}

/** @returns {boolean} whether a key is kept */
export function hasKey() {
  return sessionStorage.getItem(KEY_ITEM) !== null;
}

/**
 * @typedef {{ready: boolean, missing: string[], voices: string[]}} Readiness
 * @returns {Promise<Readiness>} whether a session could be opened and answered now
 */
export async function readiness() {
  const response = await ask("/readyz", { cache: "no-store" });
  const said = await jsonOf(response);
  if (response.status !== 503 && !response.ok) throw refusal(response.status, said);
  return { ready: response.ok, missing: said.missing ?? [], voices: said.voices ?? [] };
}

/**
 * @param {{sdp: string, type: string, session?: string, token?: string, config?: object}} offer
 * @returns {Promise<{sdp: string, type: string, session: string, token: string}>}
 */
export async function exchange(offer) {
  const response = await ask("/offer", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(offer),
  });
  const said = await jsonOf(response);
  if (!response.ok) throw refusal(response.status, said);
  return said;
}

/**
 * @param {string} path of server-sent events
 * @param {AbortSignal} signal ends them
 * @returns {Promise<ReadableStream<Uint8Array>>} an EventSource could not send the key, unless in the address
 */
export async function events(path, signal) {
  const response = await ask(path, { headers: { Accept: "text/event-stream" }, cache: "no-store", signal });
  if (!response.ok) throw refusal(response.status, await jsonOf(response));
  return response.body;
}

/**
 * @param {string} path of a worker, and what it is to do
 * @param {string} adminKey "" where none is asked for
 * @returns {Promise<{took_ms: number}>}
 */
export async function steer(path, adminKey) {
  const headers = { "Content-Type": "application/json" };
  if (adminKey !== "") headers.Authorization = `Bearer ${adminKey}`;
  const response = await ask(path, { method: "POST", headers, body: "{}", signal: AbortSignal.timeout(STEERING_MS) });
  const said = await jsonOf(response);
  if (!response.ok) throw refusal(response.status, said);
  return said;
}

async function ask(path, options) {
  const key = sessionStorage.getItem(KEY_ITEM);
  const headers = { ...(key === null ? {} : { Authorization: `Bearer ${key}` }), ...options.headers };
  try {
    return await fetch(path, { signal: AbortSignal.timeout(10_000), ...options, headers });
  } catch {
    throw new GatewayRefused(0, "unreachable", "The gateway does not answer.");
  }
}

async function jsonOf(response) {
  try {
    return await response.json();
  } catch {
    return {};
  }
}

function refusal(status, said) {
  const reason = said.reason ?? said.message ?? `The gateway answered with HTTP ${status}.`;
  return new GatewayRefused(status, said.code ?? `http-${status}`, reason);
}
