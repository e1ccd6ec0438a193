/**
 * How loud a stream is, for the eye.
 * @module sound
 */

const QUIETEST_DB = -60;

/** One AudioContext for all that is measured; it must be made after a click. */
export class Loudness {
  #context = new AudioContext();

  /** A context made without a click starts suspended. */
  wake() {
    if (this.#context.state === "suspended") void this.#context.resume();
  }

  /**
   * @param {MediaStream} stream
   * @returns {Level}
   */
  of(stream) {
    const source = this.#context.createMediaStreamSource(stream);
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = 1024;
    source.connect(analyser);
    return new Level(source, analyser);
  }
}

/** The level of one stream. */
export class Level {
  #source;
  #analyser;
  #samples;

  /**
   * @param {AudioNode} source
   * @param {AnalyserNode} analyser
   */
  constructor(source, analyser) {
    this.#source = source;
    this.#analyser = analyser;
    this.#samples = new Float32Array(analyser.fftSize);
  }

  /** @returns {number} 0 for silence (-60 dBFS and below) to 1 for full scale, even in decibels */
  read() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    const decibels = 10 * Math.log10(sum / this.#samples.length + 1e-12);
    return Math.min(1, Math.max(0, 1 - decibels / QUIETEST_DB));
  }

  /** Gives the stream back. */
  close() {
    this.#source.disconnect();
  }
}
