/**
 * Whether anything still arrives. The browser itself takes eight seconds to notice that a gateway is gone; the gateway
 * sends something at least every 400 ms, even while nobody speaks.
 * @module liveness
 */

const LOOK_EVERY_MS = 500;
const LOST_AFTER_MS = 2_500;

/**
 * @param {RTCPeerConnection} link connected
 * @param {() => void} onSilent called once, when nothing has come for 2.5 s
 * @returns {() => void} stops watching
 */
export function watchLiveness(link, onSilent) {
  let received = -1;
  let silent = 0;
  let looked = performance.now();
  const timer = setInterval(async () => {
    const now = performance.now();
    // A page that was frozen has heard nothing either, which says nothing about the gateway.
    silent += Math.min(now - looked, 2 * LOOK_EVERY_MS);
    looked = now;
    const bytes = await bytesReceived(link);
    if (bytes !== received) silent = 0;
    received = bytes;
    if (silent < LOST_AFTER_MS) return;
    clearInterval(timer);
    onSilent();
  }, LOOK_EVERY_MS);
  return () => clearInterval(timer);
}

async function bytesReceived(link) {
  let bytes = 0;
  for (const entry of (await link.getStats()).values()) {
    if (entry.type === "candidate-pair") bytes += entry.bytesReceived ?? 0;
  }
  return bytes;
}
