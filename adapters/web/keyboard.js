/**
 * The two keys that work everywhere on the page.
 * @module keyboard
 */

/**
 * Space starts, then mutes; Escape stops the reply. A control that has the focus keeps its own meaning of Space, and
 * whatever is open closes with Escape first.
 *
 * @param {{space: () => void, escape: () => void}} acts
 */
export function listenToKeys({ space, escape }) {
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.repeat) return;
    if (event.key === " " && !takesSpace(event.target)) {
      event.preventDefault();
      space();
    } else if (event.key === "Escape" && !closesSomething(event.target)) {
      escape();
    }
  });
}

function takesSpace(target) {
  return target.closest("button, input, select, textarea, summary, a, dialog, [role=log]") !== null;
}

function closesSomething(target) {
  if (document.querySelector("dialog[open]") !== null || target.closest("select") !== null) return true;
  const open = document.querySelector("details[open]");
  if (open === null) return false;
  open.open = false;
  open.querySelector("summary").focus();
  return true;
}
