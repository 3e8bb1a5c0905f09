// What scripts add to pages that already work without them. No page needs this file to be read or sent.

import { copyButtons } from "./copy.js";
import { dialogs } from "./dialogs.js";
import { forms } from "./forms.js";

copyButtons(document);
dialogs(document);
forms(document);

// A message of the last action is shown once: reloading or sharing the address does not repeat it.
const address = new URL(window.location.href);
if (address.searchParams.has("notice")) {
  address.searchParams.delete("notice");
  window.history.replaceState(null, "", address);
}

document.querySelector("[data-focus]")?.focus();
