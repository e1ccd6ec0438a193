/**
 * Puts the page together: what happens at which click, and what is shown at which message.
 * @module main
 */

import { Banner } from "./banner.js";
import { Call } from "./call.js";
import { Conversation } from "./conversation.js";
import { adoptKeyFromAddress } from "./gateway.js";
import { askForKey } from "./key.js";
import { FleetPanel } from "./fleet.js";
import { listenToKeys } from "./keyboard.js";
import { showLatencies } from "./latencies.js";
import { Meter } from "./meter.js";
import { Orb } from "./orb.js";
import { Settings } from "./settings.js";
import { Stage } from "./stage.js";
import { TranscriptView } from "./transcript.js";
import { followVoices } from "./voices.js";

const part = (id) => document.getElementById(id);
const LINKS = {
  idle: "Not connected",
  connecting: "Connecting",
  live: "Connected",
  reconnecting: "Reconnecting",
};

adoptKeyFromAddress();
const banner = new Banner(part("banner"));
const conversation = new Conversation();
const stage = new Stage({ headline: part("state"), line: part("substate") });
const transcript = new TranscriptView({ list: part("entries"), scroll: part("scroll"), empty: part("empty") });
const settings = new Settings(part("settings-form"), (config) => call.configure(config));
const call = new Call({ audio: part("audio"), settings, askForKey: () => askForKey(part("key")) });
const meter = new Meter({ track: part("level-track"), fill: part("level-fill") });
const orb = new Orb(part("orb"), () => {
  const levels = call.levels();
  meter.show(levels.user, performance.now());
  return levels;
});

call.addEventListener("status", ({ detail }) => showStatus(detail.status));
call.addEventListener("message", ({ detail }) => take(detail));
call.addEventListener("trouble", ({ detail }) => showTrouble(detail));
call.addEventListener("ready", () => {
  banner.clear("ready");
  stage.gateway(true);
});
call.addEventListener("session", () => conversation.beginSession());
call.addEventListener("renewed", () => {
  note("The earlier session had ended. This is a new one, without its memory.");
  conversation.beginSession();
});
call.addEventListener("ended", ({ detail }) => {
  banner.clear("error");
  note(detail.reason || "You hung up.");
});
call.addEventListener("microphone", ({ detail }) => showMicrophone(detail));

part("start").addEventListener("click", () => start());
part("hang-up").addEventListener("click", () => call.hangUp());
part("mute").addEventListener("click", () => call.toggleMicrophone());
part("stop").addEventListener("click", () => call.interrupt());
part("say-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = part("say").value.trim();
  if (text !== "" && call.say(text)) part("say").value = "";
});
listenToKeys({
  space: () => (call.status === "idle" ? start() : call.toggleMicrophone()),
  escape: () => part("stop").disabled || call.interrupt(),
});
closeWhenLeft(part("settings"));
oneAtATime(part("settings"), part("fleet"));
followVoices(part("settings"), (voices) => settings.offer(voices));
new FleetPanel({ box: part("fleet"), confirmation: part("drain"), askForKey: () => askForKey(part("key")) });
addEventListener("pagehide", () => call.hangUp());
void call.lookAhead();

function closeWhenLeft(disclosure) {
  document.addEventListener("pointerdown", ({ target }) => disclosure.contains(target) || (disclosure.open = false));
}

function oneAtATime(...disclosures) {
  for (const one of disclosures) {
    one.addEventListener("toggle", () => {
      if (one.open) for (const other of disclosures) other.open = other === one;
    });
  }
}

function start() {
  banner.clear();
  void call.start();
}

function take(message) {
  transcript.show(conversation.apply(message));
  if (message.type === "opened") {
    settings.offer(message.voices);
    settings.show(message.config);
  } else if (message.type === "state") {
    stage.floor(message.state);
    showFloor();
  } else if (message.type === "turn") {
    showLatencies(part("latencies"), part("latencies-list"), message.latencies_ms);
    banner.clear("error");
  } else if (message.type === "error") {
    banner.show("error", "Something went wrong with this turn", [message.message]);
  } else if (message.type === "refused") {
    banner.show("error", "The gateway did not do that", [message.reason]);
  }
}

function showTrouble({ kind, title, steps, actions }) {
  banner.show(kind, title, steps, actions);
  if (kind === "ready") stage.gateway(false);
}

function showStatus(status) {
  if (status === "live") stage.gateway(true);
  stage.connection(status);
  part("link-text").textContent = LINKS[status];
  const up = status === "live" || status === "reconnecting";
  part("start").hidden = up;
  part("start").disabled = status === "connecting";
  part("start-text").textContent = status === "connecting" ? "Connecting…" : "Start the conversation";
  for (const id of ["mute", "stop", "hang-up", "level"]) part(id).hidden = !up;
  for (const id of ["say", "say-send"]) part(id).disabled = status !== "live";
  showFloor();
  keepFocus(up);
}

/** A button that goes away must not take the focus with it. */
function keepFocus(up) {
  if (document.activeElement !== document.body && !document.activeElement?.hidden) return;
  if (up && part("mute").hidden === false) part("mute").focus({ preventScroll: true });
  if (!up && !part("start").disabled) part("start").focus({ preventScroll: true });
}

function showFloor() {
  orb.show(stage.shown);
  part("stop").disabled = !["THINKING", "SPEAKING", "BARGED_IN"].includes(stage.shown);
}

function showMicrophone({ present, muted }) {
  stage.microphone({ present, muted });
  const button = part("mute");
  button.dataset.muted = String(muted);
  button.querySelector("span").textContent = present ? (muted ? "Unmute" : "Mute") : "Microphone";
  part("level").dataset.muted = String(muted);
  part("level-label").textContent = present ? (muted ? "Microphone muted" : "Microphone") : "No microphone";
}

function note(text) {
  transcript.show([conversation.note(text)]);
}
