/**
 * A session with the gateway that outlives its network connections.
 * @module connection
 */

import { GatewayRefused } from "./gateway.js";

const FIRST_RETRY_MS = 300;
const LONGEST_RETRY_MS = 4_000;
/** What the gateway answers when it no longer keeps the session's place. */
const SESSION_GONE = "no-such-session";

/**
 * @typedef {"idle" | "connecting" | "live" | "reconnecting"} Status
 *
 * Events, each a CustomEvent:
 * - `status`: detail is `{status: Status}`
 * - `message`: detail is a message of the protocol
 * - `audio`: detail is the MediaStream of the reply's voice
 * - `ended`: detail is `{reason: string}`; the session is over and the connection idle again
 * - `renewed`: the old session was gone, a new one took its place
 */
export class Connection extends EventTarget {
  #connectPeer;
  #exchange;
  /** @type {import("./peer.js").Peer | null} */
  #peer = null;
  #ticket = null;
  #track = null;
  #config = {};
  #attempt = 0;
  #wake = null;
  /** @type {Status} */
  status = "idle";

  /**
   * @param {object} world what it needs, so that a test can put something else in its place
   * @param {typeof import("./peer.js").connectPeer} world.connectPeer
   * @param {typeof import("./gateway.js").exchange} world.exchange
   */
  constructor({ connectPeer, exchange }) {
    super();
    this.#connectPeer = connectPeer;
    this.#exchange = exchange;
    addEventListener("online", () => this.#wake?.());
  }

  /**
   * Opens a new session.
   *
   * @param {MediaStreamTrack | null} track the microphone, or null to listen only
   * @param {object} config what differs from the deployment's defaults
   * @throws {GatewayRefused | Error} with a reason for people
   */
  async open(track, config) {
    this.#track = track;
    this.#config = config;
    this.#ticket = null;
    const attempt = ++this.#attempt;
    this.#become("connecting");
    try {
      await this.#connect(attempt);
    } catch (error) {
      if (attempt === this.#attempt) this.#become("idle");
      throw error;
    }
  }

  /** @param {object} message a command of the protocol. @returns {boolean} whether it left */
  send(message) {
    return this.#peer?.send(message) ?? false;
  }

  /** @param {MediaStreamTrack | null} track takes the microphone's place, now and after a reconnect */
  async useMicrophone(track) {
    this.#track = track;
    await this.#peer?.useMicrophone(track);
  }

  /** @param {object} config remembered for a session that takes this one's place */
  configure(config) {
    this.#config = { ...this.#config, ...config };
    return this.send({ type: "configure", config });
  }

  /** Ends the session. */
  close() {
    this.send({ type: "close" });
    this.#end("");
  }

  async #connect(attempt) {
    const peer = await this.#connectPeer({
      track: this.#track,
      exchange: (offer) => this.#exchange({ ...offer, ...(this.#ticket ?? { config: this.#config }) }),
      onMessage: (message) => attempt === this.#attempt && this.#take(message),
      onAudio: (stream) => attempt === this.#attempt && this.#tell("audio", stream),
      onLost: () => attempt === this.#attempt && this.#reconnect(),
    });
    if (attempt !== this.#attempt) {
      peer.close();
      return;
    }
    const { session, token } = peer.answer;
    this.#ticket = { session, token };
    this.#peer = peer;
    this.#become("live");
  }

  async #reconnect() {
    this.#peer = null;
    const attempt = ++this.#attempt;
    this.#become("reconnecting");
    for (let pause = FIRST_RETRY_MS; attempt === this.#attempt; pause = Math.min(pause * 1.7, LONGEST_RETRY_MS)) {
      try {
        await this.#connect(attempt);
        return;
      } catch (error) {
        if (attempt !== this.#attempt) return;
        if (error instanceof GatewayRefused && error.code === SESSION_GONE && this.#ticket !== null) {
          this.#ticket = null; // its place is not kept for ever: go on with a new one
          this.#tell("renewed", null);
          continue;
        }
        if (error instanceof GatewayRefused && error.status === 401) {
          this.#end("The key is no longer accepted. Start again to enter another one.");
          return;
        }
      }
      await this.#pause(pause);
    }
  }

  /** Waits, or less when the browser says that the network is back. */
  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #take(message) {
    if (message.type === "opened") this.#ticket = { session: message.session, token: message.token };
    this.#tell("message", message);
    if (message.type === "closed") this.#end(message.reason);
  }

  #end(reason) {
    this.#attempt += 1;
    this.#wake?.();
    const peer = this.#peer;
    this.#peer = null;
    this.#ticket = null;
    // What was just sent still has to leave.
    setTimeout(() => peer?.close(), 200);
    this.#become("idle");
    this.#tell("ended", { reason });
  }

  #become(status) {
    this.status = status;
    this.#tell("status", { status });
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
