/**
 * One WebRTC connection: our microphone up, the reply's voice down, and a data channel for messages.
 * @module peer
 */

import { watchLiveness } from "./liveness.js";

/** Host candidates are there at once; a server of its own network needs no more. */
const GATHERING_LIMIT_MS = 1_500;
const OPENING_LIMIT_MS = 15_000;
/** A short loss mends itself; a longer one is mended by a new connection. */
const DISCONNECTED_GRACE_MS = 1_200;

/**
 * @typedef {object} Peer
 * @property {{session: string, token: string}} answer
 * @property {(message: object) => boolean} send false when the channel is not open
 * @property {(track: MediaStreamTrack | null) => Promise<void>} useMicrophone
 * @property {() => void} close
 */

/**
 * Resolves once messages can flow.
 *
 * @param {object} wanted
 * @param {MediaStreamTrack | null} wanted.track the microphone, or null to listen only
 * @param {(description: {sdp: string, type: string}) => Promise<object>} wanted.exchange sends the offer
 * @param {(message: object) => void} wanted.onMessage
 * @param {(stream: MediaStream) => void} wanted.onAudio
 * @param {() => void} wanted.onLost called once, when an open connection is gone
 * @returns {Promise<Peer>}
 */
export async function connectPeer({ track, exchange, onMessage, onAudio, onLost }) {
  const link = new RTCPeerConnection();
  const channel = link.createDataChannel("events");
  const microphone = link.addTransceiver("audio", { direction: "sendrecv" });
  const opened = whenOpen(channel, link);
  opened.catch(() => {}); // it may fail before anyone awaits it; the await below reports it
  link.addEventListener("track", ({ track: voice, streams }) => onAudio(streams[0] ?? new MediaStream([voice])));
  channel.addEventListener("message", ({ data }) => onMessage(JSON.parse(data)));
  try {
    await microphone.sender.replaceTrack(track);
    await link.setLocalDescription();
    await gathered(link);
    const { sdp, type } = link.localDescription;
    const answer = await exchange({ sdp, type });
    await link.setRemoteDescription({ sdp: answer.sdp, type: answer.type });
    await opened;
    const forget = watch(link, channel, onLost);
    return {
      answer,
      send: (message) => sendOn(channel, message),
      useMicrophone: (other) => microphone.sender.replaceTrack(other),
      close: () => {
        forget();
        link.close();
      },
    };
  } catch (error) {
    link.close();
    throw error;
  }
}

function sendOn(channel, message) {
  if (channel.readyState !== "open") return false;
  channel.send(JSON.stringify(message));
  return true;
}

function gathered(link) {
  if (link.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    setTimeout(resolve, GATHERING_LIMIT_MS);
    link.addEventListener("icegatheringstatechange", () => {
      if (link.iceGatheringState === "complete") resolve();
    });
  });
}

function whenOpen(channel, link) {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error("No audio connection: the network between here and the gateway blocks UDP."));
    const limit = setTimeout(fail, OPENING_LIMIT_MS);
    channel.addEventListener("open", () => {
      clearTimeout(limit);
      resolve();
    });
    link.addEventListener("connectionstatechange", () => {
      if (link.connectionState === "failed") fail();
    });
  });
}

/** @returns {() => void} stops watching */
function watch(link, channel, onLost) {
  let grace = 0;
  let over = false;
  const lost = () => {
    if (over) return;
    forget();
    link.close();
    onLost();
  };
  const stopLooking = watchLiveness(link, () => lost());
  const forget = () => {
    over = true;
    clearTimeout(grace);
    stopLooking();
  };
  link.addEventListener("connectionstatechange", () => {
    clearTimeout(grace);
    if (link.connectionState === "failed" || link.connectionState === "closed") lost();
    if (link.connectionState === "disconnected") grace = setTimeout(lost, DISCONNECTED_GRACE_MS);
  });
  channel.addEventListener("close", lost);
  return forget;
}
