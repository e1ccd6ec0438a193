// Run in the page: keeps what the browser plays, mono float at the context's rate, and where in it each state of the
// floor began. A script processor, though out of fashion, needs no module that the page's policy would refuse.
() => {
  const context = new AudioContext({ sampleRate: 48000 });
  const blocks = [];
  const states = [{ state: document.body.dataset.state, at: 0 }];
  let samples = 0;
  const tap = context.createScriptProcessor(4096, 1, 1);
  tap.onaudioprocess = ({ inputBuffer }) => {
    blocks.push(inputBuffer.getChannelData(0).slice());
    samples += inputBuffer.length;
  };
  tap.connect(context.destination);
  context.createMediaStreamSource(document.getElementById("audio").srcObject).connect(tap);
  new MutationObserver(() => {
    const { state } = document.body.dataset;
    if (state !== states.at(-1).state) states.push({ state, at: samples });
  }).observe(document.body, { attributeFilter: ["data-state"] });

  window.recording = {
    states,
    get seconds() {
      return samples / context.sampleRate;
    },
    // The root mean square of the last blocks that make up so many seconds.
    level(seconds) {
      const recent = blocks.slice(-Math.ceil((seconds * context.sampleRate) / 4096));
      const sum = recent.flatMap((block) => [...block]).reduce((total, sample) => total + sample * sample, 0);
      return Math.sqrt(sum / Math.max(1, recent.length * 4096));
    },
    // All of it as base64 of s16le.
    take() {
      const pcm = new Int16Array(samples);
      let at = 0;
      for (const block of blocks) {
        for (const sample of block) pcm[at++] = Math.max(-1, Math.min(1, sample)) * 32767;
      }
      const bytes = new Uint8Array(pcm.buffer);
      let text = "";
      for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
      return btoa(text);
    },
  };
}
