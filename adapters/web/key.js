/**
 * Asking for the gateway's API key.
 * @module key
 */

import { hasKey, keepKey } from "./gateway.js";

/**
 * @param {HTMLDialogElement} dialog with a form, a password field and a cancel button
 * @returns {Promise<boolean>} whether a key was entered, which is then kept for this tab
 */
export function askForKey(dialog) {
  const input = dialog.querySelector("input");
  if (hasKey()) dialog.querySelector("p").textContent = "The gateway did not accept that key. Enter another one.";
  input.value = "";
  dialog.returnValue = "";
  dialog.querySelector("[type=button]").onclick = () => dialog.close("");
  dialog.querySelector("[type=submit]").value = "entered";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        const entered = dialog.returnValue === "entered" && input.value.trim() !== "";
        if (entered) keepKey(input.value.trim());
        resolve(entered);
      },
      { once: true },
    );
  });
}
