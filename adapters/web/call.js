/**
 * A call: microphone, connection and loudspeaker together, and what to say when one of them is missing.
 * @module call
 */

import { Connection } from "./connection.js";
import { exchange, GatewayRefused, readiness } from "./gateway.js";
import { askForMicrophone } from "./microphone.js";
import { connectPeer } from "./peer.js";
import { Loudness } from "./sound.js";
import { microphoneGone, NotReady, soundBlocked, troubleOf } from "./trouble.js";

const READY_EVERY_MS = 3_000;

/**
 * Events, besides those of a Connection:
 * - `trouble`: detail is a Trouble
 * - `ready`: what was missing is there
 * - `session`: a new session begins
 * - `microphone`: detail is `{present, muted}`
 */
export class Call extends EventTarget {
  #audio;
  #settings;
  #askForKey;
  #connection = new Connection({ connectPeer, exchange });
  /** @type {Loudness | null} */
  #loudness = null;
  #levels = { user: null, machine: null };
  /** @type {MediaStreamTrack | null} */
  #track = null;
  #starting = false;

  /**
   * @param {object} parts
   * @param {HTMLAudioElement} parts.audio plays the reply
   * @param {import("./settings.js").Settings} parts.settings
   * @param {() => Promise<boolean>} parts.askForKey
   */
  constructor({ audio, settings, askForKey }) {
    super();
    this.#audio = audio;
    this.#settings = settings;
    this.#askForKey = askForKey;
    for (const name of ["status", "message", "renewed"]) this.#pass(name);
    this.#connection.addEventListener("audio", ({ detail }) => this.#play(detail));
    this.#connection.addEventListener("ended", ({ detail }) => this.#ended(detail));
  }

  /** @returns {import("./connection.js").Status} */
  get status() {
    return this.#starting ? "connecting" : this.#connection.status;
  }

  /** Says before the first click what is missing, until nothing is, and fills the list of voices. */
  async lookAhead(told = "") {
    if (this.status !== "idle") return;
    try {
      const { ready, missing, voices } = await readiness();
      if (voices.length > 0) this.#settings.offer(voices);
      if (!ready) throw new NotReady(missing);
      this.#tell("ready", null);
    } catch (error) {
      if (error.status === 401 || this.status !== "idle") return; // the key is asked for at the first click
      const trouble = this.#troubleOf(error);
      const news = [trouble.title, ...trouble.steps].join();
      if (news !== told) this.#tell("trouble", trouble);
      setTimeout(() => void this.lookAhead(news), READY_EVERY_MS);
    }
  }

  /** Asks for the microphone and opens a session. @param {{listenOnly?: boolean}} options */
  async start({ listenOnly = false } = {}) {
    if (this.status !== "idle") return;
    this.#starting = true;
    this.#tell("status", { status: "connecting" });
    this.#loudness ??= new Loudness();
    this.#loudness.wake();
    try {
      await this.#checkReady();
      if (!listenOnly) await this.#openMicrophone();
      this.#tell("session", null);
      await this.#connection.open(this.#track, this.#settings.config);
    } catch (error) {
      this.#dropMicrophone();
      this.#starting = false;
      this.#tell("status", { status: "idle" });
      await this.#explain(error);
    } finally {
      this.#starting = false;
    }
  }

  /** Ends the call. */
  hangUp() {
    if (this.#connection.status !== "idle") this.#connection.close();
  }

  /** @param {string} text spoken as a turn of the machine's. @returns {boolean} whether it was sent */
  say(text) {
    return this.#connection.send({ type: "say", text });
  }

  /** Stops the reply. */
  interrupt() {
    this.#connection.send({ type: "interrupt" });
  }

  /** @param {object} config what the user has changed */
  configure(config) {
    this.#connection.configure(config);
  }

  /** Mutes or unmutes; without a microphone, asks for one. */
  async toggleMicrophone() {
    if (this.status === "idle" || this.status === "connecting") return;
    if (this.#track !== null) {
      this.#track.enabled = !this.#track.enabled;
      this.#tellMicrophone();
      return;
    }
    try {
      await this.#openMicrophone();
      await this.#connection.useMicrophone(this.#track);
    } catch (error) {
      await this.#explain(error);
    }
  }

  /** @returns {{user: number, machine: number}} from 0 to 1 */
  levels() {
    return { user: this.#levels.user?.read() ?? 0, machine: this.#levels.machine?.read() ?? 0 };
  }

  async #checkReady() {
    const { ready, missing } = await readiness();
    if (!ready) throw new NotReady(missing);
  }

  async #openMicrophone() {
    const track = await askForMicrophone();
    track.addEventListener("ended", () => track === this.#track && this.#microphoneGone());
    this.#track = track;
    this.#levels.user = this.#loudness.of(new MediaStream([track]));
    this.#tellMicrophone();
  }

  #microphoneGone() {
    this.#dropMicrophone();
    void this.#connection.useMicrophone(null);
    this.#tell("trouble", microphoneGone(() => this.toggleMicrophone()));
  }

  #dropMicrophone() {
    this.#track?.stop();
    this.#track = null;
    this.#levels.user?.close();
    this.#levels.user = null;
    this.#tellMicrophone();
  }

  #play(stream) {
    this.#audio.srcObject = stream;
    this.#audio.play().catch(() => this.#tell("trouble", soundBlocked(() => this.#audio.play())));
    this.#levels.machine?.close();
    this.#levels.machine = this.#loudness.of(stream);
  }

  #ended(detail) {
    this.#dropMicrophone();
    this.#levels.machine?.close();
    this.#levels.machine = null;
    this.#audio.srcObject = null;
    this.#tell("ended", detail);
  }

  async #explain(error) {
    if (!(error instanceof GatewayRefused && error.status === 401)) {
      this.#tell("trouble", this.#troubleOf(error));
    } else if (await this.#askForKey()) {
      void this.start();
    }
    if (error instanceof NotReady || error.status === 0) setTimeout(() => void this.lookAhead(), READY_EVERY_MS);
  }

  #troubleOf(error) {
    const live = this.status === "live";
    return troubleOf(error, {
      again: () => (live ? this.toggleMicrophone() : this.start()),
      withoutMicrophone: live ? null : () => this.start({ listenOnly: true }),
    });
  }

  #tellMicrophone() {
    const present = this.#track !== null;
    this.#tell("microphone", { present, muted: present && !this.#track.enabled });
  }

  #pass(name) {
    this.#connection.addEventListener(name, ({ detail }) => this.#tell(name, detail));
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
