/**
 * The picture of who has the floor: a disc for the voice that speaks, a ring for the ear that listens.
 * @module orb
 */

const FRAME_MS = 1000 / 30;
const BARS = 7;
const POINTS = 72;

/** Draws on a canvas in its CSS `color`, which follows the state, and only while there is something to follow. */
export class Orb {
  #canvas;
  #pen;
  #still = matchMedia("(prefers-reduced-motion: reduce)");
  #read;
  #state = "idle";
  #drawn = 0;
  #running = false;
  #user = 0;
  #machine = 0;
  #trail = new Array(BARS).fill(0);

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => {user: number, machine: number}} read the levels now, from 0 to 1
   */
  constructor(canvas, read) {
    this.#canvas = canvas;
    this.#pen = canvas.getContext("2d");
    this.#read = read;
    new ResizeObserver(() => this.#fit()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#settle());
  }

  /** @param {string} state as `Stage.shown` says; `idle` stands still */
  show(state) {
    this.#state = state;
    if (state === "idle") {
      this.#running = false;
      this.#settle();
    } else if (!this.#running) {
      this.#running = true;
      requestAnimationFrame((now) => this.#frame(now));
    }
  }

  #fit() {
    const scale = devicePixelRatio || 1;
    this.#canvas.width = Math.round(this.#canvas.clientWidth * scale);
    this.#canvas.height = Math.round(this.#canvas.clientHeight * scale);
    this.#draw(performance.now());
  }

  /** A colour takes a moment to change. */
  #settle() {
    this.#user = this.#machine = 0;
    this.#trail.fill(0);
    for (const ms of [0, 150, 300, 500]) setTimeout(() => this.#running || this.#draw(0), ms);
  }

  #frame(now) {
    if (!this.#running) return;
    if (now - this.#drawn >= FRAME_MS - 2) {
      this.#drawn = now;
      this.#follow();
      this.#draw(now);
    }
    requestAnimationFrame((next) => this.#frame(next));
  }

  #follow() {
    const { user, machine } = this.#read();
    this.#user = eased(this.#user, user);
    this.#machine = eased(this.#machine, machine);
    const loud = { SPEAKING: this.#machine, LISTENING: this.#user }[this.#state] ?? 0;
    this.#trail.pop();
    this.#trail.unshift(loud);
  }

  #draw(now) {
    const { width, height } = this.#canvas;
    if (width === 0) return;
    const radius = Math.min(width, height) / 2;
    const time = this.#still.matches ? 0 : now / 1000;
    const colour = getComputedStyle(this.#canvas).color.match(/[\d.]+/gu).slice(0, 3).map(Number);
    this.#pen.setTransform(1, 0, 0, 1, 0, 0);
    this.#pen.clearRect(0, 0, width, height);
    this.#pen.translate(width / 2, height / 2);
    this.#pen.scale(radius, radius);
    this.#halo(colour);
    this.#ring(rgb(colour), time);
    this.#disc(colour, time);
    this.#glyph(time);
  }

  #halo(colour) {
    const glow = this.#pen.createRadialGradient(0, 0, 0.5, 0, 0, 1);
    glow.addColorStop(0, rgb(colour));
    glow.addColorStop(1, rgb(colour, 0));
    this.#pen.globalAlpha = this.#state === "idle" ? 0.1 : 0.16 + 0.2 * Math.max(this.#user, this.#machine);
    this.#pen.fillStyle = glow;
    this.#circle(1);
    this.#pen.fill();
  }

  #ring(colour, time) {
    const listening = this.#state === "LISTENING" || this.#state === "BARGED_IN";
    const wave = listening ? this.#user : this.#user * 0.4;
    this.#pen.strokeStyle = colour;
    for (const [shift, alpha, thick] of [[0, 0.55, 0.014], [1.9, 0.28, 0.01], [4.1, 0.16, 0.008]]) {
      this.#pen.globalAlpha = alpha * (listening ? 1 : 0.55);
      this.#pen.lineWidth = thick * (1 + wave);
      this.#blob(0.74 + 0.03 * wave, 0.012 + 0.075 * wave, time * 1.3 + shift);
      this.#pen.stroke();
    }
  }

  #disc(colour, time) {
    const wave = this.#state === "SPEAKING" ? this.#machine : 0;
    const held = this.#state === "BARGED_IN" ? -0.05 : 0;
    const light = this.#pen.createLinearGradient(-0.4, -0.6, 0.4, 0.6);
    light.addColorStop(0, rgb(colour.map((channel) => channel + (255 - channel) * 0.22)));
    light.addColorStop(1, rgb(colour));
    this.#pen.globalAlpha = 1;
    this.#pen.fillStyle = light;
    this.#blob(0.52 + held + 0.05 * wave, 0.008 + 0.05 * wave, time * 1.7);
    this.#pen.fill();
  }

  #glyph(time) {
    this.#pen.fillStyle = "white";
    this.#pen.globalAlpha = 0.95;
    if (this.#state === "BARGED_IN") {
      this.#bar(-0.09, 0.34, 0.1);
      this.#bar(0.09, 0.34, 0.1);
    } else if (this.#state === "THINKING" || this.#state === "connecting" || this.#state === "reconnecting") {
      this.#dots(time);
    } else {
      this.#bars();
    }
  }

  #dots(time) {
    for (const index of [0, 1, 2]) {
      const lift = this.#still.matches ? 0 : Math.max(0, Math.sin(time * 4 - index * 0.8));
      this.#pen.globalAlpha = 0.6 + 0.4 * lift;
      this.#pen.beginPath();
      this.#pen.arc((index - 1) * 0.17, -0.05 * lift, 0.05, 0, 2 * Math.PI);
      this.#pen.fill();
    }
  }

  /** The newest level stands in the middle and runs outwards. */
  #bars() {
    const middle = (BARS - 1) / 2;
    for (let index = 0; index < BARS; index += 1) {
      const away = Math.abs(index - middle);
      const level = this.#trail[this.#still.matches ? 0 : away * 2];
      const tall = 0.07 + 0.42 * level * (1 - 0.2 * away);
      this.#bar((index - middle) * 0.088, Math.max(0.045, tall), 0.045);
    }
  }

  #bar(x, tall, wide) {
    this.#pen.beginPath();
    this.#pen.roundRect(x - wide / 2, -tall / 2, wide, tall, wide / 2);
    this.#pen.fill();
  }

  #circle(radius) {
    this.#pen.beginPath();
    this.#pen.arc(0, 0, radius, 0, 2 * Math.PI);
  }

  #blob(radius, depth, phase) {
    this.#pen.beginPath();
    for (let index = 0; index < POINTS; index += 1) {
      const angle = (index / POINTS) * 2 * Math.PI;
      const wave = Math.sin(3 * angle + phase) + 0.6 * Math.sin(5 * angle - 1.4 * phase) + 0.4 * Math.sin(2 * angle + 0.7 * phase);
      const reach = radius + (depth * wave) / 2;
      this.#pen.lineTo(reach * Math.cos(angle), reach * Math.sin(angle));
    }
    this.#pen.closePath();
  }
}

/** Rises at once and falls slowly, as a meter's needle does. */
function eased(before, now) {
  return before + (now - before) * (now > before ? 0.6 : 0.18);
}

function rgb(channels, alpha = 1) {
  return `rgba(${channels.join(", ")}, ${alpha})`;
}
