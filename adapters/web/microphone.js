/**
 * The microphone: asking for it, and what to do when it is not given.
 * @module microphone
 */

/** What the browser's own processing must do: the reply's voice must not come back as the user's. */
const CONSTRAINTS = {
  audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
};

/** Why there is no microphone, and what to do about it. */
export class MicrophoneRefused extends Error {
  /**
   * @param {string} title what happened
   * @param {string[]} steps what to do
   */
  constructor(title, steps) {
    super(title);
    this.steps = steps;
  }
}

/**
 * @returns {Promise<MediaStreamTrack>}
 * @throws {MicrophoneRefused}
 */
export async function askForMicrophone() {
  if (navigator.mediaDevices?.getUserMedia === undefined) throw insecure();
  try {
    const stream = await navigator.mediaDevices.getUserMedia(CONSTRAINTS);
    return stream.getAudioTracks()[0];
  } catch (error) {
    throw adviceFor(error);
  }
}

function insecure() {
  const port = location.port || "80";
  if (window.isSecureContext) {
    return new MicrophoneRefused("This browser gives pages no microphone", [
      "Open the page in a current Chrome, Edge, Firefox or Safari.",
    ]);
  }
  return new MicrophoneRefused("Browsers give the microphone only to secure pages", [
    `On the gateway’s own machine, open http://localhost:${port}/ instead.`,
    `From another machine, run: ssh -L ${port}:localhost:${port} ${location.hostname}, then open http://localhost:${port}/ here.`,
    "For everyone, put the gateway behind HTTPS.",
  ]);
}

function adviceFor(error) {
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return refused(error);
    case "NotFoundError":
    case "OverconstrainedError":
      return new MicrophoneRefused("No microphone was found", [
        "Plug one in, or switch it on, and check that the system lists it under sound input.",
        "Then try again.",
      ]);
    case "NotReadableError":
    case "AbortError":
      return new MicrophoneRefused("The microphone is there, but another program holds it", [
        "Close other calls and recording programs, or unplug the microphone and plug it in again.",
        "Then try again.",
      ]);
    default:
      return new MicrophoneRefused("The microphone could not be opened", [`The browser says: ${error.message || error.name}`]);
  }
}

function refused(error) {
  if (/system/i.test(error.message)) {
    return new MicrophoneRefused("The system keeps the microphone from the browser", [
      "In the system’s privacy settings, allow this browser to use the microphone.",
      "Restart the browser, then try again.",
    ]);
  }
  return new MicrophoneRefused("The microphone was refused", [
    "Click the icon to the left of the page’s address and set Microphone to Allow.",
    "Then try again. Your voice goes to this gateway only.",
  ]);
}
