// Buttons that copy the text of the element they name.

export function copyButtons(root) {
  if (!navigator.clipboard) return; // plain http on another host: the text is selected by a click instead
  for (const button of root.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
}

async function copy(button) {
  const label = button.querySelector("span");
  const before = label.textContent;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  label.textContent = button.dataset.done;
  label.setAttribute("role", "status");
  window.setTimeout(() => {
    label.textContent = before;
    label.removeAttribute("role");
  }, 2000);
}
